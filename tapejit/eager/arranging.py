"""Tensors put together, repeated, turned and taken apart, under PyTorch's names."""

import itertools
import math

import numpy as np

from tapejit.core import dtypes
from tapejit.core.layout import Size, packed_strides
from tapejit.core.plans import broadcast_shapes
from tapejit.eager.creation import as_tensor, full, zeros
from tapejit.eager.dispatch import from_array
from tapejit.eager.indexing import cat, chunk, getitem, index_select, narrow, split, stack, unbind
from tapejit.eager.linalg.matrices import diag_embed
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import (
    clone,
    diagonal,
    dimension,
    expand,
    movedim_order,
    permute,
    reshape,
    shape_argument,
    squeeze,
    t,
    transpose,
    unsqueeze,
    view,
    view_of,
)


def _all(tensors) -> list:
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    return [as_tensor(t) for t in tensors]


# Together


def atleast_1d(*tensors):
    """Tensors with one dimension or more; one tensor gives one, several a tuple."""
    return _each(tensors, lambda x: x if x.ndim else reshape(x, 1))


def atleast_2d(*tensors):
    """Tensors with two dimensions or more, new ones in front."""
    return _each(tensors, lambda x: x if x.ndim > 1 else reshape(x, (1, x.numel())))


def atleast_3d(*tensors):
    """Tensors with three dimensions or more: a vector lies along the second one, a matrix along the first two."""

    def three(x):
        return x if x.ndim > 2 else unsqueeze(x, -1) if x.ndim == 2 else reshape(x, (1, x.numel(), 1))

    return _each(tensors, three)


def _each(tensors, function):
    found = tuple(map(function, _all(tensors)))
    return found[0] if len(tensors) == 1 and isinstance(tensors[0], Tensor) else found


def hstack(tensors) -> Tensor:
    """Tensors joined along the second dimension, vectors along their only one."""
    tensors = [atleast_1d(t) for t in _all((tensors,))]
    return cat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors) -> Tensor:
    """Tensors joined along the first dimension; vectors are rows."""
    return cat([atleast_2d(t) for t in _all((tensors,))], 0)


def dstack(tensors) -> Tensor:
    """Tensors joined along the third dimension."""
    return cat([atleast_3d(t) for t in _all((tensors,))], 2)


def column_stack(tensors) -> Tensor:
    """Tensors joined along the second dimension; vectors are columns."""
    return cat([reshape(t, (t.numel(), 1)) if t.ndim < 2 else t for t in _all((tensors,))], 1)


def block_diag(*tensors) -> Tensor:
    """The matrix with the given matrices along its diagonal and zeros elsewhere; a vector is a row."""
    blocks = [atleast_2d(t) for t in _all(tensors)]
    for b in blocks:
        if b.ndim != 2:
            raise RuntimeError(f"block_diag() takes tensors of at most 2 dimensions, got shape {b.shape}")
    dtype = dtypes.promote(*((b.dtype, 2) for b in blocks))
    total, rows, at = sum(b.shape[1] for b in blocks), [], 0
    for b in blocks:
        height, width = b.shape
        left, right = zeros(height, at, dtype=dtype), zeros(height, total - at - width, dtype=dtype)
        rows.append(cat((left, b.to(dtype), right), 1))
        at += width
    return cat(rows, 0)


def cartesian_prod(*tensors) -> Tensor:
    """All combinations of the elements of vectors, as rows; of one vector: itself."""
    tensors = _all(tensors)
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(t, -1) for t in meshgrid(*tensors, indexing="ij")], 1)


def combinations(x: Tensor, r=2, with_replacement=False) -> Tensor:
    """The combinations of r elements of a vector, as rows."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(x.shape[0]), r)), np.int64).reshape(-1, r)
    if not r:
        return zeros(0, dtype=x.dtype)
    return getitem(x, (from_array(rows),))


def meshgrid(*tensors, indexing="ij") -> tuple:
    """Vectors spread over a grid: one tensor per vector, all of the grid's shape; "xy" exchanges the first two dimensions.

    Raises:
        RuntimeError: for another indexing, or tensors of more than one dimension.
    """
    tensors = _all(tensors)
    if indexing not in ("ij", "xy") or any(t.ndim > 1 for t in tensors):
        shapes = [tuple(t.shape) for t in tensors]
        raise RuntimeError(f"meshgrid() takes vectors and indexing 'ij' or 'xy', got shapes {shapes} and {indexing!r}")
    swap = indexing == "xy" and len(tensors) > 1
    if swap:
        tensors[:2] = tensors[1::-1]
    shape = tuple(t.numel() for t in tensors)
    grid = [expand(reshape(t, tuple(n if k == j else 1 for j, n in enumerate(shape))), shape) for k, t in enumerate(tensors)]
    if swap:
        grid[:2] = grid[1::-1]
    return tuple(grid)


def shapes_together(*shapes):
    """The shape to which shapes are broadcast."""
    return Size(broadcast_shapes(*((s,) if isinstance(s, int) else tuple(s) for s in shapes)))


def broadcast_tensors(*tensors) -> tuple:
    """Tensors expanded to their common shape."""
    tensors = _all(tensors)
    shape = broadcast_shapes(*(t.shape for t in tensors))
    return tuple(expand(t, shape) for t in tensors)


# Repeated


def repeat(x: Tensor, *sizes) -> Tensor:
    """The tensor so many times along each dimension, new ones in front; a copy.

    Raises:
        RuntimeError: for fewer numbers than dimensions.
    """
    sizes = shape_argument(sizes)
    lead = len(sizes) - x.ndim
    if lead < 0:
        raise RuntimeError(f"repeat() needs a number for each of the {x.ndim} dimensions, got {sizes}")
    shape = (1,) * lead + tuple(x.shape)
    apart = reshape(x, tuple(n for s in shape for n in (1, s)))
    apart = expand(apart, tuple(n for times, s in zip(sizes, shape, strict=True) for n in (times, s)))
    return clone(reshape(apart, tuple(times * s for times, s in zip(sizes, shape, strict=True))))


def tile(x: Tensor, *dims) -> Tensor:
    """``repeat``; ones stand for numbers that are left out in front."""
    dims = shape_argument(dims)
    return repeat(x, (1,) * (x.ndim - len(dims)) + dims)


def repeat_interleave(x: Tensor, repeats=None, dim=None, *, output_size=None) -> Tensor:
    """Each element (or slice along ``dim``) so many times: a number, or one for each. Numbers alone: the places repeated."""
    if repeats is None:
        return from_array(np.repeat(np.arange(x.shape[0]), x._array()))
    if dim is None:
        x, dim = reshape(x, -1), 0
    d = dimension(dim, x.ndim)
    if isinstance(repeats, int) or repeats.numel() == 1:
        n = int(repeats)
        wide = unsqueeze(x, d + 1)
        wide = expand(wide, (*x.shape[: d + 1], n, *x.shape[d + 1 :]))
        return clone(reshape(wide, (*x.shape[:d], x.shape[d] * n, *x.shape[d + 1 :])))
    places = np.repeat(np.arange(x.shape[d]), as_tensor(repeats)._array())
    return index_select(x, d, from_array(places))


# Turned


def movedim(x: Tensor, source, destination) -> Tensor:
    """Dimensions moved to other places, the rest in order: a view."""
    sources, places = ([dimension(d, x.ndim) for d in ((a,) if isinstance(a, int) else a)] for a in (source, destination))
    if len(sources) != len(places) or len(set(sources)) != len(sources) or len(set(places)) != len(places):
        raise RuntimeError(f"movedim() takes as many different places as dimensions, got {source} and {destination}")
    return permute(x, movedim_order(x.ndim, sources, places))


def rot90(x: Tensor, k=1, dims=(0, 1)) -> Tensor:
    """The plane of two dimensions turned by k quarters, from the first towards the second."""
    first, second = (dimension(d, max(x.ndim, 2)) for d in dims) if len(dims) == 2 else (0, 0)
    if first == second or x.ndim < 2:
        raise RuntimeError(f"rot90() needs two different dimensions, got {dims} for shape {x.shape}")
    k %= 4
    if k == 2:
        return x.flip(first, second)
    if k == 1:
        return x.flip(second).transpose(first, second)
    return clone(x) if not k else x.flip(first).transpose(first, second)


def fliplr(x: Tensor) -> Tensor:
    """The order along the second dimension reversed."""
    if x.ndim < 2:
        raise RuntimeError(f"fliplr() needs 2 dimensions or more, got shape {x.shape}")
    return x.flip(1)


def flipud(x: Tensor) -> Tensor:
    """The order along the first dimension reversed."""
    if not x.ndim:
        raise RuntimeError("flipud() needs 1 dimension or more")
    return x.flip(0)


def ravel(x: Tensor) -> Tensor:
    """All elements as a vector."""
    return reshape(x, -1)


def unflatten(x: Tensor, dim: int, sizes) -> Tensor:
    """One dimension as several; one size may be -1."""
    d = dimension(dim, x.ndim)
    sizes = shape_argument((sizes,))
    if -1 in sizes:
        known = -math.prod(sizes)
        sizes = tuple(x.shape[d] // max(known, 1) if s == -1 else s for s in sizes)
    if math.prod(sizes) != x.shape[d]:
        raise RuntimeError(f"unflatten() cannot make dimension {dim} of size {x.shape[d]} into {tuple(sizes)}")
    return reshape(x, (*x.shape[:d], *sizes, *x.shape[d + 1 :]))


def unfold(x: Tensor, dim: int, size: int, step: int) -> Tensor:
    """Windows along a dimension, each ``step`` after the one before, their elements along a new last dimension: a view."""
    d = dimension(dim, x.ndim)
    length = x.shape[d] if x.ndim else 1
    if not 0 <= size <= length or step < 1:
        raise RuntimeError(f"unfold() needs 0 <= size <= {length} and step >= 1, got size {size} and step {step}")
    layout = x._layout
    if not x.ndim:
        return reshape(x, 1).narrow(0, 0, size)
    shape = (*layout.shape[:d], (length - size) // step + 1, *layout.shape[d + 1 :], size)

    def walk(strides):
        return (*strides[:d], strides[d] * step, *strides[d + 1 :], strides[d])

    return view_of(x, shape, walk(layout.strides), walk(packed_strides(layout.shape)))


def as_strided(x: Tensor, size, stride, storage_offset=None) -> Tensor:
    """A view of the memory with any shape and strides in elements, from an offset; of a tensor without gaps.

    Raises:
        RuntimeError: if it would reach beyond the tensor's elements, or the tensor has gaps.
    """
    size, stride = tuple(size), tuple(stride)
    start = 0 if storage_offset is None else storage_offset
    last = start + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in size else start
    if not x._layout.contiguous or start < 0 or min(stride, default=0) < 0 or (0 not in size and last >= max(x.numel(), 1)):
        raise RuntimeError(f"as_strided() to {size}, {stride}, {start} leaves the {x.numel()} elements of shape {x.shape}")
    return view_of(x, size, stride, stride, start, start)


def diagflat(x: Tensor, offset=0) -> Tensor:
    """The matrix with all elements on a diagonal and zeros elsewhere."""
    return diag_embed(reshape(x, -1), offset)


# Apart


def tensor_split(x: Tensor, indices_or_sections, dim=0) -> tuple:
    """Views of pieces along a dimension: so many of nearly one size, or those between the indices given."""
    d = dimension(dim, x.ndim)
    parts = indices_or_sections
    if isinstance(parts, Tensor):
        parts = parts.tolist()
    total = x.shape[d]
    if isinstance(parts, int):
        if parts < 1:
            raise RuntimeError(f"tensor_split() needs at least 1 section, got {parts}")
        small, more = divmod(total, parts)
        return split(x, [small + 1] * more + [small] * (parts - more), d)
    ends = [min(max(p + total if p < 0 else p, 0), total) for p in parts]
    pairs = itertools.pairwise([0, *ends, total])
    return tuple(narrow(x, d, a, max(b - a, 0)) for a, b in pairs)


def _at_least(ndim, name, x):
    if x.ndim < ndim:
        raise RuntimeError(f"{name}() takes tensors with {ndim} dimensions or more, got shape {tuple(x.shape)}")


def hsplit(x: Tensor, indices_or_sections) -> tuple:
    """``tensor_split`` along the second dimension, of a vector along its only one."""
    _at_least(1, "hsplit", x)
    return tensor_split(x, indices_or_sections, 0 if x.ndim == 1 else 1)


def vsplit(x: Tensor, indices_or_sections) -> tuple:
    """``tensor_split`` along the first dimension."""
    _at_least(2, "vsplit", x)
    return tensor_split(x, indices_or_sections, 0)


def dsplit(x: Tensor, indices_or_sections) -> tuple:
    """``tensor_split`` along the third dimension."""
    _at_least(3, "dsplit", x)
    return tensor_split(x, indices_or_sections, 2)


def select(x: Tensor, dim: int, index: int) -> Tensor:
    """The slice at an index of a dimension, without that dimension: a view."""
    d = dimension(dim, x.ndim)
    return getitem(x, (slice(None),) * d + (int(index),))


def argwhere(x: Tensor) -> Tensor:
    """The indices of the elements that are not 0, as rows."""
    return from_array(np.argwhere(x._array()))


def nonzero(x: Tensor, *, as_tuple=False):
    """The indices of the elements that are not 0: as rows, or as a tuple of one tensor per dimension."""
    if as_tuple:
        return tuple(from_array(i) for i in np.nonzero(np.atleast_1d(x._array())))
    return argwhere(x)


def tril_indices(row: int, col: int, offset=0, *, dtype=None) -> Tensor:
    """The indices of the lower triangle of a matrix, as two rows."""
    return from_array(np.array(np.tril_indices(row, offset, col)), dtypes.int64 if dtype is None else dtypes.as_dtype(dtype))


def triu_indices(row: int, col: int, offset=0, *, dtype=None) -> Tensor:
    """The indices of the upper triangle of a matrix, as two rows."""
    return from_array(np.array(np.triu_indices(row, offset, col)), dtypes.int64 if dtype is None else dtypes.as_dtype(dtype))


def sum_to_size(x: Tensor, *size) -> Tensor:
    """The sum over the dimensions along which a tensor of that size would be broadcast to x."""
    size = shape_argument(size)
    lead = x.ndim - len(size)
    if lead < 0 or any(s not in (1, n) for s, n in zip(size, x.shape[lead:], strict=True)):
        raise RuntimeError(f"sum_to_size() cannot sum shape {x.shape} to {size}")
    dims = [*range(lead), *(lead + k for k, s in enumerate(size) if s == 1 and x.shape[lead + k] != 1)]
    return reshape(x.sum(dims) if dims else x, size)


def constant_pad_nd(x: Tensor, pad, value=0) -> Tensor:
    """The tensor with so many elements of a value before and after, (before, after) of the last dimension first; fewer if
    negative.
    """
    for k in range(len(pad) // 2):
        d = x.ndim - 1 - k
        before, after = pad[2 * k], pad[2 * k + 1]
        cut = max(-before, 0), max(-after, 0)
        if x.shape[d] + before + after < 0:
            raise RuntimeError(f"pad {tuple(pad)} leaves fewer than no elements of shape {x.shape}")
        x = narrow(x, d, cut[0], x.shape[d] - cut[0] - cut[1]) if any(cut) else x
        sides = [full((*x.shape[:d], max(n, 0), *x.shape[d + 1 :]), value, dtype=x.dtype) for n in (before, after)]
        x = cat([part for part in (sides[0], x, sides[1]) if part.shape[d]] or [x], d)
    return clone(x)


def view_as(x: Tensor, other: Tensor) -> Tensor:
    """A view with the shape of another tensor."""
    return x.view(other.shape)


def reshape_as(x: Tensor, other: Tensor) -> Tensor:
    """The tensor in the shape of another."""
    return reshape(x, other.shape)


def adjoint(x: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return transpose(x, -2, -1)


def _copied(view):
    """A function that gives a copy in place of a view."""

    def function(*args, **kwargs):
        found = view(*args, **kwargs)
        return tuple(map(clone, found)) if isinstance(found, tuple) else clone(found)

    function.__name__ = function.__qualname__ = f"{view.__name__}_copy"
    function.__doc__ = f"``{view.__name__}`` as a copy."
    return function


_VIEWS = (
    expand, diagonal, narrow, view, permute, split, unbind, unfold, squeeze, unsqueeze, transpose, t, as_strided, select,
)
COPIES = {f"{v.__name__}_copy": _copied(v) for v in _VIEWS}
COPIES["split_with_sizes_copy"] = COPIES["split_copy"]
COPIES["alias_copy"] = clone
ALIASES = {
    **COPIES, "broadcast_shapes": shapes_together, "row_stack": vstack, "moveaxis": movedim, "swapaxes": transpose,
    "swapdims": transpose, "unsafe_chunk": chunk, "unsafe_split": split, "split_with_sizes": split,
}
METHODS = """repeat tile repeat_interleave movedim rot90 fliplr flipud ravel unflatten unfold as_strided diagflat tensor_split
    hsplit vsplit dsplit select argwhere nonzero sum_to_size view_as reshape_as adjoint""".split()
FUNCTIONS_ONLY = """atleast_1d atleast_2d atleast_3d hstack vstack dstack column_stack block_diag cartesian_prod combinations
    meshgrid broadcast_tensors tril_indices triu_indices constant_pad_nd""".split()
