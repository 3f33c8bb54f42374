"""The checks before a strip: how many passes can go in it, and the statements that they refer to."""

from llvmlite import ir as llvm
from numba.core import cgutils, types

from tapejit.nopython import stripscans
from tapejit.nopython.affine import Remainder
from tapejit.nopython.algebra import algebra
from tapejit.nopython.types import is_active

I8, I32, I64 = (llvm.IntType(bits) for bits in (8, 32, 64))


def word(value):
    return llvm.Constant(I64, value)


UNCHANGED = (word(0),) * 3


class Line:
    """Statements that passes refer to along a line: ``base`` at its first element, ``step`` more at each other one.

    ``begin`` and ``end``: of the elements for which that holds, where an array's edges were filled in another way. Those before
    and behind have ``head`` and ``tail``, each a pair of the same. From row to row all three go up by ``changes``.
    """

    def __init__(self, base, step, edges=None, changes=UNCHANGED, found=None):
        self.base = base
        self.step = step
        self.begin, self.head, self.end, self.tail = edges or (None,) * 4
        self.changes = changes
        self.found = found  # where it is one of an array's

    @property
    def plane(self):
        """What the lines share that are at a fixed distance: rows of one array. And which of them it is."""
        return (self, 0) if self.found is None else (self.found.plane, self.found.row)

    def number(self, builder, element, row):
        """The statement of an element in a row."""

        def along(base, step, change):
            base = builder.add(base, builder.mul(change, row))
            return builder.add(base, builder.mul(step, element))

        number = along(self.base, self.step, self.changes[0])
        if self.begin is None:
            return number
        head, tail = along(*self.head, self.changes[1]), along(*self.tail, self.changes[2])
        number = builder.select(builder.icmp_signed("<", element, self.begin), head, number)
        return builder.select(builder.icmp_signed(">=", element, self.end), tail, number)

    def words(self, n):
        """What stands on the tape, of a line with ``n`` passes in a row."""
        if self.begin is None:
            zero = word(0)
            return self.base, self.step, zero, zero, zero, n, zero, zero, *self.changes
        (head, head_step), (tail, tail_step) = self.head, self.tail
        ends = head, self.begin, tail, self.end, head_step, tail_step
        return self.base, self.step, *ends, *self.changes


class Operand:
    """The element of a line that passes refer to: in pass ``k`` of a row number ``k + offset``."""

    def __init__(self, line, offset=0):
        self.line = line
        self.offset = offset

    def number(self, builder, turn, row):
        """The statement that a pass refers to."""
        return self.line.number(builder, builder.add(turn, word(self.offset)), row)


class Found:
    """How the numbers go along a line of an array, as the checks have found it; the reads of it, with their places in it."""

    def __init__(self, plane, row, reads, further, address, words):
        self.plane = plane
        self.row = row  # of the plane, at the strip's first row
        self.reads = reads
        self.further = further  # how many elements more than passes a line has
        self.address = address  # of its first number
        self.words = words  # begin, head, its step, base, step, end, tail, its step
        self.changes = UNCHANGED  # from row to row

    @property
    def moves(self):
        return self.reads[0][1].moves

    def follow(self, builder, first):
        """Be the plane's first line, some rows further, where the plane is joint."""
        if self is first:
            return
        joint = builder.icmp_unsigned("!=", self.plane.joint, word(0))
        words = list(first.words)
        for k, change in zip((3, 1, 6), first.changes, strict=True):
            words[k] = builder.add(words[k], builder.mul(change, word(self.row)))
        self.words = [builder.select(joint, one, own) for one, own in zip(words, self.words, strict=True)]


class Plane:
    """Lines of one array that differ by the row only, where the strip goes from row to row."""

    def __init__(self):
        self.reads = {}  # row -> {place in its line: access}
        self.joint = word(1)  # whether the lines are the same one, some rows further


class Checks:
    """The part of ``stripcode.Strip`` that runs before the strip's loop."""

    def load(self, name):
        """A variable from outside, loaded once; None if the body assigns it. The counter is the strip's own."""
        if name in self.loop.counters:
            return self.counter
        if name in self.loop.assigned:
            return None
        if name not in self.outside:
            rows = self.loop.rows
            by_row = self.begun is not None and rows is not None and name in rows.changing
            with self.builder.goto_block(self.begun if by_row else self.head):
                value = self.lower.load_slot(name)
                if is_active(self.lower.typeof(name)):
                    known = algebra(self.context, self.builder, self.lower.typeof(name)).unpack(value)
                    for _, index in known.terms:
                        self._remember(index, Operand(Line(index, word(0))))
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
        for variable, k in part.variables:
            value = builder.add(value, builder.mul(self._integer(variable), word(k)))
        return value

    def remainder(self, expr):
        """The value of an expression at this pass without a division, if it is a remainder that indices have; or None."""
        part = self.loop.remainders.get(id(expr))
        if part is None or any(variable not in self.remainders for variable, _ in part.variables):
            return None
        return self._affine(part, self.counter)

    def _integer(self, variable):
        """What an affine value holds besides the counter."""
        if isinstance(variable, Remainder):
            return self.remainders[variable]
        return self.context.cast(self.builder, self.load(variable), self.lower.typeof(variable), types.intp)

    def _whole(self, left, single):
        """Find the remainders at the first pass: how many passes there are until one of them begins anew."""
        builder = self.builder
        for access in self.loop.accesses.values():
            for part in access.indices:
                for variable, _ in part.variables:
                    left = self._before_it_wraps(variable, left)
        if self.remainders:
            few = builder.icmp_signed("<", left, word(stripscans.LEAST))
            enough = builder.append_basic_block("whole")
            builder.cbranch(few, single, enough)
            builder.position_at_end(enough)
        return left

    def _before_it_wraps(self, variable, left):
        if not isinstance(variable, Remainder) or variable in self.remainders:
            return left
        builder, counted = self.builder, variable.value.counter
        for part in (variable.value, variable.modulus):
            for inner, _ in part.variables:
                left = self._before_it_wraps(inner, left)
        modulus = self._affine(variable.modulus, word(0))
        positive = builder.icmp_signed(">", modulus, word(0))
        modulus = builder.select(positive, modulus, word(1))
        rest = builder.srem(self._affine(variable.value, self.first), modulus)
        negative = builder.icmp_signed("<", rest, word(0))
        rest = builder.select(negative, builder.add(rest, modulus), rest)
        self.remainders[variable] = builder.sub(rest, self.first) if counted else rest
        left = builder.select(positive, left, word(0))
        if not counted:
            return left
        until = builder.sub(modulus, rest)
        return builder.select(builder.icmp_signed("<", until, left), until, left)

    def _element_at(self, access):
        """The address of this pass's element: the first pass's and as many steps as passes, which vectorises."""
        builder = self.builder
        pointer, step = self._row_start(access.key)
        if not access.moves:
            return pointer
        if self.lower.typeof(access.array).layout == "C" and access.is_dense:
            return builder.gep(pointer, [self.turn], inbounds=True)
        return self._further(pointer, step, self.turn)

    def _further(self, pointer, step, count):
        builder = self.builder
        start = builder.bitcast(pointer, I8.as_pointer())
        here = builder.gep(start, [builder.mul(step, count)], inbounds=True)
        return builder.bitcast(here, pointer.type)

    def _row_start(self, key):
        """The address of a row's first element of an access, and the bytes to the next."""
        pointer, step = self.starts[key]
        if self.loop.rows is None:
            return pointer, step
        if key not in self.row_starts:
            with self.builder.goto_block(self.begun):
                self.row_starts[key] = self._further(pointer, self.row_steps[key], self.row)
        return self.row_starts[key], step

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

    def _check(self, left, failed, single):
        """How many passes can go in the strip: ``n``, or the way to ``failed``."""
        builder = self.builder
        builder.position_at_end(self.check)
        left = self._whole(left, single)
        places, inside = self._places(left)
        n = builder.select(inside, left, word(0))
        pairs = self._pairs()
        for read, store in pairs:
            if read.array == store.array and not store.is_one:
                early = word(int(read.order < store.order))
                n = self._call(stripscans.passes_before, *places[read.key][:2], *places[store.key][:2], n, early)
        # Those passes are gone through one by one before the next look.
        builder.store(builder.sub(n, word(1)), self.wait)
        scan = builder.append_basic_block("scan")
        builder.cbranch(builder.icmp_signed(">=", n, self.least), scan, failed)
        builder.position_at_end(scan)
        builder.store(word(0), self.wait)
        n = self._scan(places, n)
        fits = builder.icmp_signed(">=", n, self.least)
        for one, other in pairs:
            if one.array != other.array or other.is_one:
                apart = self._call(stripscans.keep_apart, *places[one.key][:2], *places[other.key][:2], n)
                fits = builder.and_(fits, apart)
        self.width = self.n = n
        if self.loop.rows is not None:
            go = builder.append_basic_block("together")
            builder.cbranch(fits, go, failed)
            builder.position_at_end(go)
            self.count_rows(places, left, pairs)
            self.n = builder.mul(n, self.rows)
            self.skip_narrow_rows(left, single)
        else:
            builder.cbranch(fits, self.before, failed)

    def _places(self, left):
        """Key of an access -> (address at the first pass, bytes to the next pass's, address of the number).

        And whether all passes' indices are inside of the arrays.
        """
        builder = self.builder
        second = builder.add(self.first, word(1))
        last = builder.add(self.first, builder.sub(left, word(1)))
        places = {}
        inside = llvm.Constant(llvm.IntType(1), 1)
        for access in self.loop.accesses.values():
            if access.key in places:
                continue
            pointer, indices, shape = self._pointer(access, self.first)
            following, _, _ = self._pointer(access, second)
            _, ends, _ = self._pointer(access, last)
            for index, extent in zip((*indices, *ends), (*shape, *shape), strict=True):
                inside = builder.and_(inside, builder.icmp_unsigned("<", index, extent))
            number = builder.gep(pointer, [llvm.Constant(I32, 0), llvm.Constant(I32, 1)], inbounds=True)
            start = builder.ptrtoint(pointer, I64)
            step = builder.sub(builder.ptrtoint(following, I64), start)
            places[access.key] = start, step, builder.ptrtoint(number, I64)
            self.starts[access.key] = pointer, step
        return places, inside

    def _scan(self, places, n):
        """What the reads refer to, and for how many of n passes it can be told."""
        builder = self.builder
        for plane in self._planes():
            first, places_ = min(plane.reads), [place for line in plane.reads.values() for place in line]
            low, high = min(places_), max(places_)
            for row, line in sorted(plane.reads.items()):
                place, access = min(line.items())
                _, step, number = places[access.key]
                reads = [(place - low, access) for place, access in sorted(line.items())]
                if access.moves:
                    number = builder.sub(number, builder.mul(step, word(place - low)))
                    span = builder.add(n, word(high - low))
                    length, *found = cgutils.unpack_tuple(
                        builder, self._call(stripscans.scan_line, number, step, span)
                    )
                    n = builder.sub(length, word(high - low))
                else:
                    one = builder.load(builder.inttoptr(number, I64.as_pointer()))
                    found = word(0), word(0), word(0), one, word(0), word(1), word(0), word(0)
                self.lines.append(Found(plane, row - first, reads, high - low, number, found))
        return n

    def _name_streams(self):
        """What each read of an array refers to, now that the number of passes is known."""
        builder = self.builder
        for found in self.lines:
            begin, head, head_step, base, delta, end, tail, tail_step = found.words
            if found.moves:
                last = builder.add(self.width, word(found.further))
                begin, end = (
                    builder.select(builder.icmp_signed("<", k, last), k, last) for k in (begin, end)
                )
                edges = begin, (head, head_step), end, (tail, tail_step)
                line = Line(base, delta, edges, found.changes, found)
            else:
                line = Line(base, delta, changes=found.changes, found=found)
            for offset, access in found.reads:
                mark = self.streams[access.key] = llvm.Constant(I64, llvm.Undefined)
                self._remember(mark, Operand(line, offset))

    def _planes(self):
        """The reads, those together that go along lines of one plane."""
        planes = {}
        for access in self.loop.accesses.values():
            if access.is_store or access.stored or access.is_one or access.is_held:
                continue
            (array, parts), place = access.line()
            rows = [
                k for k, part in enumerate(access.indices) if self.loop.rows and self.loop.rows.slope(part)
            ]
            row = 0
            if len(rows) == 1 and parts[rows[0]][0] == 0 and self.loop.rows.slope(access.indices[rows[0]]) == 1:
                counter, row, variables = parts[rows[0]]
                parts = *parts[: rows[0]], (counter, 0, variables), *parts[rows[0] + 1 :]
            plane = planes.setdefault((array, parts), Plane())
            plane.reads.setdefault(row, {}).setdefault(place, access)
        return planes.values()

    def _pairs(self):
        """Accesses that must not touch: (read, store) of one array, or any with a store of another array, or with a sum."""
        accesses = list(self.loop.accesses.values())
        pairs, seen = [], set()
        for store in accesses:
            if not store.is_store:
                continue
            for other in accesses:
                same = other.array == store.array and not store.is_one
                if store.is_one:
                    needed = other.key != store.key
                elif same:
                    needed = not (other.is_store or other.stored or (other.is_held and other.key == store.key))
                else:
                    needed = not (other.is_store and other.order < store.order)
                if not needed:
                    continue
                key = (other.key, store.key, same and other.order < store.order)
                if key not in seen:
                    seen.add(key)
                    pairs.append((other, store))
        return pairs
