"""Additions to running sums, put off until behind a strip: what is added waits in an array of its own.

The passes can then be computed side by side, and the sum is taken in the passes' order all the same.
"""

from llvmlite import ir as llvm
from llvmlite.ir import instructions
from numba.core import cgutils

from tapejit.nopython.stripchecks import I64, word

NOTHING = llvm.Constant(llvm.DoubleType(), -0.0)  # added to any number, it changes no bit


class Adding:
    """The part of ``stripcode.Strip`` that takes the values of running sums out of the strip's loop."""

    def note_value(self, mark, value):
        """``value`` is a running sum's, as this pass has found it."""
        self.found.append((mark, value))
        return value

    def note_change(self, mark, value, store):
        """``store`` gives a running sum its new value."""
        self.changes.append((mark, value, store, self.label))

    def put_off_additions(self, blocks):
        """Exchange sums in the loop for what is added, where nothing else there wants their values."""
        for mark in [entry[0] for entry in self.sums.values()]:
            found = {id(value): value for own, value in self.found if own is mark}
            changes = [change for change in self.changes if change[0] is mark]
            gone = dict(found)
            added = [_addends(value, found, gone) for _, value, _, _ in changes]
            gone |= {id(store): store for _, _, store, _ in changes}
            if not any(added) or None in added or _is_used(gone, blocks):
                continue
            places = []
            for (_, _, store, label), addends in zip(changes, added, strict=True):
                self._keep_addends(addends, store, label, places)
            for block in blocks:
                block.instructions[:] = [inst for inst in block.instructions if id(inst) not in gone]
            self.totals.append((mark, places))

    def _keep_addends(self, addends, store, label, places):
        """Write what is added behind the strip's terms, where the tape is free."""
        builder = self.builder
        for sign, addend in addends:
            place = self._at(self._at(self.position, self.terms), self.behind)
            self.behind.add(1, 0)
            places.append(place)
            always, slot = label in self.loop.body.always, None
            if not always:
                slot = self._late(NOTHING, lambda value, at=place: self._put(value, at))
            with builder.goto_block(store.parent):
                builder.position_before(store)
                value = builder.fneg(addend) if sign < 0 else addend
                if always:
                    self._put(value, place)
                else:
                    builder.store(value, slot)

    def add_behind(self):
        """The additions, in the block behind the strip's loop."""
        builder = self.builder
        if not self.totals:
            return
        start = builder.basic_block
        loop, done = (builder.function.append_basic_block(name) for name in ("add", "added"))
        begins = [builder.load(self.value_places(mark)[0]) for mark, _ in self.totals]
        builder.branch(loop)
        builder.position_at_end(loop)
        turn = builder.phi(I64)
        turn.add_incoming(word(0), start)
        sums = []
        for begin in begins:
            total = builder.phi(llvm.DoubleType())
            total.add_incoming(begin, start)
            sums.append(total)
        ends = []
        for (_, places), total in zip(self.totals, sums, strict=True):
            for place in places:
                source = builder.gep(self.at.coefficients, [builder.add(place, turn)], inbounds=True)
                total = builder.fadd(total, builder.load(source, align=8))
            ends.append(total)
        following = builder.add(turn, word(1), flags=("nsw", "nuw"))
        turn.add_incoming(following, loop)
        for total, end in zip(sums, ends, strict=True):
            total.add_incoming(end, loop)
        builder.cbranch(builder.icmp_signed("<", following, self.n), loop, done)
        builder.position_at_end(done)
        for (mark, _), total in zip(self.totals, ends, strict=True):
            for pointer in self.value_places(mark):
                builder.store(total, pointer, align=8)

    def value_places(self, mark):
        """Where a running sum's value is: first where it was before the strip."""
        for own, access, _ in self.elements.values():
            if own is mark:
                return [self._field(access, 0)]
        slots = [self.lower.getvar(name) for name, own in self.slots.items() if own is mark]
        return [cgutils.gep_inbounds(self.builder, slot, 0, 0) for slot in slots]


def _addends(value, found, gone):
    """[(sign, addend)] of a sum's new value, and what computes it (into ``gone``); None if it is more than additions."""
    if id(value) in found:
        return []
    if not isinstance(value, instructions.Instruction) or value.opname not in ("fadd", "fsub"):
        return None
    if not isinstance(value.type, llvm.DoubleType):
        return None
    left, right = value.operands
    before, addend = _addends(left, found, gone), right
    if before is None and value.opname == "fadd":
        before, addend = _addends(right, found, gone), left
    if before is None:
        return None
    gone[id(value)] = value
    return [*before, (-1 if value.opname == "fsub" else 1, addend)]


def _is_used(gone, blocks):
    """Whether an instruction that is none of these uses one of them."""
    others = (inst for block in blocks for inst in block.instructions if id(inst) not in gone)
    return any(id(operand) in gone for inst in others for operand in _operands(inst))


def _operands(inst):
    return (
        [value for value, _ in inst.incomings] if isinstance(inst, instructions.PhiInstr) else inst.operands
    )
