"""Loops in which a variable has its value of several branches, also of a helper's."""

import math

import numpy as np
import pytest
from finite_differences import differences
from numba import njit
from strip_loops import POINT, SIZE, Loops, count_strips

from tapejit import nopython

LOOPS = Loops()


@LOOPS.strips
def branches_by_value(x):
    w = np.zeros(SIZE)
    s = x[0] * 0.5
    for i in range(1, SIZE):
        d = x[i] - x[i - 1]
        q = d * d
        if i % 3 == 0:
            continue
        if q < 1.0:
            e = math.exp(-q)
            w[i] = e * d
            s += e
        else:
            if i > 20:
                s += q * x[i] + q
            w[i] = 2.0
        if q > 0.1:
            s -= d * x[1]
    return np.sum(w * w) * s


@LOOPS.strips
def a_value_of_two_branches(x):
    s = 0.0
    for i in range(SIZE):
        e = x[i] * x[i] if x[i] > 0.2 else math.sin(x[i])
        s += e * x[0]
    return s


@LOOPS.strips
def upwind(x):
    u = x * 1.0
    for _ in range(3):
        v = np.zeros(SIZE)
        for i in range(1, SIZE - 1):
            if u[i] > 0.0:
                d = u[i] - u[i - 1]
                r = 0.1
            else:
                d = u[i + 1] - u[i]
                r = 0.2
            v[i] = u[i] - r * u[i] * d
        u = v
    return np.sum(u * u)


@LOOPS.strips
def extremes_of_several(x):
    w = np.zeros(SIZE)
    for i in range(1, SIZE - 2):
        w[i] = min(x[i - 1], x[i], x[i + 1]) * max(x[i - 1], x[i], x[i + 1] * x[i], x[i + 2])
    return np.sum(w * w)


@LOOPS.strips
def a_default(x):
    s = 0.0
    for i in range(SIZE - 1):
        d = x[i] * x[i + 1]
        if x[i] < 0.3:
            d = x[i] - 2.0 * x[0]
        elif x[i] < 0.6:
            d += x[i] * d
        s += d * d
    return s


@LOOPS.strips
def constants_in_some_branches(x):
    w = np.zeros(SIZE)
    for i in range(SIZE):
        if x[i] > 0.5:
            c = x[i] * x[i]
        elif x[i] > 0.0:
            c = 1.0
        else:
            c = 2
        w[i] = c * x[i] + (c if i > 20 else 0.5 * x[3])
    return np.sum(w * w)


@LOOPS.strips
def branches_in_branches(x):
    w = np.zeros((2, SIZE))
    for i in range(1, SIZE):
        a, b = x[i], x[i - 1]
        if a > b:
            if a > 0.5:
                a, b = b, a * b
            else:
                b = a
            c = a - b
        else:
            c = math.sin(a) + b
            if i % 3 == 0:
                c = c * c
        w[0, i] = a * c
        w[1, i] = b * c + a
    return np.sum(w[0] * w[1])


@LOOPS.strips
def slopes_that_are_infinite(x):
    s = 0.0
    for i in range(SIZE):
        y = x[i] - x[i]
        r = math.sqrt(y) if x[i] > 5.0 else x[i] * 0.5
        q = 1.0 / y if x[i] > 6.0 else r
        s += r * x[1] + q
    return s


@LOOPS.passes
def carried_where_not_assigned(x):
    d = x[0] * x[1]
    s = 0.0
    for i in range(SIZE):
        if x[i] > 0.2:
            d = x[i] * x[i]
        s += d * x[i]
    return s * d


@LOOPS.passes
def used_behind_the_loop(x):
    d = x[0]
    s = 0.0
    for i in range(SIZE):
        d = x[i] * x[i] if x[i] > 0.2 else x[i] * 3.0
        s += d
    return s * d


@LOOPS.strips
def sums_of_branches(x):
    s, t = x[0], 0.0
    for i in range(SIZE - 1):
        if x[i] > x[i + 1]:
            e = x[i] * x[i]
            t += e * x[2]
        else:
            e = x[i + 1] * 0.5
        s += e * e
        t -= e
    return s * t


@njit
def limited(a, b):
    if a * b <= 0.0:
        return 0.0
    if abs(a) < abs(b):
        return a
    return b


@njit
def smooth(z):
    w = limited(z, 0.5) if z > -0.5 else z * z
    for_all = w * w
    return for_all + z, w


def helpers_with_branches(x):
    s = np.zeros(SIZE)
    for i in range(1, SIZE - 1):
        s[i] = limited(x[i] - x[i - 1], x[i + 1] - x[i]) * x[i]
    w = np.zeros(SIZE)
    for i in range(2, SIZE - 2):
        w[i] = x[i] - 0.1 * (s[i] - s[i - 1]) + limited(limited(s[i + 1], x[i]), s[i])
    return np.sum(w * w)


test_loop, test_loop_by_dual_numbers, test_the_plain_loop_against_finite_differences = LOOPS.tests()


def test_helpers_with_branches():
    nopython.free_memory()
    value, gradient = nopython.value_and_grad(helpers_with_branches, mode="tape")(POINT.copy())
    assert count_strips(10 * SIZE)
    assert value == pytest.approx(helpers_with_branches(POINT.copy()), rel=1e-13)
    assert gradient == pytest.approx(differences(njit(helpers_with_branches), POINT), rel=1e-5, abs=1e-6)


def test_tuples_of_helpers_with_branches():
    def f(x):
        s = 0.0
        for i in range(SIZE):
            a, b = smooth(x[i])
            s += a * b
        return s

    expected = differences(njit(f), POINT)
    assert nopython.grad(njit(f))(POINT.copy()) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_float32():
    def f(x):
        w = np.zeros(x.size, dtype=np.float32)
        for i in range(x.size):
            d = x[i] if x[i] > np.float32(0.2) else x[0] * x[i]
            w[i] = d * d
        return np.sum(w)

    gradient = nopython.grad(f)(POINT.astype(np.float32))
    assert gradient.dtype == np.float32
    assert gradient == pytest.approx(nopython.grad(f)(POINT), rel=1e-5, abs=1e-5)


def test_second_derivatives():
    gradient = nopython.grad(njit(upwind))
    product = nopython.grad(njit(lambda x, v: np.sum(gradient(x) * v)))
    v = np.sin(np.arange(SIZE))
    steps = [gradient(POINT + h * v) for h in (1e-6, -1e-6)]
    assert product(POINT.copy(), v) == pytest.approx((steps[0] - steps[1]) / 2e-6, rel=1e-5, abs=1e-5)
