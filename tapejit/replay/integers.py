"""Integers among the arguments: those that only enter arithmetic are run-time values, as floats are.

An int is static at first: it may be a length, an index, an exponent. At the third value of one argument the function is
recorded twice, with the int and with a float in its place. If that gives the same results by the same work, and nothing
but comparisons looked at the number, the argument is a run-time value from then on.
"""

import inspect

import numpy as np

from tapejit.edge.userline import warn
from tapejit.replay.trees import LEAF

TRIES_AT = 3  # different values of one argument
HINT_AT = 48  # signatures of one function
EXACT = (1 << 53) - 1  # up to which every integer is a float, and no other integer is the same float


class Integers:
    """What is known of the int arguments of a function, by position or name.

    Attributes:
        runtime: those that are run-time values; ``of_numpy``: those that are where they are integers of NumPy's.
    """

    def __init__(self):
        self.runtime, self.of_numpy, self._steering, self._seen = set(), set(), set(), {}
        self._hinted = False

    def as_floats(self, args, kwargs):
        """The arguments, those that are run-time values as floats."""
        known = self.runtime | self.of_numpy
        if any(k in known for k in range(len(args))):
            args = tuple(self._as_float(k, x) if k in known else x for k, x in enumerate(args))
        if kwargs:
            kwargs = {name: self._as_float(name, x) if name in known else x for name, x in kwargs.items()}
        return args, kwargs

    def _as_float(self, place, x):
        known = self.runtime if x.__class__ is int else self.of_numpy if isinstance(x, np.integer) else ()
        return float(x) if place in known and abs(int(x)) <= EXACT else x

    def to_try(self, args, kwargs, static):
        """An argument to try as a run-time value, and whether it is NumPy's; None if there is none."""
        for place, x in (*enumerate(args), *kwargs.items()):
            numpys = isinstance(x, np.integer)
            which = place, numpys
            if (x.__class__ is int or numpys) and place not in static and which not in self._steering and abs(int(x)) <= EXACT:
                seen = self._seen.setdefault(which, set())
                seen.add(int(x))
                if len(seen) >= TRIES_AT:
                    return which
        return None

    def decide(self, which, same):
        """Enter the outcome of a trial of what ``to_try`` gave."""
        place, numpys = which
        if same:
            (self.of_numpy if numpys else self.runtime).add(place)
        else:
            self._steering.add(which)
        self._seen.pop(which, None)

    def hint(self, function, signatures):
        """Say once that a function is recorded often, and for which argument."""
        if self._hinted or len(signatures) < HINT_AT:
            return
        self._hinted = True
        name, what, count = _most_varied(function, signatures)
        warn(
            f"tapejit: {function!r} has been recorded for {len(signatures)} kinds of arguments, {count} of them by the {what} "
            f"of argument {name}: every new one costs a recording; numbers that change at every call should be floats"
        )


def same_work(one, other):
    """Whether two recordings, pairs (program, results), gave the same results by the same work."""
    (a, found), (b, expected) = one, other
    if a.structure != b.structure or _looked_at(a) != _looked_at(b):
        return False
    for x, y in zip(found, expected, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        if x.dtype != y.dtype or x.shape != y.shape or not np.allclose(x, y, rtol=1e-12, atol=0, equal_nan=True):
            return False
    return True


def _looked_at(program):
    """What of a recording depends on a number as such: values that Python read, and exponents of what may be differentiated."""
    powers = [n.args for n in program.frozen.graph.nodes if n.op == "pow"]
    exponents = sum("const" not in (base.op, exponent.op) for base, exponent in powers)  # 0.9 ** t has no derivative in 0.9
    return sum(kind != "truth" for _, kind, _ in program.frozen.guards), exponents


def _most_varied(function, signatures):
    """The name of the argument that differs most between signatures, whether by value or shape, and how often."""
    varied = {}
    for (args, named), kinds in signatures:
        kinds = iter(kinds)
        for place, part in (*enumerate(args), *named):
            shapes = tuple(next(kinds) for _ in range(_leaves(part)))
            values, forms = varied.setdefault(place, (set(), set()))
            values.add(part)
            forms.add(shapes)
    place, (values, forms) = max(varied.items(), key=lambda item: max(map(len, item[1])))
    try:
        name = place if isinstance(place, str) else list(inspect.signature(function.fun).parameters)[place]
    except (TypeError, ValueError, IndexError):
        name = place
    return repr(name), "value" if len(values) >= len(forms) else "shape or dtype", max(len(values), len(forms))


def _leaves(part):
    if part == LEAF:
        return 1
    return 0 if part[0] == "static" else sum(map(_leaves, part[-1]))
