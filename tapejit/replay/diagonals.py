"""The derivative of a value of array code as diagonals: each of its entries is worked out once, with nothing beside it.

Element i of ``x[1:] * y`` depends on element i + 1 of x and on element i of y. A diagonal is pushed along the recording as a
tangent is, by the same rules, but knows which column each of its elements belongs to; what moves elements moves their columns.
There are no directions that entries must be read from, and no zeros that are added up: the work is that of the entries.

A sum has many entries per element, which no diagonal holds; they are noted as lost.
"""

from typing import NamedTuple

import numpy as np

from tapejit.eager.compiledsweep import handle_of, plan_sweep
from tapejit.eager.dispatch import constant
from tapejit.eager.tangents import Step, tangent_of
from tapejit.eager.tensor import Tensor
from tapejit.graph.positions import differ, positions
from tapejit.spec import usernodes

LONGEST = 400  # records that diagonals are pushed through
MOST = 60  # diagonals of a value: a bit of an integer stands for each
MOST_RULES = 2000  # rules that are applied in all
MOST_LOST = 1 << 20
_USERS = {usernodes.result.code, usernodes.node.code}


class Irregular(Exception):
    """The entries do not lie along a few diagonals."""


class Diagonal(NamedTuple):
    """Entries of the derivative of a value, at most one per element.

    Attributes:
        columns: of the value's shape, -1 where an element has no entry.
        entries: of the value's shape, zero where there is none: every rule gives zero for zero.
    """

    columns: np.ndarray
    entries: Tensor


class Derivative(NamedTuple):
    """The derivative of a value in all leaves.

    Attributes:
        diagonals: their sum is the derivative, but for what is lost.
        lost: the pattern of entries that are not in the diagonals, or not all of them is; None for none.
    """

    diagonals: list
    lost: object


class Pushed:
    """Diagonals pushed along a recording, from the leaves, whose elements are the columns one after another, to y.

    Raises:
        Irregular: if there are many, or an operation on the way is neither elementwise nor a move or sum of elements.
    """

    def __init__(self, y, leaves):
        self._kept = {}  # columns by what they are: equal ones are one array
        self._sweep, self._rules = {}, 0
        self._known, self._width = {}, sum(x.numel() for x in leaves)
        start = 0
        for x in leaves:
            columns = self._same(np.arange(start, start + x.numel()).reshape(x.shape))
            self._known[x] = Derivative([Diagonal(columns, constant(1.0, x._layout.packed))], None)
            start += x.numel()
        if y.requires_grad:
            self._push_all(y._tape(), y, leaves)

    def derivative(self, x) -> Derivative:
        return self._known.get(x, Derivative([], None))

    def _same(self, columns):
        return self._kept.setdefault((columns.shape, columns.tobytes()), columns)

    def _push_all(self, tape, y, leaves):
        order, _ = plan_sweep(tape, [y], leaves)
        if len(order) > LONGEST or any(int(tape.ops[k]) in _USERS for k in order):
            raise Irregular
        for node in [handle_of(tape, k) for k in reversed(order)]:
            if node not in self._known:
                self._push(tape, node)

    def _push(self, tape, node):
        """The derivative of a record from those of its operands, whose elements with equal columns go together."""
        step = Step(tape, node, self._known.get, {})
        groups, lost = {}, None
        moving = {x: (j, t) for j, (x, t) in enumerate(zip(step.operands, step.tangents, strict=False)) if t is not None}
        for x, (j, derivative) in moving.items():
            way = _Way(step, j, x)
            if derivative.lost is not None:
                lost = _union(lost, way.matrix() @ derivative.lost)
            for d in derivative.diagonals:
                columns = way.columns(d.columns)
                if columns is None:
                    lost = _union(lost, way.pattern(d.columns, self._width))
                    continue
                if columns is not d.columns:
                    columns = self._same(columns)
                    if (columns < 0).all():  # none of its elements is read
                        continue
                _, terms = groups.setdefault(id(columns), (columns, {}))
                terms[x] = terms[x] + d.entries if x in terms else d.entries
        made = [Diagonal(columns, tangent_of(tape, node, terms.get, self._sweep)) for columns, terms in groups.values()]
        made = [d for d in made if d.entries is not None]
        self._rules += len(groups)
        if len(made) > MOST or self._rules > MOST_RULES or (lost is not None and lost.nnz > MOST_LOST):
            raise Irregular
        if made or lost is not None:
            self._known[node] = Derivative(made, lost)


def _union(a, b):
    return b if a is None else a + b


class _Way:
    """How elements of an operand of a record get into its result.

    Attributes:
        sources: of the result's shape, the element of the operand, -1 for none; None for the same element.
        targets: for a sum the element of the result that each element of the operand is added to, else None.
    """

    def __init__(self, step, j, x):
        self.shape, self.n = tuple(step.shape), x.numel()
        self.sources = self.targets = None
        name = (step.op.alias_of or step.op).name
        if name in _MOVES:
            self.sources = _MOVES[name](step, j)
        elif name == "spread":
            places = positions(step.plan.shape, step.plan.strides, int(step.imm))
            if differ(places, int(np.prod(self.shape))):
                self.sources = _put(step, places)
            else:
                self.targets = places
        elif name in ("sum", "mean"):
            self.targets = positions(x.shape, step.plan.strides, 0)
        elif name == "dot":
            self.targets = np.zeros(self.n, dtype=np.int64)
        elif not step.op.elementwise:
            raise Irregular
        elif tuple(x.shape) != self.shape:
            self.sources = np.broadcast_to(np.arange(self.n).reshape(x.shape), self.shape)

    def columns(self, columns):
        """The columns of the result's elements, None where one has several."""
        if self.targets is not None:
            present = np.flatnonzero(columns >= 0)
            targets, columns = self.targets[present], columns.reshape(-1)[present]
            found = np.full(self.shape, -1)
            found.reshape(-1)[targets] = columns
            return found if (found.reshape(-1)[targets] == columns).all() else None
        if self.sources is None:
            return columns
        return np.where(self.sources >= 0, columns.reshape(-1)[self.sources], -1)

    def matrix(self):
        """The matrix that takes elements of the operand to those of the result."""
        from scipy import sparse

        if self.targets is not None:
            rows, elements = self.targets, np.arange(self.n)
        elif self.sources is None:
            return sparse.identity(self.n, dtype=bool, format="csr")
        else:
            rows = np.flatnonzero(self.sources.reshape(-1) >= 0)
            elements = self.sources.reshape(-1)[rows]
        shape = int(np.prod(self.shape)), self.n
        return sparse.csr_matrix((np.ones(len(rows), bool), (rows, elements)), shape)

    def pattern(self, columns, width):
        """Where a sum has the entries of a diagonal of its operand."""
        from scipy import sparse

        elements = np.flatnonzero(columns >= 0)
        where = self.targets[elements], columns.reshape(-1)[elements]
        return sparse.csr_matrix((np.ones(len(elements), bool), where), (int(np.prod(self.shape)), width))


def _put(step, places):
    found = np.full(step.shape, -1)
    found.reshape(-1)[places] = np.arange(len(places))
    return found


def _placed(step, j):
    places = positions(step.plan.shape, step.plan.strides, int(step.imm))
    if j:
        return _put(step, places)
    found = np.arange(int(np.prod(step.shape)))
    found[places] = -1
    return found.reshape(step.shape)


_MOVES = {
    "view": lambda step, j: positions(step.shape, step.strides, int(step.imm)).reshape(step.shape),
    "place": _placed,
    "copy": lambda step, j: None,
    "cast": lambda step, j: None,
}
