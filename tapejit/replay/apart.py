"""The values of a recording each in memory of their own, where an in-place change had put one over another."""

import ctypes

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core.layout import layout_at
from tapejit.spec.structured import view
from tapejit.spec.table import OPS

_VIEWS = np.array([op.code for op in OPS if (op.alias_of or op) is view])
_ALIGN = 64


class Places:
    """Where the values of a recording lie.

    Attributes:
        moved: the records that put their values into the block of another one, which they did not compute from there.
        written: the records into whose blocks values were put in place.
        gone: whether the block of any value is.
        outside: the records of which somebody else has the block, of those without operands.
        may_fail: whether there is any kernel that may.
        size: the bytes that ``keep_apart`` takes.
    """

    def __init__(self, tape):
        flags, counts = np.empty(len(tape), dtype=np.int32), np.zeros(len(OPS), dtype=np.int64)
        engine.survey(tape.words[R.H_RECORDS], len(tape), flags.ctypes.data, counts.ctypes.data)
        self.may_fail = bool(counts[[op.code for op in OPS if op.failure is not None]].any())
        outside = np.flatnonzero(flags & R.EXTERNAL)
        self.outside = outside[tape.ops[outside] == 0].tolist()
        self.written = set(tape.owners[np.flatnonzero(flags & R.PUT)].tolist())
        self.gone = bool((flags & R.NO_VALUE).any())
        views = np.flatnonzero(flags & (R.VIEW | R.PUT) == R.VIEW)
        ops = tape.ops[views]
        self.moved = views[(ops != 0) & ~np.isin(ops, _VIEWS)].tolist()
        self.size = sum(map(_room, _layouts(tape, self.moved)))


def keep_apart(tape, places) -> set:
    """Give every value that was changed in place a block of its own, so that none is lost when the tape runs again.

    Views go where their tensors go, and the tape keeps the memory.

    Args:
        places: the numbers of the records that moved.

    Returns:
        the records whose blocks had been written over.
    """
    if not places:
        return set()
    layouts = dict(zip(places, _layouts(tape, places), strict=True))
    memory = np.zeros(sum(map(_room, layouts.values())) + _ALIGN, np.uint8)
    tape.kept_alive[-1] = [memory]
    free = -(-memory.__array_interface__["data"][0] // _ALIGN) * _ALIGN
    count = len(tape)
    before, bases = tape.addresses[:count].tolist(), tape.records["a"][:count].tolist()
    written = {int(tape.owners[k]) for k in places}
    for k in range(places[0], count):
        if k in layouts:
            ctypes.memmove(free, before[k], layouts[k].n * layouts[k].dtype.itemsize)
            tape.addresses[k], tape.owners[k] = free, k
            tape.flags[k] = tape.flags[k] & ~R.VIEW | R.EXTERNAL
            free += _room(layouts[k])
        elif tape.flags[k] & (R.VIEW | R.PUT) and bases[k] >= 0:
            base = bases[k]
            tape.addresses[k] = before[k] - before[base] + int(tape.addresses[base])
            tape.owners[k] = tape.owners[base]
    return written


def _layouts(tape, places):
    return [layout_at(int(tape.records["layout"][k])) for k in places]


def _room(layout):
    return -(-layout.n * layout.dtype.itemsize // _ALIGN) * _ALIGN
