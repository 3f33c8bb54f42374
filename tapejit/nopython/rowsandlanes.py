"""jacobian: a driver by the tape, row after row, or by dual numbers, some columns at a time."""

import functools

import numpy as np
from numba.core import types

from tapejit.nopython.dispatcher import Transform, pickled
from tapejit.nopython.driver import REWIND, Driver, check_mode, count_of, width_for

MOST_LANES = 16
_ROWS = "rows__ = as_array(like__, result__)"
_VALUE = "value__ = values(like__, result__)"
_EACH_ROW = ("for index__ in np.ndindex(rows__.shape):", "    y__ = as_active(like__, rows__[index__])")


@pickled
def jacobian(f, argnums=0, mode="auto", lanes=None):
    """The Jacobian of a function that returns an array or a tuple of numbers.

    Args:
        f: as in ``value_and_grad``, but for its result.
        argnums: which arguments to differentiate: floats, and float arrays of one to three dimensions.
        mode: "tape": one recording and a sweep for each number of the result; "dual": forward, a call for every ``lanes``
            numbers of the arguments, without memory of its own; "auto": dual for up to 16 numbers. Of arrays, the sizes
            count that the first call from Python for their types has; a call from compiled code decides when it runs.
        lanes: 1 to 16, for "dual". The default is 8, two to sixteen for so many plain numbers.

    Returns:
        ``j`` with ``j(*args) -> (value, jacobian)``; the Jacobian has the shape ``value.shape + argument.shape``, where a
        tuple of m numbers has the shape ``(m,)``, and is a tuple of arrays if ``argnums`` is one. ``j.into(*args, out) ->
        value`` writes it into ``out``, an array of that shape in any order of memory; for several arguments a tuple of
        arrays, or one array of shape ``value.shape + (numbers,)`` with a column for each number of the arguments, in
        order. It allocates nothing if ``f`` returns a tuple.
    """
    check_mode(mode)
    if lanes is not None and not (isinstance(lanes, int) and 1 <= lanes <= MOST_LANES):
        raise ValueError(f"lanes is an integer from 1 to {MOST_LANES}; got {lanes!r}")
    return _Jacobian(f, argnums, mode, lanes).transform()


class _Jacobian:
    """The bodies of one function's Jacobian: ``out__0``, ... are the arrays of its arguments."""

    def __init__(self, f, argnums, mode, lanes):
        self.driver = Driver(f, argnums, "jacobian", f"{mode} {lanes}")
        self.mode, self.lanes = mode, lanes
        self.out = self.driver.extra("out")
        self.names = self.driver.differentiated
        self.count = range(len(self.names))
        self.own = [f"out__{k}" for k in self.count]
        self.forms = functools.cache(self.forms)

    def transform(self):
        users = self.driver.f
        by_tape = self.forms(None, False)
        form = Transform(by_tape[1], self.driver.choice(functools.partial(self.chosen, 1)), users=users)
        return Transform(
            by_tape[0], self.driver.choice(functools.partial(self.chosen, 0)), {"into": form}, users=users
        )

    def chosen(self, which, args, given):
        """The body for arguments of these types; ``which``: the form that returns, or that which writes."""
        numbers = self.driver.argnums
        static = count_of(args, numbers)
        count = static
        if count is None and len(given) > max(numbers):
            count = sum(map(_size, (given[k] for k in numbers)))
        block = which == 1 and isinstance(args[-1], types.Array) and not self.driver.single
        width, decided = self.lanes or width_for(count, MOST_LANES), self.mode != "auto" or count is not None
        if self.mode == "dual" or (self.mode == "auto" and (count is None or count <= MOST_LANES)):
            return self.forms(width, static is not None and static <= width, block, decided)[which]
        return self.forms(None, False, block)[which]

    def forms(self, width, once, block=False, decided=True):
        """(the form that returns, the form that writes), by ``width`` lanes or by the tape.

        ``once``: one pass is enough. ``block``: several arguments' columns are written side by side into one array.
        ``decided``: or else by lanes for few numbers only, and for more by the tape.
        """
        ways = [self.recorded if width is None else functools.partial(self.by_lanes, width, once)]
        ways += [] if decided else [self.recorded]
        names, own, out = self.names, self.own, self.out
        starts = [
            "start__0 = 0",
            *(f"start__{k + 1} = start__{k} + count_numbers({names[k]})" for k in self.count),
        ]
        fresh = [
            f"{o} = empty_jacobian(rows__, {n}, zero_coefficient(like__))"
            for n, o in zip(names, own, strict=True)
        ]
        places = [out] * len(own) if block else self.driver.places(out)
        given = [f"{o} = {place}" for o, place in zip(own, places, strict=True)]
        none = ["None"] * len(own)
        columns = [f"start__{k}" for k in self.count] if block else none
        answer = f"return value__, {self.driver.pack(own)}"
        define, name = self.driver.define, self.driver.name
        returned = [[*way(fresh, none), answer] for way in ways]
        written = [[*way(self.fitting(block), columns), "return value__"] for way in ways]
        few = f"if start__{len(self.own)} <= {MOST_LANES}:"
        return (
            define(name, [*starts, *_either(few, *returned)]),
            define(name + "_into", [*starts, *given, *_either(few, *written)], [out]),
        )

    def fitting(self, block):
        """Lines that refuse arrays of other shapes."""
        numbers = f"start__{len(self.own)}" if block else "None"
        fit = " and ".join(
            f"jacobian_fits(rows__, {n}, {o}, {numbers})" for n, o in zip(self.names, self.own, strict=True)
        )
        return [
            f"if not ({fit}):",
            f"    {REWIND}",
            "    raise ValueError('the array for a Jacobian must have the shape of the result and the argument together')",
        ]

    def recorded(self, prepare, columns):
        """Lines: one recording, and a sweep for each number of the result."""
        collected, after = [], "first__"
        for k, (name, column) in enumerate(zip(self.names, columns, strict=True)):
            args = f"tape__, {after}, {name}, zero__, out__{k}, index__, {column}"
            collected.append(f"    after__{k} = collect_row({args})")
            after = f"after__{k}"
        return [
            *self.driver.record(),
            _ROWS,
            *self.driver.CHECK,
            *prepare,
            "zero__ = zero_coefficient(like__)",
            *_EACH_ROW,
            *("    " + line for line in self.driver.SWEEP),
            *collected,
            _VALUE,
            REWIND,
        ]

    def by_lanes(self, width, once, prepare, columns):
        """Lines: a call for every ``width`` numbers of the arguments."""
        if not once and columns[0] == "None" and prepare[0].startswith("out__"):
            prepare = ["if lane__ == 0:", *("    " + line for line in prepare)]
        written = [
            f"    write_row(y__, {name}, start__{k} - lane__, out__{k}, index__, {column})"
            for k, (name, column) in enumerate(zip(self.names, columns, strict=True))
        ]
        return self.driver.lanes(width, [_ROWS, *prepare, *_EACH_ROW, *written, _VALUE], once)


def _either(few, lines, otherwise=()):
    """Lines, both of which return: the first under a condition if there are others."""
    return [few, *("    " + line for line in lines), *otherwise] if otherwise else lines


def _size(x):
    return sum(map(_size, x)) if isinstance(x, tuple) else np.size(x)
