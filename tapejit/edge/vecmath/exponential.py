"""exp and its relatives: exp, exp2, expm1, sigmoid.

All of them write x = n ln 2 + r with an integer n and |r| <= ln(2)/2, in two parts of ln 2 (Cody and Waite, Software
Manual for the Elementary Functions, 1980), and take e**r = 1 + r + r**2 q(r) from one polynomial q.
"""
from .emit import clamp, fast_two_sum, ldexp, poly, product_and_sum, quotient, select
from .processor import has_scalef
from .register import elementwise

LOG2_E = 1.4426950408889634
# ln 2 = high + low; `high` ends in enough zero bits for n * high to be exact.
LN2 = {"f64": (0.6931471805598903, 5.497923018708371e-14), "f32": (0.693145751953125, 1.4286068203094173e-06)}
# (e**r - 1 - r) / r**2 on |r| <= 0.34661, weighted least squares at Chebyshev nodes with Lawson weights in 260-bit
# arithmetic, coefficients rounded one by one; error relative to e**r - 1: 2**-55.2 (degree 9), 2**-26.0 (degree 4).
EXP_SERIES = {
    "f64": (2.5046264896269258e-08, 2.7622250967604687e-07, 2.755742424380873e-06, 2.4801516287814152e-05,
            0.00019841269709936055, 0.0013888888920556932, 0.008333333333388253, 0.04166666666661986,
            0.16666666666666602, 0.5),
    "f32": (0.001390928, 0.008366393, 0.041666735, 0.16666545, 0.5),
}
# (2**r - 1) / r on |r| <= 0.5, same method; error relative to 2**r: 2**-57.4 (degree 10), 2**-27.9 (degree 5).
_Q2 = {
    "f64": (4.4505491949407755e-10, 7.073766374823727e-09, 1.0178082794069564e-07, 1.3215435395277924e-06,
            1.5252733815105112e-05, 0.0001540353045684714, 0.00133335581463709, 0.009618129107594372,
            0.0555041086648223, 0.2402265069591013, 0.6931471805599453),
    "f32": (0.00015200063, 0.0013391474, 0.009618995, 0.055503584, 0.24022643, 0.6931472),
}
# Beyond these the result is 0 or infinite, and the integers below stay in range.
_EXP_RANGE = {"f64": (-746.0, 710.0), "f32": (-104.5, 89.0)}
_EXP2_RANGE = {"f64": (-1076.0, 1024.0), "f32": (-151.0, 128.0)}
# Below, expm1 is -1 to the last bit; above, infinite.
_EXPM1_RANGE = {"f64": (-39.0, 710.0), "f32": (-19.0, 89.0)}


def reduce_exp(x, halved=False):
    """(k, r, tail) with x = k ln 2 + r + tail, an integer k and |r| <= 0.34661; or with half of ln 2."""
    unit = 0.5 if halved else 1.0
    high, low = (part * unit for part in LN2[x.fmt.name])
    n, k = (x * (LOG2_E / unit)).nearest()
    first = x - n * high
    if x.fma:
        r, tail = product_and_sum(n, -low, first)
        return k, r, tail
    r = first - n * low
    return k, r, first.sub(r) - n * low


def power_of_two(k):
    """2**k for an integer k with a normal result: the biased exponent, moved to its place."""
    return ((k + k.fmt.bias) << k.fmt.mantissa).to_float()


def scale(x, k):
    """x * 2**k for an integer k, with one rounding, also where the result is subnormal or infinite."""
    if has_scalef():
        return ldexp(x, k)
    fmt = x.fmt
    biased = k + 2 * fmt.bias
    half = biased.lshr(1)
    return x * (half << fmt.mantissa).to_float() * ((biased - half) << fmt.mantissa).to_float()


def exp_tail(r, tail=None):
    """e**r - 1 - r (plus `tail`, the part of the argument that r lacks)."""
    rest = r * r * poly(r, EXP_SERIES[r.fmt.name])
    return rest if tail is None else rest + tail


def exp2_tail(r):
    """2**r - 1 for |r| <= 1/2."""
    return r * poly(r, _Q2[r.fmt.name])


def exp_nonpositive(x):
    """e**x for x <= 0, and NaN for NaN; no guard against overflow."""
    x = select(x < _EXP_RANGE[x.fmt.name][0], _EXP_RANGE[x.fmt.name][0], x)
    k, r, tail = reduce_exp(x)
    return scale(1.0 + (r + exp_tail(r, tail)), k)


@elementwise
def exp(x):
    """e**x; subnormal results round once. At most 1.1 ulp."""
    k, r, _ = reduce_exp(clamp(x, *_EXP_RANGE[x.fmt.name]))
    return scale(1.0 + (r + exp_tail(r)), k)


@elementwise
def exp2(x):
    """2**x; exact at integers. At most 1.3 ulp."""
    x = clamp(x, *_EXP2_RANGE[x.fmt.name])
    n, k = x.nearest()
    return scale(1.0 + exp2_tail(x.sub(n)), k)


@elementwise
def expm1(x):
    """e**x - 1 without cancellation near 0; expm1(-0) is -0. At most 1.4 ulp."""
    k, r, tail = reduce_exp(clamp(x, *_EXPM1_RANGE[x.fmt.name]))
    # e**r 2**k - 1 with k = low + high, high = 1 for the greatest k and else 0: nothing overflows before the last product,
    # and near 0 no product rounds.
    fmt = x.fmt
    high = ((k + 64) >> (10 if fmt.is_double else 7)) << fmt.mantissa
    low = (((k + fmt.bias) << fmt.mantissa) - high).to_float()
    one = fmt.bits(1.0)
    result = ((r * low + (low - (one - high).to_float())) + exp_tail(r, tail) * low) * (high + one).to_float()
    return (result.abs().bits() | x.sign()).to_float()


@elementwise
def sigmoid(x):
    """1 / (1 + e**-x), the logistic function, accurate in both tails. At most 1.5 ulp."""
    z = exp_nonpositive(-x.abs())
    divisor, lost = fast_two_sum(z.const(1.0), z)
    return quotient(select(x < 0.0, z, 1.0), divisor, lost)
