"""NumPy's functions on tensors that are more than another name: with NumPy's arguments, defaults and meanings.

``numpytable`` names them, beside those that are another function under another name. Arguments called ``a``, ``x`` and the like
are tensors already.
"""

import math

import numpy as np

from tapejit.core import dtypes
from tapejit.eager import (
    arithmetic,
    arranging,
    contraction,
    cumulative,
    linalg,
    reductions,
    sorting,
    summaries,
)
from tapejit.eager.creation import full
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import where as _where
from tapejit.eager.indexing import cat, getitem, index_select, narrow, setitem, take_along_dim
from tapejit.eager.indexing import stack as _stack
from tapejit.eager.indexing import tril as lower
from tapejit.eager.indexing import triu as upper
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import fold_product, promoted, tensor_of
from tapejit.eager.views import clone, dimension, flip, permute, reverse_dims, unsqueeze
from tapejit.eager.views import diagonal as _diagonal
from tapejit.eager.views import reshape as _reshape


def _floats(x):
    return x if x.dtype.is_floating_point else x.to(dtypes.get_default_dtype())


# Sums and moments


def mean(a, axis=None, dtype=None, keepdims=False):
    return reductions.mean(_floats(a) if dtype is None else a.to(dtype), axis, keepdims)


def prod(a, axis=None, dtype=None, keepdims=False):
    return fold_product(a if dtype is None else a.to(dtype), axis, keepdims)


def var(a, axis=None, dtype=None, ddof=0, keepdims=False, correction=None):
    a = a if dtype is None else a.to(dtype)
    return reductions.var(a, axis, keepdims, correction=ddof if correction is None else correction)


def std(a, axis=None, dtype=None, ddof=0, keepdims=False, correction=None):
    a = a if dtype is None else a.to(dtype)
    return reductions.std(a, axis, keepdims, correction=ddof if correction is None else correction)


def ptp(a, axis=None, keepdims=False):
    return reductions.amax(a, axis, keepdims) - reductions.amin(a, axis, keepdims)


def average(a, axis=None, weights=None, returned=False, keepdims=False):
    if weights is None:
        result = mean(a, axis, keepdims=keepdims)
        total = full((), a.numel() / max(result.numel(), 1), dtype=result.dtype).expand(result.shape)
    else:
        weights = _floats(tensor_of(weights))
        if weights.shape != a.shape:
            weights = weights.reshape([-1 if d == dimension(axis, a.ndim) else 1 for d in range(a.ndim)]).expand(a.shape)
        total = reductions.sum(weights, axis, keepdims)
        result = reductions.sum(a * weights, axis, keepdims) / total
    return (result, total) if returned else result


def _without_nan(a, neutral):
    return _where(a != a, neutral, a) if a.dtype.is_floating_point else a


def nanprod(a, axis=None, dtype=None, keepdims=False):
    return prod(_without_nan(a, 1.0), axis, dtype, keepdims)


def nancumsum(a, axis=None, dtype=None):
    return cumsum(_without_nan(a, 0.0), axis, dtype)


def nancumprod(a, axis=None, dtype=None):
    return cumprod(_without_nan(a, 1.0), axis, dtype)


def _nan_extreme(function, neutral):
    def extreme(a, axis=None, keepdims=False):
        found = function(_without_nan(a, neutral), axis, keepdims)
        nothing = reductions.all(a != a, axis, keepdims) if axis is None or isinstance(axis, int) else found == neutral
        return _where(nothing, math.nan, found) if a.dtype.is_floating_point else found

    return extreme


nanmax, nanmin = _nan_extreme(reductions.amax, -math.inf), _nan_extreme(reductions.amin, math.inf)


def nanvar(a, axis=None, dtype=None, ddof=0, keepdims=False):
    a = _floats(a) if dtype is None else a.to(dtype)
    there = a == a
    count = reductions.sum(there.to(a.dtype), axis, True)
    centred = _where(there, a - summaries.nanmean(a, axis, True), 0.0)
    total = reductions.sum(centred * centred, axis, True) / (count - ddof)
    return total if keepdims else reductions.sum(total, axis)


def nanstd(a, axis=None, dtype=None, ddof=0, keepdims=False):
    return nanvar(a, axis, dtype, ddof, keepdims).sqrt()


def cumsum(a, axis=None, dtype=None):
    return reductions.cumsum(a.reshape(-1) if axis is None else a, 0 if axis is None else axis, dtype=dtype)


def cumprod(a, axis=None, dtype=None):
    return cumulative.cumprod(a.reshape(-1) if axis is None else a, 0 if axis is None else axis, dtype=dtype)


def _quantiles(function, scale):
    def quantile(a, q, axis=None, method="linear", keepdims=False):
        q = q.detach()._array() if isinstance(q, Tensor) and not q.requires_grad else q
        q = q / scale if isinstance(q, Tensor) else tensor_of(np.asarray(q, dtype=np.float64) / scale)
        if isinstance(axis, (tuple, list)):
            rest = [d for d in range(a.ndim) if d not in [dimension(k, a.ndim) for k in axis]]
            order = (*rest, *(d for d in range(a.ndim) if d not in rest))
            flat = a.permute(order).reshape(*(a.shape[d] for d in rest), -1)
            found = function(_floats(flat), q, -1, interpolation=method)
            kept = tuple(s if d in rest else 1 for d, s in enumerate(a.shape))
            return found.reshape((*q.shape, *kept)) if keepdims else found
        return function(_floats(a), q, axis, keepdims, interpolation=method)

    return quantile


quantile, percentile = _quantiles(summaries.quantile, 1.0), _quantiles(summaries.quantile, 100.0)
nanquantile, nanpercentile = _quantiles(summaries.nanquantile, 1.0), _quantiles(summaries.nanquantile, 100.0)


def median(a, axis=None, keepdims=False):
    return quantile(a, 0.5, axis, keepdims=keepdims)


def nanmedian(a, axis=None, keepdims=False):
    return nanquantile(a, 0.5, axis, keepdims=keepdims)


def _variables(m, y, rowvar):
    rows = m if rowvar or m.ndim < 2 else m.mT
    if y is not None:
        y = tensor_of(y)
        y = y if rowvar or y.ndim < 2 else y.mT
        rows = cat((arranging.atleast_2d(rows), arranging.atleast_2d(y)))
    return rows


def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None):
    weights = {name: None if w is None else tensor_of(w) for name, w in (("fweights", fweights), ("aweights", aweights))}
    return summaries.cov(_variables(m, y, rowvar), correction=int(not bias) if ddof is None else ddof, **weights)


def corrcoef(x, y=None, rowvar=True):
    return summaries.corrcoef(_variables(x, y, rowvar))


# Shapes


def transpose(a, axes=None):
    return reverse_dims(a) if axes is None else permute(a, tuple(axes))


def expand_dims(a, axis):
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for d in sorted(k % (a.ndim + len(axes)) for k in axes):
        a = unsqueeze(a, d)
    return a


def reshape(a, shape, order="C", copy=None):
    if order not in ("C", "A"):
        raise TypeError("np.reshape() of tensors knows the order 'C' only; transpose before and after it")
    return _reshape(a, *((shape,) if isinstance(shape, (tuple, list)) else (int(shape),)))


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


# Products


def dot(a, b):
    a, b = promoted(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    return contraction.tensordot(a, b, ((-1,), (-2 if b.ndim > 1 else 0,)))


def outer(a, b):
    a, b = promoted(a, b)
    return linalg.outer(a.reshape(-1), b.reshape(-1))


def vdot(a, b):
    a, b = promoted(a, b)
    return linalg.dot(a.reshape(-1), b.reshape(-1))


def inner(a, b):
    return contraction.inner(*promoted(a, b))


def tensordot(a, b, axes=2):
    return contraction.tensordot(*promoted(a, b), axes)


def kron(a, b):
    return linalg.kron(*promoted(a, b))


def cross(a, b, axis=-1):
    return linalg.cross(*promoted(a, b), dim=axis)


def einsum(*operands, optimize=False):
    if isinstance(operands[0], str):
        return contraction.einsum(operands[0], *promoted(*operands[1:]))
    return contraction.einsum(*[tensor_of(x) if k % 2 == 0 and k < len(operands) - 1 else x for k, x in enumerate(operands)])


def trace(a, offset=0, axis1=0, axis2=1):
    return reductions.sum(_diagonal(a, offset, axis1, axis2), -1)


def tril(m, k=0):
    return lower(_rows(m), k)


def triu(m, k=0):
    return upper(_rows(m), k)


def _rows(m):
    """A vector as the square matrix with it in each row."""
    return m if m.ndim != 1 else m.expand(m.numel(), m.numel())


def vander(x, N=None, increasing=False):
    powers = linalg.vander(x, N)
    return powers if increasing else flip(powers, -1)


def convolve(a, v, mode="full"):
    a, v = promoted(a, v)
    a, v = (v, a) if v.numel() > a.numel() else (a, v)
    n = v.numel()
    windows = arranging.unfold(arranging.constant_pad_nd(a, (n - 1, n - 1)), 0, n, 1)
    found = linalg.matmul(windows, flip(v, 0))
    if mode == "full":
        return found
    if mode == "same":
        return narrow(found, 0, (n - 1) // 2, a.numel())
    if mode == "valid":
        return narrow(found, 0, n - 1, a.numel() - n + 1)
    raise ValueError(f"np.convolve() knows the modes full, same and valid, got {mode!r}")


def correlate(a, v, mode="valid"):
    a, v = promoted(a, v)
    if v.numel() > a.numel():
        return flip(convolve(v, flip(a, 0), mode), 0)
    return convolve(a, flip(v, 0), mode)


# Choosing


def where(condition, x=None, y=None):
    condition = arithmetic.condition(condition)
    return _where(condition) if x is None and y is None else _where(condition, x, y)


def select(condlist, choicelist, default=0):
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = where(tensor_of(condition), tensor_of(choice), result)
    return result


def take(a, indices, axis=None):
    indices = tensor_of(indices)
    if axis is None:
        a, axis = a.reshape(-1), 0
    return getitem(a, (slice(None),) * dimension(axis, a.ndim) + (indices if indices.ndim else int(indices),))


def take_along_axis(arr, indices, axis=-1):
    return take_along_dim(arr, tensor_of(indices), axis)


def compress(condition, a, axis=None):
    chosen = from_array(np.flatnonzero(tensor_of(condition)._array()))
    return index_select(a.reshape(-1) if axis is None else a, 0 if axis is None else axis, chosen)


def extract(condition, arr):
    return compress(tensor_of(condition).reshape(-1), arr)


def sort(a, axis=-1):
    return sorting.sort(a.reshape(-1) if axis is None else a, 0 if axis is None else axis)[0]


def argsort(a, axis=-1):
    return sorting.argsort(a.reshape(-1) if axis is None else a, 0 if axis is None else axis)


def partition(a, kth, axis=-1):
    return sort(a, axis)


def argpartition(a, kth, axis=-1):
    return argsort(a, axis)


def nonzero(a):
    return arranging.nonzero(a, as_tuple=True)


def flatnonzero(a):
    return arranging.nonzero(a.reshape(-1), as_tuple=True)[0]


def copyto(dst, src, where=True):
    setitem(dst, Ellipsis, tensor_of(src) if where is True else _where(arithmetic.condition(tensor_of(where)), src, dst))


# Differences and interpolation


def diff(a, n=1, axis=-1, prepend=None, append=None):
    ends = [None if e is None else tensor_of(e).to(a.dtype) for e in (prepend, append)]
    axis = dimension(axis, a.ndim)
    one = tuple(1 if d == axis else s for d, s in enumerate(a.shape))
    return cumulative.diff(a, n, axis, *(e if e is None or e.ndim else e.expand(one) for e in ends))


def ediff1d(ary, to_end=None, to_begin=None):
    middle = cumulative.diff(ary.reshape(-1))
    ends = [None if e is None else tensor_of(e).to(middle.dtype).reshape(-1) for e in (to_begin, to_end)]
    return cat([part for part in (ends[0], middle, ends[1]) if part is not None])


def gradient(f, *varargs, axis=None, edge_order=1):
    axes = list(range(f.ndim)) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    spacing = [v if isinstance(v, (int, float)) else tensor_of(v) for v in varargs] or [1.0]
    spacing = spacing * len(axes) if len(spacing) == 1 else spacing
    found = cumulative.gradient(f, spacing=spacing, dim=axes, edge_order=edge_order)
    return found[0] if len(axes) == 1 else found


def trapezoid(y, x=None, dx=1.0, axis=-1):
    return cumulative.trapezoid(y, None if x is None else tensor_of(x), dx=dx, dim=axis)


def interp(x, xp, fp, left=None, right=None, period=None):
    if period is not None:
        raise TypeError("np.interp(period=...) of tensors: take the remainder of x first")
    x, xp, fp = promoted(x, xp, fp)
    at = np.clip(np.searchsorted(xp.detach()._array(), x.detach()._array(), "right"), 1, max(xp.numel() - 1, 1))
    high = from_array(np.asarray(at))
    low = high - 1
    x0, x1, y0, y1 = (_elements(t, k) for t, k in ((xp, low), (xp, high), (fp, low), (fp, high)))
    found = y0 + (y1 - y0) * ((x - x0) / (x1 - x0))
    found = _where(x < xp[0], fp[0] if left is None else left, found)
    return _where(x > xp[-1], fp[-1] if right is None else right, found)


def _elements(t, places):
    """Elements of a vector, in the shape of the places."""
    return getitem(t, (places.reshape(-1),)).reshape(places.shape)


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    start, stop = promoted(start, stop)
    start, stop = _floats(start), _floats(stop)
    share = from_array(np.linspace(0.0, 1.0, num, endpoint), start.dtype)
    shape = np.broadcast_shapes(start.shape, stop.shape)
    share = share.reshape((num, *(1,) * len(shape)))
    found = start * (1 - share) + stop * share
    found = arranging.movedim(found, 0, axis) if axis else found
    found = found if dtype is None else found.to(dtype)
    return (found, (stop - start) / max(num - bool(endpoint), 1)) if retstep else found


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    return base ** linspace(start, stop, num, endpoint, dtype=dtype, axis=axis)


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    return linspace(tensor_of(start).log(), tensor_of(stop).log(), num, endpoint, dtype=dtype, axis=axis).exp()


def clip(a, a_min=None, a_max=None, min=None, max=None):
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return clone(a) if low is None and high is None else a.clamp(low, high)


def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    return bool(reductions.all(arithmetic.isclose(a, tensor_of(b), rtol, atol, equal_nan)))


def array_equal(a1, a2):
    a1, a2 = tensor_of(a1), tensor_of(a2)
    return a1.shape == a2.shape and bool(reductions.all(a1 == a2))


def unwrap(p, discont=None, axis=-1, period=2 * math.pi):
    steps = cumulative.diff(p, 1, axis)
    jumps = steps - (steps + period / 2).remainder(period) + period / 2
    jumps = _where((steps.remainder(period) == period / 2) & (steps > 0), jumps - period, jumps)
    jumps = _where(steps.abs() < max(discont or 0.0, period / 2), 0.0, jumps)
    n, d = p.shape[axis], dimension(axis, p.ndim)
    moved = narrow(p, d, 1, n - 1) - reductions.cumsum(jumps.detach(), d)
    return cat((narrow(p, d, 0, 1), moved), d)


# Linear algebra


def solve(a, b):
    a, b = promoted(a, b)
    return linalg.solve(a, b.unsqueeze(-1)).squeeze(-1) if b.ndim == 1 else linalg.solve(a, b)


def cholesky(a, upper=False):
    return linalg.cholesky(a).mT if upper else linalg.cholesky(a)


def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    return linalg.svd(a, full_matrices) if compute_uv else linalg.svdvals(a)


def pinv(a, rcond=None, hermitian=False, rtol=None):
    return linalg.pinv(a, rtol=rcond if rtol is None else rtol, hermitian=hermitian)


def lstsq(a, b, rcond=None):
    a, b = promoted(a, b)
    found = linalg.lstsq(a, b, rcond=rcond, driver="gelsd")
    rows = b.ndim == 1 and found.residuals.ndim == 0
    return found.solution, found.residuals.reshape(1) if rows else found.residuals, found.rank, found.singular_values


def matrix_rank(A, tol=None, hermitian=False, rtol=None):
    return linalg.matrix_rank(A, atol=tol, rtol=rtol, hermitian=hermitian)


def multi_dot(arrays):
    return linalg.multi_dot(promoted(*arrays))


def matrix_trace(x, offset=0):
    return trace(x, offset, -2, -1)


def matmul(x1, x2):
    return linalg.matmul(*promoted(x1, x2))


def vecdot(x1, x2, axis=-1):
    return reductions.sum(x1 * x2, axis)


# What there is to know of an array


def shape(a):
    return tuple(a.shape)


def ndim(a):
    return a.ndim


def size(a, axis=None):
    return a.numel() if axis is None else a.shape[axis]


def iscomplexobj(x):
    return False


def isrealobj(x):
    return True


def result_type(*arrays_and_dtypes):
    return np.result_type(*(x.dtype.numpy if isinstance(x, Tensor) else x for x in arrays_and_dtypes))


# Short ones


def nanargmax(a, axis=None, keepdims=False):
    return reductions.argmax(_without_nan(a, -math.inf), axis, keepdims)


def nanargmin(a, axis=None, keepdims=False):
    return reductions.argmin(_without_nan(a, math.inf), axis, keepdims)


def unstack(x, axis=0):
    return x.unbind(axis)


def digitize(x, bins, right=False):
    edges = bins.detach()._array()
    return from_array(np.asarray(np.digitize(x.detach()._array(), edges, right)))


atleast_1d, atleast_2d, atleast_3d = arranging.atleast_1d, arranging.atleast_2d, arranging.atleast_3d


def polyval(p, x):
    result = p[0] * 0
    x = tensor_of(x)
    for k in range(p.numel()):
        result = result * x + p[k]
    return result


def choose(a, choices):
    options = concatenate([x[None] for x in arranging.broadcast_tensors(a, *map(tensor_of, choices))][1:])
    return take_along_dim(options, a.expand(options.shape[1:])[None], 0)[0]


def astype(x, dtype, copy=True):
    return x.astype(dtype, copy)


def real_if_close(a, tol=100):
    return a


def iscomplex(x):
    return from_array(np.zeros(tuple(x.shape), bool))


def array_equiv(a1, a2):
    try:
        return bool(reductions.all(tensor_of(a1) == tensor_of(a2)))
    except ValueError:
        return False


def tensorsolve(a, b, axes=None):
    return linalg.tensorsolve(*promoted(a, b), axes)
