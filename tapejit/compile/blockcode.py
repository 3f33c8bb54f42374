"""LLVM code of steps that are done a block of rows at a time (see ``compile.rowblocks``)."""

import numpy as np
from llvmlite import ir

from tapejit.compile.loops import START, LoopWriter
from tapejit.compile.rowblocks import FORWARD
from tapejit.compile.scalarcode import BYTES, I64, IN_MEMORY, VOID, finish, itemsize
from tapejit.compile.shared import PART_FUNCTION, Shared, kept_dtype
from tapejit.compile.sizes import Size

KERNEL = ir.FunctionType(VOID, [I64] * 5).as_pointer()
REVERSE = ir.FunctionType(VOID, [I64] * 8).as_pointer()


class BlockCode(Shared):
    """Writes the function of some ``steps.Blocks``: each part does a range of blocks, of which it sums what is summed apart.

    Attributes:
        words: what the function takes: places (base, offset), or numbers in the table of addresses.
    """

    def __init__(self, code, blocks, name):
        super().__init__(code, blocks.parts, 0, name)
        self.blocks, self.words, self.loops = blocks, [], 0

    def write(self):
        """The function: ``blocks(words..., apart, team)``."""
        part = self._part()
        self.count = len(self.words)
        return self.outer(part)

    def _part(self):
        blocks = self.blocks
        count = -(-blocks.rows // blocks.block)
        function = self.function_of("part", PART_FUNCTION)
        self.frame, self.number = function.args
        writer = LoopWriter(self.code, function, ())
        b = self.builder = writer.builder
        self.apart = b.load(self.frame)
        steps = [self._loop(step) if along is None else self._product(step, along) for step, along in blocks.members]
        self._begin(writer)
        ends = (b.udiv(b.mul(k, I64(count)), I64(self.parts)) for k in (self.number, b.add(self.number, I64(1))))
        self.first, end = ends
        with writer.loop(self.first, end) as block:
            self.block, self.row = block, b.mul(block, I64(blocks.block))
            self.is_last = b.icmp_unsigned("==", block, I64(count - 1))
            self.rows = b.select(self.is_last, I64(blocks.rows - (count - 1) * blocks.block), I64(blocks.block))
            for write in steps:
                write()
        b.ret_void()
        finish(function)
        return function

    def _word(self, word):
        if word not in self.words:
            self.words.append(word)
        return self.words.index(word)

    def _pointer(self, word, bytes_per_row=0):
        """What a word of the frame points to, at the first row of the block."""
        b = self.builder
        pointer = b.load(b.gep(self.frame, [I64(1 + word)]))
        return b.gep(pointer, [b.mul(self.row, I64(bytes_per_row))]) if bytes_per_row else pointer

    def _address(self, *word):
        return self.builder.ptrtoint(self._pointer(*word), I64)

    def _begin(self, writer):
        """What a part has summed before its first block."""
        b = self.builder
        for key, (_, what, kept, n, _, _) in self.sums.items():
            place = b.bitcast(self.place(b, key, self.apart, self.number), IN_MEMORY[kept].as_pointer())
            with writer.loop(I64(0), I64(n)) as i:
                b.store(ir.Constant(IN_MEMORY[kept], START[what]), b.gep(place, [i]))

    # Products

    def _product(self, step, along):
        """What writes the call of a product's kernel for a block."""
        code, node = self.code, step.unit.node
        size = itemsize(node.dtype)
        block, last = self.blocks.block, self.blocks.rows % self.blocks.block or self.blocks.block
        records = []
        for rows in (block, last):
            words = np.array(along.words, dtype=np.int64)
            words[along.rows] = rows
            kernel, record = code.calls.prepare(code.planner, node, words.tobytes(), along.kernel)
            records.append(self._word(record))
        kernel = self._word(kernel)
        x, y = map(self._word, code.places_read(node))
        out = self._word(code.memory.home[node.id])
        if along.kernel != FORWARD:
            self.sum_apart(node.id, "sum", node.dtype, along.width, out, node.dtype)

        def write():
            b = self.builder
            record = b.select(self.is_last, self._address(records[1]), self._address(records[0]))
            left, right = self._address(x, along.x * size), self._address(y, along.y * size)
            if along.kernel == FORWARD:
                arguments = [record, self._address(out, along.width * size), left, right, I64(0)]
                b.call(b.inttoptr(self._address(kernel), KERNEL), arguments)
                return
            target = b.ptrtoint(self.place(b, node.id, self.apart, self.number), I64)
            arguments = [record, right, left, I64(0), I64(0), I64(0), target, I64(1)]
            b.call(b.inttoptr(self._address(kernel), REVERSE), arguments)

        return write

    # Loops

    def _loop(self, step):
        """What writes the call of a loop's function for a block; the function takes buffers, and then numbers."""
        buffers, sizes = [], []  # (word, bytes per row) or the key of a sum; how often the rows of a block a number is
        per_row = step.regions[0].box[0][1] // self.blocks.rows

        def buffer(what):
            if what not in buffers:
                buffers.append(what)
            return buffers.index(what)

        def size(factor):
            if factor not in sizes:
                sizes.append(factor)
            return Size(sizes.index(factor))

        lines = []
        for line in step.regions[0].body:
            if line[0] == "load":
                _, dtype, k, affine = line
                word = self._word(self.code.memory.home[k])
                line = "load", dtype, buffer((word, affine[1] * per_row * itemsize(dtype))), affine
            lines.append(line)
        targets, onward, numbers = [], set(), {}
        for unit in step.units:
            if self.code.is_home(unit):
                continue
            numbers[unit.id] = t = len(targets)
            place = (("out", unit.number), 0) if unit.kind == "out" else self.code.memory.home[unit.node.id]
            what, dtype, steps, start, n = step.action(self.code.planner, unit)
            word = self._word(place)
            if what in START and not steps[0]:
                onward.add(t)
                kept = kept_dtype(dtype, steps, n)
                self.sum_apart(unit.id, what, kept, n, word, dtype)
                targets.append((buffer(unit.id), what, kept, steps, start, n))
            else:
                width = n // self.blocks.rows
                targets.append((buffer((word, width * itemsize(dtype))), what, dtype, steps, start, size(width)))
        roots = [(numbers[u.id], value, last) for u, value, last in step.regions[0].roots if u.id in numbers]
        box = ((0, size(per_row)), *step.regions[0].box[1:])
        function = self._loop_function(len(buffers), len(sizes))
        writer = LoopWriter(self.code, function, targets, sizes=function.args[len(buffers) :], onward=onward)
        writer.write(((box, lines),), (roots,))
        finish(function)

        def write():
            b = self.builder
            pointers = [
                self._pointer(*what) if isinstance(what, tuple) else self.place(b, what, self.apart, self.number)
                for what in buffers
            ]
            b.call(function, [*pointers, *(b.mul(self.rows, I64(factor)) for factor in sizes)])

        return write

    def _loop_function(self, buffers, sizes):
        function = self.function_of(f"loop{self.loops}", ir.FunctionType(VOID, [BYTES] * buffers + [I64] * sizes))
        self.loops += 1
        for argument in function.args[:buffers]:
            argument.add_attribute("noalias")
        return function
