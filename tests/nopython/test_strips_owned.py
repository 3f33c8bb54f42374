"""Elements that each pass of a strip stores before it reads them: work arrays, and what the last pass leaves in them."""

import math

import numpy as np
import pytest
from finite_differences import differences
from strip_loops import SIZE, Loops

from tapejit import nopython

LOOPS = Loops()


@LOOPS.strips
def a_work_array(x):
    d = np.zeros(3)
    s = 0.0
    for i in range(SIZE - 3):
        for k in range(3):
            d[k] = x[i + k] - x[k] * i
        s += d[0] * d[1] + math.sin(d[2]) * x[3]
    return s * 1e-2 + d[0] * d[1] * d[2]


@LOOPS.strips
def stored_where_some_passes_come(x):
    d = np.ones(2)
    s = 0.0
    for i in range(SIZE):
        if x[i] > 0.3:
            d[0] = x[i] * x[1]
            d[1] = x[i]
            s += d[0] * d[1]
    return s + d[0] * x[5] + d[1] * x[6]


@LOOPS.strips
def stored_where_no_pass_comes(x):
    d = np.ones(2)
    d[1] = x[7]
    w = np.zeros(SIZE)
    for i in range(SIZE):
        w[i] = x[i] * x[i]
        if x[i] > 9.0:
            d[1] = x[i] * 3.0
            w[i] = d[1] * d[1]
    return np.sum(w * w) + d[1] * d[0]


@LOOPS.strips
def pairs_with_a_work_array(x):
    f, d = np.zeros((SIZE, 2)), np.zeros(2)
    for i in range(0, SIZE - 1, 4):
        for j in range(SIZE - 1):
            if i != j:
                r = 0.5
                for k in range(2):
                    d[k] = x[j + k] - x[i + k]
                    r += d[k] * d[k]
                for k in range(2):
                    f[i, k] += d[k] / r
    return np.sum(f[:, 0] * f[:, 1]) + d[0] * d[1]


@LOOPS.strips
def constants_and_copies(x):
    d = np.zeros(3)
    s = 0.0
    for i in range(SIZE):
        d[0] = 2.0
        d[1] = x[i]
        d[2] = d[1]
        d[2] = d[2] * d[0]
        s += d[2] * x[i]
    return s + d[0] * d[1] + d[2] * x[3]


@LOOPS.strips
def the_best_so_far(x):
    """Stored last, by some passes, and never read there."""
    last = np.zeros((1, 2))
    s = 0.0
    for i in range(SIZE):
        s += x[i] * x[i]
        if x[i] < 0.0:
            last[0, 1] = x[i] * x[i + 0]
    return s * last[0, 1]


@LOOPS.passes
def in_the_way_of_others(x):
    for i in range(SIZE - 1):
        x[44] = x[i] * 0.5
        x[i] = x[44] * x[i + 1]
    return x[2] * x[43] * x[44]


@LOOPS.passes
def read_before_it_is_stored(x):
    d = np.ones(1)
    s = 0.0
    for i in range(SIZE):
        t = d[0] * x[i]
        d[0] = math.sin(x[i])
        s = s * 0.5 + t
    return s


@LOOPS.passes
def stored_by_some_and_read_by_all(x):
    d = np.ones(1)
    w = np.zeros(SIZE)
    for i in range(SIZE):
        if x[i] > 0.2:
            d[0] = x[i]
        w[i] = d[0] * x[i]
    return w[3] * w[40] + w[20] * d[0]


test_loop, test_loop_by_dual_numbers, test_the_plain_loop_against_finite_differences = LOOPS.tests()


def test_second_derivatives():
    x = np.sin(np.arange(SIZE) * 2.3)
    gradient = nopython.grad(pairs_with_a_work_array)
    assert gradient(x) == pytest.approx(differences(pairs_with_a_work_array, x), rel=1e-6, abs=1e-6)
    direction, step = np.cos(np.arange(float(SIZE))), 1e-6
    expected = (gradient(x + step * direction) - gradient(x - step * direction)) / (2 * step)
    product = nopython.hvp(pairs_with_a_work_array)(x, direction)
    assert product == pytest.approx(expected, rel=1e-6, abs=1e-6)
