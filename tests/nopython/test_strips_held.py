"""Elements that a pass of a strip stores in some branches only, or reads in a later block: it stores them at its end."""

import math

import numpy as np
import pytest
from finite_differences import differences
from strip_loops import SIZE, Loops

from tapejit import nopython

LOOPS = Loops()


@LOOPS.strips
def walls(x):
    v = np.zeros(SIZE)
    for i in range(SIZE):
        v[i] = x[i] * x[i] - 0.4
    for _ in range(3):
        for i in range(SIZE):
            x[i] += v[i] * 0.3
            if x[i] < 0.0:
                x[i] = -x[i]
                v[i] = -0.9 * v[i]
            elif x[i] > 0.8:
                x[i] = 1.6 - x[i]
                v[i] = -v[i]
    return np.sum(x * x) + np.sum(v * x)


@LOOPS.strips
def clipped_from_below(x):
    w = np.zeros(SIZE)
    for _ in range(2):
        for i in range(1, SIZE - 1):
            w[i] = x[i] + 0.2 * (x[i - 1] + x[i + 1])
            if w[i] < 0.0:
                w[i] = 0.0
        for i in range(1, SIZE - 1):
            if w[i] > 0.7:
                x[i] = 0.7 * w[i]
    return np.sum(w * x)


@LOOPS.strips
def stored_again_and_again(x):
    w = np.zeros(SIZE)
    s = 0.0
    for i in range(SIZE):
        w[i] = math.sin(x[i])
        if x[i] > 0.1:
            w[i] = w[i] * x[i]
            if x[i] > 0.5:
                w[i] = 2.0
        s += w[i] * x[3]
        w[i] = w[i] + x[i] * 0.5
        if w[i] > 0.3:
            w[i] += x[i]
    return s + np.sum(w * w)


@LOOPS.strips
def read_in_a_later_block(x):
    w = np.zeros(SIZE)
    s = 0.0
    for i in range(SIZE):
        w[i] = x[i] * x[i]
        if x[i] > 0.2:
            s += x[i]
        s += w[i] * x[0]
    return s + w[3] * w[44]


@LOOPS.strips
def infinite_slopes(x):
    w = np.zeros(SIZE)
    for i in range(SIZE):
        w[i] = x[i]
    w[7] = 0.0 * x[3]
    for i in range(SIZE):
        if w[i] > 0.1:
            w[i] = math.sqrt(w[i])
    return np.sum(w * w * w)


@LOOPS.strips
def elements_ahead(x):
    for i in range(SIZE - 2):
        if x[i + 1] > x[i]:
            x[i] = 0.5 * (x[i + 2] + x[i])
        else:
            x[i] = x[i] * x[i + 1]
    return np.sum(x * x)


@LOOPS.passes
def elements_behind(x):
    for i in range(1, SIZE):
        if x[i - 1] > 0.1:
            x[i] = 0.5 * (x[i - 1] + x[i])
    return x[3] * x[44] + x[20]


@LOOPS.strips
def two_elements_of_one_array(x):
    w = np.zeros(2 * SIZE)
    for i in range(SIZE):
        w[i] = x[i] * x[i]
        if x[i] > 0.0:
            w[i + SIZE] = x[i]
    return np.sum(w * w)


@LOOPS.strips
def one_element_by_two_names(x):
    """At pass 12 both are the same element, which has the value that was stored last."""
    w = np.ones(SIZE)
    for i in range(22):
        if x[i] > -2.0:
            w[2 * i] = x[i]
        w[i + 12] = x[i] * x[i]
    return np.sum(w * w * x)


test_loop, test_loop_by_dual_numbers, test_the_plain_loop_against_finite_differences = LOOPS.tests()


def test_second_derivatives():
    x = np.sin(np.arange(SIZE) * 2.3) * 0.6
    gradient = nopython.grad(walls)
    assert gradient(x.copy()) == pytest.approx(differences(walls, x), rel=1e-6, abs=1e-6)
    direction, step = np.cos(np.arange(float(SIZE))), 1e-6
    expected = (gradient(x + step * direction) - gradient(x - step * direction)) / (2 * step)
    assert nopython.hvp(walls)(x.copy(), direction) == pytest.approx(expected, rel=1e-6, abs=1e-6)
