"""Passes of a recording over records: the engine repeats what was learned, Python takes what is new."""

import struct

import numpy as np

from tapejit.core import engine, rote
from tapejit.core import record as R
from tapejit.core.record import MASK
from tapejit.eager.compiledsweep import handle_of
from tapejit.spec.table import BY_NAME

_ADD = BY_NAME["add"].code
_BITS, _NUMBER = struct.Struct("q"), struct.Struct("d")
UNKNOWN = rote.UNKNOWN  # the handle of what nobody has asked for
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


class Rote:
    """Records of a recording that are made by numbers: what the engine is told.

    Args:
        tape: the recording on which records are made.
        order: the records that are visited, an array; of another tape, maybe.
        kinds, operands: of each its kind and three records, arrays.
        size: the number of the tape's records that ``order`` and ``operands`` are of.
        lesson: words of a lesson.
    """

    def __init__(self, tape, order, kinds, operands, size, lesson):
        self.tape, self.order = tape, np.ascontiguousarray(order, dtype=np.int64)
        self.kinds = np.ascontiguousarray(kinds, dtype=np.int64)
        self.operands = np.ascontiguousarray(operands, dtype=np.int64)
        self.handles, self.states = np.full(size + 1, -1, dtype=np.int64), np.zeros(size + 1, dtype=np.int64)
        self.heads = np.zeros(len(order) + 1, dtype=np.int64)
        self.lessons, self.steps, self.parts = _Rows(lesson), _Rows(rote.STEP), _Rows(rote.PART)
        self.values = np.zeros(64, dtype=np.int64)
        self.noted = np.zeros((_MOST_NOTED, 2), dtype=np.int64)
        self.state = np.zeros(rote.STATE, dtype=np.int64)
        self.words = memoryview(self.state)
        self._tell({
            rote.S_ORDER: self.order,
            rote.S_KINDS: self.kinds,
            rote.S_OPERANDS: self.operands,
            rote.S_HANDLES: self.handles,
            rote.S_STATES: self.states,
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

    def _add_steps(self, lesson):
        """(first, end) of the steps of a Lesson, for which there is room from now on; None for too many."""
        if len(lesson.steps) > _MOST_NOTED:
            return None
        steps = [(*step[:8], *_BITS.unpack(_NUMBER.pack(step[8]))) for step in lesson.steps]
        if len(self.values) < 8 + len(steps):
            self.values = np.zeros(8 + 2 * len(steps), dtype=np.int64)
        return self.steps.add(steps)

    def _tell_known(self, handles):
        """Tell the engine by which handles this recording knows the records."""
        self.known = handles
        self._tell({rote.S_KNOWN: handles.known})
        self.words[rote.S_OUTSIDE] = handles.tape.address if handles.by_engine else 0

    def _ask(self, i, wanted):
        """Find the handles that the engine asks for: of the operands of the i-th record and of itself, a bit each."""
        for j, k in enumerate((*self.operands[i].tolist(), int(self.order[i]))):
            if wanted >> j & 1:
                self.known.of(k)

    def _goes_on(self, entry, at):
        """Where Python is to go on, from a place of the order on: the length of the order if nowhere."""
        tape = self.tape
        while True:
            room = tape.words[R.H_ROOM]
            tape.words[R.H_ROOM] = tape.words[R.H_CAPACITY]  # no Tensors are made meanwhile, whose handles are to be looked at
            at = entry(tape.address, self.state.ctypes.data, at)
            tape.words[R.H_ROOM] = room
            self._note()
            if at == len(self.order):
                tape.pass_by()
                return at
            why = self.words[rote.S_STOPPED]
            if why == rote.NO_ROOM:
                tape.reclaim()
            elif why != rote.NOTED_FULL:
                return at

    def _note(self):
        """Tell the recorder the numbers of constants that were made."""
        noted = self.noted[: self.words[rote.S_NOTED_COUNT]]
        if len(noted):
            numbers = np.ascontiguousarray(noted[:, 1]).view(np.float64)
            self.tape.recorder.numbers.update(zip(noted[:, 0].tolist(), numbers.tolist(), strict=True))
            self.words[rote.S_NOTED_COUNT] = 0


class RoteSweep(Rote):
    """One sweep over the records of a recording.

    Args:
        tape: the recording that goes on.
        order: the records that it visits, an array.
        swept: the kinds and operands of these (see ``learnedsweep.Swept``).
        handles: by which the recording knows them (see ``learnedsweep.Handles``).
    """

    def __init__(self, tape, order, swept, handles):
        super().__init__(tape, order, swept.kinds, swept.operands, len(swept.tape), rote.LESSON)
        self.adjoints, self.layouts = self.handles, self.states
        self._tell_known(handles)

    def knows(self, i) -> bool:
        """Whether the rule of the i-th record has been learned from, for this layout of its adjoint."""
        return self._lesson(i) > 0

    def _lesson(self, i) -> int:
        """The number of the lesson for the i-th record, 0 for none."""
        lesson, layout = int(self.heads[self.kinds[i]]), self.layouts[self.order[i]]
        while lesson and self.lessons.words[lesson, 0] != layout:
            lesson = int(self.lessons.words[lesson, 1])
        return lesson

    def learn(self, i, layout, lesson, parts):
        """Let the engine repeat a Lesson for records of the kind of the i-th whose adjoint has a layout."""
        kind, steps = self.kinds[i], self._add_steps(lesson)
        if steps is not None:
            row = layout, self.heads[kind], *steps, *self.parts.add(parts), wanted(lesson, 2)
            self.heads[kind], _ = self.lessons.add([row])
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
        at = 0
        while (at := self._goes_on(engine.sweep_by_lessons, at)) < len(self.order):
            why = self.words[rote.S_STOPPED]
            if why == rote.ASKS:
                self._ask(at, int(self.lessons.words[self._lesson(at), 6]))
                continue
            if why == rote.BY_RULE:
                yield at
            else:
                self._add_rest(at, why)
            at += 1

    def _add_rest(self, i, first):
        """Add the contributions of the i-th record from one on, which the engine could not."""
        begin, end = self.lessons.words[self._lesson(i), 4:6].tolist()
        values = self.values.tolist()  # sums move nothing here, and make no values of a rule
        for j, place, layout in self.parts.words[begin + first : end].tolist():
            self.add(int(self.operands[i, j]), values[place], layout)


def wanted(lesson, first) -> int:
    """Which of four known values, from a place on, a Lesson wants: a bit each."""
    return sum(1 << j for j in range(4) if first + j in lesson.used)


def alike(handles) -> int:
    """Which of three handles are one, as ``core.rote.alike`` says it."""
    x, y, z = handles
    return (x == y) + 2 * (y == z) + 4 * (x == z)


class RoteRun(Rote):
    """One run of another tape's records for which others stand (see ``graph.batch``).

    Args:
        tape: the recording on which these are made.
        order, kinds, operands, size: of the other tape; ``size`` as operand says that there is none.
        handles: with these, what stands for a record is its tangent, and rules read the records, too.

    Attributes:
        handles, states: by record: the handle of what stands for it, UNKNOWN as long as nobody asked, and the number of all
            that a rule may look at.
        made: by record the number of the lesson by which what stands for it was made, 0 for none.
    """

    def __init__(self, tape, order, kinds, operands, size, handles=None):
        super().__init__(tape, order, kinds, operands, size, rote.RUN)
        if handles is None:
            self.handles[:size] = rote.UNKNOWN
        else:
            self._tell_known(handles)
        self.made = np.zeros(size + 1, dtype=np.int64)
        self._tell({rote.S_MADE: self.made})

    def learn(self, i, key, lesson, place, state):
        """Let the engine repeat a Lesson for records of the kind of the i-th with such operands.

        Args:
            key: the states of the operands, and which are one, see ``alike``.
            place: of the result among the values of the lesson.
            state: of the result.

        Returns:
            the number of the lesson, 0 if it is not taken.
        """
        kind, steps = self.kinds[i], self._add_steps(lesson)
        if steps is None:
            return 0
        self.heads[kind], _ = self.lessons.add([(*key, self.heads[kind], *steps, place, state, wanted(lesson, 4))])
        self._tell_of_lessons()
        return int(self.heads[kind])

    def unknown(self):
        """The places in the order of the records that Python must look at; the same again until nothing is UNKNOWN."""
        at = 0
        while (at := self._goes_on(engine.run_by_lessons, at)) < len(self.order):
            if self.words[rote.S_STOPPED] == rote.BY_RULE:
                yield at
                at += 1
            elif rote.UNKNOWN in self.handles[self.operands[at]].tolist():
                yield at
            else:
                self._ask(at, int(self.lessons.words[self._lesson(at), 9]))

    def _lesson(self, i) -> int:
        """The number of the lesson for the i-th record, 0 for none."""
        operands = self.operands[i]
        key = [*self.states[operands].tolist(), alike(self.handles[operands].tolist())]
        lesson = int(self.heads[self.kinds[i]])
        while lesson and self.lessons.words[lesson, :4].tolist() != key:
            lesson = int(self.lessons.words[lesson, 4])
        return lesson
