"""Results as long as a call: loops add to memory that the caller brings, row by row, and the caller adds the rest.

The gradient in an array whose rows the passes read is a sum: of what each pass adds to rows that go along with it, and of what
single passes add at fixed places, from the first row on or from the last one back. What the program knows of the memory is
where its rows lie, not how many there are.
"""

import math
from dataclasses import dataclass

import numpy as np

from tapejit.core.layout import packed_strides
from tapejit.graph.anycount import NoCount
from tapejit.graph.node import unit_free

MOST_PARTS = 64  # of a result


@dataclass(frozen=True)
class Memory:
    """Zeros that a call of length N brings: ``N + more`` rows of a shape."""

    more: int
    row: tuple
    dtype: str

    def zeros(self, length):
        return np.zeros((length + self.more, *self.row), self.dtype)


@dataclass(frozen=True)
class Part:
    """What is added at a fixed place: element I of an output to element ``start + ends * N + I . strides`` of the result."""

    output: int
    start: int
    ends: int
    shape: tuple
    strides: tuple


@dataclass(frozen=True)
class LongResult:
    """A result that is the sum of memories and of parts.

    Attributes:
        form: of the result, as if it were a ``Memory`` itself.
        memories: the number of each, and the element of the result that its first one is added to.
        parts: whose outputs are numbered among the ``further``.
    """

    form: Memory
    memories: tuple
    parts: tuple

    def put_together(self, memories, further, length):
        """The result of a call.

        Args:
            memories: all that the call brought, filled.
            further: the further outputs of the program.
        """
        found = self.form.zeros(length)
        flat = found.reshape(-1)
        for i, at in self.memories:
            flat[at : at + memories[i].size] += memories[i].reshape(-1)
        for part in self.parts:
            at = part.start + part.ends * length
            if part.shape:
                strides = [s * flat.itemsize for s in part.strides]
                place = np.lib.stride_tricks.as_strided(flat[at:], part.shape, strides)
                place += further[part.output]
            else:
                flat[at] += further[part.output]
        return found


class LongResults:
    """The results of a lowering that are as long as its ``Length``.

    Attributes:
        memories: each ``Memory`` that a loop fills. They are inputs after the length.
        results: by number of a result its ``LongResult``; ``further`` the nodes that these need, loops included.
    """

    def __init__(self, length):
        self.length = length
        self.memories, self.results, self.further = [], {}, []
        self._filled, self._before, self._known = {}, {}, {}  # by memory the loop, and the record of the array before it

    def room(self, made, chain):
        """The node of the memory in which a loop adds to an array as long as the call; None for another array."""
        layout = made.layout(chain.last)
        shape, dtype = tuple(layout.shape), layout.dtype.numpy.str[1:]
        if not self._is_long(shape) or dtype != made.dtype or any(link.put for link in chain.links):
            return None
        i = self._known.setdefault((made.number, chain.last), len(self.memories))
        if i == len(self.memories):
            self.memories.append(Memory(shape[0] - self.length.count, shape[1:], dtype))
        self._filled[i], self._before[i] = made, chain.first
        return made.parent.graph.input(self._number(i), shape, dtype)

    def _number(self, i):
        """The number of the input that a memory is."""
        return self.length.number + 1 + i

    def set_apart(self, graph, outputs, values):
        """The outputs; in place of those that are long something short.

        Args:
            values: the nodes of records.
        """
        return [self._short(graph, j, x, values) for j, x in enumerate(outputs)]

    def _short(self, graph, j, x, values):
        memories, terms = [], []
        try:
            self._terms(x, values, memories, terms)
        except NoCount:  # it is like any other array
            return x
        if not x.shape or x.shape[0] - self.length.count not in self.length.longer.values():
            return x
        filled = [i for i, _ in memories]
        taken = [i for result in self.results.values() for i, _ in result.memories]
        if len({*filled, *taken}) < len(filled) + len(taken):
            raise NoCount
        parts = [self._part(x, len(self.further) + k, *term) for k, term in enumerate(terms)]
        form = Memory(x.shape[0] - self.length.count, x.shape[1:], x.dtype)
        self.results[j] = LongResult(form, tuple(memories), tuple(parts))
        self.further += [node for node, _, _ in terms]
        self.further += [graph.view(self._filled[i].node, (), (), 0) for i in filled]  # so that the loops run
        return graph.const(0.0, (), "f8")

    def _terms(self, x, values, memories, terms):
        """Enter the memories, and the parts (node, strides, start), that a node is the sum of."""
        waiting = [(x, 0)]
        while waiting:
            x, at = waiting.pop()
            if len(terms) > MOST_PARTS:
                raise NoCount
            if x.op == "add" and all(a.n == x.n for a in x.args):
                waiting += [(a, at) for a in x.args]
            elif _moves(x) and (x.op == "view" or self._is_long(x.args[0].shape)):
                waiting.append((x.args[0], at + x.attr.start))
            elif x.op == "spread":
                terms.append((x.args[0], x.attr.strides, at + x.attr.start))
            elif x.op == "input" and x.attr - self._number(0) in self._filled:
                i = x.attr - self._number(0)
                memories.append((i, at))
                waiting.append((values[self._before[i]], at))
            elif x.op != "const" or x.attr.value != 0:
                raise NoCount

    def _is_long(self, shape):
        """Whether an array of a shape may be as long as the call, but for a few rows."""
        more = shape[0] - self.length.count if shape else self.length.count
        return abs(more) <= self.length.near or more in self.length.longer.values()

    def _part(self, x, output, node, strides, start):
        row = x.n // x.shape[0]
        ends = row if 2 * start >= x.n else 0
        return Part(output, start - ends * self.length.count, ends, node.shape, strides)

    def extent(self, x):
        """How many elements the memory has that an input is: (a, b) for ``a + b * N``."""
        memory = self.memories[x.attr - self._number(0)]
        row = math.prod(memory.row)
        return row * memory.more, row

    def limits(self):
        """What must hold of the length so that the parts lie in the memory: it does where a + b * N >= 0, pairs (a, b)."""
        for result in self.results.values():
            row, more = math.prod(result.form.row), result.form.more
            for i, at in result.memories:
                yield row * (more - self.memories[i].more) - at, 0
            for part in result.parts:
                reach = 1 + sum(s * (n - 1) for s, n in zip(part.strides, part.shape, strict=True))
                yield part.start, part.ends
                yield row * more - part.start - reach, row - part.ends

    def settle(self, graph):
        """Nobody but its loop may have to do with a memory, whose length is forgotten.

        Raises:
            NoCount: if anything does.
        """
        for x in graph.nodes:
            if x.op == "input" and x.attr - self._number(0) in self._filled:
                i = x.attr - self._number(0)
                if any(x in node.args and node is not self._filled[i].node for node in graph.nodes):
                    raise NoCount
                x.shape = self.length.fewest + self.memories[i].more, *self.memories[i].row
                x.n = math.prod(x.shape)


def _moves(x):
    """Whether a node is all of another one, in the same order, among zeros or not."""
    if x.op not in ("view", "spread"):
        return False
    shape = x.args[0].shape if x.op == "spread" else x.shape
    packed = x.attr.strides == unit_free(packed_strides(shape), shape)
    return packed and (x.op == "spread" or (x.n == x.args[0].n and x.attr.start == 0))
