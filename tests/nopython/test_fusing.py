"""Expressions of whole arrays, which are one loop: values to the bit as the plain function's, derivatives to second order."""

from types import FunctionType

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

from tapejit import nopython
from tapejit.nopython.exchange import supplied

X = np.array([0.4, -0.3, 1.2, 0.7, -0.8, 0.5])
FUNCTIONS = {}


def function(f):
    FUNCTIONS[f.__name__] = f
    return f


@function
def in_a_row(x):
    y = 2.0 * x * np.exp(-x * x / 3.0) + x**2 - 1
    return (y * np.sin(y)).sum()


@function
def with_numbers_and_plain_arrays(x):
    w = np.linspace(0.5, 1.5, x.size)
    y = x[0] * w * w + (x[1] - 2.0 * w * x) * x[2]
    return np.sum(np.sqrt(y * y + 1.0) / (w + 3.0 * w))


@function
def broadcast(x):
    column, row = x.reshape((6, 1)), x[:3].reshape((1, 3))
    a = np.exp(column) * row - column / (2.0 + row * row)
    return np.sum(a * a * x[:3] + 1.0)


@function
def of_one_element(x):
    one = x[:1] * 2.0
    return np.sum(one * x + np.cos(one) * x - one)


@function
def three_dimensions(x):
    a = x.reshape((1, 2, 3)) * np.ones((2, 1, 1))
    return np.sum((a - x[:3] * 2.0) * a * a + a)


@function
def written_to_in_between(x):
    a = x.copy()
    b = a * 3.0
    a[0] = 5.0 * x[1]
    a[1:] += x[:-1]
    c = b + a * 2.0
    b = c * c
    c[2] = 0.0
    return np.sum(b * c)


@function
def views_written_to_in_between(x):
    a = x.copy()
    part = a[2:4]
    b = a[1:3] * 2.0
    part[:] = 0.0
    return np.sum(b + part * a[:2]) * x[5]


@njit
def emptied(a):
    a[:] = 0.0
    return 1.0


@function
def emptied_by_a_helper(x):
    a = x * 1.0
    b = a * a
    factor = emptied(a)
    return np.sum((b + a) * factor)


@function
def used_twice(x):
    a = np.exp(x) + 1.0
    return np.sum(a * a + x / a)


@function
def in_a_loop(x):
    y = x * 1.0
    for k in range(5):
        y = y - 0.1 * (y * y - np.sin(y) * k)
    return np.sum(y)


@function
def named_anew(x):
    y = x * 2.0
    z = y + x
    y = x * x * x
    return np.sum(z * y - (y + z) * 0.5)


@function
def in_branches(x):
    y = x * 2.0 + 1.0
    z = y * y - x if x[0] > 0.0 else y + x * x
    return np.sum(z * y)


@function
def with_indices_and_slices(x):
    return np.sum((x[1:] - x[:-1]) * (x[1:] + x[:-1]) / x[0] + x[::-1][1:] * x[2:3])


@function
def with_maximum_and_powers(x):
    return np.sum(np.maximum(x * 2.0, x + 0.1) ** 3 - np.abs(x - 0.2) + (x * x + 1.0) ** x)


@pytest.mark.parametrize("mode", ["tape", pytest.param("dual", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_derivatives(name, mode):
    f = FUNCTIONS[name]
    value, gradient = nopython.value_and_grad(f, mode=mode)(X.copy())
    assert value == pytest.approx(njit(f)(X.copy()), rel=1e-14)
    assert gradient == pytest.approx(differences(f, X), rel=1e-6, abs=1e-7)


@pytest.fixture
def texts(monkeypatch):
    """The expressions of which loops are made."""
    found = []
    each = supplied.each
    monkeypatch.setattr(supplied, "each", lambda *args: found.append(args[1]) or each(*args))
    return found


def test_an_expression_is_one_loop(texts):
    def f(x):
        return np.sum(x[0] * np.exp(-0.5 * x * x) + x)

    nopython.grad(f, mode="tape")(X)
    assert texts == ["f0(f1({x0}, f2(f1(f1(-0.5, {x1}), {x1}))), {x1})"]


def test_nothing_is_put_off_past_what_may_write(texts):
    for name in ("written_to_in_between", "emptied_by_a_helper"):
        anew = FunctionType(FUNCTIONS[name].__code__, globals())  # not compiled yet
        nopython.grad(anew, mode="tape")(X)
    assert texts == ["f0({x0}, f1({x1}, 2.0))", "f0(f1({x0}, {x1}), {x2})"]


def test_a_function_of_numpys_that_is_given_where_to_write_to_does():
    def f(x, w):
        a = x * w
        np.multiply(w, 2.0, w)
        b = a + x * w
        np.exp(w, w)
        return np.sum(b * x * w + a)

    w = np.linspace(0.5, 1.5, 6)
    value, gradient = nopython.value_and_grad(f)(X, w.copy())
    assert value == pytest.approx(f(X, w.copy()), rel=1e-14)
    assert gradient == pytest.approx(differences(lambda x: f(x, w.copy()), X), rel=1e-6)


def test_what_costs_more_is_not_computed_for_each_element_of_a_broadcast_result(texts):
    def f(x):
        column, row = x.reshape((6, 1)), x.reshape((1, 6))
        return np.sum(np.exp(column) * row + column * 2.0)

    nopython.grad(f, mode="tape")(X)
    assert texts == ["f0({x0}, f1({x1}, 2.0))"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives(name):
    g = nopython.grad(FUNCTIONS[name])
    v = np.cos(np.arange(6.0))
    along = differences(lambda t: g(X + t[0] * v) @ v, np.zeros(1))[0]
    assert nopython.hvp(FUNCTIONS[name])(X, v) @ v == pytest.approx(along, rel=1e-5, abs=1e-6)
