"""Indexing, and putting tensors together and apart.

Basic keys (integers, slices, None, ...) give views; integer arrays and boolean masks gather by flat indices, which
NumPy works out from the same key (``keys``).
"""

import itertools
import operator

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.layout import Layout, layout_of, packed_strides
from tapejit.core.plans import bounded, region_plan
from tapejit.core.refusals import ArgumentError, OutOfRange
from tapejit.eager.dispatch import apply, as_float, emit, emit_view, empty, from_array, result_dtype, view_by
from tapejit.eager.foreign import name_of
from tapejit.eager.frameless import untraced
from tapejit.eager.inplace import assign
from tapejit.eager.keys import as_key, flat_indices, is_basic, last_of_each, plain_part, select, steps_back
from tapejit.eager.places import in_floats, place, put_flat, put_last, take_flat
from tapejit.eager.tensor import Tensor, method, method_as
from tapejit.eager.views import clone, contiguous, dimension, reshape, view_plan
from tapejit.spec import structured as ops
from tapejit.spec.elementwise import where

_SELECT, _SLICE = ops.VIEWS["Select"], ops.VIEWS["Slice"]


def _probe(layout, strides, key):
    """Shape, strides and first element of a basic key, found by NumPy on an array without elements of its own."""
    base = np.lib.stride_tricks.as_strided(np.zeros(1, np.int8), layout.shape, strides)
    seen = base[key if Ellipsis in key else (*key, Ellipsis)]  # with an ellipsis NumPy gives a view, never a scalar
    begin = seen.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return seen.shape, seen.strides, begin if seen.size else 0


def _basic(x: Tensor, key) -> Tensor:
    """The view that a basic key selects; a copy if a slice runs backwards."""
    layout = x._layout
    if len(key) == 1 and layout.ndim:
        fast = _leading_view(layout, key[0])
        if fast is not None:
            return _seen_by(fast, x)
    known = _told_apart(layout, key)
    fast = _basic_views.get(known)
    if fast is not None:
        return _seen_by(fast, x)
    back = steps_back(key)
    try:
        shape, memory, offset = _probe(layout, layout.strides, key)
        logical, start = memory, offset
        if not layout.contiguous:
            _, logical, start = _probe(layout, packed_strides(layout.shape), key)
    except IndexError as error:
        raise IndexError(f"{error} (tensor of shape {layout.shape})") from None
    out, plan = view_plan(layout.dtype, shape, memory, logical)
    found = out, _SLICE, plan, offset, start
    if known is not None and not back:
        _basic_views[known] = found
    seen = _seen_by(found, x)
    return clone(seen) if back else seen


def _seen_by(found, x):
    """A view by its layout, op, plan, offset and start."""
    out, op, plan, offset, start = found
    seen = view_by((out, op.code, plan, offset * x._layout.dtype.itemsize, start), x)
    return emit_view(op, x, out, offset, plan=plan, start=start) if seen is None else seen


def _told_apart(layout, key):
    """A layout and a key of integers and slices of them as something to look up, None for other keys."""
    parts = [layout]
    for part in key:
        kind = part.__class__
        if kind is int:
            parts.append(part)
        elif kind is slice and {part.start.__class__, part.stop.__class__, part.step.__class__} <= _BOUNDS:
            parts.append((part.start, part.stop, part.step))
        else:
            return None
    return tuple(parts)


_BOUNDS = {int, type(None)}
_basic_views, _leading_views = bounded(), bounded()


def _leading_view(layout, part):
    """Result layout, op, plan, offset and start of ``x[part]`` for the commonest keys, None for others."""
    if part.__class__ is slice and part.step is None:
        key = (layout, part.start, part.stop)
    elif part.__class__ is int:
        key = (layout, part)
    else:
        return None
    try:
        return _leading_views[key]
    except (KeyError, TypeError):
        pass
    shape, rest, begin = _leading(layout, part)
    memory = layout.strides[layout.ndim - len(rest) :]
    out, plan = view_plan(layout.dtype, shape, memory, rest)
    op = _SELECT if part.__class__ is int else _SLICE
    found = out, op, plan, begin * layout.strides[0], begin * packed_strides(layout.shape)[0]
    if all(p.__class__ in (Layout, int, type(None)) for p in key):
        _leading_views[key] = found
    return found


def _leading(layout, part):
    """The commonest keys without NumPy's help: one integer or a slice of step 1 over the first dimension."""
    size = layout.shape[0]
    if part.__class__ is int:
        if not -size <= part < size:
            raise IndexError(f"index {part} is out of range for dimension 0 of size {size} (tensor of shape {layout.shape})")
        return layout.shape[1:], packed_strides(layout.shape)[1:], part % size
    start, stop, _ = part.indices(size)
    length = max(0, stop - start)
    return (length, *layout.shape[1:]), packed_strides(layout.shape), start if length else 0


@method_as("__getitem__")
@untraced
def getitem(x: Tensor, key) -> Tensor:
    """``x[key]``: a view for integers, slices, None and ...; a copy for integer arrays, masks and slices that run backwards.

    Raises:
        IndexError: for a key that does not fit the shape, or parts that are no indices.
    """
    if key.__class__ is not tuple:
        key = (key,)
    if all(map(is_basic, key)):
        return _basic(x, key)
    key = as_key(key)
    recorder = tapes.current().recorder
    if recorder is not None and recorder.takes(x, key):
        return take_flat(x, positions(x, key), None)
    key = tuple(map(plain_part, key))
    if all(map(is_basic, key)):
        return _basic(x, key)
    steps_back(key)
    if not x.requires_grad and recorder is None:
        return from_array(select(x._array(), key))
    return take_flat(x, positions(x, key), None)


def positions(x: Tensor, key) -> Tensor:
    """The positions in the flattened ``x`` that a key selects, in the shape of the result."""
    key = as_key(key)
    recorder = tapes.current().recorder
    if recorder is not None and recorder.takes(x, key):
        return recorder.flat_positions(x, key)
    return from_array(flat_indices(x._layout, tuple(map(plain_part, key))))


@method_as("__setitem__")
def setitem(x: Tensor, key, value) -> None:
    """``x[key] = value``: in place, with the gradient flowing to ``value`` and to what is left of ``x``.

    Where a key names a place twice, the last value stays, and it alone gets the gradient.
    """
    key = as_key(key)
    recorder = tapes.current().recorder
    given, write = key, None  # what writes to places that are others in a later call
    if recorder is not None:
        write = put_flat if recorder.moves(x, key) else put_last if recorder.rewrites(x, key) else None
    key = tuple(map(plain_part if write is None else recorder.now, key))
    steps_back(key)
    basic = all(map(is_basic, key))

    def put(base, values):
        if write is not None:
            return write(base, values, recorder.flat_positions(base, given))
        layout = base._layout
        if basic:
            shape, strides, start = _probe(layout, packed_strides(layout.shape), key)
            plan = region_plan(shape, strides)
            return place(base, values, plan, start)
        flat = flat_indices(layout, key)
        last = last_of_each(flat, layout.n)
        if last is not None:
            flat, values = flat.reshape(-1)[last], take_flat(values, from_array(last), None)
        return put_flat(base, values, from_array(flat))

    assign(x, key, value, put)


# Gathering along a dimension


def whole_numbers(index, name) -> Tensor:
    """The index, if it is a tensor of integers.

    Raises:
        OutOfRange: if it is not.
    """
    if not isinstance(index, Tensor) or index.dtype.numpy.kind not in "iu":
        raise OutOfRange(f"{name}() takes an integer tensor as index, got {getattr(index, 'dtype', type(index).__name__)}")
    return index


def chosen(x: Tensor, index: Tensor, name, dim=0) -> Tensor:
    """The slices along a dimension that integers from 0 up name; negative ones do not count from the end.

    Raises:
        OutOfRange: for an integer below 0 or beyond the end.
    """
    numbers = whole_numbers(index, name)._memory()
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < x.shape[dim]:
        raise OutOfRange(
            f"{name}() takes indices from 0 to {x.shape[dim] - 1} (shape {tuple(x.shape)}, dimension {dim}), "
            f"got {numbers.min()} to {numbers.max()}"
        )
    key = (slice(None),) * dim + (index,)
    recorder = tapes.current().recorder
    if recorder is not None and recorder.takes(x, key):
        return take_flat(x, recorder.flat_positions(x, key, negative=False), None)
    return getitem(x, key)


def along_indices(x, dim, index, name):
    whole_numbers(index, name)
    d = dimension(dim, x.ndim)
    if index.ndim != x.ndim or any(i > s for k, (i, s) in enumerate(zip(index.shape, x.shape, strict=True)) if k != d):
        raise RuntimeError(f"{name}() needs an index that fits shape {x.shape} outside dimension {d}, got {index.shape}")
    recorder = tapes.current().recorder
    picked = index._array() if recorder is None else index._memory()
    size = x.shape[d] if x.ndim else 1
    if picked.size and (picked.min() < 0 or picked.max() >= size):
        raise OutOfRange(f"{name}() index out of range for dimension {d} of size {size}")
    if not x.ndim:
        return from_array(np.zeros((), np.int64))
    strides = packed_strides(x.shape)
    flat = picked * strides[d]
    for k, size in enumerate(index.shape):
        if k != d:
            flat = flat + np.arange(size).reshape([-1 if j == k else 1 for j in range(x.ndim)]) * strides[k]
    if recorder is not None:
        return recorder.flat_along(flat, index, strides[d], x.shape[d])
    return from_array(np.ascontiguousarray(flat, dtype=np.int64))


@method
def gather(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """``out[i][j] = x[index[i][j]][j]`` for dim 0, and so on."""
    if isinstance(index, Tensor) and not index.numel() and not index.dtype.is_floating_point:
        return narrow(reshape(x, -1), 0, 0, 0).reshape(index.shape)
    if isinstance(index, Tensor) and not x.ndim and index.ndim == 1:
        return gather(reshape(x, 1), 0, index)
    indices = along_indices(x, dim, index, "gather")
    return take_flat(x, indices, None)


@method
def index_select(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of ``x`` along a dimension that a vector of integers names.

    Raises:
        OutOfRange: for other indices, and for integers below 0 or beyond the end.
    """
    if whole_numbers(index, "index_select").ndim > 1:
        raise OutOfRange("index_select() needs a vector of integers, use gather() or x[...] for other indices")
    if not x.ndim:
        return chosen(reshape(x, 1), index.reshape(-1), "index_select").reshape(())
    return chosen(x, index.reshape(-1), "index_select", dimension(dim, x.ndim))


@method
def take_along_dim(x: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """``gather`` with sizes other than that of ``dim`` broadcast; without ``dim`` from the flattened tensor.

    Raises:
        RuntimeError: if the indices are no integers, or their dimensions do not fit.
    """
    if not isinstance(indices, Tensor):
        raise TypeError(f"take_along_dim() needs an integer tensor as indices, got {type(indices).__name__}")
    if dim is None:
        x, indices, dim = reshape(x, -1), reshape(indices, -1), 0
    d = dimension(dim, x.ndim)
    if indices.ndim != x.ndim:
        raise RuntimeError(f"take_along_dim() needs indices with {x.ndim} dimensions, got shape {indices.shape}")
    common = tuple(x.shape[k] if s == 1 else s for k, s in enumerate(indices.shape))
    x = x.expand(tuple(s if k == d else common[k] for k, s in enumerate(x.shape)))
    indices = indices.expand(tuple(s if k == d else common[k] for k, s in enumerate(indices.shape)))
    return gather(x, d, indices + (indices < 0).to(indices.dtype) * x.shape[d])


# Joining and splitting


def cat(tensors, dim=0, *, op=ops.cat) -> Tensor:
    """Tensors joined along an existing dimension; their other sizes must agree.

    Raises:
        RuntimeError: for no tensors, or sizes that do not agree.
    """
    tensors = list(tensors)
    if not tensors:
        raise ArgumentError("cat() got an empty list; it needs at least one tensor")
    for t in tensors:
        if t.__class__ is not Tensor:
            raise TypeError(f"cat() takes tensors, got {name_of(t)}: convert it with tapejit.tensor(...)")
    tensors = [t for t in tensors if t.shape != (0,)] or tensors[:1]
    d = dimension(dim, tensors[0].ndim)
    if not tensors[0].ndim:
        raise RuntimeError("cat() needs tensors with at least 1 dimension; use stack()")
    first = tensors[0].shape
    for t in tensors:
        if t.ndim != len(first) or any(a != b for k, (a, b) in enumerate(zip(t.shape, first, strict=True)) if k != d):
            raise RuntimeError(f"cat() along dimension {d} needs equal sizes elsewhere, got shapes {first} and {t.shape}")
    dtype = result_dtype(tensors)
    if not dtype.is_floating_point:
        found = in_floats(lambda *pieces: cat(pieces, d), dtype, *tensors)
        return from_array(np.concatenate([t._array() for t in tensors], axis=d), dtype) if found is None else found
    total = sum(t.shape[d] for t in tensors)
    shape = (*first[:d], total, *first[d + 1 :])
    return _assemble(layout_of(shape, dtype), [as_float(t, dtype) for t in tensors], d, op)


def _assemble(layout, pieces, d, op):
    """A tensor filled piece by piece along a dimension; all records share one block."""
    out = empty(layout)
    strides = packed_strides(layout.shape)
    start = 0
    for piece in pieces:
        shape = (*layout.shape[:d], piece.shape[d], *layout.shape[d + 1 :])
        plan = region_plan(shape, strides)
        out = emit(
            op, layout, out, contiguous(piece), plan=plan.address, imm=float(start), flags=R.PUT
        )
        start += piece.shape[d] * strides[d]
    return out


def stack(tensors, dim=0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack() needs at least one tensor")
    if any(t.shape != tensors[0].shape for t in tensors):
        raise RuntimeError(f"stack() needs tensors of one shape, got {[t.shape for t in tensors]}")
    d = dimension(dim, tensors[0].ndim, extra=1)
    return cat([t.unsqueeze(d) for t in tensors], d, op=ops.stack)


@method
def split(x: Tensor, split_size_or_sections, dim=0) -> tuple:
    """Views of pieces along a dimension: of one size (the last may be smaller), or of the sizes listed."""
    d = dimension(dim, x.ndim)
    total = x.shape[d]
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        if sizes < 1:
            raise RuntimeError(f"split() needs a size of at least 1, got {sizes}")
        sizes = [min(sizes, total - at) for at in range(0, total, sizes)] or [0]
    if sum(sizes) != total:
        raise RuntimeError(f"split() sizes {list(sizes)} do not add up to {total}, the size of dimension {d}")
    ends = np.cumsum([0, *sizes]).tolist()
    return tuple(narrow(x, d, a, b - a) for a, b in itertools.pairwise(ends))


@method
def chunk(x: Tensor, chunks: int, dim=0) -> tuple:
    """``split`` into at most so many pieces of one size."""
    if chunks < 1:
        raise RuntimeError(f"chunk() needs at least 1 chunk, got {chunks}")
    total = x.shape[dimension(dim, x.ndim)]
    return split(x, max(1, -(-total // chunks)), dim)


@method
def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A view of ``length`` slices along a dimension, from ``start`` on, which counts from the end if it is negative.

    Raises:
        IndexError: if it does not start in the dimension.
        RuntimeError: if it does not end there.
    """
    d = dimension(dim, x.ndim)
    if not x.ndim:
        raise OutOfRange("narrow() takes a tensor with dimensions")
    if isinstance(start, Tensor):
        whole_numbers(start, "narrow")
    size, start, length = x.shape[d], operator.index(start), operator.index(length)
    if not -size <= start <= size:
        raise IndexError(f"narrow() cannot start at {start} in dimension {d} of size {size}")
    start += size if start < 0 else 0
    if not 0 <= length <= size - start:
        raise RuntimeError(f"narrow() cannot take {length} from {start} on in dimension {d} of size {size}")
    return _basic(x, (slice(None),) * d + (slice(start, start + length),))


@method
def unbind(x: Tensor, dim=0) -> tuple:
    """Views of the slices along a dimension."""
    d = dimension(dim, x.ndim)
    return tuple(_basic(x, (slice(None),) * d + (i,)) for i in range(x.shape[d]))


@method
def roll(x: Tensor, shifts, dims=None) -> Tensor:
    """Elements moved along dimensions, those that fall off the end back at the front."""
    if dims is None or dims == ():
        return reshape(roll(reshape(x, -1), shifts, 0), x.shape)
    if isinstance(dims, (tuple, list)) or isinstance(shifts, (tuple, list)):
        shifts, dims = ((n,) if isinstance(n, int) else tuple(n) for n in (shifts, dims))
        if len(shifts) != len(dims):
            raise ArgumentError(f"roll() takes one shift for each dimension, got shifts {shifts} and dims {dims}")
        for shift, dim in zip(shifts, dims, strict=True):
            x = roll(x, shift, dim)
        return x
    d = dimension(dims, x.ndim)
    size = x.shape[d]
    if not size or not shifts % size:
        return x.clone()
    at = size - shifts % size
    return cat((narrow(x, d, at, size - at), narrow(x, d, 0, at)), d)


def _triangle(x, numpys, diagonal):
    if x.ndim < 2:
        raise RuntimeError(f"a triangle is of two dimensions or more, got shape {tuple(x.shape)}")
    mask = numpys(np.ones(x.shape[-2:], bool), diagonal)
    return apply(where, from_array(mask), x, 0.0 if x.dtype.is_floating_point else 0)


@method
def tril(x: Tensor, diagonal=0) -> Tensor:
    """The lower triangle of the last two dimensions, zeros elsewhere."""
    return _triangle(x, np.tril, diagonal)


@method
def triu(x: Tensor, diagonal=0) -> Tensor:
    """The upper triangle of the last two dimensions, zeros elsewhere."""
    return _triangle(x, np.triu, diagonal)
