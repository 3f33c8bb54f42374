"""A batch whose examples take different paths: each example is a call of its own, and every path a program of its own.

Nothing is masked, and no example computes what another one needs: the program of a path runs for one example after another, in
native code, and what its guards refuse goes to the program of another path, or is recorded.
"""

import numpy as np

from tapejit.eager.foreign import packed
from tapejit.eager.indexing import stack
from tapejit.eager.tensor import Tensor
from tapejit.replay.batchaxes import Placed, as_tensor, axes_of, is_batch_leaf, moved
from tapejit.replay.examples import Walk
from tapejit.replay.function import Replayed
from tapejit.replay.inparts import kinds
from tapejit.replay.trees import flatten, unflatten
from tapejit.replay.values import kind, tensor_of


class ByPath:
    """What ``vmap`` does where a decision differs within the batch.

    Args:
        single: the function of one example, recorded and replayed.
        of_objects: whether its first argument is the object that a method belongs to.
    """

    def __init__(self, single, in_axes, out_axes, of_objects):
        self.single, self.in_axes, self.out_axes, self.of_objects = single, in_axes, out_axes, of_objects
        self._mixed = set()  # kinds of arguments with which decisions have differed
        self.walk = None  # of the last call's programs

    def _placed(self, args, kwargs):
        return Placed(args[1:] if self.of_objects else args, kwargs, self.in_axes)

    def expected(self, args, kwargs):
        """The arguments of a call, placed, if those of a batch of this kind have differed before; else None."""
        placed = self._placed(args, kwargs)
        return placed if _kind(placed) in self._mixed else None

    def __call__(self, args, kwargs, placed=None):
        """The results of all examples; ``placed`` is what ``expected`` has found."""
        if placed is None:
            placed = self._placed(args, kwargs)
            self._mixed.add(_kind(placed))
        first = args[:1] if self.of_objects else ()
        tensors = [x for x in placed.leaves if isinstance(x, Tensor)]
        if any(x.requires_grad for x in tensors):
            return self._with_history(placed, first)
        placed.leaves = [x.numpy() if isinstance(x, Tensor) else x for x in placed.leaves]
        results = _Examples(self, placed, first).run()
        tree = unflatten(results.structure, iter(results.arrays))
        axes = axes_of(tree, self.out_axes, "the result")
        found = [_moved_array(x, axis) for x, axis in zip(results.arrays, axes, strict=True)]
        return unflatten(results.structure, iter([tensor_of(x) for x in found] if tensors else found))

    def _with_history(self, placed, first):
        """The same of tensors that are differentiated: results are stacked, and have the history of all examples."""
        batches = [as_tensor(placed.leaves[j]) for j in placed.axes]
        rows, structures = [], []
        for e in range(placed.size):
            args, kwargs = placed.rebuilt([moved(t, axis, 0)[e] for t, axis in zip(batches, placed.axes.values(), strict=True)])
            leaves = []
            structures.append(flatten(self.single(*first, *args, **kwargs), is_batch_leaf, leaves))
            rows.append([as_tensor(x) for x in leaves])
            if structures[-1] != structures[0] or [t.shape for t in rows[-1]] != [t.shape for t in rows[0]]:
                raise _differ(e)
        found = [stack(list(column)) for column in zip(*rows, strict=True)]
        axes = axes_of(unflatten(structures[0], iter(found)), self.out_axes, "the result")
        found = [moved(t, 0, _checked(axis, t) % t.ndim) for t, axis in zip(found, axes, strict=True)]
        return unflatten(structures[0], iter(found))


def _kind(placed):
    """What tells kinds of arguments apart: all but the size of the batch."""
    looks = []
    for j, x in enumerate(placed.leaves):
        shape = tuple(np.shape(x))
        axis = placed.axes.get(j)
        shape = shape if axis is None else (*shape[:axis], *shape[axis + 1 :])
        looks.append((shape, getattr(x, "dtype", type(x)), axis))
    return placed.structure, tuple(looks)


def _differ(e):
    return ValueError(f"vmap(): example {e} takes another path, and gives a result of another structure, shape or dtype there")


def _checked(axis, x):
    if axis is None:
        raise ValueError("vmap(): out_axes is None for a result that differs from example to example")
    if not -x.ndim <= axis < x.ndim:
        shape = tuple(x.shape[1:])
        raise ValueError(f"vmap(): a result of shape {shape} has no place for a batch at axis {axis} (out_axes)")
    return axis


def _moved_array(x, axis):
    axis = _checked(axis, x)
    return x if axis % x.ndim == 0 else np.ascontiguousarray(np.moveaxis(x, 0, axis))


class _Results:
    """The results of all examples, one array for each leaf, the batch in front."""

    def __init__(self, size):
        self.size, self.structure, self.arrays = size, None, None

    def enter(self, e, tree):
        """Keep the result of example e.

        Raises:
            ValueError: if it does not look as the others do.
        """
        leaves = []
        structure = flatten(tree, is_batch_leaf, leaves)
        looks = kinds(leaves)
        if self.structure is None:
            self.structure = structure
            self.arrays = [np.empty((self.size, *shape), dtype) for shape, dtype in looks]
        if not self.fits(structure, leaves, looks):
            raise _differ(e)
        for array, x in zip(self.arrays, leaves, strict=True):
            array[e] = x.numpy() if isinstance(x, Tensor) else x

    @property
    def looks(self):
        """What tells the results from others, whose programs would be others."""
        return self.structure, [(a.shape[1:], a.dtype) for a in self.arrays]

    def fits(self, structure, leaves, looks):
        """Whether results look so; a number of Python's fits where there is a float."""
        return structure == self.structure and all(
            a.shape[1:] == shape and (a.dtype == dtype or (x.__class__ is float and a.dtype.kind == "f"))
            for a, x, (shape, dtype) in zip(self.arrays, leaves, looks, strict=True)
        )


class _Examples:
    """One call: the examples one by one, by compiled programs where there are some."""

    def __init__(self, by_path, placed, first):
        self.by_path, self.single, self.placed, self.first = by_path, by_path.single, placed, first
        pairs = zip((placed.leaves[j] for j in placed.axes), placed.axes.values(), strict=True)
        self.batches = [packed(np.ascontiguousarray(np.moveaxis(x, axis, 0))) for x, axis in pairs]
        self.results = _Results(placed.size)

    def run(self):
        """The results of all."""
        left, known = np.arange(self.placed.size), ()
        while len(left):
            e = int(left[0])
            self.pieces = [x[e, ...] for x in self.batches]
            args, kwargs = self.placed.rebuilt(self.pieces)
            self.results.enter(e, self.single(*self.first, *args, **kwargs))
            left = left[1:]
            paths, programs, leaves = self._paths(args, kwargs)
            compiled = [p for p in programs if p.machine is not None]
            if len(left) and not all(p in known for p in compiled):
                known = compiled
                left = self._by_programs(paths, compiled, leaves, left)
        return self.results

    def _paths(self, args, kwargs):
        """What answers calls like this one: its paths and their programs, and what these read; None and nothing if unknown."""
        signature = self.single._last if isinstance(self.single, Replayed) and not self.first else None
        nothing = None, (), ()
        if signature is None or signature.paths.eager is not None or signature.history:
            return nothing
        leaves = []
        key = self.single._flatten(args, kwargs, leaves)
        key, programs = (key, tuple(map(kind, leaves))), signature.paths.everything()
        if key != signature.key:
            length = self.single._lengths.length_of(signature, key)
            if length is None:
                return nothing  # integers that counted as floats
            programs = [p for p in programs if p.spans_of(length) and not p.frozen.long]
            leaves.append(float(length))
        if signature.captures is not None and not signature.captures.hold():
            return nothing
        return signature.paths, programs, leaves

    def _by_programs(self, paths, compiled, leaves, which):
        """Have some examples answered by compiled programs, each by what its guards lead to; those that are left."""
        walk = self.by_path.walk
        if walk is None or walk.paths is not paths or walk.looks != self.results.looks or walk.compiled != compiled:
            walk = self.by_path.walk = self._walk(paths, compiled, len(leaves))
        if walk.start < 0:
            return which
        at = {id(x): k for k, x in enumerate(self.pieces)}
        arrays, steps = [], []
        for x in leaves:
            k = at.get(id(x))
            x = self.batches[k] if k is not None else np.array(x) if isinstance(x, float) else packed(x)
            arrays.append(x)
            steps.append(0 if k is None else x.strides[0])
        outputs = self.results.arrays
        return walk.run([*arrays, *outputs], [*steps, *(x.strides[0] for x in outputs)], which)

    def _walk(self, paths, compiled, inputs):
        orders = {id(p): order for p in compiled if (order := self._order(p)) is not None}
        programs = [p for p in compiled if id(p) in orders]
        walk = Walk(paths, programs, [orders[id(p)] for p in programs], inputs)
        walk.looks, walk.compiled = self.results.looks, compiled
        return walk

    def _order(self, program):
        """For each result that a program writes its place among those of the batch; None if its results look otherwise."""
        scalars, marks = set(program.scalars), []
        specs = dict(zip(program.arrays, program.specs, strict=True))
        for j in range(len(program.order)):
            marks.append(np.float64(0.0) if j in scalars else np.empty(*specs[j]))
        leaves = []
        structure = flatten(unflatten(program.structure, iter(marks)), is_batch_leaf, leaves)
        results = self.results
        if not results.fits(structure, leaves, kinds(leaves)) or [id(x) for x in leaves] != [id(x) for x in marks]:
            return None
        if any(a.dtype != np.asarray(x).dtype for a, x in zip(results.arrays, leaves, strict=True)):
            return None
        return program.order
