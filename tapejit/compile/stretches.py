"""Scalar code in which the same operations recur: stretches of it that are passes of one loop, whatever they read.

What loops of a program have left, of triangular matrices or of loops in loops, still does the same again and again; only the
distances at which operands stand follow no rule. So operations alone are compared here, and where each pass finds what it
reads is looked up in a table.
"""

import collections
from dataclasses import dataclass

import numpy as np

LONGEST, SHORT = 96, 24  # instructions of a pass, and where the rows of a triangle would be passes of ever other lengths
FEWEST = 4  # passes that are found as a loop; fewer ones of the same operations join it later on
SPARED = 8  # instructions that a stretch must spare, about what its call takes
CALL = 0.25  # instructions that a call is like: it is a row of a table


@dataclass(eq=False)
class Stretch:
    """``trips`` passes of ``period`` instructions each, the first one at ``start``.

    Attributes:
        body: the numbers of what a pass does.
        ways: per operand of a pass how it is read: ("inner", instruction of the pass), ("carried", instruction of the pass
            before) or ("memory",).
        reads: (passes, operands), the instructions that are read, -1 for other operands.
    """

    start: int
    period: int
    trips: int
    body: tuple = ()
    ways: tuple = ()
    reads: np.ndarray = None

    @property
    def end(self):
        return self.start + self.period * self.trips

    @property
    def starts(self):
        return self.start + self.period * np.arange(self.trips)

    @property
    def reads_itself(self):
        """Whether passes read in memory what earlier ones have made."""
        memory = self.reads[:, [way == "memory" for way, *_ in self.ways]]
        return bool(((memory >= self.start) & (memory < self.end)).any())


def stretches(operations, operands) -> list:
    """The stretches of some code, in its order.

    Args:
        operations: one number per instruction, equal ones for equal operations on operands of the same kinds.
        operands: per instruction a list of the instructions that it reads, -1 for other operands.
    """
    operations = np.asarray(operations)
    candidates = _candidates(operations)
    inner = sorted(candidates, key=lambda row: (row[2], -row[0]))
    short = [row for row in candidates if row[2] <= SHORT]
    found = [_stretches(rows, operations, operands) for rows in (candidates, inner, short)]
    best = min(found, key=lambda stretches: _cost(stretches, len(operations)))
    for stretch in best:
        stretch.reads = _read(stretch, operands)
    return best


def _stretches(candidates, operations, operands):
    found = _in_phase(_apart(candidates, len(operations)), operations)
    for stretch in found:
        stretch.body = tuple(operations[stretch.start : stretch.start + stretch.period].tolist())
        stretch.ways = _ways(stretch, operands)
    found = sorted(found + _joining(found, operations, operands), key=lambda stretch: stretch.start)
    return sorted(found + _between(found, operations, operands), key=lambda stretch: stretch.start)


def _cost(found, count):
    """The instructions that are to be compiled, calls of loops included."""
    alone = count - sum(stretch.end - stretch.start for stretch in found)
    return alone + CALL * len(found) + sum(len(body) for body, _ in {(stretch.body, stretch.ways) for stretch in found})


def _candidates(operations):
    """(instructions spared, start, period, instructions) where operations recur at a distance, the most first."""
    found = []
    for period in range(1, min(LONGEST, len(operations) // FEWEST) + 1):
        same = operations[period:] == operations[:-period]
        edges = np.flatnonzero(np.diff(np.concatenate(([0], same, [0]))))
        lengths = edges[1::2] - edges[::2] + period
        long = (lengths >= FEWEST * period) & (lengths - period >= SPARED)
        rows = zip(edges[::2][long].tolist(), lengths[long].tolist(), strict=True)
        found += [(n - period, start, period, n) for start, n in rows]
    return sorted(found, key=lambda row: (-row[0], row[2]))


def _apart(candidates, count):
    """Those that spare most and do not overlap, cut where others were before."""
    taken = np.zeros(count, dtype=bool)
    found = []
    for _, start, period, n in candidates:
        free = np.flatnonzero(np.diff(np.concatenate(([True], taken[start : start + n], [True])).astype(np.int8)))
        if not len(free):
            continue
        lengths = free[1::2] - free[::2]
        k = int(np.argmax(lengths))
        first, length = start + int(free[2 * k]), int(lengths[k])
        if length >= FEWEST * period and length - period >= SPARED:
            taken[first : first + length] = True
            found.append((first, period, length))
    return found


def _in_phase(found, operations):
    """Let passes begin where those of most others do, so that they are of one body."""
    known, shifts = collections.Counter(), []
    for first, period, length in found:
        spare = range(min(length % period, period - 1) + 1)
        bodies = [operations[first + s : first + s + period].tobytes() for s in spare]
        known.update(bodies)
        shifts.append(bodies)
    made = []
    for (first, period, length), bodies in zip(found, shifts, strict=True):
        shift = max(range(len(bodies)), key=lambda s: (known[bodies[s]], -s))
        made.append(Stretch(first + shift, period, (length - shift) // period))
    return made


def _ways(stretch, operands):
    """How the passes of a stretch read: what one pass hands on, within it or to the next, needs no memory."""
    read = _read(stretch, operands)
    own = read - stretch.starts[:, None]
    before = own[1:] + stretch.period
    inner = (own == own[:1]).all(axis=0) & (own[0] >= 0)
    carried = (before == before[:1]).all(axis=0) & (before[0] >= 0) & (before[0] < stretch.period) & (own[0] < 0)
    rows = zip(inner.tolist(), carried.tolist(), own[0].tolist(), before[0].tolist(), strict=True)
    return tuple(("inner", o) if i else ("carried", b) if c else ("memory",) for i, c, o, b in rows)


def _read(stretch, operands):
    """(passes, operands) what is read, as positions."""
    rows = operands[stretch.start : stretch.end]
    return np.array([p for row in rows for p in row], dtype=np.int64).reshape(stretch.trips, -1)


def _joining(found, operations, operands):
    """Fewer passes of a known body, between the stretches."""
    ways = {}
    for stretch in found:
        ways.setdefault(stretch.body, set()).add(stretch.ways)
    bodies = sorted((body for body in ways if len(body) > 1), key=len, reverse=True)
    taken = np.zeros(len(operations), dtype=bool)
    for stretch in found:
        taken[stretch.start : stretch.end] = True
    made = []
    for body in bodies:
        p = len(body)
        match = ~taken[: len(taken) - p + 1]
        for j, number in enumerate(body):
            last = len(operations) - p + 1 + j
            match = match & (operations[j:last] == number) & ~taken[j:last]
        end, runs = -1, []
        for k in np.flatnonzero(match).tolist():
            if k < end:
                continue
            if runs and k == end:
                runs[-1].trips += 1
            else:
                runs.append(Stretch(k, p, 1, body))
            end = k + p
        for stretch in runs:
            if stretch.trips * p < SPARED - 2:
                continue
            stretch.ways = _fitting(stretch, operands, ways[body])
            if stretch.ways is not None:
                taken[stretch.start : stretch.end] = True
                made.append(stretch)
    return made


def _between(found, operations, operands):
    """What stands between stretches and recurs there: a pass each."""
    ends = [0, *(stretch.end for stretch in found)]
    starts = [*(stretch.start for stretch in found), len(operations)]
    made = [Stretch(first, end - first, 1) for first, end in zip(ends, starts, strict=True) if 0 < end - first <= LONGEST]
    known = collections.Counter()
    for stretch in made:
        stretch.body = tuple(operations[stretch.start : stretch.end].tolist())
        own = (_read(stretch, operands) - stretch.start)[0].tolist()
        stretch.ways = tuple(("inner", o) if o >= 0 else ("memory",) for o in own)
        known[stretch.body, stretch.ways] += 1
    return [stretch for stretch in made if known[stretch.body, stretch.ways] >= FEWEST]


def _fitting(stretch, operands, known):
    """The ways of reading that a stretch can share with others of its body, None if there are none."""
    own = _read(stretch, operands) - stretch.starts[:, None]
    return next((ways for ways in known if all(_fits(own[:, j], stretch.period, *way) for j, way in enumerate(ways))), None)


def _fits(own, period, way, source=None):
    if way == "inner":
        return (own == source).all()
    return way == "memory" or (own[0] < 0 and (own[1:] + period == source).all())
