"""From LLVM code to an address: one small module per program, optimised for this processor and linked into the process."""

import ctypes
import time

import numpy as np
from llvmlite import ir

from tapejit.compile import kept, linker
from tapejit.compile.blasplan import product_words
from tapejit.compile.passcode import ROOM, STACK, Program
from tapejit.compile.rowblocks import gathered
from tapejit.compile.schedule import Planner
from tapejit.core import dtypes, engine
from tapejit.core import record as R
from tapejit.core.layout import layout_of
from tapejit.core.threads import team
from tapejit.edge import collecting, optimiser
from tapejit.edge.objects import has_fma
from tapejit.kernels import blas
from tapejit.spec.table import BY_NAME

FIRST_ROOM = 1 << 10  # passes of a loop without a fixed number that there is memory for at first
MOST_PASSES = 1 << 26
MOST_STACK = 1 << 32  # bytes that such loops of a program may leave


class KernelCalls:
    """The table of addresses from which a program takes kernels, records and arrays, and what must stay for it.

    Attributes:
        table: the addresses.
        places: what lies at each (see ``compile.kept``), with graphs in place of their numbers.
    """

    def __init__(self):
        self.kept = []
        self.table = []
        self.places = []
        self._numbers = {}

    def enter(self, address, place) -> int:
        """The number of an address in the table."""
        key = place[0], address
        if key not in self._numbers:
            self._numbers[key] = len(self.table)
            self.table.append(address)
            self.places.append(place)
        return self._numbers[key]

    def keep(self, array) -> int:
        """The address of an array that lives as long as the program."""
        array = np.ascontiguousarray(array)
        self.kept.append(array)
        return array.__array_interface__["data"][0]

    def prepare(self, planner, node, words=None, which=0):
        """The numbers of a node's kernel and of its record.

        Args:
            words: the plan of a product, if not that of the node.
            which: of the op's kernels.
        """
        if words is None:
            words = np.array(product_words(planner, node), dtype=np.int64).tobytes() if node.op == "matmul" else b""
        kernel = self.enter(self._kernel(node, which), ("kernel", planner.graph, node.id, which))
        return kernel, self.enter(self._record(node, words), ("record", planner.graph, node.id, words))

    def restore(self, graphs, places):
        """The table of a program that was compiled before.

        Args:
            graphs: pairs of a graph and the guards in it.
        """
        for what, *place in places:
            if what == "team":
                address = team.address
            else:
                (graph, guards), k, *words = graphs[place[0]], *place[1:]
                if what == "extern":
                    address = graph.arrays[k].__array_interface__["data"][0]
                elif what == "bytes":
                    address = self.keep(guards[k][2])
                else:
                    node = graph.nodes[k]
                    address = (self._kernel if what == "kernel" else self._record)(node, *words)
            self.table.append(address)

    def _kernel(self, node, which):
        code = BY_NAME["matmul"].code if node.op == "matmul" else node.attr.code
        slot = code * R.KERNELS_PER_OP + dtypes.as_dtype(node.dtype).code * 4 + which
        if not engine.kernel_table[slot]:
            with linker.linking.lock:
                blas.link()
                engine.compile_slot(slot)
        return int(engine.kernel_table[slot])

    def _record(self, node, words):
        if node.op == "matmul":
            code, plan, imm = BY_NAME["matmul"].code, self.keep(np.frombuffer(words, dtype=np.int64)), 0.0
        else:
            _, code, plan, imm = node.attr
        record = np.zeros(1, dtype=R.RECORD)
        record["op"], record["n"], record["plan"], record["imm"] = code, node.n, plan, imm
        layout = layout_of(node.shape, dtypes.as_dtype(node.dtype))
        record["layout"] = layout.address
        self.kept.append(layout)
        return self.keep(record)


class Machine:
    """The machine code of a program.

    Args:
        wanted: graph, outputs, guards and number of inputs, as ``schedule.Planner`` takes them.

    Attributes:
        address: of ``i64 program(i8** arrays, i8* workspace)``.
        workspace: the address of its workspace.
    """

    def __init__(self, *wanted):
        self.calls = KernelCalls()
        with collecting.paused():
            structure = kept.Structure(*wanted)
        size, self._stacked, counted = self._found(structure) or self._made(structure, wanted)
        memory = np.zeros(192 + size, dtype=np.uint8)
        base = memory.__array_interface__["data"][0]
        self._memory = memory
        self.workspace = (base + 63) & ~63
        self._table = np.array([*self.calls.table, 0], dtype=np.int64)
        words = self._words = memory[self.workspace - base :][:64].view(np.int64)
        self._stacks = []
        if counted:
            self.grow()
        words[1] = self._table.__array_interface__["data"][0]
        self._function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(self.address)

    def _found(self, structure):
        """(bytes of workspace, bytes that a pass leaves, whether passes are counted) of a program that was kept, else None."""
        found = kept.read(structure)
        engine = found and linker.found(found[0])
        if not engine:
            return None
        digest, *memory, places = found
        self.calls.restore(structure.graphs, places)
        self._engine, self.address = engine, engine.addresses[digest]
        return memory

    def _made(self, structure, wanted):
        """The same of a program that is planned and compiled, and kept if that took a while."""
        start = time.perf_counter()
        machine = optimiser.target_machine()
        module = ir.Module(linker.NAME)
        module.triple = machine.triple
        module.data_layout = str(machine.target_data)
        with collecting.paused():  # of a long recording there are some hundred thousand objects that all live
            planner = Planner(*wanted)
            code = Program(module, planner, gathered(planner, planner.plan()), has_fma(), self.calls)
            code.write(linker.NAME)
        digest, self._engine = linker.linked(str(module), code.long_scalars)
        self.address = self._engine.addresses[digest]
        memory = 0 if code.on_stack() else code.memory.size, code.stacked, bool(code.counted)
        if time.perf_counter() - start > linker.WORTH_KEEPING:
            kept.write(structure, digest, *memory, self.calls.places)
        return memory

    def grow(self):
        """Make room for twice as many passes of loops without a fixed number.

        Raises:
            MemoryError: if that would be more than is allowed.
        """
        room = max(FIRST_ROOM, 2 * int(self._words[ROOM]))
        size = room * self._stacked
        if size > MOST_STACK or room > MOST_PASSES:
            raise MemoryError(
                f"a loop has gone through {room // 2} passes without an end, each of which leaves {self._stacked} bytes for "
                f"the gradient; {MOST_PASSES} passes and {MOST_STACK >> 20} MB at most are kept: let it end earlier, or use "
                "tj.checkpoint"
            )
        memory = np.empty(size + 64, dtype=np.uint8)
        self._stacks.append(memory)  # the one before stays: a thread may be at it
        self._words[STACK] = (memory.__array_interface__["data"][0] + 63) & ~63
        self._words[ROOM] = room

    def run(self, table) -> int:
        """The status of the program on an array of addresses: of its inputs, then of its results."""
        return self._function(table.__array_interface__["data"][0], self.workspace)
