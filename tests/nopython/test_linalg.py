"""Linear algebra and interpolation: values as NumPy's, first and second derivatives against finite differences."""

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

from tapejit import nopython

N = 3
POINT = np.array([2.0, 0.3, -0.4, 0.5, 1.7, 0.2, -0.1, 0.6, 2.4, 1.0, -0.5, 0.8])
FUNCTIONS = {}


def function(f):
    FUNCTIONS[f.__name__] = f
    return f


@function
def solve_vector(x):
    return np.sum(np.linalg.solve(x[:9].reshape((N, N)), x[9:]) ** 3)


@function
def solve_matrix(x):
    a = x[:9].reshape((N, N))
    b = np.zeros((N, 2))
    b[:, 0] = x[9:]
    b[1, 1] = x[10] * x[0]
    y = np.linalg.solve(a, b)
    return np.sum(y * y) + y[0, 1]


@function
def solve_with_a_constant_matrix(x):
    a = np.eye(N) * 3.0 + np.ones((N, N)) * 0.5
    m = np.array([[3.0, 0.5, 0.1], [0.2, 2.0, 0.3], [0.1, 0.4, 1.5]])
    return np.sum(np.linalg.solve(a, x[9:]) ** 2) + np.sum(np.linalg.solve(m, x[:3]) ** 3)


@function
def solve_with_a_constant_right_side(x):
    return np.sum(np.linalg.solve(x[:9].reshape((N, N)), np.array([1.0, 2.0, -1.0])) ** 3)


@function
def inverse(x):
    v = np.linalg.inv(x[:9].reshape((N, N)))
    return np.sum(v * v) + v[0, 1] * x[10]


@function
def determinant(x):
    a = x[:9].reshape((N, N))
    return np.linalg.det(a) ** 2 + np.linalg.det(a.T) * x[9]


@function
def logarithm_of_the_determinant(x):
    a = -x[:9].reshape((N, N))
    sign, logarithm = np.linalg.slogdet(a)
    return sign * logarithm * logarithm + logarithm * x[9]


@function
def cholesky(x):
    a = x[:9].reshape((N, N))
    factor = np.linalg.cholesky(a @ a.T)
    return np.sum(factor * factor * factor) + factor[2, 0] * x[9]


@function
def gaussian_likelihood(x):
    a = x[:9].reshape((N, N))
    s = a @ a.T + np.eye(N)
    r = x[9:]
    return 0.5 * r @ np.linalg.solve(s, r) + 0.5 * np.linalg.slogdet(s)[1]


@function
def interpolation_of_numbers(x):
    points = np.array([-1.0, 0.0, 0.4, 1.5, 3.0])
    heights = np.array([0.5, 2.0, -1.0, 0.3, 1.0])
    return np.interp(x[0], points, heights) ** 2 + np.interp(0.7, points, x[:5] * x[5:10]) * np.interp(
        -7.0, points, x[:5]
    )


@function
def interpolation_between_moving_points(x):
    points = np.array([-5.0, 0.0, 0.0, 2.0, 5.0])
    points[1] = -x[0]
    points[2] = x[3] * x[3]
    y = np.interp(x[9:], points, x[3:8] * x[3:8])
    return np.sum(y * y) + np.interp(9.0, points, x[:5])


QUICK = (
    "solve_vector",
    "determinant",
    "cholesky",
    "interpolation_of_numbers",
)  # the others take seconds to compile
CASES = [
    pytest.param(name, mode, marks=[] if mode == "tape" and name in QUICK else [pytest.mark.slow])
    for mode in ("tape", "dual")
    for name in FUNCTIONS
]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_first_derivatives(name, mode):
    f = FUNCTIONS[name]
    plain = njit(f)
    value, gradient = nopython.value_and_grad(f, mode=mode)(POINT.copy())
    assert value == pytest.approx(plain(POINT), rel=1e-13)
    assert gradient == pytest.approx(differences(plain, POINT), rel=1e-6, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives(name):
    f = FUNCTIONS[name]
    g = nopython.grad(f, mode="tape")
    v = np.cos(np.arange(12.0))
    along = differences(lambda t: np.vdot(g(POINT + t[0] * v), v), np.zeros(1))[0]
    assert nopython.hvp(f)(POINT, v) @ v == pytest.approx(along, rel=1e-5, abs=1e-6)


def test_what_lapack_refuses():
    g = nopython.grad(FUNCTIONS["solve_vector"], mode="tape")
    with pytest.raises(np.linalg.LinAlgError):
        g(np.zeros(12))
    assert np.isfinite(g(POINT)).all()
    h = nopython.grad(lambda a: np.linalg.cholesky(a)[0, 0], mode="tape")
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        h(-np.eye(2))


def test_interpolation_at_a_point_takes_the_slope_to_its_right():
    points, heights = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0])
    g = nopython.grad(lambda x, points, heights: np.interp(x, points, heights))
    assert [g(x, points, heights) for x in (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0)] == [0.0, 1.0, 1.0, 4.0, 0.0, 0.0]
    assert np.isnan(nopython.value_and_grad(lambda x, p, h: np.interp(x, p, h))(np.nan, points, heights)[0])
