"""Numbers that a function reads beside its arguments and that change between calls: a rate that is annealed, a count of steps.

Such a number is a constant of the recording at first. At its third value the function is recorded twice, with the number and
with a tensor that stands in for it. If that gives the same results by the same work, and nothing but comparisons looked at
the number, it is read at every call from then on. Every later recording is compared so, too: another way through the
function may take the number for a length, or a key.
"""

import contextlib
import sys
import threading

import numpy as np

from tapejit.core.dtypes import float64
from tapejit.core.layout import scalar_layout
from tapejit.core.tape import whole
from tapejit.eager.dispatch import share
from tapejit.eager.tensor import Tensor
from tapejit.edge.userline import is_library
from tapejit.replay.integers import EXACT, TRIES_AT

_SITE = ("site-packages", "dist-packages")
_MOST = 64  # numbers of one signature whose values are counted


class Slot:
    """A place that holds a number, and the memory from which programs read it.

    Attributes:
        where: "cell" for a closure variable, "item" of a dict or list: globals, attributes of an object, entries.
    """

    __slots__ = ("array", "name", "owner", "where")

    def __init__(self, where, owner, name):
        self.where, self.owner, self.name = where, owner, name
        self.array = np.zeros(())

    @property
    def key(self):
        return self.where, id(self.owner), self.name

    def read(self):
        return self.owner.cell_contents if self.where == "cell" else self.owner[self.name]

    def write(self, x):
        if self.where == "cell":
            self.owner.cell_contents = x
        else:
            self.owner[self.name] = x

    def take(self, x) -> bool:
        """Let programs read ``x``; whether it is a number that they can read."""
        if not is_number(x):
            return False
        self.array[()] = x
        return True


class CapturedNumbers:
    """What is known of the numbers that one signature's recordings read from outside.

    Attributes:
        slots: by key, those that are read at every call.
    """

    def __init__(self):
        self.slots = {}
        self._seen, self._steering = {}, set()  # by key, the slot and its values; keys of those that stay constants
        self._to_try = None

    def changed(self, place):
        """A place, (where, owner, name, value before, value now), was found to hold something else."""
        where, owner, name, before, now = place
        slot = Slot(where, owner, name)
        if where not in ("cell", "item") or slot.key in self._steering or not (is_number(before) and is_number(now)):
            return
        if len(self._seen) < _MOST or slot.key in self._seen:
            slot, values = self._seen.setdefault(slot.key, (slot, {float(before)}))
            values.add(float(now))
            if len(values) >= TRIES_AT:
                self._to_try = slot

    def stays(self, place):
        """The function itself changes what a place holds."""
        key = place[0], id(place[1]), place[2]
        self._steering.add(key)
        self._seen.pop(key, None)

    def candidates(self) -> list:
        """The slots to stand in for in the next recording."""
        tried, self._to_try = self._to_try, None
        return [*self.slots.values()] if tried is None else [*self.slots.values(), tried]

    def decide(self, slots, same):
        """Enter what became of a recording in which tensors stood in: whether it was the same."""
        new = [slot for slot in slots if slot.key not in self.slots]
        for slot in slots if same else new or slots:
            self._seen.pop(slot.key, None)
            if same:
                self.slots[slot.key] = slot
            else:
                self._steering.add(slot.key)
                self.slots.pop(slot.key, None)


def is_number(x) -> bool:
    """Whether programs can read it: a float, or an integer that is a float."""
    return x.__class__ is float or x.__class__ is np.float64 or (x.__class__ is int and abs(x) <= EXACT)


class Changed(Exception):
    """What stood in for a number was overwritten, or is no number any more."""


@contextlib.contextmanager
def standing_in(slots):
    """Tensors of the recording that runs, in the places of numbers.

    Raises:
        Changed: if the function has changed one itself; what it wrote, as a number, is there.
    """
    before, tensors = [slot.read() for slot in slots], []

    def put_back():
        for slot, number, tensor in zip(slots, before, tensors, strict=False):
            now = slot.read()
            if now is tensor:
                slot.write(number)
            elif now.__class__ is Tensor:
                slot.write(now._memory().item())

    try:
        for slot, number in zip(slots, before, strict=True):
            if not slot.take(number):
                raise Changed
            tensors.append(share(slot.array, scalar_layout(float64)))
            slot.write(tensors[-1])
        yield tensors
    finally:
        whole(put_back)
    if any(slot.read() is not number for slot, number in zip(slots, before, strict=True)):
        raise Changed


def others_run() -> bool:
    """Whether another thread runs code of the user's, which might meet a tensor in a number's place."""
    me = threading.get_ident()
    for thread, frame in sys._current_frames().items():
        while thread != me and frame is not None:
            file = frame.f_code.co_filename
            if not is_library(file) and not any(part in file for part in _SITE):
                return True
            frame = frame.f_back
    return False
