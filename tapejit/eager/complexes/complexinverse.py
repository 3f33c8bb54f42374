"""Inverse trigonometric and hyperbolic functions of complex tensors, exp(z) - 1 and log(1 + z).

The formulas are Kahan's (Branch cuts for complex elementary functions, 1987): by roots of 1 + z and 1 - z, so that nothing
cancels, and on the cuts the sign of a zero decides, as in C99 and NumPy.
"""

from tapejit.eager.complexes.complexmath import sqrt
from tapejit.eager.complexes.pair import ComplexTensor, entered
from tapejit.eager.functional import FUNCTIONS as REAL
from tapejit.eager.functional import where

_asinh, _atan2, _log1p, _expm1 = REAL["asinh"], REAL["atan2"], REAL["log1p"], REAL["expm1"]


def _roots(z):
    """The roots of 1 - z and 1 + z."""
    one = 1.0 - z.real, 1.0 + z.real
    return sqrt(ComplexTensor(one[0], -z.imag)), sqrt(ComplexTensor(one[1], z.imag))


def _turned(function):
    """``-i f(i z)``: the hyperbolic function of a trigonometric one, or the other way round."""

    def of_turned(z):
        found = function(ComplexTensor(-z.imag, z.real))
        return ComplexTensor(found.imag, -found.real)

    return of_turned


@entered("arccos")
def acos(z: ComplexTensor) -> ComplexTensor:
    less, more = _roots(z)
    return ComplexTensor(2.0 * _atan2(less.real, more.real), _asinh(more.real * less.imag - more.imag * less.real))


@entered("arcsin")
def asin(z: ComplexTensor) -> ComplexTensor:
    less, more = _roots(z)
    across = less.real * more.real - less.imag * more.imag
    return ComplexTensor(_atan2(z.real, across), _asinh(less.real * more.imag - less.imag * more.real))


@entered("arccosh")
def acosh(z: ComplexTensor) -> ComplexTensor:
    less, more = sqrt(ComplexTensor(z.real - 1.0, z.imag)), sqrt(ComplexTensor(z.real + 1.0, z.imag))
    return ComplexTensor(_asinh(less.real * more.real + less.imag * more.imag), 2.0 * _atan2(less.imag, more.real))


@entered("arcsinh")
def asinh(z: ComplexTensor) -> ComplexTensor:
    return _turned(asin)(z)


@entered("arctanh")
def atanh(z: ComplexTensor) -> ComplexTensor:
    left = z.real < 0  # the real part is odd, and its formula exact for positive numbers
    x, y = where(left, -z.real, z.real), z.imag
    size = 0.25 * _log1p(4.0 * x / ((1.0 - x) * (1.0 - x) + y * y))
    angle = 0.5 * _atan2(2.0 * y, (1.0 - x) * (1.0 + x) - y * y)
    return ComplexTensor(where(left, -size, size), angle)


@entered("arctan")
def atan(z: ComplexTensor) -> ComplexTensor:
    return _turned(atanh)(z)


@entered()
def expm1(z: ComplexTensor) -> ComplexTensor:
    half = REAL["sin"](0.5 * z.imag)
    grown = _expm1(z.real)
    return ComplexTensor(grown * REAL["cos"](z.imag) - 2.0 * half * half, (grown + 1.0) * REAL["sin"](z.imag))


@entered()
def log1p(z: ComplexTensor) -> ComplexTensor:
    near = (REAL["abs"](z.real) < 0.5) & (REAL["abs"](z.imag) < 0.5)
    x, y = where(near, z.real, 0.0), where(near, z.imag, 0.0)
    far = where(near, 1.0, 1.0 + z.real), where(near, 0.0, z.imag)
    size = where(near, 0.5 * _log1p(x * (2.0 + x) + y * y), REAL["log"](REAL["hypot"](*far)))
    return ComplexTensor(size, _atan2(z.imag, 1.0 + z.real))
