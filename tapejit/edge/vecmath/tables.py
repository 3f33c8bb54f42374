"""The start of every logarithm that needs a table, one small enough to be held in registers.

A positive number is x = 2**k m, with m in an interval around 1 that is cut into pieces; every piece has a number c with few
bits close to 1/m. So r = m c - 1 is small and exact, and log(x) = k log(2) - log(c) + log(1 + r) (Tang, ACM Trans. Math.
Software 16, 1990). Around 1 itself c is 1, which leaves small logarithms their accuracy.
"""
import decimal
import functools
import math

from llvmlite import ir

from .emit import call_intrinsic, product_residual, select
from .processor import has_avx512
from .rare import when_any

_I32 = ir.IntType(32)


class Partition:
    """16 or 32 pieces of [3/4, 3/2): m as a bit pattern, cut at its first bits after the point."""

    def __init__(self, name, *numerators):
        self.name = name
        self.numerators = numerators  # c = numerator / 256
        self.index_bits = len(numerators).bit_length() - 1

    def logarithms(self, base):
        """log(2), and log(1/c) for each piece, to the base 2, 10 or (base 0) e and to 50 digits."""
        with decimal.localcontext(prec=50):
            unit = decimal.Decimal(base).ln() if base else 1
            return tuple(x / unit for x in self._natural)

    @functools.cached_property
    def _natural(self):
        with decimal.localcontext(prec=50):
            return tuple(x.ln() for x in (decimal.Decimal(2), *(256 / decimal.Decimal(c) for c in self.numerators)))


# |r| <= 1/16
COARSE = Partition("coarse", 256, 232, 224, 208, 200, 192, 184, 176, 336, 320, 312, 296, 288, 280, 272, 256)
# |r| <= 1/32
FINE = Partition("fine", 256, 244, 236, 232, 224, 218, 212, 208, 202, 198, 192, 188, 184, 180, 176, 172,
                 336, 332, 324, 320, 312, 308, 300, 296, 288, 284, 280, 276, 272, 268, 264, 256)


class Reduced:
    """The parts k, c and r of log(x), or of log|x|; `rare` is where they are not valid, None for nowhere."""

    def __init__(self, x, partition, of_size=False):
        self.fmt = fmt = x.fmt
        self.partition = partition
        self.k, m, self.rare = (_split_by_instructions if has_avx512() and fmt.lanes else _split)(x, of_size)
        self.index = m.bits().lshr(fmt.mantissa - partition.index_bits)
        self.r = product_residual(m.const(-1.0), m, self._lookup("c", [-c / 256 for c in partition.numerators]))

    def _lookup(self, name, numbers):
        return lookup(self.index, self.fmt, f"{self.partition.name}.{name}", tuple(numbers))

    def parts(self, base):
        """(high, low) with high + low = k log(2) - log(c), to the base 2 or 10 or (base 0) e; `high` is exact."""
        (high, *highs), (low, *lows) = two_parts(self.partition.logarithms(base), 42 if self.fmt.is_double else 16)
        rest = self._lookup(f"low.{base}", lows)
        first = (self.k if high == 1.0 else self.k * high) + self._lookup(f"high.{base}", highs)
        return first, rest if low == 0.0 else self.k * low + rest

    def rounded_parts(self, base):
        """The same, where log(c) need not be more accurate than one number; the low part is None if it is 0."""
        exact, *others = self.partition.logarithms(base)
        # What log(2) loses must be positive: with infinite k the two parts must not cancel.
        high = self.fmt.rounded(float(exact) * (1 - 2.0**-self.fmt.mantissa)) if base != 2 else 1.0
        low = float(exact - decimal.Decimal(high))
        first = (self.k if high == 1.0 else self.k * high) + self._lookup(f"rounded.{base}", [float(x) for x in others])
        return first, None if low == 0.0 else self.k * low


def _split(x, of_size):
    """(k, m, rare) with |x| = 2**k m and 3/4 <= m < 3/2; k as a float. `rare` is anything but a normal positive number."""
    fmt = x.fmt
    x = x.abs() if of_size else x
    least, start, shift = fmt.bits(fmt.tiny), fmt.bits(0.75), fmt.mantissa + 2
    rare = (x.bits() - least).beyond(fmt.bits(float("inf")) - least)

    def lifted():  # the bits of a subnormal number as if exponents went on below
        return [select(x < fmt.tiny, (x * 2.0**shift).bits() - (shift << fmt.mantissa), x.bits())]

    shifted = when_any(rare, lifted, x.bits())[0] - start
    m = ((shifted & ((1 << fmt.mantissa) - 1)) + start).to_float()
    return (shifted >> fmt.mantissa).int_to_float(), m, rare


def _split_by_instructions(x, of_size):
    """The same with the instructions of AVX-512, which leave nothing rare.

    k is -inf for 0 and inf for inf, m is NaN for negative numbers: so the logarithm comes out right by itself.
    """
    fmt, b = x.fmt, x.b
    mask = ir.IntType(max(fmt.lanes, 8))(-1)
    rounding = [_I32(4)] if fmt.lanes * fmt.width == 512 else []
    zero = ir.Constant(fmt.float, [0.0] * fmt.lanes)

    def call(name, *arguments):
        name = f"llvm.x86.avx512.mask.{name}.{_suffix(fmt)}"
        return x.of(call_intrinsic(b, name, fmt.float, [*arguments, zero, mask, *rounding], ()))

    # 3/4 to 3/2; without the sign, and NaN for negative numbers unless their size counts
    m = call("getmant", x.ir, _I32(0b0111 if of_size else 0b1111))
    return call("getexp", x.ir) - call("getexp", m.ir), m, None


def _suffix(fmt):
    return f"{'pd' if fmt.is_double else 'ps'}.{fmt.lanes * fmt.width}"


@functools.cache
def two_parts(numbers, bits):
    """Decimal numbers as two tuples of floats: with so many bits after the point, and what that cuts off, never negative."""
    with decimal.localcontext(prec=50):
        high = [math.floor(x * 2**bits) * 2.0**-bits for x in numbers]
        return tuple(high), tuple(float(x - decimal.Decimal(h)) for x, h in zip(numbers, high, strict=True))


def lookup(index, fmt, name, table):
    """The table's number at the lowest bits of the integer `index`; 16 or 32 numbers."""
    b, kind = index.b, fmt.float
    if has_avx512() and fmt.lanes in (8, 16):
        parts = [b.table(kind, table[start:start + fmt.lanes]) for start in range(0, len(table), fmt.lanes)]
        if len(parts) == 1:
            name = f"llvm.x86.avx512.permvar.sf.{fmt.lanes * fmt.width}"
            return index.of(call_intrinsic(b, name, kind, [parts[0], index.ir], ()))
        name = f"llvm.x86.avx512.vpermi2var.{_suffix(fmt)}"
        results = [index.of(call_intrinsic(b, name, kind, [low, index.ir, high], ()))
                   for low, high in zip(parts[::2], parts[1::2], strict=True)]
        return results[0] if len(results) == 1 else select((index & (2 * fmt.lanes)) == 0, *results)
    index = index & (len(table) - 1)
    array = _array(b.module, f"tapejit.vecmath.{name}.{fmt.name}", fmt.vector(None).float, table)
    if fmt.lanes is None:
        return index.of(_load(b, array, index.ir))
    result = ir.Constant(kind, ir.Undefined)
    for lane in range(fmt.lanes):
        place = _I32(lane)
        result = b.insert_element(result, _load(b, array, b.extract_element(index.ir, place)), place)
    return index.of(result)


def _array(module, name, kind, numbers):
    """The numbers as a constant of the module, once."""
    array = module.globals.get(name)
    if array is None:
        array_type = ir.ArrayType(kind, len(numbers))
        array = ir.GlobalVariable(module, array_type, name)
        array.linkage = "internal"
        array.global_constant = True
        array.initializer = ir.Constant(array_type, list(numbers))
    return array


def _load(builder, array, index):
    return builder.load(builder.gep(array, [index.type(0), index], inbounds=True))
