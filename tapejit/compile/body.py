"""The body of a loop: values of the graph read at an index that is affine in the loop's counters.

An affine function is a tuple (constant, coefficient of counter 0, of counter 1, ...). Nothing that is elementwise, a
view or a spread needs memory of its own: it is worked out where it is read, unless the planner has stored it.
"""

import math

from tapejit.core.layout import packed_strides
from tapejit.graph.node import ELEMENTWISE, EXACT, LAZY, block_of, decompose

DEEPEST = 30  # levels of an expression, some five calls each, that are worked out in one go


class Split(Exception):
    """The loop over ``counter`` must be cut before ``at``."""

    def __init__(self, counter, at):
        self.counter, self.at = counter, at


class NotFlat(Exception):
    """The value cannot be read by one counter over all its elements."""


class NotYet(Exception):
    """The value is worked out by the same loop, but not at this index.

    Attributes:
        unit: what the loop was to work out, once that is known.
    """

    unit = None


class _Deep(Exception):
    """A value is so many calls away that it is worked out first, from the outermost one."""

    def __init__(self, node, index):
        self.wanted = node, index


def scale(affine, factor):
    return tuple(factor * c for c in affine)


def plus(a, b):
    return tuple(x + y for x, y in zip(a, b, strict=True))


def normal(shape, index):
    """One form for one thing: an index per dimension, 0 where there is one element; flat over several dimensions only."""
    if index[:1] == ("flat",):
        if sum(size != 1 for size in shape) > 1:
            return index
        index = (index[1],) * len(shape)
    return tuple(affine if size != 1 else (0,) * len(affine) for affine, size in zip(index, shape, strict=True))


class Body:
    """Instructions in order, equal ones once.

    Attributes:
        code: tuples ``(kind, dtype, ...)``: const, load (node, affine), cast and prim, whose operands are positions.
    """

    def __init__(self, planner, box, flat, members=None, group=None):
        self.planner = planner
        self.flat = flat
        self.box = box  # per counter (first, end)
        self.counters = len(box)
        self.size = math.prod(b - a for a, b in box)
        self.zero = (0,) * (self.counters + 1)
        self.members = members or {}
        self.group = group
        self.code = []
        self._known = {}
        self._values = {}
        self._depth = 0

    def put(self, *instruction) -> int:
        found = self._known.get(instruction)
        if found is None:
            found = self._known[instruction] = len(self.code)
            self.code.append(instruction)
        return found

    def counter(self, k):
        return tuple(1 if j == k + 1 else 0 for j in range(self.counters + 1))

    def const(self, value, dtype):
        return self.put("const", dtype, repr(value))

    def _load(self, node, affine):
        return self.put("load", node.dtype, node.id, affine)

    def identity(self):
        """The index at which a loop over a node's own elements reads it."""
        return ("flat", self.counter(0)) if self.flat else tuple(map(self.counter, range(self.counters)))

    def value(self, node, index) -> int:
        """The position of a node's value at an index.

        Compiling runs below whatever the program has called, and must not need a larger stack than Python gives.
        """
        waiting = [(node, index)]
        while True:
            try:
                found = self.at(*waiting[-1])
            except _Deep as inner:
                waiting.append(inner.wanted)
                continue
            waiting.pop()
            if not waiting:
                return found

    # At one index per dimension

    def at(self, node, index) -> int:
        if index[:1] == ("flat",):
            index = normal(node.shape, index)
        key = (node.id, index)
        found = self._values.get(key)
        if found is None:
            if self._depth == DEEPEST:
                raise _Deep(node, index)
            self._depth += 1
            try:
                found = self._values[key] = self._flat(node, index[1]) if index[:1] == ("flat",) else self._at(node, index)
            finally:
                self._depth -= 1
        return found

    def _common(self, node, index):
        """What does not depend on the kind of index: constants, scalars, what lies in memory; None otherwise."""
        if node.op == "const":
            return self.const(node.attr.value, node.dtype)
        planner = self.planner
        if node.n == 1 and self.counters and not planner.in_memory(node):
            raise NotYet
        if node.cost >= planner.DEAR and node.op in ELEMENTWISE and node.n > 1:
            planner.evaluated.setdefault(node.id, set()).add((self.group, index))
            if self.size >= 2 * node.n:  # broadcast: the loop would work it out again and again
                planner.request(node)
        return None

    def _is_member(self, node, index):
        if node.id not in self.members:
            return False
        if node.op not in LAZY:
            raise NotYet
        if normal(node.shape, index) != normal(node.shape, self.members[node.id]):
            raise NotYet
        return True

    def _at(self, node, index):
        value = self._common(node, index)
        if value is not None:
            return value
        if not self._is_member(node, index) and self.planner.in_memory(node):
            start, strides = self.planner.strides_of(node)
            position = (start, *self.zero[1:])
            for affine, stride, size in zip(index, strides, node.shape, strict=True):
                if size != 1:
                    position = plus(position, scale(affine, stride))
            return self._load(node, position)
        if node.op == "view":
            return self._view(node, index)
        if node.op in ("spread", "place"):
            return self._block(node, index)
        if node.op in ELEMENTWISE:
            return self._elementwise(node, [self._seen(node, a, index) for a in node.args])
        if node.op == "pack" and not any(any(affine[1:]) for affine in index):
            at = sum(i[0] * s for i, s in zip(index, packed_strides(node.shape), strict=True))
            return self.at(node.args[node.attr.index(at)], ()) if at in node.attr else self.const(0.0, node.dtype)
        raise NotYet

    def _seen(self, node, x, index):
        """The index of an operand that broadcasts to ``node``."""
        lead = len(node.shape) - len(x.shape)
        inner = tuple(
            self.zero if size == 1 else affine for affine, size in zip(index[lead:], x.shape, strict=True)
        )
        return self.at(x, inner)

    def _elementwise(self, node, operands):
        if node.op == "copy":
            return operands[0]
        if node.op == "cast":
            return self.put("cast", node.dtype, node.args[0].dtype, operands[0])
        if node.op == "add" and not node.attr:  # zeros are what a spread is outside of its region
            for a, b in (operands, operands[::-1]):
                if self.code[a][0] == "const" and float(self.code[a][2]) == 0.0:
                    return b
        return self.put("prim", node.dtype, f"{EXACT} {node.op}" if node.attr else node.op, *operands)

    def _view(self, node, index):
        (strides, start), x = node.attr, node.args[0]
        if self.planner.is_packed(x):
            position = (start, *self.zero[1:])
            for affine, stride in zip(index, strides, strict=True):
                position = plus(position, scale(affine, stride))
            if x.id not in self.members:
                return self._load(x, position)
        if x.n == 1:
            return self.at(x, (self.zero,) * len(x.shape))
        maps = decompose(x.shape, start, strides, node.shape)
        if maps is None:
            if self.flat and len(index) == 1 and start == 0 and strides == (1,) and x.n == node.n:
                return self.at(x, ("flat", index[0]))
            return self._from_memory(x, node)
        inner = []
        for constant, coefs in maps:
            affine = (constant, *self.zero[1:])
            for c, i in zip(coefs, index, strict=True):
                affine = plus(affine, scale(i, c))
            inner.append(affine)
        return self.at(x, tuple(inner))

    def _block(self, node, index):
        """A ``spread`` or ``place``: inside of the block what was put there, else zeros or what was there before."""
        (strides, start), x = node.attr, node.args[-1]
        block, inner = block_of(node.shape, start, strides, x.shape), [self.zero] * len(x.shape)
        for k, (first, along) in enumerate(block or ()):
            place = self._inside(index[k], first, first + (1 if along is None else x.shape[along]))
            if place is None:
                block = None
                break
            if not place:
                outside = node.op == "place"
                return self.at(node.args[0], index) if outside else self.const(0.0 if node.is_float else 0, node.dtype)
            if along is not None:
                inner[along] = plus(index[k], (-first, *self.zero[1:]))
        return self._from_memory(node, node) if block is None else self.at(x, tuple(inner))

    def _from_memory(self, wanted, node):
        """``node`` can be read only once ``wanted`` lies in memory; if it will, this loop must come later."""
        if wanted.id in self.planner.stored:
            raise NotYet
        self.planner.request(wanted)
        return self.const(0.0 if node.is_float else 0, node.dtype)

    def _inside(self, affine, first, end):
        """Whether an index lies in a range over the whole box; cuts the loop where the answer changes."""
        used = [k for k in range(self.counters) if affine[k + 1]]
        low = high = affine[0]
        for k in used:
            a, b = self.box[k]
            low += min(affine[k + 1] * a, affine[k + 1] * (b - 1))
            high += max(affine[k + 1] * a, affine[k + 1] * (b - 1))
        if first <= low and high < end:
            return True
        if high < first or end <= low:
            return False
        if len(used) != 1 or affine[used[0] + 1] != 1:
            return None
        cut = first - affine[0] if low < first else end - affine[0]
        raise Split(used[0], cut)

    # By one counter over all elements

    def _flat(self, node, affine):
        value = self._common(node, ("flat", affine))
        if value is not None:
            return value
        if not self._is_member(node, ("flat", affine)) and self.planner.is_packed(node):
            return self._load(node, affine if node.n > 1 else self.zero)
        if node.op in ELEMENTWISE:
            operands = []
            for x in node.args:
                if x.n == 1:
                    operands.append(self.at(x, (self.zero,) * len(x.shape)))
                elif x.n == node.n:
                    operands.append(self.at(x, ("flat", affine)))
                else:
                    raise NotFlat
            return self._elementwise(node, operands)
        if node.op == "view":
            (strides, start), x = node.attr, node.args[0]
            packed = packed_strides(node.shape)
            whole = all(s == p for s, p, n in zip(strides, packed, node.shape, strict=True) if n != 1)
            if whole and start == 0 and x.n == node.n:
                return self.at(x, ("flat", affine))
            if x.n == 1:
                return self.at(x, (self.zero,) * len(x.shape))
            if whole and self.planner.is_packed(x) and x.id not in self.members:
                return self._load(x, plus(affine, (start, *self.zero[1:])))
        raise NotFlat
