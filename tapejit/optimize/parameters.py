"""Parameters as the caller holds them, and as the one vector that SciPy works with."""

import math

import numpy as np

from tapejit.core.dtypes import as_array
from tapejit.eager.tensor import Tensor
from tapejit.replay.trees import LEAF, flatten, unflatten


def _is_number(x):
    return isinstance(x, (Tensor, np.ndarray, float, int, np.number)) and not isinstance(x, (bool, np.bool_))


def plain_array(x, dtype=None) -> np.ndarray:
    """An array for SciPy and Numba: of a tensor its values.

    Raises:
        TypeError: for a masked array, whose mask would be lost.
    """
    return as_array(x.detach().numpy() if isinstance(x, Tensor) else x, dtype)


class Parameters:
    """The numbers of a tree in order.

    Args:
        tree: a number, an array or a tensor, or nested tuples, lists and dicts of them. A sequence of plain numbers counts as
            an array of one dimension, as in SciPy.
        what: the caller, for messages.

    Raises:
        TypeError: if something else stands in the tree.
        ValueError: if there is no number, or one that is not finite.
    """

    def __init__(self, tree, what: str):
        if isinstance(tree, (list, tuple)) and tree and all(isinstance(x, (float, int, np.number)) for x in tree):
            tree = np.asarray(tree, dtype=np.float64)
        leaves = []
        self.structure = flatten(tree, _is_number, leaves)
        if LEAF not in _kinds(self.structure):
            raise TypeError(f"{what}: the start is {type(tree).__name__} without numbers; pass an array, or a tree of arrays")
        arrays = [plain_array(x, np.float64) for x in leaves]
        self.shapes = tuple(a.shape for a in arrays)
        if self.structure == LEAF and arrays[0].ndim == 0:
            self.shapes = ((1,),)  # as SciPy, which gives a function of one number a vector
        self.vector = np.concatenate([a.ravel() for a in arrays]) if arrays else np.zeros(0)
        if not self.vector.size:
            raise ValueError(f"{what}: the start has no numbers")
        if not np.isfinite(self.vector).all():
            raise ValueError(f"{what}: the start holds nan or inf: {tree!r}")

    @property
    def key(self):
        """What a function that takes these parameters apart depends on."""
        return self.structure, self.shapes

    @property
    def is_vector(self) -> bool:
        return self.structure == LEAF and len(self.shapes[0]) == 1

    def tree(self, vector):
        """The tree with the numbers of a vector (an array or a tensor)."""
        return as_tree(self.key, vector)

    def bounds(self, bounds):
        """SciPy's bounds from a tree like the parameters that has a pair (low, high), or None, for each array."""
        if bounds is None or self.is_vector or not isinstance(bounds, (dict, tuple, list)):
            return bounds
        pairs = [(-np.inf, np.inf) if b is None else tuple(b) for b in _leaves(self.structure, bounds, [])]
        if len(pairs) != len(self.shapes):
            raise ValueError(f"bounds: {len(pairs)} pairs for {len(self.shapes)} arrays of parameters")
        found = []
        for (low, high), shape in zip(pairs, self.shapes, strict=True):
            ends = (np.broadcast_to(np.asarray(end, dtype=np.float64), shape).ravel() for end in (low, high))
            found += list(zip(*(e.tolist() for e in ends), strict=True))
        return found

    def ends(self, bounds):
        """(low, high) as vectors, from a pair of which each is a number or a tree like the parameters."""
        return tuple(self._spread(end) for end in bounds)

    def _spread(self, end):
        if _is_number(end):
            return np.full(self.vector.size, float(end))
        try:
            ends = [np.asarray(x, dtype=object) for x in _leaves(self.structure, end, [])]
            spread = [np.broadcast_to(x, shape).ravel() for x, shape in zip(ends, self.shapes, strict=True)]
            return np.concatenate([[float(number) for number in x] for x in spread])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(f"bounds: {end!r} is neither a number nor a tree like the parameters") from None


def as_tree(key, vector):
    """The tree of ``Parameters.key`` with the numbers of a vector."""
    structure, shapes = key
    if structure == LEAF:
        return vector if len(shapes[0]) == 1 else vector.reshape(shapes[0])
    parts, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(vector[start:stop].reshape(shape) if shape else vector[start])
        start = stop
    return unflatten(structure, iter(parts))


def _kinds(structure):
    """The ends of a structure."""
    if structure == LEAF:
        return [LEAF]
    if structure[0] == "static":
        return []
    return [end for part in structure[-1] for end in _kinds(part)]


def _leaves(structure, tree, found):
    """What stands in a tree where the parameters have their arrays, in the order of the parameters."""
    if structure == LEAF:
        found.append(tree)
        return found
    if structure[0] == "static":
        return found
    if len(structure) == 3 and tree.keys() - set(structure[1]):
        raise ValueError(f"bounds: there are no parameters {sorted(tree.keys() - set(structure[1]))}")
    children = [tree.get(k) for k in structure[1]] if len(structure) == 3 else tree
    for part, inner in zip(structure[-1], children, strict=True):
        _leaves(part, inner, found)
    return found
