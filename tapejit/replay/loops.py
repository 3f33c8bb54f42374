"""Fused loops as LLVM code: regions one after the other, each a nest of loops around one body."""

from llvmlite import ir

from tapejit.replay.scalars import (
    BYTES,
    F64,
    I8,
    I64,
    IN_MEMORY,
    REASSOCIATE,
    Primitives,
    cast,
    constant,
    itemsize,
    load,
    store,
)


class LoopWriter:
    """The body of one loop function."""

    def __init__(self, code, function, targets):
        self.code, self.function, self.targets = code, function, targets
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))

    def _element(self, number, dtype, index):
        b = self.builder
        return b.gep(b.bitcast(self.function.args[number], IN_MEMORY[dtype].as_pointer()), [index])

    def write(self, code, roots):
        b = self.builder
        self.totals = {}
        for t, (number, what, dtype, steps, _, count) in enumerate(self.targets):
            if what == "sum" and count == 1 and not any(steps):
                self.totals[t] = b.alloca(F64)  # sums of float32 too, as in the engine
                b.store(F64(0.0), self.totals[t])
            elif what == "sum":
                self._zero(number, count * itemsize(dtype))
        for (box, lines), values in zip(code, roots, strict=True):
            if all(first < end for first, end in box):
                self._region(box, lines, values)
        for t, place in self.totals.items():
            number, _, dtype, _, _, _ = self.targets[t]
            b.store(cast(b, b.load(place), "f8", dtype), self._element(number, dtype, I64(0)))
        b.ret_void()

    def _zero(self, number, size):
        b = self.builder
        memset = self.code.module.declare_intrinsic("llvm.memset", [BYTES, I64])
        b.call(memset, [self.function.args[number], I8(0), I64(size), ir.IntType(1)(0)])

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
        if end - first == 1:
            self._nest(box, lines, roots, [*counters, I64(first)])
        else:
            before = b.block
            loop = b.append_basic_block("loop")
            done = b.append_basic_block("done")
            b.branch(loop)
            b.position_at_end(loop)
            counter = b.phi(I64)
            counter.add_incoming(I64(first), before)
            self._nest(box, lines, roots, [*counters, counter])
            following = b.add(counter, I64(1), flags=("nsw", "nuw"))
            counter.add_incoming(following, b.block)
            b.cbranch(b.icmp_unsigned("<", following, I64(end)), loop, done)
            b.position_at_end(done)
        for t, place in local.items():
            number, _, dtype, steps, start, _ = self.targets[t]
            where = self._element(number, dtype, self._index((start, *steps), [*counters, I64(0)]))
            b.store(b.fadd(b.load(where), cast(b, b.load(place), "f8", dtype), flags=REASSOCIATE), where)
            del self.totals[t]

    def _row_totals(self, roots, depth):
        """Registers for sums whose target does not move with the innermost counter."""
        b, made = self.builder, {}
        for t, _ in roots:
            _, what, _dtype, steps, _, _ = self.targets[t]
            if what == "sum" and t not in self.totals and steps[depth] == 0:
                with b.goto_entry_block():
                    place = b.alloca(F64)
                b.store(F64(0.0), place)
                made[t] = self.totals[t] = place
        return made

    def _index(self, affine, counters):
        b = self.builder
        total = None
        for c, counter in zip(affine[1:], counters, strict=True):
            if c:
                part = counter if c == 1 else b.mul(counter, I64(c))
                total = part if total is None else b.add(total, part)
        if total is None:
            return I64(affine[0])
        return b.add(total, I64(affine[0])) if affine[0] else total

    def _value(self, lines, p, counters, values):
        b = self.builder
        line = lines[p]
        what, dtype = line[:2]
        if what == "const":
            return constant(dtype, line[2])
        if what == "load":
            index = I64(line[3][0]) if counters is None else self._index(line[3], counters)
            return load(b, dtype, self._element(line[2], dtype, index))
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
        for t, p in roots:
            number, what, dtype, steps, start, _ = self.targets[t]
            if t in self.totals:
                place = self.totals[t]
                value = cast(b, values[p], dtype, "f8")
                b.store(b.fadd(b.load(place), value, flags=REASSOCIATE), place)
                continue
            where = self._element(number, dtype, self._index((start, *steps), counters))
            if what == "sum":
                b.store(b.fadd(b.load(where), values[p], flags=("contract",)), where)
            else:
                store(b, dtype, values[p], where)

