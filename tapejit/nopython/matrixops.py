"""Functions of whole matrices as ops: one record for a call, with what its derivative needs, and a rule for each mode.

An op is three functions of matrices one level down, where they are plain or themselves active:

    forward(*xs) -> (results, saved)             tuples; results are numbers and arrays
    pullback(saved, cotangents) -> adjoints      one for each x, in its shape
    pushforward(saved, tangents) -> tangents     one for each result

On the tape a call is a record as that of a checkpoint: what is saved lies in the tape's memory, and the sweep calls a
function with its place. On dual numbers the tangents go forward lane by lane. Numbers are float64 inside, whatever the
arguments' precision.
"""

# ruff: noqa: RUF005  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import functools
import hashlib

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge.compiler import cpu_target
from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import ENGINE, generated_function, typed
from tapejit.nopython.contiguous import row_of
from tapejit.nopython.exchange import enter_form
from tapejit.nopython.inputs import array_over, tangent
from tapejit.nopython.keeping import (
    add_adjoint,
    address_of,
    as_results,
    bytes_of,
    count_inputs,
    count_results,
    note_statements,
    number_of,
    room_of,
    store,
)
from tapejit.nopython.like import zero_coefficient
from tapejit.nopython.memory import I64, as_i32, read, write
from tapejit.nopython.reverse import is_nothing, take_adjoint
from tapejit.nopython.statements import constant_like, inner
from tapejit.nopython.statementtape import (
    CALL,
    CAPACITY,
    COEFFICIENTS,
    COUNTS,
    INDICES,
    STATEMENTS,
    TERMS,
    acquire,
    get_counter,
    set_counter,
    slot_of,
)
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Dual, level, structure_of, with_leaf

# Arguments and results


def doubles(like, x):
    """An argument one level below ``like``, in float64 at the bottom: an array in C order, a copy where it is ``like``'s."""
    raise NotImplementedError


@typed(doubles)
def _doubles(like, x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda like, x: ()
        return lambda like, x: (doubles(like, x[0]),) + doubles(like, x[1:])
    if not isinstance(x, types.Array):
        return (lambda like, x: inner(x)) if level(x) == like.level else (lambda like, x: x)
    below = x.dtype.scalar if level(x.dtype) == like.level else x.dtype
    item = with_leaf(below, types.float64)
    if below is x.dtype and item == x.dtype and x.layout == "C":
        return lambda like, x: x

    def of_array(like, x):
        out = empty_like_element(x.shape, number_of(item))
        row, items = row_of(out), row_of(x)
        for k in range(row.size):
            row[k] = inner_at(like, items[k])
        return out

    return of_array


def inner_at(like, x):
    raise NotImplementedError


@typed(inner_at, inline="always")
def _inner_at(like, x):
    return (lambda like, x: inner(x)) if level(x) == like.level else (lambda like, x: x)


def narrowed(leaf, x):
    """Plain results in the float type of the arguments."""
    raise NotImplementedError


@typed(narrowed)
def _narrowed(leaf, x):
    if leaf.instance_type != types.float32:
        return lambda leaf, x: x
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda leaf, x: ()
        return lambda leaf, x: (narrowed(leaf, x[0]),) + narrowed(leaf, x[1:])
    if isinstance(x, types.Array):
        return (lambda leaf, x: x.astype(np.float32)) if x.dtype == types.float64 else (lambda leaf, x: x)
    return (lambda leaf, x: np.float32(x)) if x == types.float64 else (lambda leaf, x: x)


def _shape_type(y):
    if isinstance(y, types.BaseTuple):
        return types.BaseTuple.from_types(tuple(map(_shape_type, y)))
    return types.UniTuple(types.intp, y.ndim) if isinstance(y, types.Array) else types.Tuple(())


@intrinsic
def shapes_of(typingctx, y):
    """The shapes of results, in tuples as they are; () of a number."""

    def shape(context, builder, ty, value):
        if isinstance(ty, types.BaseTuple):
            parts = [shape(context, builder, t, builder.extract_value(value, k)) for k, t in enumerate(ty)]
        elif isinstance(ty, types.Array):
            parts = cgutils.unpack_tuple(builder, context.make_array(ty)(context, builder, value).shape)
        else:
            parts = []
        return context.make_tuple(builder, _shape_type(ty), parts)

    return _shape_type(y)(y), lambda context, builder, sig, args: shape(context, builder, sig.args[0], args[0])


# The tape


def _view_type(ty):
    """The type of what ``view`` finds."""
    if isinstance(ty, types.BaseTuple):
        return types.BaseTuple.from_types(tuple(map(_view_type, ty)))
    return types.Array(ty.dtype, ty.ndim, "C") if isinstance(ty, types.Array) else types.unliteral(ty)


def _viewed(context, builder, ty, place):
    """(what is kept at a place, the place behind it)."""
    if isinstance(ty, types.BaseTuple):
        items = []
        for item in ty:
            value, place = _viewed(context, builder, item, place)
            items.append(value)
        return context.make_tuple(builder, ty, items), place
    if not isinstance(ty, types.Array):
        pointer = builder.inttoptr(place, context.get_data_type(ty).as_pointer())
        value = context.data_model_manager[ty].load_from_data_pointer(builder, pointer, align=None)
        return value, builder.add(place, I64(bytes_of(context, ty)))
    words = builder.inttoptr(place, I64.as_pointer())
    extents = [builder.load(builder.gep(words, [I64(k)])) for k in range(ty.ndim)]
    place = builder.add(place, I64(8 * ty.ndim))
    size = I64(bytes_of(context, ty.dtype))
    for extent in extents:
        size = builder.mul(size, extent)
    return array_over(context, builder, ty, place, extents), builder.add(place, size)


@intrinsic
def view(typingctx, place, ref):
    """What is kept at a place, of a given type: a tuple, array or number; arrays are not copied."""
    ty = _view_type(ref.instance_type)
    return ty(types.int64, ref), lambda context, builder, sig, args: _viewed(context, builder, ty, args[0])[0]


@active_function
def record(like, xs, results, saved, address):
    """The results as statements of one record."""
    kept = shapes_of(results), saved
    tape = acquire(slot_of(like))
    start = get_counter(tape, TERMS)
    unit = 8 * slot_of(like)
    n, m = count_inputs(like, xs), count_results(results)
    end = max(start + max((8 + room_of(kept) + unit - 1) // unit, n) + 3, start + m + 3)
    capacity = read(tape, CAPACITY, 0)
    if end >= capacity:
        set_counter(tape, TERMS, capacity)
        return as_results(like, results, 0, 0)
    if m == 0:
        return as_results(like, results, 0, 0)
    place = read(tape, COEFFICIENTS, 0) + unit * start
    write(place, 0, address)
    store(place + 8, kept)
    note_statements(like, xs, read(tape, INDICES, 0) + 4 * start, 0)
    first = get_counter(tape, STATEMENTS)
    words = as_i32(read(tape, INDICES, 0))
    words[end - 3] = n
    words[end - 2] = m
    words[end - 1] = start
    write(read(tape, COUNTS, 0), first + m - 1, np.int32(CALL))
    set_counter(tape, TERMS, end)
    set_counter(tape, STATEMENTS, first + m)
    return as_results(like, results, first, 1)


def take_cotangents(tape, first, shapes, zero):
    """(the adjoints of results, whether all of them are zero)."""
    raise NotImplementedError


@typed(take_cotangents)
def _take_cotangents(tape, first, shapes, zero):
    if len(shapes) == 0:
        return lambda tape, first, shapes, zero: ((), True)

    def of_tuple(tape, first, shapes, zero):
        head, nothing, behind = take_each(tape, first, shapes[0], zero)
        tail, none = take_cotangents(tape, behind, shapes[1:], zero)
        return (head,) + tail, nothing and none

    return of_tuple


def take_each(tape, first, shape, zero):
    """The same for one result, and the statement behind it."""
    raise NotImplementedError


@typed(take_each)
def _take_each(tape, first, shape, zero):
    if len(shape) == 0:

        def of_number(tape, first, shape, zero):
            adjoint = take_adjoint(tape, first, zero)
            return adjoint, is_nothing(adjoint), first + 1

        return of_number

    def of_array(tape, first, shape, zero):
        out = empty_like_element(shape, zero)
        row, some = row_of(out), 0
        for k in range(row.size):
            adjoint = take_adjoint(tape, first + k, zero)
            some |= not is_nothing(adjoint)
            row[k] = adjoint
        return out, some == 0, first + row.size

    return of_array


def hand_adjoints(tape, term, xs, adjoints, zero):
    """Add the adjoints of arguments, whose types are ``xs``, to those of their statements, noted from ``term`` on."""
    raise NotImplementedError


@typed(hand_adjoints)
def _hand_adjoints(tape, term, xs, adjoints, zero):
    ty = xs.instance_type
    depth = level(zero) + 1
    if len(ty) == 0:
        return lambda tape, term, xs, adjoints, zero: None
    tail = types.BaseTuple.from_types(tuple(ty)[1:])
    if level(getattr(ty[0], "dtype", ty[0])) != depth:
        return lambda tape, term, xs, adjoints, zero: hand_adjoints(tape, term, tail, adjoints[1:], zero)
    if not isinstance(ty[0], types.Array):

        def of_number(tape, term, xs, adjoints, zero):
            add_adjoint(tape, np.int64(as_i32(read(tape, INDICES, 0))[term]), adjoints[0], zero)
            hand_adjoints(tape, term + 1, tail, adjoints[1:], zero)

        return of_number

    def of_tuple(tape, term, xs, adjoints, zero):
        targets = as_i32(read(tape, INDICES, 0) + 4 * term)
        row = row_of(adjoints[0])
        for k in range(row.size):
            add_adjoint(tape, np.int64(targets[k]), row[k], zero)
        hand_adjoints(tape, term + row.size, tail, adjoints[1:], zero)

    return of_tuple


# Dual numbers


@intrinsic
def with_tangent(typingctx, x, lane, t):
    """A dual number with another tangent in one lane."""

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, x)
        value = alg.unpack(args[0])
        new = alg.coef.unpack(alg.coef.lift(sig.args[2], args[2]))
        if alg.vector:
            place = builder.trunc(args[1], ir.IntType(32))
            value = alg.with_tangents(value.v, builder.insert_element(value.t, alg.coef.pack(new), place))
        else:
            here = [builder.icmp_signed("==", args[1], args[1].type(k)) for k in range(x.width)]
            items = [alg.coef.select(h, new, old) for h, old in zip(here, value.t, strict=True)]
            value = alg.with_tangents(value.v, items)
        return alg.pack(value)

    return x(x, types.int64, t), codegen


def as_constants(like, y):
    """Results as numbers of ``like``'s nesting without tangents."""
    raise NotImplementedError


@typed(as_constants)
def _as_constants(like, y):
    if isinstance(y, types.BaseTuple):
        if len(y) == 0:
            return lambda like, y: ()
        return lambda like, y: (as_constants(like, y[0]),) + as_constants(like, y[1:])
    if not isinstance(y, types.Array):
        return lambda like, y: constant_like(like, y)

    def of_array(like, y):
        out = empty_like_element(y.shape, like)
        for index in np.ndindex(y.shape):
            out[index] = constant_like(like, y[index])
        return out

    return of_array


def tangents_in(like, xs, lane):
    """One tangent of each argument, zero of one that has none."""
    raise NotImplementedError


@typed(tangents_in)
def _tangents_in(like, xs, lane):
    if len(xs) == 0:
        return lambda like, xs, lane: ()
    x = xs[0]
    if not isinstance(x, types.Array):
        return lambda like, xs, lane: (tangent_of(like, xs[0], lane),) + tangents_in(like, xs[1:], lane)
    carries = level(x.dtype) == like.level

    def of_array(like, xs, lane):
        out = empty_like_element(xs[0].shape, zero_coefficient(like))
        for index in np.ndindex(out.shape):
            out[index] = tangent_of(like, xs[0][index], lane) if carries else 0.0
        return (out,) + tangents_in(like, xs[1:], lane)

    return of_array


def tangent_of(like, x, lane):
    raise NotImplementedError


@typed(tangent_of, inline="always")
def _tangent_of(like, x, lane):
    return (lambda like, x, lane: tangent(x, lane)) if level(x) == like.level else (lambda like, x, lane: 0.0)


def put_tangents(ys, lane, tangents):
    """The results with one of their tangents."""
    raise NotImplementedError


@typed(put_tangents)
def _put_tangents(ys, lane, tangents):
    if len(ys) == 0:
        return lambda ys, lane, tangents: ()
    if not isinstance(ys[0], types.Array):
        return lambda ys, lane, tangents: (
            (with_tangent(ys[0], lane, tangents[0]),) + put_tangents(ys[1:], lane, tangents[1:])
        )

    def of_array(ys, lane, tangents):
        y, t = ys[0], tangents[0]
        for index in np.ndindex(y.shape):
            y[index] = with_tangent(y[index], lane, t[index])
        return (y,) + put_tangents(ys[1:], lane, tangents[1:])

    return of_array


# The two forms of an op

_COMMON = {
    "address_of": address_of,
    "as_constants": as_constants,
    "as_i32": as_i32,
    "doubles": doubles,
    "hand_adjoints": hand_adjoints,
    "narrowed": narrowed,
    "np": np,
    "number_of": number_of,
    "put_tangents": put_tangents,
    "read": read,
    "record": record,
    "slot_of": slot_of,
    "take_cotangents": take_cotangents,
    "tangents_in": tangents_in,
    "view": view,
    "zero_coefficient": zero_coefficient,
}
_PULL = """
def {name}(tape, k, p):
    words = as_i32(read(tape, {indices}, 0))
    start, results = np.int64(words[p - 1]), np.int64(words[p - 2])
    zero = zero_coefficient(number_of(LIKE))
    place = read(tape, {coefficients}, 0) + 8 * slot_of(number_of(LIKE)) * start + 8
    shapes, saved = view(place, KEPT)
    cotangents, nothing = take_cotangents(tape, k + 1 - results, shapes, zero)
    if not nothing:
        hand_adjoints(tape, start, XS, pullback(saved, cotangents), zero)
    return start
"""
_RECORDED = """
def {name}({args}):
    like = number_of(LIKE)
    results, saved = forward({below})
    return record(like, ({args},), narrowed(LEAF, results), saved, address_of(pull))
"""
_DUAL = """
def {name}({args}):
    like = number_of(LIKE)
    results, saved = forward({below})
    out = as_constants(like, results)
    for lane in range({width}):
        out = put_tangents(out, lane, pushforward(saved, tangents_in(like, ({args},), lane)))
    return out
"""


def _below(like, x):
    """The type that ``doubles`` makes of an argument."""
    if not isinstance(x, types.Array):
        return x.scalar if level(x) == like.level else types.unliteral(x)
    below = x.dtype.scalar if level(x.dtype) == like.level else x.dtype
    item = with_leaf(below, types.float64)
    return x if below is x.dtype and item == x.dtype and x.layout == "C" else types.Array(item, x.ndim, "C")


def _kept_types(forward, like, xs):
    """The type of what ``record`` keeps: the results' shapes, and what is saved."""
    context = cpu_target.typing_context
    call = forward._numba_type_.get_call_type(context, tuple(_below(like, x) for x in xs), {})
    results, saved = call.return_type
    shapes = [
        types.UniTuple(types.intp, y.ndim) if isinstance(y, types.Array) else types.Tuple(()) for y in results
    ]
    return types.Tuple((types.BaseTuple.from_types(shapes), saved))


def _is_single(x):
    item = x.dtype if isinstance(x, types.Array) else x
    return getattr(item, "leaf", item) != types.float64


def matrix_op(name, arity, forward, pullback, pushforward, user=""):
    """A function of active arrays and numbers that returns the results, a tuple.

    Args:
        forward, pullback, pushforward: the three functions, active ones of this engine, as in ``solving``.
        user: for functions that are made of a user's, what tells them from others; what is compiled is not kept then.
    """
    names = [f"x{k}" for k in range(arity)]

    def compiled(source, scope, tys):
        digest = hashlib.blake2b(f"{source} {tys} {user}".encode(), digest_size=8).hexdigest()
        return active_function(generated_function(name, source, scope, digest if user else ENGINE + digest))

    def op(*args):
        raise NotImplementedError("only compiled code calls this")

    op.__name__ = op.__qualname__ = name
    op.pullback, op.pushforward = pullback, pushforward
    functions = {"forward": forward, "pullback": pullback, "pushforward": pushforward}

    @functools.cache
    def written(like, xs):
        leaf = types.float32 if all(map(_is_single, xs)) else types.float64
        scope = dict(_COMMON, **functions, XS=xs, LEAF=leaf, LIKE=like)
        parts = {
            "name": name,
            "args": ", ".join(names),
            "below": ", ".join(f"doubles(like, {n})" for n in names),
            "indices": INDICES,
            "coefficients": COEFFICIENTS,
        }
        if isinstance(like, Dual):
            return compiled(_DUAL.format(**parts, width=like.width), scope, xs)
        scope["KEPT"] = _kept_types(forward, like, xs)
        scope["pull"] = compiled(_PULL.format(**parts), scope, (xs, scope["KEPT"]))
        return compiled(_RECORDED.format(**parts), scope, xs)

    def typer(*xs):
        like = structure_of(xs)
        return None if like is None else written(like, types.BaseTuple.from_types(xs))

    scope = {"typer": typer}
    exec(f"def form({', '.join(names)}):\n    return typer({', '.join(names)})", scope)
    enter_form(op, scope["form"])
    return op
