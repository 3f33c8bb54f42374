"""Loops of the reverse sweep over a strip, written in vectors: what is left of the last one is done under a mask.

Strips are often a few dozen passes long; a loop that LLVM vectorises spends most of its time there on what its vectors leave.
The mask is on values: memory is read and written in whole vectors, also beyond a strip's end, where the tape has room
(``statementtape.SPARE``) and what is written is what was there; a processor hands on what was stored under a mask late.

The sweep goes down through the tape, strip by strip, but up within each: processors, which find out what is read in order
and fetch what follows, are told by name what the next strips will need.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.nopython.memory import I32, I64
from tapejit.nopython.real import CONTRACT

MEMBER = 6  # words of a term
WIDTH = 8
DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(DOUBLE, WIDTH)
MASK = ir.VectorType(ir.IntType(1), WIDTH)
ZERO = ir.Constant(VECTOR, [0.0] * WIDTH)
LANES = ir.Constant(ir.VectorType(I64, WIDTH), list(range(WIDTH)))


BYTE = ir.IntType(8).as_pointer()
AHEAD = 2048  # bytes before a place that is in use: what the sweep comes to a few strips later


def fetch(builder, pointer, distance=None, write=True):
    """Have the memory some bytes from a place come into the cache, ``AHEAD`` before it; no address is wrong for that."""
    distance = ir.Constant(I64, -AHEAD) if distance is None else distance
    fnty = ir.FunctionType(ir.VoidType(), [BYTE, I32, I32, I32])
    fn = cgutils.get_or_insert_function(builder.module, fnty, "llvm.prefetch.p0i8")
    place = builder.gep(builder.bitcast(pointer, BYTE), [distance])
    builder.call(fn, [place, ir.Constant(I32, int(write)), ir.Constant(I32, 3), ir.Constant(I32, 1)])


class Block:
    """Elements ``j`` to ``j + WIDTH`` of arrays, of which only those under a mask count."""

    def __init__(self, builder, j, mask=None):
        self.builder = builder
        self.j = j
        self.mask = mask

    def _pointer(self, array):
        place = self.builder.gep(array, [self.j], inbounds=True)
        return self.builder.bitcast(place, VECTOR.as_pointer())

    def load(self, array, mask=None):
        """Elements, zero where one of the masks is."""
        value = self.load_all(array)
        for own in (self.mask, mask):
            value = value if own is None else self.builder.select(own, value, ZERO)
        return value

    def slopes(self, array, some=None):
        """Coefficients, zero where ``some`` is not."""
        fetch(self.builder, self._pointer(array), ir.Constant(I64, -2 * AHEAD), write=False)
        return self.load(array, some)

    def load_all(self, array):
        return self.builder.load(self._pointer(array), align=8)

    def store_all(self, value, array):
        self.builder.store(value, self._pointer(array), align=8)

    def add(self, value, array, ahead=None):
        """array[j:j + WIDTH] += value, where ``value`` is zero off the mask."""
        fetch(self.builder, self._pointer(array), ahead)
        self.store_all(self.builder.fadd(self.load_all(array), value, flags=CONTRACT), array)


def splat(builder, value):
    nothing = ir.Constant(ir.VectorType(value.type, WIDTH), ir.Undefined)
    start = builder.insert_element(nothing, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(start, nothing, ir.Constant(ir.VectorType(I32, WIDTH), [0] * WIDTH))


def each_block(builder, n, start, body):
    """``body(block, total)`` gives the next ``total`` for each block of ``n`` elements; the last total."""
    width = ir.Constant(I64, WIDTH)
    whole = builder.and_(n, ir.Constant(I64, -WIDTH))
    before = builder.basic_block
    loop, tail, rest, done = (builder.append_basic_block(name) for name in ("blocks", "tail", "rest", "done"))
    some = builder.icmp_signed(">", whole, ir.Constant(I64, 0))
    builder.cbranch(some, loop, tail)
    builder.position_at_end(loop)
    j, total = builder.phi(I64), builder.phi(start.type)
    j.add_incoming(ir.Constant(I64, 0), before)
    total.add_incoming(start, before)
    new = body(Block(builder, j), total)
    end = builder.basic_block
    following = builder.add(j, width, flags=("nsw", "nuw"))
    j.add_incoming(following, end)
    total.add_incoming(new, end)
    builder.cbranch(builder.icmp_signed("<", following, whole), loop, tail)
    builder.position_at_end(tail)
    total = builder.phi(start.type)
    total.add_incoming(start, before)
    total.add_incoming(new, end)
    left = builder.sub(n, whole)
    builder.cbranch(builder.icmp_signed(">", left, ir.Constant(I64, 0)), rest, done)
    builder.position_at_end(rest)
    mask = builder.icmp_signed("<", LANES, splat(builder, left))
    last = body(Block(builder, whole, mask), total)
    rest = builder.basic_block
    builder.branch(done)
    builder.position_at_end(done)
    result = builder.phi(start.type)
    result.add_incoming(total, tail)
    result.add_incoming(last, rest)
    return result


def _arrays(builder, *addresses):
    return [builder.inttoptr(address, DOUBLE.as_pointer()) for address in addresses]


def _products(builder, block, seeds, coefficients, factor):
    """Adjoints and what they are multiplied by: nothing where an adjoint is zero, even where the slope is infinite."""
    a = block.load(seeds)
    some = builder.fcmp_unordered("!=", a, ZERO)
    return a, builder.select(some, factor, ZERO) if coefficients is None else block.slopes(coefficients, some)


@intrinsic
def add_products(typingctx, target, seeds, coefficients, n, varies):
    """target[j] += seeds[j] * coefficients[j]; without ``varies`` there is one coefficient. Arrays by their addresses."""

    def codegen(context, builder, sig, args):
        t, a, c = _arrays(builder, *args[:3])

        def add(coefficients, factor=None):
            def body(block, total):
                seeds, slopes = _products(builder, block, a, coefficients, factor)
                product = builder.fmul(seeds, slopes, flags=CONTRACT)
                block.add(product, t)
                return total

            each_block(builder, args[3], ir.Constant(I64, 0), body)

        with builder.if_else(args[4]) as (varying, constant):
            with varying:
                add(c)
            with constant:
                add(None, splat(builder, builder.load(c, align=8)))
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 4, types.boolean), codegen


@intrinsic
def add_multiples(typingctx, target, seed, coefficients, n, varies):
    """target[j] += seed * coefficients[j]; the same otherwise."""

    def codegen(context, builder, sig, args):
        t, c = _arrays(builder, args[0], args[2])

        def add(coefficient):
            def body(block, total):
                block.add(coefficient(block), t)
                return total

            each_block(builder, args[3], ir.Constant(I64, 0), body)

        seed = splat(builder, args[1])
        with builder.if_else(args[4]) as (varying, constant):
            with varying:
                add(lambda block: builder.fmul(seed, block.slopes(c), flags=CONTRACT))
            with constant:
                product = builder.fmul(args[1], builder.load(c, align=8), flags=CONTRACT)
                product = splat(builder, product)
                add(
                    lambda block: product if block.mask is None else builder.select(block.mask, product, ZERO)
                )
        return context.get_dummy_value()

    return types.void(types.int64, types.float64, types.int64, types.int64, types.boolean), codegen


@intrinsic
def add_line(typingctx, target, seeds, coefficients, members, count, begin, end, n, of_sum, seed):
    """target[e] += sum over the members of seeds[e - offset] * their coefficients, for elements ``begin`` to ``end``.

    The members are ``count`` terms as they stand on the tape (see ``stripsweep``). ``of_sum``: each pass has the same
    ``seed``. Each element is read and written once: several offsets one after the other would wait for one another's stores.
    """

    def codegen(context, builder, sig, args):
        t, a, c = _arrays(builder, *args[:3])
        words = builder.inttoptr(args[3], I32.as_pointer())
        count, begin, end, n, of_sum, seed = args[4:]
        t = builder.gep(t, [begin], inbounds=True)
        members = Members(builder, a, c, words, count, n, builder.not_(of_sum), splat(builder, seed))

        def body(block, total):
            value = members.add(builder.add(block.j, begin))
            block.add(value if block.mask is None else builder.select(block.mask, value, ZERO), t)
            return total

        each_block(builder, builder.sub(end, begin), ir.Constant(I64, 0), body)
        return context.get_dummy_value()

    six = (types.int64,) * 8
    return types.void(*six, types.boolean, types.float64), codegen


def word_at(builder, words, k):
    return builder.sext(builder.load(builder.gep(words, [k], inbounds=True), align=4), I64)


def constant_at(builder, words, at):
    """The one coefficient of the term whose words begin there."""
    place = builder.gep(words, [builder.add(at, ir.Constant(I64, 2))], inbounds=True)
    return builder.load(builder.bitcast(place, DOUBLE.as_pointer()), align=4)


class Members:
    """What a line's members add to its elements (see ``add_line``)."""

    def __init__(self, builder, seeds, coefficients, words, count, n, own_seeds, seed):
        self.builder = builder
        self.seeds = seeds
        self.coefficients = coefficients
        self.words = words
        self.count = count
        self.n = n
        self.own_seeds = own_seeds
        self.seed = seed

    def _slopes(self, k, j, some):
        """The coefficients of passes ``j`` and following, of the term whose words begin at ``k``."""
        builder, zero = self.builder, ir.Constant(I64, 0)
        place = word_at(builder, self.words, builder.add(k, ir.Constant(I64, 1)))
        varies = builder.icmp_signed("!=", place, zero)
        # Far from the strip, where no lane counts, there may be no memory.
        near = builder.icmp_signed(">", j, ir.Constant(I64, -WIDTH))
        first = builder.select(builder.and_(varies, near), builder.add(j, place), zero)
        own = Block(builder, first).slopes(self.coefficients)
        one = splat(builder, constant_at(builder, self.words, k))
        return builder.select(some, builder.select(varies, own, one), ZERO)

    def add(self, element):
        builder = self.builder
        before, loop, done = builder.basic_block, *map(builder.append_basic_block, ("member", "members"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k, total = builder.phi(I64), builder.phi(VECTOR)
        k.add_incoming(ir.Constant(I64, 0), before)
        total.add_incoming(ZERO, before)
        j = builder.sub(element, word_at(builder, self.words, k))
        passes = builder.add(splat(builder, j), LANES)
        inside = builder.icmp_unsigned("<", passes, splat(builder, self.n))
        seeds = builder.select(self.own_seeds, Block(builder, j).load_all(self.seeds), self.seed)
        seeds = builder.select(inside, seeds, ZERO)
        some = builder.fcmp_unordered("!=", seeds, ZERO)
        product = builder.fmul(seeds, self._slopes(k, j, some), flags=CONTRACT)
        new = builder.fadd(total, product, flags=CONTRACT)
        following = builder.add(k, ir.Constant(I64, MEMBER))
        k.add_incoming(following, loop)
        total.add_incoming(new, loop)
        more = builder.icmp_signed("<", following, builder.mul(self.count, ir.Constant(I64, MEMBER)))
        builder.cbranch(more, loop, done)
        builder.position_at_end(done)
        return new


@intrinsic
def uneven(typingctx, address, base, delta, k, n):
    """The first of the elements from ``k`` on whose number is not base + delta * k, to within WIDTH; ``n`` if there is none.

    Numbers stand at every second word behind the address; fewer than WIDTH elements are not looked at.
    """

    def codegen(context, builder, sig, args):
        address, base, delta, k, n = args
        names = "numbers", "even", "rest", "overlapping", "looked"
        before, (loop, even, rest, last, done) = (
            builder.basic_block,
            [builder.append_basic_block(name) for name in names],
        )
        pairs = ir.VectorType(I64, 2 * WIDTH)
        odd = ir.Constant(ir.VectorType(I32, WIDTH), list(range(1, 2 * WIDTH, 2)))
        width = ir.Constant(I64, WIDTH)
        lanes = builder.mul(splat(builder, delta), LANES)
        step = splat(builder, builder.mul(delta, width))
        start = builder.inttoptr(address, I64.as_pointer())

        def expected_at(element):
            return builder.add(splat(builder, builder.add(base, builder.mul(delta, element))), lanes)

        def differ(element, expected):
            # Numbers between values, as elements of an array are: from the first value on.
            word = builder.sub(builder.shl(element, ir.Constant(I64, 1)), ir.Constant(I64, 1))
            words = builder.bitcast(builder.gep(start, [word], inbounds=True), pairs.as_pointer())
            words = builder.load(words, align=8)
            numbers = builder.shuffle_vector(words, words, odd)
            found = builder.bitcast(builder.icmp_unsigned("!=", numbers, expected), ir.IntType(WIDTH))
            return builder.icmp_unsigned("!=", found, ir.Constant(found.type, 0))

        first = expected_at(k)
        enough = builder.icmp_signed("<=", builder.add(k, width), n)
        builder.cbranch(enough, loop, done)
        builder.position_at_end(loop)
        at, expected = builder.phi(I64), builder.phi(first.type)
        at.add_incoming(k, before)
        expected.add_incoming(first, before)
        following = builder.add(at, width)
        builder.cbranch(differ(at, expected), done, even)
        builder.position_at_end(even)
        at.add_incoming(following, even)
        expected.add_incoming(builder.add(expected, step), even)
        more = builder.icmp_signed("<=", builder.add(following, width), n)
        builder.cbranch(more, loop, rest)
        builder.position_at_end(rest)  # what is left of the last vector: once more, with some that were looked at
        builder.cbranch(builder.icmp_signed("<", following, n), last, done)
        builder.position_at_end(last)
        begin = builder.sub(n, width)
        end = builder.select(differ(begin, expected_at(begin)), following, n)
        builder.branch(done)
        builder.position_at_end(done)
        result = builder.phi(I64)
        for value, block in ((k, before), (at, loop), (following, rest), (end, last)):
            result.add_incoming(value, block)
        return result

    return types.int64(*(types.int64,) * 5), codegen


def _total(builder, vector):
    """The sum of a vector's lanes, in an order of its own."""
    fnty = ir.FunctionType(DOUBLE, [DOUBLE, VECTOR])
    fn = cgutils.get_or_insert_function(builder.module, fnty, "llvm.vector.reduce.fadd.v8f64")
    return builder.call(fn, [ir.Constant(DOUBLE, -0.0), vector], fastmath=("reassoc",))


@intrinsic
def sum_of_products(typingctx, seeds, coefficients, n):
    """The sum of seeds[j] * coefficients[j]."""

    def codegen(context, builder, sig, args):
        a, c = _arrays(builder, *args[:2])

        def body(block, total):
            product = builder.fmul(*_products(builder, block, a, c, None), flags=CONTRACT)
            return builder.fadd(total, product, flags=CONTRACT)

        return _total(builder, each_block(builder, args[2], ZERO, body))

    return types.float64(types.int64, types.int64, types.int64), codegen


@intrinsic
def sum_of(typingctx, numbers, n):
    """The sum of an array."""

    def codegen(context, builder, sig, args):
        (a,) = _arrays(builder, args[0])
        total = each_block(builder, args[1], ZERO, lambda block, total: builder.fadd(total, block.slopes(a)))
        return _total(builder, total)

    return types.float64(types.int64, types.int64), codegen


@intrinsic
def set_to_zero(typingctx, numbers, n):
    """numbers[j] = 0."""

    def codegen(context, builder, sig, args):
        (a,) = _arrays(builder, args[0])

        def body(block, total):
            nothing = ZERO if block.mask is None else builder.select(block.mask, ZERO, block.load_all(a))
            block.store_all(nothing, a)
            return total

        each_block(builder, args[1], ir.Constant(I64, 0), body)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def fetch_lines(typingctx, address, lines):
    """Have so many lines of the cache before an address come into it."""

    def codegen(context, builder, sig, args):
        place = builder.inttoptr(args[0], BYTE)
        for k in range(sig.args[1].literal_value):
            fetch(builder, place, ir.Constant(I64, -64 * k - 4), write=False)
        return context.get_dummy_value()

    return (types.void(types.int64, lines), codegen) if isinstance(lines, types.IntegerLiteral) else None
