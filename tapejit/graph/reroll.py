"""From the tape to a graph with loops: one node for a repeated run of records, whatever the number of its passes.

What a pass leaves for other parts of the tape is stacked in the block of the loop; so the reverse part of a loop is a loop of
its own, which reads the stacks of the first one backwards. Nothing is said about derivatives here.
"""

import collections
import functools

import numpy as np

from tapejit.core import engine
from tapejit.core.errors import Refused
from tapejit.core.layout import packed_strides
from tapejit.core.record import MASK
from tapejit.core.recordkinds import ODD
from tapejit.eager.tensor import Tensor
from tapejit.graph import gather, periods
from tapejit.graph.build import Lowering
from tapejit.graph.finite import Finite
from tapejit.graph.node import Graph
from tapejit.graph.oncework import share, share_indices
from tapejit.graph.onepass import Pass
from tapejit.graph.operands import live
from tapejit.graph.passbody import LATE, Irregular
from tapejit.graph.phases import turned
from tapejit.graph.placements import see_through
from tapejit.spec.structured import ROWS
from tapejit.spec.table import OPS

FEWEST = 600  # records of a recording that is looked at
FEW = 8  # runs, of which each may leave passes out: of more the next ones would leave out ever more
ALMOST = 7 / 8  # of its passes that a run keeps at least
MOSTLY = 0.6  # of all records, that runs leave where they are no better than loops over tables (see ``compile.longscalars``)
SCALAR = 0.9  # of all records, numbers, of which such loops are made
MOST = 1 << 20  # records that are made code of, beside those that loops save
SHORTEST = 30  # records in which runs are looked for again
_MOVING = np.array([(op.alias_of or op).name in ("view", "spread", "place") for op in OPS])  # ``imm`` is an offset


class Rolled(Lowering):
    """A recording with its repeated runs as loops; ``runs`` is empty where there are none.

    Args:
        outputs: the records of the results.
    """

    gathers = True  # whether what passes read may be put together before the first

    def __init__(self, recorder, outputs, decisions):
        super().__init__(recorder, decisions=decisions)
        fewest, saved = self._least()
        self.runs, self.loops = [], {}
        self.decisions = list(decisions)
        if len(self.columns["op"]) >= fewest:
            see_through(self)
            share(self)
            share_indices(self)
        self.live = self._live([*outputs, *self.decisions, *self.may_fail()])
        if len(self.live) < fewest or not self._readable():
            return
        self.at = np.full(len(recorder.tape), -1, dtype=np.int32)  # half the memory, of which a long recording takes much
        self.at[self.live] = np.arange(len(self.live), dtype=np.int32)
        self.imms = self._column("imm")
        self.keys, self.reads = self._compared()
        self.roots = self.at[np.array([*outputs], dtype=np.int64)]
        self.tried = set()
        self._choose(saved)

    @functools.cached_property
    def parts_of_arrays(self):
        """By id of an array outside, how many of those that the recording reads are parts of it."""
        arrays = {id(a): a for a in self.recorder.sources.values()}
        return collections.Counter(id(a.base) for a in arrays.values())

    @functools.cached_property
    def uses(self):
        """How often each record is read, or given as a result."""
        uses = np.bincount(self.reads[self.reads >= 0], minlength=len(self.live))
        np.add.at(uses, self.roots, 1)
        return uses

    def _least(self):
        """The records of a recording that is looked at, and those that its runs must save."""
        return FEWEST, periods.SAVED

    def _live(self, roots):
        """The records that matter, in order."""
        return live(self.columns, roots, self.stop, self.recorder.notes, self.operands)

    def _readable(self):
        """Whether what is to be compared fits into three columns."""
        notes = self.recorder.notes.values()
        three = all(sum(isinstance(x, Tensor) for x in n.operands) <= 3 for n in notes)
        return three and not self.stop and not self.columns.have(list(ROWS))

    # What is compared

    def _column(self, name):
        found = self.columns.array(name)
        return found if len(found) == len(self.live) else found[self.live]

    def _compared(self):
        """One number per record, equal for equal operations, and the positions of its operands, three columns."""
        live, count = np.ascontiguousarray(self.live), len(self.live)
        keys, reads = np.empty(count, dtype=np.int64), np.empty((count, 3), dtype=np.int32)
        where = [x.ctypes.data for x in (*self.columns.places(), _MOVING, self.at, keys, reads)]
        engine.compared(live.ctypes.data, count, *where)
        codes = {}
        said = {i: codes.setdefault(self._said(k), len(codes) + 1) for i, k in self._special()}
        keys[list(said)] ^= np.fromiter(said.values(), np.int64, len(said)) * ODD
        exact = self._places(self.exact)
        keys[exact] ^= np.int64(ODD)
        for k, note in self.recorder.notes.items():
            if (i := int(self.at[k])) >= 0:
                read = [int(self.at[x._r & MASK]) for x in note.operands if isinstance(x, Tensor)]
                reads[i] = [*read, *[-1] * (3 - len(read))]
        return keys, reads

    def _special(self):
        """(position, record) of the leaves and of what Python looked at."""
        self.seen = {}
        for number, guard in enumerate(self.recorder.guards):
            self.seen.setdefault(guard.record, []).append(number)
        marked = self._column("op") == 0
        marked[self._places(self.seen)] = True
        for i in np.flatnonzero(marked):
            yield int(i), int(self.live[i])

    def _places(self, records):
        """The positions of those of some records that matter."""
        places = self.at[np.fromiter(records, np.int64, len(records))]
        return places[places >= 0]

    def _said(self, k):
        """What must be equal of a leaf, and of the decisions on a record."""
        recorder = self.recorder
        guards = tuple((recorder.guards[j].kind, recorder.guards[j].outcome) for j in self.seen.get(k, ()))
        if self.columns["op"][k]:
            return guards
        if k in recorder.inputs:
            return "input", k
        if k in recorder.notes:
            note = recorder.notes[k]
            if note.name in ("flat", "argmax", "argmin") or any(isinstance(x, np.ndarray) for x in note.parameters):
                return "alone", k
            numbers = tuple("t" if isinstance(x, Tensor) else (type(x), repr(x)) for x in note.operands)
            return note.name, numbers, repr(note.parameters), guards
        if k in recorder.numbers:
            return "number", repr(recorder.numbers[k]), guards
        if k in recorder.sources:
            array = recorder.sources[k]
            return "source", array.shape, array.strides, array.dtype.str, array.base is None, guards
        return "empty", self.columns["a"][k] >= 0, guards

    # Runs that agree with one another

    def _choose(self, saved):
        """Runs of a level that leaves little: of nested loops the outer ones, or the inner ones where these do not fit."""
        best, least = None, len(self.live)
        for longest in periods.LEVELS:
            self.candidates = self._found(longest, saved)
            self._settle()
            self._look_again(longest)
            if self.left() < least:
                least, best = self.left(), (self.candidates, self.runs, self.owner)
            if least <= periods.LITTLE:
                break
        if best is not None:
            self.candidates, self.runs, self.owner = best
        if self.gathers and self._in_pieces():
            self.runs = []
        elif self.gathers:
            self._turn()

    def _turn(self):
        """Let passes begin where they hand on least."""
        before, left = (self.candidates, self.runs, self.owner), self.left()
        sizes, made = self._column("n"), self._column("op") != 0
        runs = []
        for run, needed in zip(self.runs, self._needed(), strict=True):
            one = slice(run.start, run.start + run.period)
            runs.append(turned(run, self.reads, np.where(made[one] & (needed >= run.trips - LATE), sizes[one], 0)))
        if runs != self.runs:
            self.candidates = runs
            self._settle()
            if self.left() > left + 2 * sum(run.period for run in runs):
                self.candidates, self.runs, self.owner = before

    def _in_pieces(self):
        """Whether runs do no more than cut scalar code into pieces: the rows of a triangle, each of another length."""
        left, all_records = self.left(), len(self.live)
        return left > max(MOSTLY * all_records, periods.LITTLE) and (self._column("n") == 1).mean() > SCALAR

    def _found(self, longest, saved, segments=None):
        return periods.runs(self.keys, self.reads, self._column("n"), longest, saved, segments)

    def left(self):
        """The records that are to be made code of."""
        return len(self.live) - sum(run.saved for run in self.runs)

    def _look_again(self, longest):
        """Where runs did not fit to others, look for shorter ones: for the cells of a row, if not for the rows of a grid."""
        while self.gathers and longest > SHORTEST and self.left() > periods.LITTLE:
            before, left = (self.candidates, self.runs, self.owner), self.left()
            edges = [0, *(place for run in self.runs for place in (run.start, run.end)), len(self.live)]
            gaps = [gap for gap in zip(edges[::2], edges[1::2], strict=True) if gap[1] - gap[0] >= SHORTEST]
            refused = [run for run in self.candidates if any(first <= run.start and run.end <= end for first, end in gaps)]
            if not refused:
                return
            longest = max(run.period for run in refused) // 2
            kept = [run for run in self.candidates if run not in refused]
            self.candidates = sorted(kept + self._found(longest, periods.BESIDE, gaps), key=lambda run: run.start)
            self._settle()
            if self.left() >= left:
                self.candidates, self.runs, self.owner = before
                return

    def _settle(self):
        """Keep of each run the passes that read others' passes regularly."""
        self.runs = []
        self.owner = np.full(len(self.live), -1, dtype=np.int32)
        for run in self.candidates:
            kept = self._agreeing(run)
            if kept is not None:
                self.owner[kept.start : kept.end] = len(self.runs)
                self.runs.append(kept)

    def _agreeing(self, run):
        """The part of a run whose passes read earlier runs, and itself, at one place or pass by pass."""
        p = run.period
        rows = self.reads[run.start : run.end].reshape(run.trips, p * 3)
        moves = rows[2] - rows[1]
        fixed, carried = moves == 0, (moves == p) & (rows[-1] >= run.start)
        bad = ((rows >= run.start) & ~fixed & ~carried).any(axis=1)
        owners = np.where(rows < 0, -1, self.owner[rows])
        owners[:, fixed | carried] = -2
        if self.gathers and (len(self.candidates) > FEW or np.diff(_alike(owners, bad)) < ALMOST * run.trips):
            owners[:, gather.columns(rows, owners, np.where(fixed | carried, 0, moves), [r.period for r in self.runs])] = -2
        if self._crosses(owners[run.trips // 2], moves):
            return None
        first, end = _alike(owners, bad)
        if end - first < periods.FEWEST:
            return None
        kept = periods.Run(run.start + first * p, p, end - first)
        inner = rows[first:end][:, fixed]
        if (inner >= kept.start).any():  # what the first pass leaves for all others
            return self._agreeing(periods.Run(kept.start + p, p, kept.trips - 1)) if kept.trips > periods.FEWEST else None
        return kept

    def _crosses(self, owners, moves):
        """Whether a pass goes on to another record of a pass of the run it reads: a level of nested loops beside another."""
        other = owners >= 0
        lengths = np.array([run.period for run in self.runs], dtype=np.int64)
        return bool((moves[other] % lengths[owners[other]]).any())

    def _needed(self):
        """Per run and record of a pass the first pass that is read elsewhere; the number of passes for none."""
        first = [np.full(run.period, run.trips) for run in self.runs]
        elsewhere = np.zeros(len(self.live), dtype=bool)
        elsewhere[self.roots] = True
        for read in self.reads.T:
            owners = np.where(read < 0, -1, self.owner[read])
            elsewhere[read[(owners >= 0) & (owners != self.owner)]] = True
        found = np.flatnonzero(elsewhere)
        owners = self.owner[found]
        for number, run in enumerate(self.runs):
            passes, places = np.divmod(found[owners == number] - run.start, run.period)
            first[number][places[::-1]] = passes[::-1]  # in order: what is written last is the first pass
        return first

    # The graph

    def results(self, outputs, guards):
        """The nodes of some records, and those that hold the guards: loops for records of their passes."""
        while self.runs:
            try:
                self._build()
                break
            except Irregular:
                self._without(len(self.loops) - 1)
        if not self.runs:
            self._renew()
            return super().results(outputs, guards)
        held = []
        for k in guards:
            number = int(self.owner[self.at[k]])
            held.append(self.values[k] if number < 0 else self.loops[number].node)
        return [self.values[k] for k in outputs], held

    def _build(self):
        self._renew()
        self.needed = self._needed()
        self.values = _Values(self)
        begin = 0
        for number, run in enumerate(self.runs):
            self._straight(begin, run.start)
            self._loop(number, run)
            begin = run.end
        self._straight(begin, len(self.live))

    def _renew(self):
        self.graph, self.finite = Graph(), Finite()
        self.values, self.loops, self.filled, self.placed = {}, {}, {}, {}
        self.kept, self.fallible, self.checks = [], [], []

    def _without(self, number):
        """Go on without the first pass of a run that turned out to be irregular, or without the run."""
        bad = self.runs[number]
        k = next(k for k, run in enumerate(self.candidates) if run.start <= bad.start and bad.end <= run.end)
        if bad.start in self.tried or bad.trips <= periods.FEWEST:
            del self.candidates[k]
        else:
            self.tried.add(bad.start + bad.period)
            self.candidates[k] = periods.Run(bad.start + bad.period, bad.period, bad.trips - 1)
        self._settle()

    def _straight(self, begin, end):
        for k in self.live[begin:end].tolist():
            self.values[k] = self._lower(k)

    def _pass(self, number, run):
        return Pass(self, number, run)

    def _loop(self, number, run):
        made = self.loops[number] = self._pass(number, run)
        loop, args = made.build()
        made.node = self.graph.node("loop", args, loop, (max(loop.size, 1),), loop.dtype or "f8")
        if made.fallible:
            self.fallible.append(made.node)

    def shown(self):
        """All records, but of each loop those of one pass."""
        following = 0
        for run in self.runs:
            first, second, last = (int(self.live[i]) for i in (run.start, run.start + run.period, run.end - 1))
            yield from range(following, second)
            yield f"       ... {run.trips - 1} more times from %{first} on"
            following = last + 1
        yield from range(following, len(self.columns["op"]))

    def number_guards(self, places):
        """Tell the loops which guards of the program are theirs.

        Args:
            places: the numbers of the guards of the recording in the program, and of the kernels that may fail, by node.
        """
        for made in self.loops.values():
            made.number_guards(places)


def _alike(owners, bad):
    """The longest stretch of passes, from its first to its end, that all read what the one in the middle reads."""
    same = (owners == owners[len(owners) // 2]).all(axis=1) & ~bad & (owners != -1).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], same, [0]))))
    if not len(edges):
        return 0, 0
    k = int(np.argmax(edges[1::2] - edges[::2]))
    return int(edges[2 * k]), int(edges[2 * k + 1])


class _Values(dict):
    """The values of records; of those in a loop, where they lie in its block."""

    def __init__(self, lowering):
        super().__init__()
        self.lowering = lowering

    def __missing__(self, k):
        lowering = self.lowering
        i = int(lowering.at[k])
        number = int(lowering.owner[i])
        if number < 0 or number not in lowering.loops:
            raise KeyError(k)
        made = lowering.loops[number]
        t, b = divmod(i - made.run.start, made.run.period)
        shape, dtype = made.shape(b), made.layout(b).dtype.numpy.str[1:]
        if b in made.constants:
            value = self[k] = lowering.graph.node("const", (), made.constants[b], shape, dtype)
            return value
        node, position = made.place(b, t)
        node = made.node if node is None else node
        value = lowering.graph.view(node, shape, packed_strides(shape), position)
        value = self[k] = lowering.graph.cast(value, dtype)
        lowering.finite._known[value.id] = made.is_finite(b)
        return value


def rolled(recorder, outputs, decisions):
    """The lowering of a recording, with loops where they pay.

    Raises:
        Refused: where too much is left that no loop holds.
    """
    lowering = Rolled(recorder, outputs, decisions)
    if lowering.left() > MOST:
        raise Refused(f"more than {MOST} of its records repeat no others")
    return lowering if lowering.runs else Lowering(recorder, decisions=decisions)
