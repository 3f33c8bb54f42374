"""What a checkpoint keeps of a call: its arguments as words in the tape's memory, and its results as statements."""

# ruff: noqa: RUF005  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import call, helper
from tapejit.nopython.contiguous import row_of
from tapejit.nopython.explain import DifferentiationError
from tapejit.nopython.inputs import lift, variable
from tapejit.nopython.like import _zero, first_of
from tapejit.nopython.memory import I32, I64, as_i32, read, size_of, write
from tapejit.nopython.named import named_as, tuple_type
from tapejit.nopython.reverse import coefficient_of, index_of, take_adjoint
from tapejit.nopython.statements import inner
from tapejit.nopython.statementtape import ADJOINTS, INDICES, sweep_address
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, is_active, is_active_array, is_number, level


@intrinsic
def settled(typingctx, x):
    """A recorded value whose coefficient is one: then its statement says all about its derivative."""

    def codegen(context, builder, sig, args):
        model = context.data_model_manager[x]
        return model.from_data(builder, model.as_data(builder, args[0]))

    return x(x), codegen


def _is_counted(ty):
    """Whether a result, or an array's elements, can depend on the inputs."""
    return isinstance(ty, (types.Float, Active))


def _unfit(x):
    return DifferentiationError(
        f"[tapejit] checkpoint keeps numbers, arrays and tuples of them; an argument or result here is {x}\n"
        "  instead: use the values as globals of the function, or leave out the checkpoint\n[/tapejit]"
    )


def settle(like, x):
    """An argument whose numbers at the level of ``like`` have statements of their own."""
    raise NotImplementedError


@overload(settle)
def _settle(like, x):
    if isinstance(x, types.BaseTuple) and len(x):
        return lambda like, x: named_as(x, (settle(like, x[0]),) + settle(like, x[1:]))
    if level(x) == like.level:
        return lambda like, x: settled(x)
    return lambda like, x: x


def same_values(like, x, kept):
    """Whether a differentiated argument still has the values that a call was given."""
    raise NotImplementedError


@overload(same_values)
def _same_values(like, x, kept):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda like, x, kept: True
        return lambda like, x, kept: same_values(like, x[0], kept[0]) and same_values(like, x[1:], kept[1:])
    if not (is_active_array(x) and x.dtype.level == like.level):
        return lambda like, x, kept: True

    def of_array(like, x, kept):
        for index in np.ndindex(x.shape):
            a, b = inner(x[index]), kept[index]
            if a != b and (a == a or b == b):
                return False
        return True

    return of_array


# Arguments as words in the tape's memory


def leaves_of(context, builder, ty, value):
    """(type, value) of all that is in an argument and no tuple."""
    if not isinstance(ty, types.BaseTuple):
        return [(ty, value)]
    items = [leaves_of(context, builder, t, builder.extract_value(value, k)) for k, t in enumerate(ty)]
    return [leaf for item in items for leaf in item]


def check_fit(x):
    """Refuse an argument that cannot be kept."""
    if isinstance(x, types.BaseTuple):
        for item in x:
            check_fit(item)
        return
    known = isinstance(x, types.Array) and x.ndim <= 3 and (is_active(x.dtype) or is_number(x.dtype))
    if not (known or is_number(x) or is_active(x)):
        raise _unfit(x)


def bytes_of(context, ty):
    """How many bytes a number takes: whole words."""
    return (context.get_abi_sizeof(context.get_data_type(ty)) + 7) // 8 * 8


def _room(context, builder, ty, value):
    if not isinstance(ty, types.Array):
        return I64(bytes_of(context, ty))
    size = context.make_array(ty)(context, builder, value).nitems
    return builder.add(builder.mul(size, I64(bytes_of(context, ty.dtype))), I64(8 * ty.ndim))


def _sum_over_leaves(term):
    """Code for the sum of ``term(context, builder, type, value, *types of the others)`` over what is in the last argument."""

    def codegen(context, builder, sig, args):
        total = I64(0)
        for ty, value in leaves_of(context, builder, sig.args[-1], args[-1]):
            total = builder.add(total, term(context, builder, ty, value, *sig.args[:-1]))
        return total

    return codegen


@intrinsic
def room_of(typingctx, x):
    """How many bytes an argument takes."""
    check_fit(x)
    return types.int64(x), _sum_over_leaves(_room)


@intrinsic
def store(typingctx, place, x):
    """Write an argument; returns the place behind it."""
    check_fit(x)

    def codegen(context, builder, sig, args):
        at = args[0]
        for ty, value in leaves_of(context, builder, x, args[1]):
            if isinstance(ty, types.Array):
                at = call(context, builder, _store_array, at, value, types=(types.int64, ty))
                continue
            data = context.data_model_manager[ty].as_data(builder, value)
            pointer = builder.inttoptr(at, data.type.as_pointer())
            builder.store(data, pointer, align=min(8, context.get_abi_sizeof(data.type)))
            at = builder.add(at, I64(bytes_of(context, ty)))
        return at

    return types.int64(types.int64, x), codegen


@helper
def _store_array(place, x):
    for extent in x.shape:
        write(place, 0, extent)
        place += 8
    step = (size_of(first_of(x)) + 7) // 8 * 8
    row = row_of(x)
    for k in range(row.size):
        write(place + k * step, 0, row[k])
    return place + row.size * step


def load(place, ref):
    """(an argument of a given type, the place behind it)."""
    raise NotImplementedError


@overload(load)
def _load(place, ref):
    ty = ref.instance_type
    if isinstance(ty, types.BaseTuple):
        if len(ty) == 0:
            return lambda place, ref: ((), place)
        head, tail = ty[0], types.BaseTuple.from_types(tuple(ty)[1:])

        def of_tuple(place, ref):
            first, behind = load(place, head)
            others, end = load(behind, tail)
            return named_as(ref, (first,) + others), end

        return of_tuple
    item = ty.dtype if isinstance(ty, types.Array) else types.unliteral(ty)
    if not isinstance(ty, types.Array):

        def of_number(place, ref):
            x = read(place, 0, number_of(item))
            return x, place + room_of(x)

        return of_number
    ndim = ty.ndim

    def of_array(place, ref):
        shape = load_shape(place, ref)
        place += 8 * ndim
        zero = number_of(item)
        out = empty_like_element(shape, zero)
        step = (size_of(zero) + 7) // 8 * 8
        for index in np.ndindex(shape):
            out[index] = read(place, 0, zero)
            place += step
        return out, place

    return of_array


def load_shape(place, ref):
    raise NotImplementedError


@overload(load_shape)
def _load_shape(place, ref):
    ndim = ref.instance_type.ndim
    if ndim == 1:
        return lambda place, ref: (read(place, 0, 0),)
    if ndim == 2:
        return lambda place, ref: (read(place, 0, 0), read(place, 1, 0))
    return lambda place, ref: (read(place, 0, 0), read(place, 1, 0), read(place, 2, 0))


@intrinsic
def number_of(typingctx, ref):
    """A zero of a scalar type."""
    ty = ref.instance_type

    def codegen(context, builder, sig, args):
        return _zero(ty)(context, builder, sig, args) if is_active(ty) else context.get_constant(ty, 0)

    return ty(ref), codegen


def _inputs_in(context, builder, ty, value, like):
    if is_active_array(ty) and ty.dtype.level == like.level:
        return context.make_array(ty)(context, builder, value).nitems
    return I64(int(level(ty) == like.level))


@intrinsic
def count_inputs(typingctx, like, x):
    """How many numbers of an argument have statements."""
    return types.int64(like, x), _sum_over_leaves(_inputs_in)


@intrinsic
def note_statements(typingctx, like, x, indices, k):
    """Write the statements of an argument's numbers from word ``k`` on; the word behind them."""

    def codegen(context, builder, sig, args):
        k = args[3]
        for ty, value in leaves_of(context, builder, x, args[1]):
            if is_active_array(ty) and ty.dtype.level == like.level:
                k = call(context, builder, _note_array, value, args[2], k, types=(ty, types.int64, types.int64))
            elif level(ty) == like.level:
                word = builder.trunc(builder.extract_value(value, 2), I32)  # as of ``index_of``
                builder.store(word, builder.gep(builder.inttoptr(args[2], I32.as_pointer()), [k]))
                k = builder.add(k, I64(1))
        return k

    return types.int64(like, x, types.int64, types.int64), codegen


@helper
def _note_array(x, indices, k):
    row = row_of(x)
    for j in range(row.size):
        as_i32(indices)[k + j] = index_of(row[j])
    return k + row.size


# Results


def _results_in(context, builder, ty, value):
    if not _is_counted(ty.dtype if isinstance(ty, types.Array) else ty):
        return I64(0)
    return context.make_array(ty)(context, builder, value).nitems if isinstance(ty, types.Array) else I64(1)


@intrinsic
def count_results(typingctx, y):
    """How many numbers of a result have statements."""
    _check_result(y)
    return types.int64(y), _sum_over_leaves(_results_in)


def _check_result(y):
    for item in y if isinstance(y, types.BaseTuple) else ():
        _check_result(item)
    if not (isinstance(y, (types.BaseTuple, types.Array)) or is_number(y) or is_active(y)):
        raise _unfit(y)


def as_results(like, y, first, step):
    """A result as statements ``first``, ``first + step``, ...; step 0 with first 0: constants."""
    raise NotImplementedError


@overload(as_results)
def _as_results(like, y, first, step):
    if isinstance(y, types.BaseTuple):
        if len(y) == 0:
            return lambda like, y, first, step: ()
        return lambda like, y, first, step: named_as(
            y,
            (as_results(like, y[0], first, step),)
            + as_results(like, y[1:], first + step * count_results(y[0]), step),
        )
    if not _is_counted(y.dtype if isinstance(y, types.Array) else y):
        return lambda like, y, first, step: y
    if not isinstance(y, types.Array):
        return lambda like, y, first, step: variable(like, first, y)

    def of_array(like, y, first, step):
        out = empty_like_element(y.shape, variable(like, 0, first_of(y)))
        row, items = row_of(out), row_of(y)
        for k in range(row.size):
            row[k] = variable(like, first + k * step, items[k])
        return out

    return of_array


def seed_results(tape, like, y, first, zero):
    """Move the adjoints of a call's results to those of its second recording; the statement behind them."""
    raise NotImplementedError


@overload(seed_results)
def _seed_results(tape, like, y, first, zero):
    if isinstance(y, types.BaseTuple):
        if len(y) == 0:
            return lambda tape, like, y, first, zero: first
        return lambda tape, like, y, first, zero: seed_results(
            tape, like, y[1:], seed_results(tape, like, y[0], first, zero), zero
        )
    item = y.dtype if isinstance(y, types.Array) else y
    if not _is_counted(item):
        return lambda tape, like, y, first, zero: first
    active = level(item) == like.level

    def of_number(tape, like, y, first, zero):
        adjoint = take_adjoint(tape, first, zero)
        if active:
            add_adjoint(tape, index_of(y), coefficient_of(y) * adjoint, zero)
        return first + 1

    if not isinstance(y, types.Array):
        if active:
            return of_number

        def of_constant(tape, like, y, first, zero):
            take_adjoint(tape, first, zero)
            return first + 1

        return of_constant

    def of_array(tape, like, y, first, zero):
        for index in np.ndindex(y.shape):
            first = seed_results(tape, like, y[index], first, zero)
        return first

    return of_array


@active_function
def add_adjoint(tape, index, value, zero):
    adjoints = read(tape, ADJOINTS, 0)
    write(adjoints, index, read(adjoints, index, zero) + value)


@active_function
def hand_on(tape, inputs, n, term, zero):
    """Add the adjoints of ``n`` inputs of the second recording to those of the statements they stand for."""
    targets = as_i32(read(tape, INDICES, 0) + 4 * term)
    for j in range(n):
        add_adjoint(tape, np.int64(targets[j]), take_adjoint(tape, inputs + j, zero), zero)


def lift_again(tape, like, x, ref):
    """A kept argument, differentiated where the original was, whose type is given."""
    raise NotImplementedError


@overload(lift_again)
def _lift_again(tape, like, x, ref):
    ty = ref.instance_type
    if isinstance(ty, types.BaseTuple) and len(ty):
        head, tail = ty[0], types.BaseTuple.from_types(tuple(ty)[1:])
        return lambda tape, like, x, ref: named_as(
            x, (lift_again(tape, like, x[0], head),) + lift_again(tape, like, x[1:], tail)
        )
    if level(ty) == like.level or (is_active_array(ty) and ty.dtype.level == like.level):
        return lambda tape, like, x, ref: lift(tape, like, x, None)
    return lambda tape, like, x, ref: x


def kept_type(ty, depth):
    """The type of an argument that has been stored and loaded: one level down, arrays in C order."""
    if isinstance(ty, types.BaseTuple):
        return tuple_type(ty, (kept_type(item, depth) for item in ty))
    if isinstance(ty, types.Array):
        return types.Array(kept_type(ty.dtype, depth), ty.ndim, "C")
    return ty.scalar if level(ty) == depth else types.unliteral(ty)


@intrinsic
def address_of(typingctx, replay):
    """The address of a replay's machine code."""
    return types.int64(replay), lambda context, builder, sig, args: sweep_address(
        context, builder, replay.dispatcher
    )
