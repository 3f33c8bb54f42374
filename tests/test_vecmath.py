"""vecmath against mpmath: accuracy over every binade, special values, and that loops really vectorise."""

import itertools
import math
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numba
import numpy as np
import pytest
from numba import njit

from tapejit.edge import vecmath as vm
from tapejit.edge.vecmath.processor import vector_bits

DTYPES = [np.float64, np.float32]
INF, NAN = math.inf, math.nan
PRECISION = 200


# References. Arguments are clipped where the result can no longer change, which keeps mpmath fast.
def _clip(x):
    return max(min(x, mp.mpf(10000)), mp.mpf(-10000))


def _odd(function):
    """x itself where x**3 is below any precision: mpmath would lose the leading digits there."""
    return lambda x: x if abs(x) < mp.mpf(2) ** -100 else function(x)


def _trig(function):
    def reference(x):
        with mp.workprec(1300 if abs(x) > 1e6 else PRECISION):
            return +function(x)
    return reference


def _pow(x, y):
    if abs(y * mp.log(abs(x), 2)) > 5000:
        odd = x < 0 and int(y) % 2 == 1
        return (-1 if odd else 1) * mp.mpf(2) ** (5000 * mp.sign(y * mp.log(abs(x))))
    return mp.power(x, y)


REFERENCE = {
    "exp": lambda x: mp.exp(_clip(x)),
    "exp2": lambda x: mp.mpf(2) ** _clip(x),
    "expm1": _odd(lambda x: mp.expm1(_clip(x))),
    "log": mp.log,
    "log1p": _odd(mp.log1p),
    "log2": lambda x: mp.log(x) / mp.log(2),
    "log10": mp.log10,
    "sin": _odd(_trig(mp.sin)),
    "cos": _trig(mp.cos),
    "tan": _odd(_trig(mp.tan)),
    "asin": _odd(mp.asin),
    "acos": mp.acos,
    "atan": _odd(mp.atan),
    "sinh": _odd(lambda x: mp.sinh(_clip(x))),
    "cosh": lambda x: mp.cosh(_clip(x)),
    "tanh": _odd(lambda x: mp.tanh(_clip(x))),
    "asinh": _odd(mp.asinh),
    "acosh": mp.acosh,
    "atanh": _odd(mp.atanh),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-_clip(x))),
    "softplus": lambda x: x if x > 1000 else mp.log1p(mp.exp(_clip(x))),
    "erf": lambda x: mp.erf(_clip(x)) if abs(x) > mp.mpf(2) ** -100 else 2 * x / mp.sqrt(mp.pi),
    "erfc": lambda x: mp.erfc(min(x, mp.mpf(100))),
    "pow": _pow,
    "atan2": lambda y, x: mp.atan2(y, x),
    "hypot": mp.hypot,
}
UNARY = [name for name in REFERENCE if name not in ("pow", "atan2", "hypot")]
DOMAIN = {
    "log": lambda x: x > 0, "log2": lambda x: x > 0, "log10": lambda x: x > 0, "log1p": lambda x: x > -1,
    "asin": lambda x: abs(x) <= 1, "acos": lambda x: abs(x) <= 1, "acosh": lambda x: x >= 1,
    "atanh": lambda x: abs(x) < 1,
}


# Samples.
def _format(dtype):
    """(mantissa bits, exponent of the least normal number, greatest exponent)"""
    return (52, -1022, 1023) if dtype == np.float64 else (23, -126, 127)


def _any_bits(rng, n, dtype):
    """Numbers of every binade, subnormal ones included: random bit patterns."""
    kind = np.uint64 if dtype == np.float64 else np.uint32
    x = rng.integers(0, np.iinfo(kind).max, n, dtype=kind, endpoint=True).view(dtype)
    return np.where(np.isfinite(x), x, dtype(1))


def _samples(name, dtype):
    rng = np.random.default_rng(len(name))
    mantissa, least, greatest = _format(dtype)

    def signs(n):
        return rng.choice([-1.0, 1.0], n)

    parts = [_any_bits(rng, 400, dtype).astype(np.float64)]
    parts += [rng.uniform(-scale, scale, 200) for scale in (0.5, 1, 3, 10, 40, 100, 750)]
    parts += [signs(100) + rng.uniform(-1, 1, 100) * 2.0**-e for e in (2, 6, 12, mantissa - 4)]
    parts += [signs(200) * np.exp2(rng.uniform(least - mantissa, least + 2, 200))]
    parts += [signs(200) * np.exp2(rng.uniform(-30, 10, 200))]
    if name in ("sin", "cos", "tan"):
        parts += [np.exp2(rng.uniform(0, greatest, 200)), rng.integers(1, 2**30, 200) * (np.pi / 2)]
        parts += [rng.integers(1, 2000, 200) * (np.pi / 2), rng.uniform(0.9, 1.1, 50) * 1e8]
    edges = [[709.78, -745.13, -708.39, 36.7, -36.7], [88.72, -103.97, -87.33, 16.6, -16.6]][dtype == np.float32]
    if name in ("exp", "expm1", "sinh", "cosh", "sigmoid", "softplus"):
        parts += [edge + rng.uniform(-1, 1, 60) for edge in edges]
    if name == "exp2":
        parts += [rng.uniform(least - mantissa - 1, least + 1, 200), rng.uniform(greatest, greatest + 1, 50)]
    if name == "erfc":
        parts += [rng.uniform(0, 27.5 if dtype == np.float64 else 10.5, 1000)]
    if name in ("log", "log2", "log10", "log1p"):
        near = signs(400) * np.exp2(rng.uniform(-mantissa, -1, 400))
        parts += [near if name == "log1p" else 1 + near]
    if name == "atanh":
        parts += [signs(400) * (1 - np.exp2(rng.uniform(-mantissa - 1, 0, 400)))]
    if name == "acosh":
        parts += [1 + np.exp2(rng.uniform(-mantissa, 4, 600))]
    with np.errstate(over="ignore"):
        x = np.concatenate(parts).astype(dtype)
    return x[np.isfinite(x) & DOMAIN.get(name, np.isfinite)(x)]


def _sample_pairs(name, dtype):
    rng = np.random.default_rng(5)
    mantissa, least, greatest = _format(dtype)
    with np.errstate(all="ignore"):
        pairs = [(_any_bits(rng, 500, dtype), _any_bits(rng, 500, dtype))]
        pairs += [(rng.uniform(-s, s, 300), rng.uniform(-s, s, 300)) for s in (1, 10, 1000)]
        if name == "pow":  # results from the least subnormal number to overflow, from bases near and far from 1
            bases = [np.abs(_any_bits(rng, 800, dtype)).astype(np.float64)]
            bases += [(1 + rng.uniform(-1, 1, 300) * 2.0**-e).astype(dtype).astype(np.float64) for e in (1, 3, 7, 20)]
            for x in bases:
                target = rng.uniform(least - mantissa - 1, greatest + 1, x.size)
                pairs.append((x, target / np.log2(x)))
            pairs.append((rng.uniform(-10, 10, 300), rng.integers(-40, 40, 300)))
        else:
            a = rng.choice([-1, 1], 800) * np.exp2(rng.uniform(least - mantissa, greatest, 800))
            pairs.append((a, a * rng.choice([-1, 1], 800) * np.exp2(rng.uniform(-60, 60, 800))))
        x = np.concatenate([p[0] for p in pairs]).astype(dtype)
        y = np.concatenate([p[1] for p in pairs]).astype(dtype)
        keep = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
        if name == "pow":
            keep &= (x > 0) | (np.rint(y) == y)
    return x[keep], y[keep]


def _ulps(value, exact, dtype):
    """|value - exact| in units of the last place that `exact` has in this format."""
    mantissa, least, greatest = _format(dtype)
    value = float(value)
    if math.isnan(value):
        return INF
    if math.isinf(value):  # right if `exact` rounds to infinity
        limit = mp.mpf(float(np.finfo(dtype).max)) * (1 + mp.mpf(2) ** -(mantissa + 2))
        return 0.0 if abs(exact) > limit and (exact > 0) == (value > 0) else INF
    if exact == 0:
        return 0.0 if value == 0 else INF
    exponent = min(max(mp.frexp(exact)[1] - 1, least), greatest)
    return float(abs(mp.mpf(value) - exact) / mp.mpf(2) ** (exponent - mantissa))


_LOOPS = {}


def loop(name):
    """The function as a compiled loop over arrays: what this package is for."""
    if name not in _LOOPS:
        function = getattr(vm, name)
        if name in UNARY:
            @njit
            def run(x, out):
                for i in range(x.size):
                    out[i] = function(x[i])
        else:
            @njit
            def run(x, y, out):
                for i in range(x.size):
                    out[i] = function(x[i], y[i])
        _LOOPS[name] = run
    return _LOOPS[name]


def apply(name, *arrays):
    out = np.empty_like(arrays[0])
    loop(name)(*arrays, out)
    return out


def _worst(name, dtype, arrays):
    with mp.workprec(PRECISION):
        errors = [
            _ulps(value, REFERENCE[name](*[mp.mpf(float(a)) for a in arguments]), dtype)
            for *arguments, value in zip(*arrays, apply(name, *arrays), strict=True)
        ]
    worst = int(np.argmax(errors))
    return errors[worst], [a[worst] for a in arrays]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_accuracy(name, dtype):
    error, where = _worst(name, dtype, [_samples(name, dtype)])
    assert error <= 2.0, f"{error} ulp at {where}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["pow", "atan2", "hypot"])
def test_accuracy_of_two_arguments(name, dtype):
    error, where = _worst(name, dtype, _sample_pairs(name, dtype))
    assert error <= 2.0, f"{error} ulp at {where}"


# The intervals where an error is most likely to exceed the bound: densely, against extended precision.
DENSE = {
    "exp": (np.exp, -1, 1), "expm1": (np.expm1, -1, 1.2), "log": (np.log, 0.5, 2), "log2": (np.log2, 0.5, 2),
    "log10": (np.log10, 0.5, 2), "log1p": (np.log1p, -0.5, 1), "sin": (np.sin, -7, 7), "cos": (np.cos, -7, 7),
    "tan": (np.tan, -7, 7), "asin": (np.arcsin, -1, 1), "acos": (np.arccos, -1, 1), "atan": (np.arctan, -2, 2),
    "sinh": (np.sinh, -1.2, 1.2), "cosh": (np.cosh, -3, 3), "tanh": (np.tanh, -0.7, 0.7),
    "asinh": (np.arcsinh, -1, 1), "acosh": (np.arccosh, 1, 2), "atanh": (np.arctanh, -0.999, 0.999),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -8, 8), "softplus": (lambda x: np.log1p(np.exp(x)), -4, 4),
}


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no extended precision here")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DENSE)
def test_accuracy_densely(name, dtype):
    reference, low, high = DENSE[name]
    x = np.random.default_rng(1).uniform(low, high, 200_000).astype(dtype)
    exact = reference(x.astype(np.longdouble))
    _, exponent = np.frexp(np.abs(exact))
    errors = np.abs(apply(name, x) - exact) / np.ldexp(np.longdouble(1), exponent - 1 - _format(dtype)[0])
    assert errors.max() <= 2.0, f"{errors.max()} ulp at {x[errors.argmax()]}"


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no extended precision here")
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_densely(dtype):
    rng = np.random.default_rng(2)
    least, greatest = (-1074, 1024) if dtype == np.float64 else (-149, 128)
    for spread in (2.0**-1, 2.0**-3, 2.0**-4, 2.0**-5, 2.0**-8, 2.0**-14):  # bases around 1, where the exponent is largest
        x = (1 + rng.uniform(-spread, spread, 50_000)).astype(dtype)
        x = x[x != 1]
        y = (rng.uniform(least, greatest, x.size) / np.log2(x.astype(np.float64))).astype(dtype)
        with np.errstate(over="ignore", under="ignore"):
            exact = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
        keep = exact < np.finfo(dtype).max
        exponent = np.maximum(np.frexp(exact)[1] - 1, _format(dtype)[1])
        errors = np.abs(apply("pow", x, y) - exact) / np.ldexp(np.longdouble(1), exponent - _format(dtype)[0])
        worst = np.argmax(np.where(keep, errors, 0))
        assert errors[worst] <= 2.0, f"{errors[worst]} ulp at {x[worst]}, {y[worst]}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["log", "log2", "log10", "sin", "cos", "tan", "pow"])
def test_rare_arguments_leave_their_neighbours_alone(name, dtype):
    """A vector with rare lanes gives in every lane, to the bit, what that argument gives on its own."""
    rng = np.random.default_rng(3)
    tiny = np.finfo(dtype).tiny
    rare = np.array([0.0, -0.0, INF, -INF, NAN, -1.5, tiny / 4, tiny, -tiny / 4, 1e30, np.finfo(dtype).max, 1.0], dtype)
    x = rng.uniform(0.1, 10, 4099).astype(dtype)
    x[::5] = rng.choice(rare, x[::5].size)
    arrays = [x]
    if name == "pow":
        y = rng.uniform(-10, 10, x.size).astype(dtype)
        y[::7] = rng.choice(np.array([0.0, 3.0, -2.0, INF, -INF, NAN, 1e4, -1e4], dtype), y[::7].size)
        arrays.append(y)
    together = apply(name, *arrays)
    alone = np.array([apply(name, *[a[i:i + 1] for a in arrays])[0] for i in range(x.size)])
    np.testing.assert_array_equal(np.signbit(together[~np.isnan(together)]), np.signbit(alone[~np.isnan(alone)]))
    np.testing.assert_array_equal(together, alone)


def test_a_loop_of_several_functions_vectorises():
    @njit
    def run(x, y, out):
        for i in range(x.size):
            out[i] = vm.exp(x[i]) + vm.log(y[i]) * vm.pow(y[i], x[i]) + vm.sin(x[i]) + vm.tan(y[i])

    x, y = np.random.default_rng(0).uniform(0.1, 2, (2, 1001))
    out = np.empty_like(x)
    run(x, y, out)
    np.testing.assert_allclose(out, np.exp(x) + np.log(y) * y**x + np.sin(x) + np.tan(y), rtol=1e-14, atol=1e-14)
    text = next(iter(run.inspect_llvm().values()))
    assert re.search(r"call[^\n]*_pow\.f64\.\w+\.x\d", text)
    assert re.search(r"call[^\n]*_natural\.f64\.\w+\.x\d", text)


def test_both_types_in_one_function():
    @njit
    def run(x, y):
        return vm.log(x), vm.log2(x), vm.pow(x, x), vm.log(y), vm.log2(y), vm.pow(y, y)

    x = 2.7
    expected = [math.log(x), math.log2(x), x**x]
    result = run(x, np.float32(x))
    np.testing.assert_allclose(result[:3], expected, rtol=1e-15)
    np.testing.assert_allclose(result[3:], expected, rtol=3e-7)


# Special values, C99 annex F. Equality includes the sign of zero; None stands for "anything but NaN and infinity".
SPECIAL = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e4, INF), (-1e4, 0.0)],
    "exp2": [(0.0, 1.0), (INF, INF), (-INF, 0.0), (1e4, INF), (-1e4, 0.0), (10.0, 1024.0), (-3.0, 0.125)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (1e4, INF), (-1e4, -1.0)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (INF, INF), (-2.0, NAN), (-INF, NAN)],
    "log2": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (8.0, 3.0), (0.25, -2.0)],
    "log10": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1.5, NAN), (-INF, NAN)],
    "acos": [(1.0, 0.0), (1.5, NAN), (-1.5, NAN), (INF, NAN)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), (INF, math.pi / 2), (-INF, -math.pi / 2)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (1e4, INF), (-1e4, -INF)],
    "cosh": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, INF), (1e4, INF)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e4, 1.0)],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF)],
    "acosh": [(1.0, 0.0), (INF, INF), (0.5, NAN), (-INF, NAN)],
    "atanh": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (INF, NAN)],
    "sigmoid": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0)],
    "softplus": [(INF, INF), (-INF, 0.0), (1e4, 1e4), (-1e4, 0.0)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (10.0, 1.0)],
    "erfc": [(0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 2.0), (-10.0, 2.0), (30.0, 0.0)],
}


def _same(value, expected, dtype):
    expected = dtype(expected)
    return (np.isnan(value) and np.isnan(expected)) or (value == expected and np.signbit(value) == np.signbit(expected))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name, dtype):
    arguments, expected = zip(*SPECIAL[name], (NAN, NAN), strict=True)
    for n in (1, 40):  # alone, and in every lane of a vector
        for argument, value in zip(arguments, expected, strict=True):
            for result in apply(name, np.full(n, argument, dtype)):
                assert _same(result, value, dtype), f"{name}({argument}) = {result}, not {value}"


def _pow_c99(x, y):
    """F.9.4.4, by the letter, for the cases where a rule applies; None elsewhere."""
    odd = math.isfinite(y) and y == int(y) and int(y) % 2 == 1
    integer = math.isinf(y) or (math.isfinite(y) and y == int(y))
    size = abs(x)
    if y == 0 or x == 1 or (x == -1 and math.isinf(y)):
        return 1.0
    if math.isnan(x) or math.isnan(y) or (math.isfinite(x) and x < 0 and not integer):
        return NAN
    if x == 0 or math.isinf(x):
        result = 0.0 if (x == 0) == (y > 0) else INF
        return math.copysign(result, x) if odd else result
    if math.isinf(y):
        return INF if (size > 1) == (y > 0) else 0.0
    return None


@pytest.mark.parametrize("dtype", DTYPES)
def test_pow_special_values(dtype):
    numbers = [0.0, 1.0, 0.5, 1.5, 2.0, 2.5, 3.0, 1e30, 2.0**24 - 1, 2.0**24, 2.0**53 - 1, 2.0**53, 2e-38, 1e-44, INF]
    numbers = np.array([sign * v for v in numbers for sign in (1, -1)] + [NAN], dtype)
    x, y = np.array(list(itertools.product(numbers, numbers)), dtype).T.copy()
    for a, b, result in zip(x, y, apply("pow", x, y), strict=True):
        expected = _pow_c99(float(a), float(b))
        if expected is not None:
            assert _same(result, expected, dtype), f"pow({a}, {b}) = {result}, not {expected}"
    assert apply("pow", *np.array([[3.0], [4.0]], dtype)) == 81
    assert apply("pow", *np.array([[-2.0], [3.0]], dtype)) == -8


@pytest.mark.parametrize("dtype", DTYPES)
def test_atan2_and_hypot_special_values(dtype):
    numbers = np.array([0.0, -0.0, 1.0, -1.0, INF, -INF, NAN], dtype)
    y, x = np.array(list(itertools.product(numbers, numbers)), dtype).T.copy()
    for a, b, angle, length in zip(y, x, apply("atan2", y, x), apply("hypot", y, x), strict=True):
        np.testing.assert_allclose(angle, math.atan2(a, b), rtol=3 * np.finfo(dtype).eps)
        assert np.isnan(angle) or np.signbit(angle) == (math.copysign(1, math.atan2(a, b)) < 0)
        np.testing.assert_allclose(length, math.hypot(a, b), rtol=3 * np.finfo(dtype).eps)


def test_hard_arguments_of_the_trigonometric_functions():
    x = np.array([5.319372648326541e255, 6381956970095103 * 2.0**797, 1e22, 1e300, 1.7976931348623157e308])
    for name in ("sin", "cos", "tan"):
        error, where = _worst(name, np.float64, [np.concatenate([x, -x])])
        assert error <= 2.0, (name, where)


def test_one_large_argument_among_small_ones():
    x = np.linspace(-3, 3, 100)
    x[37] = 1e200
    np.testing.assert_allclose(apply("sin", x), np.sin(x), rtol=1e-15, atol=1e-16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REFERENCE)
def test_loops_vectorise(name, dtype):
    kind = numba.from_dtype(np.dtype(dtype))[::1]
    signature = (kind,) * (2 if name in UNARY else 3)
    run = loop(name)
    run.compile(signature)
    # Packed arithmetic of any width and encoding; in `pow` and `hypot` single precision works in double.
    packed = re.findall(r"\sv?(?:mul|f[n]?m(?:add|sub)\d*)p[sd]\s", run.inspect_asm(signature))
    assert len(packed) >= 2


def test_types():
    assert isinstance(vm.exp(np.float64(1)), float)

    @njit
    def both(x, n):
        return vm.exp(x), vm.exp(n), vm.pow(x, x), vm.pow(x, n), vm.select(x > n, x, x)

    both(np.float32(2), 3)
    kinds = both.nopython_signatures[0].return_type.types
    assert [str(k) for k in kinds] == ["float32", "float64", "float32", "float64", "float32"]
    assert both(np.float32(2), 3)[3] == 8.0
    assert vm.exp(0) == 1.0
    with pytest.raises(numba.TypingError):
        vm.exp(1j)


def test_fastmath_of_the_caller_does_not_break_the_formulas():
    @njit(fastmath=True)
    def run(x, out):
        for i in range(x.size):
            out[i] = vm.exp(x[i]) + vm.sin(x[i]) + vm.log1p(x[i]) + vm.tanh(x[i])

    x = np.linspace(0, 20, 1000)
    out = np.empty_like(x)
    run(x, out)
    np.testing.assert_allclose(out, np.exp(x) + np.sin(x) + np.log1p(x) + np.tanh(x), rtol=1e-15)


def _python(code, **environment):
    root = str(Path(vm.__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root, **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout


# Feature lists of other processors: none of the extensions, and AVX2 without AVX-512.
_PROCESSORS = {
    "generic": "",
    "haswell": "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse3,+sse4.1,+sse4.2,+ssse3",
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these processors are x86")
@pytest.mark.parametrize("processor", _PROCESSORS)
def test_other_processors(processor):
    if processor == "haswell" and vector_bits() < 256:
        pytest.skip("no AVX2 here")
    code = """
import numpy as np
from numba import njit
from tapejit.edge import vecmath as vm

@njit
def run(x, y, out):
    for i in range(x.size):
        out[0, i] = vm.exp(x[i])
        out[1, i] = vm.log(y[i])
        out[2, i] = vm.sin(x[i])
        out[3, i] = vm.tanh(x[i])
        out[4, i] = vm.pow(y[i], x[i])
        out[5, i] = vm.log2(y[i])
        out[6, i] = vm.log10(y[i])
        out[7, i] = vm.tan(x[i])

L = np.longdouble
for dtype in (np.float64, np.float32):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-80, 80, 20000).astype(dtype), rng.uniform(0.4, 2.5, 20000).astype(dtype)
    out = np.empty((8, x.size), dtype)
    run(x, y, out)
    a, b = x.astype(L), y.astype(L)
    first = [np.exp(a), np.log(b), np.sin(a), np.tanh(a), np.power(b, a)]
    for row, exact in zip(out, [*first, np.log2(b), np.log10(b), np.tan(a)]):
        print(float(np.max(np.abs(row - exact) / np.spacing(np.abs(exact).astype(dtype)))))
"""
    environment = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": _PROCESSORS[processor]}
    errors = [float(line) for line in _python(code, **environment).split()]
    assert len(errors) == 16
    assert max(errors) <= 2.0


def test_callers_may_be_cached_on_disk(tmp_path):
    (tmp_path / "cached_caller.py").write_text("""
from numba import njit
from tapejit.edge import vecmath as vm

@njit(cache=True)
def run(x):
    for i in range(x.size):
        x[i] = vm.sin(x[i]) + vm.exp(x[i])
    return x
""")
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from cached_caller import run
print(run(np.array([1.0, 2.0, 3.0, 1e300] * 4)).sum(), sum(run.stats.cache_hits.values()))
"""
    cache = str(tmp_path / "cache")
    first, hits = _python(code, NUMBA_CACHE_DIR=cache).split()
    second, hits_again = _python(code, NUMBA_CACHE_DIR=cache).split()
    assert (first, int(hits), int(hits_again)) == (second, 0, 1)


def test_import_compiles_nothing():
    code = """
import numba.core.compiler as c
def refuse(*a, **k):
    raise SystemExit("compiled at import")
c.compile_extra = refuse
import importlib.util, sys
from tapejit.edge import vecmath
print("fine")
"""
    assert _python(code).strip() == "fine"
