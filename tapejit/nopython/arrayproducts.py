"""Products of active vectors and matrices, each number of a result one wide statement; norm and trace."""

import operator

import numpy as np
from numba.extending import overload

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.arrayreductions import number_array, on_tape, root
from tapejit.nopython.arrays import constant_element
from tapejit.nopython.exchange import replaces
from tapejit.nopython.statements import close, element_like, inner, put, reserve
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, is_active_array


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
    return (lambda a, b: _dot_tape(a, b)) if on_tape(a, b) else (lambda a, b: _dot_dual(a, b))


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
    for enter in (replaces(np.dot, method="dot"), overload(operator.matmul), overload(np.matmul)):

        @enter
        def typer(a, b):
            if not (number_array(a) and number_array(b) and (is_active_array(a) or is_active_array(b))):
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


@replaces(np.vdot)
def _vdot(a, b):
    if number_array(a) and number_array(b) and (is_active_array(a) or is_active_array(b)):
        return lambda a, b: vector_dot(a.ravel(), b.ravel())
    return None


@replaces(np.outer)
def _outer(a, b):
    if number_array(a) and number_array(b) and (is_active_array(a) or is_active_array(b)):
        return lambda a, b: a.reshape((a.size, 1)) * b.reshape((1, b.size))
    return None


@replaces(np.linalg.norm)
def _norm(a):
    """The root of the sum of squares, of a vector or a matrix."""
    if is_active_array(a) and a.ndim == 1:
        return lambda a: root(vector_dot(a, a))
    if is_active_array(a) and a.ndim == 2:
        return lambda a: root(vector_dot(a.ravel(), a.ravel()))
    return None


@replaces(np.trace)
def _trace(a):
    if not (is_active_array(a) and a.ndim == 2):
        return None

    def implementation(a):
        total = element_like(a)
        for k in range(min(a.shape)):
            total = total + a[k, k]
        return total

    return implementation
