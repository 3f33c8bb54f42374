"""The sweep of a recording over its own records: the engine repeats what was learned, Python takes what is new."""

import struct

import numpy as np

from tapejit.core import engine, rote
from tapejit.core import record as R
from tapejit.core.record import MASK
from tapejit.eager.compiledsweep import handle_of
from tapejit.spec.table import BY_NAME

_ADD = BY_NAME["add"].code
_BITS, _NUMBER = struct.Struct("q"), struct.Struct("d")
_MOST_NOTED = 1 << 14  # constants that are made before Python is told


class _Rows:
    """Rows of integers at an address that jitted code is told of; the first one is nothing."""

    def __init__(self, width):
        self.words, self.count = np.zeros((64, width), dtype=np.int64), 1

    def add(self, rows):
        """(first, end) of some rows."""
        begin, self.count = self.count, self.count + len(rows)
        if self.count > len(self.words):
            more = np.zeros((max(len(rows), len(self.words)), self.words.shape[1]), dtype=np.int64)
            self.words = np.concatenate([self.words, more])
        if rows:
            self.words[begin : self.count] = rows
        return begin, self.count


class RoteSweep:
    """One sweep.

    Args:
        tape: the recording.
        order: the records that it visits, an array.
        swept: the kinds and operands of these (see ``learnedsweep.Swept``).
    """

    def __init__(self, tape, order, swept):
        self.tape, self.order = tape, order
        self.kinds, self.operands = np.ascontiguousarray(swept.kinds, dtype=np.int64), swept.operands
        self.adjoints, self.layouts = np.full(len(tape) + 1, -1, dtype=np.int64), np.zeros(len(tape) + 1, dtype=np.int64)
        self.heads = np.zeros(len(order) + 1, dtype=np.int64)
        self.lessons, self.steps, self.parts = _Rows(rote.LESSON), _Rows(rote.STEP), _Rows(rote.PART)
        self.values = np.zeros(64, dtype=np.int64)
        self.noted = np.zeros((_MOST_NOTED, 2), dtype=np.int64)
        self.state = np.zeros(rote.STATE, dtype=np.int64)
        self.words = memoryview(self.state)
        self._tell({
            rote.S_ORDER: self.order,
            rote.S_KINDS: self.kinds,
            rote.S_OPERANDS: self.operands,
            rote.S_ADJOINTS: self.adjoints,
            rote.S_LAYOUTS: self.layouts,
            rote.S_HEADS: self.heads,
            rote.S_NOTED: self.noted,
        })  # fmt: skip
        self.told = (None,) * 4
        self._tell_of_lessons()
        self.words[rote.S_COUNT], self.words[rote.S_ADD] = len(order), _ADD
        self.words[rote.S_NOTED_ROOM] = _MOST_NOTED

    def _tell(self, places):
        """Tell the engine where arrays are."""
        for word, array in places.items():
            self.words[word] = array.__array_interface__["data"][0]

    def _tell_of_lessons(self):
        found = self.lessons.words, self.steps.words, self.parts.words, self.values
        if any(x is not y for x, y in zip(found, self.told, strict=True)):
            self.told = found
            self._tell(dict(zip((rote.S_LESSONS, rote.S_STEPS, rote.S_PARTS, rote.S_VALUES), found, strict=True)))

    def knows(self, i) -> bool:
        """Whether the rule of the i-th record has been learned from, for this layout of its adjoint."""
        lesson, layout = int(self.heads[self.kinds[i]]), self.layouts[self.order[i]]
        while lesson and self.lessons.words[lesson, 0] != layout:
            lesson = int(self.lessons.words[lesson, 1])
        return lesson > 0

    def learn(self, i, layout, lesson, parts):
        """Let the engine repeat a Lesson for records of the kind of the i-th whose adjoint has a layout."""
        if len(lesson.steps) > _MOST_NOTED:
            return
        kind = self.kinds[i]
        steps = [(*step[:8], *_BITS.unpack(_NUMBER.pack(step[8]))) for step in lesson.steps]
        row = layout, self.heads[kind], *self.steps.add(steps), *self.parts.add(parts)
        self.heads[kind], _ = self.lessons.add([row])
        if len(self.values) < 6 + len(steps):
            self.values = np.zeros(2 * len(steps), dtype=np.int64)
        self._tell_of_lessons()

    def add(self, k, part, layout):
        """Add a contribution, a handle, to the adjoint of record k; a sum that the engine cannot take is left to Tensors."""
        before = int(self.adjoints[k])
        if before >= 0:
            tape = self.tape
            total = engine.binary(tape.address, _ADD, before, part) if self.layouts[k] == layout else -1
            if total < 0:
                total = handle_of(tape, before & MASK) + handle_of(tape, part & MASK)
                total, layout = total._r, total._layout.address
            part = total
        self.adjoints[k], self.layouts[k] = part, layout

    def unknown(self):
        """The places in the order of the records whose rules must run, once all before them are done."""
        tape, words, at = self.tape, self.words, 0
        while True:
            room = tape.words[R.H_ROOM]
            tape.words[R.H_ROOM] = tape.words[R.H_CAPACITY]  # no Tensors are made meanwhile, whose handles are to be looked at
            at = engine.sweep_by_lessons(tape.address, self.state.ctypes.data, at)
            tape.words[R.H_ROOM] = room
            self._note()
            if at == len(self.order):
                tape.pass_by()
                return
            why = words[rote.S_STOPPED]
            if why == rote.NO_ROOM:
                tape.reclaim()
            elif why == rote.BY_RULE:
                yield at
                at += 1
            elif why >= 0:
                self._add_rest(at, why)
                at += 1

    def _note(self):
        """Tell the recorder the numbers of constants that were made."""
        noted = self.noted[: self.words[rote.S_NOTED_COUNT]]
        if len(noted):
            numbers = np.ascontiguousarray(noted[:, 1]).view(np.float64)
            self.tape.recorder.numbers.update(zip(noted[:, 0].tolist(), numbers.tolist(), strict=True))
            self.words[rote.S_NOTED_COUNT] = 0

    def _add_rest(self, i, first):
        """Add the contributions of the i-th record from one on, which the engine could not."""
        k = self.order[i]
        lesson = int(self.heads[self.kinds[i]])
        while self.lessons.words[lesson, 0] != self.layouts[k]:
            lesson = int(self.lessons.words[lesson, 1])
        begin, end = self.lessons.words[lesson, 4:6].tolist()
        values = self.values.tolist()  # sums move nothing here, and make no values of a rule
        for j, place, layout in self.parts.words[begin + first : end].tolist():
            self.add(int(self.operands[i, j]), values[place], layout)

