"""Checkpoints: what a function leaves on the tape is given up, and made again when its gradient is asked for."""

import contextlib
import functools

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.record import MASK
from tapejit.eager import random
from tapejit.eager.autograd import grad
from tapejit.eager.compiledsweep import handle_of
from tapejit.eager.creation import zeros
from tapejit.eager.dispatch import bring
from tapejit.eager.grad_mode import enable_grad, is_grad_enabled
from tapejit.eager.nodes import sources_of
from tapejit.eager.tensor import Tensor
from tapejit.eager.userfunction import Function
from tapejit.replay.trees import flatten, unflatten


def checkpoint(function, *args, preserve_rng_state=True, use_reentrant=None, **kwargs):
    """Run a function and keep only its arguments and results; backward runs it a second time.

    ``tj.checkpoint(f)`` gives a function that does so at every call, as ``jax.checkpoint``; ``tj.checkpoint(f, x, y)`` calls
    it, as ``torch.utils.checkpoint.checkpoint``.

    Args:
        function: gives a tensor, or a tuple, list or dict of tensors. Tensors that it closes over get their gradients too.
        preserve_rng_state: whether the second run draws the same random numbers.
        use_reentrant: accepted for PyTorch's sake; there is one implementation.

    Returns:
        The results, or the function.

    Raises:
        RuntimeError: in backward, if the second run gives other results than the first.
    """
    if not callable(function):
        raise TypeError(f"checkpoint() takes a function, got {type(function).__name__}")
    if not args and not kwargs:
        return functools.wraps(function)(functools.partial(_run, function, preserve_rng_state))
    return _run(function, preserve_rng_state, *args, **kwargs)


def checkpoint_sequential(functions, segments, input, use_reentrant=None, preserve_rng_state=True):
    """A chain of functions in ``segments`` parts, all but the last of which are checkpoints.

    Args:
        functions: functions of one tensor, or an ``nn.Sequential``.
        segments: how many parts, from 1 to the number of functions.
        input: what the first function takes.
        use_reentrant, preserve_rng_state: see ``checkpoint``.

    Raises:
        ValueError: for a number of segments that there cannot be.
    """
    chain = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= max(len(chain), 1):
        raise ValueError(f"checkpoint_sequential(): {len(chain)} functions cannot be cut into {segments} segments")

    def run(part, x):
        for function in part:
            x = function(x)
        return x

    length = len(chain) // segments
    for k in range(segments - 1):
        part = chain[k * length : (k + 1) * length]
        input = checkpoint(lambda x, part=part: run(part, x), input, preserve_rng_state=preserve_rng_state)
    return run(chain[(segments - 1) * length :], input)


def _run(function, preserve, *args, **kwargs):
    leaves = []
    structure = flatten((args, kwargs), is_tensor, leaves)
    if not is_grad_enabled():
        return function(*args, **kwargs)
    state = random.default_generator.numbers.bit_generator.state if preserve else None
    boundary = zeros(())
    inputs, outputs, shape = trial(function, structure, leaves, Tensor.detach)
    wanted = [x for x in leaves if x.requires_grad] + beyond(outputs, inputs, boundary)
    if not any(y.requires_grad for y in outputs):
        return unflatten(shape, iter(outputs))
    values = tuple(y.detach() for y in outputs)
    outside = wanted[sum(x.requires_grad for x in leaves) :]
    run = functools.partial(trial, function, structure)
    del inputs, outputs
    found = _Recomputed.apply(run, state, leaves, outside, values, *wanted)
    return unflatten(shape, iter(found))


def is_tensor(x):
    return x.__class__ is Tensor


def trial(function, structure, leaves, copied):
    """(the copies of the tensors that ask for gradients, the tensors among the results, the structure of these)."""
    with enable_grad():
        tape = tapes.current()
        inputs = [copied(x) if x.requires_grad else _here(tape, x) for x in leaves]
        for x, y in zip(leaves, inputs, strict=True):
            if x.requires_grad and not y.requires_grad:
                y.requires_grad_()
        args, kwargs = unflatten(structure, iter(inputs))
        outputs = []
        shape = flatten(function(*args, **kwargs), is_tensor, outputs)
    return [y for x, y in zip(leaves, inputs, strict=True) if x.requires_grad], outputs, shape


def _here(tape, x):
    """A tensor that asks for no gradient, known to the tape: brought there once, and not by each operation."""
    return x if x._tape() is tape or tape.recorder is not None else bring(tape, x, constant=True)


def _reads_from_before(tape, first) -> bool:
    """Whether a record from ``first`` on reads one before it that has a gradient: most functions only use their arguments."""
    rows = tape.records[first : len(tape)]
    read = np.stack([rows[name] for name in "abc"])[:, tape.flags[first : len(tape)] & R.LEAF == 0]
    read = np.unique(read[(read >= 0) & (read < first)])
    return bool((tape.flags[read] & R.GRAD).any())


def beyond(outputs, inputs, boundary):
    """Tensors made before the function ran, in which its results have a gradient too."""
    tape, first = boundary._tape(), boundary._r & MASK
    seen = {x._r & MASK for x in inputs if x._tape() is tape}
    own = [y for y in outputs if y.requires_grad and y._tape() is tape]
    found = {id(y): y for y in outputs if y.requires_grad and y._tape() is not tape}
    walk = _reads_from_before(tape, first)
    waiting = [y._r & MASK for y in own if walk or y._r & MASK < first]
    while waiting:
        k = waiting.pop()
        if k in seen:
            continue
        seen.add(k)
        if k < first:
            x = handle_of(tape, k)
            found[id(x)] = x
        elif not tape.flags[k] & R.LEAF:
            waiting += [o for o in sources_of(tape, k) if o not in seen and tape.flags[o] & R.GRAD]
    return list(found.values())


@contextlib.contextmanager
def stand_ins(tensors):
    """On the tape of a sweep that waits, leaves in place of tensors that the function finds by itself."""
    tape = tapes.current()
    if all(x._tape() is tape for x in tensors):
        yield tensors
        return
    with enable_grad():
        found = [x.detach().requires_grad_() for x in tensors]
    before, tape.stand_ins = tape.stand_ins, {x._r: y for x, y in zip(tensors, found, strict=True)}
    try:
        yield found
    finally:
        tape.stand_ins = before


class _Recomputed(Function):
    """The results of a function, whose history is made when it is asked for."""

    @staticmethod
    def forward(ctx, run, state, leaves, outside, values, *wanted):
        ctx.run, ctx.state, ctx.outside = run, state, outside
        ctx.versions = [x._version for x in leaves]
        ctx.leaves = leaves
        ctx.shapes = [y.shape for y in values]
        constant = [y for y in values if not y.dtype.is_floating_point]
        ctx.mark_non_differentiable(*constant)
        return values

    @staticmethod
    def backward(ctx, *gradients):
        if [x._version for x in ctx.leaves] != ctx.versions:
            raise RuntimeError(
                "an argument of a checkpoint has been modified by an inplace operation since; pass a clone() of it"
            )
        generator = random.default_generator.numbers.bit_generator
        now = generator.state
        if ctx.state is not None:
            generator.state = ctx.state
        try:
            with stand_ins(ctx.outside) as outside:
                inputs, outputs, _ = ctx.run(ctx.leaves, Tensor.clone if is_grad_enabled() else Tensor.detach)
        finally:
            generator.state = now
        if [y.shape for y in outputs] != ctx.shapes:
            raise RuntimeError("the function of a checkpoint gave other results when it ran a second time")
        pairs = [(y, g) for y, g in zip(outputs, gradients, strict=True) if g is not None and y.requires_grad]
        wanted = [*inputs, *outside]
        found = grad(
            [y for y, _ in pairs], wanted, [g for _, g in pairs], create_graph=is_grad_enabled(), allow_unused=True
        )
        return (None,) * 5 + tuple(found)


