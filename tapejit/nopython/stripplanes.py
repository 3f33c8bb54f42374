"""What a strip adds to the elements of arrays that its passes refer to: all terms of an element at once (see ``stripsweep``).

The reverse of a stencil is a stencil. Each element gathers what its neighbours add to it, so that it is read and written once;
row by row, where the strip has rows.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.nopython.memory import I64
from tapejit.nopython.real import CONTRACT
from tapejit.nopython.stripvectors import (
    AHEAD,
    DOUBLE,
    LANES,
    MEMBER,
    VECTOR,
    WIDTH,
    ZERO,
    Block,
    constant_at,
    splat,
    word_at,
)

FEW = 5  # constant terms that are added together
FEW_VARYING = 3  # and others


@intrinsic
def add_plane(
    typingctx, target, line, seeds, row, coefficients, members, count, begin, end, n, rows, constant
):
    """target[r, e] += sum over the members of seeds[r - their row, e - their offset] * their coefficients there.

    For ``rows`` rows, each for the elements ``begin`` to ``end``. All are given by their addresses, and by how many bytes a
    row of the target and of the seeds is behind the one before; a row of coefficients has n. There are ``count`` members,
    as they stand on the tape: up to ``FEW`` where they are finite constants, or ``FEW_VARYING``.
    """

    def codegen(context, builder, sig, args):
        done = builder.append_basic_block("plane")
        count, constant = args[6], args[11]
        for few, kind in ((FEW, constant), (FEW_VARYING, builder.not_(constant))):
            for k in range(1, few + 1):
                wanted = builder.and_(builder.icmp_signed("==", count, ir.Constant(I64, k)), kind)
                with builder.if_then(wanted):
                    _Plane(builder, *args[:6], *args[7:11], kind is constant, k).write()
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 11, types.boolean), codegen


class _Plane:
    """Writes the loops for a number of members."""

    def __init__(
        self, builder, target, line, seeds, row, coefficients, members, begin, end, n, rows, constant, count
    ):
        self.builder = builder
        self.target = target
        self.line = line
        self.row = row
        self.begin = begin
        self.end = end
        self.n = n
        self.rows = rows
        words = builder.inttoptr(members, ir.IntType(32).as_pointer())
        kind = _Constant if constant else _Any
        self.members = [kind(builder, words, k, seeds, row, coefficients, n) for k in range(count)]

    def write(self):
        """Row after row; whole vectors where all members' passes are, and masks before and behind."""
        builder, offsets = self.builder, [member.offset for member in self.members]
        low = high = offsets[0]
        for offset in offsets[1:]:
            low = builder.select(builder.icmp_signed("<", offset, low), offset, low)
            high = builder.select(builder.icmp_signed(">", offset, high), offset, high)
        width = ir.Constant(I64, WIDTH)
        last = builder.sub(builder.add(self.n, low), width)  # the last element where a whole vector may begin
        limit = builder.sub(self.end, width)
        last = builder.select(builder.icmp_signed("<", limit, last), limit, last)
        several = builder.icmp_signed(">", self.rows, ir.Constant(I64, 1))
        ahead = builder.select(several, ir.Constant(I64, 0), ir.Constant(I64, -AHEAD))
        with cgutils.for_range(builder, self.rows, intp=I64) as loop:
            target = builder.add(self.target, builder.mul(self.line, loop.index))
            target = builder.inttoptr(target, DOUBLE.as_pointer())
            for member in self.members:
                member.begin_row(loop.index)
            self._elements(target, high, last, ahead)

    def _elements(self, target, high, last, ahead):
        builder = self.builder
        before, new = builder.basic_block, builder.append_basic_block
        head, more, masked, whole, done = (
            new(name) for name in ("elements", "more", "masked", "whole", "added")
        )
        builder.branch(head)
        builder.position_at_end(head)
        e = builder.phi(I64)
        e.add_incoming(self.begin, before)
        fits = builder.and_(builder.icmp_signed(">=", e, high), builder.icmp_signed("<=", e, last))
        builder.cbranch(fits, whole, more)
        builder.position_at_end(more)
        builder.cbranch(builder.icmp_signed("<", e, self.end), masked, done)
        for block, under_mask in ((whole, False), (masked, True)):
            builder.position_at_end(block)
            total = ZERO
            for member in self.members:
                j = builder.sub(e, member.offset)
                mask = None
                if under_mask:
                    passes = builder.add(splat(builder, j), LANES)
                    mask = builder.icmp_unsigned("<", passes, splat(builder, self.n))
                product = builder.fmul(*member.factors(Block(builder, j, mask)), flags=CONTRACT)
                total = product if total is ZERO else builder.fadd(total, product, flags=CONTRACT)
            if under_mask:
                inside = builder.icmp_signed("<", builder.add(splat(builder, e), LANES), splat(builder, self.end))
                total = builder.select(inside, total, ZERO)
            Block(builder, e).add(total, target, ahead)
            e.add_incoming(builder.add(e, ir.Constant(I64, WIDTH), flags=("nsw",)), builder.basic_block)
            builder.branch(head)
        builder.position_at_end(done)


class _Constant:
    """A term with one finite coefficient for all passes."""

    def __init__(self, builder, words, k, seeds, row, coefficients, n):
        self.builder = builder
        at = [ir.Constant(I64, MEMBER * k + j) for j in (0, 1, 4)]
        self.offset, self.place, self.behind = (word_at(builder, words, j) for j in at)
        self.slope = splat(builder, constant_at(builder, words, at[0]))
        self.row = row
        self.first = builder.sub(seeds, builder.mul(row, self.behind))

    def begin_row(self, r):
        builder = self.builder
        seeds = builder.add(self.first, builder.mul(self.row, r))
        self.seeds = builder.inttoptr(seeds, DOUBLE.as_pointer())

    def factors(self, block):
        """The adjoints of a block of passes, and the coefficients."""
        return block.load(self.seeds), self.slope


class _Any(_Constant):
    """A term whose coefficients vary, or do not; where an adjoint is zero, they add nothing, even if they are infinite."""

    def __init__(self, builder, words, k, seeds, row, coefficients, n):
        super().__init__(builder, words, k, seeds, row, coefficients, n)
        self.n = n
        self.varies = builder.icmp_signed("!=", self.place, ir.Constant(I64, 0))
        same = cgutils.alloca_once(builder, VECTOR)
        builder.store(self.slope, same, align=8)
        self.same = builder.ptrtoint(same, I64)
        first = builder.sub(self.place, builder.mul(n, self.behind))
        self.start = builder.add(coefficients, builder.mul(first, ir.Constant(I64, 8)))

    def begin_row(self, r):
        super().begin_row(r)
        builder = self.builder
        here = builder.add(self.start, builder.mul(builder.mul(self.n, r), ir.Constant(I64, 8)))
        here = builder.select(self.varies, here, self.same)
        self.slopes = builder.inttoptr(here, DOUBLE.as_pointer())

    def factors(self, block):
        builder = self.builder
        seeds = block.load(self.seeds)
        some = builder.fcmp_unordered("!=", seeds, ZERO)
        # Far before the strip, where no lane counts, there may be no memory.
        near = builder.icmp_signed(">", block.j, ir.Constant(I64, -WIDTH))
        j = builder.select(builder.and_(near, self.varies), block.j, ir.Constant(I64, 0))
        return seeds, builder.select(some, Block(builder, j).load_all(self.slopes), ZERO)
