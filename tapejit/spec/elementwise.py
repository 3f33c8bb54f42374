"""The elementwise ops: a value rule and a derivative rule per operand, written once as functions of scalars.

Derivative rules read the values PyTorch's do, so that the same in-place changes are allowed and refused. Kinks:
abs'(0) = 0, sign' = 0, relu'(0) = 0; maximum and minimum split a tie in halves; NaN lets
gradients through; clamp passes the gradient at its bounds. An adjoint that is exactly zero stays zero: rules multiply and
divide it by ``chain`` and ``chain_div``, so that a branch not taken adds nothing, even where its derivative is infinite.
"""

import math

import numpy as np

from tapejit.spec.expr import m
from tapejit.spec.table import elementwise

_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
_TWO_INV_SQRT_PI = 2 / math.sqrt(math.pi)
_LN2 = math.log(2)
_LN10 = math.log(10)
_POSITIVE = (0.2, 3.0)


# The chain rule's product and quotient: zero times anything is zero. Their own derivatives keep what a plain choice between 0
# and the product would lose: the derivative in x is y, also where x is 0.


def chain(x, y):
    """x * y, and 0 where x is 0, whatever y is"""
    return _chain(x, y)


def chain_div(x, y):
    """x / y, and 0 where x is 0, whatever y is"""
    return _chain_div(x, y)


# Arithmetic


@elementwise(dx=lambda g: g, dy=lambda g: g, ufunc=np.add)
def add(x, y):
    """x + y"""
    return x + y


@elementwise(dx=lambda g: g, dy=lambda g: -g, ufunc=np.subtract)
def sub(x, y):
    """x - y"""
    return x - y


@elementwise(dx=lambda g, y: chain(g, y), dy=lambda g, x: chain(g, x), ufunc=np.multiply)
def mul(x, y):
    """x * y"""
    return x * y


@elementwise(
    dx=lambda g, y: chain_div(g, y),
    dy=lambda g, x, y: -chain(chain_div(g, y), x / y),
    domain=((-2.0, 2.0), _POSITIVE),
)
def div(x, y):
    """x / y"""
    return x / y


@elementwise(dx=lambda g: -g, ufunc=np.negative)
def neg(x):
    """-x"""
    return -x


@elementwise(
    dx=lambda g, x, y: where(y == 0.0, 0.0, chain(g, y * pow(x, y - 1.0))),
    dy=lambda g, x, y, out: where((x == 0.0) & (y >= 0.0), 0.0, chain(g, out * log(x))),
    domain=(_POSITIVE, (-2.0, 2.0)),
    ufunc=np.power,
)
def pow(x, y):
    """x raised to the power y; the derivative in y is 0 at x = 0 for y >= 0, as in PyTorch"""
    return m.pow(x, y)


@elementwise(dx=lambda g, x: chain(g, 2.0 * x), label="Pow", ufunc=np.square)
def square(x):
    """x * x"""
    return x * x


@elementwise(dx=lambda g, x: chain(g, 3.0 * (x * x)), label="Pow")
def cube(x):
    """x * x * x"""
    return x * x * x


@elementwise(dx=lambda g, out: -chain(g, out * out), domain=_POSITIVE)
def reciprocal(x):
    """1 / x"""
    return 1.0 / x


@elementwise(
    dx=lambda g: g,
    dy=lambda g, x, y: -chain(g, _floordiv(x, y)),
    domain=((0.3, 0.9), (1.1, 1.9)),
    ufunc=np.remainder,
)
def remainder(x, y):
    """The remainder of x / y with the sign of y"""
    r = m.fmod(x, y)
    other_sign = ((r < 0.0) & (y > 0.0)) | ((r > 0.0) & (y < 0.0))
    return m.select(other_sign, r + y, r)


@elementwise(
    dx=lambda g: 0.0,
    dy=lambda g: 0.0,
    domain=((-4.7, 4.7), (1.1, 1.9)),
    label="FloorDivide",
    ufunc=np.floor_divide,
    smooth=False,
)
def _floordiv(x, y):
    """The quotient without the remainder, as Python's //: 1.0 // 0.1 is 9, where 1.0 / 0.1 rounds to 10"""
    r = m.fmod(x, y)
    other_sign = ((r < 0.0) & (y > 0.0)) | ((r > 0.0) & (y < 0.0))
    quotient = (x - r) / y
    quotient = m.select(other_sign, quotient - 1.0, quotient)
    whole = m.floor(quotient)
    whole = m.select(quotient - whole > 0.5, whole + 1.0, whole)
    signed_zero = 0.0 * (x / y)
    return m.select(y == 0.0, x / y, m.select(quotient == 0.0, signed_zero, whole))


@elementwise(
    dx=lambda g: g,
    dy=lambda g, x, y: -chain(g, trunc(x / y)),
    domain=((0.3, 0.9), (1.1, 1.9)),
    ufunc=np.fmod,
)
def fmod(x, y):
    """The remainder of x / y with the sign of x"""
    return m.fmod(x, y)


# Signs, rounding, order


@elementwise(dx=lambda g, x: chain(g, sign(x)), domain=_POSITIVE, ufunc=np.absolute)
def abs(x):
    """|x|, with derivative 0 at 0"""
    return m.abs(x)


@elementwise(dx=lambda g: 0.0, ufunc=np.sign, smooth=False)
def sign(x):
    """-1, 0 or 1"""
    return m.select(x > 0.0, 1.0, m.select(x < 0.0, -1.0, m.select(x != x, x, 0.0)))


@elementwise(dx=lambda g: 0.0, ufunc=np.floor, smooth=False)
def floor(x):
    """The largest integer not above x"""
    return m.floor(x)


@elementwise(dx=lambda g: 0.0, ufunc=np.ceil, smooth=False)
def ceil(x):
    """The smallest integer not below x"""
    return m.ceil(x)


@elementwise(dx=lambda g: 0.0, ufunc=np.trunc, smooth=False)
def trunc(x):
    """x without its fraction"""
    return m.trunc(x)


@elementwise(dx=lambda g: 0.0, ufunc=np.positive, smooth=False)
def round(x):
    """The nearest integer, halves to even"""
    return m.rint(x)


@elementwise(
    dx=lambda g, x, y: where(x < y, 0.0, where(x == y, 0.5 * g, g)),
    dy=lambda g, x, y: where(y < x, 0.0, where(x == y, 0.5 * g, g)),
    ufunc=np.maximum,
)
def maximum(x, y):
    """The larger of x and y, NaN if either is; a tie halves the gradient"""
    return m.select((x > y) | (x != x), x, y)


@elementwise(
    dx=lambda g, x, y: where(x > y, 0.0, where(x == y, 0.5 * g, g)),
    dy=lambda g, x, y: where(y > x, 0.0, where(x == y, 0.5 * g, g)),
    ufunc=np.minimum,
)
def minimum(x, y):
    """The smaller of x and y, NaN if either is; a tie halves the gradient"""
    return m.select((x < y) | (x != x), x, y)


@elementwise(
    dx=lambda g, x, y: where(x >= y, g, 0.0),
    dy=lambda g, x, y: where(x < y, g, 0.0),
    label="Clamp",
    ufunc=np.maximum,
)
def clamp_min(x, y):
    """x, but at least y; the gradient passes at the bound"""
    return m.select((x > y) | (x != x), x, y)


@elementwise(
    dx=lambda g, x, y: where(x <= y, g, 0.0),
    dy=lambda g, x, y: where(x > y, g, 0.0),
    label="Clamp",
    ufunc=np.minimum,
)
def clamp_max(x, y):
    """x, but at most y; the gradient passes at the bound"""
    return m.select((x < y) | (x != x), x, y)


@elementwise(dy=lambda g, x: where(x, g, 0.0), dz=lambda g, x: where(x, 0.0, g), condition=True, smooth=False)
def where(x, y, z):
    """y where the condition x holds, else z"""
    return m.select(x, y, z)


# Exponentials and logarithms


@elementwise(dx=lambda g, out: chain(g, out))
def exp(x):
    """e to the power x"""
    return m.exp(x)


@elementwise(dx=lambda g, out: chain(g, _LN2 * out))
def exp2(x):
    """2 to the power x"""
    return m.exp2(x)


@elementwise(dx=lambda g, out: chain(g, out + 1.0))
def expm1(x):
    """exp(x) - 1, accurate near 0"""
    return m.expm1(x)


@elementwise(dx=lambda g, x: chain_div(g, x), domain=_POSITIVE)
def log(x):
    """The natural logarithm"""
    return m.log(x)


@elementwise(dx=lambda g, x: chain_div(g, x + 1.0), domain=(-0.6, 2.0))
def log1p(x):
    """log(1 + x), accurate near 0"""
    return m.log1p(x)


@elementwise(dx=lambda g, x: chain_div(g, _LN2 * x), domain=_POSITIVE)
def log2(x):
    """The logarithm to base 2"""
    return m.log2(x)


@elementwise(dx=lambda g, x: chain_div(g, _LN10 * x), domain=_POSITIVE)
def log10(x):
    """The logarithm to base 10"""
    return m.log10(x)


def _weight(x, y):
    """What x has of the sum of exponentials: a half of two equal infinities, whose difference is NaN."""
    return where((x == y) & (x - y != x - y), 0.5, sigmoid(x - y))


@elementwise(dx=lambda g, x, y: chain(g, _weight(x, y)), dy=lambda g, x, y: chain(g, _weight(y, x)))
def logaddexp(x, y):
    """log(exp(x) + exp(y)) without overflow; two equal infinities share the derivative in halves"""
    top = m.select((x > y) | (x != x), x, y)
    return m.select(x == y, x + _LN2, top + m.log1p(m.exp(-m.abs(x - y))))


@elementwise(dx=lambda g, out: chain_div(0.5 * g, out), domain=_POSITIVE)
def sqrt(x):
    """The square root"""
    return m.sqrt(x)


@elementwise(dx=lambda g, out: chain_div(g, 3.0 * out * out), domain=_POSITIVE)
def cbrt(x):
    """The cube root, also of negative numbers"""
    size = m.pow(m.abs(x), 1 / 3)
    return m.select(x < 0.0, -size, size)


@elementwise(dx=lambda g, out: chain(-0.5 * g, out * out * out), domain=_POSITIVE)
def rsqrt(x):
    """1 / sqrt(x)"""
    return 1.0 / m.sqrt(x)


# Trigonometry


def _inverse(x):
    """1 / x, and 0 at 0."""
    return where(x == 0.0, 0.0, 1.0 / where(x == 0.0, 1.0, x))


@elementwise(dx=lambda g, x: chain(g, cos(x)))
def sin(x):
    """The sine of x radians"""
    return m.sin(x)


@elementwise(dx=lambda g, x: -chain(g, sin(x)))
def cos(x):
    """The cosine of x radians"""
    return m.cos(x)


@elementwise(dx=lambda g, out: chain(g, 1.0 + out * out), domain=(-1.2, 1.2))
def tan(x):
    """The tangent of x radians"""
    return m.tan(x)


@elementwise(dx=lambda g, x: chain(g, rsqrt(1.0 - x * x)), domain=(-0.9, 0.9))
def asin(x):
    """The arc sine, in radians"""
    return m.asin(x)


@elementwise(dx=lambda g, x: -chain(g, rsqrt(1.0 - x * x)), domain=(-0.9, 0.9))
def acos(x):
    """The arc cosine, in radians"""
    return m.acos(x)


@elementwise(dx=lambda g, x: chain_div(g, 1.0 + x * x))
def atan(x):
    """The arc tangent, in radians"""
    return m.atan(x)


@elementwise(
    dx=lambda g, x, y: chain(g, y * _inverse(x * x + y * y)),
    dy=lambda g, x, y: -chain(g, x * _inverse(x * x + y * y)),
    domain=(_POSITIVE, (-2.0, 2.0)),
)
def atan2(x, y):
    """The angle in radians of the point with ordinate x and abscissa y; derivative 0 at the origin"""
    return m.atan2(x, y)


# Hyperbolic functions


@elementwise(dx=lambda g, x: chain(g, cosh(x)))
def sinh(x):
    """The hyperbolic sine"""
    return m.sinh(x)


@elementwise(dx=lambda g, x: chain(g, sinh(x)))
def cosh(x):
    """The hyperbolic cosine"""
    return m.cosh(x)


@elementwise(dx=lambda g, out: chain(g, 1.0 - out * out))
def tanh(x):
    """The hyperbolic tangent"""
    return m.tanh(x)


@elementwise(dx=lambda g, x: chain(g, rsqrt(x * x + 1.0)))
def asinh(x):
    """The inverse hyperbolic sine"""
    return m.asinh(x)


@elementwise(dx=lambda g, x: chain(g, rsqrt(x - 1.0) * rsqrt(x + 1.0)), domain=(1.2, 3.0))
def acosh(x):
    """The inverse hyperbolic cosine"""
    return m.acosh(x)


@elementwise(dx=lambda g, x: chain_div(g, 1.0 - x * x), domain=(-0.8, 0.8))
def atanh(x):
    """The inverse hyperbolic tangent"""
    return m.atanh(x)


# Activations and error functions


@elementwise(dx=lambda g, out: chain(g, out * (1.0 - out)))
def sigmoid(x):
    """1 / (1 + exp(-x))"""
    return m.sigmoid(x)


@elementwise(dx=lambda g, out: where(out <= 0.0, 0.0, g), domain=_POSITIVE)
def relu(x):
    """max(x, 0), with derivative 0 at 0"""
    return m.select((x > 0.0) | (x != x), x, 0.0)


@elementwise(dx=lambda g, x: chain(g, sigmoid(x)))
def softplus(x):
    """log(1 + exp(x))"""
    return m.softplus(x)


@elementwise(dx=lambda g, x: chain(g, sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)))))
def silu(x):
    """x * sigmoid(x)"""
    return x * m.sigmoid(x)


@elementwise(dx=lambda g, x: chain(g, 0.5 * erfc(-_SQRT_HALF * x) + x * (_INV_SQRT_2PI * exp(-0.5 * (x * x)))))
def gelu(x):
    """x times the standard normal distribution function at x"""
    return 0.5 * x * m.erfc(-_SQRT_HALF * x)


@elementwise(dx=lambda g, x: chain(g, _TWO_INV_SQRT_PI * exp(-(x * x))))
def erf(x):
    """The error function"""
    return m.erf(x)


@elementwise(dx=lambda g, x: -chain(g, _TWO_INV_SQRT_PI * exp(-(x * x))))
def erfc(x):
    """1 - erf(x), accurate for large x"""
    return m.erfc(x)


@elementwise(
    dx=lambda g, x, out: chain(g, _share(x, out)),
    dy=lambda g, y, out: chain(g, _share(y, out)),
    domain=(_POSITIVE, _POSITIVE),
)
def hypot(x, y):
    """sqrt(x * x + y * y) without overflow, with derivative 0 at the origin"""
    return m.hypot(x, y)


def _share(x, length):
    """x / length, and 0 where the length is 0."""
    return where(length == 0.0, 0.0, x / where(length == 0.0, 1.0, length))


# What chain() and chain_div() are


@elementwise(dx=lambda g, y: chain(g, y), dy=lambda g, x: chain(x, g), name="_chain", domain=_POSITIVE, label="Mul")
def _chain(x, y):
    """x * y, and 0 where x is 0, whatever y is"""
    return m.select(x == 0.0, 0.0, x * y)


@elementwise(
    dx=lambda g, y: chain_div(g, y),
    dy=lambda g, y, out: -chain(chain_div(out, y), g),
    name="_chain_div",
    domain=_POSITIVE,
    label="Div",
)
def _chain_div(x, y):
    """x / y, and 0 where x is 0, whatever y is"""
    return m.select(x == 0.0, 0.0, x / y)
