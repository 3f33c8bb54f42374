"""Functions of integers in recorded functions: the bits that NumPy gives, by zero and where they wrap around, too."""

import warnings

import numpy as np
import pytest

import tapejit as tj

TYPES = [np.int64, np.int32, np.int16, np.int8, np.uint8]
UNARY = {
    "abs": tj.abs, "neg": lambda x: -x, "sign": tj.sign, "square": tj.square, "floor": tj.floor, "ceil": tj.ceil,
    "trunc": tj.trunc, "round": tj.round, "invert": lambda x: ~x, "clamp": lambda x: x.clamp(3, 9),
    "clamp_min": lambda x: x.clamp(min=2), "clamp_max": lambda x: x.clamp(max=2), "cube": lambda x: x**3,
    "to the power of 0": lambda x: x**0, "to the power of 7": lambda x: x**7, "by 3": lambda x: x // 3,
    "modulo 3": lambda x: x % 3, "modulo by methods": lambda x: tj.fmod(x, 5),
}  # fmt: skip
BINARY = {
    "floor_divide": lambda x, y: x // y, "remainder": lambda x, y: x % y, "fmod": tj.fmod,
    "truncdiv": lambda x, y: tj.div(x, y, rounding_mode="trunc"), "maximum": tj.maximum, "minimum": tj.minimum,
    "left_shift": lambda x, y: tj.bitwise_left_shift(x, y), "right_shift": lambda x, y: tj.bitwise_right_shift(x, y),
    "broadcast": lambda x, y: x[:, None] // y[:3],
}  # fmt: skip


def numbers(dtype):
    """All small ones, both ends and some between, and each with each."""
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    some = np.array([*range(max(least, -4), 5), 63, 64, 65, 100, least, least + 1, most, most - 1, most // 3])
    x, y = np.meshgrid(some.astype(dtype), some.astype(dtype))
    return x.ravel(), y.ravel()


def compare(f, *arrays):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of divisions by zero and of what wraps around
        want = f(*map(tj.tensor, arrays)).numpy()
        g = tj.jit(f, compile="now")
        first, second = g(*arrays), g(*arrays)
    assert g.compiled
    for found in first, second:
        assert np.asarray(found).dtype == want.dtype
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_integer(name, dtype):
    compare(UNARY[name], numbers(dtype)[0])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_integers(name, dtype):
    compare(BINARY[name], *numbers(dtype))


def test_integers_of_two_types_are_promoted():
    x, y = np.arange(-9, 9, dtype=np.int32), np.arange(1, 19, dtype=np.int64)
    compare(lambda x, y: x // y + tj.maximum(x, y) % 5, x, y)


def test_no_elements_and_no_dimensions():
    compare(lambda x: x // 2 % 3, np.zeros(0, np.int64))
    compare(lambda x: x // 2 % 3, np.array(-7))


def test_places_that_depend_on_the_argument():
    """A spline's interval: found, clamped to those there are, and the coefficients gathered from there."""
    knots, c = np.linspace(0.0, 1.0, 9), np.random.default_rng(0).standard_normal((8, 3))

    def f(x):
        k = (tj.searchsorted(tj.tensor(knots), x) - 1).clamp(0, 7)
        t = x - tj.tensor(knots)[k]
        a = tj.tensor(c)[k]
        return (a[:, 0] + t * (a[:, 1] + t * a[:, 2])).sum()

    g = tj.value_and_grad(f, compile="now")
    for seed in range(4):
        x = np.random.default_rng(seed).uniform(-0.2, 1.2, 30)
        value, gradient = g(x)
        t = tj.tensor(x, requires_grad=True)
        f(t).backward()
        np.testing.assert_allclose(value, float(f(t).detach()), rtol=1e-11)
        np.testing.assert_allclose(gradient, t.grad, rtol=1e-11)
    assert g.compiled
    per_example = tj.vmap(tj.grad(lambda x: f(tj.stack([x, 1 - x]))), compile="now")
    x = np.random.default_rng(9).uniform(-0.2, 1.2, 20)
    want = [tj.grad(lambda x: f(tj.stack([x, 1 - x])))(v) for v in x.tolist()]
    np.testing.assert_allclose(per_example(x), want, rtol=1e-12)


def test_a_power_with_an_exponent_that_varies_runs_eagerly():
    g = tj.jit(lambda x, n: x**n, compile="now")
    with pytest.warns(UserWarning, match="a power of i8 whose exponent is not a constant from 0 to 64"):
        np.testing.assert_array_equal(g(np.array([2, 3]), np.array([5, 2])), [32, 9])
