"""Special functions: entries as those of ``elementwise``, whose values mostly are calls of SciPy's compiled functions.

Formulas of derivatives: DLMF, https://dlmf.nist.gov, chapters 5 (gamma), 7 (error functions), 10 (Bessel), 25 (zeta).
"""

import math

from tapejit.spec.elementwise import chain, chain_div, cos, exp, log, log1p, sign, where
from tapejit.spec.expr import as_expr, m
from tapejit.spec.table import elementwise

_SQRT_HALF = math.sqrt(0.5)
_HALF_SQRT_PI = math.sqrt(math.pi) / 2
_TWO_INV_SQRT_PI = 2 / math.sqrt(math.pi)
_INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
_SQRT_2PI = math.sqrt(2 * math.pi)
_SQRT_2_PI = math.sqrt(2 / math.pi)
_POSITIVE = (0.2, 3.0)
_SHARE = (0.05, 0.95)

PLAIN = "lgamma digamma erfinv logit xlogy i0 sinc".split()  # those that are functions of tapejit itself, and methods

# Gamma functions


@elementwise(dx=lambda g, x: chain(g, digamma(x)), domain=_POSITIVE)
def lgamma(x):
    """The logarithm of the absolute value of the gamma function"""
    return m.gammaln(x)


@elementwise(dx=lambda g, x: chain(g, zeta(2.0, x)), domain=_POSITIVE)
def digamma(x):
    """The derivative of the logarithm of the gamma function"""
    return m.psi(x)


@elementwise(dx=lambda g, x, out: chain(g, out * digamma(x)), domain=_POSITIVE)
def gamma(x):
    """The gamma function"""
    return m.gamma(x)


@elementwise(
    dx=lambda g, x, y: chain(g, zeta_s(x, y)),
    dy=lambda g, x, y: -chain(g, x * zeta(x + 1.0, y)),
    name="_zeta",
    label="SpecialZeta",
    domain=((1.5, 4.0), _POSITIVE),
)
def zeta(x, y):
    """The sum of (y + k) ** -x over k = 0, 1, ..., for x > 1; its third derivative in x is not known, and NaN"""
    return m.zeta(x, y)


@elementwise(
    dx=lambda g, x, y: chain(g, zeta_ss(x, y)),
    dy=lambda g, x, y: -chain(g, zeta(x + 1.0, y) + x * zeta_s(x + 1.0, y)),
    name="_zeta_s",
    domain=((1.5, 4.0), _POSITIVE),
)
def zeta_s(x, y):
    """The derivative of zeta in its first operand"""
    return m.zeta_s(x, y)


@elementwise(
    dx=lambda g: chain(g, math.nan),
    dy=lambda g, x, y: -chain(g, 2.0 * zeta_s(x + 1.0, y) + x * zeta_ss(x + 1.0, y)),
    name="_zeta_ss",
    domain=((1.5, 4.0), _POSITIVE),
)
def zeta_ss(x, y):
    """The second derivative of zeta in its first operand"""
    return m.zeta_ss(x, y)


@elementwise(
    dx=lambda g, x, y: chain(g, digamma(x) - digamma(x + y)),
    dy=lambda g, x, y: chain(g, digamma(y) - digamma(x + y)),
    domain=(_POSITIVE, _POSITIVE),
)
def betaln(x, y):
    """The logarithm of the absolute value of the beta function"""
    return m.betaln(x, y)


@elementwise(
    dx=lambda g, x, y, out: chain(g, out * (digamma(x) - digamma(x + y))),
    dy=lambda g, x, y, out: chain(g, out * (digamma(y) - digamma(x + y))),
    domain=(_POSITIVE, _POSITIVE),
)
def beta(x, y):
    """The beta function"""
    return m.beta(x, y)


# Error functions and the normal distribution


@elementwise(dx=lambda g, out: chain(g, _HALF_SQRT_PI * exp(out * out)), domain=(-0.9, 0.9))
def erfinv(x):
    """The inverse of the error function"""
    return m.erfinv(x)


@elementwise(dx=lambda g, out: -chain(g, _HALF_SQRT_PI * exp(out * out)), domain=(0.1, 1.9))
def erfcinv(x):
    """The inverse of the complementary error function"""
    return m.erfcinv(x)


@elementwise(dx=lambda g, x, out: chain(g, 2.0 * (x * out) - _TWO_INV_SQRT_PI))
def erfcx(x):
    """exp(x * x) times the complementary error function, without overflow"""
    return m.erfcx(x)


@elementwise(dx=lambda g, x, out: chain(g, 1.0 - 2.0 * (x * out)))
def dawsn(x):
    """Dawson's integral, exp(-x * x) times the integral of exp(t * t) from 0 to x"""
    return m.dawsn(x)


@elementwise(dx=lambda g, x: chain(g, _INV_SQRT_2PI * exp(-0.5 * (x * x))))
def ndtr(x):
    """The normal distribution function"""
    return 0.5 * m.erfc(-_SQRT_HALF * x)


@elementwise(dx=lambda g, x: chain(g, _SQRT_2_PI / erfcx(-_SQRT_HALF * x)))
def log_ndtr(x):
    """The logarithm of the normal distribution function"""
    return m.log_ndtr(x)


@elementwise(dx=lambda g, out: chain(g, _SQRT_2PI * exp(0.5 * (out * out))), domain=_SHARE)
def ndtri(x):
    """The inverse of the normal distribution function"""
    return m.ndtri(x)


# Logarithms of shares, and entropies


@elementwise(dx=lambda g, x: chain_div(g, x * (1.0 - x)), domain=_SHARE)
def logit(x):
    """log(x / (1 - x)), the inverse of sigmoid"""
    near_half = (x > 0.3) & (x < 0.65)  # where the logarithm is small: 2 x - 1 is exact there
    return m.select(near_half, m.log1p((2.0 * x - 1.0) / (1.0 - x)), m.log(x / (1.0 - x)))


@elementwise(
    dx=lambda g, x, y: where((x == 0.0) & (y <= 0.0), 0.0, chain(g, log(y))),
    dy=lambda g, x, y: chain(g, x / y),
    domain=(_POSITIVE, _POSITIVE),
)
def xlogy(x, y):
    """x * log(y), and 0 where x is 0"""
    return m.select((x == 0.0) & (y == y), 0.0, x * m.log(y))


@elementwise(
    dx=lambda g, x, y: where((x == 0.0) & (y <= -1.0), 0.0, chain(g, log1p(y))),
    dy=lambda g, x, y: chain(g, x / (y + 1.0)),
    domain=(_POSITIVE, _POSITIVE),
)
def xlog1py(x, y):
    """x * log(1 + y), and 0 where x is 0"""
    return m.select((x == 0.0) & (y == y), 0.0, x * m.log1p(y))


@elementwise(dx=lambda g, x: chain(g, -1.0 - log(x)), domain=_POSITIVE)
def entr(x):
    """-x * log(x), 0 at 0 and -inf below"""
    return m.select(x == 0.0, 0.0, m.select(x < 0.0, -math.inf, -(x * m.log(x))))


@elementwise(
    dx=lambda g, x, y: where((x > 0.0) & (y > 0.0), chain(g, log(x / y) + 1.0), 0.0),
    dy=lambda g, x, y: where((x > 0.0) & (y > 0.0), -chain(g, x / y), 0.0),
    domain=(_POSITIVE, _POSITIVE),
)
def rel_entr(x, y):
    """x * log(x / y); 0 where x is 0 and y is not negative, else inf where one is not positive"""
    finite = (x > 0.0) & (y > 0.0)
    nan = (x != x) | (y != y)
    alike = (x > 0.5 * y) & (x < 2.0 * y)  # where x - y is exact
    ratio = m.select(alike, m.log1p((x - y) / y), m.log(x / y))
    return m.select(finite | nan, x * ratio, m.select((x == 0.0) & (y >= 0.0), 0.0, math.inf))


def _sinc_slope(x, out):
    """(cos(pi * x) - out) / x; at 0 its series, so that its own derivative is right there too."""
    return where(x == 0.0, (-math.pi * math.pi / 3) * x, (cos(math.pi * x) - out) / where(x == 0.0, 1.0, x))


@elementwise(dx=lambda g, x, out: chain(g, _sinc_slope(x, out)))
def sinc(x):
    """sin(pi * x) / (pi * x), and 1 at 0"""
    return m.select(x == 0.0, 1.0, m.sin(math.pi * x) / (math.pi * x))


# Bessel functions of order 0 and 1


def _over(out, x):
    """out / x, and its limit 1/2 at 0, of a function that behaves there as x / 2."""
    return where(x == 0.0, 0.5, out / where(x == 0.0, 1.0, x))


@elementwise(dx=lambda g, x: chain(g, i1(x)))
def i0(x):
    """The modified Bessel function of the first kind and order 0"""
    return m.i0(x)


@elementwise(dx=lambda g, x, out: chain(g, i0(x) - _over(out, x)))
def i1(x):
    """The modified Bessel function of the first kind and order 1"""
    return m.i1(x)


@elementwise(dx=lambda g, x, out: chain(g, i1e(x) - sign(x) * out))
def i0e(x):
    """exp(-|x|) times the modified Bessel function of the first kind and order 0"""
    return m.i0e(x)


@elementwise(dx=lambda g, x, out: chain(g, i0e(x) - _over(out, x) - sign(x) * out))
def i1e(x):
    """exp(-|x|) times the modified Bessel function of the first kind and order 1"""
    return m.i1e(x)


@elementwise(dx=lambda g, x: -chain(g, j1(x)))
def j0(x):
    """The Bessel function of the first kind and order 0"""
    return m.j0(x)


@elementwise(dx=lambda g, x, out: chain(g, j0(x) - _over(out, x)))
def j1(x):
    """The Bessel function of the first kind and order 1"""
    return m.j1(x)


@elementwise(dx=lambda g, x: -chain(g, y1(x)), domain=_POSITIVE)
def y0(x):
    """The Bessel function of the second kind and order 0"""
    return m.y0(x)


@elementwise(dx=lambda g, x, out: chain(g, y0(x) - out / x), domain=_POSITIVE)
def y1(x):
    """The Bessel function of the second kind and order 1"""
    return m.y1(x)


@elementwise(dx=lambda g, x: -chain(g, k1(x)), domain=_POSITIVE)
def k0(x):
    """The modified Bessel function of the second kind and order 0"""
    return m.k0(x)


@elementwise(dx=lambda g, x, out: -chain(g, k0(x) + out / x), domain=_POSITIVE)
def k1(x):
    """The modified Bessel function of the second kind and order 1"""
    return m.k1(x)


@elementwise(dx=lambda g, x, out: chain(g, out - k1e(x)), domain=_POSITIVE)
def k0e(x):
    """exp(x) times the modified Bessel function of the second kind and order 0"""
    return m.k0e(x)


@elementwise(dx=lambda g, x, out: chain(g, out - k0e(x) - out / x), domain=_POSITIVE)
def k1e(x):
    """exp(x) times the modified Bessel function of the second kind and order 1"""
    return m.k1e(x)


# Lambert's function


@elementwise(dx=lambda g, out: chain_div(g, exp(out) * (1.0 + out)), domain=(0.1, 3.0))
def lambertw(x):
    """The real w >= -1 with w * exp(w) = x, for x >= -1/e"""
    return m.lambertw(x)


@elementwise(dx=lambda g, out: chain_div(g, exp(out) * (1.0 + out)), domain=(-0.3, -0.05), name="_lambertw_lower")
def lambertw_lower(x):
    """The real w <= -1 with w * exp(w) = x, for -1/e <= x < 0"""
    return m.lambertw_lower(x)


# Voigt's profile, by Faddeeva's function w: V = Re(w(z)) / (y sqrt(2 pi)), z = (x + i gamma) / (y sqrt(2))


@elementwise(
    dx=lambda g: chain(g, 0.0),
    dy=lambda g, x, y, z: chain(g, wofz_real(x + 1.0, y, z)),
    dz=lambda g, x, y, z: -chain(g, wofz_imag(x + 1.0, y, z)),
    name="_wofz_real",
    domain=((0.0, 0.0), (-3.0, 3.0), _POSITIVE),
)
def wofz_real(x, y, z):
    """The real part of the x-th derivative of Faddeeva's function at y + i z; x is cut to a whole number"""
    return m.wofz_real(x, y, z)


@elementwise(
    dx=lambda g: chain(g, 0.0),
    dy=lambda g, x, y, z: chain(g, wofz_imag(x + 1.0, y, z)),
    dz=lambda g, x, y, z: chain(g, wofz_real(x + 1.0, y, z)),
    name="_wofz_imag",
    domain=((0.0, 0.0), (-3.0, 3.0), _POSITIVE),
)
def wofz_imag(x, y, z):
    """The imaginary part of the x-th derivative of Faddeeva's function at y + i z; x is cut to a whole number"""
    return m.wofz_imag(x, y, z)


_SQRT_2 = math.sqrt(2)


def _of_voigt(part, n):
    """A derivative of the profile: ``part`` of the n-th one of w, divided by y sqrt(2 pi) (y sqrt(2))^n."""

    def value(x, y, z):
        s = _SQRT_2 * where(y == 0.0, 1.0, y)
        scale = math.sqrt(math.pi) * s
        for _ in range(n):
            scale = scale * s
        return part(float(n), x / s, z / s) / scale

    return value


def _voigt_dx(x, y, z):
    d = x * x + z * z
    return where(y == 0.0, -2.0 / math.pi * (x * z) / (d * d), _of_voigt(wofz_real, 1)(x, y, z))


def _voigt_dz(x, y, z):
    d = x * x + z * z
    return where(y == 0.0, (x * x - z * z) / (math.pi * (d * d)), -_of_voigt(wofz_imag, 1)(x, y, z))


def _voigt_dxx(x, y, z):
    d = x * x + z * z
    return where(y == 0.0, 2.0 / math.pi * (z * (3.0 * (x * x) - z * z)) / (d * d * d), _of_voigt(wofz_real, 2)(x, y, z))


@elementwise(
    dx=lambda g, x, y, z: chain(g, _voigt_dx(x, y, z)),
    dy=lambda g, x, y, z: chain(g, y * _voigt_dxx(x, y, z)),  # the profile solves dV/dy = y d2V/dx2
    dz=lambda g, x, y, z: chain(g, _voigt_dz(x, y, z)),
    domain=((-3.0, 3.0), _POSITIVE, _POSITIVE),
)
def voigt_profile(x, y, z):
    """The density at x of a normal deviate of standard deviation y plus a Cauchy one of half width z at half maximum"""
    s = _SQRT_2 * m.select(y == 0.0, 1.0, y)
    wide = m.wofz_real(as_expr(0.0), x / s, z / s) / (math.sqrt(math.pi) * s)
    return m.select(y == 0.0, m.select((x == 0.0) & (z == 0.0), math.inf, z / (math.pi * (x * x + z * z))), wide)
