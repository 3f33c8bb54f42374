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
from tapejit.eager.dispatch import from_array, share
from tapejit.eager.escapes import watched
from tapejit.eager.functional import COMPARISONS, FUNCTIONS
from tapejit.eager.reductions import all as all_of
from tapejit.eager.reductions import any as any_of
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import contiguous, expand, permute
from tapejit.graph.batch import Batch, plain
from tapejit.replay.function import Replayed
from tapejit.replay.recorder import Recorder
from tapejit.replay.transforms import decorator
from tapejit.replay.trees import flatten, is_result, unflatten


class Example(Recorder):
    """A recording of one example. Tensors from outside are read where they are, with their history.

    Attributes:
        captured: record -> the tensor from outside.
    """

    def __init__(self):
        super().__init__()
        self.captured = {}
        outer = tapes.current().recorder
        self.reads = None if outer is None else outer.reads

    def bring(self, tensor):
        known = self.brought.get(id(tensor))
        if known is None or known[1]._r < 0:
            known = self.brought[id(tensor)] = (tensor, self._standing_in(tensor._memory(), tensor))
            self.captured[known[1]._r & MASK] = tensor
        return known[1]

    def example(self, tensor, number):
        """The first example of a tensor with the batch in front."""
        first = np.array(tensor._memory()[0, ...])
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

    def close(self):
        """Give the tape back; nobody holds tensors of it any more."""
        self.brought.clear()
        self.notes.clear()
        self.worked_out.clear()
        self.tape.end()


def batched(function, tensors, size) -> list:
    """What ``function``, which takes one example of each tensor and gives a list of tensors, gives for a batch of ``size``.

    Args:
        tensors: with the batch dimension in front.

    Returns:
        pairs (tensor, whether it has a batch dimension in front): what depends on no example has none.

    Raises:
        RuntimeError: for a decision that differs within the batch, or what cannot be recorded.
    """
    recorder = Example()
    try:
        with recorder:
            found = function(*[recorder.example(t, j) for j, t in enumerate(tensors)])
            records = [recorder.index(t) for t in found]
            found = None
        batch = Batch(recorder, tensors, size)
        guards = recorder.guards
        values = batch.run([*records, *(guard.record for guard in guards)])
        for guard, value in zip(guards, values[len(records) :], strict=True):
            _check(guard, value)
        return [(plain(value), value.batched) for value in values[: len(records)]]
    except Refused as why:
        if tapes.current().recorder is not None:
            raise
        raise RuntimeError(f"vmap(): {why}") from None
    finally:
        found = None
        recorder.close()


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
    raise RuntimeError(
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


# Axes


def _axes(tree, axes, what) -> list:
    """The axis of each leaf of an argument: ``axes`` is an int or None for all of it, or a tree like the beginning of it."""
    found = []
    _collect(tree, axes, what, found)
    return found


def _collect(tree, axes, what, found):
    if axes is None or (isinstance(axes, int) and not isinstance(axes, bool)):
        leaves = []
        flatten(tree, _is_leaf, leaves)
        found += [axes] * len(leaves)
        return
    if isinstance(axes, dict) and isinstance(tree, dict) and set(axes) == set(tree):
        for key in tree:
            _collect(tree[key], axes[key], f"{what}[{key!r}]", found)
        return
    if isinstance(axes, (tuple, list)) and isinstance(tree, (tuple, list)) and len(axes) == len(tree):
        for j, (x, axis) in enumerate(zip(tree, axes, strict=True)):
            _collect(x, axis, f"{what}[{j}]", found)
        return
    raise ValueError(
        f"vmap(): the axes {axes!r} do not match {what}, a {type(tree).__name__}: give an int, None, or a tuple, list or dict "
        "with one entry for each of its entries"
    )


def _is_leaf(x):
    return is_result(x) or (isinstance(x, (float, np.number)) and not isinstance(x, bool))


def _to_front(x, axis, what):
    """A tensor with its batch dimension in front."""
    t = x if isinstance(x, Tensor) else from_array(x)
    if not t.ndim:
        raise ValueError(
            f"vmap(): {what} is a number, which has no axis {axis}: pass in_axes=None for it, or an array with one value per "
            "example"
        )
    if not -t.ndim <= axis < t.ndim:
        raise ValueError(f"vmap(): {what} of shape {tuple(t.shape)} has no axis {axis} (in_axes)")
    return _moved(t, axis % t.ndim, 0)


def _moved(t, source, target):
    if source == target:
        return t
    order = [d for d in range(t.ndim) if d != source]
    order.insert(target, source)
    return permute(t, *order)


class _Arguments:
    """Arguments taken apart: the tensors with a batch, and how a call on one example is made."""

    def __init__(self, args, kwargs, in_axes):
        self.leaves, axes = [], []
        if isinstance(in_axes, (tuple, list)) and len(in_axes) != len(args):
            raise ValueError(f"vmap(): in_axes has {len(in_axes)} entries for {len(args)} positional arguments: {in_axes!r}")
        each = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        names = []
        for j, (x, axis) in enumerate(zip(args, each, strict=True)):
            names.append((x, _axes(x, axis, f"argument {j}"), f"argument {j}"))
        names += [(x, _axes(x, 0, f"argument {name!r}"), f"argument {name!r}") for name, x in kwargs.items()]
        self.structure = flatten((tuple(args), dict(kwargs)), _is_leaf, self.leaves)
        axes = [(axis, what) for _, found, what in names for axis in found]
        self.places = [j for j, (axis, _) in enumerate(axes) if axis is not None]
        self.tensors = [_to_front(self.leaves[j], *axes[j]) for j in self.places]
        sizes = {}
        for j, t in zip(self.places, self.tensors, strict=True):
            sizes.setdefault(t.shape[0], f"{axes[j][1]} (axis {axes[j][0]})")
        if len(sizes) != 1:
            listed = ", ".join(f"{n} in {what}" for n, what in sizes.items())
            raise ValueError(f"vmap(): the axes of the batch have different sizes: {listed}" if sizes else
                             "vmap(): no argument has a batch axis: in_axes is None for all of them")  # fmt: skip
        (self.size,) = sizes
        if not self.size:
            raise ValueError("vmap(): the batch is empty, so there is no example to run the function on")

    def call(self, fun, examples):
        """The function, of one example."""
        leaves = list(self.leaves)
        for j, x in zip(self.places, examples, strict=True):
            leaves[j] = x
        args, kwargs = unflatten(self.structure, iter(leaves))
        return watched(fun, args, kwargs)


@decorator
def vmap(fun=None, in_axes=0, out_axes=0, *, static_argnums=(), static=(), compile="auto"):
    """A function of a batch from a function of one example, with NumPy's speed in place of a loop.

    Args:
        fun: a function of tensors, arrays and numbers, in nested tuples, lists and dicts. It runs on the first example; what
            it captures is the same for all examples.
        in_axes: where the batch is: an int for all positional arguments, or a tuple with an int, None (one value for all
            examples) or a tree of these for each. Named arguments have it in front.
        out_axes: where results have it, an int or a tree; None for a result that is the same for all examples.
        static_argnums, static, compile: see ``value_and_grad``.

    Transforms compose: ``vmap(grad(f))`` gives per-example gradients, ``vmap(vmap(f))`` has two batch dimensions.

    Raises:
        ValueError: if the axes do not match the arguments or one another.
        RuntimeError: if Python decides by a value (``if``, ``float()``) that differs within the batch, with the line; random
            numbers inside.
    """

    def transformed(*args, **kwargs):
        arguments = _Arguments(args, kwargs, in_axes)
        structures = []

        def one(*examples):
            leaves = []
            structures.append(flatten(arguments.call(fun, examples), _is_leaf, leaves))
            return [x if isinstance(x, Tensor) else from_array(x) for x in leaves]

        found = batched(one, arguments.tensors, arguments.size)
        return _assembled(structures[0], found, out_axes, arguments.size)

    return Replayed(transformed, fun, "vmap", (), static_argnums, compile, (fun, in_axes, out_axes), static)


def _assembled(structure, found, out_axes, size):
    """The results, their batch dimension where ``out_axes`` wants it."""
    tree = unflatten(structure, iter([t for t, _ in found]))
    results = []
    for (t, has), axis in zip(found, _axes(tree, out_axes, "the result"), strict=True):
        if axis is None:
            if has:
                raise ValueError("vmap(): out_axes is None for a result that differs from example to example")
            results.append(t)
            continue
        t = t if has else expand(t, (size, *t.shape))
        if not -t.ndim <= axis < t.ndim:
            shape = tuple(t.shape[1:])
            raise ValueError(f"vmap(): a result of shape {shape} has no place for a batch at axis {axis} (out_axes)")
        results.append(contiguous(_moved(t, 0, axis % t.ndim)))
    return unflatten(structure, iter(results))
