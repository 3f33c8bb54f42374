"""log and its relatives: log, log1p, log2, log10, softplus.

x = 2**k m with sqrt(1/2) <= m < sqrt(2), f = m - 1, s = f / (2 + f), and then
log(1 + f) = f - s (f - R(s**2)), where R(z) = (log((1 + s)/(1 - s)) - 2 s) / s; this form of the series is that of
Ng's fdlibm (1993). So for sums, as in log1p; log, log2 and log10 themselves use the smaller intervals of `tables`.
"""
from .emit import horner, poly, select, two_sum
from .exponential import LN2, exp_nonpositive
from .rare import outlined, when_any
from .register import elementwise
from .tables import COARSE, Reduced

# R(z) / z on 0 <= z <= 0.02944, least squares with Lawson weights, coefficients rounded one by one; error relative to the
# logarithm: 2**-59.5 (degree 6), 2**-30.2 (degree 2).
_R = {
    "f64": (0.14796830482164822, 0.15313959947872716, 0.18183568009839327, 0.222221984983332, 0.28571428743175614,
            0.39999999999410707, 0.6666666666666735),
    "f32": (0.2987093, 0.3997758, 0.66666776),
}
SQRT_HALF = 0.7071067811865476
INF = float("inf")
# By base (0 is e): 1 / log(base), and by format (log(1 + r) / log(base) - r * that) / r**2 on the pieces of `tables`; least
# squares with Lawson weights, error relative to the logarithm 2**-55.1, in single precision 2**-25.3.
_FIRST = {0: 1.0, 2: 1.4426950408889634, 10: 0.4342944819032518}
_SERIES = {
    ("f64", 0): (-0.08910039478199787, 0.11096734919460628, -0.1250281591069538, 0.14285795071104262,
                 -0.16666664326074235, 0.1999999992464954, -0.25000000000730854, 0.3333333333335172,
                 -0.49999999999999933),
    ("f64", 2): (-0.12827669222377072, 0.1600600242717029, -0.18037754898784994, 0.20610057224226203,
                 -0.2404491415100278, 0.2885390069378347, -0.36067376023024106, 0.48089834696334477,
                 -0.7213475204444817),
    ("f64", 10): (-0.038163600736565745, 0.04813901109472181, -0.05429992337459947, 0.062042611994064294,
                  -0.07238240401372904, 0.08685889581601391, -0.10857362047788427, 0.14476482730127316,
                  -0.21714724095162585),
    ("f32", 0): (0.18976964, -0.25016329, 0.3333452, -0.49999997),
    ("f32", 2): (0.2646099925041199, -0.36099594831466675, 0.4809579849243164, -0.7213475108146667),
    ("f32", 10): (0.08610677719116211, -0.10856703668832779, 0.1447499692440033, -0.21714723110198975),
}


def split_exponent(x):
    """(k, m) with x = 2**k m and sqrt(1/2) <= m < sqrt(2), for a positive normal x; k as a float."""
    fmt = x.fmt
    shifted = x.bits() - fmt.bits(SQRT_HALF)
    m = ((shifted & ((1 << fmt.mantissa) - 1)) + fmt.bits(SQRT_HALF)).to_float()
    return (shifted >> fmt.mantissa).int_to_float(), m


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


def _log(x, base):
    """The logarithm to the base 2 or 10 or (base 0) e."""
    reduced = Reduced(x, COARSE)
    r = reduced.r
    coefficients, first = _SERIES[x.fmt.name, base], _FIRST[base]
    if x.fmt.is_double:
        high, low = reduced.parts(base)
        result = high + (r * first + (r * r * poly(r, coefficients) + low))
    else:
        high, low = reduced.rounded_parts(base)
        series = horner(r, (*coefficients, first))
        result = high + (r * series if low is None else r * series + low)
    return result if reduced.rare is None else when_any(reduced.rare, lambda: [guard(x, result)], result)[0]


def _natural(x):
    return _log(x, 0)


def _binary(x):
    return _log(x, 2)


def _decimal(x):
    return _log(x, 10)


@elementwise
def log(x):
    """The natural logarithm. At most 1.6 ulp."""
    return outlined(_natural, x)


@elementwise
def log2(x):
    """The logarithm to base 2; exact at powers of two. At most 1.6 ulp."""
    return outlined(_binary, x)


@elementwise
def log10(x):
    """The logarithm to base 10. At most 1.7 ulp."""
    return outlined(_decimal, x)


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
