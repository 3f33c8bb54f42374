"""Loops recorded in strips: every shape of loop against the same loop in plain Python, and that strips are used.

Where a loop carries something from pass to pass, the passes must be recorded one by one; the result shows it.
"""

import itertools
import math

import numpy as np
import pytest
from finite_differences import differences
from numba import njit
from random_programs import exactly

from tapejit import nopython
from tapejit.nopython import statementtape as tape
from tapejit.nopython.memory import get_thread_tape, read
from tapejit.nopython.statementtape import STRIP

SIZE = 45
POINT = np.cos(np.arange(SIZE) * 1.7) + 0.1
LOOPS = {}


def loop(strips):
    """Register a loop; ``strips``: whether strips are expected on its tape."""

    def enter(f):
        LOOPS[f.__name__] = (f, strips)
        return f

    return enter


@njit
def count_strips(statements):
    counts = read(get_thread_tape(1), tape.COUNTS, 0)
    found = 0
    for k in range(statements):
        found += read(counts, k, np.int32(0)) == STRIP
    return found


@loop(True)
def stencil(x):
    w = np.zeros(SIZE)
    for _ in range(3):
        for i in range(1, SIZE - 1):
            w[i] = x[i] + 0.1 * (x[i - 1] - 2.0 * x[i] + x[i + 1]) - 0.01 * x[i] ** 3
        for i in range(1, SIZE - 1):
            x[i] = w[i]
    return np.sum(x * x)


@loop(True)
def running_sum(x):
    s = 0.0
    for i in range(SIZE - 1):
        s += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return s


@loop(True)
def sums_that_begin_active(x):
    s = x[0] * x[1]
    t = x[2]
    for i in range(SIZE):
        s -= math.sin(x[i]) * x[3]
        t += x[i] * i
        s += 1.5
    return s * t


@loop(True)
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


@loop(True)
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


@loop(True)
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


@loop(False)
def forward_dependence(x):
    for i in range(1, SIZE):
        x[i] = 0.5 * x[i] + math.sin(x[i - 1])
    return np.sum(x)


@loop(True)
def backward_dependence(x):
    for i in range(SIZE - 1):
        x[i] = 0.5 * x[i] + math.sin(x[i + 1])
    return np.sum(x * x)


@loop(False)
def far_dependence(x):
    for i in range(5, SIZE):
        x[i] = x[i] * x[i - 5]
    return np.sum(x)


@loop(True)
def dependence_beyond_the_loop(x):
    for i in range(22, 44):
        x[i] = x[i] * x[i - 22]
    return np.sum(x * x)


@loop(True)
def in_place(x):
    for i in range(SIZE):
        x[i] *= 1.0 + 0.1 * x[i]
        x[i] -= 2.0
    return np.sum(x * x)


@loop(True)
def read_after_write(x):
    w = np.zeros(SIZE)
    s = 0.0
    for i in range(SIZE):
        w[i] = x[i] * x[i]
    for i in range(SIZE):
        w[i] = w[i] * x[0]
        s += w[i]
    return s


@loop(False)
def stored_twice_and_read(x):
    w = np.zeros(SIZE + 1)
    s = 0.0
    for i in range(SIZE):
        w[i] = x[i] * x[i]
        w[i + 1] = w[i] * x[0]
        w[i] = w[i] * 2.0 + x[i]
        s += w[i] * x[1]
    return s + w[1] * w[2] + w[SIZE - 1]


@loop(False)
def stored_through_another_index(x):
    w = np.zeros(SIZE + 1)
    s = 0.0
    for i in range(SIZE):
        w[i] = x[i] * x[i]
        w[SIZE - i] = x[0] * x[i]
        s += w[i] * x[1]
    return s + w[1] * w[2] + w[SIZE - 1]


@loop(True)
def copied_and_read(x):
    w = np.zeros(SIZE)
    v = np.zeros(SIZE)
    for i in range(SIZE):
        w[i] = x[i]
        v[i] = w[i] * w[i]
        w[i] = 1.0
        v[i] += w[i] * w[i]
    return np.sum(v * w)


@loop(False)
def overlapping_views(x):
    a, b = x[1:], x[:-1]
    for i in range(SIZE - 1):
        a[i] = b[i] * 1.1
    for i in range(SIZE - 1):
        b[i] = a[i] * b[i]
    return x[1] * x[2] + x[SIZE - 1]


@loop(True)
def swapped_arrays(x):
    u, w = x.copy(), np.zeros(SIZE)
    for _ in range(4):
        for i in range(1, SIZE - 1):
            w[i] = u[i - 1] * u[i + 1] * 0.5 + u[i]
        u, w = w, u
    return np.sum(u * u) + np.sum(w)


@loop(True)
def rows_of_one_matrix(x):
    a = np.zeros((6, SIZE))
    for i in range(SIZE):
        a[0, i] = x[i]
    for t in range(5):
        u, w = a[t], a[(t + 1) % 5]
        for i in range(SIZE):
            w[i] = math.sin(u[i]) + u[0]
    return np.sum(a * a)


@loop(True)
def wraps_around(x):
    w = np.zeros(SIZE)
    for i in range(SIZE):
        w[i] = x[i - 1] * x[i]
    for i in range(SIZE):
        w[i] += x[-1] * x[i - 3]
    return np.sum(w * w)


@loop(False)
def steps_of_two(x):
    for i in range(0, SIZE, 2):
        x[i] = x[i] * x[i]
    for i in range(SIZE - 1, -1, -1):
        x[i] = x[i] * 2.0 + x[0] * x[i]
    return np.sum(x)


@loop(True)
def multiples_of_the_counter(x):
    w = np.zeros(2 * SIZE + 1)
    for i in range(SIZE):
        w[2 * i] = x[i] * x[i]
        w[2 * i + 1] = x[SIZE - 1 - i] * 3.0
    s = 0.0
    for i in range(SIZE):
        s += w[2 * i] * w[2 * i + 1]
    return s


@loop(True)
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


@loop(True)
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


@loop(True)
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


@loop(True)
def temporaries(x):
    w = np.zeros(SIZE)
    for i in range(SIZE):
        p = x[i] * x[i]
        q = math.exp(-p)
        w[i] = p * q + max(p, 0.3) - abs(x[i])
    return np.sum(w * w)


@loop(False)
def carried_scalar(x):
    p = 1.0
    w = np.zeros(SIZE)
    for i in range(SIZE):
        p = 0.5 * p + x[i]
        w[i] = p * p
    return np.sum(w)


@loop(False)
def scalar_used_behind(x):
    p = 1.0
    w = np.zeros(SIZE)
    for i in range(SIZE):
        p = x[i] * x[i]
        w[i] = p * p
    return np.sum(w) * p


@loop(True)
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


@loop(True)
def many_terms(x):
    w = np.zeros(SIZE)
    for i in range(6, SIZE - 6):
        w[i] = (
            x[i - 6] * x[i - 5] + x[i - 4] * x[i - 3] + x[i - 2] * x[i - 1] + x[i] * x[i + 1]
            + x[i + 2] * x[i + 3] + x[i + 4] * x[i + 5] * x[i + 6]
        )  # fmt: skip
    return np.sum(w * w)


@loop(True)
def passive_arrays(x):
    data = np.arange(SIZE)
    w = np.zeros(SIZE)
    work = np.zeros(SIZE, dtype=np.int64)
    for i in range(SIZE):
        work[i] = 2 * data[i]
        w[i] = x[i] * data[i] + x[i] ** 2 * work[i]
    return np.sum(w)


@loop(True)
def division(x):
    s = 0.0
    for i in range(SIZE):
        s += x[i] / (2.0 + x[i] * x[i])
    return s


@loop(True)
def sum_of_an_unchanged_element(x):
    s = 0.0
    for i in range(SIZE):
        s += x[3] * 2.0 + x[i]
    return s * s


@loop(True)
def sum_in_two_loops(x):
    s = 0.0
    for i in range(SIZE):
        s += x[i] * x[i]
    t = s * x[0]
    for i in range(SIZE):
        s += math.sin(x[i])
    return s * t


@loop(False)
def sum_begun_anew(x):
    s = x[0]
    for i in range(SIZE):
        s = x[i] * x[i]
    return s


@loop(True)
def array_expressions(x):
    w = x * x + 0.5 * np.sin(x)
    w += x
    return np.sum(w * x[0])


@loop(True)
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


@loop(True)
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


@loop(True)
def a_value_of_two_branches(x):
    s = 0.0
    for i in range(SIZE):
        e = x[i] * x[i] if x[i] > 0.2 else math.sin(x[i])
        s += e * x[0]
    return s


@loop(False)
def left_early(x):
    s = 0.0
    for i in range(SIZE):
        if i > 40:
            break
        s += x[i] * x[i]
    return s


@loop(True)
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


@loop(True)
def an_element_that_passes_read(x):
    w = np.ones(SIZE)
    for i in range(SIZE):
        x[40] += x[i] * 0.1
    for i in range(SIZE):
        w[2] += x[i] * x[i]
        w[4] = w[2] * x[i]
    return w[2] * x[3] * w[4]


@loop(True)
def coefficients_of_several_terms(x):
    w = np.zeros((2, SIZE))
    for i in range(1, SIZE - 1):
        c = x[0] * i
        w[0, i] = c * (x[i - 1] + x[i + 1] - x[i])
        w[1, i] = c * (x[i - 1] + x[i])
    return np.sum(w[0] * w[1])


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
    for width, kind, n in itertools.product(range(4), range(4), (18, 20, 21, 24, 27, 28, 29, 36, 37, 45)):
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


@pytest.mark.parametrize("name", LOOPS)
def test_loop(name):
    f, strips = LOOPS[name]
    nopython.free_memory()
    value_and_grad = nopython.value_and_grad(f, mode="tape")
    value, gradient = value_and_grad(POINT.copy())
    assert bool(count_strips(10 * SIZE)) == strips
    expected, exact = exactly(f, POINT)
    assert value == pytest.approx(expected, rel=1e-13)
    assert gradient == pytest.approx(exact, rel=1e-11, abs=1e-11 * np.abs(exact).max())
    _, again = value_and_grad(POINT.copy())
    assert np.array_equal(again, gradient), "adjoints are left clean"


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOPS)
def test_loop_by_dual_numbers(name):
    f, _ = LOOPS[name]
    value, gradient = nopython.value_and_grad(f, mode="dual")(POINT.copy())
    expected, exact = exactly(f, POINT)
    assert value == pytest.approx(expected, rel=1e-13)
    assert gradient == pytest.approx(exact, rel=1e-11, abs=1e-11 * np.abs(exact).max())


@pytest.mark.parametrize("name", LOOPS)
def test_the_plain_loop_against_finite_differences(name):
    f, _ = LOOPS[name]
    value, gradient = exactly(f, POINT)
    assert value == pytest.approx(f(POINT.copy()), rel=1e-13)
    expected = differences(f, POINT)
    assert gradient == pytest.approx(expected, rel=1e-5, abs=1e-6 * max(1.0, np.abs(expected).max()))


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


def test_second_derivatives_and_nesting():
    f = LOOPS["running_sum"][0]
    x = np.cos(np.arange(SIZE) * 1.7)
    from scipy.optimize import rosen_hess

    assert nopython.hessian(f)(x)[2] == pytest.approx(rosen_hess(x), rel=1e-11, abs=1e-9)
    g = nopython.grad(f, mode="tape")

    def norm(x):
        return np.sum(g(x) ** 2)

    assert nopython.grad(norm, mode="tape")(x) == pytest.approx(2 * rosen_hess(x) @ g(x), rel=1e-10)


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
