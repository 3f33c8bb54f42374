"""Code for a strip over several rows: the check how many go together, and each row's beginning (see ``striprows``)."""

from llvmlite import ir as llvm
from numba.core import cgutils

from tapejit.edge.compiler import make_range_iterator
from tapejit.nopython import stripscans
from tapejit.nopython.stripchecks import I64, word


class InRows:
    """The part of ``stripcode.Strip`` that goes from row to row."""

    def _outer_iterator(self):
        rows = self.loop.rows
        make = make_range_iterator(self.lower.typeof(rows.iterator))
        return make(self.context, self.builder, value=self.lower.load_slot(rows.iterator))

    def count_rows(self, places, left, pairs):
        """How many rows go together with the one that the strip begins in; the passes of a row are known."""
        builder = self.builder
        for access in self.loop.accesses.values():
            if access.key not in self.row_steps:
                self.row_steps[access.key] = self._row_step(access)
        start = builder.basic_block
        several, counted = (builder.append_basic_block(name) for name in ("several", "rows"))
        outer = self._outer_iterator()
        whole = builder.icmp_signed("==", self.width, left)
        for condition in (
            builder.icmp_signed("==", self.first, self._affine(self.loop.rows.start, word(0))),
            builder.icmp_signed("==", outer.step, word(1)),
            builder.icmp_signed(">", builder.load(outer.count), word(0)),
        ):
            whole = builder.and_(whole, condition)
        builder.cbranch(whole, several, counted)
        builder.position_at_end(several)
        rows = builder.add(builder.load(outer.count), word(1))
        rows = builder.select(self._stay_inside(left, rows), rows, word(1))
        rows = self._rows_apart(places, pairs, rows)
        found = []
        for plane in {line.plane: None for line in self.lines}:
            lines = [line for line in self.lines if line.plane is plane]
            rows, joint, changes = self._scan_plane(lines, places, rows)
            found.append((lines, joint, changes))
        end = builder.basic_block
        builder.branch(counted)
        builder.position_at_end(counted)
        self.rows = _either(builder, rows, end, word(1), start)
        found = [
            (lines, _either(builder, joint, end, word(0), start),
             [[_either(builder, value, end, word(0), start) for value in own] for own in changes])
            for lines, joint, changes in found
        ]  # fmt: skip
        for lines, joint, changes in found:
            lines[0].plane.joint = joint
            for line, own in zip(lines, changes, strict=True):
                line.changes = own
                line.follow(builder, lines[0])

    def skip_narrow_rows(self, left, single):
        """On with the strip; where it were too short, what is left of the row is gone through one by one, and rows behind it.

        Twice as many rows each time.
        """
        builder = self.builder
        narrow = builder.append_basic_block("narrow")
        builder.cbranch(builder.icmp_signed(">=", self.n, word(stripscans.LEAST)), self.before, narrow)
        builder.position_at_end(narrow)
        rows = builder.load(self.penalty)
        passes = builder.add(builder.sub(left, word(1)), builder.mul(rows, left))
        builder.store(passes, self.wait)
        more = builder.add(builder.add(rows, rows), word(1))
        large = builder.icmp_signed(">", more, word(stripscans.MOST_ROWS))
        builder.store(builder.select(large, word(stripscans.MOST_ROWS), more), self.penalty)
        builder.branch(single)

    def _scan_plane(self, lines, places, rows):
        """(how many rows go together, whether the lines are one in all of them, how each changes from row to row)."""
        builder = self.builder
        depth = lines[-1].row
        more = builder.add(rows, word(depth)) if depth else rows
        known, *changes = self._scan_rows(lines[0], places, more)
        if not depth:
            return known, word(1), [changes]
        joint = builder.icmp_signed(">", known, word(depth))
        together = builder.sub(known, word(depth))
        before, alone, done = builder.basic_block, *map(builder.append_basic_block, ("alone", "scanned"))
        builder.cbranch(joint, done, alone)
        builder.position_at_end(alone)
        apart = []
        for line in lines:
            rows, *own = self._scan_rows(line, places, rows)
            apart.append(own)
        end = builder.basic_block
        builder.branch(done)
        builder.position_at_end(done)
        rows = _either(builder, rows, end, together, before)
        own = [[_either(builder, value, end, one, before) for value, one in zip(values, changes, strict=True)]
               for values in apart]  # fmt: skip
        return rows, builder.zext(joint, I64), own

    def _scan_rows(self, line, places, rows):
        key = line.reads[0][1].key
        span = self.builder.add(self.width, word(line.further)) if line.moves else word(1)
        step = places[key][1]
        found = self._call(
            stripscans.scan_rows, line.address, step, self.row_steps[key], span, *line.words, rows
        )
        return cgutils.unpack_tuple(self.builder, found)

    def _rows_apart(self, places, pairs, rows):
        """How many rows there are before one that touches what another one writes."""
        for one, other in pairs:
            (a, step_a, _), (b, step_b, _) = places[one.key], places[other.key]
            row_a, row_b = self.row_steps[one.key], self.row_steps[other.key]
            check = stripscans.rows_before if one.array == other.array else stripscans.rows_apart
            rows = self._call(check, a, row_a, step_a, b, row_b, step_b, self.width, rows)
        return rows

    def _row_step(self, access):
        """By how many bytes an element's address goes up from row to row."""
        builder, total = self.builder, word(0)
        for part, stride in zip(access.indices, self._extents(access, "strides"), strict=True):
            slope = self.loop.rows.slope(part)
            if slope:
                total = builder.add(total, builder.mul(stride, word(slope)))
        return total

    def _extents(self, access, of):
        ty = self.lower.typeof(access.array)
        array = self.context.make_array(ty)(self.context, self.builder, self.load(access.array))
        return cgutils.unpack_tuple(self.builder, getattr(array, of))

    def _stay_inside(self, left, rows):
        """Whether all indices are inside of the arrays in the last row too, none of them counted from the end."""
        builder = self.builder
        inside = llvm.Constant(llvm.IntType(1), 1)
        ends = self.first, builder.add(self.first, builder.sub(left, word(1)))
        further = builder.sub(rows, word(1))
        for access in self.loop.accesses.values():
            for part, extent in zip(access.indices, self._extents(access, "shape"), strict=True):
                slope = self.loop.rows.slope(part)
                for counter in ends[: 2 if part.counter else 1] if slope else ():
                    first = self._affine(part, counter)
                    for index in (first, builder.add(first, builder.mul(further, word(slope)))):
                        inside = builder.and_(inside, builder.icmp_unsigned("<", index, extent))
        return inside

    def begin_row(self):
        """Write the row's beginning, behind ``before``; the builder then stands at its end."""
        builder, lower, rows = self.builder, self.lower, self.loop.rows
        builder.position_at_end(self.begun)
        self.row = builder.phi(I64)
        self.row.add_incoming(word(0), self.before)
        self.row_block = self.begun
        with builder.goto_block(self.before):
            self.row_size = builder.load(cgutils.alloca_once(builder, I64))  # known at the end
            first = lower.load_slot(min(rows.counters))
        self._take_slots()
        lower.write_again(rows, builder.add(first, self.row))
        self.begun = builder.basic_block
        for name in rows.changing:
            self.outside.pop(name, None)

    def end_rows(self, finish):
        """On with the next row, if there is one; a row's statements are numbered together, whatever rows go together."""
        builder = self.builder
        with builder.goto_block(self.before):
            builder.position_before(self.row_size)
            size = builder.mul(self.width, word(self.statements.per_pass))
            builder.store(size, self.row_size.operands[0])
        following = builder.add(self.row, word(1), flags=("nsw", "nuw"))
        self.row.add_incoming(following, builder.basic_block)
        more = builder.icmp_signed("<", following, self.rows)
        builder.cbranch(more, self.row_block, finish)
        builder.position_at_end(self.begun)
        builder.branch(self.body)

    def _take_slots(self):
        """Slots of the strip's own for what a row's beginning assigns.

        Variables of the outer loop then do not change in the inner one, as far as LLVM can see.
        """
        lower, rows = self.lower, self.loop.rows
        for name in (*rows.counters, *(inst.target.name for inst in rows.instructions)):
            if name in lower._blk_local_varmap or name in lower._singly_assigned_vars:
                continue
            slot = self.outside_slots[name] = lower.getvar(name)
            lower.varmap[name] = cgutils.alloca_once(self.builder, slot.type.pointee)
            self.own_slots[name] = lower.varmap[name]

    def leave_rows(self):
        """Behind several rows the outer loop goes on; behind one, perhaps a part of it, the inner loop."""
        builder = self.builder
        with builder.if_then(builder.icmp_signed(">", self.rows, word(1)), likely=False):
            for name, slot in self.outside_slots.items():
                builder.store(builder.load(self.own_slots[name]), slot)
            outer = self._outer_iterator()
            past = builder.sub(self.rows, word(1))
            builder.store(builder.sub(builder.load(outer.count), past), outer.count)
            builder.store(builder.add(builder.load(outer.iter), past), outer.iter)
            builder.store(word(0), self.penalty)
            builder.branch(self.lower.blkmap[self.loop.rows.behind])


def _either(builder, value, block, otherwise, other):
    """A number that comes from one block or another; made where all such stand, at a block's beginning."""
    phi = builder.phi(I64)
    phi.add_incoming(value, block)
    phi.add_incoming(otherwise, other)
    return phi
