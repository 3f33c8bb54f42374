"""What newcomers pass and write: integers, lists, casts, states that begin as constants; aux, names, pickles."""

import pickle

import numpy as np
import pytest
from numba import float32, njit

from tapejit import nopython


def cube(x):
    return x**3


@pytest.mark.parametrize("mode", ["auto", "tape", "dual"])
def test_integers_count_as_floats(mode):
    value, slope = nopython.value_and_grad(cube, mode=mode)(2)
    assert (value, slope) == (8.0, 12.0)
    assert isinstance(slope, float)
    assert nopython.grad(lambda p: p[0] * p[1] ** 2, mode=mode)((2, 3.0)) == (9.0, 12.0)


def test_lists_count_as_arrays():
    def f(x, y):
        s = 0.0
        for k in range(len(x)):
            s += x[k] * x[k] * y
        return s

    g = nopython.value_and_grad(f, argnums=(0, 1))
    for given in ([1.0, 2.0], [1, 2]):
        value, (dx, dy) = g(given, 3)
        assert (value, dy) == (15.0, 5.0)
        assert dx.tolist() == [6.0, 12.0]
    out = np.zeros(2)
    assert nopython.grad(f).into([1.0, 2.0], 3.0, out) == 15.0
    assert out.tolist() == [6.0, 12.0]


def test_aux():
    def f(x):
        y = x * x
        return np.sum(y), (y, y[0] > 1.0, 2 * x[0])

    x = np.array([1.0, 2.0])
    (value, (y, large, double)), gradient = nopython.value_and_grad(f, has_aux=True)(x)
    assert (value, large, double) == (5.0, False, 2.0)
    assert y.tolist() == [1.0, 4.0]
    assert gradient.tolist() == [2.0, 4.0]
    gradient, (y, _, _) = nopython.grad(f, has_aux=True)(x)
    assert (gradient.tolist(), y.tolist()) == ([2.0, 4.0], [1.0, 4.0])
    with pytest.raises(ValueError, match="has_aux"):
        nopython.grad(f, mode="dual", has_aux=True)


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_casts_and_linspace(mode):
    def f(x):
        grid = np.linspace(x[0], 2.0, 5)
        return (
            np.float64(x[1]) * float32(x[0]) + np.float32(2.0) * grid[1] + np.sum(np.linspace(0.0, x[1], 3))
        )

    value, gradient = nopython.value_and_grad(f, mode=mode)(np.array([1.0, 3.0]))
    assert value == pytest.approx(3.0 + 2.5 + 4.5)
    assert gradient == pytest.approx([3.0 + 1.5, 1.0 + 1.5])


def test_a_state_that_begins_as_a_constant_array():
    def kalman(x):
        p = np.eye(2) * 10.0
        for _ in range(3):
            p = p * x[0] + x[1] * np.eye(2)
        return p[0, 0] + p[0, 1]

    value, gradient = nopython.value_and_grad(kalman)(np.array([0.5, 2.0]))
    assert value == pytest.approx(1.25 + 2.0 * 1.75)
    assert gradient == pytest.approx([7.5 + 2.0 * 2.0, 1.75])


@pytest.mark.parametrize(
    "transform", [nopython.value_and_grad, nopython.grad, nopython.jvp, nopython.hessian]
)
def test_transforms_are_pickled(transform):
    again = pickle.loads(pickle.dumps(transform(cube)))
    extra = (1.0,) if transform is nopython.jvp else ()
    assert again(2.0, *extra) == transform(cube)(2.0, *extra)


def test_forms_and_options_are_pickled():
    g = pickle.loads(pickle.dumps(nopython.value_and_grad(cube, mode="tape").into))
    out = np.zeros(1)
    assert g(2.0, out) == 8.0
    assert out[0] == 12.0


def test_a_rule_is_counted():
    @njit
    def area(a, b):
        return a * b

    @nopython.rule(area)
    def partials(a, b):
        return b, a, 1.0

    with pytest.raises(nopython.DifferentiationError, match="3 for 2"):
        nopython.grad(lambda x: area(x, 2.0))(1.0)


def sir(p):
    s, i, r = 0.99, 0.01, 0.0
    peak = 0.0
    for _ in range(100):
        new, gone = p[0] * s * i, p[1] * i
        s, i, r = s - 0.1 * new, i + 0.1 * (new - gone), r + 0.1 * gone
        peak = max(peak, i)
    return peak + r


RETURNS = np.sin(np.arange(50.0)) * 0.02


def ewma(p):
    variance = np.empty(len(RETURNS))
    variance[0] = p[1]
    for t in range(1, len(RETURNS)):
        variance[t] = p[0] * variance[t - 1] + (1.0 - p[0]) * RETURNS[t - 1] ** 2
    return np.sum(np.log(variance) + RETURNS**2 / variance)


def wealth_path(p):
    wealth = np.ones(51)
    peak, drawdown = 1.0, 0.0
    for t in range(50):
        wealth[t + 1] = wealth[t] * (1.0 + p[0] * RETURNS[t] + (1.0 - p[0]) * p[1])
        peak = max(peak, wealth[t + 1])
        drawdown = max(drawdown, 1.0 - wealth[t + 1] / peak)
    return np.log(wealth[-1]) - 0.5 * drawdown + np.std(wealth)


@pytest.mark.parametrize(("f", "p"), [(sir, (1.3, 0.4)), (ewma, (0.9, 2e-4)), (wealth_path, (0.6, 1e-3))])
def test_models_in_reverse_mode(f, p):
    p = np.array(p)
    value, gradient = nopython.value_and_grad(f, mode="tape")(p)
    assert value == pytest.approx(f(p), rel=1e-12)
    for k in range(2):
        h = 1e-6 * p[k] * np.eye(2)[k]
        slope = (f(p + h) - f(p - h)) / (2e-6 * p[k])
        assert gradient[k] == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("given", ["C", "F", "strided"])
def test_arrays_in_every_order_of_memory(given, kind):
    def f(x):
        s = 0.0
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                for k in range(x.shape[2]):
                    s += (i + 2.0 * j + 5.0 * k) * x[i, j, k] ** 2
        return s

    base = np.arange(60.0).reshape(3, 4, 5).astype(kind)
    x = {"C": base, "F": np.asfortranarray(base), "strided": np.repeat(base, 2, axis=1)[:, ::2]}[given]
    i, j, k = np.indices(x.shape)
    expected = (2.0 * (i + 2.0 * j + 5.0 * k) * base).astype(kind)
    g = nopython.value_and_grad(f)
    assert np.array_equal(g(x)[1], expected)
    for out in (np.empty_like(base), np.empty(base.shape[::-1], kind).T):
        g.into(x, out)
        assert np.array_equal(out, expected)
    np.testing.assert_allclose(nopython.hvp(f)(x, x), expected, rtol=1e-6)
