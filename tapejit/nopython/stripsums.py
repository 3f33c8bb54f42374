"""Running sums in a strip: variables, and single elements of arrays, that every pass adds to."""

from llvmlite import ir as llvm
from numba.core import cgutils

from tapejit.nopython.algebra import Pending, algebra
from tapejit.nopython.real import Real
from tapejit.nopython.stripchecks import I32, I64, word


class Refused(Exception):
    """Something in the body depends on a statement that no strip knows: the loop keeps its single passes."""


class Sums:
    """The part of ``stripcode.Strip`` that adds to running sums: all additions of a statement in the body share one seed."""

    def read_sum(self, name):
        """A running sum's value; its additions in this loop share one statement."""
        algebra_ = algebra(self.context, self.builder, self.lower.typeof(name))
        if name not in self.loop.assigned:
            struct = self.load(name)
            return algebra_.unpack(struct)
        mark = self.slots.get(name)
        if mark is None:
            mark = llvm.Constant(I64, llvm.Undefined)
            slot = self.lower.getvar(name)
            with self.builder.goto_block(self.before):
                place = cgutils.gep_inbounds(self.builder, slot, 0, 2)
                own = self.builder.load(place)
            self.slots[name] = mark
            self.sums[id(mark)] = [mark, own, None]
            algebra_.running_sum(mark)
        place = cgutils.gep_inbounds(self.builder, self.lower.getvar(name), 0, 0)
        v = self.note_value(mark, algebra_.base.unpack(self.builder.load(place)))
        return Pending(v, [(algebra_.coef.constant(1.0), mark)])

    def write_sum(self, name, value):
        """Store a running sum: an addition to one that the body has read."""
        alg = algebra(self.context, self.builder, self.lower.typeof(name))
        value = alg.unpack(value)
        mark = self.slots[name] = self._add_to(None, value.terms)
        self.lower._alloca_var(name, self.lower.typeof(name))
        place = cgutils.gep_inbounds(self.builder, self.lower.getvar(name), 0, 0)
        v = alg.base.pack(value.v)
        self.note_change(mark, v, self.builder.store(v, place))

    def _add_to(self, mark, terms):
        """Record what a new value adds to a running sum, the one whose mark has the id ``mark``; the mark."""
        own = [term for term in terms if id(term[1]) in self.sums]
        if len(own) != 1 or not Real._is(self.coef, own[0][0], 1.0) or mark not in (None, id(own[0][1])):
            raise Refused
        mark = own[0][1]
        others = self._operands([term for term in terms if term is not own[0]])
        if others:
            self._add(self.sums[id(mark)], others)
        return mark

    def _element(self, access):
        """(mark, access, statement before) of an element that all passes add to.

        It begins as a statement of its own: other elements may refer to the one it had.
        """
        known = self.elements.get(access.key)
        if known is None:
            mark = llvm.Constant(I64, llvm.Undefined)
            place, number = self._at(self.position, self.terms), self._at(self.statement, self.statements)
            self.terms.add(0, 1)
            self.statements.add(0, 1)
            with self.builder.goto_block(self.before):
                before = self.builder.load(self._field(access, 1))
            self.sums[id(mark)] = [mark, None, number]
            ty = self.lower.typeof(access.array).dtype
            algebra(self.context, self.builder, ty).running_sum(mark)
            known = self.elements[access.key] = mark, access, (before, place, number)
        return known

    def _field(self, access, k):
        """Where the value (0) or the statement's number (1) of an element is."""
        pointer, _, _ = self._pointer(access, self.first)
        return self.builder.gep(pointer, [llvm.Constant(I32, 0), llvm.Constant(I32, k)], inbounds=True)

    def _read_element(self, access, alg):
        mark = self._element(access)[0]
        value = self.builder.load(self._field(access, 0), align=8)
        self._own_memory(value, access.array)
        v = self.note_value(mark, alg.base.unpack(value))
        return Pending(v, [(alg.coef.constant(1.0), mark)])

    def _add(self, entry, terms):
        start = self._open()
        placed, _ = self._terms(terms, fixed=self.label in self.loop.body.always)
        with self.builder.goto_block(self.before):
            builder = self.builder
            number = builder.add(self.statement, self.statements.value(builder, self.n))
            if entry[2] is None:
                fresh = builder.icmp_unsigned("==", entry[1], word(0))
                entry[2] = builder.select(fresh, number, entry[1])
        self.statements.add(0, 1)
        self.terms.add(0, 1)  # the statement's own
        self._close(placed, start, entry[2])

    def finish_sums(self):
        """Give variables and elements the numbers of their statements, behind the loop."""
        builder = self.builder
        for _, access, (before, place, number) in self.elements.values():
            for array, where, value in (
                (self.at.coefficients, place, llvm.Constant(llvm.DoubleType(), 1.0)),
                (self.at.indices, place, builder.trunc(before, I32)),
                (self.at.counts, number, llvm.Constant(I32, 1)),
            ):
                builder.store(value, builder.gep(array, [where], inbounds=True), align=4)
            builder.store(number, self._field(access, 1), align=8)
        for name, mark in self.slots.items():
            entry = self.sums[id(mark)]
            number = entry[1] if entry[2] is None else entry[2]
            slot = self.lower.getvar(name)
            builder.store(number, cgutils.gep_inbounds(builder, slot, 0, 2))
            builder.store(llvm.Constant(llvm.DoubleType(), 1.0), cgutils.gep_inbounds(builder, slot, 0, 1))
