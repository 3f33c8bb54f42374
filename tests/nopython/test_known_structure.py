"""Matrices that are found to be triangles or symmetric have the solutions and derivatives of the same matrix's LU."""

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

from tapejit import nopython
from tapejit.nopython import factors

RNG = np.random.default_rng(0)


def well_behaved(n):
    return RNG.standard_normal((n, n)) / max(n, 1) + 2 * np.eye(n)


def symmetric(n):
    a = RNG.standard_normal((n, n))
    return a @ a.T + n * np.eye(n)


def nearly_symmetric(n):
    """As products are that were rounded in two orders."""
    a = symmetric(n)
    return a * (1 + np.finfo(float).eps * np.triu(np.ones((n, n)), 1))


def indefinite(n):
    """Symmetric, its diagonal positive, and no square of anything."""
    a = np.full((n, n), 3.0) + np.arange(n)[:, None] + np.arange(n)
    return a - np.diag(np.diag(a)) + np.eye(n)


MATRICES = {
    "general": (well_behaved, factors.GENERAL),
    "lower": (lambda n: np.tril(well_behaved(n)), factors.LOWER_TRIANGLE),
    "upper": (lambda n: np.triu(well_behaved(n)), factors.UPPER_TRIANGLE),
    "diagonal": (lambda n: np.diag(np.linspace(-1, -2, n)), factors.LOWER_TRIANGLE),
    "symmetric": (symmetric, factors.POSITIVE),
    "nearly symmetric": (nearly_symmetric, factors.POSITIVE),
    "indefinite": (indefinite, factors.GENERAL),
    "negative": (lambda n: -symmetric(n), factors.GENERAL),
}


@njit
def kind_of(a):
    return factors.factored(a, False)[0]


def solution(a, b):
    return np.sum(np.linalg.solve(a, b) * np.linspace(1.0, 2.0, b.size).reshape(b.shape))


def logarithm(a, b):
    sign, value = np.linalg.slogdet(a)
    return sign * value + b[0, 0]


def determinant(a, b):
    return np.linalg.det(a / 2.0) * b[0, 0]


def inverse(a, b):
    return np.sum(np.linalg.inv(a) * np.linspace(1.0, 2.0, a.size).reshape(a.shape)) + b[0, 0]


def by_hand(f, a, b):
    """(value, derivative in a, derivative in b) with NumPy."""
    t = np.linalg.inv(a).T
    one = np.zeros_like(b)
    one[0, 0] = 1.0
    if f is solution:
        w = np.linspace(1.0, 2.0, b.size).reshape(b.shape)
        return f(a, b), -(t @ w) @ np.linalg.solve(a, b).T, t @ w
    if f is logarithm:
        return f(a, b), np.linalg.slogdet(a)[0] * t, one
    if f is determinant:
        d = np.linalg.det(a / 2.0)
        return f(a, b), d * b[0, 0] * t, d * one
    w = np.linspace(1.0, 2.0, a.size).reshape(a.shape)
    return f(a, b), -t @ w @ t, one


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("name", MATRICES)
def test_values_and_derivatives(name, n):
    make, kind = MATRICES[name]
    a, b = make(n), RNG.standard_normal((n, 2))
    if n > 1:
        assert kind_of(a) == kind
    for f in (solution, logarithm, determinant, inverse):
        value, (ga, gb) = nopython.value_and_grad(f, (0, 1))(a, b)
        expected = by_hand(f, a, b)
        for found, right in zip((value, ga, gb), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-11 * np.abs(right).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("f", [solution, logarithm, determinant, inverse])
def test_second_derivatives(name, f):
    a, b = MATRICES[name][0](3), RNG.standard_normal((3, 2))
    gradient = nopython.grad(f)
    slope = nopython.grad(lambda a, b: np.sum(gradient(a, b) ** 2))
    expected = differences(lambda x: np.sum(gradient(x.reshape(a.shape), b) ** 2), a.ravel())
    np.testing.assert_allclose(slope(a, b).ravel(), expected, rtol=2e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("matrix", [np.triu(np.ones((3, 3)), 1), np.diag([1.0, 0.0, 2.0]), np.zeros((20, 20))])
def test_a_triangle_with_a_zero_on_its_diagonal_is_singular(matrix):
    for f in (solution, inverse):
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            nopython.grad(f)(matrix, np.ones((len(matrix), 2)))


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-160, 1e155, 1e300])
def test_very_large_and_small_matrices_are_not_taken_for_symmetric(size):
    a = size * np.array([[2.0, 0.5], [0.1, 3.0]])
    assert kind_of(a) == factors.GENERAL
    assert kind_of(size * np.array([[2.0, 0.5], [0.5, 3.0]])) == factors.POSITIVE
    value = nopython.value_and_grad(solution)(a, size * np.ones((2, 2)))[0]
    assert value == pytest.approx(solution(a / size, np.ones((2, 2))), rel=1e-12)


def test_an_empty_matrix_has_an_empty_solution():
    assert nopython.grad(lambda a, b: np.sum(np.linalg.solve(a, b)))(np.ones((0, 0)), np.ones((0, 2))).shape == (0, 0)


@pytest.mark.parametrize("place", [(0, 0), (0, 2), (2, 0)])
def test_nan_is_not_lost(place):
    for symmetrical in (False, True):
        a = symmetric(3)
        a[place] = np.nan
        if symmetrical:
            a[place[::-1]] = np.nan
        assert np.isnan(nopython.value_and_grad(solution)(a, np.ones((3, 2)))[0])
