"""Kernels of the elementwise ops, generated from the rules of the op table.

A kernel is the loop over one row; broadcasting, rows and reductions are the caller's business (``core.rows``),
so that an op compiles little and a new one never recompiles anything else. Steps are in elements: 1 along an
array, 0 for a scalar, anything else for a strided view.

    forward(n, out, x, sx, y, sy, z, sz)
    reverse(n, g, x, sx, y, sy, z, sz, out, target, accumulate)

``g``, ``out`` and ``target`` are contiguous; ``reverse`` adds to ``target`` when ``accumulate`` is 1, else overwrites.
"""

import itertools

from llvmlite import ir
from numba.core import cgutils

from tapejit.edge.objects import compiled_address, has_fma
from tapejit.edge.vecmath.emit import DOUBLE, SINGLE, Value
from tapejit.kernels.expression import lower_expr
from tapejit.spec.expr import Expr, symbol
from tapejit.spec.primitives import entered_later
from tapejit.spec.table import OPERANDS

_FORMATS = (DOUBLE, SINGLE)
_WORD = ir.IntType(64)
_BYTE = ir.IntType(8)
_NAMES = ("forward", "reverse_x", "reverse_y", "reverse_z")
_FORWARD = ("n", "out", "x", "sx", "y", "sy", "z", "sz")
_REVERSE = ("n", "g", "x", "sx", "y", "sy", "z", "sz", "out", "target", "accumulate")


def elementwise_kernel(op, which, dtype) -> int:
    """Compile, or load from the cache, one kernel of an elementwise op.

    Args:
        op: the row of the op table.
        which: 0 for the forward kernel, 1 to 3 for the reverse kernel of that operand.
        dtype: dtype code, ``record.F64`` or ``record.F32``.

    Returns:
        The kernel's address, for the kernel table.
    """
    name = f"{op.name}_{_NAMES[which]}_{('f64', 'f32')[dtype]}"
    key = repr((op.trace(which), op.condition, entered_later()))
    return compiled_address(name, key, lambda module, symbol: _Kernel(module, symbol, op, which, dtype).write())


class _Kernel:
    """One kernel being written."""

    def __init__(self, module, symbol, op, which, dtype):
        self.op, self.which = op, which
        self.format = _FORMATS[dtype]
        names = _REVERSE if which else _FORWARD
        kinds = [self._kind(name) for name in names]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), symbol)
        self.arguments = dict(zip(names, function.args, strict=True))
        self.target = self.arguments["target" if which else "out"]
        self.target.add_attribute("noalias")  # results and adjoints have blocks of their own
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))
        self.used = OPERANDS[: op.arity] if which == 0 else tuple(n for n in op.needs[which - 1] if n != "out")

    def _kind(self, name):
        if name in ("n", "sx", "sy", "sz", "accumulate"):
            return _WORD
        return (_BYTE if self.op.condition and name == "x" else self.format.float).as_pointer()

    def write(self):
        builder = self.builder
        with builder.if_then(builder.icmp_signed(">", self.arguments["n"], _WORD(0))):
            if self.which:
                adds = builder.icmp_signed("!=", self.arguments["accumulate"], _WORD(0))
                with builder.if_else(adds) as (then, otherwise):
                    with then:
                        self._by_steps(self._variants(), True)
                    with otherwise:
                        self._by_steps(self._variants(), False)
            else:
                self._by_steps(self._variants(), False)
        builder.ret_void()

    def _variants(self):
        """The combinations of steps that get a loop of their own; last the general one, of any steps."""
        specific = [steps for steps in itertools.product((1, 0), repeat=len(self.used)) if any(steps)]
        general = [(None,) * len(self.used)]
        return (specific if self.used else []) + general

    def _by_steps(self, variants, accumulate):
        """A chain of tests for the variants, each with its loop."""
        builder = self.builder
        steps, rest = dict(zip(self.used, variants[0], strict=True)), variants[1:]
        if not rest:
            self._loop(steps, accumulate)
            return
        tests = [builder.icmp_signed("==", self.arguments[f"s{n}"], _WORD(s)) for n, s in steps.items()]
        matches = tests[0]
        for test in tests[1:]:
            matches = builder.and_(matches, test)
        with builder.if_else(matches) as (then, otherwise):
            with then:
                self._loop(steps, accumulate)
            with otherwise:
                self._by_steps(rest, accumulate)

    def _loop(self, steps, accumulate):
        builder = self.builder
        fixed = {name: self._load(name, _WORD(0)) for name, step in steps.items() if step == 0}
        with cgutils.for_range(builder, self.arguments["n"]) as loop:
            i = loop.index
            values = dict(fixed)
            for name, step in steps.items():
                if step == 1:
                    values[name] = self._load(name, i)
                elif step is None:
                    values[name] = self._load(name, builder.mul(i, self.arguments[f"s{name}"]))
            if self.which:
                values["g"] = self._load("g", i)
                if "out" in self.op.needs[self.which - 1]:
                    values["out"] = self._load("out", i)
            like = self._value(ir.Constant(self.format.float, 0.0))
            expression = self.op.trace(self.which)
            place = builder.gep(self.target, [i])
            if accumulate:
                values["target"] = self._value(builder.load(place))
                expression = Expr("add", expression, symbol("target"))
            builder.store(lower_expr(expression, values, like).ir, place)

    def _load(self, name, index):
        loaded = self.builder.load(self.builder.gep(self.arguments[name], [index]))
        if loaded.type == _BYTE:
            loaded = self.builder.icmp_unsigned("!=", loaded, _BYTE(0))
        return self._value(loaded)

    def _value(self, loaded):
        return Value(self.builder, self.format, has_fma(), loaded)
