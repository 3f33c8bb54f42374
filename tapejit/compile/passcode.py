"""LLVM code of loops: one pass, which is planned and written as a program is, inside a loop over the passes."""

from llvmlite import ir

from tapejit.compile import alike
from tapejit.compile.codegen import TABLE, Code
from tapejit.compile.scalarcode import (
    BYTES,
    CONTRACT,
    F64,
    I64,
    IN_MEMORY,
    as_it_is,
    finish,
    is_fragile,
    itemsize,
)
from tapejit.compile.schedule import Planner
from tapejit.compile.sizes import Sizes, has_sizes
from tapejit.compile.steps import Call
from tapejit.graph.anycount import NEAR
from tapejit.graph.counting import EDGE, FOREVER
from tapejit.graph.loop import OWN, Count, Where
from tapejit.graph.node import LAZY

MOVES = ("input", "const", "view", "copy", "cast")
ROOM, STACK = 2, 3  # words of the program's own memory: for how many passes there is memory, and where that is
FEWEST = EDGE + NEAR + 1  # passes of a loop without a fixed number: what its first and last ones leave are different passes
SPARE = 64  # passes that there must be room for beside


class Program(Code):
    """The code of a graph that may hold loops.

    Attributes:
        counted: where the words of loops without a fixed number of passes lie, None if there are none: for how many passes
            there is memory, where that is, and how many passes there were.
        stacks: by node of such a loop, where in that memory its part begins, in bytes a pass; ``stacked`` is the whole.
    """

    def __init__(self, module, planner, *rest):
        super().__init__(module, planner, *rest)
        self.stacks, self.stacked = {}, 0
        for node in planner.graph.nodes:
            if node.op == "loop" and node.attr.counted:
                self.stacks[node.id], self.stacked = self.stacked, self.stacked + node.attr.stacked
        groups = [node.attr.group for node in planner.graph.nodes if node.id in self.stacks]
        may_share = [x for x in planner.graph.nodes if x.op == "loop" and alike.may_share(x)]
        self.alike = Sizes(may_share, alike.apart, alike.FEWEST).known
        self.passes_functions = {}  # of loops that are alike: the function, and the place of its workspace
        self.counted = ("ws", self.memory.more(8 * (3 + max(groups)))) if groups else None

    def steps_of_program(self):
        """The code of all steps. Beside loops the rest runs once: it is not worth LLVM's time to join its operations."""
        super().steps_of_program()
        if any(isinstance(step, Call) and step.unit.node.op == "loop" for step in self.steps):
            self.long_scalars = False

    def _call(self, step):
        node = step.unit.node
        if node.op != "loop":
            super()._call(step)
            return
        shared, sizes = self.alike.get(node, (node, ()))
        if shared not in self.passes_functions:
            loop = node.attr if shared is node else alike.with_parts(node.attr, shared[1])
            inner = LoopCode(self, node, loop, len(sizes))
            room = self.memory.more(64 + inner.memory.size) if inner.memory.size else 0
            self.passes_functions[shared] = inner.entry, room
        else:
            self.passes_functions[shared][0].attributes.add("noinline")  # see ``Code._loops``
        function, room = self.passes_functions[shared]
        block, args = self.memory.home[node.id], self.places_read(node)
        arguments = [self.arrays, self.address("ws", room), self.table, self.address(*block)]
        arguments += [*(self.address(*place) for place in args), *map(I64, sizes)]
        if node.attr.counted:
            arguments.append(self.builder.bitcast(self.address(*self.counted), TABLE))
        status = self.builder.call(function, arguments)
        if node.attr.guards or node.attr.counted:
            with self.builder.if_then(self.builder.icmp_signed("!=", status, I64(0)), likely=False):
                self._leave(status)

    def _leave(self, status):
        self.builder.ret(status)

    def on_stack(self):
        return not self.counted and super().on_stack()

    def prepared(self, b, own, workspace, further):
        """Enter where the memory that grows lies: the program's own, or the ``further`` bytes that another thread has."""
        if not self.counted:
            return
        words = b.bitcast(b.gep(workspace, [I64(self.counted[1])]), TABLE)
        b.store(self._room(b, own), words)
        place = b.load(b.gep(b.bitcast(own, TABLE), [I64(STACK)])) if further is None else b.ptrtoint(further, I64)
        b.store(place, b.gep(words, [I64(1)]))

    def further(self, b, own):
        return b.mul(self._room(b, own), I64(self.stacked)) if self.counted else None

    def _room(self, b, own):
        """For how many passes there is memory; read before where that is, which another thread may just change."""
        return b.load_atomic(b.gep(b.bitcast(own, TABLE), [I64(ROOM)]), "acquire", 8)


class LoopCode(Program):
    """Writes the function of one loop: ``i64 passes(i8** arrays, i8* workspace, i64* table, i8* block, i8* operands...)``.

    Args:
        loop: what it does, with ``Size`` for numbers that are arguments; there are ``sizes`` of these, after the operands.

    Attributes:
        entry: the function; it answers 0, or 1 + the number of the guard that failed.
    """

    CHUNK = INLINED = 1 << 30  # the code of a pass stays together

    def __init__(self, outer, node, loop, sizes):
        self.loop = loop
        planner = Planner(loop.graph, loop.outputs, loop.guards, len(loop.reads))
        planner.stored |= {x.id for x in loop.stored if x.op in LAZY and x.n > 1}
        super().__init__(outer.module, planner, planner.plan(), outer.fma, outer.calls)
        self.module_functions = outer.module_functions
        self.tag = f"{outer.tag}pass{outer.count}_"
        outer.count += 1
        self.types = [x.dtype for x in node.args]
        self.bases = {OWN: outer.stacks.get(node.id), **{j: outer.stacks.get(x.id) for j, x in enumerate(node.args)}}
        self.failing = 1 + len(outer.planner.guards)  # the status where there is no room, and after it that of too few passes
        self._write(node, sizes)

    def _write(self, node, sizes):
        loop = self.loop
        words = [TABLE] if loop.counted else [I64] * sizes
        kind = ir.FunctionType(I64, [BYTES.as_pointer(), BYTES, TABLE, BYTES, *[BYTES] * len(node.args), *words])
        function = self.entry = self.main = ir.Function(self.module, kind, self.tag)
        function.linkage = "internal"
        self.arrays, self.workspace, self.table, self.block, *self.operands = function.args
        for argument in function.args[1 : len(function.args) - sizes]:
            argument.add_attribute("noalias")
        self.operands, self.told = self.operands[: len(self.operands) - sizes], self.operands[len(self.operands) - sizes :]
        self.builder = b = ir.IRBuilder(function.append_basic_block("entry"))
        self.pointers, self.written, self.counter = {}, {}, None
        if loop.counted:
            self.words = self.operands.pop()
            self.room, self.stack = b.load(self.words), b.inttoptr(b.load(b.gep(self.words, [I64(1)])), BYTES)
            self.end = self.passes = None if loop.counted == "until" else self._passes_known()
        self._copy_first()
        registers = self._registers()
        before = b.block
        top, done = function.append_basic_block("pass"), function.append_basic_block("done")
        self.done = done
        b.branch(top)
        b.position_at_end(top)
        self.counter = b.phi(I64)
        self.counter.add_incoming(I64(0), before)
        if loop.counted == "until":
            self._look_for_room()
        self._places(registers)
        self.steps_of_program()
        self._hand_on(registers)
        for update in loop.updates:
            self._update(update)
        following = b.add(self.counter, I64(1), flags=("nsw", "nuw"))
        self.counter.add_incoming(following, b.block)
        trips = self._integer(loop.trips)
        if loop.counted in ("again", "given"):
            trips = self.passes = b.add(self.passes, I64(loop.more))
        end = b.branch(top) if loop.counted == "until" else b.cbranch(b.icmp_unsigned("<", following, trips), top, done)
        passes = 0 if has_sizes(loop.trips) else loop.trips
        fragile = loop.unvectorised or (not loop.counted and is_fragile(passes, self._written()))
        if fragile or all(x.op in MOVES for x in loop.graph.nodes):
            as_it_is(self.module, end, self.tag)
        b.position_at_end(done)
        if loop.counted:
            self._leave_slots()
        b.ret(I64(0))
        finish(function)

    def _passes_known(self):
        """How many passes an earlier loop has had, or the call says."""
        b, loop = self.builder, self.loop
        if loop.counted == "again":
            return b.load(b.gep(self.words, [I64(2 + loop.group)]))
        passes = b.fptosi(b.load(self._typed(self.operands[loop.given], "f8")), I64)
        self._look_for_room_of(passes)
        return passes

    def _look_for_room_of(self, passes):
        """No pass without memory for it, and for what those around it leave."""
        b = self.builder
        with b.if_then(b.icmp_unsigned(">", b.add(passes, I64(SPARE)), self.room), likely=False):
            b.ret(I64(self.failing))

    def _look_for_room(self):
        """No pass without memory, and none that may be another than those recorded."""
        b, most = self.builder, self.loop.most
        self._look_for_room_of(self.counter)
        if most < FOREVER:
            with b.if_then(b.icmp_unsigned(">", self.counter, I64(most)), likely=False):
                b.ret(I64(self.failing + 1))

    def _leave_slots(self):
        """Note the number of passes, and copy what single ones have left to where others read it."""
        b, loop = self.builder, self.loop
        if loop.counted == "until":
            self.passes = self.counter
            b.store(self.passes, b.gep(self.words, [I64(2 + loop.group)]))
            with b.if_then(b.icmp_unsigned("<", self.passes, I64(max(FEWEST, loop.fewest))), likely=False):
                b.ret(I64(self.failing + 1))
            if loop.count_at >= 0:
                place = b.gep(self.block, [I64(loop.count_at * itemsize(loop.dtype))])
                b.store(b.sitofp(self.passes, F64), self._typed(place, "f8"))
        trips, size = self.passes, itemsize(loop.dtype)
        copy = self.module.declare_intrinsic("llvm.memcpy", [BYTES, BYTES, I64])
        for slot, where, t, n in loop.slots:
            self.counter = I64(t) if t >= 0 else b.add(trips, I64(t))
            target = b.gep(self.block, [I64(slot * size)])
            b.call(copy, [target, self._element(where, loop.dtype), I64(n * size), ir.IntType(1)(0)])

    def _written(self):
        """(dtype, step from pass to pass) of what is written."""
        loop = self.loop
        places = [(x.dtype, w) for x, w in zip(loop.outputs, loop.writes, strict=True) if w is not None]
        places += [(update.dtype, update.where) for update in loop.updates]
        yield from ((dtype, -1 if has_sizes(where.step) else where.step) for dtype, where in places)

    # Memory

    def _element(self, where, dtype):
        """The ``i8*`` of the first element of a Where in this pass."""
        b = self.builder
        base = self.block if where.base == OWN else self.operands[where.base]
        size = itemsize(dtype)
        index = None
        if where.stack >= 0:
            base = b.gep(self.stack, [b.mul(self.room, I64(self.bases[where.base] + where.stack))])
        if where.ends:
            index = b.mul(self.end, I64(where.ends * size), flags=("nsw",))
        if where.step:
            t = self.counter
            if where.mask:
                t = b.and_(b.add(t, I64(where.shift)) if where.shift else t, I64(where.mask))
            at = b.mul(t, self._bytes(where.step, size), flags=("nsw",))
            index = at if index is None else b.add(index, at)
        if where.table >= 0:
            table = b.bitcast(self.operands[where.table], I64.as_pointer())
            at = b.mul(b.load(b.gep(table, [self.counter])), I64(size))
            index = at if index is None else b.add(index, at)
        if where.start:
            base = b.gep(base, [self._bytes(where.start, size)])
        return base if index is None else b.gep(base, [index])

    def _integer(self, x):
        return self.told[x.number] if has_sizes(x) else I64(x)

    def _bytes(self, elements, size):
        return self.builder.mul(self._integer(elements), I64(size)) if has_sizes(elements) else I64(elements * size)

    def _typed(self, pointer, dtype):
        return self.builder.bitcast(pointer, IN_MEMORY[dtype].as_pointer())

    def _copy_first(self):
        b, dtype = self.builder, self.loop.dtype
        size = itemsize(dtype)
        copy = self.module.declare_intrinsic("llvm.memcpy", [BYTES, BYTES, I64])
        for at, where, n in self.loop.copies:
            target = self._element(at, dtype) if at.__class__ is Where else b.gep(self.block, [self._bytes(at, size)])
            b.call(copy, [target, self._element(where, dtype), self._bytes(n, size), ir.IntType(1)(0)])

    def _registers(self):
        """For each carried number the places of what it was one pass ago, two passes ago, ..."""
        b, made = self.builder, []
        for carried in self.loop.carried:
            kind = IN_MEMORY[carried.dtype]
            places = [b.alloca(kind) for _ in carried.first]
            for place, where in zip(places, reversed(carried.first), strict=True):
                b.store(b.load(self._typed(self._element(where, carried.dtype), carried.dtype)), place)
            made.append(places)
        return made

    def _places(self, registers):
        """Where this pass reads and writes."""
        b, loop = self.builder, self.loop
        inputs = {node.attr: node.dtype for node in loop.graph.nodes if node.op == "input"}
        for j, where in enumerate(loop.reads):
            if where.__class__ is Where:
                self.pointers["in", j] = self._element(where, inputs[j])
            else:
                place = self._counted(where) if where.__class__ is Count else registers[where[1]][-1]
                self.pointers["in", j] = b.bitcast(place, BYTES)
        for j, (node, where) in enumerate(zip(loop.outputs, loop.writes, strict=True)):
            if where is not None:
                self.pointers["out", j] = self._element(where, node.dtype)
            elif node.n == 1:
                with b.goto_entry_block():
                    self.written[j] = b.alloca(IN_MEMORY[node.dtype])
                    self.pointers["out", j] = b.bitcast(self.written[j], BYTES)
            else:
                self.written[j] = place = self.address("ws", self.memory.more(node.n * itemsize(node.dtype)))
                self.pointers["out", j] = place

    def _counted(self, count):
        """The place of a number that goes along with the passes."""
        b = self.builder
        total = b.add(b.mul(self.counter, I64(count.step)), I64(count.start))
        if count.ends:
            total = b.add(total, b.mul(self.end, I64(count.ends)))
        with b.goto_entry_block():
            place = b.alloca(F64)
        b.store(b.sitofp(total, F64), place)
        return place

    def address(self, base, offset):
        if base[0] in ("in", "out"):
            pointer = self.pointers[base]
            return self.builder.gep(pointer, [I64(offset)]) if offset else pointer
        return super().address(base, offset)

    # The end of a pass

    def _hand_on(self, registers):
        b = self.builder
        new = [b.load(self.written[carried.output]) for carried in self.loop.carried]
        for value, places in zip(new, registers, strict=True):
            for target, source in zip(reversed(places[1:]), reversed(places[:-1]), strict=True):
                b.store(b.load(source), target)
            b.store(value, places[0])

    def _update(self, update):
        """Add an output to a part of an array in the block, or put it there."""
        b, dtype = self.builder, update.dtype
        target = self._typed(self._element(update.where, dtype), dtype)
        source = self.written[update.output]
        if self.loop.outputs[update.output].n == 1:
            self._change(update, target, source)
            return
        source = self._typed(source, dtype)
        counters, ends = [], []
        for size in update.shape:
            before, block = b.block, b.append_basic_block("update")
            b.branch(block)
            b.position_at_end(block)
            counter = b.phi(I64)
            counter.add_incoming(I64(0), before)
            counters.append(counter)
            ends.append((block, size))
        at = from_ = I64(0)
        for counter, size, stride in zip(counters, update.shape, update.strides, strict=True):
            at = b.add(at, b.mul(counter, I64(stride)))
            from_ = b.add(b.mul(from_, I64(size)), counter)
        self._change(update, b.gep(target, [at]), b.gep(source, [from_]))
        for counter, (block, size) in zip(reversed(counters), reversed(ends), strict=True):
            following = b.add(counter, I64(1), flags=("nsw", "nuw"))
            counter.add_incoming(following, b.block)
            done = b.append_basic_block("updated")
            branch = b.cbranch(b.icmp_unsigned("<", following, I64(size)), block, done)
            if is_fragile(size, [(dtype, stride) for stride in update.strides]):
                as_it_is(self.module, branch, f"{self.tag}{block.name}")
            b.position_at_end(done)

    def _change(self, update, place, source):
        b = self.builder
        value = b.load(source)
        b.store(value if update.put else b.fadd(b.load(place), value, flags=CONTRACT), place)

    # Guards

    def _return_if(self, failed, number):
        first, step = self.loop.numbers[number]
        b = self.builder
        if number == self.loop.ending:
            with b.if_then(failed, likely=False):
                b.branch(self.done)
            return
        with b.if_then(failed, likely=False):
            self.builder.ret(b.add(b.mul(self.counter, I64(step)), I64(first + 1)))
