"""Which active type a transform computes with, chosen by the arguments; zeros and precisions of that type."""

# ruff: noqa: RUF005  (compiled by Numba: tuples are joined with +)

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import typed
from tapejit.nopython.named import named_as
from tapejit.nopython.statements import inner
from tapejit.nopython.types import (
    Active,
    Dual,
    Tape,
    coefficient_type,
    is_active,
    is_active_array,
    level,
    structure_of,
)


def _leaf(ty):
    """The float type of one differentiated argument, or None."""
    if isinstance(ty, types.Array):
        ty = ty.dtype
    ty = types.unliteral(ty)
    if isinstance(ty, Active):
        return ty.leaf
    return ty if isinstance(ty, types.Float) else None


def _prototype(wrap):
    """An intrinsic for a zero of ``wrap`` over the active structure of all arguments (see ``structure_of``).

    All arguments count, also those that are not differentiated here: an enclosing differentiation may be carried by
    any of them, and the new derivative must be one level above it.
    """

    def typing(args):
        structure = structure_of(list(args))
        return wrap(structure if structure is not None else types.float64)

    return typing


def _zero(ty):
    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, ty)
        return alg.pack(alg.constant(0.0))

    return codegen


@intrinsic
def tape_like(typingctx, args):
    ty = _prototype(Tape)(args)
    return ty(args), _zero(ty)


@intrinsic
def dual_like(typingctx, args, width):
    if not isinstance(width, types.IntegerLiteral):
        return None
    n = width.literal_value
    ty = _prototype(lambda scalar: Dual(scalar, n))(args)
    return ty(args, width), _zero(ty)


@intrinsic
def tape_dual_like(typingctx, args, width):
    if not isinstance(width, types.IntegerLiteral):
        return None
    n = width.literal_value
    ty = _prototype(lambda scalar: Tape(Dual(scalar, n)))(args)
    return ty(args, width), _zero(ty)


@intrinsic
def zero_coefficient(typingctx, like):
    ty = coefficient_type(like.scalar)
    return ty(like), _zero_or_float(ty)


def _zero_or_float(ty):
    return (
        _zero(ty)
        if is_active(ty)
        else (lambda context, builder, sig, args: ir.Constant(ir.DoubleType(), 0.0))
    )


@intrinsic
def one_coefficient(typingctx, like):
    ty = coefficient_type(like.scalar)

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, ty)
        return alg.pack(alg.constant(1.0))

    return ty(like), codegen


@intrinsic
def first_of(typingctx, x):
    """A zero of an array's element type."""
    ty = x.dtype

    def codegen(context, builder, sig, args):
        return _zero(ty)(context, builder, sig, args) if is_active(ty) else context.get_constant(ty, 0)

    return ty(x), codegen


@intrinsic
def in_precision(typingctx, value, like):
    """A derivative in the float type of the argument it belongs to."""
    leaf = _leaf(like)
    ty = leaf if not is_active(value) else value

    def codegen(context, builder, sig, args):
        return args[0] if is_active(value) else context.cast(builder, args[0], value, ty)

    return ty(value, types.unliteral(like)), codegen


@intrinsic
def active_like(typingctx, args):
    """A zero of the deepest active type among the arguments."""
    ty = structure_of(list(args))
    return (ty(args), _zero(ty)) if ty is not None else None


def values(like, x):
    """The values one level below the active type of ``like``, arrays as copies; what is not of that level as it is."""
    raise NotImplementedError


@typed(values)
def _values(like, x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda like, x: ()
        return lambda like, x: named_as(x, (values(like, x[0]),) + values(like, x[1:]))
    if level(x) == like.level:
        return lambda like, x: inner(x)
    if not (is_active_array(x) and x.dtype.level == like.level):
        return lambda like, x: x

    def of_array(like, x):
        out = empty_like_element(x.shape, inner(first_of(x)))
        for index in np.ndindex(x.shape):
            out[index] = inner(x[index])
        return out

    return of_array
