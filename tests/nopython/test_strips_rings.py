"""Loops over rings and tori, whose indices are remainders: strips end where an index begins anew."""

import numpy as np
import pytest
from finite_differences import differences
from numba import njit
from random_programs import exactly
from strip_loops import Loops, count_strips

from tapejit import nopython

RINGS = Loops()


@RINGS.strips
def neighbours(x):
    n = x.size
    u = x * x
    for _ in range(3):
        v = np.zeros(n)
        for i in range(n):
            v[i] = u[i] + 0.1 * (u[(i - 1) % n] - 2.0 * u[i] + u[(i + 1) % n]) - 0.01 * u[(i + 7) % n] ** 2
        u = v
    return np.sum(u * u)


@RINGS.strips
def several_times_around(x):
    n, m = x.size, x.size // 2
    s = 0.0
    for i in range(-n, 3 * n):
        s += x[i % n] * x[(i - m) % n] * (i % n) + x[(2 * n + i) % n]
    return s


@RINGS.strips
def a_ring_of_another_size(x):
    n, m = x.size, x.size // 2 + 3
    s = 0.0
    for i in range(n):
        k = (i + 2) % m
        s += x[i] * x[k] / (1.0 + k)
    return s


@RINGS.strips
def torus(x):
    n = x.size
    u = np.zeros((5, n))
    for i in range(5):
        for j in range(n):
            u[i, j] = x[j] * x[(i + j) % n] + 0.1 * i
    e = 0.0
    for i in range(5):
        for j in range(n):
            e -= u[i, j] * (u[(i + 1) % 5, j] + u[i, (j + 1) % n] - u[(i - 1) % 5, (j - 1) % n])
    return e


@RINGS.strips
def stored_on_a_ring(x):
    n = x.size
    u, v = np.zeros(n), np.zeros(n)
    for i in range(n):
        u[(i + 3) % n] = x[i] * x[0]
        v[(i - 2) % n] += u[(i + 3) % n] * x[(i + 1) % n]
    return np.sum(u * v)


@RINGS.strips
def a_remainder_of_a_remainder(x):
    n = x.size
    s = 0.0
    for i in range(n - 1):
        j = (i + 5) % n
        s += x[(j - 5) % (n - 2)] * x[j]
    return s


@RINGS.passes
def a_recurrence_on_a_ring(x):
    n = x.size
    for i in range(2 * n):
        x[(i + 1) % n] = x[(i + 1) % n] + 0.5 * x[i % n] * x[(i - 1) % n]
    return np.sum(x)


@RINGS.strips
def parities(x):
    n = x.size
    u = np.zeros(n)
    for i in range(n):
        if i % 2 == 0:
            u[i] = x[i] * x[i]
        else:
            u[i] = x[i] * (i % 5)
    return np.sum(u * u)


@RINGS.passes
def short_rings(x):
    s = 0.0
    for i in range(x.size):
        s += x[i % 4] * x[(i + 1) % 3]
    return s


@pytest.mark.parametrize("name", RINGS)
def test_rings(name):
    f, strips = RINGS[name]
    nopython.free_memory()
    g = nopython.value_and_grad(f, mode="tape")
    for n in (45, 17, 32, 18, 16, 9):
        x = np.cos(np.arange(n) * 1.7) + 0.1
        value, gradient = g(x.copy())
        if n == 45:
            assert bool(count_strips(10 * n)) == strips
        expected, exact = exactly(f, x)
        assert value == pytest.approx(expected, rel=1e-12)
        assert gradient == pytest.approx(exact, rel=1e-11, abs=1e-11 * np.abs(exact).max()), n
        assert np.array_equal(g(x.copy())[1], gradient), "adjoints are left clean"
        plain = differences(f, x)
        assert exact == pytest.approx(plain, rel=1e-5, abs=1e-6 * max(1.0, np.abs(plain).max()))


@njit
def with_modulus(x, m):
    s = 0.0
    for i in range(x.size):
        s += x[i] * x[i % m]
    return s


def test_a_modulus_that_is_not_positive():
    x = np.linspace(0.5, 1.5, 40)
    g = nopython.grad(with_modulus, mode="tape")
    for m in (-7, -39):  # remainders from 1 - |m| to 0: from the end
        assert g(x, m) == pytest.approx(differences(lambda y, m=m: with_modulus(y, m), x), rel=1e-6)
    with pytest.raises(ZeroDivisionError):
        g(x, 0)
