"""NumPy's sums, moments, quantiles and their forms without NaN, on tensors."""

import math

import numpy as np

from tapejit.core import dtypes
from tapejit.eager import arranging, cumulative, reductions, summaries
from tapejit.eager.creation import full
from tapejit.eager.functional import where as _where
from tapejit.eager.indexing import cat
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import fold_product, tensor_of
from tapejit.eager.views import dimension


def floats(x):
    return x if x.dtype.is_floating_point else x.to(dtypes.get_default_dtype())


def ptp(a, axis=None, keepdims=False):
    return reductions.amax(a, axis, keepdims) - reductions.amin(a, axis, keepdims)


def average(a, axis=None, weights=None, returned=False, keepdims=False):
    if weights is None:
        result = reductions.mean(floats(a), axis, keepdims)
        total = full((), a.numel() / max(result.numel(), 1), dtype=result.dtype).expand(result.shape)
    else:
        weights = floats(tensor_of(weights))
        if weights.shape != a.shape:
            weights = weights.reshape([-1 if d == dimension(axis, a.ndim) else 1 for d in range(a.ndim)]).expand(a.shape)
        total = reductions.sum(weights, axis, keepdims)
        result = reductions.sum(a * weights, axis, keepdims) / total
    return (result, total) if returned else result


def without_nan(a, neutral):
    return _where(a != a, neutral, a) if a.dtype.is_floating_point else a


def nanprod(a, axis=None, dtype=None, keepdims=False):
    return fold_product(without_nan(a if dtype is None else a.to(dtype), 1.0), axis, keepdims)


def nancumsum(a, axis=None, dtype=None):
    return cumsum(without_nan(a, 0.0), axis, dtype)


def nancumprod(a, axis=None, dtype=None):
    return cumprod(without_nan(a, 1.0), axis, dtype)


def _nan_extreme(function, neutral):
    def extreme(a, axis=None, keepdims=False):
        found = function(without_nan(a, neutral), axis, keepdims)
        nothing = reductions.all(a != a, axis, keepdims) if axis is None or isinstance(axis, int) else found == neutral
        return _where(nothing, math.nan, found) if a.dtype.is_floating_point else found

    return extreme


nanmax, nanmin = _nan_extreme(reductions.amax, -math.inf), _nan_extreme(reductions.amin, math.inf)


def nanvar(a, axis=None, dtype=None, ddof=0, keepdims=False):
    a = floats(a) if dtype is None else a.to(dtype)
    there = a == a
    count = reductions.sum(there.to(a.dtype), axis, True)
    centred = _where(there, a - summaries.nanmean(a, axis, True), 0.0)
    total = reductions.sum(centred * centred, axis, True) / (count - ddof)
    return total if keepdims else reductions.sum(total, axis)


def nanstd(a, axis=None, dtype=None, ddof=0, keepdims=False):
    return nanvar(a, axis, dtype, ddof, keepdims).sqrt()


def cumulative_sum(x, axis=None, dtype=None, include_initial=False):
    return _running(cumsum, x, axis, dtype, include_initial, 0)


def cumulative_prod(x, axis=None, dtype=None, include_initial=False):
    return _running(cumprod, x, axis, dtype, include_initial, 1)


def _running(function, x, axis, dtype, include_initial, first):
    if axis is None and x.ndim > 1:
        raise ValueError("a cumulative sum or product of more than one dimension needs an axis")
    found, axis = function(x, axis, dtype), dimension(0 if axis is None else axis, x.ndim)
    if not include_initial:
        return found
    shape = tuple(1 if d == axis else s for d, s in enumerate(found.shape))
    return cat((full(shape, first, dtype=found.dtype), found), axis)


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
            found = function(floats(flat), q, -1, interpolation=method)
            kept = tuple(s if d in rest else 1 for d, s in enumerate(a.shape))
            return found.reshape((*q.shape, *kept)) if keepdims else found
        return function(floats(a), q, axis, keepdims, interpolation=method)

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


def nanargmax(a, axis=None, keepdims=False):
    return reductions.argmax(without_nan(a, -math.inf), axis, keepdims)


def nanargmin(a, axis=None, keepdims=False):
    return reductions.argmin(without_nan(a, math.inf), axis, keepdims)
