"""Loops whose passes look up in a table where they read and write, as offsets in bytes."""

import itertools

import numpy as np
from llvmlite import ir

from tapejit.compile.scalarcode import (
    BYTES,
    I32,
    I64,
    IN_MEMORY,
    VOID,
    Primitives,
    cast,
    constant,
    finish,
    load,
    store,
)

FARTHEST = 1 << 31  # bytes that a table can tell
NUMBERS = "numbers"  # the array of the constants that differ from pass to pass


class Rows:
    """A function with a loop over the rows of a table; what is written inside of ``with`` is its body."""

    def __init__(self, function, rows, width, trips):
        self.function, self.width, self.trips = function, width, trips
        self.row = self.first = rows
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))

    def __enter__(self):
        b = self.builder
        self.before, self.top, self.done = b.block, b.append_basic_block("pass"), b.append_basic_block("done")
        b.branch(self.top)
        b.position_at_end(self.top)
        self.row, self.counter = b.phi(I32.as_pointer()), b.phi(I64)
        self.row.add_incoming(self.first, self.before)
        self.counter.add_incoming(I64(0), self.before)
        return self

    def __exit__(self, *_):
        b = self.builder
        following = b.add(self.counter, I64(1), flags=("nsw", "nuw"))
        self.row.add_incoming(b.gep(self.row, [I64(self.width)]), b.block)
        self.counter.add_incoming(following, b.block)
        b.cbranch(b.icmp_unsigned("<", following, self.trips), self.top, self.done)
        b.position_at_end(self.done)

    def end(self):
        self.builder.ret_void()
        finish(self.function)

    def offset(self, column):
        b = self.builder
        return b.sext(b.load(b.gep(self.row, [I64(column)])), I64)

    def pointer(self, base, column, kind):
        """Where an offset of this row leads."""
        return self.builder.bitcast(self.builder.gep(base, [self.offset(column)]), kind.as_pointer())


class StretchLoop:
    """The function of stretches of one body that read in the same ways.

    Attributes:
        members: the stretches.
    """

    def __init__(self, scalars, stretch):
        self.scalars, self.code, self.members = scalars, scalars.code, []
        self.period, self.ways = stretch.period, stretch.ways
        self.shown = scalars.positions(stretch)[: stretch.period]
        self.told = tuple(scalars.told[stretch.start : stretch.start + stretch.period])

    def from_memory(self, stretch):
        """The positions that a stretch reads in memory."""
        rows = self._read_by(stretch)
        for j, (way, *_) in enumerate(self.ways):
            if way != "inner":
                yield from (row[j] for row in (rows if way == "memory" else rows[:1]))

    def _passes(self, stretch):
        positions = self.scalars.positions(stretch)
        return [positions[t : t + self.period] for t in range(0, len(positions), self.period)]

    def _read_by(self, stretch):
        """Per pass the positions of all operands."""
        return [[a for p in made for a in operands_of(self.code[p])] for made in self._passes(stretch)]

    # The table

    def prepare(self):
        """Make the table, and the function unless another block of code has it."""
        self.bases, self.fixed, self.columns, self.kept, self.numbers = ["ws"], {}, {}, {}, {}
        offsets = [*self._reads(), *self._writes()]
        shape = self.told, self.ways, *(tuple(d.items()) for d in (self.fixed, self.columns, self.kept)), tuple(self.bases)
        writer = self.scalars.writer
        if shape not in writer.functions:
            writer.functions[shape] = self._written(writer)
        self.function = writer.functions[shape]
        self.rows = words(writer, np.array(offsets).T)
        if self.numbers:
            self.constants = words(writer, np.array([float(text) for text in self.numbers]).view(np.int32)).bitcast(BYTES)
        firsts = itertools.accumulate((member.trips for member in self.members), initial=0)
        self.firsts = {id(member): first for member, first in zip(self.members, firsts, strict=False)}

    def _reads(self):
        """The columns of what is read."""
        rows = [row for member in self.members for row in self._read_by(member)]
        for j, (way, *_) in enumerate(self.ways):
            if way == "inner":
                continue
            column = [row[j] for row in rows]
            what, dtype = self.code[column[0]][:2]
            if what == "const" and len({self.code[p][2] for p in column}) == 1:
                self.fixed[j] = dtype, self.code[column[0]][2]
                continue
            base, _ = self._place(column[0])
            if base not in self.bases:
                self.bases.append(base)
            self.columns["read", j] = len(self.columns)
            yield [self._place(p)[1] for p in column]

    def _place(self, p):
        """Where a value lies. Those that are handed on need not lie anywhere."""
        what, *rest = self.code[p]
        if what == "const":
            return NUMBERS, 8 * self.numbers.setdefault(rest[1], len(self.numbers))
        return self.scalars.home(p) if what == "load" else self.scalars.places.get(p, ("ws", 0))

    def _writes(self):
        """The columns of what others read: of each pass, or of the last one alone."""
        places = self.scalars.places
        made = [row for member in self.members for row in self._passes(member)]
        lasts = set(itertools.accumulate(member.trips for member in self.members))
        inside = {a for member in self.members for a in self.from_memory(member)}  # among it what a pass reads of its own
        for k, column in enumerate(zip(*made, strict=True)):
            wanted = [r for r, p in enumerate(column) if p in places]
            if wanted:
                late = all(r + 1 in lasts and column[r] not in inside for r in wanted)
                self.kept[k] = "last" if late else "each"
                nowhere = ("ws", 0) if len(wanted) == len(column) else ("ws", self.scalars.writer.memory.more(8))
                self.columns["made", k] = len(self.columns)
                yield [places.get(p, nowhere)[1] for p in column]

    # The function

    def _written(self, writer):
        kind = ir.FunctionType(VOID, [*[BYTES] * len(self.bases), I32.as_pointer(), I64])
        function = writer.function(kind, "stretch")
        *arguments, table, trips = function.args
        self.arguments = dict(zip(self.bases, arguments, strict=True))
        rows = Rows(function, table, len(self.columns), trips)
        read = [a for p in self.shown for a in operands_of(self.code[p])]
        first = {j: self._read(rows, j, read[j]) for j, (way, *_) in enumerate(self.ways) if way == "carried"}
        with rows:
            made = self._pass(rows, Primitives(writer.module, rows.builder, writer.fma, True, True), read, first)
        for k, when in self.kept.items():
            if when == "last":
                self._keep(rows, k, made[k])
        rows.end()
        return function

    def _pass(self, rows, primitives, read, first):
        """The values that a pass makes."""
        b, made, operands = rows.builder, [], {}
        for j, before in first.items():
            operands[j] = b.phi(before.type)
            operands[j].add_incoming(before, rows.before)
        j = 0
        for k, p in enumerate(self.shown):
            what, dtype, name, *_ = self.code[p]
            for a in operands_of(self.code[p]):
                way, *source = self.ways[j]
                if way == "inner":
                    operands[j] = made[source[0]]
                elif j in self.fixed:
                    operands[j] = constant(*self.fixed[j])
                elif way == "memory":
                    operands[j] = self._read(rows, j, a)
                j += 1
            count = len(operands_of(self.code[p]))
            values, kinds = [operands[i] for i in range(j - count, j)], [self.code[a][1] for a in read[j - count : j]]
            made.append(cast(b, values[0], name, dtype) if what == "cast" else primitives(name, dtype, values, kinds))
            if self.kept.get(k) == "each":
                self._keep(rows, k, made[k])
        for j in first:
            operands[j].add_incoming(made[self.ways[j][1]], b.block)
        return made

    def _read(self, rows, j, p):
        dtype = self.code[p][1]
        base, _ = self._place(p)
        return load(rows.builder, dtype, rows.pointer(self.arguments[base], self.columns["read", j], IN_MEMORY[dtype]))

    def _keep(self, rows, k, value):
        dtype = self.code[self.shown[k]][1]
        store(rows.builder, dtype, value, rows.pointer(self.arguments["ws"], self.columns["made", k], IN_MEMORY[dtype]))

    def call(self, stretch):
        """Have the passes of a stretch done."""
        writer = self.scalars.writer
        b = writer.builder
        arguments = [self.constants if base == NUMBERS else writer.address(base, 0) for base in self.bases]
        first = b.gep(self.rows, [I64(self.firsts[id(stretch)] * len(self.columns))])
        b.call(self.function, [*arguments, first, I64(stretch.trips)])


def copied(writer, dtype, base, pairs):
    """Copy values of the workspace to another array: pairs of where they are and go."""
    kind = IN_MEMORY[dtype]
    if kind not in writer.functions:
        function = writer.function(ir.FunctionType(VOID, [BYTES, BYTES, I32.as_pointer(), I64]), "copies")
        source, target, first, trips = function.args
        with Rows(function, first, 2, trips) as rows:
            rows.builder.store(rows.builder.load(rows.pointer(source, 0, kind)), rows.pointer(target, 1, kind))
        rows.end()
        writer.functions[kind] = function
    arguments = [writer.address("ws", 0), writer.address(base, 0), words(writer, np.array(pairs)), I64(len(pairs))]
    writer.builder.call(writer.functions[kind], arguments)


def called_by_rows(writer, called, bases, rows):
    """Call a function of pointers and numbers once a row.

    Args:
        bases: of the pointers.
        rows: offsets of the pointers, then the numbers.
    """
    kept = list(dict.fromkeys(bases))
    function = writer.function(ir.FunctionType(VOID, [*[BYTES] * len(kept), I32.as_pointer(), I64]), "calls")
    *arrays, first, trips = function.args
    width = len(rows[0])
    with Rows(function, first, width, trips) as made:
        pointers = [made.pointer(arrays[kept.index(base)], j, ir.IntType(8)) for j, base in enumerate(bases)]
        made.builder.call(called, [*pointers, *(made.offset(j) for j in range(len(bases), width))])
    made.end()
    table = words(writer, np.array(rows))
    writer.builder.call(function, [*(writer.address(base, 0) for base in kept), table, I64(len(rows))])


class _Words(ir.Constant):
    """Integers as the text of an array."""

    def __init__(self, values):
        super().__init__(ir.ArrayType(I32, len(values)), None)
        self.text = f"[i32 {', i32 '.join(map(str, values))}]"

    def get_reference(self):
        return self.text


def words(writer, values):
    """An array of the module, as ``i32*``."""
    values = values.reshape(-1).tolist()
    made = ir.GlobalVariable(writer.module, ir.ArrayType(I32, len(values)), f"{writer.tag}words{writer.count}")
    writer.count += 1
    made.linkage, made.global_constant, made.align = "internal", True, 8
    made.initializer = _Words(values)
    return made.gep([I64(0), I64(0)])


def operands_of(instruction):
    """The positions that an instruction reads."""
    what = instruction[0]
    return instruction[3:] if what == "prim" else instruction[3:4] if what == "cast" else ()
