"""What is heard while a function is followed along a length: what tensors see of it, and for which lengths that is known."""

import itertools
import math
from fractions import Fraction

from tapejit.graph.anylength import LENGTH
from tapejit.graph.counting import COMPARISONS, EDGE, EXACT, OPERATORS, Unsafe, degree, is_whole, parts, value

LARGEST = 1 << 26  # lengths
_NEEDED = {  # for a whole number x to be so compared with 0: pairs (sign, more) with sign * x + more >= 0
    ("<", True): [(-1, -1)], ("<", False): [(1, 0)], ("<=", True): [(-1, 0)], ("<=", False): [(1, -1)],
    (">", True): [(1, -1)], (">", False): [(-1, 0)], (">=", True): [(1, 0)], (">=", False): [(-1, -1)],
    ("==", True): [(1, 0), (-1, 0)], ("!=", False): [(1, 0), (-1, 0)],
}  # fmt: skip


class Heard:
    """What a ``LengthWalk`` finds out.

    Args:
        length: of the recording.

    Attributes:
        forms: what meets tensors.
        limits: pairs (a, b): it holds of lengths N with ``a + b * N >= 0``.
    """

    def __init__(self, length):
        self.length, self.forms, self.limits = length, [], []
        self.trips = {}  # by counter (a, b): its loop has ``a + b * N`` passes
        self.numbers = itertools.count()

    def goes_along(self, name, trips):
        """There is a loop with so many passes, of which a counter goes along."""
        line = self._line(trips)
        if line[2] or line[1] not in (0, 1) or self.trips.get(name, line[:2]) != line[:2]:
            raise Unsafe
        self.trips[name] = line[:2]

    def form(self, form):
        if not self._is_exact(form):
            raise Unsafe
        self.forms.append(form)

    def unknown(self):
        raise Unsafe

    def element(self, form):
        """A tensor of a known size is asked for an element."""

    def condition(self, kind, form, limit):
        """How a comparison with a number comes out, in all passes."""
        outcome = self._everywhere(kind, form, limit)
        if outcome is None:
            raise Unsafe
        return outcome

    def decides(self, kind, form, limit):
        """The same; None where it comes out in one way in the first or the last passes, in another in all others."""
        outcome = self._everywhere(kind, form, limit)
        if outcome is not None:
            return outcome
        start, ends, steps = self._line(form, limit)
        if len(steps) != 1:
            raise Unsafe
        ((name, step),) = steps.items()
        more, along = self.trips[name]
        if ends and (ends != -step or along != 1):
            raise Unsafe
        # It turns at t = place, or at t = N + place, which is some passes before the last one.
        place = -Fraction(start) / step
        if not 0 <= (more - 1 - place if ends else place) <= EDGE:
            raise Unsafe
        return None

    def _everywhere(self, kind, form, limit):
        start, ends, steps = self._line(form, limit)
        corners = [(start, ends)]
        for name, step in steps.items():
            more, along = self.trips[name]
            corners += [(a + step * (more - 1), b + step * along) for a, b in corners]
        scale = math.lcm(*(Fraction(x).denominator for pair in corners for x in pair))
        corners = [(int(a * scale), int(b * scale)) for a, b in corners]
        reached = [a + b * self.length for a, b in corners]
        outcomes = {COMPARISONS[kind](x, 0) for x in reached}
        if len(outcomes) > 1:
            return None
        (outcome,) = outcomes
        needed = _NEEDED.get((kind, outcome))
        if needed is None:  # it may be met in between, unless all are on one side
            needed = [side for side in ((1, -1), (-1, -1)) if all(side[0] * x > 0 for x in reached)]
        if not needed:
            return None
        self.limits += [(sign * a + more, sign * b) for sign, more in needed for a, b in corners]
        return outcome

    def _line(self, form, limit=0):
        """(start, factor of the length, factors of other counters that are not 0) of a form less a number."""
        if sum(degree(form)) > 1 or not is_whole(form) or not math.isfinite(limit):
            raise Unsafe
        names = {part[1] for part in parts(form) if part[0] == "counter"}
        nothing = dict.fromkeys(names, 0)
        start = value(form, nothing)
        factors = {name: value(form, {**nothing, name: 1}) - start for name in names}
        steps = {name: step for name, step in factors.items() if step and name != LENGTH}
        return start - Fraction(limit), factors.get(LENGTH, 0), steps

    def _is_exact(self, form):
        """Whether all whole numbers of a form are floats, for every length."""
        return all(_largest(part) <= EXACT for part in parts(form) if is_whole(part))


def _largest(form):
    if form[0] == "counter":
        return LARGEST
    if form[0] == "number":
        return abs(form[1])
    return OPERATORS["*" if form[0] == "*" else "+"](_largest(form[1]), _largest(form[2]))
