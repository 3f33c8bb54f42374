"""Differentiated arguments on their way in: checks, variables of a tape, dual numbers with their tangents."""

# ruff: noqa: RUF005, SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge.compiler import arrayobj, impl_ret_borrowed
from tapejit.nopython.algebra import algebra
from tapejit.nopython.cache import helper, typed
from tapejit.nopython.contiguous import row_of
from tapejit.nopython.explain import DifferentiationError
from tapejit.nopython.like import _leaf, first_of
from tapejit.nopython.memory import I64, read, size_of
from tapejit.nopython.named import named_as
from tapejit.nopython.statementtape import CAPACITY, COEFFICIENTS, STATEMENTS, TERMS, get_counter, set_counter
from tapejit.nopython.types import Active, Dual, Tape, coefficient_type, with_leaf, words


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
        if alg.vector:
            result.t = alg.unit(args[2])
            return alg.pack(result)
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
def tangents_at(typingctx, x):
    """The address of a copy of a dual number's tangents in the memory of the calling function."""
    if not isinstance(x, Dual) or isinstance(x.scalar, Active):
        return None

    def codegen(context, builder, sig, args):
        return builder.ptrtoint(cgutils.alloca_once_value(builder, builder.extract_value(args[0], 1)), I64)

    return types.int64(x), codegen


@intrinsic
def tangent(typingctx, x, lane):
    """One tangent of a dual number."""
    if not isinstance(x, Dual):
        return None
    ty = coefficient_type(x.scalar)

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, x)
        value = alg.unpack(args[0])
        if alg.vector:
            return builder.extract_element(value.t, builder.trunc(args[1], ir.IntType(32)))
        result = alg.coef.pack(value.t[0])
        for k in range(1, x.width):
            here = builder.icmp_signed("==", args[1], ir.Constant(I64, k))
            result = builder.select(here, alg.coef.pack(value.t[k]), result)
        return result

    return ty(x, types.int64), codegen


def array_over(context, builder, arrty, address, extents):
    """``array_at`` where code is being written."""
    data = context.get_data_type(arrty.dtype)
    item = context.get_abi_sizeof(data)
    strides = []
    step = ir.Constant(I64, item)
    for extent in reversed(extents):
        strides.insert(0, step)
        step = builder.mul(step, extent)
    array = context.make_array(arrty)(context, builder)
    pointer = builder.inttoptr(address, data.as_pointer())
    arrayobj.populate_array(
        array, data=pointer, shape=extents, strides=strides, itemsize=ir.Constant(I64, item), meminfo=None
    )
    return impl_ret_borrowed(context, builder, arrty, array._getvalue())


@intrinsic
def array_at(typingctx, address, shape, like):
    """A C-ordered array over memory that somebody else owns."""
    ndim = len(shape)
    arrty = types.Array(like, ndim, "C")

    def codegen(context, builder, sig, args):
        return array_over(context, builder, arrty, args[0], cgutils.unpack_tuple(builder, args[1]))

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
    """MemoryError if ``n`` input numbers do not fit on the tape; each takes at most 20 terms' room."""
    if get_counter(tape, TERMS) + 20 * n >= read(tape, CAPACITY, 0):
        raise MemoryError("the inputs alone pass the memory limit: see tapejit.nopython.set_memory_limit")


def given(x):
    """A differentiated argument in floats: an integer as a float, a list as an array; anything else is itself."""
    raise NotImplementedError


@typed(given)
def _given(x):
    if isinstance(x, types.Integer):
        return lambda x: float(x)
    if isinstance(x, types.BaseTuple) and any(map(needs_floats, x)):
        return lambda x: named_as(x, (given(x[0]),) + given(x[1:]))
    if isinstance(x, types.List):

        def of_list(x):
            out = np.empty(len(x))
            for k in range(len(x)):
                out[k] = x[k]
            return out

        return of_list
    return lambda x: x


def needs_floats(ty):
    """Whether an argument is one that ``given`` changes."""
    if isinstance(ty, types.BaseTuple):
        return any(map(needs_floats, ty))
    if isinstance(ty, types.List):
        return isinstance(ty.dtype, (types.Float, types.Integer))
    return isinstance(ty, types.Integer)


def unfit_place(x, out, wanted):
    return DifferentiationError(
        f"[tapejit] a derivative in {x} cannot be written into {out}: that would not be {wanted}\n"
        "  instead: give arrays of the argument's own shape and dtype (np.empty_like(x))\n[/tapejit]"
    )


def check_precision(x, out):
    """Refuse an array whose elements are not of the float type of the argument ``x``."""
    leaf = _leaf(x)
    if not isinstance(out, types.Array) or _leaf(out) != leaf or not out.mutable:
        raise unfit_place(x, out, f"a writable array of {leaf}")


def check_place(x, out):
    """ValueError if a gradient in ``x`` does not fit into ``out``."""
    raise NotImplementedError


@typed(check_place)
def _check_place(x, out):
    if isinstance(x, types.BaseTuple):
        if not isinstance(out, types.BaseTuple) or len(out) != len(x):
            raise unfit_place(x, out, f"a tuple of {len(x)}")
        if len(x) == 0:
            return lambda x, out: None

        def of_tuple(x, out):
            check_place(x[0], out[0])
            check_place(x[1:], out[1:])

        return of_tuple
    check_precision(x, out)
    if isinstance(x, types.Array):
        if out.ndim != x.ndim:
            raise unfit_place(x, out, f"an array of {x.ndim} dimensions")

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


def count_numbers(x):
    """How many numbers an argument holds."""
    raise NotImplementedError


@typed(count_numbers)
def _count_numbers(x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda x: 0
        return lambda x: count_numbers(x[0]) + count_numbers(x[1:])
    return (lambda x: x.size) if isinstance(x, types.Array) else (lambda x: 1)


# A seed says which tangents an argument has: None, no tangents (a variable of a tape and nothing else); an integer, the
# lane of its first number, whose tangent is one there, those of the others in the lanes after it; anything else, a
# direction of the argument's own shape.


def element(like, index, value, seed):
    """One number of an argument: of ``like``'s type, statement ``index`` if that is a tape's."""
    raise NotImplementedError


@typed(element, inline="always")  # so that a unit coefficient is seen to be one
def _element(like, index, value, seed):
    if isinstance(seed, types.NoneType):
        return lambda like, index, value, seed: variable(like, index, value)
    if isinstance(seed, types.Integer):
        if isinstance(like, Dual):
            return lambda like, index, value, seed: seeded(like, value, seed)
        return lambda like, index, value, seed: variable_of(like, index, seeded(like, value, seed))
    if isinstance(like, Dual):
        return lambda like, index, value, seed: directed(like, value, seed)
    return lambda like, index, value, seed: variable_of(like, index, directed(like, value, seed))


def part_of_seed(seed, index, k):
    """The seed of an argument's number at an index, the ``k``-th."""
    raise NotImplementedError


@typed(part_of_seed, inline="always")
def _part_of_seed(seed, index, k):
    if isinstance(seed, types.NoneType):
        return lambda seed, index, k: None
    if isinstance(seed, types.Integer):
        return lambda seed, index, k: seed + k
    return lambda seed, index, k: seed[index]


def seeds_after(seed, x):
    """The seed of a tuple's items behind its first, ``x``."""
    raise NotImplementedError


@typed(seeds_after)
def _seeds_after(seed, x):
    if isinstance(seed, types.NoneType):
        return lambda seed, x: None
    if isinstance(seed, types.Integer):
        return lambda seed, x: seed + count_numbers(x)
    return lambda seed, x: seed[1:]


def seed_type(seed):
    """Any seed of a number, to find out about types."""
    raise NotImplementedError


@typed(seed_type)
def _seed_type(seed):
    if isinstance(seed, types.Array):
        return lambda seed: first_of(seed)
    return lambda seed: seed


@intrinsic
def records(typingctx, like):
    """Whether ``like``'s numbers are statements."""
    answer = isinstance(like, Tape)
    return types.boolean(like), lambda context, builder, sig, args: ir.Constant(ir.IntType(1), int(answer))


def room_for(tape, like, shape, zero, statements):
    """(a C-ordered array, its first statement): in the tape's memory, where it stays until the tape is rewound."""
    raise NotImplementedError


@typed(room_for)
def _room_for(tape, like, shape, zero, statements):
    slot = words(coefficient_type(like.scalar)) if isinstance(like, Tape) else 1

    def implementation(tape, like, shape, zero, statements):
        n = 1
        for extent in shape:
            n *= extent
        terms = max((n * size_of(zero) + 8 * slot - 1) // (8 * slot), n)
        place = read(tape, COEFFICIENTS, 0) + 8 * slot * get_counter(tape, TERMS)
        index = take_statements(tape, statements, terms)
        return array_at(place, shape, zero), index

    return implementation


def lift(tape, like, x, seed):
    """A differentiated argument, a number, an array or a tuple of them, in active numbers."""
    raise NotImplementedError


@typed(lift)
def _lift(tape, like, x, seed):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda tape, like, x, seed: ()
        if isinstance(seed, types.BaseTuple):
            return lambda tape, like, x, seed: named_as(
                x, (lift(tape, like, x[0], seed[0]),) + lift(tape, like, x[1:], seed[1:])
            )
        return lambda tape, like, x, seed: named_as(
            x, (lift(tape, like, x[0], seed),) + lift(tape, like, x[1:], seeds_after(seed, x[0]))
        )
    if _leaf(x) is None:
        return None
    if not isinstance(x, types.Array):
        if isinstance(like, Dual):
            return lambda tape, like, x, seed: element(like, 0, x, seed)
        return lambda tape, like, x, seed: element(like, take_statements(tape, 1, 1), x, seed)

    def of_array(tape, like, x, seed):
        zero = element(like, 0, first_of(x), seed_type(seed))
        out, first = room_for(tape, like, x.shape, zero, x.size if records(like) else 0)
        k = 0
        for index in np.ndindex(x.shape):
            out[index] = element(like, first + k, x[index], part_of_seed(seed, index, k))
            k += 1
        return out

    def of_row(tape, like, x, seed):
        zero = element(like, 0, first_of(x), seed_type(seed))
        out, first = room_for(tape, like, x.shape, zero, x.size if records(like) else 0)
        row, items = row_of(out), row_of(x)
        for k in range(row.size):
            row[k] = element(like, first + k, items[k], part_of_seed(seed, k, k))
        return out

    return of_row if x.layout == "C" and not isinstance(seed, types.Array) else of_array
