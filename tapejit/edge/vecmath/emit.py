"""How the functions of this package reach compiled code.

A function here is written once, in plain Python, over `Value` objects: every operator writes one LLVM instruction
into the function that calls it. So a call costs Numba one typing step and one lowering step (nothing is compiled
apart, nothing is linked, the caller may be cached on disk), and LLVM sees straight-line code, which it vectorises.

A function gives the same bits wherever it is written: over one number or a vector, alone or in a loop, eagerly or in a
replayed program. So nothing is left to the compiler: `x * y + z` is written as a fused multiply-add here (where the processor
has one), and no instruction may be contracted. The formulas must survive whatever `fastmath` the caller asks for: Numba adds
the caller's flags only to instructions that carry none, therefore every instruction here carries one that means nothing to
it: `contract` on divisions, `arcp` on all others.

`+ - *` fuse; the error-free steps (`two_sum`, `two_prod`, ...) use `add`, `sub`, `mul`, which do not. A product that is both
added to something and used again, rounded, has to be one of the latter.
"""
import functools
import struct

from llvmlite import ir
from numba.core import types

from .processor import has_avx512

CONTRACT = ("contract",)
EXACT = ("arcp",)
BOOL = ir.IntType(1)


class Format:
    """A binary floating-point format: its LLVM types and the numbers the bit tricks need."""

    def __init__(self, name, float_type, width, mantissa, lanes=None):
        self.name = name
        self.lanes = lanes  # None for scalars; else every Value is a vector of that many
        self.float = float_type if lanes is None else ir.VectorType(float_type, lanes)
        self.int = ir.IntType(width) if lanes is None else ir.VectorType(ir.IntType(width), lanes)
        self._scalar = (name, float_type, width, mantissa)
        self.width = width
        self.mantissa = mantissa  # stored bits, without the leading one
        self.bias = (1 << (width - mantissa - 2)) - 1
        # x + MAGIC leaves round(x) in the low bits of the sum for |x| < 2**(mantissa - 2).
        self.magic = 1.5 * 2.0**mantissa
        self.sign_bit = 1 << (width - 1)
        self.tiny = 2.0 ** (1 - self.bias)  # least normal number
        self.is_double = width == 64

    def vector(self, lanes):
        """The same format with this many lanes, None for scalars."""
        return self if lanes == self.lanes else _format(*self._scalar, lanes)

    def rounded(self, number):
        """A Python float rounded to this format."""
        return number if self.is_double else struct.unpack("<f", struct.pack("<f", number))[0]

    def bits(self, number):
        """The bit pattern of a Python float rounded to this format."""
        return struct.unpack("<q" if self.is_double else "<i",
                             struct.pack("<d" if self.is_double else "<f", number))[0]


_format = functools.cache(Format)
DOUBLE = _format("f64", ir.DoubleType(), 64, 52, None)
SINGLE = _format("f32", ir.FloatType(), 32, 23, None)
FORMATS = {types.float64: DOUBLE, types.float32: SINGLE}


def constant(kind, number):
    """The number as an LLVM constant; in every lane of a vector."""
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


class Value:
    """One scalar (or vector) in the code being written: a float, an integer of the same width, or a truth value."""

    __slots__ = ("b", "factors", "fma", "fmt", "ir")

    def __init__(self, builder, fmt, has_fma, ir_value):
        self.b = builder
        self.fmt = fmt
        self.fma = has_fma
        self.ir = ir_value
        self.factors = None  # of a product that a sum may fuse with

    def of(self, ir_value, fmt=None):
        """A new value in the same place."""
        return Value(self.b, fmt or self.fmt, self.fma, ir_value)

    def _lift(self, other):
        if isinstance(other, Value):
            return other.ir
        return getattr(self.b, "constant", constant)(self.ir.type, other)

    def _is_float(self):
        return isinstance(getattr(self.ir.type, "element", self.ir.type), (ir.DoubleType, ir.FloatType))

    def const(self, number):
        """A float constant of this value's format."""
        return self.of(getattr(self.b, "constant", constant)(self.fmt.float, float(number)))

    # Arithmetic: floats fuse, integers wrap.
    def _binary(self, other, float_op, int_op, flip=False, flags=EXACT):
        left, right = self.ir, self._lift(other)
        if flip:
            left, right = right, left
        if self._is_float():
            return self.of(getattr(self.b, float_op)(left, right, flags=flags))
        return self.of(getattr(self.b, int_op)(left, right))

    def _fused(self, factors, addend, negative_product=False, negative_addend=False):
        """The product of the factors, or its negative, plus (or minus) the addend, with one rounding."""
        x, y = factors
        x = self.b.fneg(x) if negative_product else x
        addend = self.b.fneg(addend) if negative_addend else addend
        return self.of(called(self, "llvm.fma", [x, y, addend]))

    def __add__(self, other):
        if self.factors:
            return self._fused(self.factors, self._lift(other))
        if isinstance(other, Value) and other.factors:
            return self._fused(other.factors, self.ir)
        return self._binary(other, "fadd", "add")

    __radd__ = __add__

    def __sub__(self, other):
        if self.factors:
            return self._fused(self.factors, self._lift(other), negative_addend=True)
        if isinstance(other, Value) and other.factors:
            return self._fused(other.factors, self.ir, negative_product=True)
        return self._binary(other, "fsub", "sub")

    def __rsub__(self, other):
        if self.factors:
            return self._fused(self.factors, self._lift(other), negative_product=True)
        return self._binary(other, "fsub", "sub", flip=True)

    def __mul__(self, other):
        product = self._binary(other, "fmul", "mul")
        if self.fma and self._is_float():
            product.factors = self.ir, self._lift(other)
        return product

    __rmul__ = __mul__

    def __truediv__(self, other):
        return self._binary(other, "fdiv", "sdiv", flags=CONTRACT)

    def __rtruediv__(self, other):
        return self._binary(other, "fdiv", "sdiv", flip=True, flags=CONTRACT)

    def __neg__(self):
        return self.of(self.b.fneg(self.ir)) if self._is_float() else 0 - self

    # Error-free arithmetic: never fused with a neighbour.
    def add(self, other):
        return self._binary(other, "fadd", "add")

    def sub(self, other):
        return self._binary(other, "fsub", "sub")

    def mul(self, other):
        return self._binary(other, "fmul", "mul")

    def rounded(self):
        """The same number, as a sum takes it that is not to be fused."""
        return self.of(self.ir)

    # Integers and truth values.
    def __and__(self, other):
        return self.of(self.b.and_(self.ir, self._lift(other)))

    def __or__(self, other):
        return self.of(self.b.or_(self.ir, self._lift(other)))

    def __xor__(self, other):
        return self.of(self.b.xor(self.ir, self._lift(other)))

    def __invert__(self):
        return self.of(self.b.not_(self.ir))

    def __lshift__(self, count):
        return self.of(self.b.shl(self.ir, constant(self.ir.type, count)))

    def __rshift__(self, count):
        return self.of(self.b.ashr(self.ir, constant(self.ir.type, count)))

    def lshr(self, count):
        return self.of(self.b.lshr(self.ir, constant(self.ir.type, count)))

    def beyond(self, other):
        """Whether an integer is, as an unsigned number, at least `other`."""
        return self.of(self.b.icmp_unsigned(">=", self.ir, self._lift(other)))

    def _compare(self, op, other):
        if self._is_float():
            # `!=` is true for NaN, every other comparison is false.
            method = self.b.fcmp_unordered if op == "!=" else self.b.fcmp_ordered
            return self.of(method(op, self.ir, self._lift(other), flags=EXACT))
        return self.of(self.b.icmp_signed(op, self.ir, self._lift(other)))

    def __lt__(self, other):
        return self._compare("<", other)

    def __le__(self, other):
        return self._compare("<=", other)

    def __gt__(self, other):
        return self._compare(">", other)

    def __ge__(self, other):
        return self._compare(">=", other)

    def __eq__(self, other):
        return self._compare("==", other)

    def __ne__(self, other):
        return self._compare("!=", other)

    __hash__ = None

    # Bits and conversions.
    def bits(self):
        """The bit pattern as an integer of the same width."""
        return self.of(self.b.bitcast(self.ir, self.fmt.int))

    def to_float(self):
        """The float that has this bit pattern."""
        return self.of(self.b.bitcast(self.ir, self.fmt.float))

    def abs(self):
        return (self.bits() & (self.fmt.sign_bit - 1)).to_float()

    def sign(self):
        """The sign bit alone, as an integer."""
        return self.bits() & self.fmt.sign_bit

    def with_sign(self, sign):
        """The float with the sign bit of the integer `sign` toggled in."""
        return (self.bits() ^ sign).to_float()

    def to_double(self):
        if self.fmt.is_double:
            return self
        double = DOUBLE.vector(self.fmt.lanes)
        return self.of(self.b.fpext(self.ir, double.float), double)

    def to_format(self, fmt):
        if self.fmt.is_double == fmt.is_double:
            return self
        if fmt.is_double:
            return self.to_double()
        single = SINGLE.vector(self.fmt.lanes)
        return self.of(self.b.fptrunc(self.ir, single.float), single)

    def nearest(self):
        """(n, k): the nearest integer of a number below 2**(mantissa - 2), as a float and as an integer."""
        shifted = self + self.fmt.magic
        return shifted.sub(self.fmt.magic), shifted.bits() - self.fmt.bits(self.fmt.magic)

    def int_to_float(self):
        """An integer below 2**(mantissa - 2) as a float."""
        fmt = self.fmt
        if not fmt.is_double or has_avx512():
            return self.of(self.b.sitofp(self.ir, fmt.float))
        # Other processors have no instruction for it.
        return (self + fmt.bits(fmt.magic)).to_float().sub(fmt.magic)

    def sqrt(self):
        return self.of(called(self, "llvm.sqrt", [self.ir]))


def called(value, name, arguments):
    return call_intrinsic(value.b, name, value.fmt.float, arguments)


class _Unflagged(set):
    """The flags of a call that Numba would put the caller's `fastmath` on: none, ever."""

    def add(self, flag):
        pass


def call_intrinsic(builder, name, result, arguments, overloads=None):
    """Call of an LLVM intrinsic that is overloaded in the given types, or else in its result."""
    overloads = [result] if overloads is None else overloads
    suffix = "".join(f".v{t.count}{t.element.intrinsic_name}" if isinstance(t, ir.VectorType) else f".{t.intrinsic_name}"
                     for t in overloads)
    function = builder.module.globals.get(name + suffix)
    if function is None:
        kind = ir.FunctionType(result, [a.type for a in arguments])
        function = ir.Function(builder.module, kind, name + suffix)
    call = builder.call(function, arguments)
    call.fastmath = _Unflagged()
    return call


def select(condition, if_true, if_false):
    """`if_true` where the condition holds, else `if_false`; both are computed."""
    like = if_true if isinstance(if_true, Value) else if_false
    return like.of(like.b.select(condition.ir, like._lift(if_true), like._lift(if_false)))


def ldexp(x, k):
    """x * 2**k with one rounding for an integer k, by the instruction for it; only where `has_scalef`."""
    return x.of(call_intrinsic(x.b, "llvm.ldexp", x.ir.type, [x.ir, k.ir], [x.ir.type, k.ir.type]))


def clamp(x, low, high):
    """`x` limited to [low, high]; NaN stays NaN."""
    x = select(x < low, low, x)
    return select(x > high, high, x)


# Error-free transformations (Dekker 1971; Muller et al., Handbook of Floating-Point Arithmetic, chapter 4).
def two_sum(a, b):
    """(s, e) with s = fl(a + b) and s + e = a + b."""
    b = b if isinstance(b, Value) else a.const(b)
    s = a.add(b)
    t = s.sub(a)
    return s, a.sub(s.sub(t)).add(b.sub(t))


def fast_two_sum(a, b):
    """As `two_sum` where |a| >= |b| or a is 0."""
    s = a.add(b)
    return s, a.sub(s).add(b)


def split(a):
    """(h, l) with h + l = a and products of halves exact; |a| below 2**995 (2**115)."""
    c = a.mul(2.0 ** (27 if a.fmt.is_double else 12) + 1.0)
    h = c.sub(c.sub(a))
    return h, a.sub(h)


def two_prod(a, b):
    """(p, e) with p = fl(a * b) and p + e = a * b, barring underflow."""
    p = a.mul(b)
    if a.fma:
        return p, a.of(called(a, "llvm.fma", [a.ir, a._lift(b), (-p).ir]))
    b = b if isinstance(b, Value) else a.const(b)
    ah, al = split(a)
    bh, bl = split(b)
    return p, ah.mul(bh).sub(p).add(ah.mul(bl)).add(al.mul(bh)).add(al.mul(bl))


def product_and_sum(a, b, c):
    """(s, e) with s = fl(a * b + c) and s + e = a * b + c to twice the precision of c, where |a * b| <= |c|."""
    c = c if isinstance(c, Value) else a.const(c)
    if not a.fma:
        product, error = two_prod(a, b)
        s, e = fast_two_sum(c, product)
        return s, e + error
    s = a.of(called(a, "llvm.fma", [a.ir, a._lift(b), c.ir]))
    return s, a.of(called(a, "llvm.fma", [a.ir, a._lift(b), c.sub(s).ir]))


def product_residual(x, n, c):
    """x - n * c where that is a representable number."""
    if x.fma:
        return x.of(called(x, "llvm.fma", [(-n).ir, n._lift(c), x.ir]))
    product, error = two_prod(n, c)
    return x.sub(product).sub(error)


def quotient(a, b, b_low):
    """a / (b + b_low) with hardly more than one rounding; b_low is what the rounding of b lost."""
    inverse = 1.0 / b
    q = a.mul(inverse)
    return q + (product_residual(a, q, b) - q * b_low) * inverse


def horner(x, coefficients):
    """The polynomial with these coefficients, highest degree first."""
    result = x.const(coefficients[0])
    for c in coefficients[1:]:
        result = result * x + c
    return result


def poly(x, coefficients):
    """The polynomial with these coefficients, highest degree first; odd and even part apart, for a shorter chain."""
    if len(coefficients) < 6:
        return horner(x, coefficients)
    square = x * x
    n = len(coefficients)
    even = horner(square, coefficients[(n - 1) % 2::2])
    odd = horner(square, coefficients[n % 2::2])
    return odd * x + even
