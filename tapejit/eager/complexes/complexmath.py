"""Arithmetic, comparisons and elementary functions of complex tensors, in real operations.

Where a formula has a hole (the modulus at 0) both the value and the derivative are put in by ``where``: derivatives at 0 of
``abs`` and ``angle`` are 0, as in PyTorch.
"""

import math
from numbers import Integral, Number

import numpy as np

from tapejit.core.plans import broadcast_shapes
from tapejit.eager import arithmetic, creation
from tapejit.eager.complexes.pair import ComplexTensor, as_complex, both, entered
from tapejit.eager.functional import FUNCTIONS as REAL
from tapejit.eager.functional import where
from tapejit.eager.indexing import stack
from tapejit.eager.tensor import Tensor

_exp, _log, _sin, _cos, _sqrt = (REAL[name] for name in "exp log sin cos sqrt".split())
_sinh, _cosh, _tanh, _atan2, _hypot, _maximum = (REAL[name] for name in "sinh cosh tanh atan2 hypot maximum".split())


def complex_(real, imag) -> ComplexTensor:
    """A complex tensor of a real and an imaginary part of one dtype; shapes broadcast.

    Raises:
        RuntimeError: if the parts are not floating-point tensors of one dtype.
    """
    if not all(isinstance(x, Tensor) and x.dtype.is_floating_point for x in (real, imag)) or real.dtype is not imag.dtype:
        raise RuntimeError("complex() takes two floating-point tensors of one dtype, the real and the imaginary part")
    if real.shape != imag.shape:
        shape = broadcast_shapes(tuple(real.shape), tuple(imag.shape))
        real, imag = real.broadcast_to(shape), imag.broadcast_to(shape)
    return ComplexTensor(real, imag)


def polar(abs, angle) -> ComplexTensor:
    """abs * exp(i angle), of two real tensors."""
    return complex_(abs * _cos(angle), abs * _sin(angle))


def view_as_complex(x: Tensor) -> ComplexTensor:
    """Pairs along the last dimension, of size 2, as complex numbers.

    Raises:
        RuntimeError: if the last dimension has another size.
    """
    if not isinstance(x, Tensor) or not x.ndim or x.shape[-1] != 2:
        raise RuntimeError("view_as_complex() takes a real tensor whose last dimension has size 2")
    return complex_(x[..., 0], x[..., 1])


@entered(method=False)
def view_as_real(z: ComplexTensor) -> Tensor:
    """Real and imaginary parts along a new last dimension: a copy."""
    return stack([z.real, z.imag], -1)


@entered(method=False)
def real(z):
    return z.real


@entered(method=False)
def imag(z):
    return z.imag


@entered("conj_physical", "resolve_conj")
def conj(z: ComplexTensor) -> ComplexTensor:
    """The complex conjugate."""
    return ComplexTensor(z.real, -z.imag)


def _at_zero(z):
    """Whether z is 0, and z with ones there, of which every derivative exists."""
    zero = (z.real == 0) & (z.imag == 0)
    return zero, ComplexTensor(where(zero, 1.0, z.real), z.imag)


@entered("absolute", "__abs__")
def abs(z: ComplexTensor) -> Tensor:
    """The modulus, without overflow; its derivative at 0 is 0."""
    zero, safe = _at_zero(z)
    return where(zero, 0.0, _hypot(safe.real, safe.imag))


@entered()
def angle(z: ComplexTensor) -> Tensor:
    """The argument, in (-pi, pi]; at 0 it and its derivative are 0."""
    zero, safe = _at_zero(z)
    return where(zero, 0.0, _atan2(safe.imag, safe.real))


@entered("sign")
def sgn(z: ComplexTensor) -> ComplexTensor:
    """z / |z|, and 0 at 0."""
    zero, safe = _at_zero(z)
    size = _hypot(safe.real, safe.imag)
    return ComplexTensor(where(zero, 0.0, safe.real / size), where(zero, 0.0, safe.imag / size))


# Arithmetic


def is_real(x) -> bool:
    return (isinstance(x, Number) and not isinstance(x, complex)) or (
        isinstance(x, (Tensor, np.ndarray, np.generic)) and np.dtype(x.dtype).kind != "c"
    )


def _fits(x) -> bool:
    return isinstance(x, (ComplexTensor, Tensor, np.ndarray, np.generic, Number))


@entered("positive", "__pos__")
def clone(z: ComplexTensor) -> ComplexTensor:
    """A copy."""
    return ComplexTensor(z.real.clone(), z.imag.clone())


@entered("negative", "__neg__")
def neg(z: ComplexTensor) -> ComplexTensor:
    return ComplexTensor(-z.real, -z.imag)


def _sum(x, y, sign, alpha):
    """x + sign * alpha * y, shapes broadcast in both parts."""
    x, y = both(x, y)
    if alpha != 1:
        y = mul(y, alpha)
    return ComplexTensor(*((a + b if sign > 0 else a - b) for a, b in ((x.real, y.real), (x.imag, y.imag))))


@entered()
def add(x, y, *, alpha=1) -> ComplexTensor:
    """x + alpha * y."""
    return _sum(x, y, 1, alpha)


@entered("subtract")
def sub(x, y, *, alpha=1) -> ComplexTensor:
    """x - alpha * y."""
    return _sum(x, y, -1, alpha)


@entered("multiply")
def mul(x, y) -> ComplexTensor:
    """x * y; a real factor scales both parts."""
    if isinstance(x, ComplexTensor) and is_real(y):
        return ComplexTensor(x.real * y, x.imag * y)
    if isinstance(y, ComplexTensor) and is_real(x):
        return ComplexTensor(x * y.real, x * y.imag)
    x, y = both(x, y)
    return ComplexTensor(x.real * y.real - x.imag * y.imag, x.real * y.imag + x.imag * y.real)


@entered("divide", "true_divide")
def div(x, y) -> ComplexTensor:
    """x / y; the divisor is scaled by its larger part, so that its square cannot overflow."""
    if isinstance(x, ComplexTensor) and is_real(y):
        return ComplexTensor(x.real / y, x.imag / y)
    return mul(x, reciprocal(as_complex(y, x)))


@entered()
def reciprocal(z: ComplexTensor) -> ComplexTensor:
    """1 / z; the scale does not change the value, so its derivative is left out."""
    scale = _maximum(REAL["abs"](z.real), REAL["abs"](z.imag)).detach()
    a, b = z.real / scale, z.imag / scale
    size = (a * a + b * b) * scale
    return ComplexTensor(a / size, -b / size)


@entered()
def square(z: ComplexTensor) -> ComplexTensor:
    return mul(z, z)


def _integer_power(z, n):
    """z**n by repeated squaring."""
    if n < 0:
        return reciprocal(_integer_power(z, -n))
    result = None
    while n:
        if n & 1:
            result = z if result is None else mul(result, z)
        n >>= 1
        z = mul(z, z) if n else z
    return ComplexTensor(creation.ones_like(z.real), creation.zeros_like(z.real)) if result is None else result


@entered()
def pow(x, y) -> ComplexTensor:
    """x**y: a product for whole numbers y up to 64, else exp(y log x); 0 to a positive real number is 0, of derivative 0."""
    if isinstance(y, (Integral, float)) and y == int(y) and -64 <= y <= 64:
        return _integer_power(x, int(y))
    x = as_complex(x, y)
    if not (isinstance(y, Number) and is_real(y) and y > 0):
        return exp(mul(y if is_real(y) else as_complex(y, x), log(x)))
    zero, safe = _at_zero(x)
    found = exp(mul(y, log(safe)))
    return ComplexTensor(where(zero, 0.0, found.real), where(zero, 0.0, found.imag))


def _operator(function, reflected=False):
    def method(self, other):
        if not _fits(other):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    return method


for _name, _function in (("add", add), ("sub", sub), ("mul", mul), ("truediv", div), ("pow", pow)):
    setattr(ComplexTensor, f"__{_name}__", _operator(_function))
    setattr(ComplexTensor, f"__r{_name}__", _operator(_function, True))
ComplexTensor.__neg__, ComplexTensor.__pos__, ComplexTensor.__abs__ = neg, lambda z: z, abs


# Comparisons: numbers of the plane are equal or not, and have no order


@entered()
def eq(x, y) -> Tensor:
    """Where x and y are equal."""
    x, y = both(x, y)
    return (x.real == y.real) & (x.imag == y.imag)


@entered()
def ne(x, y) -> Tensor:
    """Where x and y differ."""
    return ~eq(x, y)


def _unordered(name):
    def compare(x, y):
        raise RuntimeError(f"{name}: complex numbers have no order; compare .real, .imag or .abs()")

    return compare


ComplexTensor.__eq__, ComplexTensor.__ne__, ComplexTensor.__hash__ = _operator(eq), _operator(ne), object.__hash__
for _name in "lt le gt ge".split():
    compare = _unordered(_name)
    compare.__name__ = _name
    entered(f"__{_name}__")(compare)
    setattr(ComplexTensor, f"__{_name}__", compare)


@entered()
def isnan(z: ComplexTensor) -> Tensor:
    return arithmetic.isnan(z.real) | arithmetic.isnan(z.imag)


@entered()
def isfinite(z: ComplexTensor) -> Tensor:
    return arithmetic.isfinite(z.real) & arithmetic.isfinite(z.imag)


# Elementary functions


@entered()
def exp(z: ComplexTensor) -> ComplexTensor:
    size = _exp(z.real)
    return ComplexTensor(size * _cos(z.imag), size * _sin(z.imag))


@entered()
def log(z: ComplexTensor) -> ComplexTensor:
    """log|z| + i angle(z), cut along the negative real numbers."""
    return ComplexTensor(_log(_hypot(z.real, z.imag)), _atan2(z.imag, z.real))


@entered()
def log2(z: ComplexTensor) -> ComplexTensor:
    return mul(log(z), 1 / math.log(2))


@entered()
def log10(z: ComplexTensor) -> ComplexTensor:
    return mul(log(z), 1 / math.log(10))


@entered()
def sqrt(z: ComplexTensor) -> ComplexTensor:
    """The root with a real part of at least 0, larger part first: nothing cancels; the derivative at 0 is infinite."""
    zero, safe = _at_zero(z)
    right = safe.real >= 0
    size = where(right, safe.real, -safe.real)  # not abs, whose derivative is 0 on the imaginary axis
    large = _sqrt((_hypot(safe.real, safe.imag) + size) / 2)
    small = safe.imag / (2 * large)
    sign = where(arithmetic.signbit(safe.imag), -1.0, 1.0)  # on the cut the sign of the zero decides
    real, imag = where(right, large, small * sign), where(right, small, large * sign)
    at_zero = [_sqrt(where(zero, part, 1.0)) for part in (z.real, z.imag)]
    return ComplexTensor(where(zero, at_zero[0] + 0.0, real), where(zero, at_zero[1], imag))


@entered()
def rsqrt(z: ComplexTensor) -> ComplexTensor:
    return reciprocal(sqrt(z))


@entered()
def sin(z: ComplexTensor) -> ComplexTensor:
    return ComplexTensor(_sin(z.real) * _cosh(z.imag), _cos(z.real) * _sinh(z.imag))


@entered()
def cos(z: ComplexTensor) -> ComplexTensor:
    return ComplexTensor(_cos(z.real) * _cosh(z.imag), -(_sin(z.real) * _sinh(z.imag)))


@entered()
def sinh(z: ComplexTensor) -> ComplexTensor:
    return ComplexTensor(_sinh(z.real) * _cos(z.imag), _cosh(z.real) * _sin(z.imag))


@entered()
def cosh(z: ComplexTensor) -> ComplexTensor:
    return ComplexTensor(_cosh(z.real) * _cos(z.imag), _sinh(z.real) * _sin(z.imag))


@entered()
def tanh(z: ComplexTensor) -> ComplexTensor:
    """By tanh of the real part and sine and cosine of the other, none of which overflows."""
    t, s, c = _tanh(z.real), _sin(z.imag), _cos(z.imag)
    size = c * c + t * t * s * s
    return ComplexTensor(t / size, (1 - t) * (1 + t) * s * c / size)


@entered()
def tan(z: ComplexTensor) -> ComplexTensor:
    turned = tanh(ComplexTensor(-z.imag, z.real))
    return ComplexTensor(turned.imag, -turned.real)


@entered()
def sigmoid(z: ComplexTensor) -> ComplexTensor:
    return add(mul(tanh(mul(z, 0.5)), 0.5), 0.5)
