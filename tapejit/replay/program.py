"""A program: the machine code of one path of a recorded function, and how its results are put together."""

import contextlib
import threading
import time

import numpy as np

from tapejit.compile.machine import Machine
from tapejit.compile.rowblocks import gathered
from tapejit.compile.schedule import Planner
from tapejit.core import forks
from tapejit.graph import verify
from tapejit.graph.anycount import AnyCount
from tapejit.graph.anylength import AnyLength
from tapejit.graph.reroll import rolled
from tapejit.graph.rewrite import pack_scalars, weave_strands, without_reshape
from tapejit.graph.sides import operands_as_they_lie
from tapejit.replay.doorwords import ProgramBlock
from tapejit.replay.listing import listing

SMALL = 5000  # records left of a recording that is compiled as soon as it was looked at


class Frozen:
    """What is left of a recording once its tape is gone: the graph, what is wanted of it, and its guards.

    Attributes:
        outputs: the nodes of the results.
        guards: triples (node, kind, expected) in the order in which they were met; ``lines`` says where.
        outcomes: one per guard, what tells paths apart.
        left: of how many records code is made; of a loop those of one pass.
        passes: how many passes there were of loops that may have any number of them (see ``graph.anycount``).
        counted: numbers after such loops that these counted.
        whole: per integer among the results whether such a loop has counted it; it is one of the outputs then.
        does_less: whether it is to be compiled before the function is run without it again.
        spans: pairs of the least and the most length of a call that the graph is for (see ``graph.anylength``).
        memories: what such a call brings as inputs after its length, for results as long; ``long`` are these by number, and the
            last outputs are for them (see ``graph.longresults``).

    Args:
        repeats: the guards of loops that the data end.
        length: the ``Length`` that loops go along, in place of these.
        integers: those among the results.
        lowering: the recording's, if it has been looked at.
    """

    def __init__(self, recorder, inputs, outputs, repeats=(), integers=(), length=None, lowering=None):
        decisions = [guard.record for guard in recorder.guards]
        if lowering is None:
            lowering = _lowering(recorder, outputs, decisions, repeats, length)
        self.outputs, decided = lowering.results(outputs, decisions)
        self.left = lowering.left()
        any_count = isinstance(lowering, AnyCount)
        counts = [lowering.count_of(n, len(lowering.live), int) for n in integers] if any_count else []
        self.whole = tuple(node is not None for node in counts)
        self.outputs += [node for node in counts if node is not None]
        self.memories, self.long = (lowering.long.memories, lowering.long.results) if length else ([], {})
        self.outputs += lowering.long.further if length else []
        self.further = len(lowering.long.further) if length else 0
        self.inputs = [*inputs, *(((None, *memory.row), memory.dtype) for memory in self.memories)]
        self.guards, self.lines, self.outcomes = [], [], []
        self.places = []  # of the guards: a record, or an array outside
        for array, snapshot, where in recorder.extra:
            self.guards.append((lowering.graph.extern(array), "bytes", snapshot))
            self.places.append(array)
            self.lines.append(where)
            self.outcomes.append(("bytes", snapshot.tobytes()))
        numbers = {}
        for number, (guard, node) in enumerate(zip(recorder.guards, decided, strict=True)):
            if node.op != "const" and lowering.stands_for_itself(number):
                numbers[number] = len(self.guards)
                self.guards.append((node, guard.kind, guard.expected))
                self.places.append(guard.record)
                self.lines.append(guard.line)
                self.outcomes.append((guard.kind, guard.outcome))
        for node in lowering.checks:
            if node.op != "const":
                self.guards.append((node, "truth", True))
                self.lines.append("an index")
                self.outcomes.append(("truth", True))
        for node in lowering.fallible:  # where one fails, the function runs again and raises the error
            numbers["status", node.id] = len(self.guards)
            self.guards.append((node, "status", 0))
            self.lines.append("a factorisation")
            self.outcomes.append(("status", 0))
        lowering.number_guards(numbers)
        roots = [*self.outputs, *(node for node, _, _ in self.guards)]
        verify.after("lowering", lowering.graph, roots)
        roots = weave_strands(lowering.graph, roots)
        verify.after("weave_strands", lowering.graph, roots)
        roots = pack_scalars(lowering.graph, roots)
        verify.after("pack_scalars", lowering.graph, roots)
        count = len(self.outputs)
        if not length:
            roots[:count] = operands_as_they_lie(lowering.graph, roots[:count], roots[count:])
            verify.after("operands_as_they_lie", lowering.graph, roots)
        self.outputs = roots[:count]
        self.guards = [(node, *rest) for node, (_, *rest) in zip(roots[count:], self.guards, strict=True)]
        self.graph, self.kept = lowering.graph, lowering.kept
        self.records = len(recorder.tape)
        self.does_less = recorder.does_less
        self.passes = [count for _, count, _ in lowering.groups] if any_count else []
        self.counted = lowering.counted_numbers if any_count else []
        self.spans = [(lowering.length.least, lowering.length.most)] if length else []
        self.listing = listing(recorder, lowering)

    @property
    def kinds(self):
        """The shape and the dtype of each result."""
        return [(node.shape, node.dtype) for node in self.outputs]

    def look(self):
        """Nothing: it has been read."""


def _lowering(recorder, outputs, decisions, repeats, length):
    if not repeats and not length:
        return rolled(recorder, outputs, decisions)
    kind, counted = (AnyLength, length) if length else (AnyCount, repeats)
    return kind(recorder, outputs, decisions, counted)


class Program:
    """Machine code for one path; made from a ``Frozen`` recording when it is first needed."""

    def __init__(self, frozen, structure, interpreter=None):
        self.frozen = frozen
        self.interpreter = interpreter  # runs the recording until it is compiled, if it can
        self.structure = structure  # of the results
        self.machine = None
        self.failure = None  # why it could not be compiled
        self.seconds = 0.0
        self.block = None  # by which the door knows it, once it is compiled
        kinds = frozen.kinds
        self.count = len(kinds) - frozen.further  # of results
        scalars = [j for j, kind in enumerate(kinds) if kind == ((), "f8")]
        self.arrays = [j for j in range(len(kinds)) if j not in scalars]
        self.scalars = scalars
        self.order = [*self.arrays, *scalars]  # output of each place
        forks.renewed(self, "_lock", threading.RLock)
        self.specs = [(kinds[j][0], np.dtype(kinds[j][1])) for j in self.arrays]

    def go_on(self):
        """Compile, but for a recording that turns out to be long when it is looked at: that is compiled the next time.

        A failure is kept.
        """
        with self._lock, contextlib.suppress(Exception):
            if self.frozen.left is None:
                try:
                    self.frozen.look()
                except Exception as why:
                    self.failure = why
                if self.failure is not None or self.frozen.left > SMALL:
                    return
            self.compile()

    def spans_of(self, length):
        """The spans of lengths that it is for, of those with this one."""
        return [span for span in self.frozen.spans if span[0] <= length <= span[1]]

    def compile(self):
        """Plan, generate code and compile, once. A failure is kept, too, and raised again."""
        with self._lock:
            if self.machine is None and self.failure is None:
                try:
                    self._compile()
                except Exception as why:
                    self.failure = why
        if self.failure is not None:
            raise self.failure
        if self.interpreter is not None:
            self.interpreter.close()

    def _compile(self):
        start = time.perf_counter()
        machine = Machine(*self._wanted())
        self.seconds = time.perf_counter() - start
        block = ProgramBlock(self, machine)
        self.block = block if block.possible else None
        self.machine = machine  # last: who sees it uses the block, too

    def _wanted(self):
        frozen = self.frozen
        return frozen.graph, [without_reshape(frozen.outputs[j]) for j in self.order], frozen.guards, len(frozen.inputs)

    def plan(self):
        """The planner and the steps of the program."""
        planner = Planner(*self._wanted())
        return planner, gathered(planner, planner.plan())

    def run(self, leaves, out=None):
        """The status (0, or 1 + the guard that failed) and the outputs in order.

        Args:
            leaves: arrays, contiguous and of the recorded dtypes and shapes, and floats.
            out: arrays for the outputs that are arrays, None to make them.
        """
        arrays = [np.empty(shape, dtype) for shape, dtype in self.specs] if out is None else out
        memories = [memory.zeros(int(leaves[-1])) for memory in self.frozen.memories]
        places = [np.array(x) if x.__class__ is float else x for x in (*leaves, *memories)]
        numbers = np.empty(len(self.scalars))
        table = [x.__array_interface__["data"][0] for x in (*places, *arrays)]
        table += [numbers.__array_interface__["data"][0] + 8 * i for i in range(len(numbers))]
        table = np.array([*table, 0], dtype=np.int64)
        status = self.machine.run(table)
        while status == 1 + len(self.frozen.guards):  # a loop has had more passes than there was memory for
            self.machine.grow()
            for memory in memories:
                memory[...] = 0
            status = self.machine.run(table)
        results = [None] * len(self.order)
        for j, x in zip(self.order, (*arrays, *numbers.tolist()), strict=True):
            results[j] = x
        return status, self._with_long(results, memories, leaves) if self.frozen.long and status == 0 else results

    def _with_long(self, results, memories, leaves):
        """The results, those that are as long as the call put together."""
        long = self.frozen.long
        results, further = results[: self.count], results[self.count :]
        for j, result in long.items():
            results[j] = result.put_together(memories, further, int(leaves[-1]))
        return results
