"""LLVM instructions for the primitives of the graph, one at a time."""

import functools
import sys

import llvmlite.binding as llvm
from llvmlite import ir

from tapejit.edge.instructions import write, write_integers, written_out
from tapejit.edge.vecmath.emit import CONTRACT, DOUBLE, SINGLE
from tapejit.graph.node import EXACT
from tapejit.spec.primitives import LOGIC, PRIMITIVES

I1, I8, I32, I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
BYTES = I8.as_pointer()
VOID = ir.VoidType()
F64, F32 = ir.DoubleType(), ir.FloatType()
IN_MEMORY = {
    "f8": F64, "f4": F32, "i8": I64, "i4": I32, "i2": ir.IntType(16), "i1": I8, "u1": I8, "b1": I8,
}
FORMATS = {"f8": DOUBLE, "f4": SINGLE}
REASSOCIATE = ("reassoc", "nsz", "contract")


@functools.cache
def _in_library(name) -> bool:
    return sys.platform == "linux" and bool(llvm.address_of_symbol(name))


def library_functions() -> tuple:
    """The primitives that single numbers take from the C library."""
    return tuple(name for name, row in PRIMITIVES.items() if row.alone and _in_library(name))


class _Text:
    """The blocks of a function as text."""

    __slots__ = ("text",)

    def __init__(self, text):
        self.text = text

    def descr(self, buffer):
        buffer.append(self.text)


def finish(function):
    """Nothing more will be written into a function: its text takes the place of some ten objects per instruction.

    Kept until the module is done, these would make Python's collector look at every object of the process again and again,
    and hold up all threads for as long.
    """
    buffer = []
    function.descr_body(buffer)
    function.blocks = [_Text("".join(buffer))]
    function.scope = None


LANES = 4  # doubles in a vector
SHORT = 128  # passes of a loop, known when it is compiled: four times as many as LLVM has been seen to fail at


def as_it_is(module, branch, name):
    """Keep LLVM from making vectors of the loop that a branch closes.

    Where it weighs widths for a loop that only moves numbers, or for a short one that writes numbers of less than 8 bytes
    backwards, it has been seen to end the process (LLVM 22: "VPlan cost model and legacy cost model disagreed").
    """
    _tell(module, branch, name, ("llvm.loop.vectorize.enable", ir.Constant(I1, 0)))


def as_vectors(module, branch, name):
    """Keep LLVM from unrolling the short loop that a branch closes: it does so before it makes vectors, and then makes none."""
    _tell(module, branch, name, ("llvm.loop.unroll.disable",))


def in_vectors(module, branch, name):
    """Have the loop that a branch closes done in single vectors: it has some ten passes, and no widths are weighed.

    LLVM takes this as leave to reorder sums, of which there must be none.
    """
    _tell(module, branch, name, ("llvm.loop.vectorize.width", I32(LANES)), ("llvm.loop.interleave.count", I32(1)))


def _tell(module, branch, name, *wishes):
    wishes = [module.add_metadata(wish) for wish in wishes]
    found = module.add_metadata([name, *wishes])
    found.operands = (found, *wishes)  # a loop is known by what refers to itself
    branch.set_metadata("llvm.loop", found)


def is_fragile(passes, writes) -> bool:
    """Whether a loop is one of the short ones at which LLVM may fail; ``writes`` are pairs of a dtype and a step."""
    return passes < SHORT and any(step < 0 and itemsize(dtype) < 8 for dtype, step in writes)


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
        kind = kinds[-1]
        exact = op.startswith(EXACT)
        op = op.removeprefix(f"{EXACT} ")
        if kind[0] != "f" and PRIMITIVES[op].kind != LOGIC:
            return write_integers(self.builder, op, args, unsigned=kind in ("u1", "b1"))
        flags = () if exact else CONTRACT
        return write(self.builder, op, args, flags, lambda row, args: self._elementary(row, kind, args, exact))

    def _elementary(self, row, kind, args, exact):
        fmt, op = FORMATS[kind], row.name
        if row.alone and not exact and self.alone and kind == "f8" and _in_library(op):
            function = self.module.globals.get(op) or ir.Function(self.module, ir.FunctionType(F64, [F64]), op)
            return self.builder.call(function, args)
        if not self.outlined:
            return written_out(self.builder, row, args, fmt, self.fma)
        name = f"tapejit.{op}.{kind}"
        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(fmt.float, [fmt.float] * len(args)), name)
            function.linkage = "internal"
            for attribute in ("noinline", "nounwind"):
                function.attributes.add(attribute)
            inner = ir.IRBuilder(function.append_basic_block())
            inner.ret(written_out(inner, row, function.args, fmt, self.fma))
            finish(function)
        return self.builder.call(function, args)
