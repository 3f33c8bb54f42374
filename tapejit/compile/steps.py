"""The parts of a plan: units of work, and the steps that they are gathered in."""

from dataclasses import dataclass, field

from tapejit.compile.body import Body


@dataclass(slots=True, eq=False)
class Unit:
    """Something to be worked out: ``kind`` is scalar, pack, store, reduce, call, guard or out."""

    id: int
    kind: str
    node: object
    number: int = 0  # of the guard or output
    deps: set = field(default_factory=set)
    users: list = field(default_factory=list)
    waiting: int = 0
    space: tuple = ()

    @property
    def is_scalar(self):
        """Whether it goes into a block of scalar code."""
        return self.kind in ("scalar", "pack") or (self.kind in ("guard", "out") and self.node.n == 1)


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


@dataclass(slots=True, eq=False)
class Scalars:
    units: list
    body: Body
    values: dict  # unit id -> position


@dataclass(slots=True, eq=False)
class Call:
    unit: Unit
