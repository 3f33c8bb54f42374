"""Functions of data: medians, percentiles, covariances, convolutions, sums that leave NaN out, places in a sorted array.

Each takes the arguments that Numba's own form takes of the plain function: whole arrays, no axis.
"""

import numpy as np
from numba.core import types

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.arrayproducts import vector_dot
from tapejit.nopython.arrayreductions import _values, number_array, order_of, total
from tapejit.nopython.arrays import constant_element
from tapejit.nopython.contiguous import row_of
from tapejit.nopython.exchange import flag, is_absent, replaces
from tapejit.nopython.scalars import primal
from tapejit.nopython.statements import element_like
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import is_active, is_active_array, is_number


def _among(dimensions, *tys):
    """Whether these are arrays of numbers of so many dimensions, one of them active."""
    fit = all(number_array(ty) and ty.ndim == dimensions for ty in tys)
    return fit and any(is_active_array(ty) for ty in tys)


def _text(ty):
    """The value of a text argument that is known when compiling; None if it is not."""
    if isinstance(ty, types.Omitted):
        return ty.value
    return ty.literal_value if isinstance(ty, types.StringLiteral) else ty


@active_function
def _without_nan(a):
    """The elements that are numbers, in a vector."""
    count = 0
    for x in a.flat:
        if primal(x) == primal(x):
            count += 1
    out = empty_like_element((count,), element_like(a))
    k = 0
    for x in a.flat:
        if primal(x) == primal(x):
            out[k] = x
            k += 1
    return out


@active_function
def _nan_sum(a):
    return total(_without_nan(a))


@active_function
def _nan_mean(a):
    kept = _without_nan(a)
    return total(kept) / kept.size


@replaces(np.nansum)
def _nansum(a):
    return _nan_sum if is_active_array(a) else None


@replaces(np.nanmean)
def _nanmean(a):
    return _nan_mean if is_active_array(a) else None


@active_function
def _rising(a):
    """The elements in rising order, NaN last, equal ones as they stand."""
    flat = row_of(a)
    order = order_of(flat)
    out = empty_like_element((flat.size,), element_like(a))
    for k in range(flat.size):
        out[k] = flat[order[k]]
    return out


@active_function
def _middle(a):
    n = a.size
    if n == 0:
        raise ValueError("a median needs at least one value")
    rising = _rising(a)
    if primal(rising[n - 1]) != primal(rising[n - 1]):
        return rising[n - 1]
    return rising[n // 2] * 1.0 if n % 2 else (rising[n // 2 - 1] + rising[n // 2]) * 0.5


@replaces(np.median)
def _median(a):
    return _middle if is_active_array(a) else None


@active_function
def _quantile_of(rising, q):
    """Linear between the two nearest values; NaN, which is sorted last, makes everything NaN."""
    n = rising.size
    if n == 0:
        raise ValueError("a percentile needs at least one value")
    if not 0.0 <= primal(q) <= 1.0:
        raise ValueError("percentiles must be in the range [0, 100], quantiles in [0, 1]")
    place = q * (n - 1)
    low = max(min(int(primal(place)), n - 2), 0)
    slope = rising[min(low + 1, n - 1)] - rising[low]
    if primal(rising[n - 1]) != primal(rising[n - 1]):
        return rising[n - 1] + 0.0 * place
    return rising[low] + slope * (place - low)


@active_function
def _one_quantile(a, q, scale):
    return _quantile_of(_rising(a), q / scale)


@active_function
def _quantiles(a, q, scale):
    rising = _rising(a)
    out = empty_like_element((q.size,), constant_element(a) * constant_element(q))
    for k in range(q.size):
        out[k] = _quantile_of(rising, q[k] / scale)
    return out


def _enter_quantile(function, scale):
    @replaces(function)
    def typer(a, q):
        if not is_active_array(a):
            return None
        if number_array(q) and q.ndim == 1:
            return lambda a, q: _quantiles(a, q, scale)
        return (lambda a, q: _one_quantile(a, q, scale)) if is_number(q) or is_active(q) else None


_enter_quantile(np.percentile, 100.0)
_enter_quantile(np.quantile, 1.0)


@active_function
def _covariances(m):
    """Of the rows of ``m``, divided by one less than the number of observations."""
    count = m.shape[1]
    centred = empty_like_element(m.shape, element_like(m))
    for i in range(m.shape[0]):
        mean = total(m[i]) / count
        for k in range(count):
            centred[i, k] = m[i, k] - mean
    out = empty_like_element((m.shape[0], m.shape[0]), element_like(m))
    for i in range(m.shape[0]):
        for j in range(i + 1):
            out[i, j] = vector_dot(centred[i], centred[j]) / (count - 1)
            out[j, i] = out[i, j]
    return out


@active_function
def _covariances_of_two(x, y):
    if x.size != y.size:
        raise ValueError("the two variables of np.cov have the same number of observations")
    m = empty_like_element((2, x.size), constant_element(x) * constant_element(y))
    for k in range(x.size):
        m[0, k] = x[k]
        m[1, k] = y[k]
    return _covariances(m)


@replaces(np.cov)
def _cov(m, y=None, rowvar=True):
    rows = flag(rowvar)
    if not is_absent(y):
        fits = _among(1, m, y) and rows is True
        return (lambda m, y=None, rowvar=True: _covariances_of_two(m, y)) if fits else None
    if not _among(2, m) or rows is None:
        return None
    if rows:
        return lambda m, y=None, rowvar=True: _covariances(m)
    return lambda m, y=None, rowvar=True: _covariances(m.T)


@active_function
def _convolution(a, b, start, stop):
    """Items ``start`` to ``stop`` of the full convolution."""
    n, m = a.size, b.size
    out = empty_like_element((stop - start,), constant_element(a) * constant_element(b))
    backwards = b[::-1]
    for k in range(start, stop):
        low, high = max(0, k - m + 1), min(n, k + 1)
        out[k - start] = vector_dot(a[low:high], backwards[m - 1 - k + low : m - 1 - k + high])
    return out


@active_function
def _check_convolution(a, b):
    if a.size == 0 or b.size == 0:
        raise ValueError("np.convolve takes arrays that are not empty")


@active_function
def _full_convolution(a, b):
    _check_convolution(a, b)
    return _convolution(a, b, 0, a.size + b.size - 1)


@active_function
def _same_convolution(a, b):
    _check_convolution(a, b)
    start = (min(a.size, b.size) - 1) // 2
    return _convolution(a, b, start, start + max(a.size, b.size))


@active_function
def _valid_convolution(a, b):
    _check_convolution(a, b)
    return _convolution(a, b, min(a.size, b.size) - 1, max(a.size, b.size))


_CONVOLUTIONS = {"full": _full_convolution, "same": _same_convolution, "valid": _valid_convolution}


@replaces(np.convolve)
def _convolve(a, v, mode="full"):
    form = _CONVOLUTIONS.get(_text(mode)) if _among(1, a, v) else None
    return None if form is None else (lambda a, v, mode="full": form(a, v))


@active_function
def _cross_into(out, a, b):
    if a.size != 3 or b.size != 3:
        raise ValueError("np.cross takes vectors of three numbers here")
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@active_function
def _cross_of_vectors(a, b):
    out = empty_like_element((3,), constant_element(a) * constant_element(b))
    _cross_into(out, a, b)
    return out


@active_function
def _cross_of_rows(a, b):
    if a.shape != b.shape:
        raise ValueError("np.cross takes matrices of one shape")
    out = empty_like_element((a.shape[0], 3), constant_element(a) * constant_element(b))
    for row in range(a.shape[0]):
        _cross_into(out[row], a[row], b[row])
    return out


@replaces(np.cross)
def _cross(a, b):
    if _among(1, a, b):
        return _cross_of_vectors
    return _cross_of_rows if _among(2, a, b) else None


@active_function
def _place(a, v):
    return np.searchsorted(_values(a), primal(v))


@active_function
def _place_right(a, v):
    return np.searchsorted(_values(a), primal(v), "right")


@active_function
def _places(a, v):
    return np.searchsorted(_values(a), _values(v))


@active_function
def _places_right(a, v):
    return np.searchsorted(_values(a), _values(v), "right")


_PLACES = {("left", 0): _place, ("right", 0): _place_right, ("left", 1): _places, ("right", 1): _places_right}


@replaces(np.searchsorted)
def _searchsorted(a, v, side="left"):
    """Places are integers, constants to derivatives."""
    many = number_array(v) and v.ndim == 1
    if not (number_array(a) and a.ndim == 1 and (many or is_number(v) or is_active(v))):
        return None
    form = _PLACES.get((_text(side), int(many)))
    if form is None or not (is_active_array(a) or is_active_array(v) or is_active(v)):
        return None
    return lambda a, v, side="left": form(a, v)
