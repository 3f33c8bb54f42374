"""Entries of a sparse Jacobian along its diagonals: each is worked out once, where it is, with nothing beside it.

The Jacobian of what array code gives consists of diagonals: element i of ``x[1:] * y`` depends on element i + 1 of x and on
element i of y. A diagonal is pushed along the recording as a tangent is, by the same rules, but knows which column each of
its elements belongs to; what moves elements moves their columns. There are no directions that entries must be read from, and
no zeros that are added up: the work is that of the entries. What is known of the recorded array code remains, so that the
entries of a diagonal go to the CSR data at a stride.
"""

from functools import reduce
from typing import NamedTuple

import numpy as np

from tapejit.eager.compiledsweep import handle_of, plan_sweep
from tapejit.eager.creation import zeros
from tapejit.eager.dispatch import constant, from_array
from tapejit.eager.functional import add
from tapejit.eager.indexing import cat
from tapejit.eager.places import take_flat
from tapejit.eager.tangents import Step, tangent_of
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import reshape, spread, strided_view
from tapejit.graph.positions import positions
from tapejit.spec import usernodes

LONGEST = 400  # records that diagonals are pushed through
MOST = 60  # diagonals of a value: a bit of an integer stands for each
MIRRORED = 1 << 62
MOST_RULES = 2000  # rules that are applied in all
MOST_STRANDS = 64  # pieces at strides that entries are put together from
_USERS = {usernodes.result.code, usernodes.node.code}


class Irregular(Exception):
    """The entries do not lie along a few diagonals."""


class Diagonal(NamedTuple):
    """Entries of the derivative of a value, one per element.

    Attributes:
        columns: of the value's shape, -1 where an element has no entry.
        entries: of the value's shape; anything where there is none.
    """

    columns: np.ndarray
    entries: Tensor


def entries_along(plan, y, leaves):
    """The entries of the Jacobian of y in the leaves, as the plan orders them.

    Raises:
        Irregular: if they do not lie along a few diagonals, or some are not in the plan's pattern.
    """
    diagonals = _Pushed(y, leaves).diagonals(y)
    count = plan.rows.nnz
    if not count:
        return zeros(0, dtype=y.dtype)
    found = np.zeros(count, dtype=np.int64)  # by entry a bit for each diagonal that has a part in it
    rows = np.zeros(count, dtype=np.int64)
    for bit, diagonal in enumerate(diagonals):
        columns = diagonal.columns.reshape(-1)
        mine = np.flatnonzero(columns >= 0)
        at = plan.numbers_of(mine, columns[mine])
        if at is None:
            raise Irregular
        found[at] |= 1 << bit
        rows[at] = mine
    if plan.symmetric:
        _mirror(plan, found, rows)
    parts = []  # (values along a diagonal, elements, places)
    for bits in np.unique(found).tolist():
        terms = [reshape(d.entries, -1) for bit, d in enumerate(diagonals) if bits >> bit & 1]
        mine = np.flatnonzero(found == bits)
        parts.append((reduce(add, terms) if terms else zeros(y.numel(), dtype=y.dtype), rows[mine], mine))
    return _together(parts, count, y.dtype)


def _mirror(plan, found, rows):
    """Entries below the diagonal are those above it, which are worked out once."""
    entries = plan.rows.tocoo()
    below = np.flatnonzero(entries.row > entries.col)
    places, sources = (plan.numbers_of(i[below], j[below]) for i, j in ((entries.row, entries.col), (entries.col, entries.row)))
    if sources is None:
        return
    taken = found[sources] != 0
    places, sources = places[taken], sources[taken]
    found[places], rows[places] = found[sources] | MIRRORED, rows[sources]


class _Pushed:
    """The diagonals of values of a recording."""

    def __init__(self, y, leaves):
        self.kept = {}  # columns by what they are: equal ones are one array
        self.sweep, self.rules = {}, 0
        self.known, start = {}, 0
        for x in leaves:
            columns = self._same(np.arange(start, start + x.numel()).reshape(x.shape))
            self.known[x] = [Diagonal(columns, constant(1.0, x._layout.packed))]
            start += x.numel()
        if not y.requires_grad:
            return
        tape = y._tape()
        order, _ = plan_sweep(tape, [y], leaves)
        if len(order) > LONGEST or any(int(tape.ops[k]) in _USERS for k in order):
            raise Irregular
        for node in [handle_of(tape, k) for k in reversed(order)]:
            if node not in self.known:
                self._push(tape, node)

    def diagonals(self, y):
        return self.known.get(y, [])

    def _same(self, columns):
        return self.kept.setdefault((columns.shape, columns.tobytes()), columns)

    def _push(self, tape, node):
        """The diagonals of a record from those of its operands, whose elements with equal columns go together."""
        step = Step(tape, node, self.known.get, {})
        move = _MOVES.get((step.op.alias_of or step.op).name)
        moving = {x: (j, found) for j, (x, found) in enumerate(zip(step.operands, step.tangents, strict=False)) if found}
        if move is None and not step.op.elementwise:
            raise Irregular
        groups = {}
        for x, (j, diagonals) in moving.items():
            for d in diagonals:
                columns = self._through(step, j, d.columns, move)
                _, terms = groups.setdefault(id(columns), (columns, {}))
                terms[x] = terms[x] + d.entries if x in terms else d.entries
        made = []
        for columns, terms in groups.values():
            t = tangent_of(tape, node, terms.get, self.sweep)
            if t is not None:
                made.append(Diagonal(columns, t))
        self.rules += len(groups)
        if len(made) > MOST or self.rules > MOST_RULES:
            raise Irregular
        if made:
            self.known[node] = made

    def _through(self, step, j, columns, move):
        """The columns of the result's elements by those of operand j."""
        if move is not None:
            moved = move(step, j, columns)
        else:
            moved = columns if columns.shape == step.shape else np.broadcast_to(columns, step.shape)
        return columns if moved is columns else self._same(moved)


def _viewed(step, j, columns):
    return columns.reshape(-1)[positions(step.shape, step.strides, int(step.imm))].reshape(step.shape)


def _spread(step, j, columns):
    places = positions(step.plan.shape, step.plan.strides, int(step.imm))
    if len(np.unique(places)) < len(places):
        raise Irregular  # a sum
    found = np.full(step.shape, -1)
    found.reshape(-1)[places] = columns.reshape(-1)
    return found


def _placed(step, j, columns):
    places = positions(step.plan.shape, step.plan.strides, int(step.imm))
    found = np.full(step.shape, -1) if j else columns.copy()
    found.reshape(-1)[places] = columns.reshape(-1) if j else -1
    return found


def _kept(step, j, columns):
    return columns


_MOVES = {"view": _viewed, "spread": _spread, "place": _placed, "copy": _kept, "cast": _kept}


# Putting entries together


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
