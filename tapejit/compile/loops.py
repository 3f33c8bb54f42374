"""Fused loops as LLVM code: regions one after the other, each a nest of loops around one body."""

import contextlib

from llvmlite import ir

from tapejit.compile.scalarcode import (
    BYTES,
    F64,
    I8,
    I64,
    IN_MEMORY,
    REASSOCIATE,
    Primitives,
    as_it_is,
    as_vectors,
    cast,
    constant,
    is_fragile,
    itemsize,
    load,
    store,
)
from tapejit.compile.sizes import Size, has_sizes

VECTOR = 8  # elements of a vector, or of two or four of them
START = {"sum": 0.0, "max": float("-inf"), "min": float("inf")}  # what reductions begin with; "more" goes on with a sum


class LoopWriter:
    """The body of one loop function.

    Args:
        cut: for a loop that is done in parts how (see ``compile.shared``); the function's last argument is a part's number.
        sizes: the arguments that stand for numbers (see ``compile.sizes``).
        onward: the targets whose sums go on from what is there.
    """

    def __init__(self, code, function, targets, cut=None, sizes=(), onward=()):
        self.code, self.function, self.targets, self.cut, self.sizes = code, function, targets, cut, sizes
        self.onward = onward
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))

    def integer(self, x):
        return self.sizes[x.number] if x.__class__ is Size else I64(x)

    def element(self, number, dtype, index):
        b = self.builder
        return b.gep(b.bitcast(self.function.args[number], IN_MEMORY[dtype].as_pointer()), [index])

    def write(self, code, roots):
        b = self.builder
        self.totals = {}
        for t, (number, what, dtype, steps, _, count) in enumerate(self.targets):
            if what in START and count == 1 and not any(steps):
                self.totals[t] = self._total(what)
                if t in self.onward:
                    b.store(cast(b, b.load(self.element(number, dtype, I64(0))), dtype, "f8"), self.totals[t])
            elif what in START and t not in self.onward and (self.cut is None or t in self.cut.apart):
                self.fill(number, dtype, count, START[what])
        for r, ((box, lines), values) in enumerate(zip(code, roots, strict=True)):
            self.split = None if self.cut is None else self.cut.splits[r]
            if all(_is_one(*span) or has_sizes(*span) or span[0] < span[1] for span in box):
                with self._in_its_part():
                    self._region(box, lines, values)
        for t, place in self.totals.items():
            number, _, dtype, _, _, _ = self.targets[t]
            b.store(cast(b, b.load(place), "f8", dtype), self.element(number, dtype, I64(0)))
        b.ret_void()

    def _total(self, what):
        """A register for a total: double, also for float32, as in the engine."""
        b = self.builder
        with b.goto_entry_block():
            place = b.alloca(F64)
        b.store(F64(START[what]), place)
        return place

    def _in_its_part(self):
        """Where a region that is not cut is done: in the last part."""
        if self.cut is None or self.split is not None:
            return contextlib.nullcontext()
        b = self.builder
        return b.if_then(b.icmp_unsigned("==", self.function.args[-1], I64(self.cut.parts - 1)))

    def _range(self, box, depth):
        """Where the loop over a dimension begins and ends in this part."""
        b, (first, end) = self.builder, box[depth]
        if depth != self.split:
            return self.integer(first), self.integer(end)
        k = self.function.args[-1]
        steps = [b.udiv(b.mul(part, I64(end - first)), I64(self.cut.parts)) for part in (k, b.add(k, I64(1)))]
        return [b.add(step, I64(first)) for step in steps]

    def fill(self, number, dtype, count, value):
        b = self.builder
        if value == 0.0:
            memset = self.code.module.declare_intrinsic("llvm.memset", [BYTES, I64])
            size = b.mul(self.integer(count), I64(itemsize(dtype)))
            b.call(memset, [self.function.args[number], I8(0), size, ir.IntType(1)(0)])
            return
        with self.loop(I64(0), self.integer(count)) as k:
            b.store(ir.Constant(IN_MEMORY[dtype], value), self.element(number, dtype, k))

    @contextlib.contextmanager
    def loop(self, first, end, tell=None):
        """A loop over a counter, at least one pass, with what is written inside as its body; LLVM is told by ``tell``."""
        b = self.builder
        before = b.block
        loop = b.append_basic_block("loop")
        done = b.append_basic_block("done")
        b.branch(loop)
        b.position_at_end(loop)
        counter = b.phi(I64)
        counter.add_incoming(first, before)
        yield counter
        following = b.add(counter, I64(1), flags=("nsw", "nuw"))
        counter.add_incoming(following, b.block)
        branch = b.cbranch(b.icmp_unsigned("<", following, end), loop, done)
        if tell is not None:
            tell(self.code.module, branch, f"{self.function.name}_{loop.name}")
        b.position_at_end(done)

    def joined(self, what, a, b):
        """A total and one more value."""
        if what == "sum":
            return self.builder.fadd(a, b, flags=REASSOCIATE)
        name = f"llvm.{what}imum"  # NaN if one of them is
        kind = ir.FunctionType(a.type, [a.type, a.type])
        return self.builder.call(self.code.module.declare_intrinsic(name, [a.type], kind), [a, b], fastmath=("nsz",))

    def _region(self, box, lines, roots):
        self.fixed = {
            p: self._value(lines, p, None, {})
            for p, line in enumerate(lines)
            if line[0] == "load" and not any(line[3][1:])
        }
        self._nest(box, lines, roots, [])

    def _nest(self, box, lines, roots, counters):
        b = self.builder
        depth = len(counters)
        if depth == len(box):
            self._body(lines, roots, counters)
            return
        first, end = box[depth]
        inner = depth == len(box) - 1
        local = self._row_totals(roots, depth) if inner else {}
        if _is_one(first, end):
            self._nest(box, lines, roots, [*counters, self.integer(first)])
        else:
            writes = [(self.targets[t][2], self.targets[t][3][depth]) for t, _, _ in roots]
            passes = 0 if has_sizes(first, end) else end - first
            writes = [(dtype, -1 if has_sizes(s) else s) for dtype, s in writes]
            told = as_it_is if inner and is_fragile(passes, writes) else None
            spans = [(self._range(box, depth), told)]
            if inner and not has_sizes(first, end) and self._is_plain(depth, lines, roots):
                spans = [(map(I64, s), as_vectors if s[1] - s[0] == VECTOR else None) for s in whole_vectors(first, end)]
            for span, told in spans:
                with self.loop(*span, told) as counter:
                    self._nest(box, lines, roots, [*counters, counter])
        for t, place in local.items():
            number, what, dtype, steps, start, _ = self.targets[t]
            where = self.element(number, dtype, self._index((start, *steps), [*counters, I64(0)]))
            b.store(self.joined(what, b.load(where), cast(b, b.load(place), "f8", dtype)), where)
            del self.totals[t]

    def _is_plain(self, depth, lines, roots):
        """Whether the innermost loop only stores what it works out of neighbours: it may as well be done twice."""
        targets = [self.targets[t] for t, _, _ in roots]
        return (
            depth != self.split
            and all(what == "store" and steps[depth] == 1 for _, what, _, steps, _, _ in targets)
            and all(last is None for _, _, last in roots)
            and all(line[3][depth + 1] in (0, 1) for line in lines if line[0] == "load")
        )

    def _row_totals(self, roots, depth):
        """Registers for sums whose target does not move with the innermost counter."""
        made = {}
        for t, _, _ in roots:
            _, what, _dtype, steps, _, _ = self.targets[t]
            if what in START and t not in self.totals and steps[depth] == 0:
                made[t] = self.totals[t] = self._total(what)
        return made

    def _index(self, affine, counters):
        b = self.builder
        total = None
        for c, counter in zip(affine[1:], counters, strict=True):
            if c:
                part = counter if c == 1 else b.mul(counter, self.integer(c))
                total = part if total is None else b.add(total, part)
        if total is None:
            return self.integer(affine[0])
        return b.add(total, self.integer(affine[0])) if affine[0] else total

    def _value(self, lines, p, counters, values):
        b = self.builder
        line = lines[p]
        what, dtype = line[:2]
        if what == "const":
            return b.bitcast(self.integer(line[2]), F64) if has_sizes(line[2]) else constant(dtype, line[2])
        if what == "load":
            index = self.integer(line[3][0]) if counters is None else self._index(line[3], counters)
            return load(b, dtype, self.element(line[2], dtype, index))
        if what == "cast":
            return cast(b, values[line[3]], line[2], dtype)
        args = line[3:]
        return self.primitives(line[2], dtype, [values[a] for a in args], [lines[a][1] for a in args])

    def _body(self, lines, roots, counters):
        b = self.builder
        self.primitives = Primitives(self.code.module, b, self.code.fma)
        values = dict(self.fixed)
        for p in range(len(lines)):
            if p not in values:
                values[p] = self._value(lines, p, counters, values)
        for t, p, last in roots:
            number, what, dtype, steps, start, _ = self.targets[t]
            if t in self.totals:
                place = self.totals[t]
                value = cast(b, values[p], lines[p][1], "f8")
                b.store(self.joined(what, b.load(place), value), place)
                continue
            at = counters if last is None else [*counters[:-1], self.integer(last)]
            where = self.element(number, dtype, self._index((start, *steps), at))
            if what in ("sum", "more"):
                b.store(b.fadd(b.load(where), values[p], flags=("contract",)), where)
            elif what in START:
                b.store(self.joined(what, b.load(where), values[p]), where)
            else:
                store(b, dtype, values[p], where)


def whole_vectors(first, end) -> list:
    """A range as ranges of whole vectors, the inner one of which begins where rows are aligned; they may overlap.

    LLVM does what is left over from a loop one by one, which for a row of 62 elements takes half as long as its vectors.
    """
    if end - first < 2 * VECTOR:
        return [(first, end)]
    start, stop = -(-first // VECTOR) * VECTOR, end // VECTOR * VECTOR
    lead = [(first, first + VECTOR)] if start > first else []
    tail = [(end - VECTOR, end)] if stop < end else []
    return lead + ([(start, stop)] if start < stop else []) + tail


def _is_one(first, end):
    """Whether a dimension of a region is one element."""
    return end is None or not (has_sizes(first, end) or end - first != 1)
