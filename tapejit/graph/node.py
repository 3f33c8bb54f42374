"""The graph of a recorded function: nodes with values of one shape and dtype, equal nodes being one object.

Simplification happens as nodes are made. Elementwise ops appear as their primitives (``add``, ``exp``, ``select``, ...),
operands broadcast as in NumPy; shapes are moved by ``view`` and ``spread``, whose strides count elements of the packed
operand (result). Whatever is not elementwise, a view or a sum is a ``call`` of the op table's kernel.

A decision hangs on the last bit. What it is made of has EXACT for its attribute: the operations of the eager kernels, in their
order, which nothing may contract or replace.
"""

import functools
import math
from collections import ChainMap
from typing import NamedTuple

import numpy as np

from tapejit.core import dtypes
from tapejit.core.layout import layout_of, packed_strides
from tapejit.eager.linalg.multiply import matrix_words
from tapejit.graph.positions import differ, positions
from tapejit.spec.primitives import PRIMITIVES

FLOATS = ("f8", "f4")
EXACT = "exact"
MOST_COST = 1e6  # as good as never
MOST_OVER = 8  # blocks put over one another that are told apart where they are read
SMALL = 4096  # elements up to which views of spreads are looked at element by element


class Affine(NamedTuple):
    """Element I stands at start + I . strides: where a ``view`` reads its operand, a ``spread`` or ``place`` puts its last."""

    strides: tuple
    start: int


class Steps(tuple):
    """How a reduction adds up: element I of the operand goes to position I . steps of the packed result."""

    __slots__ = ()


class Places(tuple):
    """Where a ``pack`` puts its operands, in order; elsewhere are zeros."""

    __slots__ = ()


class Strands(tuple):
    """Where a ``weave`` puts its operands: of each a pair (step, start), element k goes to position start + k . step.

    The strands are disjoint, and together they are the whole result.
    """

    __slots__ = ()


class Kernel(NamedTuple):
    """A ``call``: the op of the op table, the address of its plan (0 for none), and its immediate."""

    name: str
    code: int
    plan: int
    imm: float


class Node:
    """One value. ``args`` are nodes; ``attr`` holds the parameters that ``op`` needs (see ``verify``)."""

    __slots__ = ("args", "attr", "cost", "dtype", "id", "n", "op", "shape")

    def __init__(self, number, op, args, attr, shape, dtype):
        self.id = number
        self.op = op
        self.args = args
        self.attr = attr
        self.shape = shape
        self.dtype = dtype
        self.n = math.prod(shape)
        own = ELEMENTWISE[op].cost if op in ELEMENTWISE else 0
        cost = own + (sum(a.cost for a in args) if op in LAZY else 0)
        self.cost = min(cost, MOST_COST)  # along a chain that uses each value twice it doubles at every node

    @property
    def is_float(self):
        return self.dtype in FLOATS

    def __repr__(self):
        return f"%{self.id}"


ELEMENTWISE = PRIMITIVES
REDUCTIONS = {"sum", "max", "min"}
# Computed where they are read, unless they are kept.
LAZY = ChainMap(ELEMENTWISE, {"view": None, "spread": None, "place": None})


class Graph:
    """Makes nodes; equal ones are shared."""

    def __init__(self):
        self.nodes = []
        self.known = {}
        self.arrays = []  # what ``extern`` nodes read

    def node(self, op, args, attr, shape, dtype) -> Node:
        key = (op, tuple(a.id for a in args), attr, shape, dtype)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = Node(len(self.nodes), op, tuple(args), attr, tuple(shape), dtype)
            self.nodes.append(found)
        return found

    # Leaves

    def input(self, number, shape, dtype):
        return self.node("input", (), number, tuple(shape), dtype)

    def const(self, value, shape, dtype):
        value = float(value) if dtype in FLOATS else int(value)
        if dtype == "f4":
            value = float(np.float32(value))
        return self.node("const", (), Number(value), tuple(shape), dtype)

    def zero(self, shape, dtype):
        """Zeros that nothing flows into: no factor makes anything else of them, not even inf."""
        return self.node("const", (), Number(0.0 if dtype in FLOATS else 0, nothing=True), tuple(shape), dtype)

    def extern(self, array):
        """An array outside, read where it is at every run."""
        i = next((i for i, known in enumerate(self.arrays) if known is array), len(self.arrays))
        if i == len(self.arrays):
            self.arrays.append(array)
        return self.node("extern", (), i, array.shape, array.dtype.str[1:])

    # Elementwise

    def elementwise(self, op, *args, exact=False) -> Node:
        shape = _broadcast([a.shape for a in args])
        dtype = "b1" if ELEMENTWISE[op].gives_bool else args[-1].dtype
        simple = self._simplified(op, args, shape, dtype, exact)
        attr = EXACT if exact and not ELEMENTWISE[op].certain else None
        return self.node(op, args, attr, shape, dtype) if simple is None else simple

    def _simplified(self, op, args, shape, dtype, exact):
        if exact:
            pass
        elif op in ("neg", "mul", "div") and (_is_nothing(args[0]) or (op == "mul" and _is_nothing(args[1]))):
            return self.zero(shape, dtype)
        if all(a.op == "const" for a in args):
            value = _fold(op, [a.attr.value for a in args])
            if value is not None:
                return self.const(value, shape, dtype)
        x = args[0]
        y = args[1] if len(args) > 1 else None
        if op == "neg" and x.op == "neg":
            return x.args[0]
        if op == "add" and not exact:
            return self._same(x, shape) if _is(y, 0) else self._same(y, shape) if _is(x, 0) else self._side_by_side(x, y)
        if op == "sub" and not exact:
            return self._same(x, shape) if _is(y, 0) else None
        if op == "mul" and (_is(x, 1) or _is(y, 1)):
            return self._same(x if _is(y, 1) else y, shape)
        if op == "mul" and not exact:
            return self._factors(x, y, shape)
        if op == "div":
            return self._same(x, shape) if _is(y, 1) else None if exact else self._quotient(x, y)
        if op == "select" and x.op == "const":
            return self._same(args[1 if x.attr.value else 2], shape)
        return None

    def _quotient(self, x, y):
        """By a constant that is neither tiny nor huge: a product with its reciprocal; a division takes many times as long."""
        if y.op != "const" or not y.is_float or not 1e-30 < abs(y.attr.value) < 1e30:
            return None
        return self.elementwise("mul", self.const(1.0 / y.attr.value, (), y.dtype), x)

    def _factors(self, x, y, shape):
        """Gather constant factors, and move signs out of products."""
        if x.op == "const" and y.op == "mul" and y.args[0].op == "const" and y.shape == shape:
            return self.elementwise("mul", self.elementwise("mul", x, y.args[0]), y.args[1])
        if y.op == "const" and x.op != "const":
            return self.elementwise("mul", y, x)
        return None

    def _side_by_side(self, x, y):
        """Two neighbouring stretches of one array, put side by side: one stretch. None for others."""
        a, b = _stretch_put(x), _stretch_put(y)
        if a is None or b is None:
            return None
        (base, begin, start, n), (other, following, end, m) = sorted((a, b), key=lambda put: put[2])
        if base is not other or following != begin + n or end != start + n:
            return None
        return self.spread(self.view(base, (n + m,), (1,), begin), (1,), start, x.shape)

    def _same(self, x, shape):
        """``x`` with a broadcast shape."""
        return x if x.shape == tuple(shape) else self.expand(x, shape)

    def expand(self, x, shape):
        lead = len(shape) - len(x.shape)
        packed = packed_strides(x.shape)
        strides = tuple(
            0 if d < lead or (x.shape[d - lead] == 1 and shape[d] != 1) else packed[d - lead] for d in range(len(shape))
        )
        return self.view(x, shape, strides, 0)

    def cast(self, x, dtype):
        if x.dtype == dtype:
            return x
        if x.op == "const":
            return self.const(x.attr.value, x.shape, dtype) if not x.attr.nothing else self.zero(x.shape, dtype)
        return self.node("cast", (x,), None, x.shape, dtype)

    # Shapes

    def view(self, x, shape, strides, start):
        shape, strides = tuple(shape), tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))
        if x.op == "const":
            return self.node("const", (), x.attr, shape, x.dtype)
        if x.op == "spread":
            found = self._stretch_of_spread(x, shape, strides, start)
            if found is None and x.n <= SMALL and math.prod(shape) <= SMALL:
                found = self._view_of_spread(x, shape, strides, start)
            if found is not None:
                return found
        if shape == x.shape and start == 0 and is_stretch(strides, shape):
            return x
        if x.op == "pack" and start == 0 and x.n == math.prod(shape) and is_stretch(strides, shape):
            return self.node("pack", x.args, x.attr, shape, x.dtype)
        strided = x.op == "extern" and not self.arrays[x.attr].flags.c_contiguous
        if strided and decompose(x.shape, start, strides, shape) is None:
            x = self.node("copy", (x,), None, x.shape, x.dtype)  # no loop over its strides reads that
        if x.op == "view" and is_stretch(x.attr.strides, x.shape):
            return self.view(x.args[0], shape, strides, x.attr.start + start)
        if x.op == "view":
            maps = decompose(x.shape, start, strides, shape)
            if maps is not None:
                inner, base = x.attr
                begin = base + sum(s * const for s, (const, _) in zip(inner, maps, strict=True))
                steps = tuple(
                    sum(s * coefs[d] for s, (_, coefs) in zip(inner, maps, strict=True)) for d in range(len(shape))
                )
                return self.view(x.args[0], shape, steps, begin)
        return self.node("view", (x,), Affine(strides, start), shape, x.dtype)

    def _stretch_of_spread(self, x, shape, strides, start):
        """A stretch of what was spread as a stretch: of the zeros around it only what is in it. None for others."""
        y, n = x.args[0], math.prod(shape)
        if not (is_stretch(strides, shape) and is_stretch(x.attr.strides, y.shape)):
            return None
        first, end = max(start, x.attr.start), min(start + n, x.attr.start + y.n)
        if first >= end:
            return self.zero(shape, x.dtype)
        if end - first == n:
            return self.view(y, shape, strides, first - x.attr.start)
        if len(shape) != 1 or end - first == x.n:
            return None
        return self.spread(self.view(y, (end - first,), (1,), first - x.attr.start), (1,), first - start, shape)

    def _view_of_spread(self, x, shape, strides, start):
        """A view that reads only what was spread, or only the zeros around it; None for others."""
        y = x.args[0]
        taken = positions(y.shape, *x.attr)
        if not differ(taken, x.n):
            return None
        back = np.full(x.n, -1)
        back[taken] = np.arange(y.n)
        read = back[positions(shape, strides, start)]
        if (read < 0).all():
            return self.zero(shape, x.dtype)
        if (read < 0).any():
            return None
        grid = read.reshape(shape)
        steps = tuple(0 if n == 1 else int(grid.take(1, d).flat[0] - grid.flat[0]) for d, n in enumerate(shape))
        first = int(grid.flat[0])
        return self.view(y, shape, steps, first) if (positions(shape, steps, first) == read).all() else None

    def spread(self, x, strides, start, target):
        if _is_nothing(x) or not x.n:
            return self.zero(target, x.dtype)
        summed = [d for d, (n, s) in enumerate(zip(x.shape, strides, strict=True)) if n != 1 and s == 0]
        if summed:  # what goes to one place is added up first
            kept = tuple(n for d, n in enumerate(x.shape) if d not in summed)
            steps = iter(packed_strides(kept))
            x = self.sum(x, tuple(0 if d in summed else next(steps) for d in range(len(x.shape))), 1.0, kept)
            strides = tuple(s for d, s in enumerate(strides) if d not in summed)
        strides = tuple(0 if n == 1 else s for n, s in zip(x.shape, strides, strict=True))
        if tuple(target) == x.shape and start == 0 and strides == unit_free(packed_strides(target), target):
            return x
        if x.n == math.prod(target) and start == 0 and strides == unit_free(packed_strides(x.shape), x.shape):
            return self.view(x, target, packed_strides(target), 0)
        return self.node("spread", (x,), Affine(strides, start), tuple(target), x.dtype)

    def place(self, x, y, strides, start):
        """``x`` with ``y`` in a block of it, None where ``y`` goes elsewhere or over many others."""
        strides = unit_free(strides, y.shape)
        if y.n == x.n and start == 0 and is_stretch(strides, y.shape):
            return self.view(y, x.shape, packed_strides(x.shape), 0)
        over, under = 0, x
        while under.op == "place":
            over, under = over + 1, under.args[0]
        if not y.n or over == MOST_OVER or block_of(x.shape, start, strides, y.shape) is None:
            return None
        return self.node("place", (x, y), Affine(strides, start), x.shape, x.dtype)

    def sum(self, x, steps, scale, shape):
        """The sum into a packed result of ``shape``: element I of x goes to position I . steps."""
        steps = Steps(unit_free(steps, x.shape))
        if _is_nothing(x):
            return self.zero(shape, x.dtype)
        if x.n == math.prod(shape) and steps == unit_free(packed_strides(x.shape), x.shape):
            return self.scaled(self.view(x, shape, packed_strides(shape), 0), scale)
        total = self.node("sum", (x,), steps, shape, x.dtype)
        return self.scaled(total, scale)

    def extreme(self, op, x, steps, shape):
        """The largest ("max") or smallest ("min") of the elements that go to one place, as in ``sum``; NaN if one is NaN."""
        steps = Steps(unit_free(steps, x.shape))
        if x.n == math.prod(shape):
            return self.view(x, shape, packed_strides(shape), 0)
        return self.node(op, (x,), steps, shape, x.dtype)

    def scaled(self, x, scale):
        return x if scale == 1.0 else self.elementwise("mul", self.const(scale, (), x.dtype), x)


class Number:
    """A constant that tells 0.0 from -0.0 and NaN from NaN by their bits, and zeros that nothing flows into from zeros."""

    __slots__ = ("bits", "nothing", "value")

    def __init__(self, value, nothing=False):
        self.value = value
        self.nothing = nothing
        self.bits = np.float64(value).tobytes() if isinstance(value, float) else value

    def __eq__(self, other):
        return self.bits == other.bits and type(self.value) is type(other.value) and self.nothing == other.nothing

    def __hash__(self):
        return hash(self.bits)

    def __repr__(self):
        return repr(self.value)


def unit_free(strides, shape):
    """Strides with 0 along dimensions of size 1, the normal form here."""
    return tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))


def is_stretch(strides, shape) -> bool:
    """Whether elements at these strides are neighbours, in order."""
    return strides == unit_free(packed_strides(shape), shape)


def _stretch_put(x):
    """(array, where its stretch begins, where that is put, elements) of a ``spread`` of a stretch, None for other nodes."""
    if x.op != "spread" or not is_stretch(x.attr.strides, x.args[0].shape):
        return None
    y = x.args[0]
    if y.op != "view":
        return y, 0, x.attr.start, y.n
    return (y.args[0], y.attr.start, x.attr.start, y.n) if is_stretch(y.attr.strides, y.shape) else None


def blas_view(x) -> tuple | None:
    """(transposed, leading dimension, batch step) of a strided view that BLAS can read, None for other nodes."""
    if x.op != "view" or x.args[0].n == 1 or not x.is_float:
        return None
    strides = tuple(s if n != 1 else p for s, n, p in zip(x.attr.strides, x.shape, packed_strides(x.shape), strict=True))
    return matrix_words(layout_of(x.shape, dtypes.as_dtype(x.dtype), strides))


def _is_nothing(x):
    return x.op == "const" and x.attr.nothing


def _is(x, number):
    return x.op == "const" and x.attr.value == number


def _broadcast(shapes):
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    return tuple(int(n) for n in np.broadcast_shapes(*shapes))


def _fold(op, values):
    """The value of a primitive of constants: where it is certain, and of what LLVM would fold as well."""
    row = ELEMENTWISE[op]
    if not row.sign and op != "neg":
        return None
    with np.errstate(all="ignore"):
        return row.numpy(*values).item()


@functools.lru_cache(1 << 14)
def decompose(source, start, strides, shape):
    """A strided view over a packed array as one affine function per dimension of the array.

    Returns:
        per dimension of ``source`` a constant and one coefficient per dimension of ``shape``, or None if the view is not
        of that kind (it merges or splits dimensions).
    """
    packed = packed_strides(source)
    dims = [d for d in range(len(source)) if source[d] != 1]
    coefs = [[0] * len(shape) for _ in source]
    low, high = [0] * len(source), [0] * len(source)
    for d, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        if size <= 1 or stride == 0:
            continue
        remaining = stride
        for k in dims:
            step = abs(remaining) // packed[k]
            if step and step < source[k]:
                step = step if remaining > 0 else -step
                coefs[k][d] += step
                remaining -= step * packed[k]
                extent = step * (size - 1)
                low[k] += min(extent, 0)
                high[k] += max(extent, 0)
        if remaining:
            return None
    maps = []
    for k in range(len(source)):
        const = (start // packed[k]) % source[k] if source[k] > 1 else 0
        if const + low[k] < 0 or const + high[k] >= max(source[k], 1):
            return None
        maps.append((const, tuple(coefs[k])))
    if math.prod(source) and start // max(packed[0] * source[0], 1) if source else start:
        return None
    return maps


def block_of(source, start, strides, shape):
    """A block of an array: per dimension of the array where it begins, and the dimension of ``shape`` that goes along it.

    Returns:
        pairs whose second is None where the block is one element wide, or None for what is no block: elements with others in
        between, transposed to one dimension, or counted twice.
    """
    maps = decompose(source, start, strides, shape)
    if maps is None or any(s == 0 and n != 1 for s, n in zip(strides, shape, strict=True)):
        return None
    block, used = [], set()
    for constant, coefs in maps:
        along = [d for d, c in enumerate(coefs) if c]
        if len(along) > 1 or any(coefs[d] != 1 or d in used for d in along):
            return None
        used.update(along)
        block.append((constant, along[0] if along else None))
    return block
