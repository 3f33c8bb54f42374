"""Numbers that a loop of Python counts: arithmetic on counters that move by one step from pass to pass.

A form is ("counter", name), ("number", value), or an operator and two forms. Decisions are numbered from the one that ended the
loop, which is 0; those before have negative numbers.
"""

import math
import operator
from dataclasses import dataclass
from fractions import Fraction

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
NAMES = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
COMPARISONS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne
}  # fmt: skip
MOST_DEGREE = 3
EXACT = 1 << 53  # up to which every integer is a float
FOREVER = 1 << 40  # passes
FEWEST = 8  # passes
EDGE = 4  # passes at either end that others may read


class Unsafe(Exception):
    """It cannot be told what Python does with a counter."""


def counter(name):
    return "counter", name


def number(value):
    return "number", value


def joined(kind, a, b):
    """Two forms and an operator as one; numbers alone are worked out."""
    if a[0] == b[0] == "number":
        return number(OPERATORS[kind](a[1], b[1]))
    if sum(degree((kind, a, b))) > MOST_DEGREE:
        raise Unsafe
    return kind, a, b


def value(form, counters):
    """What a form is where the counters are those."""
    kind = form[0]
    if kind == "counter":
        return counters[form[1]]
    if kind == "number":
        return form[1]
    return OPERATORS[kind](value(form[1], counters), value(form[2], counters))


def degree(form):
    """The degrees of the polynomials above and below the line."""
    kind = form[0]
    if kind in ("counter", "number"):
        return int(kind == "counter"), 0
    (a, b), (c, d) = degree(form[1]), degree(form[2])
    if kind == "*":
        return a + c, b + d
    if kind == "/":
        return a + d, b + c
    return max(a + d, b + c), b + d


def is_whole(form):
    """Whether a form is a whole number wherever its counters are."""
    if form[0] == "counter":
        return True
    if form[0] == "number":
        return form[1].__class__ is int
    return form[0] != "/" and is_whole(form[1]) and is_whole(form[2])


def parts(form):
    """A form, and the forms that it is made of."""
    yield form
    if form[0] in OPERATORS:
        yield from parts(form[1])
        yield from parts(form[2])


def derived(form):
    """A form, and what derivatives make of it."""
    yield form
    yield "*", ("number", -1), form
    yield "-", form, ("number", 1)
    yield "/", ("number", 1), form


def is_value(form, counters, x, kind):
    """Whether a number is what a form gives, in a class of floats."""
    try:
        known = value(form, counters)
    except ArithmeticError:
        return False
    if kind is int and known.__class__ is not int:
        return False
    return kind(known) == x and math.copysign(1, known) == math.copysign(1, x)


@dataclass(frozen=True)
class Condition:
    """A comparison of a form with a number, which is to come out in one way; ``after`` the loop, or in every pass."""

    kind: str
    form: tuple
    number: object
    outcome: bool
    after: bool

    def holds(self, counters):
        return COMPARISONS[self.kind](value(self.form, counters), self.number) is self.outcome


@dataclass(frozen=True)
class Counting:
    """What a loop does with its counters.

    Attributes:
        counters: by name (what it is at the last decision, step).
        inside, after: the forms that meet tensors, in the passes and after the loop.
        fewer, more: by how many passes the loop may have less, and more, than in the recording.
    """

    counters: dict
    inside: tuple
    after: tuple
    fewer: int
    more: int

    def candidates(self, edge=EDGE):
        """What numbers after the loop may be: (form, decision)."""
        yield from ((form, 0) for form in self.after)
        for form in self.inside:
            yield from ((part, -k) for part in derived(form) for k in range(edge + 1))

    def at(self, decision):
        return {name: last + step * decision for name, (last, step) in self.counters.items()}

    def later(self, decision, further):
        """The counters at a decision of a loop that has had so many passes more."""
        return self.at(decision + further)

    def in_pass(self, name, count):
        """(start, step, ends) of a counter: ``start + step * t + ends * N`` in pass t of N, ``count`` in the recording."""
        last, step = self.counters[name]
        return last - step * count, step, 0

    def line(self, name, decision, count):
        """(start, step) of a counter that is ``start + step * N`` at a decision, N having been ``count``."""
        start, step, ends = self.in_pass(name, count)
        return start + step * decision, step + ends


def counting(counters, inside, after, conditions, known):
    """The Counting of a loop of so many ``known`` passes.

    Raises:
        Unsafe: if a condition did not hold in the recording, or it cannot be told how long it does.
    """
    made = Counting(counters, inside, after, 0, 0)
    fewer, more = FOREVER, min((_exact(made, form) for form in (*inside, *after)), default=FOREVER)
    for condition in conditions:
        # Passes before those in which it came out as in the last one are passes before the loop.
        decisions = (0,) if condition.after else range(-min(known, FEWEST), 0)
        if sum(degree(condition.form)) > 1 or not is_whole(condition.form):
            raise Unsafe
        if not all(condition.holds(made.at(d)) for d in decisions):
            raise Unsafe
        if condition.after:
            fewer = min(fewer, _how_long(made, condition, 0, -1))
        more = min(more, _how_long(made, condition, 0 if condition.after else -1, 1))
    return Counting(counters, inside, after, fewer, more)


def _how_long(made, condition, start, way):
    """For how many decisions a condition still holds from one on, in one direction."""

    def holds(d):
        return condition.holds(made.at(start + way * d))

    if condition.kind in ("==", "!="):
        here, there = (value(condition.form, made.at(d)) for d in (start, start + way))
        if here == there:
            return FOREVER
        meeting = (Fraction(condition.number) - here) / (there - here)
        if (condition.kind == "==") is condition.outcome:
            return 0
        return int(meeting) - 1 if meeting > 0 and meeting.denominator == 1 else FOREVER
    return _last(holds)


def _last(holds):
    """Up to which number something holds that changes once."""
    low, high = 0, FOREVER
    if holds(high):
        return FOREVER
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _exact(made, form):
    """For how many more passes all whole numbers of a form are floats."""
    whole = [part for part in parts(form) if is_whole(part)]
    return _last(lambda d: all(abs(value(part, made.at(d))) <= EXACT for part in whole))
