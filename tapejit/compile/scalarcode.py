"""LLVM instructions for the primitives of the graph, one at a time."""

import functools
import sys

import llvmlite.binding as llvm
from llvmlite import ir

from tapejit.edge import vecmath
from tapejit.edge.vecmath.emit import DOUBLE, SINGLE, Value
from tapejit.graph.node import EXACT

I1, I8, I32, I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
BYTES = I8.as_pointer()
VOID = ir.VoidType()
F64, F32 = ir.DoubleType(), ir.FloatType()
IN_MEMORY = {
    "f8": F64, "f4": F32, "i8": I64, "i4": I32, "i2": ir.IntType(16), "i1": I8, "u1": I8, "b1": I8,
}
FORMATS = {"f8": DOUBLE, "f4": SINGLE}
CONTRACT = ("contract",)
REASSOCIATE = ("reassoc", "nsz", "contract")
_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_ROUNDING = {"floor", "ceil", "trunc", "rint", "sqrt", "abs"}
_BITS = {"and": "and_", "or": "or_", "xor": "xor"}
# Functions of the C library that take less time than ours for a single double: these are made for vectors. Glibc's are at
# most 1 ulp off (its manual, "Errors in Math Functions").
FOR_ONE = ("exp", "log", "erf", "erfc", "sin", "cos")


@functools.cache
def _in_library(name) -> bool:
    return sys.platform == "linux" and bool(llvm.address_of_symbol(name))


def itemsize(dtype: str) -> int:
    return int(dtype[1])


def constant(dtype, text):
    if dtype == "b1":
        return ir.Constant(I1, int(float(text) != 0))
    if dtype[0] == "f":
        return ir.Constant(IN_MEMORY[dtype], float(text))
    return ir.Constant(IN_MEMORY[dtype], int(float(text)))


def load(builder, dtype, pointer):
    value = builder.load(pointer)
    return builder.icmp_unsigned("!=", value, I8(0)) if dtype == "b1" else value


def store(builder, dtype, value, pointer):
    builder.store(builder.zext(value, I8) if dtype == "b1" else value, pointer)


def cast(builder, value, source, target):
    """Conversion between element types, as NumPy does it."""
    to = IN_MEMORY[target]
    if source == target:
        return value
    if target == "b1":
        zero = ir.Constant(value.type, 0.0 if source[0] == "f" else 0)
        if source[0] == "f":
            return builder.fcmp_unordered("!=", value, zero)
        return builder.icmp_signed("!=", value, zero)
    if source[0] == "f":
        if target[0] == "f":
            return builder.fpext(value, to) if target == "f8" else builder.fptrunc(value, to)
        return builder.fptosi(value, to)
    unsigned = source in ("b1", "u1")
    if target[0] == "f":
        return builder.uitofp(value, to) if unsigned else builder.sitofp(value, to)
    if value.type.width < to.width:
        return builder.zext(value, to) if unsigned else builder.sext(value, to)
    return builder.trunc(value, to) if value.type.width > to.width else value


class Primitives:
    """Emits primitives into one function.

    Args:
        alone: not in a loop, so that nothing is to be vectorised.
        outlined: the code of elementary functions is kept out of the function.
    """

    def __init__(self, module, builder, has_fma, alone=False, outlined=False):
        self.module, self.builder, self.fma = module, builder, has_fma
        self.alone, self.outlined = alone, outlined

    def __call__(self, op, dtype, args, kinds):
        """The value of one primitive.

        Args:
            op: its name; after "exact ", with the bits of the eager kernels.
            dtype: of the result.
            args, kinds: the operands' values and dtypes.
        """
        b = self.builder
        kind = kinds[-1]
        exact = op.startswith(EXACT)
        op = op.removeprefix(f"{EXACT} ")
        if op == "select":
            return b.select(args[0], args[1], args[2])
        if op in _BITS:
            return getattr(b, _BITS[op])(*args)
        if op == "not":
            return b.not_(args[0])
        if kind[0] != "f":
            return self._integer(op, args, kind)
        if op in _ARITHMETIC:
            return getattr(b, _ARITHMETIC[op])(*args, flags=() if exact else CONTRACT)
        if op == "neg":
            return b.fneg(args[0])
        if op == "fmod":
            return b.frem(*args)
        if op in _COMPARE:
            return (b.fcmp_unordered if op == "ne" else b.fcmp_ordered)(_COMPARE[op], *args)
        if op == "isnan":
            return b.fcmp_unordered("uno", args[0], args[0])
        if op in ("isinf", "isfinite"):
            infinity = ir.Constant(args[0].type, float("inf"))
            return b.fcmp_ordered("==" if op == "isinf" else "<", self._intrinsic("abs", args[0]), infinity)
        if op in _ROUNDING or op == "fma":
            return self._intrinsic(op, *args)
        return self._elementary(op, kind, args, exact)

    def _integer(self, op, args, kind):
        b = self.builder
        if op in ("add", "sub", "mul"):
            return getattr(b, op)(*args)
        if op == "neg":
            return b.neg(args[0])
        if op in _COMPARE:
            unsigned = kind in ("u1", "b1")
            return (b.icmp_unsigned if unsigned else b.icmp_signed)(_COMPARE[op], *args)
        if op == "abs":
            return b.select(b.icmp_signed("<", args[0], ir.Constant(args[0].type, 0)), b.neg(args[0]), args[0])
        raise NotImplementedError(f"{op} of {kind}")

    def _intrinsic(self, op, *args):
        name = "llvm.fabs" if op == "abs" else f"llvm.{op}"
        kind = ir.FunctionType(args[0].type, [a.type for a in args])
        return self.builder.call(self.module.declare_intrinsic(name, [args[0].type], kind), args)

    def _elementary(self, op, kind, args, exact):
        fmt = FORMATS[kind]
        if not exact and self.alone and kind == "f8" and op in FOR_ONE and _in_library(op):
            function = self.module.globals.get(op) or ir.Function(self.module, ir.FunctionType(F64, [F64]), op)
            return self.builder.call(function, args)
        if not self.outlined:
            return getattr(vecmath, op)(*[Value(self.builder, fmt, self.fma, a) for a in args]).ir
        name = f"tapejit.{op}.{kind}"
        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(fmt.float, [fmt.float] * len(args)), name)
            function.linkage = "internal"
            for attribute in ("noinline", "nounwind"):
                function.attributes.add(attribute)
            inner = ir.IRBuilder(function.append_basic_block())
            inner.ret(getattr(vecmath, op)(*[Value(inner, fmt, self.fma, a) for a in function.args]).ir)
        return self.builder.call(function, args)
