"""log and its relatives: log, log1p, log2, log10, softplus.

x = 2**k m with sqrt(1/2) <= m < sqrt(2), f = m - 1, s = f / (2 + f), and then
log(1 + f) = f - s (f - R(s**2)), where R(z) = (log((1 + s)/(1 - s)) - 2 s) / s; this form of the series is that of
Ng's fdlibm (1993). log2 and log10 multiply by the conversion factor in two parts so that nothing is lost.
"""
from .emit import elementwise, horner, select, two_sum
from .exponential import LN2, exp_nonpositive

# R(z) / z on 0 <= z <= 0.02944, least squares with Lawson weights, coefficients rounded one by one; error relative to the
# logarithm: 2**-59.5 (degree 6), 2**-30.2 (degree 2).
_R = {
    "f64": (0.14796830482164822, 0.15313959947872716, 0.18183568009839327, 0.222221984983332, 0.28571428743175614,
            0.39999999999410707, 0.6666666666666735),
    "f32": (0.2987093, 0.3997758, 0.66666776),
}
SQRT_HALF = 0.7071067811865476
# 1 / ln 2 and 1 / ln 10, and what double precision leaves of them.
_FACTOR = {"2": (1.4426950408889634, 2.0355273740931033e-17), "10": (0.4342944819032518, 1.098319650216765e-17)}
# log(1 + f) / f to these bases for single precision, without a division, on -0.2929 <= f <= 0.4142; same method,
# relative error 2**-25.0 (degree 8) and 2**-25.3 (degree 9).
_DIRECT = {
    "2": (0.1262775, -0.20710097, 0.21544582, -0.23895824, 0.28795192, -0.36070386, 0.48090908, -0.72134733, 1.442695),
    "10": (-0.039012372, 0.05949643, -0.05657017, 0.060871378, -0.072174646, 0.08691849, -0.10858013, 0.14476342,
           -0.21714719, 0.4342945),
}
# log10(2) = high + low, as LN2.
_LOG10_2 = {"f64": (0.30102999566383914, 1.42050232272661e-13), "f32": (0.301025390625, 4.605039e-06)}


def split_exponent(x, lift=0.0):
    """(k, m) with x = 2**(k + lift) m and sqrt(1/2) <= m < sqrt(2), for a positive normal x; k as a float."""
    fmt = x.fmt
    shifted = x.bits() + (fmt.bits(1.0) - fmt.bits(SQRT_HALF))
    k = (shifted.lshr(fmt.mantissa) + fmt.bits(fmt.magic)).to_float().sub(lift + (fmt.magic + fmt.bias))
    m = ((shifted & ((1 << fmt.mantissa) - 1)) + fmt.bits(SQRT_HALF)).to_float()
    return k, m


def split_any(x):
    """(k, m) with x = 2**k m as in `split_exponent`, also for subnormal x."""
    fmt = x.fmt
    small = x < fmt.tiny
    lift = fmt.mantissa + 2.0
    return split_exponent(select(small, x * 2.0**lift, x), select(small, x.const(lift), 0.0))


def _series(f):
    """f - log(1 + f)."""
    s = f / (2.0 + f)
    z = s * s
    return s * (f - z * horner(z, _R[f.fmt.name]))


def log_parts(k, f, rest=None):
    """k ln 2 + log(1 + f + rest), for a rest of about an ulp."""
    high, low = LN2[f.fmt.name]
    small = k * low
    if rest is not None:
        small = small + rest * (1.0 - f)  # for rest / (1 + f)
    return k * high + (f - (_series(f) - small))


def guard(x, result):
    """The logarithm's special values: log(0) = -inf, log(inf) = inf, NaN for anything negative and for NaN."""
    pole_or_nan = select(x == 0.0, x.const(float("-inf")), float("nan"))
    result = select(x > 0.0, result, pole_or_nan)
    return select(x < float("inf"), result, x)


def _scaled_log(f, base, rest=None):
    """log(1 + f) to the base "2" or "10", plus a small `rest`."""
    if f.fmt.is_double:
        factor, correction = _FACTOR[base]
        tail = f * correction - _series(f) * factor
        return f * factor + (tail if rest is None else tail + rest)
    product = f * horner(f, _DIRECT[base])
    return product if rest is None else product + rest


@elementwise
def log(x):
    """The natural logarithm. At most 1 ulp."""
    k, m = split_any(x)
    return guard(x, log_parts(k, m - 1.0))


@elementwise
def log2(x):
    """The logarithm to base 2; exact at powers of two. At most 2 ulp."""
    k, m = split_any(x)
    return guard(x, k + _scaled_log(m - 1.0, "2"))


@elementwise
def log10(x):
    """The logarithm to base 10. At most 2 ulp."""
    high, low = _LOG10_2[x.fmt.name]
    k, m = split_any(x)
    return guard(x, k * high + _scaled_log(m - 1.0, "10", k * low))


def log_of_sum(u, rest):
    """log(u + rest) for a normal u > 0 and a rest below half an ulp of it."""
    k, m = split_exponent(u)
    # m and u differ in the exponent, by k: so this is 2**-k. Where it would leave the range, the rest does not matter.
    shift = (m.bits() - u.bits() + u.fmt.bits(1.0)).to_float()
    return log_parts(k, m - 1.0, select(u < 2.0**100, rest * shift, 0.0))


@elementwise
def log1p(x):
    """log(1 + x) without cancellation near 0; log1p(-0) is -0. At most 1.1 ulp."""
    u, rest = two_sum(x, 1.0)
    result = log_of_sum(u, rest)
    pole_or_nan = select(x == -1.0, x.const(float("-inf")), float("nan"))
    result = select(x > -1.0, result, pole_or_nan)
    result = select(x < float("inf"), result, x)
    return (result.abs().bits() | x.sign()).to_float()


@elementwise
def softplus(x):
    """log(1 + e**x), accurate in both tails. At most 2 ulp."""
    z = exp_nonpositive(-x.abs())
    u = 1.0 + z
    return select(x > 0.0, x, 0.0 * z) + log_of_sum(u, z - (u - 1.0))
