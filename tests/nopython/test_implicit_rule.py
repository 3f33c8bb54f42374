"""A root found by Newton's method in compiled code, differentiated by the implicit function theorem as its rule."""

import numpy as np
from finite_differences import differences
from numba import njit

from tapejit import nopython


@njit
def residual(x, a):
    return np.array([x[0] ** 2 + a[0] * x[1] - a[1], x[1] ** 3 + x[0] - a[0]])


in_x = nopython.jacobian(residual)
in_a = nopython.jacobian(residual, argnums=1)


@njit
def root(a):
    x = np.ones(2)
    for _ in range(60):
        r, J = in_x(x, a)
        x = x - np.linalg.solve(J, r)
    return x


@nopython.rule(root)
def partials(a):
    x = root(a)
    return -np.linalg.solve(in_x(x, a)[1], in_a(x, a)[1])


def cost(a):
    x = root(a)
    return x[0] * x[1] + a[0] * x[1] ** 2


A = np.array([1.5, 2.5])


def test_the_gradient_through_a_root():
    np.testing.assert_allclose(nopython.grad(cost, mode="tape")(A), differences(cost, A), rtol=1e-7)
