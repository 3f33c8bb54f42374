"""Short loops inside of others, which are written out: results, and that the loops around them are recorded in strips."""

import math

import numpy as np
import pytest
from finite_differences import differences
from numba import njit
from strip_loops import SIZE, Loops

from tapejit import nopython

LOOPS = Loops()
THREE = 3


@LOOPS.strips
def kernel(x):
    w = np.zeros(SIZE)
    for i in range(SIZE - 2):
        total = 0.0
        for k in range(THREE):
            total += x[i + k] * x[k]
        w[i] = total
    return np.sum(w * w)


@LOOPS.strips
def loops_in_loops(x):
    u = x.copy().reshape((3, 15))
    v = np.zeros((1, 40))
    for j in range(20):
        total = 0.0
        for p in range(2):
            for q in range(3, 0, -1):
                total += x[j + q] * x[p] * (q - p)
        v[0, j] = math.sin(total)
    return np.sum(v * v) + u[1, 2]


@LOOPS.strips
def coordinates(x):
    s = 0.0
    for i in range(18):
        for j in range(i + 1, 18):
            distance = 0.01
            for k in range(2):
                d = x[j + k] - x[i + 2 * k]
                distance += d * d
            s += 1.0 / distance
    return s * 1e-2


@LOOPS.strips
def branches_inside(x):
    w = np.zeros(SIZE)
    for i in range(SIZE - 4):
        largest = x[i]
        for k in range(1, 4):
            if x[i + k] < -0.5:
                continue
            largest = max(largest, x[i + k] * k)
        w[i] = largest
    return np.sum(w * w)


@LOOPS.passes
def the_counter_behind(x):
    s = 0.0
    for i in range(2):
        for k in range(4):
            s += x[k] * x[i]
        s += x[k + 1] * k
    return s


@LOOPS.passes
def left_early(x):
    s = 0.0
    for i in range(4):
        for k in range(5):
            if x[i + k] > 0.9:
                break
            s += x[i + k] * x[k]
        s *= 1.5
    return s


@LOOPS.passes
def not_at_all(x):
    s = 0.0
    k = 7
    for i in range(4):
        for k in range(0):
            s += 1e9 * k
        s += x[i] * x[k]
    return s


@LOOPS.passes
def a_polynomial(x):
    s = 0.0
    for i in range(5):
        p = x[i]
        for _ in range(6):
            p = p * x[i + 1] + x[0]
        s += p**2
    return s


@LOOPS.passes
def arrays_of_each_pass(x):
    s = 0.0
    for i in range(3):
        for k in range(2):
            row = np.zeros(3)
            row[k] = x[i] * x[k]
            row[k + 1] = row[k] * x[4]
            s += row[0] * row[1] + row[2]
    return s


test_loop, test_loop_by_dual_numbers, test_the_plain_loop_against_finite_differences = LOOPS.tests()


@njit
def weighted(a, k):
    return a * k if k > 1 else a * a


def helpers_and_second_derivatives(x):
    w = np.zeros(20)
    for i in range(20):
        for k in range(3):
            w[i] += weighted(x[i + k], k) * x[k]
    return np.sum(w * w)


def test_helpers_and_second_derivatives():
    x = np.sin(np.arange(23) * 2.3)
    gradient = nopython.grad(helpers_and_second_derivatives)
    assert gradient(x) == pytest.approx(differences(helpers_and_second_derivatives, x), rel=1e-6, abs=1e-6)
    direction, step = np.cos(np.arange(23.0)), 1e-6
    expected = (gradient(x + step * direction) - gradient(x - step * direction)) / (2 * step)
    product = nopython.hvp(helpers_and_second_derivatives)(x, direction)
    assert product == pytest.approx(expected, rel=1e-6, abs=1e-6)
