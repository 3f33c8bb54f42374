"""One graph for every length: loops with as many passes as a call says, by a number or by how long its arrays are.

The length is an input of the program. Each loop has as many passes, but for a few, and what it reads of the arrays that are as
long lies at positions that go along with the pass, from their first element on or from their last one back. As where the data
end a loop, two recordings with different lengths that give the same graph show that this is so.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from tapejit.core.layout import packed_strides
from tapejit.graph.anycount import NEAR, AnyCount, CountedPass, NoCount
from tapejit.graph.counting import EDGE, Counting, derived
from tapejit.graph.longresults import LongResults
from tapejit.graph.loop import OWN, Where
from tapejit.graph.node import unit_free
from tapejit.graph.periods import Run
from tapejit.graph.rewrite import keep_reachable

EDGES = (EDGE, NEAR), (16, 12)  # what to try: a second derivative leaves out more passes at either end
MOST = 1 << 26  # as many as ``compile.machine`` has memory for
LENGTH = "length"  # the counter that is the length itself
_OUTSIDE = -1  # in place of the run that counts


@dataclass(frozen=True)
class Length(Counting):
    """The length of a call, and what a function makes of it.

    Attributes:
        counters: by name (start, step, ends): pass t of a loop finds ``start + step * t + ends * N``.
        count: what it was in the recording.
        number: of the input that holds it.
        longer: by number of an input that is as long, by how much it is longer.
        edge, near: see ``AnyCount``.
        least, most: lengths for which Python does the same.
    """

    count: int = 0
    number: int = 0
    longer: dict = field(default_factory=dict)
    edge: int = EDGE
    near: int = NEAR
    least: int = 0
    most: int = MOST

    @property
    def fewest(self):
        """Passes of a loop: what the first and the last ones leave are different passes."""
        return self.edge + self.near + 1

    def at(self, decision):
        t = self.count + decision
        return {name: start + step * t + ends * self.count for name, (start, step, ends) in self.counters.items()}

    def candidates(self):
        yield from super().candidates(self.edge)
        for form in self.inside:
            yield from ((part, k - self.count) for part in derived(form) for k in range(self.edge + 1))

    def later(self, decision, further):
        count = self.count + further
        return {name: start + step * count for name, (start, step) in self._lines(decision).items()}

    def in_pass(self, name, count):
        return self.counters[name]

    def line(self, name, decision, count):
        return self._lines(decision)[name]

    def _lines(self, decision):
        """(start, step) of each counter, ``start + step * N`` at a decision; near the first pass it is told from there."""
        t = self.count + decision
        if t <= self.edge:
            return {name: (start + step * t, ends) for name, (start, step, ends) in self.counters.items()}
        return {name: (start + step * decision, step + ends) for name, (start, step, ends) in self.counters.items()}

    def within(self, limits):
        """The same for lengths N with ``a + b * N >= 0``, for each pair (a, b)."""
        least, most = max(self.least, self.fewest), self.most
        for a, b in limits:
            if b > 0:
                least = max(least, -(a // b))
            elif b < 0:
                most = min(most, a // -b)
            elif a < 0:
                raise NoCount
        if not max(least, 2 * self.edge + 2) <= self.count <= most:  # the first passes are other ones than the last
            raise NoCount
        return replace(self, least=least, most=most)


class AnyLength(AnyCount):
    """A recording whose loops go along a length.

    Args:
        length: the ``Length``; it is known with narrower bounds once the graph is there.

    Raises:
        NoCount: from ``results``, if no loop does, or anything else depends on the length.
    """

    def __init__(self, recorder, outputs, decisions, length):
        self.length, self.shortened = length, set()
        self.edge, self.near = length.edge, length.near
        super().__init__(recorder, outputs, decisions, ())

    def _renew(self):
        super()._renew()
        self.long = LongResults(self.length)

    def _classify(self):
        length = self.length
        self.groups, self.countings = [(_OUTSIDE, length.count, 0)], [length]
        self.signs = {0: {True}}
        self.counted = {k: 0 for k, run in enumerate(self.runs) if abs(run.trips - length.count) <= self.near}
        if not self.counted:
            raise NoCount
        self.edges = self._edges()

    def _pass(self, number, run):
        return _LongPass(self, number, run) if number in self.counted else super()._pass(number, run)

    def _without(self, number):
        """Go on without the last pass of a run: what follows a loop may look like another one; then as in other recordings."""
        bad = self.runs[number]
        if (bad.start, bad.period) in self.shortened or bad.trips <= self.length.fewest:
            super()._without(number)
            return
        k = next(k for k, run in enumerate(self.candidates) if run.start <= bad.start and bad.end <= run.end)
        self.shortened.add((bad.start, bad.period))
        self.candidates[k] = Run(bad.start, bad.period, bad.trips - 1)
        self._settle()

    def _is_over(self, group, at):
        return True

    def _passes(self, group):
        return self.graph.input(self.length.number, (), "f8")

    def _lower(self, k):
        return self._from_the_end(super()._lower(k))

    def _from_the_end(self, node):
        """What stands near the end of an input as long as the loops: a loop before copies it to where it can be told."""
        x = node.args[0] if node.op == "view" else node
        if x is node or x.op != "input" or x.attr not in self.length.longer or 2 * node.attr.start < x.n:
            return node
        places = (made for j, made in self.loops.items() if j in self.counted and x.id in made.arg_numbers)
        made = next((made for made in places if made.loop.dtype == x.dtype), None)
        if made is None or unit_free(node.attr.strides, node.shape) != unit_free(packed_strides(node.shape), node.shape):
            return node
        row, at, loop = x.n // x.shape[0], made.loop.size, made.loop
        where = Where(made.arg_numbers[x.id], node.attr.start - row * self.length.count, ends=row)
        loop.copies.append((at, where, node.n))
        loop.size += node.n + node.n % 2
        _resize(made.node, (loop.size,))
        return self.graph.view(made.node, node.shape, packed_strides(node.shape), at)

    def results(self, outputs, guards):
        results, held = super().results(outputs, guards)
        found = self.long.set_apart(self.graph, results, self.values), held, self.long.further
        limits = [limit for made in self.loops.values() for limit in self._limits(made)]
        self.length = self.length.within([*limits, *self.long.limits()])
        keep_reachable(self.graph, [*self.checks, *self.fallible, *(x for nodes in found for x in nodes)])
        self.long.settle(self.graph)
        long = [x for x in self.graph.nodes if x.op == "input" and x.attr in self.length.longer]
        if any(x is y for x in long for nodes in found for y in nodes):
            raise NoCount
        for x in long:
            self._shorten(x)
        return found[:2]

    def _shorten(self, x):
        """Let an input have as few elements as it may have; nothing may have to do with all of them."""
        rows = self.length.fewest + self.length.longer[x.attr]
        shape = rows, *x.shape[1:]
        n = math.prod(shape)
        for node in self.graph.nodes:
            if x not in node.args or node.op == "loop":
                continue
            if node.op != "view":
                raise NoCount
            strides, start = node.attr
            ends = [s * (size - 1) for s, size in zip(strides, node.shape, strict=True)]
            if start + sum(min(e, 0) for e in ends) < 0 or start + sum(max(e, 0) for e in ends) >= n:
                raise NoCount
        _resize(x, shape)

    def _limits(self, made):
        """What must hold of the length so that a loop reads no element that is not there, pairs as ``Length.within`` takes."""
        loop = made.loop
        sizes = {node.attr: node.n for node in loop.graph.nodes if node.op == "input"}
        first, last = (0, 0), (loop.more - 1, 1) if loop.counted else (loop.trips - 1, 0)
        read = [(where, sizes.get(j, 1), (first, last)) for j, where in enumerate(loop.reads)]
        read += [(where, 1, (first,)) for carried in loop.carried for where in carried.first]
        read += [(where, n, (first,)) for _, where, n in loop.copies]
        read += [(where, n, ((t, 0) if t >= 0 else (loop.more + t, 1),)) for _, where, t, n in loop.slots]
        for where, n, passes in read:
            if where.__class__ is not Where or where.base == OWN or where.stack >= 0 or made.args[where.base].op == "loop":
                continue
            if where.table >= 0:
                yield (0, 0) if made.args[where.base].attr not in self.length.longer else (-1, 0)
            else:
                yield from _inside(where, n, passes, *self._extent(made.args[where.base]))
        rooms = [(made.body.chain_starts[x.last], made.layout(x.last).n) for x in made.chains for _ in x.links]
        for ((base, begin), n), update in zip(rooms, loop.updates, strict=True):
            reach = 1 + sum(s * (size - 1) for s, size in zip(update.strides, update.shape, strict=True))
            end = (begin + n, 0) if base == OWN else self.long.extent(made.args[base])
            yield from _inside(update.where, reach, (first, last), begin, end)

    def _extent(self, node):
        """The first element of an operand's memory, and how many there are from its start: (a, b) for ``a + b * N``."""
        if node.op == "input" and node.attr in self.length.longer:
            row = math.prod(node.shape[1:])
            return 0, (row * self.length.longer[node.attr], row)
        if node.op != "extern":
            return 0, (node.n, 0)
        array = self.graph.arrays[node.attr]
        low, high = np.lib.array_utils.byte_bounds(array)
        place, size = array.__array_interface__["data"][0], array.itemsize
        return (low - place) // size, ((high - place) // size, 0)


def _resize(node, shape):
    node.shape, node.n = shape, math.prod(shape)


def _inside(where, n, passes, low, high):
    """What must hold so that ``n`` elements at a Where lie between two places, in some passes, pairs (a, b) as all here."""
    end, longer = high
    for t, along in passes:
        at, grows = where.start + where.step * t, where.ends + where.step * along
        yield at - low, grows
        yield end - n - at, longer - grows


class _LongPass(CountedPass):
    """A pass of a loop along the length."""

    def worked_out_number(self, k, dtype):
        return self.parent.worked_out_number(k, dtype)

    def room_of(self, chain):
        memory = self.parent.long.room(self, chain)
        if memory is None:
            return super().room_of(chain)
        self.places[chain.last] = memory, np.zeros(self.run.trips, dtype=np.int64)
        return self.number_of(memory), 0

    def build(self):
        loop, args = super().build()
        loop.counted, loop.given = "given", self.number_of(self.parent._passes(None))
        return loop, args
