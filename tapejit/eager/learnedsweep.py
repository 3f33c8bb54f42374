"""The sweep by rules on Tensors, on a tape that is recorded: what a rule leaves for one record, it leaves for others like it.

A long recording has many records that differ only in their operands. The first of a kind goes through the op's rule; the
records that the rule leaves are remembered by what they read, and made again for the others without a Tensor. A kind is all
that a rule may look at: op, parameters, the layouts of the operands and of the adjoint, and which of them are one.
"""

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core.layout import layout_at
from tapejit.core.record import MASK
from tapejit.eager.compiledsweep import handle_of
from tapejit.spec.structured import ROWS
from tapejit.spec.table import BY_NAME, OPS

_MADE = 6  # the place of the first value that a rule makes, after nothing, the adjoint, three operands and the result
_VIEW, _GENERAL, _NUMBER = range(3)
_SCALARS = R.SCALAR_A | R.SCALAR_B | R.SCALAR_C
_NOT_ALONE = R.PUT | R.EXTERNAL | R.LEAF | R.HOOKED  # of a record that is more than its operands
_ADD, _NORM = BY_NAME["add"].code, BY_NAME["norm"].code
_PAST_NORMS = [BY_NAME[name].code for name in ("square", "mul")]  # they look at what their operands come from
_ODD = np.uint64(0xFF51AFD7ED558CCD)


class Learner:
    """The adjoints of a sweep, by record.

    Args:
        order: the records that the sweep visits.
        wanted: by record, whether its adjoint matters.
    """

    def __init__(self, tape, order, wanted):
        self.tape, self.base = tape, tape.number << R.TAPE_SHIFT
        self.adjoints = {}  # record -> (the handle of its adjoint, its layout)
        self.learned = {}  # (kind, layout of the adjoint) -> (steps, parts), None for what cannot be repeated
        self.layouts = tape.records["layout"][: len(tape)].tolist()
        rows = tape.records[order]
        operands = [np.where(rows[name] >= 0, rows[name], order) for name in "abc"]
        self.kinds = self._kinds(rows, operands, order, wanted)
        self.operands = list(zip(*(x.tolist() for x in operands), strict=True))

    def _kinds(self, rows, operands, order, wanted):
        """The number of the kind of each record, -1 for one that goes through its rule each time."""
        layouts, grad, ops = self.tape.records["layout"], wanted.astype(np.int64), rows["op"]
        a, b, c = operands
        columns = [ops, rows["flags"] & _SCALARS, rows["layout"], rows["plan"], rows["imm"].view(np.int64)]
        columns += [layouts[x] for x in operands] + [grad[x] * (x != order) for x in operands]
        columns += [a == b, b == c, a == c, a == order, b == order, c == order]
        columns = [x.astype(np.int64) for x in columns]
        hashed = np.zeros(len(order), dtype=np.uint64)
        for column in columns:
            hashed = (hashed ^ column.view(np.uint64)) * _ODD
            hashed ^= hashed >> np.uint64(32)
        _, first, kinds = np.unique(hashed, return_index=True, return_inverse=True)
        for column in columns:  # no two kinds are one by accident
            kinds[column != column[first][kinds]] = -1
        alone = np.array([op.joint is not None or op.arity > 3 for op in OPS])[ops] | np.isin(self.tape.ops[c], list(ROWS))
        alone |= np.isin(ops, _PAST_NORMS) & ((self.tape.ops[a] == _NORM) | (self.tape.ops[b] == _NORM))
        kinds[alone] = -1
        return kinds.tolist()

    def add(self, k, part, layout):
        """Add a contribution, a handle, to the adjoint of record k; a sum that takes Tensors is left to them."""
        before = self.adjoints.get(k)
        if before is None:
            self.adjoints[k] = part, layout
            return
        tape = self.tape
        total = engine.binary(tape.address, _ADD, before[0], part) if before[1] == layout else -1
        if total < 0:
            total = handle_of(tape, before[0] & MASK) + handle_of(tape, part & MASK)
            total, layout = total._r, total._layout.address
        self.adjoints[k] = total, layout

    def repeat(self, steps, g, operands, k):
        """Make the records of a rule again; all values, None where the engine cannot."""
        base, address = self.base, self.tape.address
        values = [-1, g, base | operands[0], base | operands[1], base | operands[2], base | k]
        for what, code, flags, x, y, z, layout, plan, number in steps:
            if what == _GENERAL:
                r = engine.general(address, code, flags, values[x], values[y], values[z], layout, plan, number)
            elif what == _VIEW:
                r = engine.view(address, code, values[x], layout, plan, y, z, flags)
            else:
                r = engine.constant(address, layout, flags, number)
                if r >= 0:
                    self.tape.recorder.numbers[r & MASK] = number
            if r < 0:
                return None
            values.append(r)
        return values

    def learn(self, kind, begin, g, operands, k, parts):
        """Remember what a rule has left from record ``begin`` on.

        Args:
            parts: pairs (record, handle) of what it gave.
        """
        places = {}
        for place, record in enumerate([-1, g & MASK, *operands, k]):
            places.setdefault(record, place)
        if g & MASK in (*operands, k):
            return  # another one will tell them apart
        tape, steps = self.tape, []
        self.learned[kind] = None
        for number, row in enumerate(tape.records[begin : len(tape)].tolist()):
            step = self._step(begin + number, dict(zip(R.RECORD.names, row, strict=True)), places)
            if step is None:
                return
            steps.append(step)
            places[begin + number] = _MADE + number
        layouts = tape.records["layout"]
        given = [(operands.index(x), places.get(part & MASK), int(layouts[part & MASK])) for x, part in parts]
        if all(place is not None for _, place, _ in given):
            self.learned[kind] = steps, given

    def _step(self, k, row, places):
        """Record k as a step, None if it is no computation on what is known."""
        op, flags, layout, plan = row["op"], row["flags"] & ~(R.GRAD | R.DEAD), row["layout"], row["plan"]
        numbers = self.tape.recorder.numbers
        if not op and not flags and row["a"] < 0 and k in numbers:
            return _NUMBER, op, flags, 0, 0, 0, layout, 0, numbers[k]
        read = [places.get(row[name]) for name in "abc"]
        if not op or None in read or flags & _NOT_ALONE or not (read[0] or flags & R.SCALAR_A):
            return None
        if flags & _SCALARS and layout_at(layout).dtype.code == R.F32:
            return None  # the number is kept otherwise
        if flags & R.VIEW:
            offset = row["address"] - int(self.tape.addresses[row["a"]])
            return _VIEW, op, flags & ~R.VIEW, read[0], offset, int(row["imm"]), layout, plan, 0.0
        return _GENERAL, op, flags, *read, layout, plan, row["imm"]


def swept_by_number(tape, order, leaves, seeds, inputs, contributions):
    """The adjoints of some records: record -> Tensor, without those that nothing arrived at.

    Args:
        order, leaves: what the sweep visits.
        seeds: pairs (record, Tensor).
        inputs: the records.
        contributions: gives pairs (Tensor, Tensor) for a record and the Tensor of its adjoint, by the op's rule.
    """
    reached = np.array([*order, *leaves], dtype=np.int64)
    tape.flags[reached] &= ~R.DEAD
    wanted = np.zeros(len(tape) + 1, dtype=bool)
    wanted[reached] = tape.flags[reached] & R.GRAD != 0
    made = Learner(tape, np.array(order, dtype=np.int64), wanted)
    for k, seed in seeds:
        made.add(k, seed._r, seed._layout.address)
    for k, kind, operands in zip(order, made.kinds, made.operands, strict=True):
        if k not in made.adjoints:
            continue
        g, layout = made.adjoints[k]
        kind = kind, layout
        known = made.learned.get(kind)
        values = None if known is None else made.repeat(known[0], g, operands, k)
        if values is not None:
            for j, place, shape in known[1]:
                made.add(operands[j], values[place], shape)
            continue
        begin = len(tape)
        parts = [(x._r & MASK, part) for x, part in contributions(k, handle_of(tape, g & MASK))]
        if kind[0] >= 0 and kind not in made.learned:
            made.learn(kind, begin, g, operands, k, [(x, part._r) for x, part in parts])
        for x, part in parts:
            made.add(x, part._r, part._layout.address)
    return {k: handle_of(tape, made.adjoints[k][0] & MASK) for k in inputs if k in made.adjoints}
