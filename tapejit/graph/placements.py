"""Views of arrays that are written part by part: what a view reads was there before, or is what was written last.

``z[t] = y`` and ``stack`` leave a chain of placements on the tape; a view of its end depends on all of them, and so would the
gradient of each part. Read where its elements come from, it depends on one record, at the same distance in every pass. A large
part that is most of the array is as well read in it: then passes hand on one array, not two.
"""

import functools

import numpy as np

from tapejit.core.layout import packed_strides
from tapejit.core.plans import plan_at
from tapejit.graph.positions import positions
from tapejit.spec.structured import view
from tapejit.spec.table import OPS

LARGE = 100  # elements of a part
_VIEWS = [op.code for op in OPS if (op.alias_of or op) is view]
_PLACES = [op.code for op in OPS if (op.alias_of or op).name == "place"]


class _Written:
    """Placements one after the other, no two of which write the same element."""

    def __init__(self, root, n):
        self.root = root
        self.stamps = np.full(n, -1, dtype=np.int32)  # the placement that wrote each element
        self.parts = []  # (the record that was written, that of the placement)


def see_through(lowering):
    """Let the views of a recording read where their elements come from.

    Args:
        lowering: its ``columns`` change: operand, plan and offset of views.
    """
    columns = lowering.columns
    if not columns.have(_PLACES):
        return
    ops = columns.array("op")
    placing = np.isin(ops, _PLACES)
    chains = {}
    for k in np.flatnonzero(placing | np.isin(ops, _VIEWS)).tolist():
        x = columns["a"][k]
        if placing[k]:
            part = lowering._layout(columns["b"][k]).n
            if part < LARGE or 2 * part < lowering._layout(k).n:
                chains[k] = _placed(lowering, chains, k, x)
            continue
        where = _positions(lowering, k, k) if x in chains else None
        while x in chains:
            written, number = chains[x]
            stamps = written.stamps[where]
            stamps[stamps > number] = -1
            if not len(where) or (stamps < 0).all():
                x = columns["a"][k] = written.root
                continue
            first = int(stamps[0])
            part, put = written.parts[first]
            if (stamps == first).all() and np.array_equal(_positions(lowering, put, part), where):
                columns["a"][k], columns["plan"][k], columns["imm"][k] = part, 0, 0.0
            break


def _positions(lowering, k, of):
    """The elements that a view, or a placement of record ``of``, is about."""
    shape, plan = tuple(lowering._layout(of).shape), lowering.columns["plan"][k]
    strides = plan_at(plan).strides if plan else packed_strides(shape)
    return _from_the_first(shape, strides) + int(lowering.columns["imm"][k])


@functools.lru_cache(256)
def _from_the_first(shape, strides):
    return positions(shape, strides, 0)


def _placed(lowering, chains, k, x):
    """(the chain that a placement belongs to, its number in it)."""
    part = lowering.columns["b"][k]
    where = _positions(lowering, k, part)
    written, number = chains.get(x, (None, -1))
    if written is None or number != len(written.parts) - 1 or (written.stamps[where] >= 0).any():
        written = _Written(x, lowering._layout(k).n)
    written.stamps[where] = len(written.parts)
    written.parts.append((part, k))
    return written, len(written.parts) - 1
