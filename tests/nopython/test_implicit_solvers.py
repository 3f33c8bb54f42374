"""Solutions of equations inside compiled code: what tensors' ``tj.implicit`` gives, and differences."""

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

import tapejit as tj
from tapejit import nopython

A, S = np.array([1.5, 2.5]), 1.2
MATRIX = np.array([[3.0, 1.0], [0.5, 2.0]])


@njit
def residual(x, a, s):
    return np.array([x[0] ** 2 + a[0] * x[1] - a[1], s * x[1] ** 3 + x[0] - a[0]])


solve = nopython.implicit.root(residual)


def cost(a, s):
    x = solve(np.ones(2), a, s)
    return x[0] * x[1] + a[0] * x[1] ** 2


@pytest.mark.slow
def test_the_gradient_through_a_root_in_an_array_and_a_number():
    x = solve(np.ones(2), A, S)
    assert np.abs(residual(x, A, S)).max() < 1e-13
    in_a, in_s = nopython.grad(cost, argnums=(0, 1))(A, S)
    np.testing.assert_allclose(in_a, differences(lambda a: cost(a, S), A), rtol=1e-6)
    np.testing.assert_allclose(in_s, (cost(A, S + 1e-6) - cost(A, S - 1e-6)) / 2e-6, rtol=1e-6)


def test_what_has_no_root_is_said():
    for a in (np.full(2, np.nan), np.array([np.inf, 1.0])):
        with pytest.raises((ArithmeticError, np.linalg.LinAlgError)):
            solve(np.ones(2), a, S)
    with pytest.raises(TypeError, match="one by one"):
        nopython.implicit.root(lambda *given: given[0])


@pytest.mark.slow
def test_the_second_derivative_of_a_root():
    def by_tensors(a):
        x = tj.implicit.root(
            lambda x: tj.stack([x[0] ** 2 + a[0] * x[1] - a[1], S * x[1] ** 3 + x[0] - a[0]]), np.ones(2)
        )
        return x[0] * x[1] + a[0] * x[1] ** 2

    np.testing.assert_allclose(nopython.hessian(cost)(A, S)[-1], tj.hessian(by_tensors)(A), rtol=1e-8)


@pytest.mark.slow
def test_a_stationary_point_to_second_order():
    quartic = nopython.implicit.minimize(lambda x, c: ((x - c) ** 4).sum() + (x * x).sum())

    def by_tensors(c):
        x = tj.implicit.minimize(lambda x, c: ((x - c) ** 4).sum() + (x * x).sum(), np.ones(2), c)
        return 2 * x[0] + x[1]

    def compiled(c):
        x = quartic(np.ones(2), c)
        return 2 * x[0] + x[1]

    c = np.array([0.3, 0.8])
    _, slope, bend = nopython.hessian(compiled)(c)
    np.testing.assert_allclose(slope, tj.grad(by_tensors)(c), rtol=1e-9)
    np.testing.assert_allclose(bend, tj.hessian(by_tensors)(c), rtol=1e-8, atol=1e-12)


@pytest.mark.slow
def test_a_linear_system_and_a_fixed_point():
    linear = nopython.implicit.linear_solve(lambda x, M: M @ x)
    found = nopython.grad(lambda b, M: (linear(b, M) ** 2).sum(), argnums=(0, 1))(A, MATRIX)
    wanted = tj.grad(lambda b, M: (tj.linalg.solve(M, b) ** 2).sum(), (0, 1))(A, MATRIX)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)
    still = nopython.implicit.fixed_point(lambda x, c: np.cos(c * x))
    found = nopython.grad(lambda c: still(np.ones(2), c).sum())(A)
    x = still(np.ones(2), A)
    np.testing.assert_allclose(found, -np.sin(A * x) * x / (1 + A * np.sin(A * x)), rtol=1e-10)
