"""np.linspace, np.interp and np.trapezoid with active numbers."""

import numpy as np
from numba.core import types

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.arrays import at, constant_element
from tapejit.nopython.exchange import is_absent, replaces
from tapejit.nopython.scalars import primal
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import is_active, is_active_array, is_number


@active_function
def _spaced(start, stop, num):
    out = empty_like_element((num,), start + stop)
    for k in range(num):
        out[k] = start + k * ((stop - start) / (num - 1)) if num > 1 else start + 0.0 * stop
    if num > 1:
        out[num - 1] = stop
    return out


@replaces(np.linspace)
def _linspace(start, stop, num=50):
    if isinstance(num, (int, types.Omitted, types.Integer)) and (is_active(start) or is_active(stop)):
        return lambda start, stop, num=50: _spaced(start, stop, num)
    return None


@active_function
def _interpolate(x, xp, fp):
    """Linear between the points, constant outside; at a point itself the derivative is that to its right."""
    if xp.size == 0 or xp.size != fp.size:
        raise ValueError("interp needs as many values as points, and at least one")
    like = constant_element(x) * constant_element(xp) * constant_element(fp) * 0.0
    last = xp.size - 1
    if not primal(x) < primal(xp[last]):
        return fp[last] + like if primal(x) == primal(x) else x + like
    if primal(x) < primal(xp[0]):
        return fp[0] + like
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        if primal(x) < primal(xp[middle]):
            high = middle
        else:
            low = middle
    return fp[low] + (fp[high] - fp[low]) / (xp[high] - xp[low]) * (x - xp[low]) + like


@active_function
def _interpolate_each(x, xp, fp):
    out = empty_like_element(x.shape, constant_element(x) * constant_element(xp) * constant_element(fp))
    for k in range(x.size):
        out[k] = _interpolate(at(x, 0, 0, k), xp, fp)
    return out


@replaces(np.interp)
def _interp(x, xp, fp):
    if not all(isinstance(ty, types.Array) and ty.ndim == 1 for ty in (xp, fp)):
        return None
    item = x.dtype if isinstance(x, types.Array) else x
    if not (is_active(item) or is_active_array(xp) or is_active_array(fp)):
        return None
    if isinstance(x, types.Array) and x.ndim == 1:
        return lambda x, xp, fp: _interpolate_each(x, xp, fp)
    return (lambda x, xp, fp: _interpolate(x, xp, fp)) if is_active(x) or is_number(x) else None


@active_function
def _trapezoid(y, x):
    total = 0.0 * (constant_element(y) + constant_element(x))
    for k in range(1, y.size):
        total += 0.5 * (x[k] - x[k - 1]) * (y[k] + y[k - 1])
    return total


@active_function
def _even_trapezoid(y, dx):
    total = 0.0 * constant_element(y) * dx
    for k in range(1, y.size):
        total += 0.5 * dx * (y[k] + y[k - 1])
    return total


@replaces(np.trapezoid)
def _trapezoids(y, x=None, dx=1.0):
    if not (isinstance(y, types.Array) and y.ndim == 1 and (is_active_array(y) or is_active_array(x) or is_active(dx))):
        return None
    if is_absent(x):
        return lambda y, x=None, dx=1.0: _even_trapezoid(y, dx)
    return (lambda y, x=None, dx=1.0: _trapezoid(y, x)) if isinstance(x, types.Array) and x.ndim == 1 else None
