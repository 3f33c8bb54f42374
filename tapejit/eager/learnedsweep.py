"""The sweep by rules on Tensors while a function is recorded: what a rule leaves for one record, it leaves for others like it.

The tape that is swept may be another recording, outside of the one that goes on: a product of a batched Jacobian.
"""

import functools

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core.record import MASK
from tapejit.core.recordkinds import ALONE, IN_A_ROW, NORM, PAST_NORM, WIDTH
from tapejit.eager.compiledsweep import handle_of
from tapejit.eager.lessons import Lessons, Room
from tapejit.eager.rotesweep import UNKNOWN, RoteSweep
from tapejit.spec.structured import ROWS
from tapejit.spec.table import BY_NAME, OPS


class Swept:
    """Records that a pass over a tape visits: their kinds and operands.

    Args:
        order: the records, as an array.
        marked: by record, what a rule may ask of it beside its layout: whether its adjoint matters.

    Attributes:
        kinds, operands: arrays; of these three for each, the record itself where there is none.
    """

    def __init__(self, tape, order, marked=None):
        self.tape, count = tape, len(order)
        order, room = np.ascontiguousarray(order, dtype=np.int64), Room(count, WIDTH)
        self.kinds, self.operands = np.empty(count, dtype=np.int64), np.empty((count, 3), dtype=np.int64)
        traits, marked_at = _traits(len(OPS)), 0 if marked is None else marked.ctypes.data
        found = self.operands.ctypes.data, self.kinds.ctypes.data
        records = tape.words[R.H_RECORDS]
        engine.number_records(records, order.ctypes.data, count, marked_at, traits.ctypes.data, *found, *room.words)


@functools.lru_cache(4)  # ops may be added
def _traits(count):
    """What the engine is told of each op: which of its records are alone, by themselves or by their operands."""
    traits = np.zeros(count, dtype=np.uint8)
    traits[[op.code for op in OPS if op.joint is not None or op.arity > 3]] = ALONE
    traits[list(ROWS)] |= IN_A_ROW
    traits[BY_NAME["norm"].code] |= NORM
    traits[[BY_NAME[name].code for name in ("square", "mul")]] |= PAST_NORM  # they look at what their operands come from
    return traits


class Handles:
    """The handles by which the recording that goes on knows the records of a tape: its own, or one outside of it.

    Attributes:
        known: by record its handle, UNKNOWN for one outside until it is asked for.
        by_engine: whether the engine may make the stand-ins of those outside.
    """

    def __init__(self, tape, here):
        self.tape, self.here, self.base = tape, here, here.number << R.TAPE_SHIFT
        self.by_engine = False
        if tape is here:
            self.known = self.base | np.arange(len(tape) + 1)
            return
        self.known = here.recorder.stand_ins_of(tape)
        self.by_engine = self.known is not None
        if self.known is None:
            self.known = np.full(len(tape) + 1, UNKNOWN, dtype=np.int64)

    def of(self, k) -> int:
        """The handle of a record."""
        found = int(self.known[k])
        if found == UNKNOWN:
            found = self.known[k] = self.base | self.here.recorder.index(handle_of(self.tape, k))
        return found


def swept_by_number(tape, here, order, leaves, seeds, inputs, contributions):
    """The adjoints of some records: record -> Tensor, without those that nothing arrived at.

    Args:
        here: the tape of the recording that goes on, on which the adjoints are.
        order, leaves: what the sweep visits, arrays.
        seeds: pairs (record, Tensor).
        inputs: the records.
        contributions: gives pairs (Tensor, Tensor) for a record and the Tensor of its adjoint, by the op's rule.
    """
    reached = np.concatenate((order, leaves))
    tape.flags[reached] &= ~R.DEAD
    wanted = np.zeros(len(tape) + 1, dtype=bool)
    wanted[reached] = tape.flags[reached] & R.GRAD != 0
    swept, lessons = Swept(tape, order, wanted), Lessons(here)
    seeds = [(k, lessons.handle(seed), seed._layout.address) for k, seed in seeds]
    handles = Handles(tape, here)
    made = RoteSweep(here, order, swept, handles)
    _by_rote(made, swept, handles, lessons, seeds, lambda k, g: _parts(lessons, here, contributions, k, g))
    return {k: handle_of(here, int(made.adjoints[k]) & MASK) for k in inputs if made.adjoints[k] >= 0}


def _parts(lessons, here, contributions, k, g):
    """What the rule of a record gives for the handle of its adjoint: (record, handle, layout) each."""
    return [(x._r & MASK, lessons.handle(p), p._layout.address) for x, p in contributions(k, handle_of(here, g & MASK))]


def _by_rote(made, swept, handles, lessons, seeds, parts_of):
    """The sweep: rules run for the first record of a kind."""
    for seed in seeds:
        made.add(*seed)
    tried = set()  # kinds that cannot be repeated
    for i in made.unknown():
        k, operands = int(made.order[i]), swept.operands[i].tolist()
        g, layout = int(made.adjoints[k]), int(made.layouts[k])
        begun = lessons.begin()
        parts = parts_of(k, g)
        kind = int(swept.kinds[i]), layout
        if kind[0] >= 0 and kind not in tried and not made.knows(i):
            tried.add(kind)
            learned = _learned(lessons, begun, (g, *map(handles.of, (*operands, k))), operands, parts)
            if learned is not None:
                made.learn(i, layout, *learned)
        for part in parts:
            made.add(*part)


def _learned(lessons, begun, known, operands, parts):
    """The Lesson of a rule and (operand, place among its values, layout) of what it gives; None if it cannot be repeated."""
    if known[0] in known[1:]:
        return None  # the adjoint is an operand here, by accident
    lesson = lessons.learn(begun, known)
    if lesson is None:
        return None
    given = [(operands.index(x), lesson.place(part), shape) for x, part, shape in parts]
    return None if any(place is None for _, place, _ in given) else (lesson, given)
