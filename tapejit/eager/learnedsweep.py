"""The sweep by rules on Tensors while a function is recorded: what a rule leaves for one record, it leaves for others like it.

The tape that is swept may be another recording, outside of the one that goes on: a product of a batched Jacobian.
"""

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core.record import MASK
from tapejit.eager.compiledsweep import handle_of
from tapejit.eager.lessons import SCALARS, Lessons, kinds_of
from tapejit.eager.rotesweep import RoteSweep
from tapejit.spec.structured import ROWS
from tapejit.spec.table import BY_NAME, OPS

_ADD, _NORM = BY_NAME["add"].code, BY_NAME["norm"].code
_PAST_NORMS = [BY_NAME[name].code for name in ("square", "mul")]  # they look at what their operands come from


class Swept:
    """Records that a pass over a tape visits: their kinds and operands.

    Args:
        order: the records, as an array.
        marked: by record, what a rule may ask of it beside its layout: whether its adjoint matters.

    Attributes:
        kinds, operands: arrays; of these three for each, the record itself where there is none.
    """

    def __init__(self, tape, order, marked=None):
        self.tape = tape
        rows = tape.records[order]
        operands = [np.where(rows[name] >= 0, rows[name], order) for name in "abc"]
        self.kinds = self._kinds(rows, operands, order, marked)
        self.operands = np.stack(operands, axis=1).astype(np.int64)

    def _kinds(self, rows, operands, order, marked):
        layouts, ops = self.tape.records["layout"], rows["op"]
        a, b, c = operands
        columns = [ops, rows["flags"] & (SCALARS | R.PUT), rows["layout"], rows["plan"], rows["imm"].view(np.int64)]
        columns += [layouts[x] for x in operands]
        columns += [] if marked is None else [marked[x].astype(np.int64) * (x != order) for x in operands]
        columns += [a == b, b == c, a == c, a == order, b == order, c == order]
        alone = np.array([op.joint is not None or op.arity > 3 for op in OPS])[ops] | np.isin(self.tape.ops[c], list(ROWS))
        alone |= np.isin(ops, _PAST_NORMS) & ((self.tape.ops[a] == _NORM) | (self.tape.ops[b] == _NORM))
        return kinds_of(columns, alone)


class Handles:
    """The handles by which the recording that goes on knows the records of a tape: its own, or one outside of it."""

    def __init__(self, tape, here):
        self.tape, self.here, self.base = tape, here, here.number << R.TAPE_SHIFT
        self._found = {}

    def of(self, k) -> int:
        if self.tape is self.here:
            return self.base | k
        found = self._found.get(k)
        if found is None:
            found = self._found[k] = self.base | self.here.recorder.index(handle_of(self.tape, k))
        return found

    def known(self, used, g, operands, k, *further) -> tuple:
        """What the rule of record k knows: an adjoint or tangent, three operands, the result, further handles.

        For records outside, -1 where the place in this order, from 1 on, is not used.
        """
        a, b, c = operands
        if self.tape is self.here:
            base = self.base
            return g, base | a, base | b, base | c, base | k, *further
        return g, *(self.of(x) if place in used else -1 for place, x in enumerate((a, b, c, k), 2)), *further


class Adjoints:
    """The adjoints of a sweep, by record of the tape that is swept.

    Attributes:
        found: record -> (the handle of its adjoint, its layout).
    """

    def __init__(self, here):
        self.here, self.found = here, {}

    def add(self, k, part, layout):
        """Add a contribution, a handle, to the adjoint of record k; a sum that takes Tensors is left to them."""
        before = self.found.get(k)
        if before is None:
            self.found[k] = part, layout
            return
        here = self.here
        total = engine.binary(here.address, _ADD, before[0], part) if before[1] == layout else -1
        if total < 0:
            total = handle_of(here, before[0] & MASK) + handle_of(here, part & MASK)
            total, layout = total._r, total._layout.address
        self.found[k] = total, layout


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
    sweep = (_by_rote if tape is here else _from_outside)(tape, here, order, swept, lessons)
    seeds = [(k, lessons.handle(seed), seed._layout.address) for k, seed in seeds]
    found = sweep(seeds, lambda k, g: _parts(lessons, here, contributions, k, g))
    return {k: handle_of(here, found(k) & MASK) for k in inputs if found(k) is not None}


def _parts(lessons, here, contributions, k, g):
    """What the rule of a record gives for the handle of its adjoint: (record, handle, layout) each."""
    return [(x._r & MASK, lessons.handle(p), p._layout.address) for x, p in contributions(k, handle_of(here, g & MASK))]


def _by_rote(tape, here, order, swept, lessons):
    """The sweep of a recording over its own records."""
    handles = Handles(tape, here)

    def sweep(seeds, parts_of):
        made = RoteSweep(tape, order, swept)
        for seed in seeds:
            made.add(*seed)
        tried = set()  # kinds that cannot be repeated
        for i in made.unknown():
            k, operands = int(order[i]), swept.operands[i].tolist()
            g, layout = int(made.adjoints[k]), int(made.layouts[k])
            begun = lessons.begin()
            parts = parts_of(k, g)
            kind = int(swept.kinds[i]), layout
            if kind[0] >= 0 and kind not in tried and not made.knows(i):
                tried.add(kind)
                learned = _learned(lessons, begun, handles.known(range(1, 6), g, operands, k), operands, parts)
                if learned is not None:
                    made.learn(i, layout, *learned)
            for part in parts:
                made.add(*part)
        return lambda k: int(made.adjoints[k]) if made.adjoints[k] >= 0 else None

    return sweep


def _from_outside(tape, here, order, swept, lessons):
    """The sweep of another recording, outside of the one that goes on."""
    handles = Handles(tape, here)

    def sweep(seeds, parts_of):
        made = Adjoints(here)
        for seed in seeds:
            made.add(*seed)
        learned = {}  # (kind, layout of the adjoint) -> (Lesson, parts), None for what cannot be repeated
        for k, kind, operands in zip(order.tolist(), swept.kinds.tolist(), swept.operands.tolist(), strict=True):
            if k not in made.found:
                continue
            g, layout = made.found[k]
            kind = kind, layout
            lesson, parts = learned.get(kind) or (None, ())
            values = None if lesson is None else lessons.repeat(lesson, handles.known(lesson.used, g, operands, k))
            if values is not None:
                for j, place, shape in parts:
                    made.add(operands[j], values[place], shape)
                continue
            begun = lessons.begin()
            parts = parts_of(k, g)
            if kind[0] >= 0 and kind not in learned:
                learned[kind] = _learned(lessons, begun, handles.known(range(1, 6), g, operands, k), operands, parts)
            for part in parts:
                made.add(*part)
        return lambda k: made.found[k][0] if k in made.found else None

    return sweep


def _learned(lessons, begun, known, operands, parts):
    """The Lesson of a rule and (operand, place among its values, layout) of what it gives; None if it cannot be repeated."""
    if known[0] in known[1:]:
        return None  # the adjoint is an operand here, by accident
    lesson = lessons.learn(begun, known)
    if lesson is None:
        return None
    given = [(operands.index(x), lesson.place(part), shape) for x, part, shape in parts]
    return None if any(place is None for _, place, _ in given) else (lesson, given)
