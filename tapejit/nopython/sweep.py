"""Around a recording: putting the inputs on the tape, calling the function, sweeping back, reading the gradient.

These functions are the vocabulary of the drivers that ``transforms`` writes. ``like`` is a value of the active type in
use; its coefficients choose the tape. Counters are put back on every way out, so tapes nest like stack frames.
"""

# ruff: noqa: RUF005, SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.core.typing import signature
from numba.extending import intrinsic

from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import empty_like_element, structure_of, with_leaf
from tapejit.nopython.cache import helper, typed
from tapejit.nopython.errors import DifferentiationError
from tapejit.nopython.memory import I64, clear, read, size_of, write
from tapejit.nopython.tape import (
    ADJOINTS,
    CAPACITY,
    COEFFICIENTS,
    COUNTS,
    INDICES,
    STATEMENTS,
    TERMS,
    _counter,
    counter_scope,
    get_counter,
    set_counter,
)
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, Dual, Tape, coefficient_type, is_active, words


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


# Inputs


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


@helper
def rewind(tape, terms, statements):
    set_counter(tape, TERMS, terms)
    set_counter(tape, STATEMENTS, statements)


@intrinsic
def guarded_call(typingctx, f, tape, terms, statements, args):
    """``f(*args)``; when it raises, the tape's counters are put back before the exception goes on."""
    result = f.get_call_type(typingctx, tuple(args), {})

    def codegen(context, builder, sig, values):
        fnty, _, _, _, argsty = sig.args
        inner_sig = fnty.get_call_type(context.typing_context, tuple(argsty), {})
        dispatcher = fnty.dispatcher
        compiled = dispatcher.overloads[tuple(inner_sig.args)]
        context.add_linking_libs([compiled.library])
        arguments = [
            context.cast(builder, value, have, want)
            for value, have, want in zip(
                cgutils.unpack_tuple(builder, values[4]), argsty, inner_sig.args, strict=True
            )
        ]
        status, result = context.call_internal_no_propagate(builder, compiled.fndesc, inner_sig, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            for k, mark in ((TERMS, values[2]), (STATEMENTS, values[3])):
                store = builder.store(mark, _counter(builder, values[1], ir.Constant(I64, k)))
                store.set_metadata("alias.scope", counter_scope(builder.module))
            context.call_conv.return_status_propagate(builder, status)
        return result

    return signature(result.return_type, f, types.int64, types.int64, types.int64, args), codegen


# Results


@intrinsic
def index_of(typingctx, x):
    def codegen(context, builder, sig, args):
        return builder.extract_value(args[0], 2)

    return types.int64(x), codegen


@intrinsic
def coefficient_of(typingctx, x):
    ty = coefficient_type(x.scalar)

    def codegen(context, builder, sig, args):
        return builder.extract_value(args[0], 1)

    return ty(x), codegen


@helper
def is_full(tape):
    return get_counter(tape, TERMS) >= read(tape, CAPACITY, 0)


def back(tape, low, zero):
    """Sweep from the newest statement down to ``low``; adjoints are left zero behind it."""
    raise NotImplementedError


@typed(back)
def _back(tape, low, zero):
    if is_active(zero):
        return lambda tape, low, zero: _sweep_any(tape, low, zero)
    return lambda tape, low, zero: sweep(tape, low)


@active_function
def _sweep_any(tape, low, zero):
    adjoints = read(tape, ADJOINTS, 0)
    coefficients = read(tape, COEFFICIENTS, 0)
    indices = read(tape, INDICES, 0)
    counts = read(tape, COUNTS, 0)
    position = get_counter(tape, TERMS)
    for k in range(get_counter(tape, STATEMENTS) - 1, low - 1, -1):
        adjoint = read(adjoints, k, zero)
        count = read(counts, k, types.int32(0))
        if count < 0:  # an addition to a running sum
            count = -count
            position -= 1
            adjoint = read(adjoints, read(indices, position, types.int32(0)), zero)
        clear(adjoints, k, zero)
        for _ in range(count):
            position -= 1
            target = read(indices, position, types.int32(0))
            write(
                adjoints, target, read(adjoints, target, zero) + adjoint * read(coefficients, position, zero)
            )
    clear(adjoints, 0, zero)


@helper(fastmath={"contract"})
def sweep(tape, low):
    """The reverse sweep over float64 coefficients: no op codes, so nothing but loads, products and stores."""
    adjoints = as_f64(read(tape, ADJOINTS, 0))
    coefficients = as_f64(read(tape, COEFFICIENTS, 0))
    indices = as_i32(read(tape, INDICES, 0))
    counts = as_i32(read(tape, COUNTS, 0))
    p = get_counter(tape, TERMS)
    for k in range(get_counter(tape, STATEMENTS) - 1, low - 1, -1):
        a = adjoints[k]
        n = counts[k]
        if n < 0:  # an addition to a running sum, whose adjoint the others need too
            n = -n
            p -= 1
            a = adjoints[indices[p]]
        adjoints[k] = 0.0
        for _ in range(n):
            p -= 1
            i = indices[p]
            adjoints[i] = adjoints[i] + a * coefficients[p]
    adjoints[0] = 0.0


_f64p = types.CPointer(types.float64)
_i32p = types.CPointer(types.int32)


def _pointer(ty):
    @intrinsic
    def cast(typingctx, address):
        return ty(types.int64), lambda context, builder, sig, args: builder.inttoptr(
            args[0], context.get_value_type(ty)
        )

    return cast


as_f64 = _pointer(_f64p)
as_i32 = _pointer(_i32p)


# Arguments on their way in, gradients on their way out


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


@intrinsic
def first_of(typingctx, x):
    """A zero of an array's element type."""
    ty = x.dtype

    def codegen(context, builder, sig, args):
        return _zero(ty)(context, builder, sig, args) if is_active(ty) else context.get_constant(ty, 0)

    return ty(x), codegen


def collect(tape, first, x, zero):
    """(gradient in ``x``, the statement after it); the adjoints read are set to zero again."""
    raise NotImplementedError


@typed(collect)
def _collect(tape, first, x, zero):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda tape, first, x, zero: ((), first)

        def of_tuple(tape, first, x, zero):
            head, following = collect(tape, first, x[0], zero)
            tail, end = collect(tape, following, x[1:], zero)
            return (head,) + tail, end

        return of_tuple
    if not isinstance(x, types.Array):
        return lambda tape, first, x, zero: (in_precision(take_adjoint(tape, first, zero), x), first + 1)

    def of_array(tape, first, x, zero):
        out = empty_like_element(x.shape, in_precision(zero, first_of(x)))
        return out, collect_into(tape, first, x, zero, out)

    return of_array


def collect_into(tape, first, x, zero, out):
    """The gradient in ``x`` written to ``out``; returns the statement after it."""
    raise NotImplementedError


@typed(collect_into)
def _collect_into(tape, first, x, zero, out):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda tape, first, x, zero, out: first

        def of_tuple(tape, first, x, zero, out):
            following = collect_into(tape, first, x[0], zero, out[0])
            return collect_into(tape, following, x[1:], zero, out[1:])

        return of_tuple
    if not isinstance(x, types.Array):

        def of_scalar(tape, first, x, zero, out):
            for index in np.ndindex(out.shape):
                out[index] = take_adjoint(tape, first, zero)
            return first + 1

        return of_scalar

    def of_array(tape, first, x, zero, out):
        k = 0
        for index in np.ndindex(x.shape):
            out[index] = take_adjoint(tape, first + k, zero)
            k += 1
        return first + k

    return of_array


def take_adjoint(tape, index, zero):
    raise NotImplementedError


@typed(take_adjoint, inline="always")
def _take_adjoint(tape, index, zero):
    def implementation(tape, index, zero):
        adjoints = read(tape, ADJOINTS, 0)
        value = read(adjoints, index, zero)
        clear(adjoints, index, zero)
        return value

    return implementation


@intrinsic
def in_precision(typingctx, value, like):
    """A derivative in the float type of the argument it belongs to."""
    leaf = _leaf(like)
    ty = leaf if not is_active(value) else value

    def codegen(context, builder, sig, args):
        return args[0] if is_active(value) else context.cast(builder, args[0], value, ty)

    return ty(value, types.unliteral(like)), codegen


@intrinsic
def as_active(typingctx, like, y):
    """The result of the function as an active scalar; a plain number is a constant."""
    plain = types.unliteral(y)
    if is_active(y):
        ty = y if y.level == like.level else with_leaf(like, y.leaf)
    elif isinstance(plain, (types.Float, types.Integer, types.Boolean)):
        ty = with_leaf(like, plain if isinstance(plain, types.Float) else types.float64)
    else:
        raise DifferentiationError(
            f"[tapejit] the function to differentiate must return one number; it returns {plain}.\n"
            "  instead: return a scalar, for example the sum of an array, or use tapejit.nopython.jacobian\n[/tapejit]"
        )

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, ty)
        return alg.pack(alg.lift(sig.args[1], args[1]))

    return ty(like, plain), codegen


@active_function
def seed_and_sweep(tape, low, y, like):
    """The adjoint of ``y`` is one; afterwards the adjoints of the inputs are the gradient."""
    adjoints = read(tape, ADJOINTS, 0)
    zero = zero_coefficient(like)
    index = index_of(y)
    write(adjoints, index, read(adjoints, index, zero) + coefficient_of(y))
    back(tape, low, zero)
