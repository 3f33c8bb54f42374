"""Sums, extremes and other functions of whole active arrays.

A sum over many elements is one wide statement: its terms are written by the loop, nothing is recorded in between. On
dual numbers the same functions are plain loops.
"""

# ruff: noqa: SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from numba.core import types
from numba.extending import overload

from tapejit.edge.compiler import arraymath
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.scalars import primal
from tapejit.nopython.statements import close, element_like, inner, put, reserve
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, Tape, is_active_array


def number_array(ty):
    return isinstance(ty, types.Array) and isinstance(
        ty.dtype, (types.Float, types.Integer, types.Boolean, Active)
    )


def on_tape(*tys):
    return any(is_active_array(ty) and isinstance(ty.dtype, Tape) for ty in tys)


@active_function
def _sum_tape(a):
    like = element_like(a)
    total = inner(like)
    flat = a.ravel()
    n = flat.size
    position = reserve(like, n)
    for k in range(n):
        total = total + inner(flat[k])
        if position >= 0:
            put(like, position + k, 1.0, flat[k])
    return close(like, position, n, total)


@active_function
def _sum_dual(a):
    total = element_like(a)
    for x in a.flat:
        total = total + x
    return total


@active_function
def _sum_any(a):
    return np.sum(a)


@overload(np.sum)
def _sum(a, axis=None):
    if not is_active_array(a):
        return None
    if axis is None or isinstance(axis, (types.Omitted, types.NoneType)):
        if on_tape(a):
            return lambda a, axis=None: _sum_tape(a)
        return lambda a, axis=None: _sum_dual(a)
    if isinstance(axis, types.Integer) and a.ndim in (1, 2, 3):
        loop = _SUMS[a.ndim]
        return lambda a, axis=None: loop(a, axis)
    return None


@overload(arraymath.array_sum)
def _sum_method(a, axis=None, dtype=None):
    if is_active_array(a):
        return lambda a, axis=None, dtype=None: np.sum(a, axis)
    return None


def _along_axis(reduce):
    """A reduction along one axis of an array of one to three dimensions, from one of a vector."""

    @active_function
    def of_one(a, axis):
        return reduce(a)

    @active_function
    def of_two(a, axis):
        if axis < 0:
            axis += 2
        if axis != 0 and axis != 1:
            raise ValueError("axis is out of bounds for array")
        out = empty_like_element((a.shape[1 - axis],), element_like(a))
        turned = a.T if axis == 0 else a.T.T
        for k in range(out.size):
            out[k] = reduce(turned[k])
        return out

    @active_function
    def of_three(a, axis):
        if axis < 0:
            axis += 3
        if axis < 0 or axis > 2:
            raise ValueError("axis is out of bounds for array")
        rows = a.shape[1] if axis == 0 else a.shape[0]
        columns = a.shape[1] if axis == 2 else a.shape[2]
        out = empty_like_element((rows, columns), element_like(a))
        line = empty_like_element((a.shape[axis],), element_like(a))
        for i in range(rows):
            for j in range(columns):
                for k in range(line.size):
                    if axis == 0:
                        line[k] = a[k, i, j]
                    elif axis == 1:
                        line[k] = a[i, k, j]
                    else:
                        line[k] = a[i, j, k]
                out[i, j] = reduce(line)
        return out

    return {1: of_one, 2: of_two, 3: of_three}


@overload(np.mean)
def _mean(a, axis=None):
    if not is_active_array(a):
        return None
    if axis is None or isinstance(axis, (types.Omitted, types.NoneType)):
        return lambda a, axis=None: np.sum(a) / a.size
    if isinstance(axis, types.Integer) and a.ndim in (1, 2, 3):
        loop = _SUMS[a.ndim]
        return lambda a, axis=None: loop(a, axis) / a.shape[axis]
    return None


@overload(arraymath.array_mean)
def _mean_method(a):
    return (lambda a: np.mean(a)) if is_active_array(a) else None


@active_function
def _extreme(a, largest):
    """The extreme element; equal elements share the derivative as max(max(a, b), c) does."""
    if a.size == 0:
        raise ValueError("zero-size array to reduction operation not possible")
    flat = a.ravel()
    best = flat[0]
    for k in range(1, flat.size):
        if largest:
            if flat[k] > best or flat[k] != flat[k]:
                best = flat[k]
            elif flat[k] == best:
                best = max(best, flat[k])
        else:
            if flat[k] < best or flat[k] != flat[k]:
                best = flat[k]
            elif flat[k] == best:
                best = min(best, flat[k])
    return best


def _register_extreme(functions, largest):
    for fn in functions:

        @overload(fn)
        def typer(a):
            return (lambda a: _extreme(a, largest)) if is_active_array(a) else None


_register_extreme((np.max, np.amax), True)
_register_extreme((np.min, np.amin), False)


@active_function
def _product(a):
    total = element_like(a) + 1.0
    for x in a.flat:
        total = total * x
    return total


@overload(np.prod)
def _prod(a):
    return (lambda a: _product(a)) if is_active_array(a) else None


@overload(arraymath.array_prod)
def _prod_method(a):
    return (lambda a: _product(a)) if is_active_array(a) else None


@overload(np.var)
def _var(a):
    return (lambda a: np.mean((a - np.mean(a)) ** 2)) if is_active_array(a) else None


@overload(np.std)
def _std(a):
    return (lambda a: np.sqrt(np.mean((a - np.mean(a)) ** 2))) if is_active_array(a) else None


@active_function
def _running(a, product):
    flat = a.ravel()
    out = empty_like_element((flat.size,), element_like(a))
    total = element_like(a) + (1.0 if product else 0.0)
    for k in range(flat.size):
        total = total * flat[k] if product else total + flat[k]
        out[k] = total
    return out


@overload(np.cumsum)
def _cumsum(a):
    return (lambda a: _running(a, False)) if is_active_array(a) else None


@overload(np.cumprod)
def _cumprod(a):
    return (lambda a: _running(a, True)) if is_active_array(a) else None


@overload(np.diff)
def _diff(a):
    return (lambda a: a[1:] - a[:-1]) if is_active_array(a) and a.ndim == 1 else None


@active_function
def _values(a):
    out = np.empty(a.size, dtype=np.float64)
    k = 0
    for x in a.flat:
        out[k] = primal(x)
        k += 1
    return out


@overload(np.argmax)
def _argmax(a):
    return (lambda a: np.argmax(_values(a))) if is_active_array(a) else None


@overload(np.argmin)
def _argmin(a):
    return (lambda a: np.argmin(_values(a))) if is_active_array(a) else None


@overload(np.argsort)
def _argsort(a):
    return (lambda a: np.argsort(_values(a))) if is_active_array(a) and a.ndim == 1 else None


_SUMS = _along_axis(_sum_any)
