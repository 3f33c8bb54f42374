"""Loops whose passes look up in a table where they read and write, as offsets in bytes."""

import itertools

import numpy as np
from llvmlite import ir

from tapejit.compile.scalarcode import (
    BYTES,
    I1,
    I32,
    I64,
    IN_MEMORY,
    LANES,
    VOID,
    Primitives,
    as_it_is,
    cast,
    constant,
    finish,
    in_vectors,
    load,
    store,
)
from tapejit.graph.node import EXACT
from tapejit.spec.primitives import FUNCTION, PRIMITIVES

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
        self.branch = b.cbranch(b.icmp_unsigned("<", following, self.trips), self.top, self.done)
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

    What lies at one place for all passes, or at equal distances, is told by a row of ``heads``, one per stretch; anything else
    by a row of ``rows``, one per pass.

    Attributes:
        members: the stretches.
    """

    def __init__(self, scalars, stretch):
        self.scalars, self.code, self.members = scalars, scalars.code, []
        self.period, self.ways = stretch.period, stretch.ways
        self.shown = scalars.positions(stretch)[: stretch.period]
        self.told = tuple(scalars.told[stretch.start : stretch.start + stretch.period])
        self.read = [a for p in self.shown for a in operands_of(self.code[p])]

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

    # The tables

    def prepare(self):
        """Make the tables, and the function unless another block of code has it."""
        self.bases, self.fixed, self.kept, self.numbers = {}, {}, {}, {}
        self.heads, self.steps, self.looked_up = {}, {}, {}
        trips = [member.trips for member in self.members]
        ends = list(itertools.accumulate(trips))
        self.firsts = {id(member): end - n for member, end, n in zip(self.members, ends, trips, strict=True)}
        self.number = {id(member): k for k, member in enumerate(self.members)}
        lasts = np.array(ends) - 1
        heads, rows = [], []
        for key, base, offsets in (*self._reads(), *self._writes(set(lasts.tolist()))):
            self.bases[key] = base
            step = self._step(key, offsets := np.array(offsets), lasts)
            if step is None:
                self.looked_up[key] = len(rows)
                rows.append(offsets)
            else:
                self.heads[key], self.steps[key] = len(heads), step
                heads.append(offsets[lasts if self._is_last(key) else lasts - np.array(trips) + 1])
        self.apart = not any(member.reads_itself for member in self.members)
        writer = self.scalars.writer
        told = (self.bases, self.fixed, self.kept, self.steps, self.looked_up)
        shape = self.told, self.ways, self.apart, *(tuple(d.items()) for d in told)
        if shape not in writer.functions:
            writer.functions[shape] = self._written(writer)
        self.function = writer.functions[shape]
        self.head_table, self.row_table = (words(writer, np.array(x).T) if x else None for x in (heads, rows))
        if self.numbers:
            self.constants = words(writer, np.array([float(text) for text in self.numbers]).view(np.int32)).bitcast(BYTES)

    def _is_last(self, key):
        return key[0] == "made" and self.kept[key[1]] == "last"

    def _step(self, key, offsets, lasts):
        """The distance from pass to pass in a column, 0 where one pass alone uses it, None if there is no such distance."""
        if self._is_last(key) or (key[0] == "read" and self.ways[key[1]][0] == "carried"):
            return 0
        steps = np.delete(np.diff(offsets), lasts[:-1])
        if len(steps) and (steps != steps[0]).any():
            return None
        return int(steps[0]) if len(steps) else 0

    def _reads(self):
        """The columns of what is read: triples of a key, the array, and where in it each pass reads."""
        rows = [row for member in self.members for row in self._read_by(member)]
        for j, (way, *_) in enumerate(self.ways):
            if way == "inner":
                continue
            column = [row[j] for row in rows]
            what, dtype = self.code[column[0]][:2]
            if what == "const" and len({self.code[p][2] for p in column}) == 1:
                self.fixed[j] = dtype, self.code[column[0]][2]
                continue
            places = list(map(self._place, column))
            yield ("read", j), places[0][0], [offset for _, offset in places]

    def _place(self, p):
        """Where a value lies. Those that are handed on need not lie anywhere."""
        what, *rest = self.code[p]
        if what == "const":
            return NUMBERS, 8 * self.numbers.setdefault(rest[1], len(self.numbers))
        return self.scalars.home(p) if what == "load" else self.scalars.places.get(p, ("ws", 0))

    def _writes(self, lasts):
        """The columns of what others read: of each pass, or of the last one alone."""
        places, spare = self.scalars.places, self.scalars.spare
        made = [row for member in self.members for row in self._passes(member)]
        inside = {a for member in self.members for a in self.from_memory(member)}  # among it what a pass reads of its own
        for k, column in enumerate(zip(*made, strict=True)):
            wanted = [r for r, p in enumerate(column) if p in places]
            if wanted:
                late = all(r in lasts and column[r] not in inside for r in wanted)
                self.kept[k] = "last" if late else "each"
                known = all(p in places or p in spare for p in column)
                nowhere = ("ws", 0) if known else ("ws", self.scalars.writer.memory.more(8))
                yield ("made", k), "ws", [(places.get(p) or spare.get(p, nowhere))[1] for p in column]

    # The function

    def _is_value(self, key):
        """Whether a number is passed to the function, rather than where it lies."""
        return key[0] == "read" and self.steps[key] == 0 and (self.apart or self.ways[key[1]][0] == "carried")

    def _written(self, writer):
        arrays = list(dict.fromkeys(self.bases[key] for key in self.looked_up))
        kinds = [self._kind(key) if self._is_value(key) else BYTES for key in self.heads]
        kind = ir.FunctionType(VOID, [*kinds, *[BYTES] * len(arrays), I32.as_pointer(), I64])
        function = writer.function(kind, "stretch")
        *arguments, table, trips = function.args
        self.arguments = dict(zip(self.heads, arguments, strict=False))
        self.arrays = dict(zip(arrays, arguments[len(kinds) :], strict=True))
        for argument in arguments[: len(kinds)] if self.apart else ():
            if argument.type is BYTES:
                argument.add_attribute("noalias")  # nothing that a pass writes is read by another
        rows = Rows(function, table, len(self.looked_up), trips)
        with rows:
            made = self._pass(rows, Primitives(writer.module, rows.builder, writer.fma, True, True))
        if self._is_vector():
            in_vectors(writer.module, rows.branch, function.name)
        else:
            as_it_is(writer.module, rows.branch, function.name)
        for k, when in self.kept.items():
            if when == "last":
                self._keep(rows, k, made[k])
        rows.end()
        return function

    def _kind(self, key):
        """The type of a number in memory."""
        dtype = self.code[self.read[key[1]]][1]
        return I1 if dtype == "b1" else IN_MEMORY[dtype]

    def _pass(self, rows, primitives):
        """The values that a pass makes."""
        b, made, operands, j = rows.builder, [], {}, 0
        for i, (way, *_) in enumerate(self.ways):
            if way == "carried":
                first = self.arguments["read", i]
                operands[i] = b.phi(first.type)
                operands[i].add_incoming(first, rows.before)
        for k, p in enumerate(self.shown):
            what, dtype, name, *_ = self.code[p]
            count = len(operands_of(self.code[p]))
            values, kinds = [], [self.code[a][1] for a in self.read[j : j + count]]
            for i in range(j, j + count):
                way, *source = self.ways[i]
                values.append(operands[i] if i in operands else made[source[0]] if way == "inner" else self._operand(rows, i))
            j += count
            made.append(cast(b, values[0], name, dtype) if what == "cast" else primitives(name, dtype, values, kinds))
            if self.kept.get(k) == "each":
                self._keep(rows, k, made[k])
        for i, phi in operands.items():
            phi.add_incoming(made[self.ways[i][1]], b.block)
        return made

    def _is_vector(self):
        """Whether passes are done several at once: simple operations on numbers in a row, with no sum from pass to pass."""
        if self.looked_up or not self.apart or max(member.trips for member in self.members) < LANES:
            return False
        named = [self.code[p][2].removeprefix(f"{EXACT} ") for p in self.shown if self.code[p][0] == "prim"]
        simple = len(named) == len(self.shown) and all(PRIMITIVES[name].kind != FUNCTION for name in named)
        in_memory = [self.shown[k] if what == "made" else self.read[k] for what, k in self.heads]
        in_a_row = all(abs(step) in (0, 8) for step in self.steps.values()) and any(self.steps.values())
        summed = any(way == "carried" for way, *_ in self.ways)
        return simple and in_a_row and not summed and all(self.code[p][1] == "f8" for p in in_memory)

    def _operand(self, rows, i):
        """An operand from memory."""
        key = "read", i
        if i in self.fixed:
            return constant(*self.fixed[i])
        if key in self.heads and self._is_value(key):
            return self.arguments[key]
        dtype = self.code[self.read[i]][1]
        return load(rows.builder, dtype, self._pointer(rows, key, IN_MEMORY[dtype]))

    def _pointer(self, rows, key, kind):
        """Where a pass reads or writes."""
        if key in self.looked_up:
            return rows.pointer(self.arrays[self.bases[key]], self.looked_up[key], kind)
        b, place, step = rows.builder, self.arguments[key], self.steps[key]
        if step:
            place = b.gep(place, [b.mul(rows.counter, I64(step))])
        return b.bitcast(place, kind.as_pointer())

    def _keep(self, rows, k, value):
        dtype = self.code[self.shown[k]][1]
        store(rows.builder, dtype, value, self._pointer(rows, ("made", k), IN_MEMORY[dtype]))

    # Calls

    def call(self, stretch):
        """Have the passes of a stretch done."""
        writer = self.scalars.writer
        self.called(writer.builder, lambda base: writer.address(base, 0), *map(I64, self.place_of(stretch)))

    def place_of(self, stretch):
        """Where the row of a stretch and those of its passes begin, and how many passes there are."""
        return self.number[id(stretch)] * len(self.heads), self.firsts[id(stretch)] * len(self.looked_up), stretch.trips

    def called(self, b, address, head, row, trips):
        """The same for places in the tables, ``address`` giving where an array begins."""
        array = {base: self.constants if base == NUMBERS else address(base) for base in dict.fromkeys(self.bases.values())}
        arguments = []
        for key, j in self.heads.items():
            offset = b.sext(b.load(b.gep(self.head_table, [b.add(head, I64(j))])), I64)
            place = b.gep(array[self.bases[key]], [offset])
            if self._is_value(key):
                dtype = self.code[self.read[key[1]]][1]
                place = load(b, dtype, b.bitcast(place, IN_MEMORY[dtype].as_pointer()))
            arguments.append(place)
        arguments += [array[base] for base in dict.fromkeys(self.bases[key] for key in self.looked_up)]
        rows = b.gep(self.row_table, [row]) if self.looked_up else ir.Constant(I32.as_pointer(), None)
        b.call(self.function, [*arguments, rows, trips])


class Calls:
    """A function that goes through a table of loops: which one, where its rows begin in its own tables, how many passes.

    Args:
        loops: those that may be called.
    """

    def __init__(self, writer, loops):
        self.writer, self.loops, self.function = writer, loops, None
        self.numbers = {id(loop): number for number, loop in enumerate(loops)}

    def write(self, calls):
        """Have pairs of a loop and a stretch done, one after the other."""
        writer = self.writer
        if self.function is None:
            self.bases = list(dict.fromkeys(base for loop in self.loops for base in loop.bases.values() if base != NUMBERS))
            self.function = self._written()
        rows = [(self.numbers[id(loop)], *loop.place_of(stretch)) for loop, stretch in calls]
        arguments = [writer.address(base, 0) for base in self.bases]
        writer.builder.call(self.function, [*arguments, words(writer, np.array(rows)), I64(len(rows))])

    def _written(self):
        kind = ir.FunctionType(VOID, [*[BYTES] * len(self.bases), I32.as_pointer(), I64])
        function = self.writer.function(kind, "calls")
        *arrays, first, trips = function.args
        with Rows(function, first, 4, trips) as rows:
            b = rows.builder
            number, *place = (rows.offset(column) for column in range(4))
            called = b.append_basic_block("called")
            which = b.switch(number, called)
            for k, loop in enumerate(self.loops):
                block = b.append_basic_block("call")
                which.add_case(I64(k), block)
                b.position_at_end(block)
                loop.called(b, lambda base: arrays[self.bases.index(base)], *place)
                b.branch(called)
            b.position_at_end(called)
        rows.end()
        return function


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
