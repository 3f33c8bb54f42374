"""Checkpoints: a call is recorded as its inputs, and runs again when the sweep comes to it.

A checkpointed call computes with the values alone and leaves one record on the tape: where its replay stands, the values
of all its arguments, and the statements of the differentiated ones. Its results are new statements. The sweep hands a
record to the replay, which records the call once more, on top of the tape, sweeps that down, adds the adjoints of the
inputs and takes the recording away. Thus the tape holds a record per call, and the statements of one call at a time.

    coefficients  the replay's address, then the arguments' words
    indices       the statements of the differentiated inputs; at the end, their number of results and the first term
"""

import functools

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import overload

from tapejit.edge.compiler import Dispatcher
from tapejit.nopython.cache import generated_function
from tapejit.nopython.custom import rule_twin
from tapejit.nopython.derivatives import value_and_grad
from tapejit.nopython.driver import argument_numbers, signature_of
from tapejit.nopython.keeping import (
    address_of,
    as_results,
    count_inputs,
    count_results,
    hand_on,
    kept_type,
    lift_again,
    load,
    note_statements,
    number_of,
    room_of,
    same_values,
    seed_results,
    settle,
    store,
)
from tapejit.nopython.like import active_like, values, zero_coefficient
from tapejit.nopython.memory import as_i32, read, write
from tapejit.nopython.reverse import back, is_full, rewind
from tapejit.nopython.rowsandlanes import jacobian
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
from tapejit.nopython.twins import active_function, twin
from tapejit.nopython.types import Tape


def _replay(function, like, argument_types):
    """What the sweep calls for a record: (tape, its last statement, the term behind it) -> its first term, or -1."""
    kept = kept_type(argument_types, like.level)

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
    if keep not in ("auto", "inputs", "jacobian"):
        raise ValueError(f'keep is "auto", "inputs" or "jacobian"; got {keep!r}')
    function, parameters = signature_of(f)
    names = [p.name for p in parameters]
    numbers = range(len(names)) if argnums is None else argument_numbers(argnums, names, function.__name__)
    original = f if isinstance(f, Dispatcher) else njit(f)
    plain, by_inputs = twin(original), recorder(twin(original))
    by_jacobian = functools.cache(lambda: _jacobian_twin(function, names, tuple(numbers), original))

    def choose(like, xs):
        raise NotImplementedError

    @overload(choose, strict=False)
    def typer(like, xs):
        if not isinstance(like, Tape):
            return lambda like, xs: plain(*xs)
        kept = tuple(kept_type(xs, like.level))
        number = isinstance(plain.get_call_template(kept, {})[0].cases[0].return_type, types.Float)
        simple = all(
            isinstance(kept[k].dtype if isinstance(kept[k], types.Array) else kept[k], types.Float)
            for k in numbers
        )
        if keep == "jacobian" or (keep == "auto" and number and simple):
            jacobian = by_jacobian()
            return lambda like, xs: jacobian(*xs)
        return lambda like, xs: by_inputs(like, xs)

    return _rewritten(function, names, numbers, original, choose)


def _rewritten(function, names, numbers, original, choose):
    """A copy of the function whose twin is the checkpointed form."""
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
