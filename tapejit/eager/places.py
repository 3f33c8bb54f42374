"""Elements at places: read from flat indices, written to them or to a strided region; each a record of its own."""

from tapejit.core import dtypes
from tapejit.core.layout import layout_of
from tapejit.eager.dispatch import emit, from_array
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import contiguous
from tapejit.spec import structured as ops


def take_flat(x: Tensor, indices: Tensor, shape) -> Tensor:
    """Elements of the flattened ``x``, in the shape of ``indices`` (or ``shape``)."""
    if not x.dtype.is_floating_point:
        return _take_whole(x, indices)
    layout = layout_of(indices.shape if shape is None else shape, x.dtype)
    return emit(ops.take, layout, contiguous(x), contiguous(indices))


def _take_whole(x, indices):
    """Elements of integers or bools: kernels know floats, which hold whole numbers up to 2**53."""
    values = x._memory()
    if values.dtype.itemsize < 8 or not values.size or max(-int(values.min()), int(values.max())) < 1 << 53:
        return take_flat(x.to(dtypes.float64), indices, None).to(x.dtype)
    return from_array(x._array().reshape(-1)[indices._array()])


def scatter_add_flat(x: Tensor, indices: Tensor, shape) -> Tensor:
    """Zeros of a shape with the elements of ``x`` added at flat indices."""
    return emit(ops.scatter_add, layout_of(shape, x.dtype), contiguous(x), contiguous(indices), imm=float(x.numel()))


def put_flat(x: Tensor, values: Tensor, indices: Tensor) -> Tensor:
    """A copy of ``x`` with ``values`` at flat indices, each of which occurs once."""
    x, values = contiguous(x), contiguous(values)
    return emit(ops.put, x._layout, x, values, indices, imm=float(values.numel()))


def place(x: Tensor, values: Tensor, plan, start) -> Tensor:
    """A copy of ``x`` with ``values`` in a strided region."""
    x = contiguous(x)
    return emit(ops.place, x._layout, x, contiguous(values), plan=plan.address, imm=float(start))
