"""Nested parameters as one vector, and functions of that."""

import numpy as np

import tapejit as tj
from tapejit.replay.transforms import is_number
from tapejit.replay.trees import flatten as ends_of
from tapejit.replay.trees import unflatten as rebuilt


def flatten(value):
    """(a vector of all numbers of nested tuples, lists and dicts, a function that makes the like of a vector).

    The vector is a tensor if a tensor is among them, else an array.
    """
    leaves = []
    structure = ends_of(value, is_number, leaves)
    shapes = [tuple(np.shape(x)) for x in leaves]
    sizes = [int(np.prod(shape)) for shape in shapes]

    def unflatten(vector):
        parts, start = [], 0
        for shape, size in zip(shapes, sizes, strict=True):
            parts.append(vector[start : start + size].reshape(shape))
            start += size
        return rebuilt(structure, iter(parts))

    if any(isinstance(x, tj.Tensor) for x in leaves):
        return tj.cat([tj.as_tensor(x).reshape(-1) for x in leaves]), unflatten
    return np.concatenate([np.ravel(x) for x in leaves] or [np.zeros(0)]), unflatten


def flatten_func(func, example):
    """(``func`` of a vector in place of its first argument, with a vector as result; how that argument is made; the vector
    of the example)."""
    vector, unflatten = flatten(example)

    def flat(first, *args, **kwargs):
        return flatten(func(unflatten(first), *args, **kwargs))[0]

    return flat, unflatten, vector
