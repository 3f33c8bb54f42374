"""sin, cos, tan.

|x| <= LIMIT: x = n pi/2 + r with pi/2 in three parts (Cody and Waite 1980), r as an unevaluated sum of two numbers.
Beyond: the method of Payne and Hanek (1983), in integers, on the slow path of `rare`. Then polynomials for sin(r),
cos(r) or tan(r) on |r| <= pi/4, and the quadrant n mod 4 chooses between them.
"""
import functools
import itertools

from llvmlite import ir

from .emit import DOUBLE, fast_two_sum, horner, poly, product_residual, select, two_prod, two_sum
from .rare import patched
from .register import elementwise

TWO_OVER_PI = 0.6366197723675814
# pi/2 in three parts of full length; n is below 2**27 (2**17), so what is left out is below 2**-130 (2**-60).
_HALF_PI = {
    "f64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
    "f32": (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
}
_LIMIT = {"f64": 1.0e8, "f32": 1.0e5}
# (sin(r) - r) / r**3 and (cos(r) - 1 + r**2/2) / r**4 as polynomials in r**2, |r| <= 0.7855; least squares with Lawson
# weights, coefficients rounded one by one; relative error 2**-58.0 and 2**-64.2, in single precision 2**-28.0, 2**-33.1.
_SIN = {
    "f64": (1.5896899197654044e-10, -2.505076011026996e-08, 2.755731370645117e-06, -0.0001984126982985706,
            0.00833333333332249, -0.16666666666666632),
    "f32": (-0.00019518787, 0.008332192, -0.16666655),
}
_COS = {
    "f64": (-1.1359957071395436e-11, 2.0875729727908138e-09, -2.7557314404218377e-07, 2.4801587289681325e-05,
            -0.0013888888888874485, 0.0416666666666666),
    "f32": (2.443297e-05, -0.0013887313, 0.041666646),
}
# (tan(r) - r) / r**3 likewise; relative error of tan 2**-56.2 and 2**-29.6.
_TAN = {
    "f64": (2.0858915682739932e-05, -4.485862991133573e-05, 8.941946489484473e-05, -2.6350898068119935e-05,
            0.0001365009787099821, 0.000222391455056717, 0.000595060917337275, 0.0014547588314431344,
            0.003592288949130939, 0.008863219176284024, 0.021869489608419945, 0.053968253926673204,
            0.13333333333414682, 0.33333333333332776),
    "f32": (0.0043702577, 0.00010312332, 0.0108237, 0.021287575, 0.05405868, 0.13332677, 0.3333335),
}


def _reduce(x):
    """(quadrant, r, tail) with x = quadrant * pi/2 + r + tail; the quadrant as an integer, right in its low bits."""
    first, second, third = _HALF_PI[x.fmt.name]
    shifted = x * TWO_OVER_PI + x.fmt.magic
    n = shifted.sub(x.fmt.magic)
    rest = product_residual(x, n, first)
    product, error = two_prod(n, second)
    r, tail = fast_two_sum(rest, -product)
    return shifted.bits(), r, (tail - error) - n * third


def _sin_cos(r, tail):
    """The sine and cosine of r + tail."""
    z = r * r
    half = z * 0.5
    sine = r + (r * z * horner(z, _SIN[r.fmt.name]) + (tail - half * tail))
    flat = 1.0 - half
    cosine = flat + (((1.0 - flat) - half) + (z * z * horner(z, _COS[r.fmt.name]) - r * tail))
    return sine, cosine


def _sin(quadrant, r, tail):
    sine, cosine = _sin_cos(r, tail)
    sign = (quadrant >> 1) << (r.fmt.width - 1)
    return select((quadrant & 1) == 0, sine, cosine).with_sign(sign)


def _cos(quadrant, r, tail):
    return _sin(quadrant + 1, r, tail)


def _tan(quadrant, r, tail):
    z = r * r
    rest = r * z * (poly if r.fmt.is_double else horner)(z, _TAN[r.fmt.name]) + (tail + tail * z)
    tangent = r + rest
    even = (quadrant & 1) == 0
    return select(even, tangent, r.const(-1.0)) / select(even, r.const(1.0), tangent)


def sin_large(x):
    """sin beyond the common range."""
    return _sin(*_reduce_large(x.to_double())).to_format(x.fmt)


def cos_large(x):
    """cos beyond the common range."""
    return _cos(*_reduce_large(x.to_double())).to_format(x.fmt)


def tan_large(x):
    """tan beyond the common range."""
    return _tan(*_reduce_large(x.to_double())).to_format(x.fmt)


def _tiny(fmt):
    return 2.0 ** (-27 if fmt.is_double else -13)


@elementwise
def sin(x):
    """The sine, correct to the largest argument; sin(-0) is -0. At most 2 ulp."""
    return patched(x, _sin(*_reduce(x)), _tiny(x.fmt), _LIMIT[x.fmt.name], sin_large)


@elementwise
def cos(x):
    """The cosine, correct to the largest argument. At most 2 ulp."""
    return patched(x, _cos(*_reduce(x)), 0.0, _LIMIT[x.fmt.name], cos_large)


@elementwise
def tan(x):
    """The tangent, correct to the largest argument; tan(-0) is -0. At most 2 ulp."""
    return patched(x, _tan(*_reduce(x)), _tiny(x.fmt), _LIMIT[x.fmt.name], tan_large)


# The slow path. It is scalar and in double precision for both formats.
@functools.cache
def _two_over_pi_words():
    """2/pi to 1344 bits after the binary point, in 64-bit words, after one word of zeros. pi by Machin's formula."""
    bits = 1344
    guard = bits + 64

    def arctan_inverse(n):
        power = (1 << guard) // n
        total, k, sign = power, 1, 1
        while power:
            power //= n * n
            k, sign = k + 2, -sign
            total += sign * (power // k)
        return total

    pi = 4 * (4 * arctan_inverse(5) - arctan_inverse(239))
    value = ((1 << (guard + guard + 1)) // pi) >> (guard - bits)
    return (0, *[(value >> (bits - 64 * (i + 1))) & (2**64 - 1) for i in range(bits // 64)])


def _reduce_large(x):
    """As `_reduce` for a double |x| >= 2**20, by multiplying with the bits of 2/pi that matter."""
    b = x.b
    i64, i128 = ir.IntType(64), ir.IntType(128)
    bits = x.abs().bits().ir
    # |x| = mantissa * 2**exponent. Bits of 2/pi above weight 2**(2 - exponent) only add full turns.
    exponent = b.sub(b.lshr(bits, i64(52)), i64(1075))
    mantissa = b.or_(b.and_(bits, i64(2**52 - 1)), i64(2**52))
    finite = x.abs() < float("inf")
    position = b.select(finite.ir, b.add(exponent, i64(64 - 2)), i64(64))
    words = [_load_word(b, b.add(b.lshr(position, i64(6)), i64(i))) for i in range(4)]
    shift = b.and_(position, i64(63))
    window = [b.or_(b.shl(high, shift), b.lshr(b.lshr(low, i64(1)), b.sub(i64(63), shift)))
              for high, low in itertools.pairwise(words)]
    # mantissa * window mod 2**192, without its lowest word: x * 2/pi / 4 modulo 1, as a 128-bit fraction.
    wide = b.zext(mantissa, i128)
    middle = b.mul(wide, b.zext(window[1], i128))
    low = b.lshr(b.mul(wide, b.zext(window[2], i128)), i128(64))
    top = b.shl(b.zext(b.mul(mantissa, window[0]), i128), i128(64))
    fraction = b.add(b.add(top, middle), low)
    quadrant = b.trunc(b.lshr(b.add(fraction, i128(1 << 125)), i128(126)), i64)
    # What is left of the nearest quadrant, as a signed fraction of it; four exact pieces of 32 bits.
    signed = b.shl(fraction, i128(2))
    pieces = [x.of(b.sitofp(b.trunc(b.ashr(signed, i128(96)), ir.IntType(32)), DOUBLE.float)) * 2.0**-32]
    for place in (64, 32, 0):
        piece = b.and_(b.trunc(b.lshr(signed, i128(place)), i64), i64(2**32 - 1))
        pieces.append(x.of(b.sitofp(piece, DOUBLE.float)) * 2.0 ** (place - 128))
    low_sum, _ = fast_two_sum(pieces[2], pieces[3])
    high, error = two_sum(pieces[0], pieces[1])
    high, low = two_sum(high, low_sum)
    low = low + error
    # Times pi/2.
    product, error = two_prod(high, _HALF_PI["f64"][0])
    r, tail = fast_two_sum(product, error + (low * _HALF_PI["f64"][0] + high * _HALF_PI["f64"][1]))
    negative = x < 0.0
    quadrant = x.of(b.select(negative.ir, b.neg(quadrant), quadrant))
    r = select(finite, select(negative, -r, r), float("nan"))
    return quadrant, r, select(negative, -tail, tail)


def _load_word(builder, index):
    module = builder.module
    name = "tapejit.vecmath.two_over_pi"
    words = _two_over_pi_words()
    kind = ir.ArrayType(ir.IntType(64), len(words))
    table = module.globals.get(name)
    if table is None:
        table = ir.GlobalVariable(module, kind, name)
        table.linkage = "internal"
        table.global_constant = True
        table.initializer = ir.Constant(kind, list(words))
    return builder.load(builder.gep(table, [ir.Constant(ir.IntType(32), 0), index], inbounds=True))
