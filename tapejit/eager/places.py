"""Elements at places: read from flat indices, written to them or to a strided region; each a record of its own."""

import numpy as np

from tapejit.core import dtypes
from tapejit.core import tape as tapes
from tapejit.core.layout import layout_of
from tapejit.eager.dispatch import emit, from_array
from tapejit.eager.onedimension import along_dim
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import contiguous, reshape
from tapejit.spec import structured as ops
from tapejit.spec.elementwise import where

EXACT = 1 << 53  # below, every whole number is one of float64's


def take_flat(x: Tensor, indices: Tensor, shape) -> Tensor:
    """Elements of the flattened ``x``, in the shape of ``indices`` (or ``shape``)."""
    if not x.dtype.is_floating_point:
        return _take_whole(x, indices)
    layout = layout_of(indices.shape if shape is None else shape, x.dtype)
    return emit(ops.take, layout, contiguous(x), contiguous(indices))


def _take_whole(x, indices):
    found = in_floats(lambda x: take_flat(x, indices, None), x.dtype, x)
    return from_array(x._array().reshape(-1)[indices._array()]) if found is None else found


def in_floats(function, dtype, *tensors):
    """``function`` of integers or bools in a recording: its kernels know floats, which hold whole numbers up to 2**53.

    Args:
        function: of tensors of float64, whose result are whole numbers.
        dtype: of the result.

    Returns:
        None where nothing is recorded, and where numbers are too large. Later calls are checked for that, too.
    """
    if tapes.current().recorder is None or not all(map(_are_exact, tensors)):
        return None
    found = function(*(t.to(dtypes.float64) for t in tensors))
    return found.to(dtype) if dtype.numpy.itemsize < 8 or _are_exact(found) else None


def _are_exact(x):
    return x.dtype.numpy.itemsize < 8 or not ((x >= EXACT) | (x <= -EXACT)).any()


def scatter_add_flat(x: Tensor, indices: Tensor, shape) -> Tensor:
    """Zeros of a shape with the elements of ``x`` added at flat indices."""
    return emit(ops.scatter_add, layout_of(shape, x.dtype), contiguous(x), contiguous(indices), imm=float(x.numel()))


def put_flat(x: Tensor, values: Tensor, indices: Tensor) -> Tensor:
    """A copy of ``x`` with ``values`` at flat indices, each of which occurs once."""
    x, values = contiguous(x), contiguous(values)
    return emit(ops.put, x._layout, x, values, indices, imm=float(values.numel()))


def put_last(x: Tensor, values: Tensor, indices: Tensor) -> Tensor:
    """As ``put_flat``, for indices that vary from call to call: the last one holds where a place is named twice."""
    values, indices = reshape(values, -1), reshape(indices, -1)
    order = along_dim(ops.ascending, indices.to(dtypes.float64), 0).to(dtypes.int64)  # equal ones stay in their order
    indices = take_flat(indices, order, None)
    following = take_flat(indices, from_array(np.minimum(np.arange(1, indices.numel() + 1), indices.numel() - 1)), None)
    is_last = (indices != following) | from_array(np.arange(indices.numel()) == indices.numel() - 1)
    written = scatter_add_flat(is_last.to(x.dtype), indices, x.shape) > 0
    return where(written, scatter_add_flat(where(is_last, take_flat(values, order, None), 0.0), indices, x.shape), x)


def place(x: Tensor, values: Tensor, plan, start) -> Tensor:
    """A copy of ``x`` with ``values`` in a strided region."""
    x = contiguous(x)
    return emit(ops.place, x._layout, x, contiguous(values), plan=plan.address, imm=float(start))
