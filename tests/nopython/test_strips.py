"""Loops recorded in strips: every shape of loop against the same loop in plain Python, and that strips are used.

Where a loop carries something from pass to pass, the passes must be recorded one by one; the result shows it.
"""

import math

import numpy as np
import pytest
from random_programs import exactly
from strip_loops import SIZE, Loops

from tapejit import nopython

LOOPS = Loops()


@LOOPS.strips
def stencil(x):
    w = np.zeros(SIZE)
    for _ in range(3):
        for i in range(1, SIZE - 1):
            w[i] = x[i] + 0.1 * (x[i - 1] - 2.0 * x[i] + x[i + 1]) - 0.01 * x[i] ** 3
        for i in range(1, SIZE - 1):
            x[i] = w[i]
    return np.sum(x * x)


@LOOPS.strips
def columns(x):
    a = np.zeros((SIZE, 3))
    for i in range(SIZE):
        a[i, 1] = x[i] * x[i]
    for i in range(SIZE):
        a[i, 0] = a[i, 1] * 2.0 - x[i]
        a[i, 2] = math.cos(x[i])
    s = 0.0
    for i in range(SIZE):
        s += a[i, 0] * a[i, 2]
    return s


@LOOPS.strips
def three_dimensions(x):
    a = np.zeros((2, 2, SIZE))
    for p in range(2):
        for q in range(2):
            for i in range(SIZE):
                a[p, q, i] = x[i] * (p + 2 * q) + x[i] * x[i]
    s = 0.0
    for i in range(SIZE):
        s += a[0, 1, i] * a[1, 0, i]
    return s


@LOOPS.passes
def forward_dependence(x):
    for i in range(1, SIZE):
        x[i] = 0.5 * x[i] + math.sin(x[i - 1])
    return np.sum(x)


@LOOPS.strips
def backward_dependence(x):
    for i in range(SIZE - 1):
        x[i] = 0.5 * x[i] + math.sin(x[i + 1])
    return np.sum(x * x)


@LOOPS.passes
def far_dependence(x):
    for i in range(5, SIZE):
        x[i] = x[i] * x[i - 5]
    return np.sum(x)


@LOOPS.strips
def dependence_beyond_the_loop(x):
    for i in range(22, 44):
        x[i] = x[i] * x[i - 22]
    return np.sum(x * x)


@LOOPS.strips
def in_place(x):
    for i in range(SIZE):
        x[i] *= 1.0 + 0.1 * x[i]
        x[i] -= 2.0
    return np.sum(x * x)


@LOOPS.strips
def read_after_write(x):
    w = np.zeros(SIZE)
    s = 0.0
    for i in range(SIZE):
        w[i] = x[i] * x[i]
    for i in range(SIZE):
        w[i] = w[i] * x[0]
        s += w[i]
    return s


@LOOPS.passes
def stored_twice_and_read(x):
    w = np.zeros(SIZE + 1)
    s = 0.0
    for i in range(SIZE):
        w[i] = x[i] * x[i]
        w[i + 1] = w[i] * x[0]
        w[i] = w[i] * 2.0 + x[i]
        s += w[i] * x[1]
    return s + w[1] * w[2] + w[SIZE - 1]


@LOOPS.passes
def stored_through_another_index(x):
    w = np.zeros(SIZE + 1)
    s = 0.0
    for i in range(SIZE):
        w[i] = x[i] * x[i]
        w[SIZE - i] = x[0] * x[i]
        s += w[i] * x[1]
    return s + w[1] * w[2] + w[SIZE - 1]


@LOOPS.strips
def copied_and_read(x):
    w = np.zeros(SIZE)
    v = np.zeros(SIZE)
    for i in range(SIZE):
        w[i] = x[i]
        v[i] = w[i] * w[i]
        w[i] = 1.0
        v[i] += w[i] * w[i]
    return np.sum(v * w)


@LOOPS.passes
def overlapping_views(x):
    a, b = x[1:], x[:-1]
    for i in range(SIZE - 1):
        a[i] = b[i] * 1.1
    for i in range(SIZE - 1):
        b[i] = a[i] * b[i]
    return x[1] * x[2] + x[SIZE - 1]


@LOOPS.strips
def swapped_arrays(x):
    u, w = x.copy(), np.zeros(SIZE)
    for _ in range(4):
        for i in range(1, SIZE - 1):
            w[i] = u[i - 1] * u[i + 1] * 0.5 + u[i]
        u, w = w, u
    return np.sum(u * u) + np.sum(w)


@LOOPS.strips
def rows_of_one_matrix(x):
    a = np.zeros((6, SIZE))
    for i in range(SIZE):
        a[0, i] = x[i]
    for t in range(5):
        u, w = a[t], a[(t + 1) % 5]
        for i in range(SIZE):
            w[i] = math.sin(u[i]) + u[0]
    return np.sum(a * a)


@LOOPS.strips
def wraps_around(x):
    w = np.zeros(SIZE)
    for i in range(SIZE):
        w[i] = x[i - 1] * x[i]
    for i in range(SIZE):
        w[i] += x[-1] * x[i - 3]
    return np.sum(w * w)


@LOOPS.passes
def steps_of_two(x):
    for i in range(0, SIZE, 2):
        x[i] = x[i] * x[i]
    for i in range(SIZE - 1, -1, -1):
        x[i] = x[i] * 2.0 + x[0] * x[i]
    return np.sum(x)


@LOOPS.strips
def multiples_of_the_counter(x):
    w = np.zeros(2 * SIZE + 1)
    for i in range(SIZE):
        w[2 * i] = x[i] * x[i]
        w[2 * i + 1] = x[SIZE - 1 - i] * 3.0
    s = 0.0
    for i in range(SIZE):
        s += w[2 * i] * w[2 * i + 1]
    return s


@LOOPS.strips
def uneven_numbers(x):
    w = np.zeros(SIZE)
    for i in range(SIZE):
        w[(7 * i) % SIZE] = x[i] * x[i]
    s = 0.0
    for i in range(SIZE):
        s += w[i] * x[i]
    for i in range(SIZE):
        w[i] = w[i] * x[i]
    for i in range(SIZE):
        s += w[i] * x[i]
    return s


@LOOPS.strips
def constants_among_variables(x):
    w = np.ones(SIZE)
    for i in range(20):
        w[i] = x[i] * x[i]
    s = 0.0
    for i in range(SIZE):
        s += w[i] * x[i]
    for i in range(SIZE):
        w[i] = 2.0 * i
    for i in range(SIZE):
        s += w[i] * x[i] + w[i]
    return s


@LOOPS.strips
def scalars_from_outside(x):
    a = x[0] * x[1]
    b = math.sin(x[2])
    w = np.zeros(SIZE)
    for i in range(SIZE):
        w[i] = a * x[i] + b
    s = 0.0
    for i in range(SIZE):
        s += w[i] * w[i] * a
    return s


@LOOPS.strips
def temporaries(x):
    w = np.zeros(SIZE)
    for i in range(SIZE):
        p = x[i] * x[i]
        q = math.exp(-p)
        w[i] = p * q + max(p, 0.3) - abs(x[i])
    return np.sum(w * w)


@LOOPS.strips
def many_terms(x):
    w = np.zeros(SIZE)
    for i in range(6, SIZE - 6):
        w[i] = (
            x[i - 6] * x[i - 5] + x[i - 4] * x[i - 3] + x[i - 2] * x[i - 1] + x[i] * x[i + 1]
            + x[i + 2] * x[i + 3] + x[i + 4] * x[i + 5] * x[i + 6]
        )  # fmt: skip
    return np.sum(w * w)


@LOOPS.strips
def passive_arrays(x):
    data = np.arange(SIZE)
    w = np.zeros(SIZE)
    work = np.zeros(SIZE, dtype=np.int64)
    for i in range(SIZE):
        work[i] = 2 * data[i]
        w[i] = x[i] * data[i] + x[i] ** 2 * work[i]
    return np.sum(w)


@LOOPS.strips
def division(x):
    s = 0.0
    for i in range(SIZE):
        s += x[i] / (2.0 + x[i] * x[i])
    return s


@LOOPS.strips
def array_expressions(x):
    w = x * x + 0.5 * np.sin(x)
    w += x
    return np.sum(w * x[0])


@LOOPS.strips
def coefficients_of_several_terms(x):
    w = np.zeros((2, SIZE))
    for i in range(1, SIZE - 1):
        c = x[0] * i
        w[0, i] = c * (x[i - 1] + x[i + 1] - x[i])
        w[1, i] = c * (x[i - 1] + x[i])
    return np.sum(w[0] * w[1])


test_loop, test_loop_by_dual_numbers, test_the_plain_loop_against_finite_differences = LOOPS.tests()


def test_loops_of_any_length():
    def f(x):
        w = np.zeros(x.size)
        for i in range(x.size):
            w[i] = x[i] * x[i] + x[0]
        s = 0.0
        for i in range(1, x.size):
            s += w[i] * w[i - 1]
        return s + w[-1]

    gradient = nopython.grad(f)
    for size in (1, 2, 15, 16, 17, 18, 33, 300):
        x = np.linspace(-1.0, 1.0, size)
        assert gradient(x) == pytest.approx(exactly(f, x)[1], rel=1e-12, abs=1e-12), size


def test_float32():
    def f(x):
        w = np.zeros(x.size, dtype=np.float32)
        for i in range(x.size):
            w[i] = x[i] * x[i]
        s = 0.0
        for i in range(x.size):
            s += w[i] * x[i]
        return s

    x = np.linspace(-1.0, 1.0, 40).astype(np.float32)
    gradient = nopython.grad(f)(x)
    assert gradient.dtype == np.float32
    assert gradient == pytest.approx(3 * x**2, rel=1e-5, abs=1e-6)


def test_an_exception_in_the_middle_of_a_strip():
    def f(x):
        s = 0.0
        for i in range(x.size):
            s += 1.0 / x[i]
        return s

    g = nopython.grad(f)
    x = np.linspace(1.0, 2.0, 60)
    bad = x.copy()
    bad[30] = 0.0
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            g(bad)
        assert g(x) == pytest.approx(-1.0 / x**2)


def repeated(x, n):
    u = x.copy()
    for _ in range(n):
        for i in range(1, x.size - 1):
            u[i] = u[i] + 0.1 * (u[i + 1] - u[i]) * u[i]
    return np.sum(u)


def test_strips_respect_the_memory_limit():
    g = nopython.grad(repeated, mode="tape")
    x = np.linspace(0.1, 1.0, 100)
    before = nopython.memory_limit()
    expected = g(x, 20)
    nopython.set_memory_limit(1 << 18)
    try:
        assert g(x, 20) == pytest.approx(expected)
        with pytest.raises(MemoryError):
            g(x, 2000)
        assert g(x, 20) == pytest.approx(expected)
    finally:
        nopython.set_memory_limit(before)


def test_jacobian_over_strips():
    def f(x):
        w = np.zeros(x.size)
        for i in range(1, x.size):
            w[i] = x[i] * x[i - 1]
        return w

    x = np.linspace(1.0, 2.0, 30)
    _, jacobian = nopython.jacobian(f)(x)
    expected = np.zeros((30, 30))
    for i in range(1, 30):
        expected[i, i], expected[i, i - 1] = x[i - 1], x[i]
    assert jacobian == pytest.approx(expected)
