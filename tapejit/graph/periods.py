"""Repeated runs on a tape: stretches of records whose operations recur at one distance, and whose operands move along.

A Python loop leaves its passes one after the other. Hashes of a few records in a row find the distances at which the tape
resembles itself; then each stretch is verified record by record.
"""

from dataclasses import dataclass

import numpy as np

from tapejit.core import engine

CANDIDATES, NEAR = 12, 4  # distances that are looked at, by operations and by what these read as well
NEARLY = 64  # those of which it is counted how many records they explain
FEWEST = 4  # passes
LEVELS = 3000, 300  # records of one pass: at most so many at first, then fewer, where loops are nested
LITTLE = 2000  # records left that need no other level
SAVED = 200  # records that all runs together must save
BESIDE = 12  # records that each of them must save
LIKE = 0.5  # of what the best run saves: others of its body that save as much are taken with it
MOST_SEEN = 1 << 17  # runs of a few records that are remembered when distances are looked for


@dataclass(frozen=True)
class Run:
    """``trips`` passes of ``period`` records each, the first one at ``start``."""

    start: int
    period: int
    trips: int

    @property
    def end(self):
        return self.start + self.period * self.trips

    @property
    def saved(self):
        """The records that need no code of their own."""
        return self.period * (self.trips - 1)


def runs(keys, operands, sizes, longest, saved=SAVED, segments=None) -> list:
    """The repeated runs of a tape, in its order.

    Args:
        keys: one number per record, int64; equal ones are the same operation on the same layouts.
        operands: (records, 3), the positions of what each record reads, int32, -1 for nothing.
        sizes: the elements of each value.
        longest: records of one pass.
        saved: records that all runs together must save.
        segments: pairs (first, end) of the stretches in which runs are looked for; None for the whole tape.
    """
    found, segments = [], [(0, len(keys))] if segments is None else list(segments)
    while segments:
        first, end = segments.pop()
        best = _best(keys, operands, sizes, first, end, min(BESIDE, saved), longest)
        found += best
        edges = [first, *(place for run in best for place in (run.start, run.end)), end]
        segments += zip(edges[::2], edges[1::2], strict=True) if best else ()
    enough = sum(run.saved for run in found) > saved
    return sorted(found, key=lambda run: run.start) if enough else []


def _best(keys, operands, sizes, first, end, least, longest):
    """The run that saves most in a segment, and more than some records, with those of the same body."""
    best, most = [], least
    for period in _candidates(keys, operands, first, end, least, longest):
        stretches = _stretches(keys, operands, first, end, period, most)
        if not stretches:
            continue
        run = _run(keys, operands, sizes, first, period, max(stretches, key=lambda stretch: stretch[1]))
        if run is not None and run.saved > most:
            best, most = [run, stretches], run.saved
    if not best:
        return []
    (longest, stretches), found = best, []
    for stretch in stretches:
        run = _run(keys, operands, sizes, found[-1].end if found else first, longest.period, stretch)
        if run is not None and run.saved > least and run.saved >= LIKE * most and _same_body(keys, run, longest):
            found.append(run)
    return found


def _same_body(keys, a, b):
    """Whether the passes of two runs are of the same records: one of a shorter period seen twice is not."""
    return (np.sort(keys[a.start : a.start + a.period]) == np.sort(keys[b.start : b.start + b.period])).all()


def _candidates(keys, operands, first, end, saved, longest) -> list:
    """The likeliest periods, and the longest of those that what is read nearby tells apart from shorter ones."""
    if end - first < FEWEST * 2:
        return []
    likeliest = _likeliest(keys[first:end], *_distances(keys, operands, first, end, saved, longest, near=False))
    distances, weights = _distances(keys, operands, first, end, saved, longest, near=True)
    return list(dict.fromkeys(likeliest + distances[weights == end - first][-NEAR:].tolist()))


def _likeliest(keys, distances, weights) -> list:
    """Distances by the records that recur there.

    A pass that does something several times resembles itself at smaller distances, which fewer records bear out.
    """
    distances = distances[np.lexsort((distances, -weights))][:NEARLY]
    borne_out = np.array([engine.recur(keys.ctypes.data, len(keys), d) for d in distances.tolist()], dtype=np.int64)
    return distances[np.lexsort((distances, -borne_out))][:CANDIDATES].tolist()


def _distances(keys, operands, first, end, saved, longest, near):
    """How far back the same few records were seen last, and by each of these distances the records that it explains.

    With ``near`` operands must stand as far back, too, those near in the same stretch: inner loops differ in that.
    """
    count, slots = end - first, min(MOST_SEEN, 4 << (end - first).bit_length())
    counts, seen = np.zeros(longest + 1, dtype=np.int64), np.zeros(2 * slots, dtype=np.int64)
    where = keys.ctypes.data, operands.ctypes.data, first, end, longest, int(near), seen.ctypes.data, slots - 1
    engine.distances(*where, counts.ctypes.data)
    distances = np.flatnonzero(counts[: min(longest, count // FEWEST) + 1])
    counts = counts[distances]
    usable = counts * distances >= min(saved, count // 4)
    return distances[usable], np.minimum(counts * distances, count)[usable]


def _stretches(keys, operands, first, end, period, most):
    """Where records recur at a distance: pairs (first record, records); none if that cannot save more than ``most`` records."""
    if end - first < FEWEST * period or engine.recur(keys[first:].ctypes.data, end - first, period) <= most:
        return []
    found = np.empty((1 + (end - first) // (2 * period), 2), dtype=np.int64)
    where = keys.ctypes.data, operands.ctypes.data, first, end, period, FEWEST * period
    return found[: engine.stretches(*where, found.ctypes.data)].tolist()


def _run(keys, operands, sizes, first, period, stretch):
    """The run of a stretch, which may begin at ``first`` at the earliest."""
    start, length = stretch
    length, start = length - max(first - start, 0), max(first, start)
    if length < FEWEST * period:
        return None
    shift = _boundary(operands, sizes, start, period, length % period)
    if (length - shift) // period < FEWEST:
        shift = 0
    run = Run(start + shift, period, (length - shift) // period)
    return _with_first(keys, operands, first, run)


def _boundary(operands, sizes, start, period, spare):
    """How many records after ``start`` passes best begin: where the fewest elements are handed from pass to pass."""
    at = np.arange(start + 2 * period, start + 3 * period)
    read = operands[at]
    distance = np.where((read >= 0) & (read - operands[at - period] == period), at[:, None] - read, 0).reshape(-1)
    made = (np.repeat(np.arange(period), 3) - distance) % period
    lives = np.zeros(period, dtype=np.int64)
    np.maximum.at(lives, made, distance)
    elements = sizes[start : start + period]
    whole, rest = np.divmod(lives, period)
    crossing = np.zeros(2 * period + 1, dtype=np.int64)
    places = np.arange(period)
    np.add.at(crossing, places + 1, elements)
    np.add.at(crossing, places + rest + 1, -elements)
    crossing = np.cumsum(crossing[:-1])
    cost = crossing[:period] + crossing[period:] + (whole * elements).sum()
    return int(np.lexsort((places, places > spare, cost))[0])


def _with_first(keys, operands, first, run):
    """The run with the pass before it, if that differs only in what is carried into it."""
    p = run.period
    before = run.start - p
    if before < first or (keys[before : run.start] != keys[run.start : run.start + p]).any():
        return run
    here, following, after = (operands[before + k * p : before + (k + 1) * p] for k in range(3))
    moves = after - following
    carried = (moves == p) & (following < run.start) & (following >= before) & (here >= 0) & (here < before)
    return Run(before, p, run.trips + 1) if ((following - here == moves) | carried).all() else run
