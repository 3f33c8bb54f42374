"""Arrays that change by parts: ``total = total + spread(part)`` and ``z[t] = part`` in every pass are done in place.

That is what the gradient of ``x[t]`` in a loop looks like, and a list of states that are stacked. As values of their own the
arrays would take time, and memory, that grow with the square of the number of passes.
"""

from dataclasses import dataclass

from tapejit.core import record as R
from tapejit.core.plans import plan_at

SHOWN = 1  # the pass whose records are looked at


@dataclass(frozen=True)
class Link:
    """One change: ``reader`` and ``operand`` say which record reads what is added or put, and in which place."""

    add: int
    reader: int
    operand: int
    spread: bool  # into a part, at the offset of the reader
    strides: tuple
    records: tuple  # of the pass that need no values of their own
    put: bool = False  # in place of what was there


@dataclass(frozen=True)
class Chain:
    links: list
    first: int  # the record of the array before the first pass

    @property
    def last(self):
        """The record of a pass that is the array after it."""
        return self.links[-1].add


def chains(made) -> list:
    """The chains of a run (see ``onepass.Pass``)."""
    made.uses = made.parent.uses[made.run.start : made.run.end].reshape(made.run.trips, made.run.period)
    readers = {}
    adds = {b: range(2) for b in range(made.run.period) if _is_addition(made, b)}
    adds |= {b: range(1) for b in range(made.run.period) if _is_placement(made, b)}
    adds = dict(sorted(adds.items()))
    for b, operands in adds.items():
        for j in operands:
            kind, *rest = made.kind(b, j)
            if kind == "same":
                readers.setdefault(rest[0], []).append((b, j))
    windows = _windows(made)
    found, taken = [], set()
    for b, operands in adds.items():
        for j in operands:
            kind, *rest = made.kind(b, j)
            if kind == "carried" and rest[1] == 1 and rest[0] not in taken:
                start = made.firsts(b, j, 1)
                seen = windows.get(rest[0], [])
                if any(first != start for first in seen):
                    continue
                links = _followed(made, b, j, rest[0], readers, len(seen))
                if links and any(link.spread for link in links) and _changed(made, links) < made.layout(rest[0]).n:
                    taken.add(rest[0])
                    found.append(Chain(links, start[0]))
    return found


def _is_addition(made, b):
    k = made.shown[b]
    parent = made.parent
    if made.op(b).name != "add" or parent.columns["flags"][k] & (R.SCALAR_A | R.SCALAR_B) or k in parent.exact:
        return False
    n = made.layout(b).n
    same = all(parent._layout(int(parent.live[o])).n == n for o in made.reads[SHOWN, b, :2])
    return n > 1 and same and made.layout(b).dtype.is_floating_point


def _is_placement(made, b):
    layout = made.layout(b)
    return _name(made, b) == "place" and layout.n > 1 and layout.dtype.is_floating_point


def _name(made, b):
    op = made.op(b)
    return (op.alias_of or op).name if op.code else None


def _windows(made):
    """Record of a pass -> what the first pass views in its place, for each view of it in the next pass, before any change."""
    found = {}
    for b in range(made.run.period):
        if _name(made, b) == "view":
            kind, *rest = made.kind(b, 0)
            if kind == "carried" and rest[1] == 1:
                found.setdefault(rest[0], []).append(made.firsts(b, 0, 1))
    return found


def _followed(made, b, j, last, readers, windows):
    """The changes from the first to the last of a pass, None if somebody else reads the array on the way."""
    links = []
    while True:
        link = _placement(made, b) if _name(made, b) == "place" else _link(made, b, 1 - j)
        if link is None:
            return None
        links.append(link)
        end = b == last
        uses = made.uses[:-1, b] - windows if end else made.uses[:, b]
        if (uses != 1).any() or (end and made.needed[b] < made.run.trips - 1):
            return None
        if end:
            return links
        following = readers.get(b, ())
        if len(following) != 1:
            return None
        b, j = following[0]


def _changed(made, links):
    """The elements that the links change; as many as the array has are worked out in one go, in a loop over all of it."""
    read = (int(made.parent.live[made.reads[SHOWN, link.reader, link.operand]]) for link in links)
    return sum(made.parent._layout(k).n for k in read)


def _placement(made, b):
    plan = plan_at(made.parent.columns["plan"][made.shown[b]])
    return Link(b, b, 1, True, plan.strides, (b,), put=True)


def _link(made, b, j):
    kind, *rest = made.kind(b, j)
    if kind == "same" and made.op(rest[0]).name == "spread" and (made.uses[:, rest[0]] == 1).all():
        spread = rest[0]
        plan = plan_at(made.parent.columns["plan"][made.shown[spread]])
        return Link(b, spread, 0, True, plan.strides, (spread, b))
    if kind == "same":
        return Link(b, b, j, False, (), (b,))
    return None
