"""Statistics of active arrays: values as Numba's own functions give them, derivatives as differences, of numbers and arrays."""

import numpy as np
import pytest
from finite_differences import differences

from tapejit import nopython

POINT = np.array([0.7, -1.9, 2.3, 0.4, 1.1, 3.2])
KERNEL = np.array([0.5, 1.0, -0.25])


def sums(x):
    gaps = x.copy()
    gaps[2] = np.nan
    return np.nansum(gaps * x) * np.nanmean(gaps)


def middle(x):
    return np.median(x) ** 2 + np.median(x[1:]) * x[0]


def spread(x):
    levels = np.array([10.0, 40.0, 75.0])
    return np.sum(np.percentile(x, levels) ** 2) + np.quantile(x, 0.3) * np.percentile(x, 90.0)


def covariance(x):
    c = np.cov(x[:3], x[3:])
    return c[0, 1] * x[0] + c[1, 1] ** 2


def covariance_of_rows(x):
    c = np.cov(x.reshape((2, 3)))
    return c[0, 0] * x[0] + c[0, 1]


def convolution(x):
    both = np.convolve(x[:4], x[4:])
    return np.sum(np.convolve(x, KERNEL) ** 2) + np.sum(both * both) + np.convolve(KERNEL, x)[1]


def cross(x):
    c = np.cross(x[:3], x[3:])
    rows = np.cross(x.reshape((2, 3)), x.reshape((2, 3))[::-1])
    return c[0] * c[1] + c[2] ** 2 + rows[0, 1] * x[1]


def places(x):
    grid = np.array([0.0, 1.0, 2.0, 3.0])
    k = np.searchsorted(grid, x[0])
    ks = np.searchsorted(grid, x)
    return x[k] ** 2 + np.sum(ks * x) + np.searchsorted(np.sort(x), 1.0) * x[1]


QUICK = [sums, middle, convolution]
LONG = [spread, covariance, covariance_of_rows, cross, places]  # each takes ten seconds or more to compile


@pytest.mark.parametrize(
    "f", [*QUICK, *(pytest.param(f, marks=pytest.mark.slow) for f in LONG)], ids=lambda f: f.__name__
)
def test_first_and_second_derivatives(f):
    g = nopython.value_and_grad(f, mode="tape")
    value, gradient = g(POINT)
    assert value == pytest.approx(f(POINT), rel=1e-12)
    assert gradient == pytest.approx(differences(f, POINT), rel=1e-6, abs=1e-8)
    v = np.cos(np.arange(6.0))
    along = differences(lambda t: np.vdot(g(POINT + t[0] * v)[1], v), np.zeros(1))[0]
    assert nopython.hvp(f)(POINT, v) @ v == pytest.approx(along, rel=1e-6, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("f", QUICK + LONG, ids=lambda f: f.__name__)
def test_dual_numbers(f):
    expected = nopython.grad(f, mode="tape")(POINT)
    assert nopython.grad(f, mode="dual")(POINT) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_equal_values_and_nan():
    def of(x):
        return np.median(x) + np.percentile(x, 50.0)

    g = nopython.value_and_grad(of)
    value, gradient = g(np.array([1.0, 1.0, 1.0, 1.0]))
    assert value == 2.0
    assert gradient.sum() == pytest.approx(2.0)
    assert np.isnan(g(np.array([1.0, np.nan, 2.0]))[0])


def test_what_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="at least one value"):
        nopython.grad(lambda x: np.median(x[:0]))(POINT)
    with pytest.raises(ValueError, match="percentiles must be"):
        nopython.grad(lambda x: np.percentile(x, 101.0))(POINT)
    with pytest.raises(ValueError, match="three numbers"):
        nopython.grad(lambda x: np.cross(x[:2], x[2:4])[0])(POINT)
