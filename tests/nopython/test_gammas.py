"""Functions of numbers that Numba has and the op table has not, of numbers and of arrays."""

import math

import numpy as np
import pytest
from finite_differences import differences

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
