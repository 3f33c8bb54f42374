"""``custom_vjp`` and ``custom_jvp`` called in compiled code: their rules are what counts there, to the second order."""

import numpy as np
import pytest
from numba import njit
from oracle import check_grad

import tapejit as tj
from tapejit import nopython


@tj.custom_vjp
def clipped(x):
    """The identity, with a gradient of at most one in size (as a trainer clips it)."""
    return 1.0 * x


clipped.defvjp(lambda x: (1.0 * x, None), lambda kept, g: (min(max(g, -1.0), 1.0),))


@tj.custom_vjp
def log1pexp(x):
    return np.log(1.0 + np.exp(x))


log1pexp.defvjp(lambda x: (np.log(1.0 + np.exp(x)), x), lambda x, g: (g / (1.0 + np.exp(-x)),))


@tj.custom_vjp
def weighted(x, y):
    """A number of an array and a number."""
    return (x * x).sum() * y


weighted.defvjp(
    lambda x, y: ((x * x).sum() * y, (x, y)), lambda kept, g: (2.0 * kept[0] * kept[1] * g, (kept[0] ** 2).sum() * g)
)


@tj.custom_vjp
def turned(x, angle):
    """An array of an array and a number."""
    return np.array([np.cos(angle) * x[0] - np.sin(angle) * x[1], np.sin(angle) * x[0] + np.cos(angle) * x[1]])


def turned_fwd(x, angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * x[0] - s * x[1], s * x[0] + c * x[1]]), (c, s, x)


def turned_bwd(kept, g):
    c, s, x = kept
    along = g[0] * (-s * x[0] - c * x[1]) + g[1] * (c * x[0] - s * x[1])
    return np.array([c * g[0] + s * g[1], c * g[1] - s * g[0]]), along


turned.defvjp(turned_fwd, turned_bwd)


@tj.custom_jvp
def product(x, y):
    return x * y * y


@product.defjvp
def product_rule(primals, tangents):
    x, y = primals
    return x * y * y, tangents[0] * y * y + 2.0 * x * y * tangents[1]


@tj.custom_jvp
def cubes(x):
    return x**3


cubes.defjvp(lambda primals, tangents: (primals[0] ** 3, 3.0 * primals[0] ** 2 * tangents[0]))


def of_numbers(p):
    return log1pexp(p[0] * p[1]) * product(p[1], p[2]) + log1pexp(p[2])


def of_arrays(p):
    r = turned(p[:2], p[2])
    return weighted(r * p[2], p[0]) + r[0] ** 2 * r[1] + cubes(p)[1:].sum()


def in_a_loop(p):
    total = 0.0
    for k in range(5):
        total = log1pexp(total + p[k % 3])
    return total


P = np.array([0.3, -0.7, 1.2])


@pytest.mark.parametrize("f", [of_numbers, of_arrays, in_a_loop])
def test_the_rules_are_right_to_the_second_order(f):
    value, gradient = nopython.value_and_grad(f)(P)
    plain = njit(f)
    assert value == pytest.approx(plain(P))
    step = 1e-6 * np.eye(3)
    differences = [(plain(P + d) - plain(P - d)) / 2e-6 for d in step]
    np.testing.assert_allclose(gradient, differences, rtol=1e-7, atol=1e-8)
    g = nopython.grad(f)
    rows = [(g(P + d) - g(P - d)) / 2e-6 for d in step]
    np.testing.assert_allclose(nopython.hessian(f)(P)[-1], rows, rtol=1e-6, atol=1e-7)


def test_the_stated_derivative_is_taken_not_the_true_one():
    f = nopython.grad(lambda x: 1.0 * clipped(3.0 * x))
    assert f(2.0) == 3.0

    @tj.custom_vjp
    def wrong(x, k):
        return x * k

    wrong.defvjp(lambda x, k: (x * k, k), lambda k, g: (10.0 * g, None))
    assert nopython.grad(lambda x: wrong(x, 2.0))(1.0) == 10.0
    assert nopython.grad(lambda x: wrong(2.0, x))(1.0) == 0.0
    t = tj.tensor(1.0, requires_grad=True)
    wrong(t, 2.0).backward()
    assert t.grad.item() == 10.0


def test_arguments_that_are_not_differentiated():
    @tj.custom_vjp
    def unused(x):
        return x

    power = tj.custom_vjp(lambda n, x: x**n, nondiff_argnums=0)
    power.defvjp(lambda n, x: (x**n, x), lambda n, x, g: (n * x ** (n - 1) * g,))
    assert nopython.grad(lambda x: power(3, x) * x)(2.0) == pytest.approx(4 * 8)
    along = tj.custom_jvp(lambda n, x: x**n, nondiff_argnums=0)
    along.defjvp(lambda n, primals, tangents: (primals[0] ** n, n * primals[0] ** (n - 1) * tangents[0]))
    assert nopython.grad(lambda x: along(3, x) * x)(2.0) == pytest.approx(4 * 8)
    with pytest.raises(nopython.DifferentiationError, match="no derivative is stated for unused"):
        nopython.grad(lambda x: unused(x))(1.0)


def test_the_same_functions_eagerly():
    check_grad(lambda x: log1pexp(x) if isinstance(x, float) else x * 1.0, P)
    t = tj.tensor(0.4, requires_grad=True)
    product(t, t).backward()
    assert t.grad.item() == pytest.approx(3 * 0.16)
