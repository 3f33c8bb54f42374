"""sinh, cosh, tanh and their inverses."""
from .emit import fast_two_sum, horner, poly, quotient, select, two_sum
from .exponential import EXP_SERIES, LN2, power_of_two, reduce_exp
from .logarithm import log_parts, split_exponent
from .register import elementwise

# (sinh(r) - r) / r**3 and (cosh(r) - 1) / r**2 as polynomials in r**2, |r| <= 0.34667; least squares with Lawson weights,
# coefficients rounded one by one; relative error 2**-61.7 and 2**-58.0, in single precision 2**-26.2 and 2**-33.2.
_SINH = {
    "f64": (2.510916506194866e-08, 2.7557243818007167e-06, 0.00019841269886546528, 0.008333333333321447,
            0.16666666666666677),
    "f32": (0.008366541, 0.16666543),
}
_COSH = {
    "f64": (2.763154433284126e-07, 2.480148913024545e-05, 0.0013888888947896885, 0.041666666666511504,
            0.5000000000000013),
    "f32": (0.0013935764, 0.041666456, 0.5),
}
# (atanh(s) - s) / s**3 as a polynomial in s**2 <= 0.0755, same method; relative error 2**-54.2 and 2**-30.5.
_ATANH = {
    "f64": (0.08027310925008932, 0.0634711295638203, 0.07717151860216069, 0.09089801645286148, 0.1111113971497356,
            0.14285713878234066, 0.20000000002802745, 0.3333333333332675),
    "f32": (0.12987292, 0.14161305, 0.2000321, 0.33333308),
}
# Beyond these, sinh and cosh are infinite and tanh is 1 to the last bit.
_SINH_LIMIT = {"f64": 710.8, "f32": 89.5}
_TANH_LIMIT = {"f64": 22.0, "f32": 10.0}
# ((e**(2r) - 1) / 2 - r) / r**2: the coefficients of e**r with powers of two.
_HALF_EXP = {name: tuple(c * 2.0 ** (len(q) - i) for i, c in enumerate(q)) for name, q in EXP_SERIES.items()}


def _sinh_parts(x, exact=True):
    """(up, down, s, c) = (2**(k-2), 2**(-k-2), sinh(r), cosh(r) - 1), where x = k ln 2 + r and x >= 0.

    So e**x / 4 = up (1 + c + s) and e**-x / 4 = down (1 + c - s): no division, and the factor 2 that both functions put
    last keeps 2**k in range up to the very overflow.
    """
    limit = _SINH_LIMIT[x.fmt.name]
    k, r, tail = reduce_exp(select(x > limit, limit, x))
    up = power_of_two(k - 2)
    down = power_of_two(-2 - select(k > 100, 100, k))
    z = r * r
    cubic = r * z * horner(z, _SINH[x.fmt.name])
    # The tail is 0 near 0, and else only a fifth of an ulp of cosh(x).
    s = r + (cubic + tail if exact and x.fmt.is_double else cubic)
    return up, down, s, z * horner(z, _COSH[x.fmt.name])


@elementwise
def sinh(x):
    """The hyperbolic sine. At most 1.9 ulp."""
    size = x.abs()
    up, down, s, c = _sinh_parts(size)
    difference = up - down
    result = (difference + (difference * c + (up + down) * s)) * 2.0
    # Halving a subnormal number would lose its last bit.
    return select(size < 2.0**-28 if x.fmt.is_double else size < 2.0**-13, x, result.with_sign(x.sign()))


@elementwise
def cosh(x):
    """The hyperbolic cosine. At most 1.6 ulp."""
    up, down, s, c = _sinh_parts(x.abs(), exact=False)
    return (up + (up * (s + c) + down * (1.0 + c - s))) * 2.0


@elementwise
def tanh(x):
    """The hyperbolic tangent, t / (t + 1) with t = (e**(2x) - 1) / 2. At most 1.9 ulp."""
    limit = _TANH_LIMIT[x.fmt.name]
    size = x.abs()
    # size = k ln(2)/2 + r + tail
    k, r, tail = reduce_exp(select(size > limit, limit, size), halved=True)
    power, half = power_of_two(k), power_of_two(k - 1)
    square = r * r * poly(r, _HALF_EXP[x.fmt.name])
    # In single precision the tail, 0 near 0, may go, and one more rounding may come.
    more = r * power + (half - 0.5) if x.fmt.is_double else half - 0.5
    t = more + (square + tail if x.fmt.is_double else r + square) * power
    divisor = t.add(1.0)
    lost = divisor.const(1.0).sub(divisor).add(t)
    return quotient(t, divisor, lost).with_sign(x.sign())


def _log_one_plus(f, f_low, x, large):
    """log(1 + f + f_low) for f >= 0, and log(2x) where x is large: there sqrt(x**2 +- 1) is x to the last bit."""
    u, lost = two_sum(f, 1.0)
    lost = lost if isinstance(f_low, float) else lost + f_low
    u = select(large, x, u)
    k, m = split_exponent(u)
    k = select(large, k + 1.0, k)
    shift = (m.bits() - u.bits() + u.fmt.bits(1.0)).to_float()
    return log_parts(k, m - 1.0, select(large, 0.0, lost * shift))


@elementwise
def asinh(x):
    """The inverse hyperbolic sine, log1p(x + x**2 / (1 + sqrt(1 + x**2))). At most 2 ulp."""
    size = x.abs()
    large = size > 2.0 ** (28 if x.fmt.is_double else 13)
    square = size * size
    f, f_low = fast_two_sum(size, square / (1.0 + (square + 1.0).sqrt()))
    # Single precision has room for the rounding of this sum: 1.98 ulp at most, of every number from 0.1 to 3 and of a sample
    # outside.
    result = _log_one_plus(f, f_low if x.fmt.is_double else 0.0, size, large)
    return select(size < float("inf"), result, size).with_sign(x.sign())


@elementwise
def acosh(x):
    """The inverse hyperbolic cosine, log1p(t + sqrt(2t + t**2)) with t = x - 1; NaN below 1. At most 2 ulp."""
    large = x > 2.0 ** (28 if x.fmt.is_double else 13)
    t = x - 1.0
    f, f_low = fast_two_sum((t * t + (t + t)).sqrt(), t)
    result = select(x >= 1.0, _log_one_plus(f, f_low, x, large), float("nan"))
    return select(x < float("inf"), result, x)


@elementwise
def atanh(x):
    """The inverse hyperbolic tangent; infinite at +-1, NaN beyond. At most 2 ulp.

    (1 + x) / (1 - x) = 2**k m gives atanh(x) = k ln(2)/2 + atanh(s), and s = (m - 1) / (m + 1) needs no other division:
    it is x itself for k = 0.
    """
    fmt = x.fmt
    size = x.abs()
    plus, minus = 1.0 + size, 1.0 - size
    # k from the exponents of both factors, rounded so that k = 0 up to |x| = 1/4.
    exponent = (plus.bits() - minus.bits() + int(0.25 * 2**fmt.mantissa)).lshr(fmt.mantissa)
    k = exponent.int_to_float()
    power = ((exponent << fmt.mantissa) + fmt.bits(1.0)).to_float()
    # plus -+ power * minus: up to 1/2 (k = 0 or 1) without the rounding of plus and minus, from 1/2 on minus is exact.
    near = size < 0.5
    scaled = minus * power
    above = select(near, size * (1.0 + power) + (1.0 - power), plus - scaled)
    below = select(near, size * (1.0 - power) + (1.0 + power), plus + scaled)
    s = above / below
    z = s * s
    high, low = LN2[fmt.name]
    result = k * (0.5 * high) + (s + (s * z * horner(z, _ATANH[fmt.name]) + k * (0.5 * low)))
    edge = select(size == 1.0, x.const(float("inf")), float("nan"))
    return select(size < 1.0, result, edge).with_sign(x.sign())
