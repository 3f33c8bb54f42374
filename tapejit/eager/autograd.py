"""Gradients: ``backward`` and ``grad``."""

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.record import MASK
from tapejit.eager import anomaly, hooks
from tapejit.eager.compiledsweep import (
    apart,
    give_up,
    go_on,
    handle_of,
    packed_at,
    plan_sweep,
    same_tape,
    sweep,
    take,
    taken,
    unblock,
)
from tapejit.eager.creation import tensor
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.tensor import Tensor, method_as
from tapejit.eager.tensorsweep import swept_as_tensors
from tapejit.eager.views import clone

_address = tapes.main.address
_main = tapes.main
_new = object.__new__
_backward_scalar = engine.late(globals(), "_backward_scalar", "backward_scalar")
_COUNT = (1 << 32) - 1  # of what a sweep answers: how many gradients it made; above it: how many adjoints are retained


@method_as("backward")
def tensor_backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Compute the gradient of this tensor in the leaves of its graph and add it to their ``.grad``.

    Args:
        gradient: the vector of the vector-Jacobian product, of this tensor's shape; may be left out for one element.
        retain_graph: keep what the graph saved, for another backward; by default True only with ``create_graph``.
        create_graph: compute the gradients as tensors that can be differentiated again.
        inputs: the leaves to accumulate into; by default all that the graph reaches.

    Raises:
        RuntimeError: without a graph, without ``gradient`` for several elements, or through a graph already freed.
    """
    if gradient is None and inputs is None and not create_graph:
        try:
            made = _backward_scalar(_address, self._r, 1 if retain_graph else 0)
            while made < R.SLOW:
                if made == R.STOPPED or made == R.STARVED:
                    made = go_on(_main, made, retain_graph, True)
                else:
                    unblock(_main, made)
                    made = _backward_scalar(_address, self._r, 1 if retain_graph else 0)
            if made >= 0:
                if made & _COUNT:
                    _attach_gradients(_main, made & _COUNT)
                if made > _COUNT:
                    _collect_retained(_main)
                return
        except BaseException:
            give_up(_main, True)
            raise
    backward((self,), (gradient,), retain_graph, create_graph, inputs=inputs)


def _attach_gradients(tape, made):
    """Give the leaves whose first gradient a sweep has just made their Tensors."""
    apart = []
    if _attach(tape, tape.leaf_at[: tape.words[R.H_LEAF_COUNT]], apart) != made:  # a handler's sweep has come in between
        count = len(tape)
        _attach(tape, np.flatnonzero((tape.flags[:count] & R.LEAF != 0) & (tape.firsts[:count] >= 0)).tolist(), apart)
    for leaf, gradient in apart:
        leaf.grad = _sum(leaf.grad, gradient)


def _attach(tape, leaves, apart) -> int:
    """Make the Tensors of those leaves' gradients that have none; how many. ``apart``: pairs that are to be added up."""
    handles, gradient_at, made = tape.handles, tape.first_at, 0
    base = tape.number << R.TAPE_SHIFT
    for k in leaves:
        number = gradient_at[k] if k >= 0 else -1
        if number < 0 or handles[number] is not None:
            continue
        leaf = handles[k]
        gradient = _new(Tensor)
        gradient._r = base | number
        gradient._layout = packed_at(tape, number) if leaf is None else leaf._layout.packed
        handles[number] = gradient
        made += 1
        if leaf is None:
            continue
        if getattr(leaf, "_grad", None) is None:
            leaf._grad = gradient
        else:
            apart.append((leaf, gradient))
    return made


def _sum(gradient, part):
    """A gradient with a later part, for a gradient that a sweep cannot add to in its own memory."""
    with no_grad():
        return gradient + part


def _collect_retained(tape):
    """Move the adjoints that retain_grad() asked for, and those of hooked leaves, into ``.grad``."""
    visited = tape.order[: int(tape.header[R.H_VISITED])]
    asked = [k for k in visited[visited >= 0].tolist() if tape.flags[k] & R.RETAIN and tape.adjoints[k] > 2]
    hooked = hooks.leaves(tape)
    found = [(tape.handles[k], take(tape, k)) for k in asked + hooked]  # all of them before hooks run
    taken(tape)
    for handle, gradient in found[: len(asked)]:
        if handle is not None:
            _accumulate(handle, gradient)
    for handle, gradient in found[len(asked) :]:
        if gradient is None:
            continue
        _accumulate(handle, hooks.through(handle, gradient))
        hooks.accumulated(handle)


def _accumulate(x, gradient):
    x.grad = gradient if x.grad is None else _sum(x.grad, gradient)


def _as_tuple(x):
    return (x,) if isinstance(x, Tensor) else tuple(x)


def _check_outputs(outputs, gradients, what):
    """Seeds for the outputs: contiguous tensors, or None for ones.

    Raises:
        RuntimeError: for an output without a history, or a gradient that is missing or of the wrong shape.
    """
    if len(outputs) != len(gradients):
        raise RuntimeError(f"{what} got {len(outputs)} tensors and {len(gradients)} gradients; give one for each, or None")
    seeds = []
    for y, g in zip(outputs, gradients, strict=True):
        if not isinstance(y, Tensor):
            raise TypeError(f"{what} differentiates tensors, got {type(y).__name__}")
        if not y.requires_grad:
            raise RuntimeError(
                f"this tensor of shape {y.shape} does not require grad and has no grad_fn: nothing that it was computed "
                "from has requires_grad=True, or it was computed under no_grad()"
            )
        if g is None:
            if y.numel() != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, this one has shape {y.shape}; pass "
                    "gradient= a tensor of that shape, or reduce it first, for example with .sum()"
                )
        else:
            g = g if isinstance(g, Tensor) else tensor(g, dtype=y.dtype)
            if g.shape != y.shape:
                raise RuntimeError(f"the gradient has shape {g.shape}, but the output has shape {y.shape}")
            g = g.to(y.dtype)
        seeds.append(g)
    return seeds


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, *, inputs=None) -> None:
    """``Tensor.backward`` of several tensors at once."""
    outputs = _as_tuple(tensors)
    gradients = (None,) * len(outputs) if grad_tensors is None else _as_tuple(grad_tensors)
    seeds = _check_outputs(outputs, gradients, "backward()")
    create_graph = create_graph or tapes.current().recorder is not None  # a recording takes part in the sweep
    retain = create_graph if retain_graph is None else retain_graph
    targets = None if inputs is None else tuple(dict.fromkeys(_as_tuple(inputs)))
    if targets is not None:
        if not targets:
            raise RuntimeError("backward() got an empty list of inputs; leave inputs= out for all leaves")
        _check_inputs(targets)
    tape = outputs[0]._tape()
    with tape.still(), apart(tape):
        if create_graph or anomaly.active():
            _backward_recorded(outputs, seeds, targets, retain, create_graph)
        else:
            _backward(tape, outputs, seeds, targets, retain)


def _backward(tape, outputs, seeds, targets, retain):
    same_tape(tape, (*outputs, *(targets or ())))
    try:
        made = sweep(tape, outputs, seeds, targets, retain, to_leaves=targets is None)
        if targets is None:
            if made & _COUNT:
                _attach_gradients(tape, made & _COUNT)
            if made > _COUNT:
                _collect_retained(tape)
            return
        found = _arrivals(tape, targets)
        taken(tape)
        for x, gradient in found:
            if gradient is not None:
                _arrived(x, gradient)
    except BaseException:
        give_up(tape, targets is None)
        raise


def _arrivals(tape, targets):
    """Each target and what arrived there.

    A function of its own: Python since 3.12 writes comprehensions out where they stand, and 3.13 lets what a tracer raises at
    their end pass by the ``except`` around them.
    """
    return [(x, take(tape, x._r & MASK)) for x in targets]


def _arrivals_of(tape, inputs):
    """The inputs by their record, each once, and by their identity what arrived there."""
    unique = {x._r & MASK: x for x in inputs}
    return unique, {id(x): gradient for x, gradient in _arrivals(tape, unique.values())}


def _arrived(x, gradient):
    """Add the gradient of an input to its ``.grad``."""
    if not x.is_leaf:  # its hooks have run
        _accumulate(x, gradient)
        return
    _accumulate(x, hooks.through(x, gradient))
    hooks.accumulated(x)


def _check_inputs(inputs):
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"inputs must be tensors, got {type(x).__name__}")
        if not x.requires_grad:
            raise RuntimeError(f"one of the inputs (shape {x.shape}) does not require grad; call x.requires_grad_() first")


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=None, materialize_grads=False
) -> tuple:
    """The gradients of the outputs in the inputs, as a tuple with one tensor per input; ``.grad`` stays as it is.

    Args:
        outputs: the tensor or tensors to differentiate.
        inputs: the tensor or tensors in which to differentiate; they need not be leaves.
        grad_outputs: the vector of the vector-Jacobian product for each output; None for outputs of one element.
        retain_graph: keep the graph for another use; by default True only with ``create_graph``.
        create_graph: make the gradients differentiable themselves.
        allow_unused: give None for an input that the outputs do not depend on, instead of raising.
        materialize_grads: give zeros instead of None.

    Raises:
        RuntimeError: for an input that was not used, and as ``Tensor.backward``.
    """
    outputs, inputs = _as_tuple(outputs), _as_tuple(inputs)
    gradients = (None,) * len(outputs) if grad_outputs is None else _as_tuple(grad_outputs)
    seeds = _check_outputs(outputs, gradients, "grad()")
    if not inputs:
        raise RuntimeError("grad() needs at least one input")
    _check_inputs(inputs)
    create_graph = create_graph or tapes.current().recorder is not None
    retain = create_graph if retain_graph is None else retain_graph
    tape = outputs[0]._tape()
    with tape.still(), apart(tape):
        if create_graph or anomaly.active():
            found = swept_as_tensors(outputs, seeds, inputs, retain, create_graph)
            results = [found.get(x._r & MASK) for x in inputs]
        else:
            results = _gradients(tape, outputs, seeds, inputs, retain, allow_unused or materialize_grads)
    for i, (x, result) in enumerate(zip(inputs, results, strict=True)):
        if result is None:
            if materialize_grads:
                results[i] = tensor(np.zeros(x.shape), dtype=x.dtype)
            elif not allow_unused:
                raise _unused(i, x)
    return tuple(results)


def _gradients(tape, outputs, seeds, inputs, retain, unused):
    """The gradient of each input by the compiled sweep, None where there is none."""
    same_tape(tape, (*outputs, *inputs))
    if not unused:
        _check_reached(tape, outputs, inputs)
    try:
        sweep(tape, outputs, seeds, inputs, retain, to_leaves=False)
        unique, found = _arrivals_of(tape, inputs)
        taken(tape)
    except BaseException:
        give_up(tape, False)
        raise
    for x in unique.values():
        if found[id(x)] is not None and x.is_leaf:
            found[id(x)] = hooks.through(x, found[id(x)])
    return [found.get(id(unique.get(x._r & MASK, x))) for x in inputs]


def _unused(i, x):
    return RuntimeError(
        f"input {i} (shape {x.shape}) was not used in the graph of the outputs; pass allow_unused=True to get None for it"
    )


def _check_reached(tape, outputs, inputs):
    """Refuse unused inputs before the sweep consumes the graph."""
    order, leaves = plan_sweep(tape, outputs)
    reached = {*order, *leaves}
    for i, x in enumerate(inputs):
        if x._r & MASK not in reached:
            raise _unused(i, x)


def _backward_recorded(outputs, seeds, targets, retain, create_graph):
    """``backward(create_graph=True)``: leaves get gradients that have a history themselves."""
    tape = outputs[0]._tape()
    if targets is None:
        order, leaves = plan_sweep(tape, outputs)
        targets = [handle_of(tape, k) for k in leaves]
        targets += [handle_of(tape, k) for k in order if tape.flags[k] & R.RETAIN]
    found = swept_as_tensors(outputs, seeds, targets, retain, create_graph)
    for x, gradient in zip(targets, [found[x._r & MASK] for x in targets], strict=True):
        if gradient is None:
            continue
        if not create_graph:
            _accumulate(x, clone(gradient))  # several leaves may have one tensor for their gradient
        else:
            x.grad = gradient if x.grad is None else x.grad + gradient
        hooks.accumulated(x)
