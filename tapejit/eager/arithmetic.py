"""Elementwise functions composed of those of the op table, under PyTorch's names: products and sums in one call, signs,
rounding, whole numbers and bits, and what stands in for NaN.
"""

import math

import numpy as np

from tapejit.core import dtypes
from tapejit.eager.creation import as_tensor
from tapejit.eager.dispatch import as_condition, from_array, is_number, noted, plain, result_dtype
from tapejit.eager.functional import COMPARISONS, FUNCTIONS, clamp, div, floor_divide, pow, sub, where
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import clone

mul, trunc = FUNCTIONS["mul"], FUNCTIONS["trunc"]


def _tensor(x) -> Tensor:
    return x if isinstance(x, Tensor) else as_tensor(x)


def _as_floats(x) -> Tensor:
    x = _tensor(x)
    return x if x.dtype.is_floating_point else x.to(dtypes.get_default_dtype())


def isnan(x) -> Tensor:
    """Whether x is NaN, elementwise."""
    x = _tensor(x)
    return COMPARISONS["ne"](x, x)


# Sums and products in one call


def rsub(x, other, *, alpha=1) -> Tensor:
    """other - alpha * x, elementwise."""
    return sub(_tensor(other) if not isinstance(x, Tensor) else other, x, alpha=alpha)


def lerp(x, end, weight) -> Tensor:
    """x + weight * (end - x), elementwise."""
    return x + weight * (end - x)


def addcmul(x, tensor1, tensor2, *, value=1) -> Tensor:
    """x + value * tensor1 * tensor2, elementwise."""
    product = tensor1 * tensor2
    return x + (product if _is_one(value) else value * product)


def addcdiv(x, tensor1, tensor2, *, value=1) -> Tensor:
    """x + value * tensor1 / tensor2, elementwise."""
    quotient = tensor1 / tensor2
    return x + (quotient if _is_one(value) else value * quotient)


def _is_one(value) -> bool:
    return is_number(value) and value == 1


def logaddexp2(x, other) -> Tensor:
    """log2(2**x + 2**other) without overflow."""
    log2 = math.log(2)
    return FUNCTIONS["logaddexp"](x * log2, other * log2) / log2


def float_power(x, exponent) -> Tensor:
    """x raised to a power in float64, elementwise."""
    x = _tensor(x).to(dtypes.float64)
    return pow(x, exponent if is_number(exponent) else _tensor(exponent).to(dtypes.float64))


def ldexp(x, other) -> Tensor:
    """x * 2**other, elementwise."""
    return x * FUNCTIONS["exp2"](_as_floats(other).to(result_dtype([_as_floats(x)])))


# Signs


def positive(x) -> Tensor:
    """x itself.

    Raises:
        RuntimeError: for bools.
    """
    if x.dtype is dtypes.bool_:
        raise RuntimeError("positive() does not take bools; use x.to(tapejit.int64)")
    return x


def signbit(x) -> Tensor:
    """Whether the sign is minus, also that of -0.0: a bool tensor."""
    x = _tensor(x).detach()
    if not x.dtype.is_floating_point:
        return x < 0
    return (x < 0) | ((x == 0) & (1.0 / x < 0))


def copysign(x, other) -> Tensor:
    """The size of x with the sign of other, elementwise; derivative 0 where x is 0."""
    other = _as_floats(other)
    size = FUNCTIONS["abs"](_as_floats(x))
    return where(signbit(other), -size, size)


def heaviside(x, values) -> Tensor:
    """0 where x < 0, values where x is 0, 1 where x > 0."""
    x = _tensor(x)
    step = (x > 0).to(x.dtype)
    return where(x == 0, values, where(isnan(x), x, step)) if x.dtype.is_floating_point else where(x == 0, values, step)


def isposinf(x) -> Tensor:
    """Whether x is infinite and positive, elementwise."""
    return _tensor(x) == math.inf


def isneginf(x) -> Tensor:
    """Whether x is infinite and negative, elementwise."""
    return _tensor(x) == -math.inf


def isreal(x) -> Tensor:
    """Whether x has no imaginary part: true everywhere, tensors are real."""
    return from_array(np.ones(x.shape, bool))


def real(x) -> Tensor:
    """The real part: x itself, tensors are real."""
    return x


def conj(x) -> Tensor:
    """The complex conjugate: x itself, tensors are real."""
    return x


def conj_physical(x) -> Tensor:
    """The complex conjugate as a copy."""
    return clone(x)


def angle(x) -> Tensor:
    """pi where x is negative, 0 elsewhere, NaN where x is NaN."""
    x = _as_floats(x)
    return where(isnan(x), x, where(x < 0, math.pi, 0 * where(isnan(x) | (x.abs() == math.inf), 1.0, x)))


def imag(x):
    """Tensors are real.

    Raises:
        RuntimeError: always, as in PyTorch.
    """
    raise RuntimeError(f"imag() takes complex tensors, this one is {x.dtype}")


# Angles


def deg2rad(x) -> Tensor:
    """Degrees as radians."""
    return _as_floats(x) * (math.pi / 180)


def rad2deg(x) -> Tensor:
    """Radians as degrees."""
    return _as_floats(x) * (180 / math.pi)


# Rounding


def frac(x) -> Tensor:
    """x without its whole part."""
    return x - trunc(x)


def nan_to_num(x, nan=0.0, posinf=None, neginf=None) -> Tensor:
    """NaN and the infinities replaced, by default by 0 and the largest numbers of the dtype; they get no gradient."""
    if not x.dtype.is_floating_point:
        return clone(x)
    largest = float(np.finfo(x.dtype.numpy).max)
    x = where(isnan(x), 0.0 if nan is None else float(nan), x)
    x = where(x == math.inf, largest if posinf is None else float(posinf), x)
    return where(x == -math.inf, -largest if neginf is None else float(neginf), x)


def fmax(x, other) -> Tensor:
    """The larger of x and other, or the one that is not NaN; a tie gives its gradient to x."""
    return where((x >= other) | isnan(other), x, other)


def fmin(x, other) -> Tensor:
    """The smaller of x and other, or the one that is not NaN; a tie gives its gradient to x."""
    return where((x <= other) | isnan(other), x, other)


def isclose(x, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> Tensor:
    """Whether x and other agree to within ``atol + rtol * |other|``, elementwise: a bool tensor.

    Raises:
        RuntimeError: for a negative tolerance.
    """
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose() needs tolerances of at least 0, got rtol={rtol} and atol={atol}")
    x, other = _tensor(x).detach(), _tensor(other).detach()
    both_infinite = x == other
    near = (x - other).abs() <= atol + rtol * other.abs()
    near = (near & (other.abs() != math.inf)) | both_infinite
    return near | (isnan(x) & isnan(other)) if equal_nan else near


# Whole numbers and bits: no derivatives, NumPy's work


def _whole(name, ufunc, doc):
    def function(x, other):
        operands = [t if is_number(t) else _tensor(t) for t in (x, other)]
        if result_dtype(operands).is_floating_point:
            given = ", ".join(str(getattr(t, "dtype", t)) for t in operands)
            raise RuntimeError(f"{name}() takes integers or bools, got {given}")
        return noted(name, lambda *xs: from_array(ufunc(*plain(xs))), *operands)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


bitwise_and = _whole("and", np.bitwise_and, "The bits that both have, elementwise.")
bitwise_or = _whole("or", np.bitwise_or, "The bits that either has, elementwise.")
bitwise_xor = _whole("xor", np.bitwise_xor, "The bits that exactly one has, elementwise.")
bitwise_left_shift = _whole("left_shift", np.left_shift, "The bits of x moved up by other places, elementwise.")
bitwise_right_shift = _whole("right_shift", np.right_shift, "The bits of x moved down by other places, elementwise.")
gcd = _whole("gcd", np.gcd, "The greatest common divisor, elementwise.")
lcm = _whole("lcm", np.lcm, "The least common multiple, elementwise.")


def bitwise_not(x) -> Tensor:
    """The other bits, elementwise; of bools: whether x is false."""
    return ~x


def nextafter(x, other) -> Tensor:
    """The next number after x towards other; its derivative is that of x."""
    x = _tensor(x)
    step = from_array(np.nextafter(*plain((x, other)))) - x.detach()
    return x + where(step == step, step, 0.0)


class Frexp(tuple):
    """What ``frexp`` gives: ``mantissa`` and ``exponent``."""

    __slots__ = ()
    mantissa = property(lambda self: self[0])
    exponent = property(lambda self: self[1])


def frexp(x) -> Frexp:
    """(mantissa, exponent) with ``x = mantissa * 2**exponent``, the size of the mantissa from 0.5 up to but without 1."""
    exponent = from_array(np.frexp(x.detach()._array())[1])
    return Frexp((x * FUNCTIONS["exp2"](-exponent.to(x.dtype)), exponent))


def clip(x, min=None, max=None) -> Tensor:
    """``clamp`` under NumPy's name."""
    return clamp(x, min, max)


def condition(x) -> Tensor:
    """A bool tensor: x, or whether it is not 0."""
    return as_condition(x) if not isinstance(x, Tensor) or x.dtype is dtypes.bool_ else x != 0


ALIASES = {
    "true_divide": div, "divide": div, "multiply": mul, "subtract": sub, "floor_divide": floor_divide, "fix": trunc,
    "negative": FUNCTIONS["neg"], "absolute": FUNCTIONS["abs"], "sgn": FUNCTIONS["sign"],
    "resolve_conj": conj, "resolve_neg": conj,
    **{f"arc{name[1:]}": FUNCTIONS[name] for name in "asin acos atan atan2 asinh acosh atanh".split()},
    "greater": COMPARISONS["gt"], "greater_equal": COMPARISONS["ge"], "less": COMPARISONS["lt"],
    "less_equal": COMPARISONS["le"], "not_equal": COMPARISONS["ne"],
}
METHODS = """rsub lerp addcmul addcdiv logaddexp2 float_power ldexp positive signbit copysign heaviside isposinf isneginf
    isreal conj conj_physical angle deg2rad rad2deg frac nan_to_num fmax fmin isclose bitwise_and bitwise_or bitwise_xor
    bitwise_left_shift bitwise_right_shift bitwise_not gcd lcm nextafter frexp clip""".split()
FUNCTIONS_ONLY = "real imag".split()
