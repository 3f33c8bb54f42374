"""The one emitter of scalar primitives to machine code: for kernels, replayed programs and nopython alike.

What differs between the three is their policy, which they hand in: the flags of arithmetic, which say whether LLVM may contract
it, and what writes an elementary function.

- Kernels: no flags, the functions of ``vecmath``; products fuse with sums where ``kernels.expression`` says so, before this.
- Programs: arithmetic may be contracted, and single numbers may use the C library, but not in what a decision is made of.
- nopython: values as undifferentiated Numba code has them, to the last bit; coefficients may be contracted.
"""

from llvmlite import ir

from tapejit.edge import scipycalls, vecmath
from tapejit.edge.vecmath.emit import Value, call_intrinsic
from tapejit.spec.primitives import ARITHMETIC, COMPARISON, PRIMITIVES, TEST


def write(builder, name, args, flags=(), function=None):
    """The code of a primitive of floats, or of bools for what joins them.

    Args:
        args: LLVM values of one type.
        flags: of arithmetic.
        function: ``function(row, args)`` writes a primitive that has no instruction of its own.
    """
    row = PRIMITIVES[name]
    if row.kind == COMPARISON:
        return (builder.fcmp_unordered if name == "ne" else builder.fcmp_ordered)(row.llvm, *args)  # NaN differs from all
    if row.kind == TEST:
        return _test(builder, name, *args)
    if row.llvm.startswith("llvm."):
        return call_intrinsic(builder, row.llvm, args[0].type, args)
    if name == "select" and _is_chain(*args):
        args = [_unlikely(builder, args[0]), *args[1:]]
    if row.llvm:
        instruction = getattr(builder, row.llvm)
        return instruction(*args, flags=flags) if row.kind == ARITHMETIC else instruction(*args)
    return function(row, args)


def _is_chain(condition, zero, product):
    """Whether a select of numbers is what ``chain`` and ``chain_div`` of the op table are: nothing where an adjoint is zero."""
    test, result = getattr(condition, "op", None), getattr(product, "opname", None)
    if test != "oeq" or result not in ("fmul", "fdiv") or condition.operands[0] not in product.operands:
        return False
    return all(isinstance(x, ir.Constant) and x.constant == 0 for x in (condition.operands[1], zero))


def _unlikely(builder, condition):
    """A condition that hardly ever holds: outside of vectors, a select of it is a jump.

    The processor foresees the jump, and the next product begins when this one is done. A select would wait for the comparison,
    too, which with AVX-512 takes as long as two products, or three where it goes by way of an integer register.
    """
    return call_intrinsic(builder, "llvm.expect", condition.type, [condition, ir.Constant(condition.type, 0)])


def _test(builder, name, x):
    if name == "isnan":
        return builder.fcmp_unordered("uno", x, x)
    size = call_intrinsic(builder, "llvm.fabs", x.type, [x])
    return builder.fcmp_ordered("==" if name == "isinf" else "<", size, ir.Constant(x.type, float("inf")))


def write_integers(builder, name, args, unsigned):
    """The code of a primitive of integers.

    Raises:
        NotImplementedError: for one that integers do not have.
    """
    row = PRIMITIVES[name]
    if row.kind == COMPARISON:
        return (builder.icmp_unsigned if unsigned else builder.icmp_signed)(row.llvm, *args)
    if name == "abs":
        x = args[0]
        return builder.select(builder.icmp_signed("<", x, ir.Constant(x.type, 0)), builder.neg(x), x)
    if not row.integer:
        raise NotImplementedError(f"{name} of integers")
    if name == "quotient":
        return _quotient(builder, *args, unsigned)
    if name == "shr" and unsigned:
        return builder.lshr(*args)
    return getattr(builder, row.integer)(*args)


def _quotient(builder, x, y, unsigned):
    """The quotient towards zero; zero by zero, and the least number by -1 wraps around, where the processor would trap."""
    zero, one = ir.Constant(y.type, 0), ir.Constant(y.type, 1)
    by_zero = builder.icmp_unsigned("==", y, zero)
    if unsigned:
        return builder.select(by_zero, zero, builder.udiv(x, builder.select(by_zero, one, y)))
    negates = builder.icmp_unsigned("==", y, ir.Constant(y.type, -1))
    found = builder.sdiv(x, builder.select(builder.or_(by_zero, negates), one, y))
    return builder.select(by_zero, zero, builder.select(negates, builder.neg(x), found))


def written_out(builder, row, args, fmt, has_fma):
    """The code of a function: a call of SciPy's, or the formulas of ``vecmath`` or the row's own."""
    if row.library:
        return scipycalls.call(builder, row.library, args)
    body = row.body or getattr(vecmath, row.name)
    return body(*[Value(builder, fmt, has_fma, x) for x in args]).ir
