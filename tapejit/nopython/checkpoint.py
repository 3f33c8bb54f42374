"""Checkpoints: a call is recorded as its inputs, and runs again when the sweep comes to it.

A checkpointed call computes with the values alone and leaves one record on the tape: where its replay stands, the values
of all its arguments, and the statements of the differentiated ones. Its results are new statements. The sweep hands a
record to the replay, which records the call once more, on top of the tape, sweeps that down, adds the adjoints of the
inputs and takes the recording away. Thus the tape holds a record per call, and the statements of one call at a time.

    coefficients  the replay's address, then the arguments' words
    indices       the statements of the differentiated inputs; at the end, their number of results and the first term
"""

# ruff: noqa: RUF005  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import functools

import numpy as np
from numba import njit
from numba.core import types
from numba.core.dispatcher import Dispatcher
from numba.core.extending import overload
from numba.extending import intrinsic

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.custom import rule_twin
from tapejit.nopython.dispatch import generated_function
from tapejit.nopython.errors import DifferentiationError
from tapejit.nopython.inputs import lift, variable
from tapejit.nopython.like import _zero, active_like, first_of, values, zero_coefficient
from tapejit.nopython.memory import I64, as_i32, read, size_of, write
from tapejit.nopython.statements import inner
from tapejit.nopython.sweep import (
    CALL,
    back,
    coefficient_of,
    index_of,
    is_full,
    replay_type,
    rewind,
    take_adjoint,
)
from tapejit.nopython.tape import (
    ADJOINTS,
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
from tapejit.nopython.twins import active_function, twin
from tapejit.nopython.types import Active, Tape, is_active, is_active_array, is_number, level


@intrinsic
def address_of(typingctx, replay):
    """The address of a replay's machine code."""
    replay.get_call_type(typingctx, (types.int64,) * 3, {})

    def codegen(context, builder, sig, args):
        compiled = replay.dispatcher.overloads[(types.int64,) * 3]
        context.add_linking_libs([compiled.library])
        function = context.declare_function(builder.module, compiled.fndesc)
        return builder.ptrtoint(builder.bitcast(function, replay_type(context)), I64)

    return types.int64(replay), codegen


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
        return lambda like, x: (settle(like, x[0]),) + settle(like, x[1:])
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


def room_of(x):
    """How many bytes an argument takes."""
    raise NotImplementedError


@overload(room_of)
def _room_of(x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda x: 0
        return lambda x: room_of(x[0]) + room_of(x[1:])
    if isinstance(x, types.Array) and x.ndim <= 3 and (is_active(x.dtype) or is_number(x.dtype)):
        ndim = x.ndim
        return lambda x: 8 * ndim + x.size * ((size_of(first_of(x)) + 7) // 8 * 8)
    if is_number(x) or is_active(x):
        return lambda x: (size_of(x) + 7) // 8 * 8
    raise _unfit(x)


def store(place, x):
    """Write an argument; returns the place behind it."""
    raise NotImplementedError


@overload(store)
def _store(place, x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda place, x: place
        return lambda place, x: store(store(place, x[0]), x[1:])
    if not isinstance(x, types.Array):

        def of_number(place, x):
            write(place, 0, x)
            return place + room_of(x)

        return of_number

    def of_array(place, x):
        for extent in x.shape:
            write(place, 0, extent)
            place += 8
        step = (size_of(first_of(x)) + 7) // 8 * 8
        for index in np.ndindex(x.shape):
            write(place, 0, x[index])
            place += step
        return place

    return of_array


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
            return (first,) + others, end

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


def count_inputs(like, x):
    """How many numbers of an argument have statements."""
    raise NotImplementedError


@overload(count_inputs)
def _count_inputs(like, x):
    if isinstance(x, types.BaseTuple) and len(x):
        return lambda like, x: count_inputs(like, x[0]) + count_inputs(like, x[1:])
    if is_active_array(x) and x.dtype.level == like.level:
        return lambda like, x: x.size
    n = int(level(x) == like.level)
    return lambda like, x: n


def note_statements(like, x, indices, k):
    """Write the statements of an argument's numbers from word ``k`` on; the word behind them."""
    raise NotImplementedError


@overload(note_statements)
def _note_statements(like, x, indices, k):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda like, x, indices, k: k
        return lambda like, x, indices, k: note_statements(
            like, x[1:], indices, note_statements(like, x[0], indices, k)
        )
    if level(x) == like.level:

        def of_number(like, x, indices, k):
            as_i32(indices)[k] = index_of(x)
            return k + 1

        return of_number
    if not (is_active_array(x) and x.dtype.level == like.level):
        return lambda like, x, indices, k: k

    def of_array(like, x, indices, k):
        for index in np.ndindex(x.shape):
            as_i32(indices)[k] = index_of(x[index])
            k += 1
        return k

    return of_array


# Results


def count_results(y):
    raise NotImplementedError


@overload(count_results)
def _count_results(y):
    if isinstance(y, types.BaseTuple):
        if len(y) == 0:
            return lambda y: 0
        return lambda y: count_results(y[0]) + count_results(y[1:])
    if isinstance(y, types.Array):
        return (lambda y: y.size) if _is_counted(y.dtype) else (lambda y: 0)
    if is_number(y) or is_active(y):
        return (lambda y: 1) if _is_counted(y) else (lambda y: 0)
    raise _unfit(y)


def as_results(like, y, first, step):
    """A result as statements ``first``, ``first + step``, ...; step 0 with first 0: constants."""
    raise NotImplementedError


@overload(as_results)
def _as_results(like, y, first, step):
    if isinstance(y, types.BaseTuple):
        if len(y) == 0:
            return lambda like, y, first, step: ()
        return lambda like, y, first, step: (
            (as_results(like, y[0], first, step),)
            + as_results(like, y[1:], first + step * count_results(y[0]), step)
        )
    if not _is_counted(y.dtype if isinstance(y, types.Array) else y):
        return lambda like, y, first, step: y
    if not isinstance(y, types.Array):
        return lambda like, y, first, step: variable(like, first, y)

    def of_array(like, y, first, step):
        out = empty_like_element(y.shape, variable(like, 0, first_of(y)))
        k = first
        for index in np.ndindex(y.shape):
            out[index] = variable(like, k, y[index])
            k += step
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


# The two halves of a checkpoint


def lift_again(tape, like, x, ref):
    """A kept argument, differentiated where the original was, whose type is given."""
    raise NotImplementedError


@overload(lift_again)
def _lift_again(tape, like, x, ref):
    ty = ref.instance_type
    if isinstance(ty, types.BaseTuple) and len(ty):
        head, tail = ty[0], types.BaseTuple.from_types(tuple(ty)[1:])
        return lambda tape, like, x, ref: (
            (lift_again(tape, like, x[0], head),) + lift_again(tape, like, x[1:], tail)
        )
    if level(ty) == like.level or (is_active_array(ty) and ty.dtype.level == like.level):
        return lambda tape, like, x, ref: lift(tape, like, x, None)
    return lambda tape, like, x, ref: x


def _kept_type(ty, depth):
    """The type of an argument that has been stored and loaded: one level down, arrays in C order."""
    if isinstance(ty, types.BaseTuple):
        return types.BaseTuple.from_types(tuple(_kept_type(item, depth) for item in ty))
    if isinstance(ty, types.Array):
        return types.Array(_kept_type(ty.dtype, depth), ty.ndim, "C")
    return ty.scalar if level(ty) == depth else types.unliteral(ty)


def _replay(function, like, argument_types):
    """What the sweep calls for a record: (tape, its last statement, the term behind it) -> its first term, or -1."""
    kept = _kept_type(argument_types, like.level)

    def replay(tape, k, p):
        words = as_i32(read(tape, INDICES, 0))
        start, results, n = np.int64(words[p - 1]), np.int64(words[p - 2]), np.int64(words[p - 3])
        top, inputs = get_counter(tape, TERMS), get_counter(tape, STATEMENTS)
        model = number_of(like)
        zero = zero_coefficient(model)
        place = read(tape, COEFFICIENTS, 0) + 8 * slot_of(model) * start + 8
        xs = load(place, kept)[0]
        if top + 20 * n >= read(tape, CAPACITY, 0):
            return -1
        y = function(*lift_again(tape, model, xs, argument_types))
        if is_full(tape):
            return -1
        seed_results(tape, model, y, k + 1 - results, zero)
        if not back(tape, inputs + n, zero):
            return -1
        hand_on(tape, inputs, n, start, zero)
        rewind(tape, top, inputs)
        return start

    return active_function(replay)


def recorder(function):
    """A stub ``call(like, arguments)`` of the checkpointed form of an active function."""

    def call(like, xs):
        raise NotImplementedError

    @overload(call, strict=False)
    def typer(like, xs):
        if not isinstance(like, Tape):
            return lambda like, xs: function(*xs)
        replay = _replay(function, like, xs)

        def recorded(like, xs):
            own = settle(like, xs)
            kept = values(like, own)
            tape = acquire(slot_of(like))
            start = get_counter(tape, TERMS)
            unit = 8 * slot_of(like)
            n = count_inputs(like, own)
            end = start + max((8 + room_of(kept) + unit - 1) // unit, n) + 3
            capacity = read(tape, CAPACITY, 0)
            full = end >= capacity
            if not full:
                place = read(tape, COEFFICIENTS, 0) + unit * start
                write(place, 0, address_of(replay))
                store(place + 8, kept)
                note_statements(like, own, read(tape, INDICES, 0) + 4 * start, 0)
            set_counter(tape, TERMS, capacity if full else end)
            value = function(*kept)
            if not same_values(like, own, kept):
                raise ValueError("a checkpointed function must leave its arguments as they are")
            results = count_results(value)
            end = max(end, start + results + 3)
            if end >= capacity:
                set_counter(tape, TERMS, capacity)
                return as_results(like, value, 0, 0)
            if results > 0:
                first = get_counter(tape, STATEMENTS)
                words = as_i32(read(tape, INDICES, 0))
                words[end - 3] = n
                words[end - 2] = results
                words[end - 1] = start
                write(read(tape, COUNTS, 0), first + results - 1, np.int32(CALL))
                set_counter(tape, TERMS, end)
                set_counter(tape, STATEMENTS, first + results)
                return as_results(like, value, first, 1)
            set_counter(tape, TERMS, start)
            return as_results(like, value, 0, 0)

        return recorded

    return call


def checkpoint(f, argnums=None, keep="auto"):
    """The same function, whose calls leave little on the tape.

    A loop that calls ``step = checkpoint(step)`` keeps a record a step instead of a statement per operation:

    - ``keep="inputs"``: the step's arguments, all of them. The sweep runs the step again, so it computes twice what is
      inside; the tape holds one step's statements at a time. Checkpoints nest.
    - ``keep="jacobian"``: the step's Jacobian, result times argument numbers; each call is differentiated at once, in one
      sweep per number of the result. It pays for small states and long steps.
    - ``"auto"``: the Jacobian for a result that is one number, else the inputs.

    Only for the tape: dual numbers need no memory, and the step is called as it is.

    Args:
        f: a function of numbers, arrays and tuples of them that returns such. It must do the same when it is called again
            with the same arguments, and leave differentiated arguments as they are (ValueError otherwise). For
            "jacobian": of floats and float arrays, and it returns a number or an array.
        argnums: the arguments through which derivatives flow; all by default. The others are constants.

    Raises:
        ValueError: ``keep`` is none of the three, or ``argnums`` does not fit ``f``.
    """
    from tapejit.nopython.driver import argument_numbers, signature_of

    if keep not in ("auto", "inputs", "jacobian"):
        raise ValueError(f'keep is "auto", "inputs" or "jacobian"; got {keep!r}')
    function, parameters = signature_of(f)
    names = [p.name for p in parameters]
    numbers = (
        range(len(names)) if argnums is None else argument_numbers(argnums, len(names), function.__name__)
    )
    original = f if isinstance(f, Dispatcher) else njit(f)
    plain, by_inputs = twin(original), recorder(twin(original))
    by_jacobian = functools.cache(lambda: _jacobian_twin(function, names, tuple(numbers), original))

    def choose(like, xs):
        raise NotImplementedError

    @overload(choose, strict=False)
    def typer(like, xs):
        if not isinstance(like, Tape):
            return lambda like, xs: plain(*xs)
        kept = tuple(_kept_type(xs, like.level))
        number = isinstance(plain.get_call_template(kept, {})[0].cases[0].return_type, types.Float)
        simple = all(
            isinstance(kept[k].dtype if isinstance(kept[k], types.Array) else kept[k], types.Float)
            for k in numbers
        )
        if keep == "jacobian" or (keep == "auto" and number and simple):
            jacobian = by_jacobian()
            return lambda like, xs: jacobian(*xs)
        return lambda like, xs: by_inputs(like, xs)

    args = "".join(f"{name}, " for name in names)
    given = "".join(f"{n}, " if k in numbers else f"values(like__, {n}), " for k, n in enumerate(names))
    name = function.__name__ if function.__name__.isidentifier() else "function"
    lines = [
        f"def {name}({', '.join(names)}):",
        f"like__ = active_like(({args}))",
        f"return choose__(like__, ({given}))",
    ]
    namespace = {"active_like": active_like, "values": values, "choose__": choose}
    rewritten = generated_function(name, "\n    ".join(lines) + "\n", namespace, f"checkpoint{id(function)}")
    copy = njit(original.py_func)
    copy._tapejit_twin = active_function(rewritten)
    copy._tapejit_twin.original = copy
    return copy


def _jacobian_twin(function, names, numbers, original):
    """The function with its Jacobian as its rule."""
    from tapejit.nopython.transforms import jacobian, value_and_grad

    scalar, array = value_and_grad(original, numbers, "tape"), jacobian(original, numbers)
    places = "".join(
        f"gradients__[{numbers.index(k)}], " if k in numbers else "0.0, " for k in range(len(names))
    )

    def lines(below):
        return [f"value__, gradients__ = partials__of({below})", f"partials__ = ({places})"]

    def either(*args):
        raise NotImplementedError

    args = ", ".join(names)
    namespace = {"scalar": scalar, "array": array, "types": types, "original": original, "twin": twin}
    exec(
        f"def typer({args}):\n"
        f"    returns = twin(original).get_call_template(({args},), {{}})[0].cases[0].return_type\n"
        f"    if isinstance(returns, types.Array):\n"
        f"        return lambda {args}: array({args})\n"
        f"    return lambda {args}: scalar({args})\n",
        namespace,
    )
    overload(either)(namespace["typer"])
    return rule_twin(function, either, original, lines)
