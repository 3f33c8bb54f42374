"""LLVM code of a program: ``i64 program(i8** arrays, i8* workspace)``, 0 when every guard held, else 1 + the guard.

Every fused loop is a function of the pointers it uses; loops of one structure are one function. Scalar code is cut into
functions of bounded length, so that compile time stays linear.
"""

import contextlib
import itertools
import math

from llvmlite import ir

from tapejit.compile.blockcode import BlockCode
from tapejit.compile.longscalars import LongScalars
from tapejit.compile.loops import LoopWriter
from tapejit.compile.scalarcode import (
    BYTES,
    I8,
    I32,
    I64,
    IN_MEMORY,
    VOID,
    Primitives,
    cast,
    constant,
    finish,
    itemsize,
    load,
    store,
)
from tapejit.compile.shared import SharedLoop, cut_of
from tapejit.compile.sizes import Sizes
from tapejit.compile.smallsolves import small_function, written_out
from tapejit.compile.steps import Blocks, Loops, Scalars
from tapejit.compile.tableloops import FARTHEST, called_by_rows
from tapejit.compile.workspace import Memory
from tapejit.core.threads import team

TABLE = I64.as_pointer()
PART = ir.FunctionType(I64, [BYTES.as_pointer(), BYTES, TABLE])
ON_STACK = 1 << 14  # bytes of workspace that go on the stack
CALLED = 128  # operations on elements, from which on a loop may as well be called
MANY = 6  # regions, or calls of one function, from which on they go by a table


class Code:
    """Writes the module of one program."""

    CHUNK = 128  # instructions of scalar code per function
    INLINED = 1000  # instructions of all loops: of more, LLVM's time for them as one function grows faster than they do

    def __init__(self, module, planner, steps, has_fma, calls):
        self.module, self.planner, self.steps, self.fma, self.calls = module, planner, steps, has_fma, calls
        self.memory = Memory(planner, steps, calls)
        self.functions, self.calls_waiting = {}, []
        self.module_functions = {}  # of longer loops: the passes of a loop node and the code around it share these
        self.tag, self.count = "", 0  # of the functions' names
        self.long_scalars = False
        self.scalars = sum(len(step.body.code) for step in steps if isinstance(step, Scalars))

    def write(self, name):
        """The function ``name``; its second argument is the program's own workspace, after a flag and its table's address."""
        function = self.main = ir.Function(self.module, PART, name + "_inner")
        function.linkage = "internal"
        arrays, workspace, self.table = function.args
        b = self.builder = ir.IRBuilder(function.append_basic_block("entry"))
        self.arrays, self.workspace = arrays, workspace
        self.pointers = {}
        self.inputs = 1 + max((n.attr for n in self.planner.graph.nodes if n.op == "input"), default=-1)
        self.inputs = max(self.inputs, self.planner.inputs)
        self.steps_of_program()
        b.ret(I64(0))
        self._entry(name, ir.FunctionType(I64, [BYTES.as_pointer(), BYTES]), function)

    def steps_of_program(self):
        """The code of all steps."""
        self._find_sizes()
        for step in self.steps:
            if isinstance(step, Loops):
                self._loops(step)
                continue
            self._have_done()
            if isinstance(step, Scalars):
                self._scalars(step)
            elif isinstance(step, Blocks):
                self._blocks(step)
            elif step.unit.kind == "guard":
                node, what, _ = self.planner.guards[step.unit.number]
                if what != "status" and node.op != "loop":  # those were looked at where they were called
                    self._compare(step.unit)
            elif step.unit.kind == "call":
                self._call(step)
        self._have_done()

    def _entry(self, name, kind, inner):
        """Find a workspace: on the stack if it is small, else the program's own, or a new one if another thread has it."""
        function = ir.Function(self.module, kind, name)
        b = ir.IRBuilder(function.append_basic_block("entry"))
        arrays, own = function.args
        size = self.memory.size
        flag = b.bitcast(own, I64.as_pointer())
        table = b.load(b.bitcast(b.gep(flag, [I64(1)]), TABLE.as_pointer()))
        if self.on_stack():
            place = b.alloca(I64, max(size // 8, 1))
            place.align = 64
            b.ret(b.call(inner, [arrays, b.bitcast(place, BYTES), table]))
            return
        taken = b.cmpxchg(flag, I64(0), I64(1), "acquire")
        with b.if_else(b.extract_value(taken, 1), likely=True) as (free, busy):
            with free:
                workspace = b.gep(own, [I64(64)])
                self.prepared(b, own, workspace, None)
                status = b.call(inner, [arrays, workspace, table])
                b.store_atomic(I64(0), flag, "release", 8)
                b.ret(status)
            with busy:
                further = self.further(b, own)
                room = I64(size + 64) if further is None else b.add(further, I64(size + 64))
                place = b.call(self.extern("malloc", BYTES, [I64]), [room])
                address = b.and_(b.add(b.ptrtoint(place, I64), I64(63)), I64(-64))
                workspace = b.inttoptr(address, BYTES)
                self.prepared(b, own, workspace, b.gep(workspace, [I64(size)]))
                status = b.call(inner, [arrays, workspace, table])
                b.call(self.extern("free", VOID, [BYTES]), [place])
                b.ret(status)
        b.unreachable()

    def on_stack(self):
        """Whether the workspace is on the stack."""
        return self.memory.size <= ON_STACK

    def further(self, b, own):
        """The bytes that are needed beside a workspace of its own, None for none."""

    def prepared(self, b, own, workspace, further):
        """Write what a workspace must hold at the beginning; ``further`` is the place of those bytes if it is a new one."""

    # Addresses in the main function

    def _slot(self, base):
        return base[1] if base[0] == "in" else self.inputs + base[1]

    def address(self, base, offset):
        """An ``i8*`` in the main function."""
        b = self.builder
        if base[0] == "table":
            pointer = b.inttoptr(self.listed(base[1]), BYTES)
            return b.gep(pointer, [I64(offset)]) if offset else pointer
        if base == "ws":
            pointer = self.workspace
        else:
            pointer = self.pointers.get(base)
            if pointer is None:
                with b.goto_block(self.main.entry_basic_block):
                    pointer = self.pointers[base] = b.load(b.gep(self.arrays, [I64(self._slot(base))]))
        return b.gep(pointer, [I64(offset)]) if offset else pointer

    def listed(self, number):
        """An address of this process: it stands in the program's table, so that the code is the same in others."""
        return self.builder.load(self.builder.gep(self.table, [I64(number)]))

    def home(self, node_id):
        return self.address(*self.memory.home[node_id])

    def _return_if(self, failed, number):
        b = self.builder
        with b.if_then(failed, likely=False):
            b.ret(I64(number + 1))

    # Loops

    def _find_sizes(self):
        """Look at all loops, before any code is written: those of one structure share a function."""
        loops = [step for step in self.steps if isinstance(step, Loops)]
        self.keys = {id(step): self._keys(step) for step in loops}
        known = {key for keys in self.keys.values() for key, _ in keys}
        self.sizes = Sizes([key for keys in self.keys.values() for key, _ in keys if cut_of(*key) is None])
        regions = [region for key in known for region in key[0]]
        self.apart = sum(len(lines) for _, lines in regions) > self.INLINED

    def _keys(self, step):
        """The parts of a loop that are functions: all of it, or each region of many; none where there is nothing to do."""
        if all(self.is_home(u) for u in step.units):
            return []
        stored = all(step.action(self.planner, u)[0] == "store" for u in step.units)
        parts = [[region] for region in step.regions] if stored and len(step.regions) >= MANY else [step.regions]
        return [self._key(step, regions) for regions in parts]

    def _key(self, step, regions):
        """What tells some regions of a loop from others, and the places that they read and write."""
        buffers, places = [], {}

        def buffer(key, place):
            if key not in places:
                places[key] = len(buffers)
                buffers.append(place)
            return places[key]

        code = []
        for region in regions:
            lines = []
            for instruction in region.body:
                if instruction[0] == "load":
                    _, dtype, k, affine = instruction
                    base, offset = self.memory.home[k]
                    # In the pointer, so that loops which differ in it alone are one function.
                    shift = affine[0] if self.planner.long else 0
                    place = base, offset + shift * itemsize(dtype)
                    instruction = ("load", dtype, buffer(("r", k, shift), place), (affine[0] - shift, *affine[1:]))
                lines.append(instruction)
            code.append((region.box, tuple(lines)))
        targets = []
        for unit in step.units:
            if self.is_home(unit):
                continue
            place = (("out", unit.number), 0) if unit.kind == "out" else self.memory.home[unit.target.id]
            written = unit.target.id if unit.kind == "part" else unit.id
            targets.append((buffer(("w", written), place), *step.action(self.planner, unit)))
        roots = tuple(
            tuple((position_of(step.units, u, self), value, last) for u, value, last in region.roots if not self.is_home(u))
            for region in regions
        )
        return (tuple(code), tuple(targets), roots), buffers

    def _loops(self, step):
        for key, buffers in self.keys.pop(id(step)):
            shared, sizes = self.sizes.known.get(key, (key, ()))
            whole = key in self.sizes.known or step.is_scatter(self.planner)
            functions = self.module_functions if _work(key) >= CALLED else self.functions
            known = (shared, whole) in functions
            if not known:
                functions[shared, whole] = self._loop_function(shared, len(buffers), len(sizes), whole)
            function, room = functions[shared, whole]
            if room is None:
                self.calls_waiting.append((function, known, buffers, sizes))
                continue
            self._have_done()
            self._apart(function, known)
            self.builder.call(function, [*(self.address(*place) for place in buffers), *self._apart_and_team(room)])

    def _apart(self, function, known):
        """Code that is used again stays in one place."""
        if known or self.apart:
            function.attributes.add("noinline")

    def _have_done(self):
        """Call the functions of the loops that wait: of one function, with a table of where each reads and writes."""
        waiting, self.calls_waiting = self.calls_waiting, []
        for (function, _), calls in itertools.groupby(waiting, lambda call: (call[0], [base for base, _ in call[2]])):
            calls = list(calls)
            rows = [[offset for _, offset in buffers] + list(sizes) for _, _, buffers, sizes in calls]
            if len(rows) >= MANY and all(abs(x) < FARTHEST for row in rows for x in row):
                called_by_rows(self, function, [base for base, _ in calls[0][2]], rows)
                continue
            for _, known, buffers, sizes in calls:
                self._apart(function, known)
                self.builder.call(function, [*(self.address(*place) for place in buffers), *map(I64, sizes)])

    def _apart_and_team(self, room):
        """The last arguments of what is done in parts: memory for what they sum apart, and the threads."""
        apart = self.address("ws", self.memory.more(room)) if room else self.workspace
        return apart, self.address(("table", self.calls.enter(team.address, ("team",))), 0)

    def _blocks(self, step):
        written = BlockCode(self, step, f"{self.tag}blocks{self.count}")
        self.count += 1
        function = written.write()
        self.builder.call(function, [*map(self.read, written.words), *self._apart_and_team(written.room)])

    def read(self, word):
        """An ``i8*`` in the main function: the address of a place, or one that the table lists."""
        return self.address(*word) if isinstance(word, tuple) else self.builder.inttoptr(self.listed(word), BYTES)

    def is_home(self, unit):
        """Whether an output is worked out in its place already."""
        return unit.kind == "out" and self.memory.home.get(unit.node.id) == (("out", unit.number), 0)

    def _loop_function(self, key, count, sizes, whole):
        """The function of a loop, and the bytes that its parts need to sum apart, None for one that is whole.

        Args:
            count: its buffers; after them ``sizes`` numbers are its arguments.
            whole: whether it is not to be cut in any case.
        """
        code, targets, roots = key
        name = f"{self.tag}loop{self.count}"
        self.count += 1
        cut = None if whole else cut_of(code, targets, roots)
        if cut is not None:
            shared = SharedLoop(self, key, cut, count, name)
            return shared.write(), shared.room
        function = ir.Function(self.module, ir.FunctionType(VOID, [BYTES] * count + [I64] * sizes), name)
        function.linkage = "internal"
        for argument in function.args[:count]:
            argument.add_attribute("noalias")
        LoopWriter(self, function, targets, sizes=function.args[count:]).write(code, roots)
        finish(function)
        return function, None

    # Scalar code

    def _scalars(self, step):
        code = step.body.code
        stores, guards = {}, []
        for unit in step.units:
            position = step.values[unit.id]
            if unit.kind == "pack":
                base, offset = self._zeros(unit.node)
                for p, k in zip(position, unit.node.attr, strict=True):
                    stores.setdefault(p, []).append((base, offset + k * itemsize(unit.node.dtype)))
            elif unit.kind == "scalar":
                if unit.node.id in self.planner.slots:
                    stores.setdefault(position, []).append(self.memory.home[unit.node.id])
            elif unit.kind == "out":
                stores.setdefault(position, []).append((("out", unit.number), 0))
            elif unit.kind == "part":
                base, offset = self.memory.home[unit.whole.id]
                start = unit.whole.attr[unit.number][1]
                stores.setdefault(position, []).append((base, offset + start * itemsize(unit.whole.dtype)))
            else:
                guards.append((unit, position))
        if len(code) <= self.CHUNK:
            values = self.instructions(code, range(len(code)), {}, stores, len(code) > 60)
            for unit, position in guards:
                self._guard(unit, values[position], code[position][1])
            return
        self._long(step, stores, guards)

    def _zeros(self, node):
        """The place of an array that is filled element by element, zero where nothing is put."""
        base, offset = self.memory.home[node.id]
        if len(node.attr) < node.n:
            memset = self.module.declare_intrinsic("llvm.memset", [BYTES, I64])
            size = I64(node.n * itemsize(node.dtype))
            self.builder.call(memset, [self.address(base, offset), I8(0), size, ir.IntType(1)(0)])
        return base, offset

    def instructions(self, code, positions, values, stores, outlined):
        """Write some instructions; ``values`` has what these read, and gets what they make."""
        b = self.builder
        primitives = Primitives(self.module, b, self.fma, True, outlined)
        # First all loads, at last all stores: LLVM need not find out which of them may touch the same memory.
        for p in positions:
            if code[p][0] == "load":
                values[p] = self.instruction(primitives, code, p, values)
        for p in positions:
            if p not in values:
                values[p] = self.instruction(primitives, code, p, values)
        for p in positions:
            for place in stores.get(p, ()):
                dtype = code[p][1]
                store(b, dtype, values[p], b.bitcast(self.address(*place), IN_MEMORY[dtype].as_pointer()))
        return values

    def instruction(self, primitives, code, p, values):
        """Write one."""
        b = self.builder
        instruction = code[p]
        what, dtype = instruction[:2]
        if what == "const":
            return constant(dtype, instruction[2])
        if what == "load":
            _, _, k, affine = instruction
            base, offset = self.memory.home[k]
            pointer = self.address(base, offset + affine[0] * itemsize(dtype))
            return load(b, dtype, b.bitcast(pointer, IN_MEMORY[dtype].as_pointer()))
        if what == "cast":
            return cast(b, values[instruction[3]], instruction[2], dtype)
        args = instruction[3:]
        return primitives(instruction[2], dtype, [values[a] for a in args], [code[a][1] for a in args])

    def _long(self, step, stores, guards):
        """The same in functions of bounded length."""
        self.long_scalars, code = True, step.body.code
        scalars = sorted((unit.node.id for unit in step.units if unit.kind == "scalar"), reverse=True)
        recorded = {step.values[k]: k for k in scalars}
        made = LongScalars(self, code, recorded, stores, [position for _, position in guards])
        made.write()
        for unit, position in guards:
            self._guard(unit, made.value(position), code[position][1])

    def function(self, kind, name):
        """A new function of the module that stays one."""
        function = ir.Function(self.module, kind, f"{self.tag}{name}{self.count}")
        self.count += 1
        function.linkage = "internal"
        function.attributes.add("noinline")
        return function

    @contextlib.contextmanager
    def apart_from(self, name):
        """What is written inside goes to a function of its own, which is called here."""
        function = self.function(ir.FunctionType(VOID, [BYTES.as_pointer(), BYTES, TABLE]), name)
        outer = self.builder, self.arrays, self.workspace, self.table, self.main, self.pointers
        self.main, (self.arrays, self.workspace, self.table), self.pointers = function, function.args, {}
        entry, body = function.append_basic_block("entry"), function.append_basic_block("body")
        self.builder = ir.IRBuilder(entry)
        self.builder.branch(body)
        self.builder.position_at_end(body)
        yield
        self.builder.ret_void()
        finish(function)
        self.builder, self.arrays, self.workspace, self.table, self.main, self.pointers = outer
        self.builder.call(function, [self.arrays, self.workspace, self.table])

    # Guards

    def _guard(self, unit, value, dtype):
        b = self.builder
        _, kind, expected = self.planner.guards[unit.number]
        if kind == "status":
            return
        if kind == "truth":
            if dtype != "b1":
                zero = ir.Constant(value.type, 0.0 if dtype[0] == "f" else 0)
                value = b.fcmp_unordered("!=", value, zero) if dtype[0] == "f" else b.icmp_signed("!=", value, zero)
            failed = b.not_(value) if expected else value
        elif kind == "whole":
            whole = value
            if dtype[0] == "f":
                # Compared as floats: a conversion of a float out of range is not defined.
                truncated = b.call(self.module.declare_intrinsic("llvm.trunc", [value.type]), [value])
                failed = b.fcmp_unordered("!=", truncated, ir.Constant(value.type, float(expected)))
            else:
                whole = b.zext(value, I64) if dtype in ("b1", "u1") else cast(b, value, dtype, "i8")
                failed = b.icmp_signed("!=", whole, I64(expected))
        else:
            number = expected.reshape(-1)[0].item()
            if dtype[0] == "f":
                bits = ir.IntType(8 * itemsize(dtype))
                wanted = int.from_bytes(expected.tobytes(), "little")
                failed = b.icmp_unsigned("!=", b.bitcast(value, bits), ir.Constant(bits, wanted))
            else:
                failed = b.icmp_signed("!=", value, ir.Constant(value.type, int(number)))
        self._return_if(failed, unit.number)

    def _compare(self, unit):
        """A guard on all bytes of an array."""
        b = self.builder
        expected = self.planner.guards[unit.number][2]
        compare = self.extern("memcmp", I32, [BYTES, BYTES, I64])
        place = "bytes", self.planner.graph, unit.number
        known = self.address(("table", self.calls.enter(self.calls.keep(expected), place)), 0)
        answer = b.call(compare, [self.home(unit.node.id), known, I64(expected.nbytes)])
        self._return_if(b.icmp_signed("!=", answer, I32(0)), unit.number)

    def extern(self, name, result, arguments):
        function = self.module.globals.get(name)
        return function or ir.Function(self.module, ir.FunctionType(result, arguments), name)

    # Kernels of the op table

    def _call(self, step):
        node = step.unit.node
        words = written_out(node.attr) if node.op == "call" else ()
        if not words:
            self._call_kernel(node)
            return
        b, places = self.builder, [self.address(*place) for place in self.places_read(node)]
        function = small_function(self.module, node.attr, node.dtype, words)
        left = b.call(function, [places[0], places[-1], self.home(node.id)])
        if node.attr.name == "lu":
            with b.if_then(left, likely=False):
                self._call_kernel(node)

    def _call_kernel(self, node):
        kernel, record = map(self.listed, self.calls.prepare(self.planner, node))
        b = self.builder
        addresses = [b.ptrtoint(self.address(*place), I64) for place in self.places_read(node)]
        out = b.ptrtoint(self.home(node.id), I64)
        if len(addresses) > 3:
            addresses[2:] = [self._table(addresses[2:])]
        addresses += [I64(0)] * (3 - len(addresses))
        guard = next((j for j, (x, kind, _) in enumerate(self.planner.guards) if x is node and kind == "status"), None)
        kind = ir.FunctionType(VOID if guard is None else I64, [I64] * 5).as_pointer()
        status = b.call(b.inttoptr(kernel, kind), [record, out, *addresses])
        if guard is not None:
            self._return_if(b.icmp_signed("!=", status, I64(0)), guard)

    def places_read(self, node):
        """Where the operands of a kernel or loop are: a view that is read in its base has a place there."""
        places = []
        for argument, x in zip(node.args, self.planner.operands(node), strict=True):
            base, offset = self.memory.home[x.id]
            start = argument.attr.start if argument is not x else 0
            places.append((base, offset + start * itemsize(x.dtype)))
        return places

    def _table(self, words):
        """The address of some words in memory."""
        b = self.builder
        with b.goto_entry_block():
            table = b.alloca(I64, len(words))
        for j, word in enumerate(words):
            b.store(word, b.gep(table, [I64(j)]))
        return b.ptrtoint(table, I64)


def position_of(units, unit, code):
    """The number of a unit among those that have something to write."""
    return [u.id for u in units if not code.is_home(u)].index(unit.id)


def _work(key):
    """The operations on elements that a loop takes."""
    return sum(math.prod(end - first for first, end in box) * len(lines) for box, lines in key[0])
