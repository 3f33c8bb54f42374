"""The vocabulary of drivers for arrays of results: Jacobians and second derivatives."""

# ruff: noqa: SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import empty_like_element, with_leaf
from tapejit.nopython.cache import typed
from tapejit.nopython.errors import DifferentiationError
from tapejit.nopython.inputs import tangent
from tapejit.nopython.like import first_of, in_precision
from tapejit.nopython.statements import inner
from tapejit.nopython.sweep import take_adjoint
from tapejit.nopython.types import Active, is_active, is_active_array


def check_array_result(y):
    raise NotImplementedError


@typed(check_array_result)
def _check_array_result(y):
    if is_active_array(y):
        return lambda y: None
    raise DifferentiationError(
        f"[tapejit] jacobian needs a function that returns an array computed from its arguments; this one returns {y}.\n"
        "  instead: return an array allocated inside the function, or use value_and_grad for a number\n[/tapejit]"
    )


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
            from numba.core.imputils import impl_ret_borrowed

            return impl_ret_borrowed(context, builder, ty, args[1])
        alg = algebra(context, builder, ty)
        return alg.pack(alg.lift(sig.args[1], args[1]))

    return ty(like, plain), codegen


def inner_values(y):
    """The values of an active array, one level down."""
    raise NotImplementedError


@typed(inner_values)
def _inner_values(y):
    def implementation(y):
        out = empty_like_element(y.shape, inner(first_of(y)))
        for index in np.ndindex(y.shape):
            out[index] = inner(y[index])
        return out

    return implementation


def empty_jacobian(y, x, zero):
    raise NotImplementedError


@typed(empty_jacobian)
def _empty_jacobian(y, x, zero):
    if isinstance(x, types.Array):
        return lambda y, x, zero: empty_like_element(y.shape + x.shape, in_precision(zero, first_of(x)))
    if isinstance(x, types.BaseTuple):
        return None
    return lambda y, x, zero: empty_like_element(y.shape, in_precision(zero, x))


def collect_row(tape, first, x, zero, out, row):
    """One row of a Jacobian, from the adjoints of ``x``."""
    raise NotImplementedError


@typed(collect_row)
def _collect_row(tape, first, x, zero, out, row):
    if isinstance(x, types.Array):

        def of_array(tape, first, x, zero, out, row):
            flat = out.reshape(out.size)
            for k in range(x.size):
                flat[row * x.size + k] = take_adjoint(tape, first + k, zero)
            return first + x.size

        return of_array

    def of_scalar(tape, first, x, zero, out, row):
        out.reshape(out.size)[row] = take_adjoint(tape, first, zero)
        return first + 1

    return of_scalar


def collect_lane(tape, first, x, zero, out):
    """The tangents of the adjoints of ``x``: a product with the Hessian."""
    raise NotImplementedError


@typed(collect_lane)
def _collect_lane(tape, first, x, zero, out):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda tape, first, x, zero, out: first

        def of_tuple(tape, first, x, zero, out):
            following = collect_lane(tape, first, x[0], zero, out[0])
            return collect_lane(tape, following, x[1:], zero, out[1:])

        return of_tuple

    def implementation(tape, first, x, zero, out):
        k = 0
        for index in np.ndindex(out.shape):
            out[index] = tangent(take_adjoint(tape, first + k, zero), 0)
            k += 1
        return first + k

    return implementation


def empty_square(zero, x):
    raise NotImplementedError


@typed(empty_square)
def _empty_square(zero, x):
    if isinstance(x, types.Array):
        return lambda zero, x: empty_like_element((x.size, x.size), in_precision(zero, first_of(x)))
    return lambda zero, x: empty_like_element((1, 1), in_precision(zero, x))


def collect_columns(tape, first, x, zero, gradient, hessian, column):
    """Some columns of a Hessian, and the gradient: the adjoints' tangents and values."""
    raise NotImplementedError


@typed(collect_columns)
def _collect_columns(tape, first, x, zero, gradient, hessian, column):
    width = zero.width

    def implementation(tape, first, x, zero, gradient, hessian, column):
        k = 0
        for index in np.ndindex(gradient.shape):
            adjoint = take_adjoint(tape, first + k, zero)
            gradient[index] = inner(adjoint)
            for j in range(min(width, gradient.size - column)):
                hessian[k, column + j] = tangent(adjoint, j)
            k += 1

    return implementation


def square_of(hessian, x):
    raise NotImplementedError


@typed(square_of)
def _square_of(hessian, x):
    if isinstance(x, types.Array):
        return lambda hessian, x: hessian.reshape(x.shape + x.shape)
    return lambda hessian, x: hessian[0, 0]
