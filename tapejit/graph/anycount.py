"""One graph for every number of passes of loops that end when the data say so.

Such a loop runs until its decision falls; loops over what it left, the gradient's, run as often. What all passes leave lies in
memory that grows (``Where.stack``); what the first and the last few leave for others is copied into the block of the loop
when it has ended, so that nothing outside depends on the number of passes. That two recordings with different numbers give
the same graph (``agree``) is what shows that this is so.
"""

from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np

from tapejit.graph import periods
from tapejit.graph.counting import EDGE, FOREVER, derived, is_value, value
from tapejit.graph.loop import OWN, Count, Where
from tapejit.graph.onepass import Pass
from tapejit.graph.passbody import IN_REGISTERS, Irregular, number_of
from tapejit.graph.reroll import Rolled

FURTHER = (1, 2, 5)  # decisions later, by which forms are told apart
NEAR = 3  # by how many passes the number of a loop may differ from that of the one it follows


class NoCount(Exception):
    """The recording has no loop of that kind."""


@dataclass(frozen=True)
class _Along:
    """Positions over the passes: element ``start + ends * N + step * t`` of a stack, N being the number of passes."""

    start: int
    step: int
    ends: int
    stack: int

    def __add__(self, more):
        more = np.unique(more)
        if len(more) != 1:
            raise Irregular
        return replace(self, start=self.start + int(more[0]))


class AnyCount(Rolled):
    """A recording with loops that may have any number of passes.

    Args:
        repeats: the guards of each of them, see ``replay.repeats``.

    Attributes:
        groups: per loop its run, its number of passes, and the record of a pass that decides.
        countings: per loop its ``Counting``, or None.
        counted_numbers: those after the loops that these counted.
        counted: by run that has as many passes as one of them, the number of the loop.
        edge: passes at either end that others may read; ``near``: by how many passes such a run may have more or less.

    Raises:
        NoCount: from ``results``, if none of these loops is found as one.
    """

    gathers = False
    edge, near = EDGE, NEAR

    def __init__(self, recorder, outputs, decisions, repeats):
        self.repeats, self.groups, self.countings, self.counted_numbers = repeats, [], [], []
        super().__init__(recorder, outputs, decisions)

    def _least(self):
        return 0, periods.BESIDE

    def results(self, outputs, guards):
        found = super().results(outputs, guards) if self.runs else None
        if not self.runs:
            raise NoCount
        return found

    def _build(self):
        self.counted_numbers = []
        self.signs = {}  # by number of a loop, whether positions that move with its counters grow
        self._classify()
        super()._build()

    def _classify(self):
        """Which runs have as many passes as a loop, and what others read of their first and last passes."""
        found = [(self._group(repeat), repeat.counting) for repeat in self.repeats]
        self.groups = [group for group, _ in found if group is not None]
        self.countings = [counting for group, counting in found if group is not None]
        self.counted = {first: j for j, (first, _, _) in enumerate(self.groups)}
        if len(self.counted) != len(self.groups) or not self.groups:
            raise NoCount
        for k, run in enumerate(self.runs):
            if k not in self.counted:
                near = [(abs(run.trips - count), -j) for j, (first, count, _) in enumerate(self.groups) if first < k]
                group = self._read_along(run)
                if group is None and near and min(near)[0] <= self.near:
                    group = -min(near)[1]
                if group is not None and abs(run.trips - self.groups[group][1]) <= self.near:
                    self.counted[k] = group
        self.edges = self._edges()

    def _group(self, repeat):
        """(run, passes, record of a pass that decides) of a loop, None if it is no run whose last pass is the last one."""
        deciding = self.at[[self.recorder.guards[g].record for g in repeat.guards[:-1]]]
        owners = self.owner[deciding]
        first = int(owners[-1])
        if first < 0 or (owners[owners >= 0] != first).any():
            return None
        run = self.runs[first]
        passes, places = np.divmod(deciding[owners == first] - run.start, run.period)
        known = np.arange(run.trips - len(passes), run.trips)  # those before leave the same records, and the same decision
        return (first, run.trips, int(places[0])) if np.array_equal(passes, known) and (places == places[0]).all() else None

    def _read_along(self, run):
        """The loop whose passes the passes of a run read one after the other, None if there is none."""
        second, third = (self.reads[run.start + t * run.period :][: run.period].reshape(-1) for t in (1, 2))
        owners = np.where(second >= 0, self.owner[second], -1)[(second != third) & (second < run.start)]
        groups = {self.counted[k] for k in set(owners.tolist()) if k in self.counted}
        return groups.pop() if len(groups) == 1 else None

    def _edges(self):
        """Per counted run what others read of single passes: pairs (record of a pass, pass)."""
        found = [self.roots]
        straight = self.reads[self.owner < 0].reshape(-1)
        found.append(straight[straight >= 0])
        for run in self.runs:
            rows = self.reads[run.start : run.end].reshape(run.trips, run.period * 3)
            moves = rows[2] - rows[1]
            carried = (moves == run.period) & (rows[-1] >= run.start)
            single = np.concatenate((rows[0, moves == 0], rows[:IN_REGISTERS, carried].reshape(-1)))
            found.append(single[(single >= 0) & ((single < run.start) | (single >= run.end))])
        edges = {j: set() for j in self.counted}
        for o in np.concatenate(found).tolist():
            number = int(self.owner[o])
            if number in edges:
                t, b = divmod(o - self.runs[number].start, self.runs[number].period)
                edges[number].add((b, t))
        return edges

    def _pass(self, number, run):
        return CountedPass(self, number, run) if number in self.counted else Pass(self, number, run)

    # Numbers of Python's after a loop

    def worked_out_number(self, k, dtype):
        """The node of a record's number, if it is one that a loop before has counted."""
        imm = self.imm32[k] if dtype == "f4" else self.columns["imm"][k]
        return self.count_of(imm, int(self.at[k]), np.dtype(dtype).type)

    def _immediate(self, k, dtype):
        found = self.worked_out_number(k, dtype)
        return super()._immediate(k, dtype) if found is None else self.graph.cast(found, dtype)

    def count_of(self, number, at, kind=float):
        """The node of a number at some place of the recording that a loop before has counted, None if none has.

        That it has not only come out by chance, two recordings show that agree.
        """
        found = [
            (form, decision, counting, group)
            for counting, group in zip(self.countings, self.groups, strict=True)
            if counting is not None and self._is_over(group, at)
            for form, decision in counting.candidates()
            if is_value(form, counting.at(decision), number, kind)
        ]
        others = [tuple(value(form, counting.later(d, further)) for further in FURTHER) for form, d, counting, _ in found]
        moving = {row for row in others if set(row) != {number}}
        if len(moving) > 1:
            raise NoCount
        self.counted_numbers += [number] * len(moving)
        return self._worked_out(*found[others.index(*moving)]) if moving else None

    def _worked_out(self, form, decision, counting, group):
        if form[0] != "counter":
            return number_of(self.graph, form, lambda part: self._worked_out(part, decision, counting, group))
        start, step = counting.line(form[1], decision, group[1])
        moved = self.graph.elementwise("mul", self._passes(group), self.graph.const(float(step), (), "f8"), exact=True)
        return self.graph.elementwise("add", moved, self.graph.const(float(start), (), "f8"), exact=True)

    def _is_over(self, group, at):
        """Whether the number of passes of a loop is known at some place of the recording."""
        return group[0] in self.loops and at >= self.runs[group[0]].end

    def _passes(self, group):
        """The node that holds the number of passes of a loop."""
        made = self.loops[group[0]]
        if made.loop.count_at < 0:
            raise NoCount
        return self.graph.view(made.node, (), (), made.loop.count_at)

    def stands_for_itself(self, number):
        i = int(self.at[self.recorder.guards[number].record])
        owner = int(self.owner[i])
        return owner not in self.counted or i < self.runs[owner].start + self.runs[owner].period


class CountedPass(Pass):
    """A pass of a loop without a fixed number of passes."""

    def begin(self):
        super().begin()
        self.spots, self.slots, self.moving, self.stacked = {}, {}, {}, 0
        self.group = self.parent.counted[self.number]
        self.first, self.count, _ = self.parent.groups[self.group]

    def build(self):
        loop, args = super().build()
        loop.counted = "until" if self.number == self.first else "again"
        loop.more, loop.stacked, loop.group = self.run.trips - self.count, self.stacked, self.group
        counting = self.parent.countings[self.group]
        if counting is not None and loop.counted == "until":
            loop.fewest = max(self.count - counting.fewer, 0)
            loop.most = self.count + counting.more if counting.more < FOREVER else FOREVER
            if loop.dtype == "f8":
                loop.count_at, self.size, loop.size = self.size, self.size + 2, self.size + 2
        for (b, t), slot in self.slots.items():
            t = t if t < self.parent.edge else t - self.run.trips
            loop.slots.append((slot, self.spots.get(b) or self.moving[b], t, self.layout(b).n))
        return loop, args

    def table(self, values):
        raise Irregular

    def where(self, base, positions):
        if positions.__class__ is _Along:
            return Where(base, positions.start, positions.step, ends=positions.ends, stack=positions.stack)
        if (positions != positions[0]).any():
            return self._moving(base, positions)
        return Where(base, int(positions[0]))

    def _moving(self, base, positions):
        """Positions that move with a counter, in the order of the loop or against it.

        Which of the two is guessed: where it is the other one, recordings with other numbers of passes do not agree.
        """
        steps = np.diff(positions)
        if self.parent.countings[self.group] is None or (steps != steps[0]).any():
            raise Irregular
        step, start = int(steps[0]), int(positions[0])
        signs = self.parent.signs.setdefault(self.group, set())
        if self.number == self.first:
            signs.add(step > 0)
        if signs == {step > 0}:
            return Where(base, start, step)
        if len(signs) != 1:
            raise Irregular
        return Where(base, start + step * self.count, step, ends=-step)

    def counted(self, values):
        counting = self.parent.countings[self.group]
        forms = [] if counting is None else [form for inside in counting.inside for form in derived(inside)]
        trips, kind = self.run.trips, values.dtype.type
        for form in forms:
            for backwards in (False, True)[: 1 + (self.number != self.first)]:
                for shift in range(-self.parent.edge, self.parent.edge + 1):
                    passes = range(trips - 1 + shift, shift - 1, -1) if backwards else range(shift, trips + shift)
                    if all(is_value(form, counting.at(t - self.count), x, kind) for t, x in zip(passes, values, strict=True)):
                        return form, {name: self._count(counting, name, backwards, shift) for name in counting.counters}
        return None

    def _count(self, counting, name, backwards, shift):
        """A counter in each pass: in the order of the loop, or from its last pass to its first, some passes away."""
        start, step, ends = counting.in_pass(name, self.count)
        start += step * shift
        if not backwards:
            return Count(start, step, ends)
        return Count(start + step * (self.run.trips - self.count - 1), -step, ends + step)

    def positions(self, where):
        raise Irregular

    def of_other(self, source, b, passes):
        if not isinstance(source, CountedPass) or source.group != self.group:
            raise Irregular
        if b not in source.spots:
            return super().of_other(source, b, passes)
        spot, step, n = source.spots[b], int(passes[1] - passes[0]), max(source.layout(b).n, 1)
        t, trips = int(passes[0]), source.run.trips
        if step == 1 and t < self.parent.edge:
            return _Along(spot.start + t * n, n, 0, spot.stack)
        if step == -1 and t >= trips - self.parent.edge:
            return _Along(spot.start + (t - self.count) * n, -n, n, spot.stack)
        raise Irregular

    def lies_outside(self, b, where):
        if where.step:
            self.moving[b] = where
            self._copied(b)

    def place(self, b, t):
        if b in self.spots or b in self.moving:
            return None, self.slots[b, t]
        return super().place(b, t)

    def same_as(self, b, other):
        super().same_as(b, other)
        if other in self.spots:
            self.spots[b] = self.spots[other]
            self._copied(b)

    def keep(self, b, passes=0):
        n, trips = max(self.layout(b).n, 1), self.run.trips
        late = trips - int(self.needed[b]) if self.needed[b] < trips else 0
        if passes > IN_REGISTERS:
            raise Irregular
        if late <= self.parent.edge:  # a pass more than is read: the one that ends the loop may have written
            count = 1 << max(late, passes + 1).bit_length()
            start, self.size = self.size, self.size + count * n
            self.size += self.size % 2
            write = Where(OWN, start, n, passes, count - 1)
            first = [start + n * t for t in range(passes)]
            self.rings[b] = count
        else:
            stack, self.stacked = self.stacked, self.stacked + 8 * n
            write = Where(OWN, passes * n, n, stack=stack)
            first = [Where(OWN, t * n, stack=stack) for t in range(passes)]
        self.places[b], self.spots[b] = (None, None), write
        self._copied(b)
        return write, first

    def _copied(self, b):
        """Room for what single passes leave of a record."""
        n, trips = max(self.layout(b).n, 1), self.run.trips
        for other, t in sorted(self.parent.edges[self.number]):
            if other == b:
                if self.parent.edge <= t < trips - self.parent.edge or self.dtype_of(b) != self.dtype:
                    raise Irregular
                self.slots[b, t], self.size = self.size, self.size + n + n % 2

    def guard_numbers(self, passes, places):
        if self.number == self.first and any(passes[-1] in repeat.guards for repeat in self.parent.repeats):
            self.loop.ending = len(self.loop.guards)
        return places[passes[0]], 0

    def number_guards(self, places):
        super().number_guards(places)
        loop = self.loop
        if (loop.counted == "until") != (loop.ending >= 0):
            raise NoCount


def agree(a, b) -> bool:
    """Whether two frozen recordings are one program but for the passes that they were recorded with."""
    if any(x == y for x, y in zip(a.counted, b.counted, strict=False)):
        return False
    names = "graph", "outputs", "guards", "inputs", "memories", "long"
    return all(same(getattr(a, name), getattr(b, name)) for name in names)


def same(a, b, known=None) -> bool:
    """Whether two graphs, or parts of them, are the same: their nodes, numbers and arrays."""
    known = set() if known is None else known
    if (id(a), id(b)) in known:
        return True
    known.add((id(a), id(b)))
    if a.__class__ is not b.__class__:
        return False
    if isinstance(a, np.ndarray):
        return a is b or (a.dtype == b.dtype and a.shape == b.shape and a.strides == b.strides and a.tobytes() == b.tobytes())
    if isinstance(a, (set, frozenset)):
        return {x.id for x in a} == {x.id for x in b}
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, known) for x, y in zip(a, b, strict=True))
    if hasattr(a, "nodes"):
        return same(a.nodes, b.nodes, known) and same(a.arrays, b.arrays, known)
    if hasattr(a, "args"):
        return (a.id, a.op, a.shape, a.dtype) == (b.id, b.op, b.shape, b.dtype) and same(
            [x.id for x in a.args], [x.id for x in b.args], known
        ) and same(a.attr, b.attr, known)
    if is_dataclass(a):
        names = [f.name for f in fields(a) if f.name != "trips"]
        return all(same(getattr(a, name), getattr(b, name), known) for name in names)
    return a == b
