"""Differentiated arguments on their way in: checks, variables of the tape, dual numbers with a direction."""

# ruff: noqa: RUF005, SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import with_leaf
from tapejit.nopython.cache import helper, typed
from tapejit.nopython.like import _leaf, first_of
from tapejit.nopython.memory import I64, read, size_of
from tapejit.nopython.tape import CAPACITY, COEFFICIENTS, STATEMENTS, TERMS, get_counter, set_counter
from tapejit.nopython.types import Dual, Tape, coefficient_type, words


def _input_type(like, leaf):
    return with_leaf(like, leaf)


@intrinsic
def variable(typingctx, like, index, value):
    """Statement ``index`` with a given value, of ``like``'s nesting and the value's own precision."""
    leaf = _leaf(value)
    if leaf is None or not isinstance(like, Tape):
        return None
    ty = _input_type(like, leaf)

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, ty)
        base = alg.base
        v = base.lift(sig.args[2], args[2])
        value = alg.passive(v)
        value.terms = [(alg.coef.constant(1.0), args[1])]
        return alg.pack(value)

    return ty(like, types.int64, types.unliteral(value)), codegen


@intrinsic
def variable_of(typingctx, like, index, value):
    """Statement ``index`` with a value that is of a tape's scalar type already."""
    ty = Tape(value)

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, ty)
        result = alg.passive(alg.base.unpack(args[2]))
        result.terms = [(alg.coef.constant(1.0), args[1])]
        return alg.pack(result)

    return ty(like, types.int64, value), codegen


@intrinsic
def seeded(typingctx, like, value, lane):
    """A dual number whose tangent is one in one lane (none if the lane is out of range)."""
    leaf = _leaf(value)
    if leaf is None:
        return None
    ty = _input_type(like, leaf)
    dual = ty if isinstance(ty, Dual) else ty.scalar

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, dual)
        result = alg.passive(alg.base.lift(sig.args[1], args[1]))
        one, zero = alg.coef.constant(1.0), alg.coef.constant(0.0)
        lanes = [builder.icmp_signed("==", args[2], ir.Constant(I64, k)) for k in range(dual.width)]
        result.t = alg.tangents([alg.coef.select(lane, one, zero) for lane in lanes])
        return alg.pack(result)

    return dual(like, types.unliteral(value), types.int64), codegen


@intrinsic
def directed(typingctx, like, value, tangent):
    """A dual number of width one with a given tangent."""
    leaf = _leaf(value)
    if leaf is None:
        return None
    ty = _input_type(like, leaf)
    dual = ty if isinstance(ty, Dual) else ty.scalar

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, dual)
        result = alg.passive(alg.base.lift(sig.args[1], args[1]))
        result.t = alg.tangents([alg.coef.unpack(alg.coef.pack(alg.coef.lift(sig.args[2], args[2])))])
        return alg.pack(result)

    return dual(like, types.unliteral(value), types.unliteral(tangent)), codegen


@intrinsic
def tangent(typingctx, x, lane):
    """One tangent of a dual number."""
    if not isinstance(x, Dual):
        return None
    ty = coefficient_type(x.scalar)

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, x)
        value = alg.unpack(alg.pack(alg.unpack(args[0])))
        if alg.vector:
            return builder.extract_element(value.t, builder.trunc(args[1], ir.IntType(32)))
        result = alg.coef.pack(value.t[0])
        for k in range(1, x.width):
            here = builder.icmp_signed("==", args[1], ir.Constant(I64, k))
            result = builder.select(here, alg.coef.pack(value.t[k]), result)
        return result

    return ty(x, types.int64), codegen


@intrinsic
def array_at(typingctx, address, shape, like):
    """A C-ordered array over memory that somebody else owns."""
    ndim = len(shape)
    arrty = types.Array(like, ndim, "C")

    def codegen(context, builder, sig, args):
        from numba.np import arrayobj

        item = context.get_abi_sizeof(context.get_data_type(like))
        extents = cgutils.unpack_tuple(builder, args[1])
        strides = []
        step = ir.Constant(I64, item)
        for extent in reversed(extents):
            strides.insert(0, step)
            step = builder.mul(step, extent)
        array = context.make_array(arrty)(context, builder)
        pointer = builder.inttoptr(args[0], context.get_data_type(like).as_pointer())
        arrayobj.populate_array(
            array, data=pointer, shape=extents, strides=strides, itemsize=ir.Constant(I64, item), meminfo=None
        )
        return impl_ret_borrowed(context, builder, arrty, array._getvalue())

    return arrty(types.int64, shape, like), codegen


@helper
def take_statements(tape, n, terms):
    """Number ``n`` statements and set aside room for ``terms`` terms, which ``check_room`` has found; the first number."""
    statement = get_counter(tape, STATEMENTS)
    set_counter(tape, TERMS, get_counter(tape, TERMS) + terms)
    set_counter(tape, STATEMENTS, statement + n)
    return statement


@helper
def check_room(tape, n):
    """MemoryError if ``n`` input numbers do not fit on the tape; each takes at most three terms' room."""
    if get_counter(tape, TERMS) + 3 * n >= read(tape, CAPACITY, 0):
        raise MemoryError("the inputs alone pass the memory limit: see tapejit.nopython.set_memory_limit")


def check_place(x, out):
    """ValueError if a gradient in ``x`` does not fit into ``out``."""
    raise NotImplementedError


@typed(check_place)
def _check_place(x, out):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda x, out: None

        def of_tuple(x, out):
            check_place(x[0], out[0])
            check_place(x[1:], out[1:])

        return of_tuple
    if isinstance(x, types.Array):

        def of_array(x, out):
            if out.shape != x.shape:
                raise ValueError("the array for a gradient must have the shape of its argument")

        return of_array

    def of_number(x, out):
        if out.size != 1:
            raise ValueError("the gradient in a number goes into an array of one element; give that shape")

    return of_number


def check_tangent(x, v):
    """ValueError if ``v`` has not the shape of ``x``."""
    raise NotImplementedError


@typed(check_tangent)
def _check_tangent(x, v):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda x, v: None

        def of_tuple(x, v):
            check_tangent(x[0], v[0])
            check_tangent(x[1:], v[1:])

        return of_tuple
    if isinstance(x, types.Array):

        def of_array(x, v):
            if v.shape != x.shape:
                raise ValueError("a tangent must have the shape of its argument")

        return of_array
    return lambda x, v: None


def lift(tape, like, x):
    """A differentiated argument as variables of the tape: a float, an array, or a tuple of them."""
    raise NotImplementedError


@typed(lift)
def _lift(tape, like, x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda tape, like, x: ()
        return lambda tape, like, x: (lift(tape, like, x[0]),) + lift(tape, like, x[1:])
    if _leaf(x) is None:
        return None
    if not isinstance(x, types.Array):
        return lambda tape, like, x: variable(like, take_statements(tape, 1, 1), x)
    slot = words(coefficient_type(like.scalar))

    def implementation(tape, like, x):
        zero = variable(like, 0, first_of(x))
        terms = (x.size * size_of(zero) + 8 * slot - 1) // (8 * slot)
        if terms < x.size:
            terms = x.size
        place = read(tape, COEFFICIENTS, 0) + 8 * slot * get_counter(tape, TERMS)
        index = take_statements(tape, x.size, terms)
        out = array_at(place, x.shape, zero)
        k = 0
        for i in np.ndindex(x.shape):
            out[i] = variable(like, index + k, x[i])
            k += 1
        return out

    return implementation
