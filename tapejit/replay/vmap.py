"""``vmap``: a function of one example as a function of a batch.

The function runs once, on the first example, on a recording of its own; its records are then emitted again with the whole
batch (see ``graph.batch``). The decisions that it took must be those of every example.
"""

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.errors import Refused
from tapejit.core.layout import layout_of
from tapejit.core.record import MASK
from tapejit.eager.compiledsweep import handle_of
from tapejit.eager.dispatch import share
from tapejit.eager.escapes import watched
from tapejit.eager.functional import COMPARISONS, FUNCTIONS
from tapejit.eager.reductions import all as all_of
from tapejit.eager.reductions import any as any_of
from tapejit.eager.rotesweep import UNKNOWN
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import contiguous, expand
from tapejit.graph.batch import Batch, plain
from tapejit.replay.batchaxes import Placed, as_tensor, axes_of, is_batch_leaf, moved
from tapejit.replay.bypath import ByPath
from tapejit.replay.function import Replayed, outermost
from tapejit.replay.inparts import InParts
from tapejit.replay.recorder import Recorder, around
from tapejit.replay.tracebacks import shortened
from tapejit.replay.transforms import decorator
from tapejit.replay.trees import flatten, unflatten


class Example(Recorder):
    """A recording of one example. Tensors from outside are read where they are, with their history.

    Attributes:
        captured: record -> the tensor from outside, but for those of other recordings.
    """

    def __init__(self):
        super().__init__()
        self.captured = {}
        self._stand_ins = {}  # another recording's tape -> by its records the handles of their stand-ins, an array
        outer = tapes.current().recorder
        self.reads = None if outer is None else outer.reads

    def stand_ins_of(self, tape):
        known = self._stand_ins.get(tape)
        if known is None or len(known) <= len(tape):
            more = np.full(2 * len(tape) + 1, UNKNOWN, dtype=np.int64)
            if known is not None:
                more[: len(known)] = known
            known = self._stand_ins[tape] = more
        return known

    def from_recordings(self):
        """By record here the handle of what it stands for in another recording, -1 for others."""
        found = np.full(len(self.tape), -1, dtype=np.int64)
        for tape, known in self._stand_ins.items():
            numbers = np.flatnonzero(known != UNKNOWN)
            found[known[numbers] & MASK] = (tape.number << R.TAPE_SHIFT) | numbers
        return found

    def from_outside(self):
        return [*self.captured, *np.flatnonzero(self.from_recordings() >= 0).tolist()]

    def bring(self, tensor):
        tape = tensor._tape()
        known = None if tape.recorder is None else self.stand_ins_of(tape)
        if known is not None:
            k = tensor._r & MASK
            if known[k] == UNKNOWN:
                known[k] = self._standing_in(tensor._memory(), tensor)._r
            return handle_of(self.tape, int(known[k]) & MASK)
        known = self.brought.get(id(tensor))
        if known is None or known[1]._r < 0:
            known = self.brought[id(tensor)] = (tensor, self._standing_in(tensor._memory(), tensor))
            self.captured[known[1]._r & MASK] = tensor
        return known[1]

    def example(self, tensor, number):
        """The first example of a tensor with the batch in front, a made-up one where the batch is empty."""
        memory = tensor._memory()
        first = np.array(memory[0, ...]) if len(memory) else _made_up(memory.shape[1:], memory.dtype)
        t = self._standing_in(first, tensor)
        self.inputs[t._r & MASK] = number
        return t

    def _standing_in(self, array, tensor):
        layout = tensor._layout if array.shape == tensor.shape else layout_of(array.shape, tensor.dtype)
        t = share(array, layout)
        self.sources.pop(t._r & MASK)
        if tensor.requires_grad:
            t._set_flags(-1, R.GRAD)
        return t


def _made_up(shape, dtype):
    """An example with which most functions get on: ones, matrices plus the identity, which are positive definite if square."""
    return np.ones(shape, dtype) + (np.eye(*shape[-2:], dtype=dtype) if len(shape) > 1 else np.zeros((), dtype))


def batched(function, tensors, size, units=False) -> list:
    """What ``function``, which takes one example of each tensor and gives a list of tensors, gives for a batch of ``size``.

    Args:
        tensors: with the batch dimension in front.
        units: whether the only tensor is all unit vectors, in order.

    Returns:
        pairs (tensor, whether it has a batch dimension in front): what depends on no example has none.

    Raises:
        RuntimeError: for a decision that differs within the batch, or what cannot be recorded.
    """
    recorder = Example()
    try:
        with around(recorder), recorder:
            found = function(*[recorder.example(t, j) for j, t in enumerate(tensors)])
            records = [recorder.index(t) for t in found]
            found = None
        batch = Batch(recorder, tensors, size, units)
        guards = recorder.guards
        values = batch.run([*records, *(guard.record for guard in guards)])
        for guard, value in zip(guards, values[len(records) :], strict=True):
            if size or not value.batched:  # no example decides otherwise than another in an empty batch
                _check(guard, value)
        return [(plain(value), value.batched) for value in values[: len(records)]]
    except Refused as why:
        if tapes.current().recorder is not None:
            raise
        raise RuntimeError(f"vmap(): {why}") from None
    finally:
        found = None
        recorder.close()


class Differing(RuntimeError):
    """A decision that is not the same for all examples."""


def _check(guard, value):
    """Take one decision for all of the batch: a recording outside notes that it was taken, and as what."""
    t = plain(value).detach()
    if not value.batched:
        if tapes.current().recorder is not None:
            _LOOKS[guard.kind](t)
        return
    other = _others(guard, t)
    if other is None:
        return
    example = int(np.flatnonzero(other._memory().reshape(len(other), -1).any(1))[0])
    seen = f"{guard.expected} for example 0, another for example {example}"
    if guard.kind == "bytes":
        seen = f"example {example} has other values than example 0"
    kind = RuntimeError if guard.kind == "bytes" else Differing
    raise kind(
        f"vmap(): Python looks at a value that differs within the batch ({seen}), and all examples must take one path: "
        f"write the decision as tj.where(condition, a, b), or call the function in a loop ({guard.line})"
    )


_LOOKS = {"truth": bool, "whole": int, "bytes": Tensor._array}


def _others(guard, t):
    """Where an example decides otherwise than the first one, None if none does; the first one's decision is looked at."""
    eq, ne = COMPARISONS["eq"], COMPARISONS["ne"]
    if guard.kind == "truth":
        some, every = bool(any_of(t)), bool(all_of(t))
        return None if some == every else ne(ne(t, 0), guard.expected)
    if guard.kind == "whole" and t.dtype.is_floating_point:
        t = FUNCTIONS["trunc"](t)
    _LOOKS[guard.kind](t[0])
    other = ne(t, t[:1])
    if guard.kind == "bytes" and t.dtype.is_floating_point:
        other = other & (eq(t, t) | eq(t[:1], t[:1]))
    return other if bool(any_of(other)) else None


class _Arguments(Placed):
    """Arguments with the tensors that have a batch, which is in front, and how a call on one example is made."""

    def __init__(self, args, kwargs, in_axes):
        super().__init__(args, kwargs, in_axes)
        self.tensors = [moved(as_tensor(self.leaves[j]), axis, 0) for j, axis in self.axes.items()]

    def call(self, fun, examples):
        """The function, of one example."""
        args, kwargs = self.rebuilt(examples)
        return watched(fun, args, kwargs)


class Vmapped(Replayed):
    """A function of a batch: one program for all examples if they take one path, else each by the program of its own."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self._by_path = None

    def general(self, args, kwargs):
        """A call of any kind; one of examples with different paths is answered where it is the outermost transform."""
        if not outermost():
            return super().general(args, kwargs)
        try:
            placed = None if self._by_path is None else self._by_path.expected(args, kwargs)
            if placed is None:
                try:
                    return super().general(args, kwargs)
                except Differing:
                    self._by_path = self._by_path or self._made_by_path()
            return self._by_path(args, kwargs, placed)
        except Exception as error:
            raise shortened(error)  # noqa: B904 - it is the same error

    def _made_by_path(self):
        fun, in_axes, out_axes = self._build
        single = fun
        if not isinstance(fun, (Replayed, InParts)):
            single = Replayed(
                lambda *args, **kwargs: watched(fun, args, kwargs),
                fun, "jit", (), tuple(self.static), self.policy, (fun,), self.constants,
            )  # fmt: skip
        return ByPath(single, in_axes, out_axes, self.of_objects)


@decorator
def vmap(
    fun=None,
    in_axes=0,
    out_axes=0,
    *,
    chunk_size=None,
    threads=1,
    randomness="error",
    static_argnums=(),
    static=(),
    compile="auto",
):
    """A function of a batch from a function of one example, with NumPy's speed in place of a loop.

    Args:
        fun: a function of tensors, arrays and numbers, in nested tuples, lists and dicts. It runs on the first example (if
            the batch is empty, on ones, for matrices plus the identity); what it captures is the same for all examples.
        in_axes: where the batch is: an int for all positional arguments, or a tuple with an int, None (one value for all
            examples) or a tree of these for each. Named arguments have it in front. ``in_dims`` is another name.
        out_axes: where results have it, an int or a tree; None for a result that is the same for all. ``out_dims`` too.
        chunk_size: the most examples that are run at once, None for all: what a batch needs beside its arguments and results
            is then bounded.
        threads: how many threads share the examples, in equal parts; see ``replay.inparts``. Results depend on this number
            alone (by rounding), not on which thread is faster.
        randomness: "error", the only one there is.
        static_argnums, static, compile: see ``value_and_grad``.

    Calls with tensors that have a history, and those inside another transform, run as one batch in one thread.

    Transforms compose: ``vmap(grad(f))`` gives per-example gradients, ``vmap(vmap(f))`` has two batch dimensions.

    Examples that Python takes different ways (``if``, ``while``, ``int()``) are calls of their own, by the program of each
    one's path; such batches that came before are looked for at once. Inside another transform that is an error.

    Raises:
        ValueError: if the axes do not match the arguments or one another, for another ``randomness``, and for a ``chunk_size``
            or ``threads`` below one; if results on different paths have different structures, shapes or dtypes.
        RuntimeError: if Python reads a value (``float()``) that differs within the batch, or, inside another transform, decides
            by it, with the line; random numbers inside.
    """
    if randomness != "error":
        raise ValueError(
            f"vmap(): randomness={randomness!r} is none of its own: draw the random numbers outside, one for each example, and "
            "pass them as an argument"
        )

    def transformed(*args, **kwargs):
        arguments = _Arguments(args, kwargs, in_axes)
        structures = []

        def one(*examples):
            leaves = []
            structures.append(flatten(arguments.call(fun, examples), is_batch_leaf, leaves))
            return [as_tensor(x) for x in leaves]

        found = batched(one, arguments.tensors, arguments.size)
        return _assembled(structures[0], found, out_axes, arguments.size)

    whole = Vmapped(transformed, fun, "vmap", (), static_argnums, compile, (fun, in_axes, out_axes), static)
    return whole if chunk_size is None and threads == 1 else InParts(whole, in_axes, out_axes, chunk_size, threads)


def _assembled(structure, found, out_axes, size):
    """The results, their batch dimension where ``out_axes`` wants it."""
    tree = unflatten(structure, iter([t for t, _ in found]))
    results = []
    for (t, has), axis in zip(found, axes_of(tree, out_axes, "the result"), strict=True):
        if axis is None:
            if has:
                raise ValueError("vmap(): out_axes is None for a result that differs from example to example")
            results.append(t)
            continue
        t = t if has else expand(t, (size, *t.shape))
        if not -t.ndim <= axis < t.ndim:
            shape = tuple(t.shape[1:])
            raise ValueError(f"vmap(): a result of shape {shape} has no place for a batch at axis {axis} (out_axes)")
        results.append(contiguous(moved(t, 0, axis % t.ndim)))
    return unflatten(structure, iter(results))
