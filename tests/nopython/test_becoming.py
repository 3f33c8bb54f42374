"""A name that holds an array of plain numbers first, and a differentiated one later."""

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

from tapejit import nopython

START = np.array([[2.0, 0.5], [0.5, 1.0]])
F = np.array([[1.0, 0.1], [0.0, 0.9]])
X = np.array([0.3, -0.7, 1.2])


@njit
def one_or_the_other(P, k, x):
    if k == 1:
        return P
    return P * x[k] + F


def vectors_and_matrices(x, start):
    m, P, c = start[0], start, 1
    for i in range(2):
        for k in range(2):
            m = P @ m * x[k] + start[:, 1] * i
        P = F @ P @ F.T + np.outer(m, m)
        P[0, 1] += 0.5  # what is new may be written to
        c = c * x[2]
    return np.sum(P) + m[0] * c


def in_branches(x, start):
    P = START
    k = 0
    while k < 3:
        if k != 1:
            P = P * x[k]
        k += 1
    Q = start if x[0] < 0 else P
    for k in range(3):
        Q = Q + one_or_the_other(start, k, x)
    return np.sum(P * Q) + x[0] ** 2


def a_tuple_of_state(x, start):
    state = (start[0], 0.5, start)
    for k in range(3):
        m, s, P = state
        state = (P @ m * x[k], s * x[k] + 1, P + x[k] * F)
    return np.sum(state[0]) * np.sum(state[2]) * state[1]


SLOW = [pytest.param(f, marks=pytest.mark.slow) for f in (vectors_and_matrices, in_branches)]


def agrees(g, f):
    """The gradient g of f with differences, and the caller's array as it was."""
    start = START.copy()
    value, gradient = g(X, start)
    assert value == pytest.approx(f(X, start), rel=1e-13)
    np.testing.assert_allclose(gradient, differences(lambda x: f(x, start), X), rtol=1e-6, atol=1e-7)
    assert np.array_equal(start, START), "the caller's array is as it was"


@pytest.mark.parametrize("f", [*SLOW, a_tuple_of_state], ids=lambda f: f.__name__)
def test_an_array_of_plain_numbers_becomes_differentiated(f):
    g = nopython.value_and_grad(f, mode="tape")
    agrees(g, f)
    v = np.array([1.0, -0.5, 0.3])
    expected = differences(lambda x: g(x, START)[1] @ v, X)
    np.testing.assert_allclose(nopython.hvp(f)(X, START, v), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("f", [vectors_and_matrices, in_branches, a_tuple_of_state], ids=lambda f: f.__name__)
def test_an_array_of_plain_numbers_becomes_dual_numbers(f):
    agrees(nopython.value_and_grad(f, mode="dual"), f)


def writes_into_what_came_in(x, start):
    P = start
    for k in range(3):
        P[0, 0] = 1.0
        P = P * x[k]
    return np.sum(P) + start[0, 0]


def updates_a_part(x, start):
    P = start
    for k in range(3):
        row = P[0]
        row *= 2.0
        P = P * x[k]
    return np.sum(P) + start[0, 0]


def writes_under_the_other_name(x, start):
    P = start
    for k in range(3):
        P = P * x[k]
        start.T[0, 1] = 2.0
    return np.sum(P)


@njit
def doubled(a, b):
    b[:] = 2.0 * a
    return b


def lets_another_write(x, start):
    P = start
    for k in range(3):
        doubled(F, start)
        P = P * x[k]
    return np.sum(P)


@pytest.mark.parametrize(
    "f",
    [writes_into_what_came_in, updates_a_part, writes_under_the_other_name, lets_another_write],
    ids=lambda f: f.__name__,
)
def test_an_array_that_is_written_to_under_one_of_its_names_is_refused(f):
    start = START.copy()
    with pytest.raises(nopython.DifferentiationError, match="begin with a copy"):
        nopython.grad(f, mode="tape")(X, start)
    assert np.array_equal(start, START)
