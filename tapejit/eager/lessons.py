"""What a rule leaves on a recording for one record, made again for others like it without a Tensor.

A long recording has many records that differ only in their operands. What a rule on Tensors (of a sweep, tangents, a batch)
leaves for the first of a kind is remembered by what it reads; for the others it is appended by its numbers. A kind is all that
the rule may look at, which whoever asks has to put into it: op, parameters, the layouts of all operands, which of them are one.
"""

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core.layout import layout_at
from tapejit.core.record import MASK
from tapejit.core.recordkinds import SCALARS
from tapejit.core.rote import EMPTY, GENERAL, NUMBER, VIEW

SHORT = 200  # records up to which nothing is learned from
_NOT_ALONE = R.EXTERNAL | R.LEAF | R.HOOKED  # of a record that is more than its operands


def kinds_of(columns, alone) -> np.ndarray:
    """Numbers, one for each record, equal where all columns are; -1 for those that are ``alone``."""
    rows = np.stack(columns, axis=1, dtype=np.int64)
    kinds, room = np.empty(len(rows), dtype=np.int64), Room(*rows.shape)
    engine.number_rows(rows.ctypes.data, *rows.shape, kinds.ctypes.data, *room.words)
    kinds[alone] = -1
    return kinds


class Room:
    """Memory in which rows of words are numbered: ``words`` is what the engine is told. Little of it is used for few kinds."""

    def __init__(self, count, width):
        slots = 2 << (count + 1).bit_length()
        self._kept, self._slots = np.empty((count + 1) * width, dtype=np.int64), np.zeros(slots, dtype=np.int32)
        self.words = self._kept.ctypes.data, self._slots.ctypes.data, slots - 1


class Lesson:
    """What a rule has left: a step for each record.

    Attributes:
        used: the places, among the values that ``Lessons.repeat`` gives, of what was known and is wanted again.
    """

    def __init__(self, steps, places):
        self.steps, self._places = steps, places
        self.used = {place for what, _, _, *read, _, _, _ in steps for place in read[: 3 if what == GENERAL else 1]}

    def place(self, handle):
        """The place of a value among those that ``Lessons.repeat`` gives, None for another; it is wanted again."""
        found = self._places.get(handle & MASK)
        self.used.add(found)
        return found


class Lessons:
    """What rules leave on a tape that keeps its records where they are, a recording."""

    def __init__(self, tape):
        self.tape, self.recorder = tape, tape.recorder
        self.here = tape.number << R.TAPE_SHIFT

    def handle(self, tensor) -> int:
        """The handle of a tensor on this tape."""
        return self.here | self.recorder.index(tensor)

    def begin(self):
        """To be called before a rule runs, and what it gives to be passed to ``learn`` afterwards."""
        return len(self.tape), len(self.recorder.guards)

    def learn(self, begun, known):
        """The Lesson of what a rule has left, None if it is more than computations on what is known.

        Args:
            known: handles; -1 for none. Who takes the Lesson for others sees to it that of theirs the same ones are equal.
        """
        tape, (begin, guards) = self.tape, begun
        if len(self.recorder.guards) != guards:
            return None
        places, steps = {}, []
        for place, handle in enumerate((-1, *known)):
            if handle < 0:
                places.setdefault(-1, 0)
            elif handle >> R.TAPE_SHIFT == tape.number:
                places.setdefault(handle & MASK, place)
        for k, row in enumerate(tape.records[begin : len(tape)].tolist(), begin):
            if k in places:
                continue  # known, from outside: the rule has brought it here
            step = self._step(k, dict(zip(R.RECORD.names, row, strict=True)), places)
            if step is None:
                return None
            places[k] = 1 + len(known) + len(steps)
            steps.append(step)
        return Lesson(steps, places)

    def _step(self, k, row, places):
        """Record k as a step, None if it is no computation on what is known."""
        op, flags, layout, plan = row["op"], row["flags"] & ~(R.GRAD | R.DEAD), row["layout"], row["plan"]
        recorder = self.recorder
        if not op and not flags and row["a"] < 0 and k not in recorder.sources and k not in recorder.notes:
            if k in recorder.numbers:
                return NUMBER, op, flags, 0, 0, 0, layout, 0, recorder.numbers[k]
            return EMPTY, op, flags, 0, 0, 0, layout, 0, 0.0  # memory that another record fills
        read = [places.get(row[name]) for name in "abc"]
        if not op or None in read or flags & _NOT_ALONE or not (read[0] or flags & R.SCALAR_A):
            return None
        if flags & SCALARS and layout_at(layout).dtype.code == R.F32:
            return None  # the number is kept otherwise
        if flags & R.PUT:
            return GENERAL, op, flags & ~R.VIEW, *read, layout, plan, row["imm"]
        if flags & R.VIEW:
            offset = row["address"] - int(self.tape.addresses[row["a"]])
            return VIEW, op, flags & ~R.VIEW, read[0], offset, int(row["imm"]), layout, plan, 0.0
        return GENERAL, op, flags, *read, layout, plan, row["imm"]

    def repeat(self, lesson, known):
        """Make the records of a lesson again: nothing, the known handles and those that are made; None if the engine cannot."""
        address, values = self.tape.address, [-1, *known]
        for what, code, flags, x, y, z, layout, plan, number in lesson.steps:
            if what == GENERAL:
                r = engine.general(address, code, flags, values[x], values[y], values[z], layout, plan, number)
            elif what == VIEW:
                r = engine.view(address, code, values[x], layout, plan, y, z, flags)
            elif what == NUMBER:
                r = engine.constant(address, layout, flags, number)
                if r >= 0:
                    self.recorder.numbers[r & MASK] = number
            else:
                r = engine.value(address, layout, flags)
            if r < 0:
                return None
            values.append(r)
        return values
