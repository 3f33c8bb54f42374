"""A batch in parts: one after another, so that less memory is needed, or shared by threads.

All parts have the same number of examples, so that one program serves for all; where the batch cannot be divided evenly, the
last part begins early, and the examples that it shares with the one before are taken from that one. A program gives up the
GIL and has a workspace for each thread that runs it (see ``compile.codegen``), so parts run side by side; each writes where
its results belong in the arrays of the whole batch.
"""

import functools

import numpy as np

from tapejit.core import tape as tapes
from tapejit.core.threads import MOST_THREADS, team
from tapejit.eager.tensor import Tensor
from tapejit.replay.batchaxes import Placed, axes_of, is_batch_leaf
from tapejit.replay.trees import flatten, is_result, unflatten
from tapejit.replay.values import tensor_of


def _count(number, name):
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"vmap(): {name} is a whole number from 1 on, got {number!r}")
    return number


class InParts:
    """What ``vmap`` makes for ``chunk_size`` and ``threads``.

    Attributes:
        whole: the function of the whole batch at once, which also runs the parts.
    """

    def __init__(self, whole, in_axes, out_axes, chunk_size, threads):
        functools.update_wrapper(self, whole, updated=())
        self.whole, self.in_axes, self.out_axes = whole, in_axes, out_axes
        self.chunk_size = None if chunk_size is None else _count(chunk_size, "chunk_size")
        self.threads = min(_count(threads, "threads"), MOST_THREADS)
        self._results = {}  # kind of the arguments -> the results of one part

    def __repr__(self):
        return repr(self.whole)

    def __reduce__(self):
        return InParts, (self.whole, self.in_axes, self.out_axes, self.chunk_size, self.threads)

    def __get__(self, instance, owner=None):
        bound = self.whole.__get__(instance, owner)
        return self if bound is self.whole else InParts(bound, self.in_axes, self.out_axes, self.chunk_size, self.threads)

    def __getattr__(self, name):
        if name.startswith("_") or name == "whole":
            raise AttributeError(name)
        return getattr(self.whole, name)

    def __call__(self, *args, **kwargs):
        if tapes.current().recorder is not None:
            return self.whole(*args, **kwargs)
        placed = Placed(args, kwargs, self.in_axes)
        tensors = [x for x in placed.leaves if isinstance(x, Tensor)]
        step = -(-placed.size // self.threads)
        step = step if self.chunk_size is None else min(step, self.chunk_size)
        if step == placed.size or any(x.requires_grad for x in tensors):
            return self.whole(*args, **kwargs)
        placed.leaves = [x.numpy() if isinstance(x, Tensor) else x for x in placed.leaves]
        batch = _Batch(self, placed, step)
        try:
            found = batch.run()
        except (TypeError, ValueError):
            if self._results.pop(batch.kind, None) is None:
                raise
            found = _Batch(self, placed, step).run()  # its results may be others by now; if not, it fails again
        if found is None:
            return self.whole(*args, **kwargs)
        structure, results = found
        return unflatten(structure, iter([tensor_of(x) for x in results] if tensors else results))


class _Batch:
    """One call: its parts, and the arrays for the results."""

    def __init__(self, function, placed, step):
        self.function, self.placed, self.step = function, placed, step
        self.size = placed.size
        self.starts = list(range(0, self.size, step))
        leaves = tuple([(x.shape, x.dtype) if is_result(x) else type(x) for x in placed.leaves])
        self.kind = placed.structure, leaves, step
        self.known = function._results.get(self.kind)

    def run(self):
        """The structure of the results and the arrays; None if they have a history, which arrays have not."""
        first = 0
        if self.known is None:
            first = 1
            result = self._part(0)
            self.known = _Results(result, self.function.out_axes)
            if self.known.history:
                return None
            self._make(result)
            self._place(0, result)
        else:
            self._make(None)
        rest = range(first, len(self.starts))
        if self.function.threads > 1 and self.function.whole.compiled:
            team.call(lambda j: self._written(rest[j]), len(rest), self.function.threads)
        else:
            for k in rest:
                self._place(k, self._part(k))
        self.function._results[self.kind] = self.known
        return self.known.structure, self.arrays

    def _make(self, result):
        self.arrays = self.known.arrays(self.size)
        if None in self.known.axes:  # a result without a batch is the same in each part
            result = self._part(0) if result is None else result
            leaves = []
            flatten(result, is_batch_leaf, leaves)
            self.arrays = [x if axis is None else a for x, axis, a in zip(leaves, self.known.axes, self.arrays, strict=True)]

    def _begin(self, k):
        return min(self.starts[k], self.size - self.step)

    def _arguments(self, k):
        begin = self._begin(k)
        pieces = []
        for j, axis in self.placed.axes.items():
            where = [slice(None)] * axis + [slice(begin, begin + self.step)]
            pieces.append(self.placed.leaves[j][tuple(where)])
        return self.placed.rebuilt(pieces)

    def _part(self, k):
        args, kwargs = self._arguments(k)
        return self.function.whole(*args, **kwargs)

    def _place(self, k, result):
        """Copy a part's results to their places."""
        leaves = []
        structure = flatten(result, is_batch_leaf, leaves)
        if structure != self.known.structure or kinds(leaves) != self.known.kinds:
            raise ValueError("vmap(): the function gives results of another structure or shape for other examples of the batch")
        begin, skip = self.starts[k], self.starts[k] - self._begin(k)
        for array, x, axis in zip(self.arrays, leaves, self.known.axes, strict=True):
            if axis is not None:
                x = x.numpy() if isinstance(x, Tensor) else x
                before = (slice(None),) * axis
                array[(*before, slice(begin, begin + self.step))] = x[(*before, slice(skip, None))]

    def _written(self, k):
        """Run a part, its results written in place if they are one stretch of memory each."""
        begin = self.starts[k]
        args, kwargs = self._arguments(k)
        if kwargs or begin != self._begin(k) or any(axis != 0 for axis in self.known.axes):
            self._place(k, self.function.whole(*args, **kwargs))
            return
        targets = tuple([array[begin : begin + self.step] for array in self.arrays])
        self.function.whole.into(*args, targets)


def kinds(leaves) -> list:
    """Shape and dtype of each."""
    return [(tuple(np.shape(x)), x.dtype.numpy if isinstance(x, Tensor) else np.asarray(x).dtype) for x in leaves]


class _Results:
    """What a part gives: structure, shapes and dtypes, and where the batch is."""

    def __init__(self, result, out_axes):
        leaves = []
        self.structure = flatten(result, is_batch_leaf, leaves)
        self.history = any(isinstance(x, Tensor) and x.requires_grad for x in leaves)
        self.kinds = kinds(leaves)
        axes = axes_of(result, out_axes, "the result")
        self.axes = [a if a is None else a % len(shape) for a, (shape, _) in zip(axes, self.kinds, strict=True)]

    def arrays(self, size):
        """New arrays for the whole batch, None for what has none."""
        found = []
        for (shape, dtype), axis in zip(self.kinds, self.axes, strict=True):
            found.append(None if axis is None else np.empty((*shape[:axis], size, *shape[axis + 1 :]), dtype))
        return found
