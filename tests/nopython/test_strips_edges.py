"""Strips along lines with edges and steps of their own, and at points without a derivative."""

import itertools
import math

import numpy as np
import pytest
from strip_loops import SIZE

from tapejit import nopython


def edges(x, n, kind, width):
    """Stencils over rows whose edges were filled in another way, some with coefficients that vary."""
    u = np.zeros(n)
    for i in range(width, n - width):
        u[i] = x[i] * x[i]
    for i in range(width):
        if kind == 1:
            u[i], u[n - 1 - i] = 0.5, x[3]
        elif kind == 2:
            u[i], u[n - 1 - i] = u[width], u[n - 1 - width]
        elif kind == 3:
            u[i], u[n - 1 - i] = x[i] * 2.0, x[1] * x[2]
        elif kind == 4:
            u[i], u[n - 1 - i] = x[i], x[n - 1 - i]
    s = 0.0
    for _ in range(3):
        v = np.zeros(n)
        w = np.zeros(n)
        for i in range(2, n - 2):
            c = u[i - 2] * u[i + 1] + u[i]
            v[i] = u[i] + 0.1 * (u[i - 1] + u[i + 1] - 2.0 * u[i]) - 0.05 * u[i - 2] + 0.02 * u[i + 2]
            w[i] = c * math.sqrt(u[i] * u[i] + u[i - 1] * u[i - 1] + 1.0)
            s += u[i - 2] * u[i + 2] + 0.3 * u[i + 1]
        for i in range(2, n - 2):
            u[i] = v[i - 1] - 0.5 * w[i + 1]
    m = np.zeros(n)
    for i in range(1, n - 1):
        m[i] = u[i - 1]
    for i in range(n):
        s += m[i] * u[i]
    return s


def test_edges():
    g, exact = (nopython.value_and_grad(edges, mode=mode) for mode in ("tape", "dual"))
    for width, kind, n in itertools.product(range(4), range(5), (18, 20, 21, 24, 27, 28, 29, 36, 37, 45)):
        x = np.cos(np.arange(n) * 1.7 + width) + 0.1
        value, gradient = g(x, n, kind, width)
        expected, other = exact(x, n, kind, width)
        assert value == pytest.approx(expected, rel=1e-13)
        wanted = pytest.approx(other, rel=1e-11, abs=1e-11 * np.abs(other).max())
        assert gradient == wanted, (width, kind, n)
        assert np.array_equal(g(x, n, kind, width)[1], gradient), "adjoints are left clean"


def columns_apart(x, m, n):
    """Columns of a matrix with ``m`` of them, whose statements are ``m`` apart."""
    u = np.zeros((n, m))
    for i in range(n):
        for k in range(m):
            u[i, k] = x[i] * x[(i + k) % n]
    force = np.zeros(m)
    pairs = np.zeros(n)
    for k in range(m):
        for i in range(n):
            if u[i, k] > 0.1:
                force[k] += u[i, k] * u[3, k] / (1.0 + u[i, 0] ** 2)
            pairs[i] = 2.0 * u[i, k] + u[i, m - 1] * u[i, 0] + pairs[i]
    return np.sum(force * force) + np.sum(pairs * pairs)


def test_statements_that_are_apart():
    g, exact = (nopython.value_and_grad(columns_apart, mode=mode) for mode in ("tape", "dual"))
    for m in range(1, 6):
        for n in (17, 24, 31, 40):
            x = np.cos(np.arange(n) * 1.7) + 0.1
            value, gradient = g(x, m, n)
            expected, other = exact(x, m, n)
            assert value == pytest.approx(expected, rel=1e-13)
            assert gradient == pytest.approx(other, rel=1e-11, abs=1e-11 * np.abs(other).max()), (m, n)
            assert np.array_equal(g(x, m, n)[1], gradient), "adjoints are left clean"


def test_one_infinite_coefficient_for_all_passes():
    def f(x, d):
        w = np.zeros(x.size)
        for i in range(1, x.size - 1):
            w[i] = (x[i - 1] + x[i + 1]) * (1.0 / d) + x[i]
        s = 0.0
        for i in range(x.size):
            s += w[i] if i % 2 else 0.0
        return s

    x, d = np.zeros(40), np.float64(5e-324)
    gradient = nopython.grad(f, mode="tape")(x, d)
    assert np.array_equal(np.isinf(gradient), np.arange(40) % 2 == 0)
    assert np.array_equal(gradient[1:-1:2], np.ones(19))


def divides(x, n):
    s = 0.0
    for i in range(SIZE):
        s += x[i] / x[n]
    return s


def test_division_by_zero_in_a_strip_raises():
    g = nopython.grad(divides, mode="tape")
    x = np.cos(np.arange(SIZE) * 1.7)
    expected = g(x, 4)
    zero = x.copy()
    zero[5] = 0.0
    with pytest.raises(ZeroDivisionError):
        g(zero, 5)
    assert np.array_equal(g(x, 4), expected), "the tape is as it was"
