"""From the tape of a recording to a graph: one node, or a few primitives, per record that matters."""

import itertools

import numpy as np

from tapejit.core import record as R
from tapejit.core.errors import Refused
from tapejit.core.layout import layout_at, packed_strides
from tapejit.core.plans import plan_at
from tapejit.core.record import MASK
from tapejit.eager.tensor import Tensor
from tapejit.edge.cpython import references_beside
from tapejit.edge.objects import has_fma
from tapejit.graph import wholenumbers
from tapejit.graph.finite import Finite
from tapejit.graph.node import Graph, Kernel, Node, blas_view
from tapejit.graph.operands import Columns, all_operands, ancestors, records_read
from tapejit.graph.positions import positions
from tapejit.kernels.expression import fused
from tapejit.spec.table import OPERANDS, OPS

MOST_PARTS = 128  # arrays put together into one by a fused loop


class Lowering:
    """The graph of one recording; ``node(k)`` is the value of record k.

    Args:
        decisions: records whose values, and all that these are made of, are to have the bits of eager execution.
    """

    def __init__(self, recorder, stop=(), decisions=()):
        self.recorder = recorder
        self.graph = Graph()
        self.values = {}
        self.finite = Finite()
        self.kept = []  # plans, which must live as long as programs that refer to their words
        self.filled = {}  # node put together from parts -> which elements are filled, and the number of parts
        self.placed = {}  # node in which a part was written over -> the node before, and the positions of the part
        self.fallible = []  # calls of kernels that may fail
        self.checks = []  # conditions that must hold for the program to be right: indices in range
        self.stop = {k: -1 - j for j, k in enumerate(stop)}  # records taken as inputs of their own
        self.columns = Columns(recorder)
        self.imm32 = self.columns.single_precision()
        self.exact = ancestors(decisions, self.values, self.operands)

    def may_fail(self) -> list:
        """The records of kernels that may fail: they run whether anybody uses their results or not."""
        codes = [op.code for op in OPS if op.failure is not None]
        return np.flatnonzero(np.isin(self.columns["op"], codes)).tolist() if self.columns.have(codes) else []

    def operands(self, k):
        """The records that record k reads."""
        return [] if k in self.stop else records_read(self.recorder, self.columns, k)

    def node(self, k) -> Node:
        """The value of record k."""
        return self.nodes([k])[0]

    def results(self, outputs, guards):
        """The nodes of some records, and of those on which guards are."""
        found = self.nodes([*outputs, *guards])
        self.nodes(self.may_fail())
        return found[: len(outputs)], found[len(outputs) :]

    def left(self):
        """How many records code is to be made of, at most."""
        return len(self.columns["op"])

    def shown(self):
        """The records that a listing shows, and lines in between."""
        return range(len(self.columns["op"]))

    def stands_for_itself(self, number):
        """Whether a guard is one of the program: not if another pass of a loop has it."""
        return True

    def number_guards(self, numbers):
        """Hear the numbers of the guards in the program."""

    def nodes(self, records) -> list:
        """The values of some records; what they need is worked out in the order of the tape."""
        for k in sorted(ancestors(records, self.values, self.operands)):
            self.values[k] = self._lower(k)
        return [self.values[k] for k in records]

    def _operand(self, k, j, o):
        """Operand j of record k, which is record o."""
        return self.values[o]

    def _immediate(self, k, dtype):
        return self.graph.const(self.imm32[k] if dtype == "f4" else self.columns["imm"][k], (), dtype)

    def _layout(self, k):
        return layout_at(self.columns["layout"][k])

    def _lower(self, k) -> Node:
        layout = self._layout(k)
        dtype = layout.dtype.numpy.str[1:]
        op = OPS[self.columns["op"][k]]
        if k in self.stop:
            return self.graph.input(self.stop[k], tuple(layout.shape), dtype)
        if op.code == 0:
            return self._leaf(k, layout, dtype)
        flags = self.columns["flags"][k]
        imm = self.columns["imm"][k]
        args = []
        for j, o in enumerate(all_operands(self.columns, k)):
            if j < 3 and flags & (R.SCALAR_A << j):
                args.append(self._immediate(k, dtype))
            else:
                args.append(self._operand(k, j, o) if o >= 0 else None)
        exact = k in self.exact
        if op.elementwise:
            plain = None if exact else self.finite.rule(op, args)
            if plain:
                value = self.graph.elementwise(plain, *args[:2])
            else:
                value = trace(self.graph, op.trace(0), dict(zip(OPERANDS, args, strict=True)), dtype, exact)
            return self.graph._same(value, tuple(layout.shape))
        base = op.alias_of or op
        plan_address = self.columns["plan"][k]
        plan = plan_at(plan_address) if plan_address else None
        structured = getattr(self, f"_{base.name}", None)
        if exact and base.name == "matmul":
            args = [self._transposed_as(x, words) for x, words in zip(args, (plan.words[4:7], plan.words[7:10]), strict=False)]
        if exact and base.name in _SUMS and args[0].n == 1 and (imm == 1 or base.name == "dot"):
            return self._single_term(base.name, args, tuple(layout.shape))
        if structured is not None and (not exact or base.name in _MOVES):
            value = structured(args, plan, imm, layout)
            if value is not None:
                return value
        attr = Kernel(base.name, base.code, plan_address, imm)
        inputs = [self._in_memory(a) for a in args[: base.reads] if a is not None]
        self.kept.append(plan)
        node = self.graph.node("call", inputs, attr, tuple(layout.shape), dtype)
        if base.failure:
            self.fallible.append(node)
        if base.name == "place":
            self.placed[node.id] = args[0], positions(args[1].shape, plan.strides, int(imm))
        return node

    def _in_memory(self, x):
        """An operand for a kernel, which reads contiguous memory, or for a matrix product a view of such."""
        if x.op == "view" and not self.is_packed(x.args[0]):
            return self.graph.view(self._in_memory(x.args[0]), x.shape, *x.attr)
        return x if self.is_packed(x) and x.op != "const" else self.graph.node("copy", (x,), None, x.shape, x.dtype)

    def is_packed(self, x):
        """Whether the elements of a value lie one after the other; an array outside has its own strides."""
        return x.op != "extern" or self.graph.arrays[x.attr].flags.c_contiguous

    # Values without a history

    def _leaf(self, k, layout, dtype):
        recorder, shape = self.recorder, tuple(layout.shape)
        if k in recorder.inputs:
            return self.graph.input(recorder.inputs[k], shape, dtype)
        if k in recorder.notes:
            return self._noted(k, recorder.notes[k], shape, dtype)
        if k in recorder.numbers:
            return self.graph.const(recorder.numbers[k], shape, dtype)
        if k in recorder.sources:
            array = recorder.sources[k]
            unreadable = why_unreadable(array)
            if unreadable:
                raise Refused(unreadable)
            # Those that keep it are this function, the sources and the tape: nobody can change it.
            if array.ndim == 0 and array.base is None and references_beside([array])[0] <= 3:
                return self.graph.const(array.item(), shape, dtype)
            return self.graph.cast(self.graph._same(self.graph.extern(array), shape), dtype)
        if self.columns["a"][k] >= 0:
            return self._operand(k, 0, self.columns["a"][k])
        if not self.columns["flags"][k] & R.EXTERNAL:
            return self.graph.const(0, shape, dtype)  # memory yet to be written, as cat() makes it
        raise Refused(f"a value of unknown origin ({recorder.tape.lines.line(k)})")

    def _noted(self, k, note, shape, dtype):
        graph, name = self.graph, note.name
        numbers = itertools.count()
        read = [self._operand(k, next(numbers), x._r & MASK) if isinstance(x, Tensor) else x for x in note.operands]
        args = [self._noted_operand(x, read) for x in read]
        if name in ("lt", "le", "gt", "ge", "eq", "ne", "add", "sub", "mul"):
            return graph._same(graph.elementwise(name, *self._promoted(args)), shape)
        if name in wholenumbers.FUNCTIONS:
            return graph._same(wholenumbers.FUNCTIONS[name](graph, *(graph.cast(a, dtype) for a in args)), shape)
        if name in ("isnan", "isinf", "isfinite") and args[0].is_float:
            return graph.elementwise(name, *args)
        if name == "copy":
            return args[0]
        if name == "to":
            if dtype == "b1":
                return graph.elementwise("ne", args[0], graph.const(0, (), args[0].dtype))
            return graph.cast(args[0], dtype)
        if name in ("and", "or", "xor", "logical_and", "logical_or", "logical_xor"):
            if name.startswith("logical"):
                args = [self._truth(a) for a in args]
                name = name[8:]
            return graph._same(graph.elementwise(name, *self._promoted(args)), shape)
        if name in ("invert", "logical_not"):
            x = self._truth(args[0]) if name == "logical_not" else args[0]
            return graph.elementwise("not", x)
        if name == "where":
            return graph._same(graph.elementwise("select", args[0], *self._promoted(args[1:])), shape)
        if name in ("any", "all"):
            return self._some(name, self._truth(args[0]), *note.parameters)
        if name == "sum":  # of integers: exact in double precision up to 2**53
            return graph.cast(self._total(graph.cast(args[0], "f8"), *note.parameters), "i8")
        if name in ("argmax", "argmin"):
            return self._arg(name[3:], graph.cast(args[0], "f8"), *note.parameters)
        if name == "flat":
            return self._flat(args, note.parameters, shape)
        raise Refused(f"{name} of {args[0].dtype}")

    def _noted_operand(self, x, operands):
        if isinstance(x, Node):
            return x
        kind = "b1" if isinstance(x, (bool, np.bool_)) else "f8" if isinstance(x, (float, np.floating)) else "i8"
        tensors = [t for t in operands if isinstance(t, Node)]
        if kind == "i8" or (kind == "f8" and any(t.dtype == "f4" for t in tensors)):
            kind = next((t.dtype for t in tensors if t.dtype != "b1"), kind)
        return self.graph.const(x, (), kind)

    def _promoted(self, args):
        dtype = np.result_type(*(np.dtype(a.dtype) for a in args)).str[1:]
        return [self.graph.cast(a, dtype) for a in args]

    def _truth(self, x):
        return x if x.dtype == "b1" else self.graph.elementwise("ne", x, self.graph.const(0, (), x.dtype))

    def _some(self, name, x, dim, keepdim):
        """any() is a count of the true ones above 0, all() one of the false ones that is 0."""
        graph = self.graph
        count = graph.cast(graph.elementwise("not", x) if name == "all" else x, "f8")
        total = self._total(count, dim, keepdim)
        return graph.elementwise("eq" if name == "all" else "gt", total, graph.const(0.0, (), "f8"))

    def _total(self, x, dim, keepdim):
        """The sum over some dimensions, None for all."""
        dims = range(len(x.shape)) if dim is None else [d % max(len(x.shape), 1) for d in np.atleast_1d(dim).tolist()]
        kept = tuple(1 if d in dims else s for d, s in enumerate(x.shape))
        shape = kept if keepdim else tuple(s for d, s in enumerate(x.shape) if d not in dims)
        steps = tuple(0 if d in dims else s for d, s in enumerate(packed_strides(kept)))
        return self.graph.sum(x, steps, 1.0, shape)

    def _arg(self, op, x, dim, keepdim):
        """The index of the first element that is the largest ("max") or smallest ("min"), or the first NaN."""
        graph = self.graph
        shape = tuple(1 for _ in x.shape) if keepdim else ()
        if dim is None:
            x, dim = graph.view(x, (x.n,), (1,), 0), 0
        else:
            dim %= max(len(x.shape), 1)
            shape = tuple(1 if d == dim else n for d, n in enumerate(x.shape) if keepdim or d != dim)
        if not x.shape:
            return graph.const(0, shape, "i8")
        kept = tuple(1 if d == dim else n for d, n in enumerate(x.shape))
        steps = tuple(0 if d == dim else s for d, s in enumerate(packed_strides(kept)))
        best = graph.extreme(op, x, steps, kept)
        both = graph.elementwise("and", graph.elementwise("isnan", x), graph.elementwise("isnan", best))
        found = graph.elementwise("or", graph.elementwise("eq", x, best), both)
        numbers = graph.extern(np.arange(x.shape[dim], dtype=np.float64))
        places = graph.view(numbers, x.shape, tuple(1 if d == dim else 0 for d in range(len(x.shape))), 0)
        first = graph.elementwise("select", found, places, graph.const(float(x.shape[dim]), (), "f8"))
        return graph.cast(graph.view(graph.extreme("min", first, steps, kept), shape, packed_strides(shape), 0), "i8")

    def _flat(self, args, parameters, shape):
        """Flat indices: a constant part and, per integer tensor, its (wrapped, checked) values times a stride."""
        constant, strides, sizes, places = parameters
        graph = self.graph
        total = graph.extern(constant)
        for x, stride, size, place in zip(args, strides, sizes, places, strict=True):
            x = graph.view(graph.cast(x, "i8"), shape, place, 0)
            checked = self._wrapped(x, size)
            total = graph.elementwise("add", total, graph.elementwise("mul", checked, graph.const(stride, (), "i8")))
        return graph._same(total, shape)

    def _wrapped(self, x, size):
        """Indices counted from the front; a guard sees to it that they are in range. A negative size: none is negative."""
        graph = self.graph
        zero, end = graph.const(0, (), "i8"), graph.const(abs(size), (), "i8")
        if size > 0:
            x = graph.elementwise("select", graph.elementwise("lt", x, zero), graph.elementwise("add", x, end), x)
        outside = graph.elementwise("or", graph.elementwise("lt", x, zero), graph.elementwise("ge", x, end))
        count = graph.sum(graph.cast(outside, "f8"), (0,) * len(x.shape), 1.0, ())
        self.checks.append(graph.elementwise("eq", count, graph.const(0.0, (), "f8")))
        return x

    # Structured ops that are not calls

    def _view(self, args, plan, imm, layout):
        x, shape = args[0], tuple(layout.shape)
        strides = plan.strides if plan else packed_strides(shape)
        while x.id in self.placed:  # beside the part that was written over, the value is the one before
            before, taken = self.placed[x.id]
            if np.isin(positions(shape, strides, int(imm)), taken).any():
                break
            x = before
        return self.graph.view(x, shape, strides, int(imm))

    def _spread(self, args, plan, imm, layout):
        return self.graph.spread(args[0], plan.strides, int(imm), tuple(layout.shape))

    def _place(self, args, plan, imm, layout):
        """Parts put into zeros side by side, as cat, stack and x[k] = y do it, are sums of spreads."""
        x, y = args[:2]
        filled, parts = self.filled.get(x.id, (None, 0))
        if x.op == "const" and x.attr.value == 0:
            filled = np.zeros(x.n, bool)
        taken = positions(y.shape, plan.strides, int(imm))
        if filled is None or parts >= MOST_PARTS or filled[taken].any():
            return self._over(x, y, plan.strides, int(imm), taken)
        total = self.graph.elementwise("add", x, self.graph.spread(y, plan.strides, int(imm), x.shape))
        filled = filled.copy()
        filled[taken] = True
        self.filled[total.id] = filled, parts + (y.n > 1)
        return total

    def _over(self, x, y, strides, start, taken):
        found = self.graph.place(x, y, strides, start)
        if found is not None and found.op == "place":
            self.placed[found.id] = x, taken
        return found

    def _copy(self, args, plan, imm, layout):
        return args[0]

    def _cast(self, args, plan, imm, layout):
        return self.graph.cast(args[0], layout.dtype.numpy.str[1:])

    def _sum(self, args, plan, imm, layout):
        return self.graph.sum(args[0], plan.strides, imm, tuple(layout.shape))

    _mean = _sum

    def _norm(self, args, plan, imm, layout):
        square = self.graph.elementwise("mul", args[0], args[0])
        return self.graph.elementwise("sqrt", self.graph.sum(square, plan.strides, 1.0, tuple(layout.shape)))

    def _single_term(self, name, args, shape):
        """A sum of a single term, as its kernel works it out: added to a zero."""
        graph, x = self.graph, args[0]
        if name in ("norm", "dot"):
            x = graph.elementwise("mul", x, args[1] if name == "dot" else x, exact=True)
        total = graph.elementwise("add", graph.const(0.0, (), x.dtype), x, exact=True)
        result = graph.elementwise("sqrt", total, exact=True) if name == "norm" else total
        return graph.view(result, shape, packed_strides(shape), 0)

    # Along one dimension

    def _extreme(self, op, x, plan):
        """The largest or smallest along a dimension, which stays with size 1."""
        kept = tuple(1 if d == plan.dim else n for d, n in enumerate(x.shape))
        return self.graph.extreme(op, x, self._steps(x, plan), kept)

    def _steps(self, x, plan):
        kept = tuple(1 if d == plan.dim else n for d, n in enumerate(x.shape))
        return tuple(0 if d == plan.dim else s for d, s in enumerate(packed_strides(kept)))

    def _amax(self, args, plan, imm, layout):
        return self.graph.view(self._extreme("max", args[0], plan), layout.shape, packed_strides(layout.shape), 0)

    def _amin(self, args, plan, imm, layout):
        return self.graph.view(self._extreme("min", args[0], plan), layout.shape, packed_strides(layout.shape), 0)

    def _exponentials(self, x, plan, shift):
        """exp(x - shift) and its sum along a dimension, which stays with size 1."""
        graph = self.graph
        parts = graph.elementwise("exp", graph.elementwise("sub", x, shift))
        return parts, graph.sum(parts, self._steps(x, plan), 1.0, shift.shape)

    def _logsumexp(self, args, plan, imm, layout):
        graph, x = self.graph, args[0]
        top = self._extreme("max", x, plan)
        top = graph.elementwise("select", graph.elementwise("isfinite", top), top, graph.const(0.0, (), x.dtype))
        _, total = self._exponentials(x, plan, top)
        result = graph.elementwise("add", top, graph.elementwise("log", total))
        return graph.view(result, layout.shape, packed_strides(layout.shape), 0)

    def _softmax(self, args, plan, imm, layout):
        graph, x = self.graph, args[0]
        parts, total = self._exponentials(x, plan, self._extreme("max", x, plan))
        return graph.elementwise("mul", parts, graph.elementwise("div", graph.const(1.0, (), x.dtype), total))

    def _log_softmax(self, args, plan, imm, layout):
        graph, x = self.graph, args[0]
        top = self._extreme("max", x, plan)
        _, total = self._exponentials(x, plan, top)
        return graph.elementwise("sub", x, graph.elementwise("add", top, graph.elementwise("log", total)))

    def _dot(self, args, plan, imm, layout):
        product = self.graph.elementwise("mul", args[0], args[1])
        return self.graph.sum(product, (0,), 1.0, ())

    def _matmul(self, args, plan, imm, layout):
        x, y = map(self._in_memory, args[:2])
        return self.graph.node("matmul", (x, y), None, tuple(layout.shape), x.dtype)

    def _transposed_as(self, x, words):
        """An operand that BLAS reads transposed, or not, as the plan says: it does not add up both in one order."""
        graph, transposed = self.graph, int(words[0])
        x = self._in_memory(x)
        if transposed == (blas_view(x) or (0,))[0]:
            return x
        if not transposed:
            return graph.node("copy", (x,), None, x.shape, x.dtype)
        turned = (*x.shape[:-2], x.shape[-1], x.shape[-2])
        packed = packed_strides(x.shape)
        copied = graph.node("copy", (graph.view(x, turned, (*packed[:-2], packed[-1], packed[-2]), 0),), None, turned, x.dtype)
        packed = packed_strides(turned)
        return graph.view(copied, x.shape, (*packed[:-2], packed[-1], packed[-2]), 0)


_SUMS = {"sum", "mean", "norm", "dot"}
_MOVES = {"view", "copy", "cast", "place", "matmul"}  # ops without arithmetic, and products, which are BLAS's in any case


def why_unreadable(array):
    """Why programs cannot read an array outside, None if they can."""
    if not array.dtype.isnative or array.dtype.kind not in "fiub" or array.dtype.str[1:] == "f2":
        return f"an array of dtype {array.dtype} is captured"
    if any(s % array.itemsize for s in array.strides):
        return "a captured array is not aligned to its elements"
    return None


def trace(graph, expr, bindings, dtype, exact=False):
    """The nodes of a scalar expression of the op table; exactly as its kernel works it out, or in any way."""
    if exact and has_fma():
        expr = fused(expr)
    if expr.op == "symbol":
        return bindings[expr.args[0]]
    if expr.op == "const":
        return graph.const(expr.args[0], (), dtype)
    args = [trace(graph, a, bindings, dtype, exact) for a in expr.args]
    if expr.op in ("lt", "le", "gt", "ge", "eq", "ne") and args[0].dtype != args[1].dtype:
        args = [graph.cast(a, dtype) for a in args]
    return graph.elementwise(expr.op, *args, exact=exact)
