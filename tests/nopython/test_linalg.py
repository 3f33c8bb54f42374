"""Linear algebra and interpolation: values as NumPy's, first and second derivatives against finite differences."""

import numpy as np
import pytest
from finite_differences import differences

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
def product_of_matrices(x):
    a = x[:9].reshape((N, N))
    m = np.array([[3.0, 0.5, 0.1], [0.2, 2.0, 0.3], [0.1, 0.4, 1.5]])
    return np.sum((a @ a.T @ m) ** 2) + np.sum(np.dot(m, a.T)) * x[9]


@function
def eigenvalues_and_vectors(x):
    a = x[:9].reshape((N, N))
    w, v = np.linalg.eigh(a + a.T)
    return np.sum(w**3) + np.sum(v[:, 0] ** 4) + np.linalg.eigvalsh(a + a.T)[0] ** 2


@function
def orthogonal_and_upper(x):
    q, r = np.linalg.qr(x.reshape((4, 3)))
    return np.sum(q**4) + np.sum(r**3)


@function
def orthogonal_and_wide(x):
    q, r = np.linalg.qr(x.reshape((3, 4)))
    return np.sum(q**4) + np.sum(r**3)


@function
def singular_values_and_vectors(x):
    u, s, vt = np.linalg.svd(x.reshape((4, 3)), False)
    return np.sum(u**4) + np.sum(s**3) + np.sum(vt**4)


@function
def singular_values_of_a_wide_matrix(x):
    u, s, vt = np.linalg.svd(x.reshape((3, 4)), False)
    return np.sum(u**4) + np.sum(s**3) + np.sum(vt**4)


@function
def singular_values_of_a_square_matrix(x):
    u, s, vt = np.linalg.svd(x[:9].reshape((N, N)))
    return np.sum(u**4) * s[0] + vt[0, 0] ** 2


@function
def pseudo_inverse(x):
    return np.sum(np.linalg.pinv(x.reshape((4, 3))) ** 3)


@function
def least_squares(x):
    solution, residuals, rank, s = np.linalg.lstsq(x.reshape((4, 3)), x[:4] ** 2)
    return np.sum(solution**3) + np.sum(residuals) + rank * s[1]


@function
def powers(x):
    a = x[:9].reshape((N, N))
    return np.sum(np.linalg.matrix_power(a, 5)) + np.sum(np.linalg.matrix_power(a, -2)) + np.trace(a) ** 2


@function
def kronecker(x):
    return np.sum(np.kron(x[:9].reshape((N, N)), x[6:].reshape((2, N))) ** 3)


@function
def norms(x):
    a = x.reshape((4, 3))
    return (
        np.linalg.norm(x) * np.linalg.norm(a)
        + np.linalg.norm(x, 1) * np.linalg.norm(x, np.inf)
        + np.linalg.norm(x, -np.inf) * np.linalg.norm(x, 3)
        + np.linalg.norm(a, 1) * np.linalg.norm(a, np.inf)
        + np.linalg.norm(a, 2) * np.linalg.norm(a, -2)
    )


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
    "product_of_matrices",
    "interpolation_of_numbers",
)  # the others take ten seconds and more to compile; Cholesky factors and eigenvalues have a test of their own below
CASES = [
    pytest.param(name, mode, marks=[] if mode == "tape" and name in QUICK else [pytest.mark.slow])
    for mode in ("tape", "dual")
    for name in FUNCTIONS
]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_first_derivatives(name, mode):
    f = FUNCTIONS[name]
    value, gradient = nopython.value_and_grad(f, mode=mode)(POINT.copy())
    assert value == pytest.approx(f(POINT), rel=1e-12)
    assert gradient == pytest.approx(differences(f, POINT), rel=1e-6, abs=1e-7)


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


def test_a_symmetric_matrix_has_a_symmetric_gradient():
    s = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    for f in (lambda a: np.sum(np.linalg.cholesky(a) ** 3), lambda a: np.linalg.eigvalsh(a)[1]):
        gradient = nopython.grad(f, mode="tape")(s)
        assert np.array_equal(gradient, gradient.T)
        step = 1e-6 * np.ones((3, 3))
        along = (f(s + step) - f(s - step)) / 2e-6
        assert gradient.sum() == pytest.approx(along, rel=1e-6)


@pytest.mark.slow
def test_determinants_of_singular_matrices():
    a = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
    cofactors = np.array([[4.0, 4.0, -4.0], [-2.0, -2.0, 2.0], [0.0, 0.0, 0.0]])
    value, gradient = nopython.value_and_grad(lambda a: np.linalg.det(a))(a)
    assert value == pytest.approx(0.0, abs=1e-14)
    assert gradient == pytest.approx(cofactors, abs=1e-13)


@pytest.mark.slow
def test_equal_eigenvalues_have_derivatives_where_the_function_has():
    a = np.diag([2.0, 2.0, 5.0])
    gradient = nopython.grad(lambda a: np.sum(np.linalg.eigh(a)[0] ** 3), mode="tape")(a)
    assert gradient == pytest.approx(3 * a @ a)

    def chance(a):
        v = np.linalg.eigh(a)[1]
        return v[0, 0] * v[1, 0]

    gradient = nopython.grad(chance, mode="tape")(a)
    assert np.isnan(gradient).any(), "which vector is taken is chance: there is no derivative"


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 100])
def test_large_matrices(n):
    """Where LAPACK's blocks are used."""
    rng = np.random.default_rng(n)
    a = rng.normal(size=(n, n))
    s = a @ a.T / n + np.eye(n)
    v = rng.normal(size=n)

    def plain(s, v):
        return np.sum(np.linalg.cholesky(s)) + v @ np.linalg.solve(s, v) + np.linalg.slogdet(s)[1]

    gradient, _ = nopython.grad(plain, argnums=(0, 1))(s, v)
    direction = np.ones((n, n)) / n
    along = differences(lambda t: plain(s + t[0] * direction, v), np.zeros(1))[0]
    assert np.vdot(gradient, direction) == pytest.approx(along, rel=1e-6)


@pytest.mark.slow
def test_single_precision_and_strides():
    a = np.asfortranarray(POINT[:9].reshape((N, N)).astype(np.float32))
    for f in (lambda a: np.sum(np.linalg.inv(a)), lambda a: np.linalg.det(a[:2, ::2])):
        _, gradient = nopython.value_and_grad(f)(a)
        assert gradient.dtype == np.float32
        assert gradient == pytest.approx(nopython.grad(f)(a.astype(float)), rel=1e-5, abs=1e-5)


def test_full_matrices_have_no_derivative():
    f = nopython.grad(lambda x: np.linalg.svd(x)[1][0], mode="tape")
    with pytest.raises(ValueError, match="full_matrices"):
        f(np.ones((3, 2)))
