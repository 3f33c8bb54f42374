"""The entries of a sparse Jacobian from its diagonals, which go to the CSR data at strides, and what diagonals do not hold."""

from functools import reduce

import numpy as np

from tapejit.eager.creation import zeros
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import add
from tapejit.eager.indexing import cat
from tapejit.eager.places import take_flat
from tapejit.eager.views import reshape, spread, strided_view
from tapejit.replay.diagonals import Irregular, Pushed
from tapejit.replay.jacobianpasses import unit
from tapejit.replay.transforms import pulled

FEW = 8  # rows, with entries that are on no diagonal, which are worked out as a whole
MOST_STRANDS = 64  # pieces at strides that entries are put together from
MIRRORED = 1 << 62  # beside the bits of the diagonals


def entries_along(plan, y, leaves):
    """The entries of the Jacobian of y in the leaves, as the plan orders them.

    Raises:
        Irregular: if they do not lie along a few diagonals and in a few rows, or some are not in the plan's pattern.
    """
    count = plan.rows.nnz
    if not count:
        return zeros(0, dtype=y.dtype)
    diagonals, lost = Pushed(y, leaves).derivative(y)
    found = np.zeros(count, dtype=np.int64)  # by entry a bit for each diagonal that has a part in it
    elements = np.zeros(count, dtype=np.int64)
    for bit, diagonal in enumerate(diagonals):
        columns = diagonal.columns.reshape(-1)
        rows = np.flatnonzero(columns >= 0)
        at = _numbers(plan, rows, columns[rows])
        found[at] |= 1 << bit
        elements[at] = rows
    missing = np.zeros(count, dtype=bool)
    if lost is not None:
        lost = lost.tocoo()
        missing[_numbers(plan, lost.row.astype(np.int64), lost.col)] = True
    if plan.symmetric:
        _mirror(plan, found, elements, missing)
    parts = [*_whole_rows(plan, y, leaves, missing)]  # (values, elements of these, places)
    for bits in np.unique(found[~missing]).tolist():
        terms = [reshape(d.entries, -1) for bit, d in enumerate(diagonals) if bits >> bit & 1]
        places = np.flatnonzero((found == bits) & ~missing)
        parts.append((reduce(add, terms) if terms else zeros(y.numel(), dtype=y.dtype), elements[places], places))
    return _together(parts, count, y.dtype)


def _numbers(plan, rows, columns):
    found = plan.numbers_of(rows, columns)
    if found is None:
        raise Irregular
    return found


def _mirror(plan, found, elements, missing):
    """Entries below the diagonal are those above it, which are worked out once; or the other way round, if one is missing."""
    rows, columns = plan.coordinates
    below = np.flatnonzero(rows > columns)
    above = plan.numbers_of(columns[below], rows[below])
    if above is None:
        return
    down = ~missing[above] & ((found[above] != 0) | missing[below])
    up = missing[above] & ~missing[below]
    targets, sources = np.r_[below[down], above[up]], np.r_[above[down], below[up]]
    found[targets], elements[targets] = np.where(found[sources] != 0, found[sources] | MIRRORED, 0), elements[sources]
    missing[targets] = False


def _whole_rows(plan, y, leaves, missing):
    """Rows of which entries are missing, each by a product; (values, columns, places) of what is missing."""
    rows, columns = plan.coordinates
    wanted = np.unique(rows[missing]).tolist()
    if len(wanted) > FEW:
        raise Irregular
    for row in wanted:
        places = np.flatnonzero(missing & (rows == row))
        parts = [reshape(x, -1) for x in pulled([y], [unit(y, row)], leaves)]
        yield parts[0] if len(parts) == 1 else cat(parts), columns[places], places


def _together(parts, count, dtype):
    """All entries, from parts that are at strides, or else element by element."""
    strands = []
    for values, elements, places in parts:
        for first, end in _runs(elements, places):
            strands.append((values, elements[first:end], places[first:end]))
            if len(strands) > MOST_STRANDS:
                return _gathered(parts, count)
    total = zeros(count, dtype=dtype)
    for values, elements, places in strands:
        n = len(elements)
        strand = strided_view(values, (n,), (_step(elements),), int(elements[0]))
        total = total + spread(strand, (n,), (_step(places),), int(places[0]), (count,))
    return total


def _step(places):
    return int(places[1] - places[0]) if len(places) > 1 else 1


def _runs(*lists):
    """(first, end) of stretches along which each list is arithmetic."""
    steps = np.diff(np.stack(lists), axis=1)
    turns = np.flatnonzero((steps[:, 1:] != steps[:, :-1]).any(axis=0)) + 2  # the first place that does not continue its run
    first, n = 0, len(lists[0])
    while first < n:
        turn = np.searchsorted(turns, first + 2)
        end = int(turns[turn]) if turn < len(turns) else n
        yield first, end
        first = end


def _gathered(parts, count):
    places, start = np.zeros(count, dtype=np.int64), 0
    for values, elements, mine in parts:
        places[mine] = start + elements
        start += values.numel()
    return take_flat(cat([values for values, _, _ in parts]), from_array(places), None)
