"""pow and hypot.

x**y = e**(y log|x|) with the logarithm as an unevaluated sum of two numbers, for its relative error is multiplied by up to
710 (90 in single precision). Every special case of C99 has x negative, or a product y log|x| that is out of bounds or not a
number; so all of them are one rare branch, and so are subnormal results.
"""
import decimal
import functools

from .emit import SINGLE, clamp, fast_two_sum, horner, product_and_sum, select, two_prod
from .exponential import scale
from .rare import outlined, when_any
from .register import elementwise
from .tables import COARSE, FINE, Reduced, lookup, two_parts

INF = float("inf")
# log(1 + r) = r - r**2/2 + r**3 P(r) on the fine partition; for single precision log2(1 + r) = r (C + C' + D r + r P(r)) on
# the coarse one, where C + C' is 1/ln 2 and D half of it, negative. Least squares with Lawson weights, coefficients rounded
# one by one, error relative to the logarithm 2**-65.4 and 2**-34.0.
_LOG = (-0.09474806413687736, 0.11110024226795269, -0.12500396786429435, 0.14285718455584034, -0.166666665742578,
        0.19999999998913853, -0.2500000000000681, 0.333333333333334)
_LOG2_FIRST, _LOG2_FIRST_LOW, _LOG2_SECOND = 1.4426950216293335, 1.925963033500011e-08, -0.7213475108146667
_LOG2 = (-0.22526711, 0.28874254, -0.36070105, 0.48089835, 4.399169e-10)
# (e**r - 1 - r) / r**2 on |r| <= 1.01 log(2)/32 and, for single precision, (2**r - 1) / r on |r| <= 1/2; same method, error
# relative to the power 2**-56.2 and 2**-28.3.
_EXP = (0.001388913870971118, 0.008333474729444372, 0.041666666659003586, 0.1666666666432569, 0.5000000000000007)
_EXP2 = (0.00015329293, 0.0013390972, 0.0096184993, 0.055503596, 0.24022648, 0.6931472)
# The product y log|x| (to the base 2 in single precision): where the result surely is normal, and where surely not.
_SAFE = {"f64": 708.0, "f32": 125.0}
_BOUNDS = {"f64": (-748.0, 711.0), "f32": (-160.0, 140.0)}


@functools.cache
def _sixteenths():
    """(high, low) of log(2)/16, `high` short enough for exact multiples, and the powers 2**(i/16)."""
    with decimal.localcontext(prec=50):
        (high,), (low,) = two_parts((decimal.Decimal(2).ln() / 16,), 42)
        return high, low, tuple(float(decimal.Decimal(2) ** (decimal.Decimal(i) / 16)) for i in range(16))


def _log(x):
    """(high, low, rare) with high + low = log|x| to about 2**-65, in double precision."""
    reduced = Reduced(x, FINE, of_size=True)
    r = reduced.r
    first, first_low = reduced.parts(0)
    second, second_low = fast_two_sum(first, r)
    half = r * -0.5
    square, square_low = two_prod(half, r)
    high, high_low = fast_two_sum(second, square)
    low = square * ((r * -2.0) * horner(r, _LOG)) + (high_low + (square_low + (second_low + first_low)))
    return high, low, reduced.rare


def _log2(x):
    """(high, low, rare) with high + low = log2|x| to about 2**-33, in single precision."""
    reduced = Reduced(x, COARSE, of_size=True)
    r = reduced.r
    first, first_low = reduced.parts(2)
    # log2(1 + r) = r (slope + slope_low)
    slope, slope_low = product_and_sum(r, _LOG2_SECOND, _LOG2_FIRST)
    slope_low = slope_low + (r * horner(r, _LOG2) + _LOG2_FIRST_LOW)
    linear, linear_low = two_prod(r, slope)
    high, low = fast_two_sum(first, linear)
    return high, r * slope_low + (linear_low + (first_low + low)), reduced.rare


def _exp(t, t_low, total):
    """(p, b, k) with e**(t + t_low) = 2**k p, where total is the rounded sum; b agrees with k in the low bits."""
    high, low, powers = _sixteenths()
    shifted = total * (1 / (high + low)) + t.fmt.magic
    n, b = shifted.sub(t.fmt.magic), shifted.bits()
    r = ((t - n * high) + t_low) - n * low
    power = lookup(b, t.fmt, "powers", powers)
    return power + power * (r + r * r * horner(r, _EXP)), b.lshr(4), lambda: (b - t.fmt.bits(t.fmt.magic)) >> 4


def _exp2(t, t_low, total):
    """The same for 2**(t + t_low)."""
    shifted = total.add(t.fmt.magic)
    n, b = shifted.sub(t.fmt.magic), shifted.bits()
    r = t.sub(n) + t_low
    return 1.0 + r * horner(r, _EXP2), b, lambda: b - t.fmt.bits(t.fmt.magic)


def _pow(x, y):
    fmt = x.fmt
    log, exp = (_log, _exp) if fmt.is_double else (_log2, _exp2)
    high, low, special = log(x)
    product, product_low = two_prod(y, high)
    product_low = product_low + y * low
    total = product + product_low
    # One comparison as unsigned integers: the sum is large or not a number, or x has a sign.
    size_and_sign = ((total.bits() ^ x.bits()) & (fmt.sign_bit - 1)) ^ x.bits()
    rare = size_and_sign.beyond(fmt.bits(_SAFE[fmt.name]))
    rare = rare if special is None else rare | special
    terms = product, product_low, total
    p, b, k = exp(*when_any(rare, lambda: _bounded(x.abs(), y, high, *terms), *terms))
    result = (p.bits() + (b << fmt.mantissa)).to_float()
    return when_any(rare, lambda: [_signed(x, y, scale(p, k()))], result)[0]


def _bounded(size, y, log, product, product_low, total):
    """y log(size) and its parts, right also for size 0 or infinite, within bounds; 0 where log(size) or y is 0."""
    log = select(size < INF, log, size)
    log = select(size == 0.0, -INF, log)
    unit = (log == 0.0) | (y == 0.0)
    t = clamp(select(unit, 0.0, y * log), *_BOUNDS[y.fmt.name])
    kept = t == product
    return t, select(kept, product_low, 0.0), select(kept, total, t)


def _signed(x, y, result):
    """x**y from |x|**y."""
    even = 2.0 ** (x.fmt.mantissa + 1)
    # Distance of y from the nearest even number: 0 for even y, 1 for odd, else something else. From `even` on, y is even.
    distance = y.abs()
    distance = select(distance > even, even, distance)
    distance = distance.sub(distance.add(even).sub(even)).abs()
    odd = distance == 1.0
    result = result.with_sign(select(odd, x.sign(), 0))
    undefined = (x < 0.0) & (x > -INF) & (distance != 0.0) & ~odd
    return select(undefined, float("nan"), result)


@elementwise
def pow(x, y):
    """x**y with all special cases of C99 (F.9.4.4). At most 1.5 ulp, in single precision 1.3."""
    return outlined(_pow, x, y)


@elementwise
def hypot(x, y):
    """sqrt(x**2 + y**2) without overflow or underflow; infinite if either argument is. At most 1.2 ulp."""
    a, b = x.abs(), y.abs()
    if x.fmt.is_double:
        top = select(a > b, a, b)
        large, small = top > 2.0**500, top < 2.0**-500
        factor = select(large, 2.0**-600, select(small, x.const(2.0**600), 1.0))
        inverse = select(large, 2.0**600, select(small, x.const(2.0**-600), 1.0))
        p, q = a * factor, b * factor
        result = (p * p + q * q).sqrt() * inverse
    else:
        p, q = a.to_double(), b.to_double()
        result = (p * p + q * q).sqrt().to_format(SINGLE)
    return select((a == INF) | (b == INF), INF, result)
