"""Repeated runs on a tape: stretches of records whose operations recur at one distance, and whose operands move along.

A Python loop leaves its passes one after the other. Hashes of a few records in a row find the distances at which the tape
resembles itself; then each stretch is verified record by record.
"""

from dataclasses import dataclass

import numpy as np

GRAM = 8  # records in a row that must recur
CANDIDATES = 12  # distances that are looked at
FEWEST = 4  # passes
LEVELS = 3000, 300  # records of one pass: at most so many at first, then fewer, where loops are nested
LITTLE = 2000  # records left that need no other level
SAVED = 200  # records that the first run must save
BESIDE = 12  # records that a run must save beside others, which may be unable to do without it
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Run:
    """``trips`` passes of ``period`` records each, the first one at ``start``."""

    start: int
    period: int
    trips: int

    @property
    def end(self):
        return self.start + self.period * self.trips


def runs(keys, operands, sizes, longest, saved=SAVED) -> list:
    """The repeated runs of a tape, in its order.

    Args:
        keys: one number per record; equal ones are the same operation on the same layouts.
        operands: (records, 3), the positions of what each record reads, -1 for nothing.
        sizes: the elements of each value.
        longest: records of one pass.
        saved: records that the first run must save.
    """
    found, segments = [], [(0, len(keys))]
    while segments:
        first, end = segments.pop()
        run = _best(keys, operands, sizes, first, end, min(BESIDE, saved) if found else saved, longest)
        if run is not None:
            found.append(run)
            segments += [(first, run.start), (run.end, end)]
    return sorted(found, key=lambda run: run.start)


def _best(keys, operands, sizes, first, end, most, longest):
    """The run that saves most in a segment, and more than some records; None if there is none."""
    best = None
    for period in _distances(keys[first:end], most, longest):
        run = _longest(keys, operands, sizes, first, end, period)
        if run is not None and (run.trips - 1) * run.period > most:
            best, most = run, (run.trips - 1) * run.period
    return best


def _distances(keys, saved, longest) -> list:
    """The likeliest periods: how far back the same few records were seen last, by the records that this explains."""
    if len(keys) < FEWEST * 2:
        return []
    grams, width = keys.copy(), 1
    while width < GRAM and len(grams) > width:
        grams = grams[:-width] * _ODD + (grams[width:] ^ (grams[width:] >> np.uint64(29)))
        width *= 2
    order = np.argsort(grams, kind="stable")
    same = grams[order[1:]] == grams[order[:-1]]
    distances, counts = np.unique((order[1:] - order[:-1])[same], return_counts=True)
    usable = (distances <= min(longest, len(keys) // FEWEST)) & (counts * distances >= min(saved, len(keys) // 4))
    distances, counts = distances[usable], counts[usable]
    weight = np.minimum(counts * distances, len(keys))
    return distances[np.lexsort((distances, -weight))][:CANDIDATES].tolist()


def _longest(keys, operands, sizes, first, end, period):
    """The longest run of a period in a segment."""
    if end - first < FEWEST * period:
        return None
    same = keys[first + period : end] == keys[first : end - period]
    moves = operands[first + period : end] - operands[first : end - period]
    regular = same[period:] & same[:-period] & (moves[period:] == moves[:-period]).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], regular, [0]))))
    if not len(edges):
        return None
    lengths = edges[1::2] - edges[::2]
    k = int(np.argmax(lengths))
    length = int(lengths[k]) + 2 * period
    start = first + int(edges[2 * k])
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
