"""The checks before a strip: how many passes can go in it, and the statements that they refer to."""

from llvmlite import ir as llvm
from numba.core import cgutils, types

from tapejit.nopython import stripsweep
from tapejit.nopython.algebra import algebra
from tapejit.nopython.types import is_active

I32, I64 = llvm.IntType(32), llvm.IntType(64)


def word(value):
    return llvm.Constant(I64, value)


class Operand:
    """Statements that passes refer to: number ``base`` at the first pass, ``step`` more at each other one."""

    def __init__(self, base, step):
        self.base = base
        self.step = step


class Checks:
    """The part of ``stripcode.Strip`` that runs before the strip's loop."""

    def load(self, name):
        """A variable from outside, loaded once; None if the body assigns it. The counter is the strip's own."""
        if name in self.loop.counters:
            return self.counter
        if name in self.loop.assigned:
            return None
        if name not in self.outside:
            with self.builder.goto_block(self.head):
                value = self.lower.load_slot(name)
                if is_active(self.lower.typeof(name)):
                    known = algebra(self.context, self.builder, self.lower.typeof(name)).unpack(value)
                    for _, index in known.terms:
                        self._remember(index, Operand(index, word(0)))
                self.outside[name] = value
        return self.outside[name]

    def _remember(self, index, operand):
        self.known[id(index)] = operand
        self.kept.append(index)

    def _affine(self, part, counter):
        builder = self.builder
        value = word(part.constant)
        if part.counter:
            value = builder.add(builder.mul(counter, word(part.counter)), value)
        for name, k in part.variables:
            ty = self.lower.typeof(name)
            own = self.context.cast(builder, self.load(name), ty, types.intp)
            value = builder.add(value, builder.mul(own, word(k)))
        return value

    def _pointer(self, access, counter):
        """(the address of an element, its indices, the extents); an index without the counter may count from the end."""
        builder = self.builder
        ty = self.lower.typeof(access.array)
        array = self.context.make_array(ty)(self.context, builder, self.load(access.array))
        shape = cgutils.unpack_tuple(builder, array.shape)
        indices = []
        for part, extent in zip(access.indices, shape, strict=True):
            index = self._affine(part, counter)
            if not part.counter:
                below = builder.icmp_signed("<", index, word(0))
                index = builder.select(below, builder.add(index, extent), index)
            indices.append(index)
        return cgutils.get_item_pointer(self.context, builder, ty, array, indices), indices, shape

    def _call(self, helper, *args):
        """Call a function of the engine with integers."""
        fnty = helper._numba_type_
        sig = fnty.get_call_type(self.context.typing_context, (types.int64,) * len(args), {})
        compiled = helper.overloads[tuple(sig.args)]
        self.context.add_linking_libs([compiled.library])
        return self.context.call_internal(self.builder, compiled.fndesc, sig, args)

    def _check(self, left, failed):
        """How many passes can go in the strip: ``n``, or the way to ``failed``."""
        builder = self.builder
        builder.position_at_end(self.check)
        second = builder.add(self.first, word(1))
        last = builder.add(self.first, builder.sub(left, word(1)))
        places = {}
        outside = llvm.Constant(llvm.IntType(1), 0)
        for access in self.loop.accesses.values():
            if access.key in places:
                continue
            pointer, indices, shape = self._pointer(access, self.first)
            following, _, _ = self._pointer(access, second)
            _, ends, _ = self._pointer(access, last)
            for index, extent in zip((*indices, *ends), (*shape, *shape), strict=True):
                outside = builder.or_(outside, builder.icmp_unsigned(">=", index, extent))
            number = builder.gep(pointer, [llvm.Constant(I32, 0), llvm.Constant(I32, 1)], inbounds=True)
            start = builder.ptrtoint(pointer, I64)
            places[access.key] = (start, builder.sub(builder.ptrtoint(following, I64), start),
                                  builder.ptrtoint(number, I64))  # fmt: skip
        n = builder.select(outside, word(0), left)
        for reads in self._lines():
            (low, lowest), (high, _) = reads[0], reads[-1]
            if not lowest.moves:
                number = builder.inttoptr(places[lowest.key][2], I64.as_pointer())
                mark = self.streams[lowest.key] = llvm.Constant(I64, llvm.Undefined)
                self._remember(mark, Operand(builder.load(number), word(0)))
                continue
            _, step, number = places[lowest.key]
            span = builder.add(n, word(high - low))
            found = self._call(stripsweep.run_length, number, step, span)
            length, base, delta = cgutils.unpack_tuple(builder, found)
            n = builder.sub(length, word(high - low))
            for place, access in reads:
                mark = self.streams[access.key] = llvm.Constant(I64, llvm.Undefined)
                ahead = builder.mul(delta, word(place - low))
                self._remember(mark, Operand(builder.add(base, ahead), delta))
        fits = builder.icmp_signed(">=", n, word(stripsweep.LEAST))
        for one, other in self._pairs():
            a, b = places[one.key], places[other.key]
            if one.array != other.array or other.is_sum:
                apart = self._call(stripsweep.keep_apart, a[0], a[1], b[0], b[1], n)
            else:
                early = word(int(one.order < other.order))
                apart = self._call(stripsweep.reads_before, a[0], a[1], b[0], b[1], n, early)
            fits = builder.and_(fits, apart)
        self.n = n
        builder.cbranch(fits, self.before, failed)

    def _lines(self):
        """The reads, those together that go along one line of an array: [[(place in the line, access)]]."""
        lines = {}
        for access in self.loop.accesses.values():
            if access.is_store or access.stored or access.is_sum:
                continue
            key, place = access.line()
            lines.setdefault(key, {}).setdefault(place, access)
        return [sorted(line.items()) for line in lines.values()]

    def _pairs(self):
        """Accesses that must not touch: (read, store) of one array, or any with a store of another array, or with a sum."""
        accesses = list(self.loop.accesses.values())
        pairs, seen = [], set()
        for store in accesses:
            if not store.is_store:
                continue
            for other in accesses:
                same = other.array == store.array and not store.is_sum
                if store.is_sum:
                    needed = other.key != store.key
                elif same:
                    needed = not (other.is_store or other.stored)
                else:
                    needed = not (other.is_store and other.order < store.order)
                if not needed:
                    continue
                key = (other.key, store.key, same and other.order < store.order)
                if key not in seen:
                    seen.add(key)
                    pairs.append((other, store))
        return pairs
