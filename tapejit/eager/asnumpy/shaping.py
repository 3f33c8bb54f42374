"""NumPy's functions that shape, join, split and pad, on tensors."""

import math

import numpy as np

from tapejit.eager import arranging
from tapejit.eager.creation import zeros
from tapejit.eager.dispatch import from_array
from tapejit.eager.indexing import cat, index_select
from tapejit.eager.indexing import stack as _stack
from tapejit.eager.ufuncs import promoted, tensor_of
from tapejit.eager.views import dimension, flip, permute, reverse_dims, unsqueeze
from tapejit.eager.views import reshape as _reshape
from tapejit.eager.views import squeeze as _squeeze


def transpose(a, axes=None):
    return reverse_dims(a) if axes is None else permute(a, tuple(axes))


def expand_dims(a, axis):
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for d in sorted(k % (a.ndim + len(axes)) for k in axes):
        a = unsqueeze(a, d)
    return a


def reshape(a, shape, order="C", copy=None):
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (int(shape),)
    if order == "F":
        return reverse_dims(_reshape(reverse_dims(a), shape[::-1]))
    if order not in ("C", "A"):
        raise TypeError(f"np.reshape() of tensors knows the orders 'C', 'F' and 'A', got {order!r}")
    return _reshape(a, shape)


def ravel(a, order="C"):
    return _reshape(transpose(a) if order == "F" else a, -1)


def flip_axes(a, axis=None):
    return flip(a, *(range(a.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis))


def roll(a, shift, axis=None):
    if isinstance(axis, (tuple, list)) and isinstance(shift, int):
        shift = (shift,) * len(axis)
    return a.roll(shift, axis)


def rollaxis(a, axis, start=0):
    axis = dimension(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    return arranging.movedim(a, axis, start - 1 if axis < start else start)


def concatenate(arrays, axis=0, dtype=None):
    parts = [tensor_of(x) for x in arrays]
    parts = [x if dtype is None else x.to(dtype) for x in parts]
    return cat([x.reshape(-1) for x in parts], 0) if axis is None else cat(parts, axis)


def stack(arrays, axis=0, dtype=None):
    return _stack(promoted(*arrays) if dtype is None else [tensor_of(x).to(dtype) for x in arrays], axis)


def _joined(function):
    def joined(tup, dtype=None):
        result = function([tensor_of(x) for x in tup])
        return result if dtype is None else result.to(dtype)

    return joined


hstack, vstack, dstack, column_stack = map(
    _joined, (arranging.hstack, arranging.vstack, arranging.dstack, arranging.column_stack)
)


def block(arrays):
    def depth(x):
        return 1 + max(map(depth, x)) if isinstance(x, list) else 0

    def join(x, level, ndim):
        if not isinstance(x, list):
            x = tensor_of(x)
            return x.reshape((*(1,) * (ndim - x.ndim), *x.shape))
        return cat([join(part, level - 1, ndim) for part in x], -level)

    def widest(x):
        return max(map(widest, x)) if isinstance(x, list) else tensor_of(x).ndim

    levels = depth(arrays)
    return join(arrays, levels, max(levels, widest(arrays)))


def append(arr, values, axis=None):
    return concatenate((arr, values), axis)


def delete(arr, obj, axis=None):
    arr, axis = (arr.reshape(-1), 0) if axis is None else (arr, axis)
    return index_select(arr, axis, from_array(np.delete(np.arange(arr.shape[axis]), obj)))


def insert(arr, obj, values, axis=None):
    arr, axis = (arr.reshape(-1), 0) if axis is None else (arr, dimension(axis, arr.ndim))
    n = arr.shape[axis]
    order = np.insert(np.arange(n), obj, -1)
    places = np.where(order < 0, n + np.cumsum(order < 0) - 1, order)
    new, values = int((order < 0).sum()), tensor_of(values).to(arr.dtype)
    shape = tuple(new if d == axis else s for d, s in enumerate(arr.shape))
    return index_select(cat((arr, values.expand(shape)), axis), axis, from_array(places))


def split(ary, indices_or_sections, axis=0):
    size = ary.shape[axis]
    if isinstance(indices_or_sections, int) and size % indices_or_sections:
        raise ValueError(f"np.split() cannot make {indices_or_sections} equal parts of {size}; use np.array_split()")
    return array_split(ary, indices_or_sections, axis)


def array_split(ary, indices_or_sections, axis=0):
    parts = indices_or_sections
    return list(arranging.tensor_split(ary, parts if isinstance(parts, int) else [int(k) for k in parts], axis))


def hsplit(ary, indices_or_sections):
    return split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


def vsplit(ary, indices_or_sections):
    return split(ary, indices_or_sections, 0)


def dsplit(ary, indices_or_sections):
    return split(ary, indices_or_sections, 2)


def tile(A, reps):
    reps = (reps,) if isinstance(reps, int) else tuple(reps)
    return arranging.repeat(A, (1,) * (A.ndim - len(reps)) + reps)


def repeat(a, repeats, axis=None):
    counts = int(repeats) if np.ndim(repeats) == 0 else tensor_of(repeats)
    return arranging.repeat_interleave(a, counts, axis)


def broadcast_arrays(*args):
    return arranging.broadcast_tensors(*map(tensor_of, args))


def meshgrid(*xi, indexing="xy", sparse=False, copy=True):
    if sparse:
        raise TypeError("np.meshgrid(sparse=True) of tensors: use reshape(), shapes broadcast")
    return list(arranging.meshgrid(*[tensor_of(x).reshape(-1) for x in xi], indexing=indexing))


def pad(array, pad_width, mode="constant", constant_values=0):
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    if mode == "constant":
        if not np.isscalar(constant_values):
            raise TypeError("np.pad() of tensors takes one number as constant_values")
        return arranging.constant_pad_nd(array, [n for pair in reversed(widths) for n in pair], constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise TypeError(f"np.pad() of tensors knows constant, edge, reflect, symmetric and wrap, got mode={mode!r}")
    for d, pair in enumerate(widths):
        array = index_select(array, d, from_array(np.pad(np.arange(array.shape[d]), pair, mode)))
    return array


def squeeze(a, axis=None):
    axes = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if any(a.shape[d] != 1 for d in axes):
        raise ValueError(f"an axis to squeeze out has not the size one: axis {axis} of shape {tuple(a.shape)}")
    return _squeeze(a) if axis is None else _squeeze(a, axes)


def resize(a, new_shape):
    shape = (new_shape,) if isinstance(new_shape, int) else tuple(new_shape)
    count, have = math.prod(shape), a.numel()
    if not have and count:
        return zeros(shape, dtype=a.dtype)
    flat = _reshape(a, -1)
    return _reshape(flat if count == have else index_select(flat, 0, from_array(np.arange(count) % max(have, 1))), shape)


def unstack(x, axis=0):
    return x.unbind(axis)


atleast_1d, atleast_2d, atleast_3d = arranging.atleast_1d, arranging.atleast_2d, arranging.atleast_3d
