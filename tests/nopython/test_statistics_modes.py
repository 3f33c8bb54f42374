"""Statistics in all modes: percentiles at differentiated levels, modes of np.convolve, sides of np.searchsorted, NaN."""

import numpy as np
import pytest
from finite_differences import differences

from tapejit import nopython

NAN = np.nan
RNG = np.random.default_rng(7)
X = RNG.normal(size=6) + np.arange(6)[::-1] * 0.3
KERNEL = np.array([0.5, -1.0, 2.0])
TARGETS = np.array([-0.3, 0.4, 1.1])


def without_nan(x):
    y = np.empty(x.size + 2)
    y[0], y[3] = NAN, NAN
    y[1:3] = x[:2]
    y[4:] = x[2:] * x[2:]
    return np.nansum(y) * np.nanmean(y * y)


def middles(x):
    return np.median(x * x) * np.median(x[1:]) + np.median(x.reshape((2, 3)))


def percentiles(x):
    y = x * x
    three = np.percentile(y, np.array([10.0, 50.0, 90.0]))
    return np.sum(three * three) + np.percentile(x, 25) * np.quantile(y, 0.8) + np.quantile(x, 1.0) * np.quantile(x, 0)


def moving_quantile(x):
    return np.quantile(x[1:], 0.2 + 0.1 * x[0] * x[0]) + np.percentile(TARGETS * x[0], 10.0 + x[1] * x[1])


def covariances(x):
    m = (x * x).reshape((2, 3))
    c = np.cov(m)
    return c[0, 1] * c[1, 0] + c[0, 0] + np.cov(x[:3], x[3:])[0, 1] + np.sum(np.cov(m, rowvar=False) ** 2)


def covariance_with_data(x):
    return np.cov(x[:3] * x[:3], TARGETS)[0, 1] ** 2 + np.cov(TARGETS, x[3:])[1, 1]


def convolutions(x):
    y = np.convolve(x * x, x[:2])
    z = np.convolve(x, KERNEL, "same")
    return np.sum(y * y) + np.sum(z**3) + np.sum(np.convolve(KERNEL, x, mode="valid") ** 2) + np.convolve(x[:2], x, "same")[1]


def crosses(x):
    u = np.cross(x[:3], x[3:] * x[3:])
    m = x.reshape((2, 3))
    w = np.cross(m, m[::-1] * m)
    return np.sum(u * u) + np.sum(w * w * w) + np.cross(TARGETS, x[:3])[1] + np.cross(x[3:], TARGETS)[2]


def places(x):
    rising = np.sort(x)
    k = np.searchsorted(rising, x[0], side="right")
    many = np.searchsorted(rising, TARGETS)
    few = np.searchsorted(TARGETS, x)
    one = np.searchsorted(TARGETS, x[2], "right")
    return x[0] * (k + many[1] + np.searchsorted(rising, 0.1)) + x[1] ** 2 * few.sum() + one * x[3]


FUNCTIONS = [
    without_nan,
    middles,
    percentiles,
    moving_quantile,
    covariances,
    covariance_with_data,
    convolutions,
    crosses,
    places,
]


V = np.array([1.0, -0.5, 0.3, 0.7, -1.1, 0.2])


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_first_and_second_derivatives_agree_with_differences(f):
    g = nopython.value_and_grad(f, mode="tape")
    value, gradient = g(X)
    assert value == pytest.approx(f(X), rel=1e-13)
    np.testing.assert_allclose(gradient, differences(f, X), rtol=1e-6, atol=1e-7)
    second = differences(lambda x: g(x)[1] @ V, X)
    np.testing.assert_allclose(nopython.hvp(f)(X, V), second, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_dual_numbers_and_one_direction_agree_with_differences(f):
    expected = differences(f, X)
    value, gradient = nopython.value_and_grad(f, mode="dual")(X)
    assert value == pytest.approx(f(X), rel=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7)
    assert nopython.jvp(f)(X, V)[1] == pytest.approx(expected @ V, rel=1e-6, abs=1e-7)


def test_the_median_shares_as_numpy_computes_it_and_nan_wins():
    g = nopython.value_and_grad(lambda x: np.median(x), mode="tape")
    assert [a.tolist() for a in g(np.array([3.0, 1.0, 2.0]))[1:]] == [[0.0, 0.0, 1.0]]
    assert g(np.array([4.0, 1.0, 2.0, 3.0]))[1].tolist() == [0.0, 0.0, 0.5, 0.5]
    assert np.isnan(g(np.array([4.0, NAN, 2.0]))[0])


def test_nan_has_no_share_in_nansum_and_nanmean():
    x = np.array([1.0, NAN, 3.0])
    value, gradient = nopython.value_and_grad(lambda x: np.nansum(x * x))(x)
    assert value == 10.0
    assert gradient.tolist() == [2.0, 0.0, 6.0]
    value, gradient = nopython.value_and_grad(lambda x: np.nanmean(x))(x)
    assert value == 2.0
    assert gradient.tolist() == [0.5, 0.0, 0.5]


def test_what_numpy_refuses_is_refused():
    g = nopython.grad(lambda x, q: np.percentile(x, q), mode="tape")
    assert g(X, 100.0).sum() == 1.0
    for q in (-1.0, 101.0, NAN):
        with pytest.raises(ValueError, match="percentiles must be"):
            g(X, q)
    with pytest.raises(ValueError, match="at least one value"):
        nopython.grad(lambda x: np.median(x), mode="tape")(np.empty(0))
    with pytest.raises(ValueError, match="not empty"):
        nopython.grad(lambda x: np.convolve(x, x)[0], mode="tape")(np.empty(0))
    with pytest.raises(ValueError, match="three numbers"):
        nopython.grad(lambda x: np.cross(x, x)[0], mode="tape")(np.ones(4))


def test_what_has_no_form_is_refused_not_taken_for_a_constant():
    for f in (lambda x: np.median(x, 0)[0], lambda x: np.convolve(x, x, "odd")[0], lambda x: np.cov(x)):
        with pytest.raises(nopython.DifferentiationError):
            nopython.grad(f, mode="tape")(X)
