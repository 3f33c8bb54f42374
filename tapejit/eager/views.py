"""Shapes without copies: views share memory, and their gradients are strided sums."""

import math

import numpy as np

from tapejit.core import plans
from tapejit.core.layout import layout_of, packed_strides
from tapejit.core.plans import cached, region_plan, strided_plan
from tapejit.core.refusals import ArgumentError
from tapejit.eager.dispatch import emit, emit_view, from_array, noted
from tapejit.eager.tensor import Tensor, method
from tapejit.spec import structured as ops
from tapejit.spec import table


def view_of(x: Tensor, shape: tuple, memory: tuple, logical: tuple, offset=0, start=0, op=None) -> Tensor:
    """A view with a shape and strides: ``memory`` ones over the data of ``x``, ``logical`` ones over ``x`` packed.

    ``offset`` and ``start`` are where the view begins, in elements of the one and the other.
    """
    layout, plan = view_plan(x._layout.dtype, shape, memory, logical)
    return emit_view(op or ops.view, x, layout, offset, plan=plan, start=start)


def view_plan(dtype, shape, memory, logical):
    """The layout of a view and the address of its plan, 0 for a stretch of the packed tensor."""
    layout = layout_of(shape, dtype, memory)
    whole = logical == packed_strides(shape)
    return layout, 0 if whole else region_plan(shape, logical).address


def strided_view(x: Tensor, shape: tuple, strides: tuple, start: int) -> Tensor:
    """A view of ``x``, seen as packed, by strides in elements."""
    x = contiguous(x)
    return view_of(x, shape, strides, strides, start, start)


def spread(x: Tensor, shape: tuple, strides: tuple, start: int, target: tuple) -> Tensor:
    """Zeros of shape ``target`` with ``x``, of shape ``shape``, added at strided places: the transpose of a view."""
    key = ("spread", shape, strides, target, x.dtype)
    plan = cached(key, lambda: strided_plan(shape, strides, layout_of(target, x.dtype)))
    return emit(ops.spread, plan.layout, contiguous(x), plan=plan.address, imm=float(start))


@method
def contiguous(x: Tensor) -> Tensor:
    """The tensor itself if its memory is C-contiguous, else a copy that is."""
    return x if x._layout.contiguous else clone(x)


@method
def clone(x: Tensor) -> Tensor:
    """A copy with a history: its gradient flows to ``x``."""
    layout = x._layout
    if not layout.dtype.is_floating_point:
        return noted("copy", lambda x: from_array(x._array(), layout.dtype), x)
    plan = 0
    if not layout.contiguous:
        plan = region_plan(layout.shape, layout.strides).address
    return emit(ops.copy, layout.packed, x, plan=plan)


@method
def detach(x: Tensor) -> Tensor:
    """The same memory without a history: a constant to every gradient."""
    return emit_view(table.VALUE, x, x._layout)


def shape_argument(sizes) -> tuple:
    if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer)):
        sizes = sizes[0]
    return tuple(int(s) for s in sizes)


def _fill_in(shape, n, source) -> tuple:
    """A shape with its -1 worked out."""
    known = math.prod(s for s in shape if s != -1)
    if shape.count(-1) > 1 or any(s < -1 for s in shape):
        raise ArgumentError(f"a shape has sizes of at least 0, and -1 at most once; got {shape}")
    if -1 in shape and known and n % known == 0:
        shape = tuple(n // known if s == -1 else s for s in shape)
    if math.prod(shape) != n or -1 in shape:
        raise RuntimeError(f"shape {shape} is invalid for a tensor of {n} elements (shape {source})")
    return shape


@method
def reshape(x: Tensor, *shape) -> Tensor:
    """The same elements in another shape; one size may be -1. A view if the memory allows, else a copy.

    Raises:
        RuntimeError: if the number of elements differs.
    """
    layout = x._layout
    shape = _fill_in(shape_argument(shape), layout.n, layout.shape)
    strides = packed_strides(shape) if layout.contiguous else _strides_for(layout, shape)
    if strides is None:
        return reshape(clone(x), shape)
    return view_of(x, shape, strides, packed_strides(shape))


@method
def view(x: Tensor, *shape) -> Tensor:
    """``reshape`` that never copies.

    Raises:
        RuntimeError: if the memory does not allow a view.
    """
    layout = x._layout
    shape = _fill_in(shape_argument(shape), layout.n, layout.shape)
    strides = packed_strides(shape) if layout.contiguous else _strides_for(layout, shape)
    if strides is None:
        raise RuntimeError(
            f"a view of shape {shape} does not fit the strides {layout.strides} of shape {layout.shape}; use reshape()"
        )
    return view_of(x, shape, strides, packed_strides(shape))


def _strides_for(layout, shape):
    """Strides that see a strided layout in another shape, None if there are none (NumPy decides)."""
    probe = np.lib.stride_tricks.as_strided(np.zeros(1, np.int8), layout.shape, layout.strides)
    try:
        return np.reshape(probe, shape, copy=False).strides
    except ValueError:
        return None


def dimension(dim, ndim, extra=0) -> int:
    """A dimension counted from the front.

    Raises:
        IndexError: if there is no such dimension.
    """
    limit = max(ndim + extra, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"dimension {dim} is out of range for {ndim} dimensions: expected {-limit} to {limit - 1}")
    return dim % limit


@method
def permute(x: Tensor, *dims, op=None) -> Tensor:
    """The dimensions in another order."""
    dims = shape_argument(dims)
    layout = x._layout
    if sorted(d % max(layout.ndim, 1) for d in dims) != list(range(layout.ndim)):
        raise RuntimeError(f"permute() needs each of the {layout.ndim} dimensions once, got {dims}")
    dims = tuple(d % layout.ndim for d in dims)
    logical = packed_strides(layout.shape)
    return view_of(
        x,
        tuple(layout.shape[d] for d in dims),
        tuple(layout.strides[d] for d in dims),
        tuple(logical[d] for d in dims),
        op=op or ops.VIEWS["Permute"],
    )


def movedim_order(ndim, sources, places) -> tuple:
    """The order of dimensions in which some stand at other places and the rest keep theirs."""
    order = [d for d in range(ndim) if d not in sources]
    for place, d in sorted(zip(places, sources, strict=True)):
        order.insert(place, d)
    return tuple(order)


@method
def transpose(x: Tensor, dim0: int, dim1: int, *dims: int) -> Tensor:
    """Two dimensions exchanged; with more of them all in that order, as NumPy's method does."""
    if dims:
        return permute(x, (dim0, dim1, *dims))
    order = list(range(x.ndim))
    dim0, dim1 = dimension(dim0, x.ndim), dimension(dim1, x.ndim)
    if x.ndim:
        order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(x, tuple(order), op=ops.VIEWS["Transpose"])


@method
def t(x: Tensor) -> Tensor:
    """The transpose of a matrix; a vector or scalar as it is."""
    if x.ndim > 2:
        raise RuntimeError(f"t() takes at most 2 dimensions, got {x.ndim}; use mT or transpose()")
    return permute(x, tuple(reversed(range(x.ndim))), op=ops.VIEWS["T"])


def matrix_transpose(x: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    if x.ndim < 2:
        raise RuntimeError(f"mT needs at least 2 dimensions, got shape {x.shape}")
    return transpose(x, -2, -1)


Tensor.mT = Tensor.mH = property(matrix_transpose, doc="The last two dimensions exchanged.")


@method
def flatten(x: Tensor, start_dim=0, end_dim=-1) -> Tensor:
    """Neighbouring dimensions as one."""
    first, last = dimension(start_dim, x.ndim), dimension(end_dim, x.ndim)
    if first > last:
        raise RuntimeError(f"flatten() needs start_dim <= end_dim, got {start_dim} and {end_dim}")
    shape = x.shape
    return reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@method
def squeeze(x: Tensor, dim=None) -> Tensor:
    """Without dimensions of size 1: all of them, or those named."""
    dims = range(x.ndim) if dim is None else [dimension(d, x.ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    keep = [d for d in range(x.ndim) if not (d in dims and x.shape[d] == 1)]
    return _select_dims(x, keep)


def _select_dims(x, keep):
    layout = x._layout
    logical = packed_strides(layout.shape)
    shape, memory, logical = (tuple(seq[d] for d in keep) for seq in (layout.shape, layout.strides, logical))
    return view_of(x, shape, memory, logical, op=ops.VIEWS["Squeeze"])


@method
def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """A dimension of size 1 put in."""
    d = dimension(dim, x.ndim, extra=1)
    layout = x._layout
    shape = (*layout.shape[:d], 1, *layout.shape[d:])
    memory = (*layout.strides[:d], 1, *layout.strides[d:])
    return view_of(x, shape, memory, packed_strides(shape), op=ops.VIEWS["Unsqueeze"])


@method
def expand(x: Tensor, *shape) -> Tensor:
    """Dimensions of size 1, and new ones in front, repeated without copying; -1 keeps a size."""
    shape = shape_argument(shape)
    layout = x._layout
    lead = len(shape) - layout.ndim
    if lead < 0:
        raise RuntimeError(f"expand() to {shape} has fewer dimensions than the tensor's shape {layout.shape}")
    shape = tuple(layout.shape[d - lead] if s == -1 and d >= lead else s for d, s in enumerate(shape))
    for have, want in zip(layout.shape, shape[lead:], strict=True):
        if have not in (1, want):
            raise RuntimeError(f"expand() cannot make shape {layout.shape} into {shape}: only sizes of 1 can grow")
    memory = plans.broadcast_strides(layout.shape, layout.strides, shape)
    logical = plans.broadcast_strides(layout.shape, packed_strides(layout.shape), shape)
    return view_of(x, shape, memory, logical, op=ops.VIEWS["Expand"])


@method
def expand_as(x: Tensor, other: Tensor) -> Tensor:
    return expand(x, other.shape)


@method
def broadcast_to(x: Tensor, shape) -> Tensor:
    """``expand`` under NumPy's name."""
    return expand(x, shape)


@method
def diagonal(x: Tensor, offset=0, dim1=0, dim2=1) -> Tensor:
    """The diagonal of two dimensions, as the last dimension of a view."""
    d1, d2 = dimension(dim1, x.ndim), dimension(dim2, x.ndim)
    if d1 == d2:
        raise RuntimeError(f"diagonal() needs two different dimensions, got {dim1} and {dim2}")
    layout = x._layout
    rows, columns = layout.shape[d1], layout.shape[d2]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    rest = [d for d in range(x.ndim) if d not in (d1, d2)]
    packed = packed_strides(layout.shape)

    def walk(strides):
        return (*(strides[d] for d in rest), strides[d1] + strides[d2])

    def begin(strides):
        return 0 if not length else offset * strides[d2] if offset >= 0 else -offset * strides[d1]

    shape = (*(layout.shape[d] for d in rest), length)
    first, start = begin(layout.strides), begin(packed)
    return view_of(x, shape, walk(layout.strides), walk(packed), first, start, ops.VIEWS["Diagonal"])


@method
def flip(x: Tensor, *dims) -> Tensor:
    """The order of elements reversed along dimensions; a copy, as in PyTorch."""
    dims = {dimension(d, x.ndim) for d in shape_argument(dims)}
    layout = x._layout
    packed = packed_strides(layout.shape)

    def walk(strides):
        return tuple(-s if d in dims else s for d, s in enumerate(strides))

    def begin(strides):
        return 0 if not layout.n else sum(strides[d] * (layout.shape[d] - 1) for d in dims)

    return clone(view_of(x, layout.shape, walk(layout.strides), walk(packed), begin(layout.strides), begin(packed)))


def reverse_dims(x: Tensor) -> Tensor:
    """The dimensions in reverse order: the transpose."""
    return permute(x, tuple(reversed(range(x.ndim))))


Tensor.T = property(reverse_dims, doc="The dimensions in reverse order.")
