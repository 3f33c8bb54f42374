"""Strips that add to running sums, and scalars that passes leave to the next one."""

import math

import numpy as np
import pytest
from scipy.optimize import rosen_hess
from strip_loops import SIZE, Loops

from tapejit import nopython

LOOPS = Loops()


@LOOPS.strips
def running_sum(x):
    s = 0.0
    for i in range(SIZE - 1):
        s += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return s


@LOOPS.strips
def sums_along_lines_of_every_kind(x):
    y = np.zeros(3 * SIZE)
    for k in range(1, 3 * SIZE - 1):
        y[k] = x[k % SIZE] * x[0]
    y[0] = x[1] * x[2]
    s = t = 0.0
    for j in range(SIZE):
        s += y[j] * y[3 * j] + y[j + SIZE] * 2.0 + y[2 * SIZE - j] * x[4]
    for j in range(2 * SIZE, 3 * SIZE):
        t += y[j] + x[j - 2 * SIZE] * y[j]
    return s * t


@LOOPS.strips
def a_sum_that_nothing_depends_on(x):
    s = t = 0.0
    for j in range(SIZE):
        s += 0.01 * x[j] * x[j]
        t += x[j] * x[j]
    return max(s, t)


@LOOPS.strips
def sums_in_two_blocks_of_a_pass(x):
    s = 0.0
    for i in range(1, SIZE - 1):
        d = x[i] * x[0] + x[2]
        s += x[i] * x[i]
        if x[i] > 0.1 or x[i - 1] > 0.3:
            s -= d * x[3]
    return s


@LOOPS.strips
def sums_in_blocks_one_after_the_other(x):
    s = 0.0
    for i in range(1, SIZE - 1):
        s += x[i] * x[i]
        if x[i] > 0.1:
            s -= x[i] * x[3]
        elif x[i] > -0.5:
            s += x[i - 1] * x[3]
        s += x[i + 1] * x[4]
    return s


@LOOPS.strips
def sums_that_begin_active(x):
    s = x[0] * x[1]
    t = x[2]
    for i in range(SIZE):
        s -= math.sin(x[i]) * x[3]
        t += x[i] * i
        s += 1.5
    return s * t


@LOOPS.strips
def sum_over_rows(x):
    a = x[:42].reshape((2, 21))
    s = 0.0
    for i in range(2):
        for j in range(21):
            s += a[i, j] * a[1 - i, j]
    for j in range(21):
        for i in range(2):
            s += math.exp(0.1 * a[i, j])
    return s


@LOOPS.strips
def sum_of_an_unchanged_element(x):
    s = 0.0
    for i in range(SIZE):
        s += x[3] * 2.0 + x[i]
    return s * s


@LOOPS.strips
def sum_in_two_loops(x):
    s = 0.0
    for i in range(SIZE):
        s += x[i] * x[i]
    t = s * x[0]
    for i in range(SIZE):
        s += math.sin(x[i])
    return s * t


@LOOPS.passes
def sum_begun_anew(x):
    s = x[0]
    for i in range(SIZE):
        s = x[i] * x[i]
    return s


@LOOPS.strips
def elements_that_all_passes_add_to(x):
    f = np.zeros((2, 3))
    f[1, 2] = x[7]
    before = f[1, 2]
    g = np.zeros(3)
    g[0] = f[1, 2]
    for i in range(SIZE):
        f[0, 1] += x[i] * x[i]
        f[1, 2] -= 0.5 * x[i] * x[3]
        f[0, 1] += 1.0
    behind = f[1, 2] * f[0, 1]
    for i in range(SIZE):
        f[1, 2] += math.sin(x[i])
    return behind * before + g[0] * f[1, 2] + f[0, 1]


@LOOPS.strips
def an_element_that_passes_read(x):
    w = np.ones(SIZE)
    for i in range(SIZE):
        x[40] += x[i] * 0.1
    for i in range(SIZE):
        w[2] += x[i] * x[i]
        w[4] = w[2] * x[i]
    return w[2] * x[3] * w[4]


@LOOPS.strips
def pairs_but_one(x):
    f = np.zeros((SIZE, 2))
    for i in range(0, SIZE, 4):
        for j in range(SIZE):
            if i != j:
                d = x[j] - x[i]  # of itself, a division by zero
                w = 1.0 / (d * d * math.sqrt(d * d))
                f[i, 0] += w * d
                f[i, 1] -= w
    return np.sum(f[:, 0] * f[:, 1]) * 1e-9


@LOOPS.passes
def carried_scalar(x):
    p = 1.0
    w = np.zeros(SIZE)
    for i in range(SIZE):
        p = 0.5 * p + x[i]
        w[i] = p * p
    return np.sum(w)


@LOOPS.passes
def scalar_used_behind(x):
    p = 1.0
    w = np.zeros(SIZE)
    for i in range(SIZE):
        p = x[i] * x[i]
        w[i] = p * p
    return np.sum(w) * p


@LOOPS.passes
def left_early(x):
    s = 0.0
    for i in range(SIZE):
        if i > 40:
            break
        s += x[i] * x[i]
    return s


@LOOPS.strips
def counters(x):
    w = np.zeros(SIZE)
    k = 0
    t = 0.0
    last = 0
    for i in range(SIZE):
        w[i] = x[i] * t * k
        k += 1
        t = t + 0.1
        last = i
    return np.sum(w) * k * t * last * i


test_loop, test_loop_by_dual_numbers, test_the_plain_loop_against_finite_differences = LOOPS.tests()


def test_second_derivatives_and_nesting():
    f, _ = LOOPS["running_sum"]
    x = np.cos(np.arange(SIZE) * 1.7)
    assert nopython.hessian(f)(x)[2] == pytest.approx(rosen_hess(x), rel=1e-11, abs=1e-9)
    g = nopython.grad(f, mode="tape")

    def norm(x):
        return np.sum(g(x) ** 2)

    assert nopython.grad(norm, mode="tape")(x) == pytest.approx(2 * rosen_hess(x) @ g(x), rel=1e-10)
