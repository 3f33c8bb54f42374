"""Repeated runs on a tape: stretches of records whose operations recur at one distance, and whose operands move along.

A Python loop leaves its passes one after the other. Hashes of a few records in a row find the distances at which the tape
resembles itself; then each stretch is verified record by record.
"""

from dataclasses import dataclass

import numpy as np

GRAM = 8  # records in a row that must recur
CANDIDATES, NEAR = 12, 4  # distances that are looked at, by operations and by what these read as well
NEARLY = 64  # those of which it is counted how many records they explain
FEWEST = 4  # passes
LEVELS = 3000, 300  # records of one pass: at most so many at first, then fewer, where loops are nested
LITTLE = 2000  # records left that need no other level
SAVED = 200  # records that all runs together must save
BESIDE = 12  # records that each of them must save
LIKE = 0.5  # of what the best run saves: others of its body that save as much are taken with it
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

    @property
    def saved(self):
        """The records that need no code of their own."""
        return self.period * (self.trips - 1)


def runs(keys, operands, sizes, longest, saved=SAVED, segments=None) -> list:
    """The repeated runs of a tape, in its order.

    Args:
        keys: one number per record; equal ones are the same operation on the same layouts.
        operands: (records, 3), the positions of what each record reads, -1 for nothing.
        sizes: the elements of each value.
        longest: records of one pass.
        saved: records that all runs together must save.
        segments: pairs (first, end) of the stretches in which runs are looked for; None for the whole tape.
    """
    found, segments = [], [(0, len(keys))] if segments is None else list(segments)
    operands = np.asfortranarray(operands)  # compared column by column
    while segments:
        first, end = segments.pop()
        near = _near(keys[first:end], operands[first:end] - first, longest)
        best = _best(keys, near, operands, sizes, first, end, min(BESIDE, saved), longest)
        found += best
        edges = [first, *(place for run in best for place in (run.start, run.end)), end]
        segments += zip(edges[::2], edges[1::2], strict=True) if best else ()
    enough = sum(run.saved for run in found) > saved
    return sorted(found, key=lambda run: run.start) if enough else []


def _near(keys, operands, longest):
    """Keys that also say how far back operands stand, those near in the same stretch: inner loops differ in that."""
    found = keys.copy()
    for column in operands.T:
        back = np.arange(len(keys)) - column
        back[(column < 0) | (back > longest)] = 0
        found = (found ^ back.astype(np.uint64)) * _ODD
        found ^= found >> np.uint64(31)
    return found


def _best(keys, near, operands, sizes, first, end, least, longest):
    """The run that saves most in a segment, and more than some records, with those of the same body."""
    best, most = [], least
    for period in _candidates(keys[first:end], near, least, longest):
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


def _candidates(keys, near, saved, longest) -> list:
    """The likeliest periods, and the longest of those that what is read nearby tells apart from shorter ones."""
    if len(keys) < FEWEST * 2:
        return []
    likeliest = _likeliest(keys, *_distances(keys, saved, longest))
    distances, weights = _distances(near, saved, longest)
    return list(dict.fromkeys(likeliest + distances[weights == len(keys)][-NEAR:].tolist()))


def _likeliest(keys, distances, weights) -> list:
    """Distances by the records that recur there.

    A pass that does something several times resembles itself at smaller distances, which fewer records bear out.
    """
    distances = distances[np.lexsort((distances, -weights))][:NEARLY]
    borne_out = np.array([np.count_nonzero(keys[d:] == keys[:-d]) for d in distances.tolist()], dtype=np.int64)
    return distances[np.lexsort((distances, -borne_out))][:CANDIDATES].tolist()


def _distances(keys, saved, longest):
    """How far back the same few records were seen last, and by each of these distances the records that it explains."""
    grams, width = keys.copy(), 1
    while width < GRAM and len(grams) > width:
        grams = grams[:-width] * _ODD + (grams[width:] ^ (grams[width:] >> np.uint64(29)))
        width *= 2
    order = np.argsort(grams, kind="stable")
    same = grams[order[1:]] == grams[order[:-1]]
    distances, counts = np.unique((order[1:] - order[:-1])[same], return_counts=True)
    usable = (distances <= min(longest, len(keys) // FEWEST)) & (counts * distances >= min(saved, len(keys) // 4))
    distances, counts = distances[usable], counts[usable]
    return distances, np.minimum(counts * distances, len(keys))


def _stretches(keys, operands, first, end, period, most):
    """Where records recur at a distance: pairs (first record, records); none if that cannot save more than ``most`` records."""
    if end - first < FEWEST * period:
        return []
    same = keys[first + period : end] == keys[first : end - period]
    if np.count_nonzero(same) <= most:
        return []
    regular = same[period:] & same[:-period]
    for column in operands.T:
        moves = column[first + period : end] - column[first : end - period]
        regular &= moves[period:] == moves[:-period]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], regular, [False]))))
    stretches = np.stack((first + edges[::2], edges[1::2] - edges[::2] + 2 * period), axis=1)
    return stretches[stretches[:, 1] >= FEWEST * period].tolist()


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
