"""Functions of numbers whose values are Numba's and whose derivatives are the table's, of numbers and of arrays."""

import math

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

import tapejit as tj
from tapejit import nopython


def everything(x):
    return (
        np.cbrt(x[0]) * math.lgamma(x[1]) * np.logaddexp(x[2], x[3])
        + math.lgamma(x[0] - 3.3) * np.logaddexp(x[0], 1.0)
        + np.sum(np.cbrt(x))
        + np.sum(np.logaddexp(x, x[0]))
        + np.sum(np.isnan(x))
        + np.sum(np.square(x))
        + np.sum(np.floor(x) * x)
        + np.sum(np.degrees(x))
        + math.gamma(x[1])
        + divmod(x[5], x[0])[1] * math.ldexp(x[3], 2)
        + math.copysign(x[0] * x[1], -x[2])
        + np.trapezoid(np.sin(x), x)
        + np.trapezoid(x * x, dx=x[2])
    )


POINT = np.array([0.7, 1.9, 2.3, 0.4, 1.1, 3.2])


def test_first_and_second_derivatives():
    g = nopython.value_and_grad(everything, mode="tape")
    value, gradient = g(POINT)
    assert value == pytest.approx(everything(POINT), rel=1e-13)
    assert gradient == pytest.approx(differences(everything, POINT), rel=1e-6)
    v = np.cos(np.arange(6.0))
    along = differences(lambda t: np.vdot(g(POINT + t[0] * v)[1], v), np.zeros(1))[0]
    assert nopython.hvp(everything)(POINT, v) @ v == pytest.approx(along, rel=1e-6)


@pytest.mark.slow
def test_dual_numbers():
    assert nopython.grad(everything, mode="dual")(POINT) == pytest.approx(
        nopython.grad(everything, mode="tape")(POINT)
    )


def in_a_loop(x):
    total = 0.0
    for k in range(x.size):
        total += np.cbrt(x[k]) * math.lgamma(x[k] + 1.0) + np.logaddexp(x[k], 0.3) * math.gamma(x[k] + 0.5)
    return total


def test_loops_of_them_are_as_numbers_one_by_one():
    x = np.linspace(0.1, 3.0, 300)
    value, gradient = nopython.value_and_grad(in_a_loop, mode="tape")(x)
    assert value == njit(in_a_loop)(x)
    assert gradient == pytest.approx(differences(in_a_loop, x), rel=1e-5, abs=1e-7)


INF = math.inf


@pytest.mark.parametrize(
    ("x", "y", "share"),
    [(-INF, -INF, 0.5), (INF, INF, 0.5), (-INF, 1.0, 0.0), (1.0, -INF, 1.0), (2.0, 2.0, 0.5)],
)
def test_the_shares_of_a_sum_of_exponentials(x, y, share):
    def f(x, y):
        return np.logaddexp(x, y)

    assert nopython.grad(f, argnums=(0, 1))(x, y) == (share, 1.0 - share)
    a, b = (tj.tensor(float(t), requires_grad=True) for t in (x, y))
    tj.logaddexp(a, b).backward()
    assert (a.grad.item(), b.grad.item()) == (share, 1.0 - share)
    recorded = tj.grad(lambda x, y: tj.logaddexp(x, y), argnums=(0, 1), compile="now")
    for _ in range(2):
        assert tuple(map(float, recorded(x, y))) == (share, 1.0 - share)


def log_gamma(x):
    return math.lgamma(x)


def gamma(x):
    return math.gamma(x)


@pytest.mark.parametrize("f", [log_gamma, gamma])
def test_gamma_functions_of_any_numbers(f):
    slope, second = nopython.grad(f), nopython.hvp(f)
    for x in (-2.6, 0.3, 7.5):
        assert slope(x) == pytest.approx((f(x + 1e-6) - f(x - 1e-6)) / 2e-6, rel=1e-7)
        assert second(x, 1.0) == pytest.approx((slope(x + 1e-6) - slope(x - 1e-6)) / 2e-6, rel=1e-6)
