"""Strips end before a pass that reads what one of their own passes stored, and go on behind it."""

import math

import numpy as np
import pytest
from finite_differences import differences
from strip_loops import SIZE, Loops

from tapejit import nopython

LOOPS = Loops()


@LOOPS.strips
def parts_of_twenty(x):
    for i in range(20, SIZE):
        x[i] = x[i] * x[i - 20] + math.sin(x[i])
    return np.sum(x * x)


@LOOPS.strips
def an_element_that_a_pass_stores(x):
    for i in range(SIZE):
        x[i] = math.sin(x[i] * x[25])
    for i in range(SIZE):
        x[i] *= 2.0 - x[44] * x[0]
    return np.sum(x * x)


@LOOPS.strips
def an_element_read_behind_its_store(x):
    s = 0.0
    for i in range(SIZE):
        x[i] = math.sin(x[i])
        s += x[i] * x[27]
    return s


@LOOPS.strips
def every_other_element(x):
    for i in range(20):
        x[2 * i] = x[2 * i + 1] * x[3] + x[36]
    return np.sum(x * x)


@LOOPS.strips
def backwards_through_its_own(x):
    for i in range(20):
        x[40 - i] = x[40 - i] * x[21] - 0.1 * x[24]
    return np.sum(x * x)


@LOOPS.strips
def smallest_detours(x):
    """Rows and columns are read while they are stored (Floyd and Warshall's way, a few rounds of it)."""
    d = x.copy().reshape((3, 15))
    w = np.zeros((2, 20))
    for i in range(40):
        w[i % 2, i // 2] = x[i] + 2.0
    for k in range(20):
        for i in range(2):
            for j in range(20):
                w[i, j] = min(w[i, j], 0.5 * w[i, k] + w[1 - i, j] * 0.7)
    return np.sum(w * w) + d[1, 2]


@LOOPS.passes
def looks_that_are_put_off(x):
    """The looks of three rounds fail, more and more passes apart: the last one is put off into the fourth."""
    for r in range(4):
        far = 20 if r == 3 else 1
        for i in range(far, SIZE):
            x[i] = 0.5 * x[i] + 0.1 * x[i - far]
    return x[30] * x[44]


test_loop, test_loop_by_dual_numbers, test_the_plain_loop_against_finite_differences = LOOPS.tests()


def all_pairs(w):
    n = w.shape[0]
    d = w.copy()
    for k in range(n):
        for i in range(n):
            for j in range(n):
                d[i, j] = min(d[i, j], d[i, k] + d[k, j])
    return np.sum(d * d)


def test_all_pairs_of_nodes():
    w = np.random.default_rng(3).uniform(0.1, 1.0, (24, 24))
    value, gradient = nopython.value_and_grad(all_pairs)(w)
    assert value == pytest.approx(all_pairs(w), rel=1e-13)
    assert gradient == pytest.approx(differences(all_pairs, w), rel=1e-6, abs=1e-6)
    direction, step = np.random.default_rng(4).normal(size=w.shape), 1e-6
    grad = nopython.grad(all_pairs)
    expected = (grad(w + step * direction) - grad(w - step * direction)) / (2 * step)
    assert nopython.hvp(all_pairs)(w, direction) == pytest.approx(expected, rel=1e-6, abs=1e-6)
