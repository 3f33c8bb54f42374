"""Large loops in parts, which the threads of ``core.threads`` share.

How a loop is cut depends on the loop alone, and what its parts sum apart is added in their order, whoever did them. So results
do not depend on the number of threads, and one thread does the same parts one after the other.
"""

import math
from dataclasses import dataclass

from llvmlite import ir

from tapejit.compile.loops import START, LoopWriter
from tapejit.compile.scalarcode import BYTES, I64, IN_MEMORY, VOID, cast, finish, itemsize
from tapejit.core.team import COUNT, SHARE
from tapejit.graph.node import EXACT
from tapejit.spec.primitives import PRIMITIVES

PART = 50_000  # cycles, roughly, of a part: about what it takes to wake a thread
FEWEST = 4  # parts; a loop that makes fewer is not cut
MOST_PARTS = 64
VECTOR = 8  # elements that an operation takes at once, and bytes that a cycle moves
NARROWEST = 64  # elements of a part along the innermost dimension
PART_FUNCTION = ir.FunctionType(VOID, [BYTES.as_pointer(), I64])


@dataclass(frozen=True)
class Cut:
    """A loop in parts.

    Attributes:
        parts: how many.
        splits: for each region the dimension that the parts share, None for one that the last part does.
        apart: for each target that several parts add to, the number of its elements, which each part has for itself.
    """

    parts: int
    splits: tuple
    apart: dict


def cut_of(code, targets, roots):
    """How to cut a loop, None where that does not pay.

    Args:
        code, targets, roots: as ``loops.LoopWriter`` takes them.
    """
    elements = [math.prod(end - first for first, end in box) for box, _ in code]
    cycles = sum(n * _cycles(lines, values) for n, (_, lines), values in zip(elements, code, roots, strict=True))
    parts = int(min(cycles / PART, MOST_PARTS))
    while parts >= FEWEST:
        splits = tuple(_split(box, values, targets, parts) for (box, _), values in zip(code, roots, strict=True))
        apart = _apart(code, targets, roots, splits)
        room = sum(elements) // (VECTOR * sum(apart.values())) if apart else parts
        if room >= parts:
            return Cut(parts, splits, apart) if any(d is not None for d in splits) else None
        parts = room
    return None


def _cycles(lines, values) -> float:
    """What one element takes, roughly."""
    operations = sum(PRIMITIVES[line[2].removeprefix(f"{EXACT} ")].cost for line in lines if line[0] == "prim")
    moved = sum(itemsize(line[1]) for line in lines if line[0] == "load" and any(line[3][1:]))
    return (operations + moved) / VECTOR + len(values)


def _adding(values, targets):
    """The steps of the targets that a region adds to."""
    return [targets[t][3] for t, _, _ in values if targets[t][1] in START]


def _split(box, values, targets, parts):
    """The dimension of a region that parts share: one along which none adds to what another does, else the outermost."""
    steps = _adding(values, targets)
    long = [d for d, (first, end) in enumerate(box) if end - first >= parts * (NARROWEST if d == len(box) - 1 else 2)]
    return next((d for d in long if all(s[d] for s in steps)), long[0] if long else None)


def _apart(code, targets, roots, splits):
    """The targets to which elements of several parts are added."""
    found, ways = {}, {}
    for (box, _), values, d in zip(code, roots, splits, strict=True):
        for t, _, _ in values:
            _, what, _, steps, _, count = targets[t]
            if what in START:
                way = None if d is None else (d, box[d])
                if way is None or not steps[d] or ways.setdefault(t, way) != way:
                    found[t] = count
    return found


class Shared:
    """Writes ``shared(buffers..., apart, team)``, which has parts done by ``part(frame, number)``.

    The frame is the array of what the parts sum apart, and of the buffers.

    Args:
        code: of the program.
        parts: how many.
        count: the number of buffers.
        name: of the function.

    Attributes:
        room: the bytes of all that is summed apart.
    """

    def __init__(self, code, parts, count, name):
        self.code, self.parts, self.count, self.name = code, parts, count, name
        self.sums, self.room = {}, 0

    def sum_apart(self, key, what, kept, n, number, dtype):
        """Let each part have ``n`` elements of dtype ``kept`` for itself; together they become a buffer's.

        Args:
            what: how they are joined: sum, max or min.
            number, dtype: of the buffer.
        """
        self.sums[key] = self.room, what, kept, n, number, dtype
        self.room += self.parts * n * itemsize(kept)

    def function_of(self, suffix, kind):
        function = ir.Function(self.code.module, kind, self.name + suffix)
        function.linkage = "internal"
        return function

    def place(self, b, key, apart, k):
        """Where a part's own sum lies."""
        offset, _, kept, n, _, _ = self.sums[key]
        return b.gep(apart, [b.add(I64(offset), b.mul(k, I64(n * itemsize(kept))))])

    def outer(self, part, filled=()):
        """The function.

        Args:
            filled: of targets that need it beforehand: buffer, dtype, elements and what they are filled with.
        """
        function = self.function_of("", ir.FunctionType(VOID, [BYTES] * (self.count + 2)))
        *buffers, apart, team = function.args
        writer = LoopWriter(self.code, function, ())
        b = writer.builder
        for number, dtype, n, value in filled:
            writer.fill(number, dtype, n, value)
        frame = b.alloca(BYTES, self.count + 1)
        for j, pointer in enumerate((apart, *buffers)):
            b.store(pointer, b.gep(frame, [I64(j)]))
        self._have_done(b, writer, part, frame, team)
        for key in self.sums:
            self._join(writer, key, apart)
        b.ret_void()
        finish(function)
        return function

    def _have_done(self, b, writer, part, frame, team):
        """Every part, by this thread or by the team."""
        words = b.bitcast(team, I64.as_pointer())
        count = b.load_atomic(b.gep(words, [I64(COUNT)]), "monotonic", 8)
        parts = I64(self.parts)
        with b.if_else(b.icmp_signed(">", count, I64(1)), likely=False) as (several, alone):
            with several:
                share = b.load(b.gep(words, [I64(SHARE)]))
                kind = ir.FunctionType(VOID, [I64] * 4).as_pointer()
                addresses = [b.ptrtoint(x, I64) for x in (team, part, frame)]
                b.call(b.inttoptr(share, kind), [*addresses, parts])
            with alone, writer.loop(I64(0), parts) as k:
                b.call(part, [frame, k])

    def _join(self, writer, key, apart):
        """Put together what the parts have summed, in their order."""
        b = writer.builder
        _, what, kept, n, number, dtype = self.sums[key]

        def of_part(k, i):
            own = b.bitcast(self.place(b, key, apart, k), IN_MEMORY[kept].as_pointer())
            return b.load(b.gep(own, [i]))

        with writer.loop(I64(0), I64(n)) as i:
            with b.goto_entry_block():
                place = b.alloca(IN_MEMORY[kept])
            b.store(of_part(I64(0), i), place)
            if self.parts > 1:
                with writer.loop(I64(1), I64(self.parts)) as k:
                    b.store(writer.joined(what, b.load(place), of_part(k, i)), place)
            b.store(cast(b, b.load(place), kept, dtype), writer.element(number, dtype, i))


def kept_dtype(dtype, steps, count):
    """The dtype of a part's own sum: of one number double, as in a register."""
    return "f8" if count == 1 and not any(steps) else dtype


class SharedLoop(Shared):
    """Writes a loop in parts."""

    def __init__(self, code, key, cut, count, name):
        super().__init__(code, cut.parts, count, name)
        (self.lines, self.targets, self.roots), self.cut = key, cut
        for t, n in cut.apart.items():
            number, what, dtype, steps, _, count = self.targets[t]
            self.sum_apart(t, what, kept_dtype(dtype, steps, count), n, number, dtype)

    def write(self):
        """The function of the loop."""
        part = self._part(self._body())
        whole = [t for t, target in enumerate(self.targets) if target[1] in START and t not in self.cut.apart]
        filled = [(number, dtype, n, START[what]) for number, what, dtype, _, _, n in map(self.targets.__getitem__, whole)]
        return self.outer(part, filled)

    def _body(self):
        """The loop's own code: what it adds to apart comes after the buffers, then the number of the part."""
        kind = ir.FunctionType(VOID, [BYTES] * (self.count + len(self.cut.apart)) + [I64])
        function = self.function_of("body", kind)
        for argument in function.args[:-1]:
            argument.add_attribute("noalias")
        targets = list(self.targets)
        for j, t in enumerate(self.cut.apart):
            targets[t] = (self.count + j, targets[t][1], self.sums[t][2], *targets[t][3:])
        LoopWriter(self.code, function, targets, self.cut).write(self.lines, self.roots)
        finish(function)
        return function

    def _part(self, body):
        function = self.function_of("part", PART_FUNCTION)
        frame, k = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        apart, *buffers = [b.load(b.gep(frame, [I64(j)])) for j in range(self.count + 1)]
        b.call(body, [*buffers, *(self.place(b, t, apart, k) for t in self.cut.apart), k])
        b.ret_void()
        finish(function)
        return function
