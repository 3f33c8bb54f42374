"""Programs as newcomers structure them: classes, dicts, closures, settings, other libraries; in every way in that applies."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.optimize
from every_way import every_way, plain, slopes
from numba import njit

import tapejit as tj
from tapejit import nopython

rng = np.random.default_rng(1)


class Oscillator:
    scale = 2.0

    def __init__(self, omega):
        self.omega = omega
        self.settings = {"damping": 0.1}

    def force(self, x):
        return -(self.omega**2) * x * self.settings["damping"]

    def energy(self, x):
        return (self.force(x) * x).sum() * self.scale

    @tj.value_and_grad
    def slope(self, x):
        return self.energy(x)


def test_classes_with_methods():
    o = Oscillator(3.0)
    x = np.array([1.0, 2.0])
    g = tj.value_and_grad(o.energy)
    for _ in range(3):
        assert g(x)[0] == pytest.approx(-9.0)
        np.testing.assert_allclose(g(x)[1], -3.6 * x)
        np.testing.assert_allclose(o.slope(x)[1], -3.6 * x)
    o.settings["damping"] = 0.2
    np.testing.assert_allclose(g(x)[1], -7.2 * x)
    o.omega = 1.0
    np.testing.assert_allclose(g(x)[1], -0.8 * x)
    np.testing.assert_allclose(o.slope(x)[1], -0.8 * x)
    Oscillator.scale = 4.0
    try:
        np.testing.assert_allclose(g(x)[1], -1.6 * x)
    finally:
        Oscillator.scale = 2.0
    np.testing.assert_allclose(Oscillator(1.0).slope(x)[1], -0.4 * x)


def test_dicts_of_parameters():
    x = rng.normal(size=(10, 3))

    def loss(parameters):
        hidden = tj.tanh(tj.as_tensor(x) @ parameters["w"] + parameters["b"])
        return (hidden**2).mean() + sum((p**2).sum() for p in parameters.values())

    parameters = {"w": rng.normal(size=(3, 2)), "b": np.zeros(2)}
    g = tj.value_and_grad(loss)
    for _ in range(3):
        _, gradient = g(parameters)
        assert set(gradient) == {"w", "b"}
        w, b = slopes(plain(lambda w, b: loss({"w": w, "b": b})), parameters["w"], parameters["b"])
        np.testing.assert_allclose(gradient["w"], w, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(gradient["b"], b, rtol=1e-6, atol=1e-8)
        parameters = {k: p - 0.1 * gradient[k] for k, p in parameters.items()}


def test_keyword_arguments():
    def loss(w, *, scale=1.0, power=2):
        return (scale * w**power).sum()

    g = tj.value_and_grad(loss)
    w = np.array([1.0, 2.0])
    for _ in range(3):
        np.testing.assert_allclose(g(w)[1], 2 * w)
        np.testing.assert_allclose(g(w, scale=3.0)[1], 6 * w)
        np.testing.assert_allclose(g(w, power=3)[1], 3 * w**2)


def test_closures():
    def make(data):
        weight = 1.0

        def loss(w):
            return weight * ((w - data) ** 2).sum()

        def change(value):
            nonlocal weight
            weight = value

        return loss, change

    data = np.array([1.0, 2.0])
    loss, change = make(data)
    g = tj.grad(loss)
    for _ in range(3):
        np.testing.assert_allclose(g(np.zeros(2)), -2 * data)
    data += 1
    np.testing.assert_allclose(g(np.zeros(2)), [-4.0, -6.0])
    change(10.0)
    np.testing.assert_allclose(g(np.zeros(2)), [-40.0, -60.0])


def test_float32_from_end_to_end():
    x = rng.normal(size=(8, 3)).astype(np.float32)

    def loss(w):
        return (tj.as_tensor(x) @ w).tanh().sum()

    w = rng.normal(size=3).astype(np.float32)
    t = tj.tensor(w, requires_grad=True)
    loss(t).backward()
    assert t.grad.dtype == tj.float32
    expected = ((1 - np.tanh(x @ w) ** 2)[:, None] * x).sum(0)
    np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-5, atol=1e-6)
    g = tj.value_and_grad(loss)
    for _ in range(3):
        gradient = g(w)[1]
        assert gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)

    def compiled(w):
        return np.sum(np.tanh(x @ w))

    gradient = nopython.grad(compiled)(w)
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_integers_that_count():
    """A step counter and an integer exponent; the counter does not make a recording each."""

    def loss(w, step, order):
        return ((w - 1.0) ** order).sum() / (1 + step)

    g = tj.value_and_grad(loss)
    w = np.array([2.0, 3.0])
    for step in range(50):
        value, gradient = g(w, step, 2)
        assert value == pytest.approx(5.0 / (1 + step))
        np.testing.assert_allclose(gradient, 2 * (w - 1) / (1 + step))
    np.testing.assert_allclose(g(w, 0, 3)[1], 3 * (w - 1) ** 2)
    assert g.stats()["calls"]["recorded"] <= 8


def test_integers_that_steer():
    def loss(x, n):
        total = 0.0
        for k in range(n):
            total = total + x[k] ** (k + 1)
        return total

    g = tj.grad(loss)
    x = np.array([2.0, 3.0, 5.0])
    for _ in range(3):
        for n in (1, 3, 2):
            expected = [1.0, 6.0, 75.0][:n] + [0.0] * (3 - n)
            np.testing.assert_allclose(g(x, n), expected)


def test_pandas_columns():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.1, 5.9]})

    def loss(p):
        return ((p[0] + p[1] * tj.tensor(table["x"].to_numpy()) - table["y"].to_numpy()) ** 2).sum()

    slope, offset = np.polyfit(table["x"], table["y"], 1)
    found = scipy.optimize.minimize(tj.value_and_grad(loss), np.zeros(2), jac=True)
    np.testing.assert_allclose(found.x, [offset, slope], rtol=1e-4)


def test_in_place_updates():
    def heat(u0, k):
        u = u0.clone()
        for _ in range(20):
            u[1:-1] = u[1:-1] + k * (u[2:] - 2 * u[1:-1] + u[:-2])
        return (u**2).sum()

    every_way(heat, rng.normal(size=12), 0.2)

    def loop(u0, k):
        u = u0.copy()
        for _ in range(20):
            new = u.copy()
            for i in range(1, len(u) - 1):
                new[i] = u[i] + k * (u[i + 1] - 2 * u[i] + u[i - 1])
            u = new
        return np.sum(u**2)

    u0 = rng.normal(size=12)
    value, (du, dk) = nopython.value_and_grad(loop, argnums=(0, 1))(u0, 0.2)
    assert value == pytest.approx(loop(u0, 0.2))
    reference = slopes(loop, u0, 0.2)
    np.testing.assert_allclose(du, reference[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dk, reference[1], rtol=1e-6)


def test_dataclasses_as_settings():
    @dataclasses.dataclass
    class Settings:
        ridge: float = 0.5

    settings = Settings()

    def loss(w):
        return (w**2).sum() * settings.ridge

    g = tj.grad(loss)
    for _ in range(3):
        np.testing.assert_allclose(g(np.ones(2)), [1.0, 1.0])
    settings.ridge = 2.0
    np.testing.assert_allclose(g(np.ones(2)), [4.0, 4.0])


def test_a_gradient_inside_the_users_own_njit():
    def misfit(p, x, y):
        total = 0.0
        for k in range(len(x)):
            total += (p[0] * math.exp(-p[1] * x[k]) - y[k]) ** 2
        return total

    g = nopython.value_and_grad(misfit)

    @njit
    def descend(p, x, y, steps):
        for _ in range(steps):
            _, slope = g(p, x, y)
            p = p - 0.02 * slope
        return p

    x = np.linspace(0, 2, 15)
    y = 1.5 * np.exp(-0.8 * x)
    np.testing.assert_allclose(descend(np.array([1.0, 1.0]), x, y, 5000), [1.5, 0.8], rtol=1e-6)
