"""A branch that is not taken adds nothing: an adjoint, or a tangent, that is exactly zero stays zero at infinite slopes."""

import math

import numpy as np
import pytest
from numba import njit

from tapejit import nopython


def guarded_root(x):
    return max(math.sqrt(x[0] ** 2 + x[1] ** 2), 1e-10)


def guarded_later(x):
    w = np.empty(3)
    w[0] = x[0] ** 2 + x[1] ** 2
    w[1] = math.sqrt(w[0])
    w[2] = max(w[1], 1e-10)
    return w[2] + x[0]


def product(x):
    return x[0] * math.sqrt(x[1])


def in_a_loop(x):
    s = 0.0
    for k in range(x.size):
        s += max(math.sqrt(x[k] * x[k]), 0.5)
    return s


def in_strips(x):
    w = np.empty(x.size)
    v = np.empty(x.size)
    for k in range(x.size):
        w[k] = math.sqrt(x[k])
    for k in range(x.size):
        v[k] = max(w[k], 0.5)
    s = 0.0
    for k in range(x.size):
        s += v[k]
    return s


@njit
def root(y):
    return math.sqrt(y)


def through_a_call(x):
    return min(root(x[0]) + 1.0, 0.5) + x[1]


def overflow_behind_a_branch(x):
    large = (x[0] + 1.0) * math.exp(1000.0 * (x[1] + 1.0)) + x[2]
    return min(2.0 * large + large, 1.0) + abs(0.0 * min(large, 3.0)) + x[0]


def root_of_a_sum_behind_a_zero(x):
    r = math.sqrt(x[0] ** 2 + x[1] ** 2 + x[2] ** 2)
    return max(3.0 * r - r * r, 1e-10) + x[0]


ORIGIN = np.zeros(40)
CASES = [
    (guarded_root, ORIGIN, 0.0),
    (guarded_later, ORIGIN, 1.0),
    (overflow_behind_a_branch, ORIGIN, 1.0),
    (root_of_a_sum_behind_a_zero, ORIGIN, 1.0),
    (in_a_loop, ORIGIN, 0.0),
    (in_strips, ORIGIN, 0.0),
]


@pytest.mark.parametrize("mode", ["tape", "dual"])
@pytest.mark.parametrize(("f", "x", "first"), CASES, ids=lambda f: getattr(f, "__name__", ""))
def test_what_is_not_chosen_adds_nothing(f, x, first, mode):
    gradient = nopython.grad(f, mode=mode)(x)
    assert gradient[0] == first
    assert not gradient[1:].any()


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_lanes_and_adjoints_are_kept_apart(mode):
    with np.errstate(all="ignore"):
        assert nopython.grad(product, mode=mode)(np.array([2.0, 0.0])).tolist() == [0.0, np.inf]
        assert nopython.grad(through_a_call, mode=mode)(np.zeros(2)).tolist() == [0.0, 1.0]


def test_second_derivatives_of_a_branch_not_taken():
    def f(x):
        w = np.empty(2)
        w[0] = math.sqrt(x[0])
        w[1] = max(w[0], 0.5)
        return w[1] * x[1] * x[1]

    value, gradient, hessian = nopython.hessian(f)(np.array([0.0, 3.0]))
    assert value == 4.5
    assert gradient.tolist() == [0.0, 3.0]
    assert hessian.tolist() == [[0.0, 0.0], [0.0, 1.0]]
