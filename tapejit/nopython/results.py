"""The vocabulary of drivers for arrays of results: Jacobians and second derivatives."""

# ruff: noqa: RUF005, SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from tapejit.edge.compiler import impl_ret_borrowed
from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import typed
from tapejit.nopython.explain import DifferentiationError
from tapejit.nopython.inputs import array_at, check_precision, check_room, count_numbers, tangent, tangents_at
from tapejit.nopython.like import first_of, in_precision
from tapejit.nopython.memory import as_f64, read
from tapejit.nopython.reverse import as_active, take_adjoint
from tapejit.nopython.statements import inner
from tapejit.nopython.statementtape import COEFFICIENTS, SCRATCH, TERMS, acquire, get_counter
from tapejit.nopython.types import Active, is_active, is_active_array, is_number, with_leaf


@intrinsic
def dual_result(typingctx, like, y):
    """A result in which plain numbers have become constants of the dual type."""
    plain = types.unliteral(y)
    if isinstance(plain, (types.Float, types.Integer, types.Boolean)) or (
        is_active(plain) and plain.level < like.level
    ):
        leaf = plain.leaf if isinstance(plain, Active) else plain
        ty = with_leaf(like, leaf if isinstance(leaf, types.Float) else types.float64)
    else:
        ty = plain

    def codegen(context, builder, sig, args):
        if ty == plain:
            return impl_ret_borrowed(context, builder, ty, args[1])
        alg = algebra(context, builder, ty)
        return alg.pack(alg.lift(sig.args[1], args[1]))

    return ty(like, plain), codegen


def as_array(like, y):
    """A result as an active array: a tuple of numbers is copied to memory that is free until the next call needs it."""
    raise NotImplementedError


@typed(as_array)
def _as_array(like, y):
    if is_active_array(y):
        return lambda like, y: y
    if not (isinstance(y, types.BaseTuple) and len(y) and all(is_active(t) or is_number(t) for t in y)):
        raise DifferentiationError(
            "[tapejit] jacobian needs a function that returns an array computed from its arguments, or a tuple of "
            f"numbers; this one returns {y}.\n"
            "  instead: return an array allocated inside the function, or use value_and_grad for a number\n[/tapejit]"
        )
    n = len(y)

    def of_tuple(like, y):
        scratch = acquire(SCRATCH)
        zero = as_active(like, 0.0)
        check_room(scratch, n)
        place = read(scratch, COEFFICIENTS, 0) + 8 * get_counter(scratch, TERMS)
        out = array_at(place, (n,), zero)
        fill_from_tuple(like, y, 0, out)
        return out

    return of_tuple


def fill_from_tuple(like, y, k, out):
    raise NotImplementedError


@typed(fill_from_tuple)
def _fill_from_tuple(like, y, k, out):
    if len(y) == 0:
        return lambda like, y, k, out: None

    def implementation(like, y, k, out):
        out[k] = as_active(like, y[0])
        fill_from_tuple(like, y[1:], k + 1, out)

    return implementation


def empty_jacobian(y, x, zero):
    """An array for the derivatives of an array in one argument."""
    raise NotImplementedError


@typed(empty_jacobian)
def _empty_jacobian(y, x, zero):
    if isinstance(x, types.BaseTuple):
        raise DifferentiationError(
            "[tapejit] jacobian is taken in numbers and arrays; an argument here is a tuple\n"
            "  instead: pass its items as arguments of their own\n[/tapejit]"
        )
    if isinstance(x, types.Array):
        return lambda y, x, zero: empty_like_element(y.shape + x.shape, in_precision(zero, first_of(x)))
    return lambda y, x, zero: empty_like_element(y.shape, in_precision(zero, x))


def jacobian_fits(y, x, out, numbers):
    """Whether a given array has the shape of the Jacobian in ``x``; with ``numbers``, of a block with so many columns."""
    raise NotImplementedError


@typed(jacobian_fits)
def _jacobian_fits(y, x, out, numbers):
    if isinstance(out, types.Array):
        check_precision(x, out)
    if not isinstance(out, types.Array) or out.ndim != y.ndim + _columns(x, numbers):
        return lambda y, x, out, numbers: False
    if isinstance(numbers, types.Integer):
        return lambda y, x, out, numbers: out.shape == y.shape + (numbers,)
    if isinstance(x, types.Array):
        return lambda y, x, out, numbers: out.shape == y.shape + x.shape
    return lambda y, x, out, numbers: out.shape == y.shape


def _columns(x, column):
    """How many indices behind a row's say where a derivative goes."""
    if isinstance(column, types.Integer):
        return 1
    return x.ndim if isinstance(x, types.Array) else 0


def collect_row(tape, first, x, zero, out, row, column):
    """One row of a Jacobian from the adjoints of ``x``; returns the statement after it.

    ``column`` is where a block's columns of ``x`` begin, None if ``out`` has the shape of the Jacobian in ``x``.
    """
    raise NotImplementedError


@typed(collect_row)
def _collect_row(tape, first, x, zero, out, row, column):
    indices = _columns(x, column)
    if isinstance(out, types.Array) and out.ndim != len(row) + indices:
        return lambda tape, first, x, zero, out, row, column: first  # refused before
    if indices == 0:

        def of_number(tape, first, x, zero, out, row, column):
            out[row] = take_adjoint(tape, first, zero)
            return first + 1

        return of_number
    if isinstance(column, types.Integer):

        def of_block(tape, first, x, zero, out, row, column):
            for k in range(count_numbers(x)):
                out[row + (column + k,)] = take_adjoint(tape, first + k, zero)
            return first + count_numbers(x)

        return of_block

    def of_array(tape, first, x, zero, out, row, column):
        k = first
        for index in np.ndindex(x.shape):
            out[row + index] = take_adjoint(tape, k, zero)
            k += 1
        return k

    return of_array


def write_row(y, x, lane, out, row, column):
    """The part of a Jacobian's row that is in the tangents of ``y``, where ``x`` begins at ``lane``."""
    raise NotImplementedError


@typed(write_row)
def _write_row(y, x, lane, out, row, column):
    width = y.width
    indices = _columns(x, column)
    if isinstance(out, types.Array) and out.ndim != len(row) + indices:
        return lambda y, x, lane, out, row, column: None  # refused before
    if indices == 0:

        def of_number(y, x, lane, out, row, column):
            if 0 <= lane < width:
                out[row] = tangent(y, lane)

        return of_number
    if isinstance(y.scalar, Active):
        if isinstance(column, types.Integer):

            def active_block(y, x, lane, out, row, column):
                for k in range(max(lane, 0), min(lane + count_numbers(x), width)):
                    out[row + (column + k - lane,)] = tangent(y, k)

            return active_block

        def active_array(y, x, lane, out, row, column):
            k = lane
            for index in np.ndindex(x.shape):
                if 0 <= k < width:
                    out[row + index] = tangent(y, k)
                k += 1

        return active_array
    if indices == 1:

        def of_vector(y, x, lane, out, row, column):
            lanes = as_f64(tangents_at(y))
            start = lane if column is None else lane - column
            for k in range(max(lane, 0), min(lane + count_numbers(x), width)):
                out[row + (k - start,)] = lanes[k]

        return of_vector

    def of_array(y, x, lane, out, row, column):
        lanes = as_f64(tangents_at(y))
        k = lane
        for index in np.ndindex(x.shape):
            if 0 <= k < width:
                out[row + index] = lanes[k]
            k += 1

    return of_array


def empty_square(zero, x, n):
    """Where a Hessian in n numbers will be written, in the precision of ``x``."""
    raise NotImplementedError


@typed(empty_square)
def _empty_square(zero, x, n):
    if isinstance(x, types.Array):
        return lambda zero, x, n: empty_like_element((n, n), in_precision(zero, first_of(x)))
    return lambda zero, x, n: empty_like_element((n, n), in_precision(zero, x))


def collect_columns(tape, first, x, zero, gradient, hessian, row, column):
    """Some columns of a Hessian from a row on, and the gradient: the adjoints' tangents and values."""
    raise NotImplementedError


@typed(collect_columns)
def _collect_columns(tape, first, x, zero, gradient, hessian, row, column):
    width = zero.width

    def implementation(tape, first, x, zero, gradient, hessian, row, column):
        k = 0
        for index in np.ndindex(gradient.shape):
            adjoint = take_adjoint(tape, first + k, zero)
            gradient[index] = inner(adjoint)
            for j in range(min(width, hessian.shape[1] - column)):
                hessian[row + k, column + j] = tangent(adjoint, j)
            k += 1

    return implementation


def square_of(hessian, x):
    """The Hessian in one argument, in its shape."""
    raise NotImplementedError


@typed(square_of)
def _square_of(hessian, x):
    if isinstance(x, types.Array):
        return lambda hessian, x: hessian.reshape(x.shape + x.shape)
    return lambda hessian, x: hessian[0, 0]


def block_of(hessian, row, x, column, y):
    """The part of a Hessian in two of several arguments, in the shapes of both."""
    raise NotImplementedError


@typed(block_of)
def _block_of(hessian, row, x, column, y):
    rows, columns = isinstance(x, types.Array), isinstance(y, types.Array)
    if rows and columns:
        return lambda hessian, row, x, column, y: (
            hessian[row : row + x.size, column : column + y.size].copy().reshape(x.shape + y.shape)
        )
    if rows:
        return lambda hessian, row, x, column, y: hessian[row : row + x.size, column].copy().reshape(x.shape)
    if columns:
        return lambda hessian, row, x, column, y: (
            hessian[row, column : column + y.size].copy().reshape(y.shape)
        )
    return lambda hessian, row, x, column, y: hessian[row, column]
