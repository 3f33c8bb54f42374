"""Linear algebra and interpolation on active arrays.

``solve`` and ``inv`` compute with LAPACK on the values and differentiate one step of refinement from there: with the
solution x0 and the inverse V of the values,

    x = x0 + V (b - A x0)        X = V + V (1 - A V)

are x0 and V in value, as the brackets are zero, and have the right derivatives: dx = V (db - dA x), dX = -V dA V. So a
solution costs two products' statements, and as x0 and V belong to the level below, second derivatives come out as well.
"""

import math

import numpy as np
from numba.core import types

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.arrayproducts import vector_dot
from tapejit.nopython.arrays import at, constant_element
from tapejit.nopython.exchange import replaces
from tapejit.nopython.like import active_like, values
from tapejit.nopython.scalars import primal
from tapejit.nopython.statements import element_like
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import is_active, is_active_array, is_number


def _is_matrix(ty):
    return isinstance(ty, types.Array) and ty.ndim == 2


# These call themselves one level down, so each pair of types has an implementation of its own.


@replaces(np.linalg.solve)
def _solve(a, b):
    if not (
        _is_matrix(a)
        and isinstance(b, types.Array)
        and b.ndim in (1, 2)
        and any(map(is_active_array, (a, b)))
    ):
        return None

    def implementation(a, b):
        like = active_like((a, b))
        a0 = values(like, a)
        x0 = np.linalg.solve(a0, values(like, b))
        return x0 + np.dot(np.linalg.inv(a0), b - np.dot(a, x0))

    return implementation


@replaces(np.linalg.inv)
def _inv(a):
    if not (_is_matrix(a) and is_active_array(a)):
        return None

    def implementation(a):
        v = np.linalg.inv(values(active_like((a,)), a))
        return v + np.dot(v, np.eye(a.shape[0]) - np.dot(a, v))

    return implementation


@active_function
def _log_growth(a, a0):
    """tr(inv(a0) a) - n: the logarithm of det(a) / det(a0) to first order, zero in value."""
    growth = vector_dot(np.linalg.inv(a0).T.copy().ravel(), a.ravel())
    return growth - values(growth, growth)


@replaces(np.linalg.det)
def _det(a):
    if not (_is_matrix(a) and is_active_array(a)):
        return None

    def implementation(a):
        a0 = values(active_like((a,)), a)
        return np.linalg.det(a0) * (1.0 + _log_growth(a, a0))

    return implementation


@replaces(np.linalg.slogdet)
def _slogdet(a):
    if not (_is_matrix(a) and is_active_array(a)):
        return None

    def implementation(a):
        a0 = values(active_like((a,)), a)
        sign, logarithm = np.linalg.slogdet(a0)
        return primal(sign), logarithm + _log_growth(a, a0)

    return implementation


@active_function
def _cholesky_factor(a):
    n = a.shape[0]
    if a.shape[1] != n:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square.")
    out = empty_like_element((n, n), element_like(a))
    for j in range(n):
        for i in range(j):
            out[i, j] = 0.0
        pivot = a[j, j] - vector_dot(out[j, :j], out[j, :j])
        if not pivot > 0.0:
            raise np.linalg.LinAlgError("Matrix is not positive definite.")
        out[j, j] = math.sqrt(pivot)
        for i in range(j + 1, n):
            out[i, j] = (a[i, j] - vector_dot(out[i, :j], out[j, :j])) / out[j, j]
    return out


@replaces(np.linalg.cholesky)
def _cholesky(a):
    return (lambda a: _cholesky_factor(a)) if _is_matrix(a) and is_active_array(a) else None


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
