"""Sums, products of matrices, extremes and other functions of whole active arrays.

A sum over many elements is one wide statement: its terms are written by the loop, nothing is recorded in between. On
dual numbers the same functions are plain loops.
"""

# ruff: noqa: SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import math
import operator

import numpy as np
from numba.core import types
from numba.extending import overload
from numba.np import arraymath

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.arrays import constant_element
from tapejit.nopython.scalars import primal
from tapejit.nopython.statements import close, element_like, inner, put, reserve
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, Tape, is_active_array


def _number_array(ty):
    return isinstance(ty, types.Array) and isinstance(
        ty.dtype, (types.Float, types.Integer, types.Boolean, Active)
    )


def _on_tape(*tys):
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
        if _on_tape(a):
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


# Products of vectors and matrices


def _term_writer(position, k, like, x, y):
    raise NotImplementedError


@overload(_term_writer)
def _term_writer_typed(position, k, like, x, y):
    """The terms of a product x * y in a wide statement: as many as there are active factors of this level."""
    on_x = isinstance(x, Active) and x.level == like.level
    on_y = isinstance(y, Active) and y.level == like.level
    if on_x and on_y:

        def implementation(position, k, like, x, y):
            put(like, position + 2 * k, inner(y), x)
            put(like, position + 2 * k + 1, inner(x), y)

        return implementation
    if on_x:
        return lambda position, k, like, x, y: put(like, position + k, y, x)
    return lambda position, k, like, x, y: put(like, position + k, x, y)


def _value(like, x):
    raise NotImplementedError


@overload(_value)
def _value_typed(like, x):
    if isinstance(x, Active) and x.level == like.level:
        return lambda like, x: inner(x)
    return lambda like, x: x


@active_function
def _dot_tape(a, b):
    if a.size != b.size:
        raise ValueError("incompatible array sizes for np.dot(a, b) (vector * vector)")
    like = constant_element(a) * constant_element(b)
    n = a.size
    width = _factors(a, b)
    total = _value(like, constant_element(a)) * _value(like, constant_element(b)) * 0.0
    position = reserve(like, n * width)
    for k in range(n):
        x = a[k]
        y = b[k]
        total = total + _value(like, x) * _value(like, y)
        if position >= 0:
            _term_writer(position, k, like, x, y)
    return close(like, position, n * width, total)


def _factors(a, b):
    raise NotImplementedError


@overload(_factors)
def _factors_typed(a, b):
    levels = [ty.dtype.level if is_active_array(ty) else 0 for ty in (a, b)]
    count = 2 if levels[0] == levels[1] else 1
    return lambda a, b: count


@active_function
def _dot_dual(a, b):
    if a.size != b.size:
        raise ValueError("incompatible array sizes for np.dot(a, b) (vector * vector)")
    total = constant_element(a) * constant_element(b) * 0.0
    for k in range(a.size):
        total = total + a[k] * b[k]
    return total


def vector_dot(a, b):
    raise NotImplementedError


@overload(vector_dot)
def _vector_dot(a, b):
    return (lambda a, b: _dot_tape(a, b)) if _on_tape(a, b) else (lambda a, b: _dot_dual(a, b))


@active_function
def _matrix_vector(a, b):
    if a.shape[1] != b.shape[0]:
        raise ValueError("incompatible array sizes for np.dot(a, b) (matrix * vector)")
    out = empty_like_element((a.shape[0],), constant_element(a) * constant_element(b))
    for i in range(a.shape[0]):
        out[i] = vector_dot(a[i, :], b)
    return out


@active_function
def _vector_matrix(a, b):
    if a.shape[0] != b.shape[0]:
        raise ValueError("incompatible array sizes for np.dot(a, b) (vector * matrix)")
    out = empty_like_element((b.shape[1],), constant_element(a) * constant_element(b))
    for j in range(b.shape[1]):
        out[j] = vector_dot(a, b[:, j])
    return out


@active_function
def _matrix_matrix(a, b):
    if a.shape[1] != b.shape[0]:
        raise ValueError("incompatible array sizes for np.dot(a, b) (matrix * matrix)")
    out = empty_like_element((a.shape[0], b.shape[1]), constant_element(a) * constant_element(b))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = vector_dot(a[i, :], b[:, j])
    return out


def _register_products():
    for fn in (np.dot, operator.matmul, np.matmul):

        @overload(fn)
        def typer(a, b):
            if not (_number_array(a) and _number_array(b) and (is_active_array(a) or is_active_array(b))):
                return None
            if a.ndim == 1 and b.ndim == 1:
                return lambda a, b: vector_dot(a, b)
            if a.ndim == 2 and b.ndim == 1:
                return lambda a, b: _matrix_vector(a, b)
            if a.ndim == 1 and b.ndim == 2:
                return lambda a, b: _vector_matrix(a, b)
            if a.ndim == 2 and b.ndim == 2:
                return lambda a, b: _matrix_matrix(a, b)
            return None


_register_products()


@overload(np.vdot)
def _vdot(a, b):
    if _number_array(a) and _number_array(b) and (is_active_array(a) or is_active_array(b)):
        return lambda a, b: vector_dot(a.ravel(), b.ravel())
    return None


@overload(np.outer)
def _outer(a, b):
    if _number_array(a) and _number_array(b) and (is_active_array(a) or is_active_array(b)):
        return lambda a, b: a.reshape((a.size, 1)) * b.reshape((1, b.size))
    return None


@overload(np.linalg.norm)
def _norm(a):
    if is_active_array(a) and a.ndim == 1:
        return lambda a: math.sqrt(vector_dot(a, a))
    return None


@overload(np.trace)
def _trace(a):
    if not (is_active_array(a) and a.ndim == 2):
        return None

    def implementation(a):
        total = element_like(a)
        for k in range(min(a.shape)):
            total = total + a[k, k]
        return total

    return implementation
