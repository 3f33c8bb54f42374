"""Elements that every pass of a strip stores before it reads them, such as those of a work array: only the last pass's stay.

A pass that does not come to such a store leaves the element as it was. Where that may be, values wait behind the strip's terms,
and the last pass that came there is looked for behind the loop.
"""

from llvmlite import ir as llvm
from numba.core import cgutils

from tapejit.nopython.stripchecks import I64, word

DOUBLE = llvm.DoubleType()


class _Element:
    """An element, its value (a slot, or where the values of all passes are), and the number of its statement."""

    def __init__(self, access):
        self.access = access
        self.slot = None
        self.place = None
        self.number = None


class Owned:
    """The part of ``stripcode.Strip`` that keeps such elements in registers, and writes them behind the strip's loop."""

    def write_own(self, access, v, terms):
        """Give an element this pass's value: a statement of its own, so that its number behind the loop is known."""
        number = self._number_of(terms)
        self.stored[access.key] = v, number
        label = None if self.label in self.loop.body.always else self.label
        elements, _ = self.own.setdefault(label, ({}, self._came_by(label)))
        if access.key not in elements:
            elements[access.key] = element = _Element(access)
            if label is None:
                element.slot = cgutils.alloca_once(self.builder, v.type)
            else:
                element.slot = self._late(llvm.Constant(DOUBLE, 0.0), lambda value: self._wait(value, element))
        element = elements[access.key]
        element.number = number
        self.builder.store(v, element.slot)

    def _came_by(self, label):
        """Note the passes that come to a block; None for one that all do."""
        if label is None:
            return None
        came = _Element(None)
        slot = self._late(llvm.Constant(DOUBLE, 0.0), lambda value: self._wait(value, came))
        self.builder.store(llvm.Constant(DOUBLE, 1.0), slot)
        return came

    def _wait(self, value, element):
        element.place = self._at(self._at(self.position, self.terms), self.behind)
        self.behind.add(1, 0)
        self._put(value, element.place)

    def finish_own(self):
        """What the last pass has left in them."""
        builder = self.builder
        for elements, came in self.own.values():
            if came is None:
                last = builder.sub(self.n, word(1))
                for element in elements.values():
                    self._finish_element(element, builder.load(element.slot), last)
                continue
            last = self._last_pass(came)
            with builder.if_then(builder.icmp_signed(">=", last, word(0))):
                for element in elements.values():
                    self._finish_element(element, self._waiting(element, last), last)

    def _waiting(self, element, turn):
        place = self.builder.gep(self.at.coefficients, [self.builder.add(element.place, turn)], inbounds=True)
        return self.builder.load(place, align=8)

    def _last_pass(self, came):
        """The last pass that came to a block; -1 if none did."""
        builder = self.builder
        before, (loop, look, found) = (
            builder.basic_block,
            [builder.function.append_basic_block(name) for name in ("last", "look", "found")],
        )
        start = builder.sub(self.n, word(1))
        builder.branch(loop)
        builder.position_at_end(loop)
        turn = builder.phi(I64)
        turn.add_incoming(start, before)
        builder.cbranch(builder.icmp_signed("<", turn, word(0)), found, look)
        builder.position_at_end(look)
        here = builder.fcmp_ordered("!=", self._waiting(came, turn), llvm.Constant(DOUBLE, 0.0))
        turn.add_incoming(builder.sub(turn, word(1)), look)
        builder.cbranch(here, found, loop)
        builder.position_at_end(found)
        return turn

    def _finish_element(self, element, value, last):
        builder = self.builder
        operand = self.known.get(id(element.number))
        number = word(0) if operand is None else operand.number(builder, last, word(0))
        for k, item in enumerate((value, number)):
            builder.store(item, self._field(element.access, k), align=8)
