"""Functions of data: medians and percentiles, covariances, convolutions, sums that leave NaN out, places in a sorted array."""

import numpy as np
from numba.core import types

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.arrayproducts import vector_dot
from tapejit.nopython.arrayreductions import _sorted, _values
from tapejit.nopython.arrays import constant_element
from tapejit.nopython.exchange import is_absent, replaces
from tapejit.nopython.scalars import primal
from tapejit.nopython.statements import element_like
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import is_active, is_active_array, is_number


def _one_active(*tys):
    return any(is_active_array(ty) for ty in tys) and all(isinstance(ty, types.Array) for ty in tys)


@active_function
def _nansum(a):
    total = element_like(a)
    for x in a.flat:
        if primal(x) == primal(x):
            total = total + x
    return total


@replaces(np.nansum)
def _nansum_form(a):
    return _nansum if is_active_array(a) else None


@active_function
def _nanmean(a):
    count = 0
    for x in a.flat:
        count += primal(x) == primal(x)
    return _nansum(a) / count


@replaces(np.nanmean)
def _nanmean_form(a):
    return _nanmean if is_active_array(a) else None


@active_function
def _quantile(rising, q):
    """Linear between the sorted values; NaN, which is sorted last, makes all NaN."""
    n = rising.size
    if n == 0:
        raise ValueError("a percentile needs at least one value")
    if not 0.0 <= q <= 1.0:
        raise ValueError("percentiles must be in the range [0, 100], quantiles in [0, 1]")
    if primal(rising[n - 1]) != primal(rising[n - 1]):
        return rising[n - 1]
    place = q * (n - 1)
    low = min(int(place), n - 1)
    high = min(low + 1, n - 1)
    return rising[low] + (rising[high] - rising[low]) * (place - low)


@active_function
def _quantiles(a, q, scale):
    rising = _sorted(a.ravel())
    out = empty_like_element((q.size,), element_like(a))
    for k in range(q.size):
        out[k] = _quantile(rising, primal(q[k]) / scale)
    return out


@active_function
def _one_quantile(a, q, scale):
    return _quantile(_sorted(a.ravel()), q / scale)


def _enter_quantile(function, scale):
    @replaces(function)
    def form(a, q):
        if not is_active_array(a):
            return None
        if isinstance(q, types.Array) and q.ndim == 1 and (is_number(q.dtype) or is_active_array(q)):
            return lambda a, q: _quantiles(a, q, scale)
        return (lambda a, q: _one_quantile(a, q, scale)) if is_number(q) else None


_enter_quantile(np.percentile, 100.0)
_enter_quantile(np.quantile, 1.0)


@active_function
def _median(a):
    """The mean of the two values in the middle, as NumPy's."""
    n = a.size
    if n == 0:
        raise ValueError("a median needs at least one value")
    rising = _sorted(a.ravel())
    if primal(rising[n - 1]) != primal(rising[n - 1]):
        return rising[n - 1]
    return rising[n // 2] if n % 2 else (rising[n // 2 - 1] + rising[n // 2]) * 0.5


@replaces(np.median)
def _median_form(a):
    return _median if is_active_array(a) else None


@active_function
def _covariance(m):
    n = m.shape[1]
    centred = m - (np.sum(m, axis=1) / n).reshape((m.shape[0], 1))
    return np.dot(centred, centred.T.copy()) / (n - 1)


@active_function
def _covariance_of_two(x, y):
    if x.size != y.size:
        raise ValueError("the two variables must have the same number of observations")
    m = empty_like_element((2, x.size), constant_element(x) * constant_element(y))
    for k in range(x.size):
        m[0, k] = x[k]
        m[1, k] = y[k]
    return _covariance(m)


@replaces(np.cov)
def _cov(m, y=None):
    if is_absent(y):
        fits = is_active_array(m) and m.ndim == 2
        return (lambda m, y=None: _covariance(m)) if fits else None
    fits = _one_active(m, y) and m.ndim == y.ndim == 1
    return (lambda m, y=None: _covariance_of_two(m, y)) if fits else None


@active_function
def _full_convolution(a, b):
    n, m = a.size, b.size
    if n == 0 or m == 0:
        raise ValueError("a convolution needs two arrays that are not empty")
    backwards = b[::-1].copy()
    out = empty_like_element((n + m - 1,), constant_element(a) * constant_element(b))
    for k in range(out.size):
        low, high = max(0, k - m + 1), min(n, k + 1)
        out[k] = vector_dot(a[low:high], backwards[m - 1 - k + low : m - 1 - k + high])
    return out


@replaces(np.convolve)
def _convolve(a, b, mode="full"):
    plain = mode == "full" or (isinstance(mode, types.Omitted) and mode.value == "full")
    plain = plain or (isinstance(mode, types.StringLiteral) and mode.literal_value == "full")
    fits = _one_active(a, b) and a.ndim == b.ndim == 1 and plain
    return (lambda a, b, mode="full": _full_convolution(a, b)) if fits else None


@active_function
def _cross_product(a, b):
    if a.size != 3 or b.size != 3:
        raise ValueError(
            "np.cross takes vectors of three numbers here; see np.dot for what two have in common"
        )
    out = empty_like_element((3,), constant_element(a) * constant_element(b))
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        out[k] = a[i] * b[j] - a[j] * b[i]
    return out


@active_function
def _cross_products(a, b):
    out = empty_like_element(a.shape, constant_element(a) * constant_element(b))
    if a.shape != b.shape:
        raise ValueError("np.cross takes arrays of one shape here")
    for row in range(a.shape[0]):
        out[row] = _cross_product(a[row], b[row])
    return out


@replaces(np.cross)
def _cross(a, b):
    if not _one_active(a, b) or a.ndim != b.ndim or a.ndim > 2:
        return None
    return _cross_product if a.ndim == 1 else _cross_products


@active_function
def _place_of_number(a, v):
    return np.searchsorted(_values(a), primal(v))


@active_function
def _places_of_numbers(a, v):
    return np.searchsorted(_values(a), _values(v))


@active_function
def _place_among_plain(a, v):
    return np.searchsorted(a, primal(v))


@active_function
def _places_among_plain(a, v):
    return np.searchsorted(a, _values(v))


@replaces(np.searchsorted)
def _searchsorted(a, v):
    if (
        not isinstance(a, types.Array)
        or a.ndim != 1
        or not (is_active_array(a) or is_active(v) or is_active_array(v))
    ):
        return None
    if isinstance(v, types.Array):
        return _places_of_numbers if is_active_array(a) else _places_among_plain
    return _place_of_number if is_active_array(a) else _place_among_plain
