"""The values of a recording each in memory of their own, where an in-place change had put one over another."""

import ctypes

import numpy as np

from tapejit.core import record as R
from tapejit.core.layout import layout_at
from tapejit.spec.structured import view
from tapejit.spec.table import OPS

_VIEWS = np.array([op.code for op in OPS if (op.alias_of or op) is view])
_ALIGN = 64


def moved(tape) -> np.ndarray:
    """Which records of a tape put their values into the block of another one, which they did not compute from there."""
    ops, flags = (column[: len(tape)] for column in (tape.ops, tape.flags))
    return (flags & (R.VIEW | R.PUT) == R.VIEW) & (ops != 0) & ~np.isin(ops, _VIEWS)


def size_of(tape) -> int:
    """The bytes that ``keep_apart`` takes."""
    return sum(map(_room, _layouts(tape, np.flatnonzero(moved(tape)))))


def keep_apart(tape) -> set:
    """Give every value that was changed in place a block of its own, so that none is lost when the tape runs again.

    Views go where their tensors go, and the tape keeps the memory.

    Returns:
        the records whose blocks had been written over.
    """
    places = np.flatnonzero(moved(tape)).tolist()
    layouts = dict(zip(places, _layouts(tape, places), strict=True))
    memory = np.zeros(sum(map(_room, layouts.values())) + _ALIGN, np.uint8)
    tape.kept_alive[-1] = [memory]
    free = -(-memory.__array_interface__["data"][0] // _ALIGN) * _ALIGN
    count = len(tape)
    before, bases = tape.addresses[:count].tolist(), tape.records["a"][:count].tolist()
    written = {int(tape.owners[k]) for k in places}
    for k in range(places[0] if places else count, count):
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
