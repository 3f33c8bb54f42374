"""Products of active vectors and matrices, each number of a result one wide statement; norm and trace."""

import functools
import math
import operator

import numpy as np

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.arrayreductions import number_array, on_tape, root
from tapejit.nopython.arrays import constant_element
from tapejit.nopython.cache import typed
from tapejit.nopython.contiguous import row_of
from tapejit.nopython.exchange import SQUARED_NORM, direct, enter_form, is_absent, replaces
from tapejit.nopython.matrixops import matrix_op
from tapejit.nopython.scalars import primal
from tapejit.nopython.smallproducts import MOST, address_of_data, is_recorded, is_simple, record_product
from tapejit.nopython.statements import close, element_like, inner, put, reserve
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, is_active_array


def _term_writer(position, k, like, x, y):
    raise NotImplementedError


@typed(_term_writer)
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


@typed(_value)
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


@typed(_factors)
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


@functools.partial(enter_form, vector_dot)
def _vector_dot(a, b):
    return _dot_tape if on_tape(a, b) else _dot_dual


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
def _simple_matrix_vector(a, b):
    if a.shape[1] != b.shape[0]:
        raise ValueError("incompatible array sizes for np.dot(a, b) (matrix * vector)")
    out = empty_like_element((a.shape[0],), constant_element(a) * constant_element(b))
    left, right = address_of_data(a), address_of_data(b)
    record_product(
        address_of_data(out), a.shape[0], 1, b.size,
        left, a.strides[0], a.strides[1], is_recorded(a), right, b.strides[0], 0, is_recorded(b),
    )  # fmt: skip
    return out


@active_function
def _simple_vector_matrix(a, b):
    if a.shape[0] != b.shape[0]:
        raise ValueError("incompatible array sizes for np.dot(a, b) (vector * matrix)")
    out = empty_like_element((b.shape[1],), constant_element(a) * constant_element(b))
    left, right = address_of_data(a), address_of_data(b)
    record_product(
        address_of_data(out), 1, b.shape[1], a.size,
        left, 0, a.strides[0], is_recorded(a), right, b.strides[0], b.strides[1], is_recorded(b),
    )  # fmt: skip
    return out


@active_function
def _small_product(a, b):
    """The product of matrices with few numbers."""
    out = empty_like_element((a.shape[0], b.shape[1]), constant_element(a) * constant_element(b))
    left, right = address_of_data(a), address_of_data(b)
    record_product(
        address_of_data(out), a.shape[0], b.shape[1], a.shape[1],
        left, a.strides[0], a.strides[1], is_recorded(a), right, b.strides[0], b.strides[1], is_recorded(b),
    )  # fmt: skip
    return out


@active_function
def _product_forward(a, b):
    return (np.dot(a, b),), (a, b)


@active_function
def _product_pullback(saved, cotangents):
    a, b = saved
    return np.dot(cotangents[0], b.T), np.dot(a.T, cotangents[0])


@active_function
def _left_pullback(saved, cotangents):
    return np.dot(cotangents[0], saved[1].T), 0.0


@active_function
def _right_pullback(saved, cotangents):
    return 0.0, np.dot(saved[0].T, cotangents[0])


@active_function
def _product_pushforward(saved, tangents):
    return (np.dot(tangents[0], saved[1]) + np.dot(saved[0], tangents[1]),)


_both = matrix_op("matmul", 2, _product_forward, _product_pullback, _product_pushforward)
_left = matrix_op("matmul_left", 2, _product_forward, _left_pullback, _product_pushforward)
_right = matrix_op("matmul_right", 2, _product_forward, _right_pullback, _product_pushforward)


@active_function
def _check_extents(a, b):
    if a.shape[1] != b.shape[0]:
        raise ValueError("incompatible array sizes for np.dot(a, b) (matrix * matrix)")


@active_function
def _both_product(a, b):
    _check_extents(a, b)
    return _both(a, b)[0]


@active_function
def _left_product(a, b):
    _check_extents(a, b)
    return _left(a, b)[0]


@active_function
def _right_product(a, b):
    _check_extents(a, b)
    return _right(a, b)[0]


def _matrix_matrix(a, b):
    """The form of the product of two matrices, by which of them is differentiated at the deepest level."""
    on_a, on_b = (ty.dtype.level if is_active_array(ty) else 0 for ty in (a, b))
    kind = 0 if on_a == on_b else 1 if on_a > on_b else 2
    return (_SIMPLE_PRODUCTS if is_simple(a, b) else _PRODUCTS)[kind]


_PRODUCTS = _both_product, _left_product, _right_product


@active_function
def _simple_both(a, b):
    _check_extents(a, b)
    if a.size * b.shape[1] <= MOST:
        return _small_product(a, b)
    return _both(a, b)[0]


@active_function
def _simple_left(a, b):
    _check_extents(a, b)
    if a.size * b.shape[1] <= MOST:
        return _small_product(a, b)
    return _left(a, b)[0]


@active_function
def _simple_right(a, b):
    _check_extents(a, b)
    if a.size * b.shape[1] <= MOST:
        return _small_product(a, b)
    return _right(a, b)[0]


_SIMPLE_PRODUCTS = _simple_both, _simple_left, _simple_right


def _register_products():
    for enter in (
        replaces(np.dot, method="dot"),
        functools.partial(enter_form, operator.matmul),
        functools.partial(enter_form, np.matmul),
    ):

        @enter
        def typer(a, b):
            if not (number_array(a) and number_array(b) and (is_active_array(a) or is_active_array(b))):
                return None
            if a.ndim == 1 and b.ndim == 1:
                return _dot_tape if on_tape(a, b) else _dot_dual
            if a.ndim == 2 and b.ndim == 1:
                return _simple_matrix_vector if is_simple(a, b) else _matrix_vector
            if a.ndim == 1 and b.ndim == 2:
                return _simple_vector_matrix if is_simple(a, b) else _vector_matrix
            if a.ndim == 2 and b.ndim == 2:
                return _matrix_matrix(a, b)
            return None


_register_products()


@replaces(np.vdot)
def _vdot(a, b):
    if number_array(a) and number_array(b) and (is_active_array(a) or is_active_array(b)):
        return lambda a, b: vector_dot(row_of(a), row_of(b))
    return None


@replaces(np.outer)
def _outer(a, b):
    if number_array(a) and number_array(b) and (is_active_array(a) or is_active_array(b)):
        return lambda a, b: a.reshape((a.size, 1)) * b.reshape((1, b.size))
    return None


@active_function
def squared_norm(a):
    """The sum of squares, by which ``norm(a) ** 2`` is differentiated: its Hessian is right at zero, too."""
    row = row_of(a)
    return vector_dot(row, row)


enter_form(SQUARED_NORM, lambda a: squared_norm if is_active_array(a) else None)


@active_function
def _euclidean(a):
    return root(squared_norm(a))


@active_function
def _vector_norm(a, order):
    magnitudes = np.abs(a)
    if order == math.inf:
        return np.max(magnitudes)
    if order == -math.inf:
        return np.min(magnitudes)
    if order == 1:
        return np.sum(magnitudes)
    if order == 2:
        return _euclidean(a)
    total = element_like(a)
    for x in magnitudes:
        if order == 0:
            total = total + (1.0 if primal(x) != 0.0 else 0.0)
        elif primal(x) != 0.0 or order < 0:
            total = total + x**order
    return total if order == 0 or primal(total) == 0.0 else total ** (1.0 / order)


@active_function
def _matrix_norm(a, order):
    if abs(order) == 2:
        s = np.linalg.svd(a, False)[1]
        return s[0] if order > 0 else s[s.size - 1]
    if abs(order) != 1 and not math.isinf(order):
        raise ValueError("Invalid norm order for matrices.")
    sums = np.sum(np.abs(a), axis=0 if abs(order) == 1 else 1)
    return np.max(sums) if order > 0 else np.min(sums)


@replaces(np.linalg.norm)
def _norm(a, ord=None):
    """Of a vector, or a matrix, with every order that Numba knows; zero has derivatives of zero."""
    if not is_active_array(a) or a.ndim > 2:
        return None
    if is_absent(ord):
        return direct(_euclidean, lambda a, ord=None: _euclidean(a))
    return _vector_norm if a.ndim == 1 else _matrix_norm


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
