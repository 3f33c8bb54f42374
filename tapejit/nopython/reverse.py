"""Around a recording: calling the function, sweeping back, reading the gradient.

These functions, with those of ``like`` and ``inputs``, are the vocabulary of the drivers that ``transforms`` writes.
``like`` is a value of the active type in use; its coefficients choose the tape. Counters are put back on every way out,
so tapes nest like stack frames.
"""

# ruff: noqa: RUF005  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import NumbaError, UnsupportedBytecodeError
from numba.extending import intrinsic

from tapejit.edge.compiler import signature
from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import helper, typed
from tapejit.nopython.contiguous import row_of
from tapejit.nopython.explain import DifferentiationError, refused
from tapejit.nopython.inputs import tangent
from tapejit.nopython.like import first_of, in_precision, zero_coefficient
from tapejit.nopython.memory import I64, as_f64, as_i32, clear, read, size_of, write
from tapejit.nopython.named import named_as
from tapejit.nopython.statementtape import (
    ADJOINTS,
    CALL,
    CAPACITY,
    COEFFICIENTS,
    COUNTS,
    INDICES,
    STATEMENTS,
    STRIP,
    TERMS,
    _counter,
    call_sweep,
    counter_scope,
    get_counter,
    set_counter,
)
from tapejit.nopython.stripsweep import sweep_strip
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import coefficient_type, is_active, with_leaf


@helper
def rewind(tape, terms, statements):
    set_counter(tape, TERMS, terms)
    set_counter(tape, STATEMENTS, statements)


@intrinsic
def guarded_call(typingctx, f, tape, terms, statements, args):
    """``f(*args)``; when it raises, the tape's counters are put back before the exception goes on."""
    try:
        result = f.get_call_type(typingctx, tuple(args), {})
    except (NumbaError, UnsupportedBytecodeError, AttributeError) as error:  # the last: of a module
        raise refused(error, f.dispatcher.py_func) from None

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
    """Sweep from the newest statement down to ``low``; adjoints are left zero behind it.

    False if there was no memory to replay a checkpoint; then all adjoints are zero.
    """
    raise NotImplementedError


@typed(back)
def _back(tape, low, zero):
    if is_active(zero):
        return lambda tape, low, zero: _sweep_any(tape, low, zero)
    return lambda tape, low, zero: sweep(tape, low)


@intrinsic
def is_nothing(typingctx, x):
    """Whether an active number and all its derivatives are zero."""

    def codegen(context, builder, sig, args):
        return _is_nothing(builder, args[0])

    return types.boolean(x), codegen


def _is_nothing(builder, value):
    """The same for an LLVM number, vector or structure of them; a statement's number is no number."""
    kind = value.type
    if isinstance(kind, (ir.DoubleType, ir.FloatType)):
        return builder.fcmp_ordered("==", value, ir.Constant(kind, 0.0))
    if isinstance(kind, ir.IntType):
        return builder.icmp_unsigned("==", value, ir.Constant(kind, 0))
    if isinstance(kind, ir.VectorType):
        items = [builder.extract_element(value, ir.Constant(ir.IntType(32), k)) for k in range(kind.count)]
    else:
        items = [builder.extract_value(value, k) for k in range(len(kind.elements))]
    answer = ir.Constant(ir.IntType(1), 1)
    for item in items:
        answer = builder.and_(answer, _is_nothing(builder, item))
    return answer


@intrinsic
def adjoint_times(typingctx, adjoint, coefficient):
    """An adjoint times a coefficient of its type: nothing where the adjoint, or one of its tangents, is zero."""

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, adjoint)
        return alg.pack(alg.adjoint_times(*map(alg.unpack, args)))

    return adjoint(adjoint, coefficient), codegen


@active_function
def _sweep_any(tape, low, zero):
    adjoints = read(tape, ADJOINTS, 0)
    coefficients = read(tape, COEFFICIENTS, 0)
    indices = read(tape, INDICES, 0)
    counts = read(tape, COUNTS, 0)
    position = get_counter(tape, TERMS)
    k = get_counter(tape, STATEMENTS)
    while k > low:
        k -= 1
        count = read(counts, k, types.int32(0))
        if count == CALL:
            last = k
            start = read(indices, position - 1, types.int32(0))
            k = k + 1 - read(indices, position - 2, types.int32(0))
            place = coefficients + size_of(zero) * start
            position = call_sweep(tape, last, position, read(place, 0, 0))
            if position < 0:
                for j in range(get_counter(tape, STATEMENTS)):
                    clear(adjoints, j, zero)
                return False
            continue
        adjoint = read(adjoints, k, zero)
        if count < 0:  # an addition to a running sum
            count = -count
            position -= 1
            adjoint = read(adjoints, read(indices, position, types.int32(0)), zero)
        clear(adjoints, k, zero)
        if is_nothing(adjoint):
            position -= count
            continue
        for _ in range(count):
            position -= 1
            target = read(indices, position, types.int32(0))
            part = adjoint_times(adjoint, read(coefficients, position, zero))
            write(adjoints, target, read(adjoints, target, zero) + part)
    clear(adjoints, 0, zero)
    return True


@helper(fastmath={"contract"})
def sweep(tape, low):
    """The reverse sweep over float64 coefficients: no op codes, so nothing but loads, products and stores."""
    adjoints = as_f64(read(tape, ADJOINTS, 0))
    coefficients = as_f64(read(tape, COEFFICIENTS, 0))
    indices = as_i32(read(tape, INDICES, 0))
    counts = as_i32(read(tape, COUNTS, 0))
    p = get_counter(tape, TERMS)
    k = get_counter(tape, STATEMENTS)
    while k > low:
        k -= 1
        a = adjoints[k]
        n = counts[k]
        if n < 0:
            if n == CALL:
                last = k
                start = indices[p - 1]
                k = k + 1 - indices[p - 2]
                p = call_sweep(tape, last, p, read(read(tape, COEFFICIENTS, 0), start, 0))
                if p < 0:
                    for j in range(get_counter(tape, STATEMENTS)):
                        adjoints[j] = 0.0
                    return False
                continue
            if n == STRIP:
                last = k
                k = k + 1 - indices[p - 2]
                p = sweep_strip(tape, last, p)
                continue
            n = -n  # an addition to a running sum, whose adjoint the others need too
            p -= 1
            a = adjoints[indices[p]]
        adjoints[k] = 0.0
        if a == 0.0:  # a branch that was not taken: it adds nothing, even where its slope is infinite
            p -= n
            continue
        for _ in range(n):
            p -= 1
            i = indices[p]
            adjoints[i] = adjoints[i] + a * coefficients[p]
    adjoints[0] = 0.0
    return True


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
            return named_as(x, (head,) + tail), end

        return of_tuple
    if not isinstance(x, types.Array):
        return lambda tape, first, x, zero: (in_precision(take_adjoint(tape, first, zero), x), first + 1)

    def of_array(tape, first, x, zero):
        out = empty_like_element(x.shape, in_precision(zero, first_of(x)))
        return out, collect_into(tape, first, x, zero, out, None)

    return of_array


def collect_into(tape, first, x, zero, out, lane):
    """The gradient in ``x`` written to ``out``, or one tangent of its numbers; returns the statement after it."""
    raise NotImplementedError


@typed(collect_into)
def _collect_into(tape, first, x, zero, out, lane):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda tape, first, x, zero, out, lane: first

        def of_tuple(tape, first, x, zero, out, lane):
            following = collect_into(tape, first, x[0], zero, out[0], lane)
            return collect_into(tape, following, x[1:], zero, out[1:], lane)

        return of_tuple
    if isinstance(lane, types.Integer):

        def of_lane(tape, first, x, zero, out, lane):
            k = 0
            for index in np.ndindex(out.shape):
                out[index] = tangent(take_adjoint(tape, first + k, zero), lane)
                k += 1
            return first + k

        return of_lane

    def of_value(tape, first, x, zero, out, lane):
        k = 0
        for index in np.ndindex(out.shape):
            out[index] = take_adjoint(tape, first + k, zero)
            k += 1
        return first + k

    def of_row(tape, first, x, zero, out, lane):
        row, adjoints = row_of(out), read(tape, ADJOINTS, 0)
        for k in range(row.size):
            row[k] = read(adjoints, first + k, zero)
            clear(adjoints, first + k, zero)
        return first + row.size

    return of_row if isinstance(out, types.Array) and out.layout == "C" else of_value


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
    """The adjoint of ``y`` is one; afterwards the adjoints of the inputs are the gradient. Like ``back``."""
    adjoints = read(tape, ADJOINTS, 0)
    zero = zero_coefficient(like)
    index = index_of(y)
    write(adjoints, index, read(adjoints, index, zero) + coefficient_of(y))
    return back(tape, low, zero)
