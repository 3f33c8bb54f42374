"""Elements chosen and changed by index and mask, under PyTorch's names; each function gives a new tensor.

A recording holds for a mask, and for the index of ``put`` and of ``scatter_reduce``, which Python reads (see docs/replay.md).
"""

import numpy as np

from tapejit.core import dtypes
from tapejit.core import tape as tapes
from tapejit.core.plans import broadcast_shapes
from tapejit.core.refusals import KindError, OutOfRange
from tapejit.eager.creation import as_tensor, full, zeros
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import where
from tapejit.eager.indexing import along_indices, cat, getitem, narrow, positions, setitem, whole_numbers
from tapejit.eager.keys import last_of_each
from tapejit.eager.keywords import with_axis
from tapejit.eager.places import put_flat, put_last, scatter_add_flat
from tapejit.eager.reductions import amax, amin, prod
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import clone, contiguous, diagonal, dimension, expand, reshape

REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def _flat(x, dim, index, name):
    """The positions that an index along a dimension names, one after the other."""
    whole_numbers(index, name)
    if x.ndim and not index.ndim:
        index = reshape(index, (1,) * x.ndim)
    if not x.ndim and index.ndim:
        index = reshape(index, ())
    if not index.numel():
        return from_array(np.zeros(0, np.int64))
    return reshape(along_indices(x, dim, index, name), -1)


def _same_dtype(x, src, name):
    """
    Raises:
        KindError: if a tensor has another dtype than the one that it is put into.
    """
    if isinstance(src, Tensor) and src.dtype is not x.dtype:
        raise KindError(f"{name}() puts {src.dtype} into {x.dtype}: convert it with .to({x.dtype})")


def _fitting(src, x, index, name):
    """The part of ``src`` that an index speaks of, as a vector of the dtype of x."""
    if not isinstance(src, Tensor):
        return full((index.numel(),), src, dtype=x.dtype)
    _same_dtype(x, src, name)
    if not src.ndim and index.numel():
        src = expand(reshape(src, (1,) * index.ndim), index.shape)
    if not index.numel():
        return zeros(0, dtype=x.dtype)
    for d, n in enumerate(index.shape):
        src = narrow(src, d, 0, n) if src.shape[d] != n else src
    return reshape(src, -1)


def _put(x, flat, values):
    """x with values at flat positions, the last one where a position is named twice."""
    flat = contiguous(flat)
    recorder = tapes.current().recorder
    if recorder is not None and flat.numel() and x.dtype.is_floating_point and recorder.varies(flat):
        return put_last(x, values, flat)
    places = flat._array()
    last = last_of_each(places, max(x.numel(), 1)) if places.size else None
    if last is not None:
        values, flat = getitem(values, (from_array(last),)), from_array(places[last])
    if not x.dtype.is_floating_point:
        array = x._array().reshape(-1).copy()
        array[flat._array()] = values._array()
        return from_array(array.reshape(tuple(x.shape)), x.dtype)
    return put_flat(x, values, flat) if places.size else clone(x)


def _added(x, flat, values):
    """x with values added at flat positions."""
    if not flat.numel():
        return clone(x)
    if not x.dtype.is_floating_point:
        array = x._array().reshape(-1).copy()
        np.add.at(array, flat._array(), values._array())
        return from_array(array.reshape(tuple(x.shape)), x.dtype)
    return x + scatter_add_flat(values, flat, x.shape)


def _reduced(x, flat, values, reduce, include_self):
    """x with values joined by a reduction at flat positions; without ``include_self`` what was there does not count."""
    if reduce == "sum" and include_self:
        return _added(x, flat, values)
    if not flat.numel():
        return clone(x)
    places = flat._array()
    order = np.argsort(places, kind="stable")
    targets, first, counts = np.unique(places[order], return_index=True, return_counts=True)
    line = cat((reshape(x, -1), values)) if include_self else values
    shift = x.numel() if include_self else 0
    table = np.full((targets.size, counts.max() + include_self), -1, np.int64)
    columns = np.arange(places.size) - np.repeat(first, counts) + include_self
    table[np.repeat(np.arange(targets.size), counts), columns] = order + shift
    if include_self:
        table[:, 0] = targets
    return _put(x, from_array(targets.astype(np.int64)), _rows(line, table, reduce))


def _rows(line, table, reduce):
    """The reduction of the elements of a vector that the rows of a table name; -1 names none."""
    neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": -np.inf, "amin": np.inf}[reduce]
    if not line.dtype.is_floating_point and reduce in ("amax", "amin"):
        bounds = np.iinfo(line.dtype.numpy) if line.dtype is not dtypes.bool_ else None
        neutral = (0 if bounds is None else bounds.min) if reduce == "amax" else (1 if bounds is None else bounds.max)
    padded = cat((line, full((1,), neutral, dtype=line.dtype)))
    rows = getitem(padded, (from_array(np.where(table < 0, line.numel(), table)),))
    if reduce == "amax":
        return amax(rows, 1)
    if reduce == "amin":
        return amin(rows, 1)
    total = prod(rows, 1) if reduce == "prod" else rows.sum(1)
    if reduce == "mean":
        counts = from_array((table >= 0).sum(1))
        total = total / counts.to(total.dtype) if total.dtype.is_floating_point else total // counts
    return total.to(line.dtype)


@with_axis
def scatter(x: Tensor, dim: int, index: Tensor, src=None, *, value=None, reduce=None) -> Tensor:
    """x with ``out[index[i][j]][j] = src[i][j]`` for dim 0, and so on; ``src`` is a tensor or a number.

    Args:
        reduce: "add" or "multiply", to join with what was there.

    Raises:
        RuntimeError, IndexError: if the index does not fit.
    """
    src = value if src is None else src
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f"scatter() knows the reductions 'add' and 'multiply', got {reduce!r}; use scatter_reduce()")
    flat = _flat(x, dim, index, "scatter")
    values = _fitting(src, x, index, "scatter")
    if reduce is None:
        return _put(x, flat, values)
    return _reduced(x, flat, values, {"add": "sum", "multiply": "prod"}[reduce], True)


@with_axis
def scatter_add(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """x with ``out[index[i][j]][j] += src[i][j]`` for dim 0, and so on."""
    return _added(x, _flat(x, dim, index, "scatter_add"), _fitting(src, x, index, "scatter_add"))


@with_axis
def scatter_reduce(x: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self=True) -> Tensor:
    """x with the elements of src joined at an index along a dimension: "sum", "prod", "mean", "amax" or "amin".

    Equal extremes share the gradient evenly. Without ``include_self`` what was there counts only where nothing comes.
    """
    if reduce not in REDUCTIONS:
        raise RuntimeError(f"scatter_reduce() knows {', '.join(REDUCTIONS)}, got {reduce!r}")
    values = _fitting(src, x, index, "scatter_reduce")
    return _reduced(x, _flat(x, dim, index, "scatter_reduce"), values, reduce, include_self)


# Whole slices


def _slices(x, dim, index, source, name, from_end=False):
    """Flat positions and values of slices along a dimension, named by a vector; negative ones count ``from_end``."""
    if whole_numbers(index, name).ndim > 1:
        raise OutOfRange(f"{name}() takes a vector of integers as index, got shape {tuple(index.shape)}")
    d = dimension(dim, x.ndim)
    index = reshape(index, -1)
    shape = tuple(index.numel() if k == d else s for k, s in enumerate(x.shape))
    wide = expand(reshape(index, tuple(-1 if k == d else 1 for k in range(x.ndim))), shape) if x.ndim else index.reshape(())
    if isinstance(source, Tensor) and source.ndim and tuple(source.shape) != shape and source.numel() != wide.numel():
        raise OutOfRange(f"{name}() needs a source of shape {shape}, got {source.shape}")
    if isinstance(source, Tensor) and source.ndim:
        source = reshape(source, shape)
    if from_end:
        wide = where(wide < 0, wide + (x.shape[d] if x.ndim else 1), wide)
    return _flat(x, d, wide, name), _fitting(source, x, wide, name)


@with_axis
def index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha=1) -> Tensor:
    """x with ``alpha`` times the slices of source added to those that a vector of integers names."""
    return _added(x, *_slices(x, dim, index, source if alpha == 1 else source * alpha, "index_add"))


@with_axis
def index_copy(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """x with the slices that a vector of integers names replaced by those of source."""
    return _put(x, *_slices(x, dim, index, source, "index_copy"))


@with_axis
def index_fill(x: Tensor, dim: int, index: Tensor, value) -> Tensor:
    """x with the slices that a vector of integers names filled with a number."""
    value = value.to(x.dtype) if isinstance(value, Tensor) else value
    return _put(x, *_slices(x, dim, index, value, "index_fill", from_end=True))


@with_axis
def index_reduce(x: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self=True) -> Tensor:
    """x with slices of source joined to those that a vector of integers names: "prod", "mean", "amax" or "amin"."""
    if reduce not in REDUCTIONS[1:]:
        raise RuntimeError(f"index_reduce() knows {', '.join(REDUCTIONS[1:])}, got {reduce!r}")
    return _reduced(x, *_slices(x, dim, index, source, "index_reduce"), reduce, include_self)


def index_put(x: Tensor, indices, values, accumulate=False) -> Tensor:
    """x with values at the places that tensors of integers, or masks, name together."""
    _same_dtype(x, values, "index_put")
    values = as_tensor(values, dtype=x.dtype)
    key = tuple(slice(None) if k is None else k for k in indices)
    if accumulate:
        flat = positions(x, key)
        return _added(x, reshape(flat, -1), reshape(expand(values, flat.shape), -1))
    result = clone(x)
    setitem(result, key, values)
    return result


def take(x: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened x at an index, in its shape; negative ones count from the end."""
    if isinstance(index, (list, np.ndarray)):
        return getitem(reshape(x, -1), (np.asarray(index, dtype=None if len(index) else np.int64),))
    whole_numbers(index, "take")
    return getitem(reshape(x, -1), (index,)) if index.ndim else getitem(reshape(x, -1), (reshape(index, 1),)).reshape(())


def put(x: Tensor, index: Tensor, source: Tensor, accumulate=False) -> Tensor:
    """x with elements of source at an index into the flattened x; added if ``accumulate``."""
    _same_dtype(x, source, "put")
    flat = whole_numbers(index, "put")._array().reshape(-1)
    flat = from_array(np.where(flat < 0, flat + x.numel(), flat))
    values = reshape(source, -1)
    return _added(x, flat, values) if accumulate else _put(x, flat, values)


# Masks


def _mask(mask):
    if not isinstance(mask, Tensor):
        mask = as_tensor(mask)
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"a mask is a bool tensor, got {mask.dtype}")
    return mask


def masked_fill(x: Tensor, mask: Tensor, value) -> Tensor:
    """x with a number where the mask is true."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"masked_fill() takes a number or a tensor without dimensions as value, got shape {value.shape}")
    return where(_mask(mask), value if not isinstance(value, Tensor) else value.to(x.dtype), x).to(x.dtype)


def masked_select(x: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, as a vector; x and mask are broadcast."""
    shape = broadcast_shapes(x.shape, mask.shape)
    return getitem(reshape(expand(x, shape), -1), (reshape(expand(_mask(mask), shape), -1),))


def masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """x with elements of source, one after the other, where the mask is true."""
    _same_dtype(x, source, "masked_scatter")
    shape = broadcast_shapes(x.shape, mask.shape)
    result = clone(expand(x, shape))
    chosen = expand(_mask(mask), shape)
    count = int(chosen._array().sum())
    if source.numel() < count:
        raise RuntimeError(f"masked_scatter() needs {count} elements for the true ones of the mask, got {source.numel()}")
    setitem(result, (chosen,), narrow(reshape(source, -1), 0, 0, count))
    return result


# A part replaced


def select_scatter(x: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """x with the slice at an index of a dimension replaced."""
    return _replaced(x, (slice(None),) * dimension(dim, x.ndim) + (int(index),), src)


def slice_scatter(x: Tensor, src: Tensor, dim=0, start=None, end=None, step=1) -> Tensor:
    """x with the slices from start to end of a dimension replaced."""
    return _replaced(x, (slice(None),) * dimension(dim, x.ndim) + (slice(start, end, step),), src)


def diagonal_scatter(x: Tensor, src: Tensor, offset=0, dim1=0, dim2=1) -> Tensor:
    """x with a diagonal replaced."""
    numbers = diagonal(from_array(np.arange(x.numel()).reshape(tuple(x.shape))), offset, dim1, dim2)
    return _put(x, reshape(numbers, -1), reshape(expand(src, numbers.shape), -1))


def _replaced(x, key, src):
    result = clone(x)
    setitem(result, key, src)
    return result


METHODS = """scatter scatter_add scatter_reduce index_add index_copy index_fill index_reduce index_put take put
    masked_fill masked_select masked_scatter select_scatter slice_scatter diagonal_scatter""".split()
INPLACE = """scatter scatter_add scatter_reduce index_add index_copy index_fill index_reduce index_put put masked_fill
    masked_scatter""".split()
FUNCTIONS_ONLY = []
ALIASES = {}
