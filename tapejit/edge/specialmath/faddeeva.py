"""Faddeeva's function w(z) = exp(-z * z) erfc(-i z) and its derivatives, real and imaginary part (DLMF 7.2, 7.12).

The value is SciPy's. In w' = -2 z w + 2 i / sqrt(pi) and w^(k + 2) = -2 z w^(k + 1) - 2 (k + 1) w^(k) the terms cancel where z
is large: there the asymptotic series is differentiated instead.
"""

import functools
import importlib
import math

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import types
from numba.extending import get_cython_function_address, intrinsic

from tapejit.edge.jit import inner

_SYMBOL = "tapejit_wofz"
_INV_SQRT_PI = 1.0 / math.sqrt(math.pi)
_FAR = 50.0  # of abs(z) ** 2: the smallest term of the series is exp(-50)
_DOUBLE, _INT = ir.DoubleType(), ir.IntType(32)


@functools.cache
def link() -> None:
    """Make SciPy's function known to the process.

    Raises:
        ImportError: if SciPy has it not, or in another form.
    """
    module = "scipy.special.cython_special"
    capsules = importlib.import_module(module).__pyx_capi__
    name = next((n for n in ("wofz", "__pyx_fuse_0wofz") if n in capsules), None)
    if name is None or str(capsules[name]).count("__pyx_t_double_complex") != 2:
        raise ImportError("SciPy has no compiled function wofz(double complex); tapejit needs SciPy 1.12 or later")
    llvm.add_symbol(_SYMBOL, get_cython_function_address(module, name))


@intrinsic
def _wofz(typingctx, x, y):
    """(real, imaginary part) of w(x + i y): a C function of a complex number, which is two doubles in registers."""

    def emit(context, builder, signature, args):
        kind = ir.FunctionType(ir.LiteralStructType([_DOUBLE, _DOUBLE]), [_DOUBLE, _DOUBLE, _INT])
        function = builder.module.globals.get(_SYMBOL) or ir.Function(builder.module, kind, _SYMBOL)
        found = builder.call(function, [*args, _INT(0)])
        parts = [builder.extract_value(found, k) for k in (0, 1)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(types.float64, 2)(types.float64, types.float64), emit


@inner
def _series(n, z):
    """The n-th derivative by the asymptotic series of z in the upper half plane."""
    inverse = 1.0 / z
    term = 1j * _INV_SQRT_PI * inverse
    for k in range(1, n + 1):
        term = -term * k * inverse
    total, square = term, 0.5 * inverse * inverse
    size = abs(term)
    for k in range(1, 200):
        # c_k / c_(k-1) = (2k - 1) / 2, and the product (2k + 1) ... (2k + n) over the one before
        term = term * (2 * k - 1) * square * ((2.0 * k + n) * (2.0 * k - 1.0 + n)) / ((2.0 * k) * (2.0 * k - 1.0))
        if abs(term) >= size:
            break
        size = abs(term)
        total += term
        if size <= 1e-17 * abs(total):
            break
    return total


@inner
def _gaussian(n, z):
    """The n-th derivative of exp(-z * z)."""
    before, now = 0j, 1.0 + 0j
    for k in range(n):
        before, now = now, -2.0 * z * now - 2.0 * k * before
    return now * complex(math.exp(z.imag * z.imag - z.real * z.real)) * complex(
        math.cos(2.0 * z.real * z.imag), -math.sin(2.0 * z.real * z.imag)
    )


@inner
def _derivative(n, x, y):
    """The n-th derivative of w at z = x + i y."""
    z = complex(x, y)
    parts = _wofz(x, y)
    now = complex(parts[0], parts[1])
    if n == 0 or math.isnan(now.real) or math.isnan(now.imag):
        return now
    if math.isinf(x) or math.isinf(y):
        return complex(0.0, 0.0) if y >= 0.0 else complex(math.nan, math.nan)
    if x * x + y * y > _FAR:
        if y < 0.0:  # w(z) = 2 exp(-z z) - w(-z)
            sign = -1.0 if n % 2 == 0 else 1.0
            return 2.0 * _gaussian(n, z) + sign * _series(n, -z)
        return _series(n, z) + _gaussian(n, z) if y < 0.1 else _series(n, z)  # all of the real part where y is 0
    before = now
    now = -2.0 * z * before + complex(0.0, 2.0 * _INV_SQRT_PI)
    for k in range(n - 1):
        before, now = now, -2.0 * z * now - 2.0 * (k + 1) * before
    return now


def wofz_real(n, x, y, _):
    """The real part of the n-th derivative of w at x + i y; n is a whole number."""
    return _derivative(int(n), x, y).real


def wofz_imag(n, x, y, _):
    """The imaginary part."""
    return _derivative(int(n), x, y).imag


wofz_real.link = wofz_imag.link = link
