"""Tapes: exceptions, limits, growth, threads, prange."""

import math
import threading

import numpy as np
import pytest
from numba import njit, prange

from tapejit import nopython


def recurrence(x, n):
    s = 0.0
    for i in range(n):
        s = s * 0.5 + x[0] * x[1] * (i % 7)
    return s


recurrence_gradient = nopython.value_and_grad(recurrence)


def raising(x):
    y = x[0] * x[1]
    if y > 10:
        raise ValueError("too large")
    return y * y


raising_gradient = nopython.grad(raising)


def test_an_exception_leaves_the_tape_usable():
    for _ in range(3):
        with pytest.raises(ValueError, match="too large"):
            raising_gradient(np.array([11.0, 2.0]))
        assert raising_gradient(np.array([1.0, 2.0])) == pytest.approx(np.array([8.0, 4.0]))


def test_an_exception_in_a_nested_gradient():
    inner = raising_gradient

    def f(x):
        return inner(x)[0]

    g = nopython.grad(f)
    expected = g(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="too large"):
        g(np.array([11.0, 2.0]))
    assert g(np.array([1.0, 2.0])) == pytest.approx(expected)


def test_division_by_zero_is_raised():
    g = nopython.grad(lambda x: x[0] / x[1])
    with pytest.raises(ZeroDivisionError):
        g(np.array([1.0, 0.0]))
    assert g(np.array([1.0, 2.0])) == pytest.approx(np.array([0.5, -0.25]))


def test_the_memory_limit():
    x = np.array([1.0, 2.0])
    expected = recurrence_gradient(x, 100_000)[1]
    before = nopython.memory_limit()
    nopython.set_memory_limit(1 << 20)
    try:
        assert recurrence_gradient(x, 1_000)[0] > 0
        with pytest.raises(MemoryError, match="set_memory_limit"):
            recurrence_gradient(x, 100_000)
        assert recurrence_gradient(x, 1_000)[0] > 0
    finally:
        nopython.set_memory_limit(before)
    assert recurrence_gradient(x, 100_000)[1] == pytest.approx(expected)
    nopython.free_memory()
    assert recurrence_gradient(x, 100_000)[1] == pytest.approx(expected)


def slopes_in_common(x):
    s = 0.0
    for _ in range(20):
        for i in range(len(x) - 2):
            s += math.exp(math.sin(x[i] + x[i + 1] + x[i + 2]))
    return s


def test_terms_that_share_a_slope_share_its_place():
    g = nopython.grad(slopes_in_common)
    x = np.linspace(0.0, 3.0, 2000)
    expected = 20 * np.convolve(np.ones(3), (lambda r: np.exp(np.sin(r)) * np.cos(r))(x[:-2] + x[1:-1] + x[2:]))
    before = nopython.memory_limit()
    nopython.set_memory_limit(80_000 * 24)  # 40 000 coefficients
    try:
        np.testing.assert_allclose(g(x), expected)
    finally:
        nopython.set_memory_limit(before)


def test_too_many_inputs_for_the_limit():
    g = nopython.grad(lambda x: np.sum(x))
    before = nopython.memory_limit()
    nopython.set_memory_limit(1 << 16)
    try:
        with pytest.raises(MemoryError):
            g(np.zeros(100_000))
    finally:
        nopython.set_memory_limit(before)
    assert g(np.zeros(10)).tolist() == [1.0] * 10


def counted(x, calls):
    calls[0] += 1
    s = 0.0
    for i in range(1_000_000):
        s = s * 0.5 + x[0] * x[1] * (i % 7)
    return s


def test_a_function_runs_once_however_the_tape_grows():
    nopython.free_memory()
    calls = np.zeros(1, dtype=np.int64)
    nopython.grad(counted)(np.array([1.0, 2.0]), calls)
    assert calls[0] == 1


@njit(parallel=True)
def many_parallel(points, gradients, values, n):
    for k in prange(points.shape[0]):
        value, gradient = recurrence_gradient(points[k], n)
        values[k] = value
        gradients[k] = gradient


@njit
def many_serial(points, gradients, values, n):
    for k in range(points.shape[0]):
        value, gradient = recurrence_gradient(points[k], n)
        values[k] = value
        gradients[k] = gradient


def test_prange_equals_the_serial_loop():
    points = np.random.default_rng(0).normal(size=(500, 2))
    results = []
    for run in (many_serial, many_parallel):
        gradients, values = np.empty_like(points), np.empty(500)
        run(points, gradients, values, 50)
        results.append((gradients, values))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])


def test_python_threads():
    x = np.array([0.5, 2.0])
    expected = recurrence_gradient(x, 2_000)[1]
    found = []

    def work():
        found.append(all(np.array_equal(recurrence_gradient(x, 2_000)[1], expected) for _ in range(50)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


def test_every_refusal_leaves_the_tape_empty():
    """Wrong shapes are found before anything is recorded; the memory of an empty tape can be exchanged."""
    into = nopython.value_and_grad(lambda x: x[0] * x[1], mode="tape").into
    product = nopython.hvp(lambda x: x[0] * x[0] * x[1])
    for _ in range(3):
        with pytest.raises(ValueError, match="shape"):
            into(np.ones(2), np.ones(3))
        with pytest.raises(ValueError, match="shape"):
            product(np.ones(2), np.ones(3))
    assert product(np.array([1.0, 2.0]), np.array([1.0, 0.0])).tolist() == [4.0, 2.0]
    test_the_memory_limit()
