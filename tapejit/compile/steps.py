"""The parts of a plan: units of work, and the steps that they are gathered in."""

from dataclasses import dataclass, field

from tapejit.compile.body import Body
from tapejit.core.layout import packed_strides


@dataclass(slots=True, eq=False)
class Unit:
    """Something to be worked out: ``kind`` is scalar, pack, store, reduce, call, weave, part, sum, addend, guard or out.

    Attributes:
        number: of the guard or output, of the operand that is a part, or of the term of a sum.
        whole: the ``weave`` that a part is of.
    """

    id: int
    kind: str
    node: object
    number: int = 0
    whole: object = None
    deps: set = field(default_factory=set)
    users: list = field(default_factory=list)
    waiting: int = 0
    space: tuple = ()

    @property
    def target(self):
        """The node whose memory it writes."""
        return self.whole or self.node

    @property
    def is_scalar(self):
        """Whether it goes into a block of scalar code."""
        return self.kind in ("scalar", "pack") or (self.kind in ("guard", "out", "part") and self.node.n == 1)


@dataclass(slots=True, eq=False)
class Region:
    box: tuple
    body: list  # instructions
    roots: list  # (unit, position of its value, index of its last dimension if that is not the counter)


@dataclass(slots=True, eq=False)
class Loops:
    units: list
    flat: bool
    regions: list

    def is_scatter(self, planner):
        """Whether elements are added to places that may be the same for several of them."""
        scattered = (u.node.op == "spread" and u.kind == "store" and u.node.id in planner.stored for u in self.units)
        return any(scattered) or any(u.kind == "addend" for u in self.units)

    def action(self, planner, unit):
        """(kind, dtype, steps of the target per counter, start, elements of the target) of a unit."""
        node = unit.node
        if unit.kind == "addend":
            term = planner.sums[node.id][unit.number]
            strides, start = term.attr if term.op == "spread" else (packed_strides(node.shape), 0)
            return "sum" if unit.number == 0 else "more", node.dtype, strides, start, node.n
        if unit.kind == "reduce":
            return (node.op, node.dtype, (0,), 0, 1) if self.flat else (node.op, node.dtype, node.attr, 0, node.n)
        if node.op == "spread" and node.id in planner.stored and unit.kind == "store":
            strides, start = node.attr
            return "sum", node.dtype, strides, start, node.n
        apart, start = unit.whole.attr[unit.number] if unit.whole else (1, 0)
        steps = (1,) if self.flat else packed_strides(node.shape)
        return "store", node.dtype, tuple(apart * s for s in steps), start, unit.target.n


@dataclass(slots=True, eq=False)
class Scalars:
    units: list
    body: Body
    values: dict  # unit id -> position


@dataclass(slots=True, eq=False)
class Call:
    unit: Unit

    @property
    def units(self):
        return [self.unit]


@dataclass(slots=True, eq=False)
class Blocks:
    """Steps over the same rows, done one after the other for a block of rows at a time (see ``compile.rowblocks``).

    Attributes:
        members: pairs of a step and, for a product, how it goes along the rows.
        block: rows of a block; the last one has fewer.
        parts: how many ranges of blocks threads may take; what these sum is added in their order.
    """

    members: list
    rows: int
    block: int
    parts: int
