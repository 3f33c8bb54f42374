"""Strips over the rows of two nested loops: grids that are gone through in every way, against forward mode.

That rows went together is seen by how few strips there are; that they did not, where a row reads what the row before it has
stored, by the result.
"""

import math

import numpy as np
import pytest
from numba import njit
from strip_loops import count_strips

from tapejit import nopython

SHAPES = (20, 21), (35, 26), (18, 40), (9, 17), (3, 30), (40, 5), (30, 9), (12, 12)
FUNCTIONS = {}


def together(f):
    """Rows of this function are expected to go together."""
    FUNCTIONS[f.__name__] = f, True
    return f


def apart(f):
    FUNCTIONS[f.__name__] = f, False
    return f


@together
def waves(x, steps):
    n, m = x.shape
    u, v, w = x.copy(), x * 0.5, np.zeros_like(x)
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                around = v[i + 1, j] + v[i - 1, j] + v[i, j + 1] + v[i, j - 1]
                w[i, j] = 2.0 * v[i, j] - u[i, j] + 0.1 * (around - 4.0 * v[i, j])
        u, v, w = v, w, u
    return np.sum(v * v)


@together
def in_place(x, steps):
    n, m = x.shape
    u, v = x.copy(), x * x
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(2, m - 1):
                u[i, j] = v[i, j] * v[i - 1, j - 2] - 0.3 * u[i, j]
        u, v = v, u
    return np.sum(u * v)


@together
def two_fields(x, steps):
    n, m = x.shape
    u, v = x.copy(), np.cos(x)
    for _ in range(steps):
        new_u, new_v = u.copy(), np.ones_like(v)
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                r = u[i, j] * v[i, j] * v[i, j]
                new_u[i, j] = u[i, j] + 0.1 * (u[i + 1, j] + u[i - 1, j] - 2.0 * u[i, j]) - r
                new_v[i, j] = v[i, j] + 0.1 * (v[i, j + 1] + v[i, j - 1] - 2.0 * v[i, j]) + 0.5 * r
        u, v = new_u, new_v
    return np.sum(u * u) + np.sum(v)


@together
def numbers_of_rows(x, steps):
    n, m = x.shape
    h = np.arange(n) * 0.1
    u = x.copy()
    i, last = 0, 0.0
    for t in range(steps):
        w = np.zeros((n, m))
        for i in range(n):
            a = math.sin(0.3 * i) + h[i] * t
            below = i - 1
            last = a * a
            for j in range(m):
                if below < 0:
                    w[i, j] = u[i, j] * a
                else:
                    w[i, j] = u[i, j] * a + u[below, j] * last / (1.0 + j) + i * u[i, m - 1]
        u = w
    return np.sum(u * u) + i * last * u[1, 1]


@apart
def from_row_to_row(x, steps):
    n, m = x.shape
    u = x.copy()
    for _ in range(steps):
        for i in range(1, n):
            for j in range(m):
                u[i, j] = 0.5 * u[i, j] + 0.3 * math.sin(u[i - 1, j])
    return np.sum(u * u)


@together
def from_three_rows_further(x, steps):
    n, m = x.shape
    u = x.copy()
    for _ in range(steps):
        for i in range(3, n):
            for j in range(m):
                u[i, j] = 0.5 * u[i, j] + 0.3 * u[i - 3, j] * u[i - 3, m - 1]
    return np.sum(u * u)


@together
def counted_from_the_end(x, steps):
    n, m = x.shape
    u = x.copy()
    for _ in range(steps):
        w = np.empty_like(u)
        for i in range(n):
            for j in range(m):
                w[i, j] = 0.7 * u[i - 1, j] + 0.2 * u[i, j] * u[i, -1]
        u = w
    return np.sum(u * u)


@together
def columns_first(x, steps):
    n, m = x.shape
    u = x.copy()
    for _ in range(steps):
        w = u.copy()
        for j in range(1, m - 1):
            for i in range(1, n - 1):
                w[i, j] = u[i, j] + 0.1 * (u[i + 1, j] + u[i, j - 1] - 2.0 * u[i, j]) * u[i, j]
        u = w
    return np.sum(u * u)


@together
def every_second_column(x, steps):
    n, m = x.shape
    big = np.zeros((n, 2 * m))
    for i in range(n):
        for j in range(m):
            big[i, j] = x[i, j] * x[i, j]
    u, w = big[:, ::2], big[:, 1::2]
    for _ in range(steps):
        for i in range(1, n):
            for j in range(m):
                w[i, j] = u[i, j] * 0.5 + u[i - 1, j]
    return np.sum(big * big)


@together
def roots_that_nobody_asks_for(x, steps):
    n, m = x.shape
    w = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            w[i, j] = math.sqrt(abs(x[i, j] - x[2, 3])) if steps > 0 else 0.0
    s = 0.0
    for i in range(n):
        for j in range(m):
            if abs(i - 2) + abs(j - 3) > 0:
                s += w[i, j]
    return s


@together
def with_branches(x, steps):
    n, m = x.shape
    u = x.copy()
    for _ in range(steps):
        w = np.zeros((n, m))
        for i in range(1, n):
            for j in range(1, m):
                d = u[i, j] - u[i - 1, j]
                if d > 0.0:
                    w[i, j] = d * d + u[i, j - 1]
                else:
                    w[i, j] = 0.5 * d
        u = w
    return np.sum(u * u)


@together
def carried_numbers(x, steps):
    n, m = x.shape
    u = x.copy()
    a = 1.0
    for _ in range(steps):
        w = np.zeros((n, m))
        for i in range(n):
            for j in range(m):
                w[i, j] = 0.5 * u[i, j] * a
        u = w
        for i in range(n):
            a = 0.9 * a + 0.01 * i
            for j in range(m):
                w[i, j] = a * u[i, j]
    return np.sum(u * u) * a


@apart
def triangles(x, steps):
    n, m = x.shape
    w = np.zeros((n, m))
    for _ in range(steps):
        for i in range(n):
            for j in range(i % 3, m):
                w[i, j] = x[i, j] * x[i, j] + 0.5 * w[i, j]
    return np.sum(w * w)


@together
def boxes(x, steps):
    n, m = x.shape
    u = np.zeros((4, n, m))
    for k in range(4):
        u[k] = x * (k + 1)
    for _ in range(steps):
        w = u.copy()
        for k in range(1, 3):
            for i in range(1, n - 1):
                for j in range(1, m - 1):
                    around = u[k + 1, i, j] + u[k - 1, i, j] + u[k, i + 1, j] + u[k, i - 1, j]
                    w[k, i, j] = 0.1 * (around + u[k, i, j + 1] + u[k, i, j - 1]) + u[k, i, j] * u[k, i, j]
        u = w
    return np.sum(u * u)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows(name):
    f, rows = FUNCTIONS[name]
    rng = np.random.default_rng(3)
    by_tape, forward, plain = nopython.value_and_grad(f, mode="tape"), nopython.jvp(f), njit(f)
    for n, m in SHAPES:
        x = np.cos(np.arange(n * m) * 1.7).reshape(n, m) + 0.1
        for steps in (1, 3, 4):
            nopython.free_memory()
            value, gradient = by_tape(x.copy(), steps)
            strips = count_strips(6 * (steps + 2) * n * m)
            assert value == pytest.approx(plain(x.copy(), steps), rel=1e-13)
            assert np.array_equal(by_tape(x.copy(), steps)[1], gradient), "adjoints are left clean"
            for direction in rng.standard_normal((3, n, m)):
                _, slope = forward(x.copy(), steps, direction)
                scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
                assert np.sum(gradient * direction) == pytest.approx(slope, abs=1e-12 * scale), (n, m, steps)
            if (n, m) == (35, 26) and steps == 4:
                assert (strips < 24 * steps) == rows, strips
