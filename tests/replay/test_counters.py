"""Loops that end when the data say so and that Python counts: one program for every number of passes, and never a wrong one."""

import itertools

import numpy as np
import pytest
from random_counters import Program

import tapejit as tj


def beside(x):
    y, n = x[0], 0
    while y > 0.01:
        y = y * x[1]
        n += 1
    return y * x[2]


def with_limit(x):
    y, n = x[0], 0
    while y > 0.01 and n < 1000:
        y = y * x[1]
        n += 1
    return y * x[2]


def read_after(x):
    y, n = x[0], 0
    while y > 0.01:
        y = y * x[1]
        n += 1
    return y * n + x[2] / (n + 1)


def mean(x):
    y, total, n = x[0], 0.0, 0
    while y > 0.01:
        total = total + y
        y = y * x[1]
        n += 1
    return total / n


def series(x):
    term, total, n = x[0], x[2], 0
    while term > 1e-4:
        n += 1
        term = term * x[1] * n / (n + 1)
        total = total + term
    return total


def temporary(x):
    y, n = x[0], 0
    while y > 0.01:
        n += 1
        h = 1.0 / (n * (n + 1))
        y = y * x[1] - y * x[2] * h
    return y * x[2]


def over_a_range(x):
    y = x[0]
    for i in range(3000):
        y = y * x[1] + 1e-9 * i
        if y < 0.01:
            break
    else:
        raise RuntimeError
    return y * x[2] * i


def downwards(x):
    y, most = x[0], 3000
    for i in range(most, 0, -2):
        if y < 0.01:
            break
        y = y * x[1] + x[2] * 1e-9 * (2 * i - 1)
    return y


def endless(x):
    y = x[0]
    for i in itertools.count():
        y = y * x[1] + x[2] * 1e-9 * i
        if y < 0.01:
            break
    return y * x[2]


def damped(y, x, i):
    return y * x[1] + 1e-9 * i


def by_function(x):
    y = x[0]
    for i in range(3000):
        y = damped(y, x, i)
        if y < 0.01:
            break
    return y * x[2]


class Solver:
    def __init__(self):
        self.most, self.tol = 3000, 0.01

    def __call__(self, x):
        y, it = x[0], 0
        while y > self.tol and it < self.most:
            y = y * x[1]
            it += 1
        return y * x[2]


def as_form(x):
    def body(state):
        n, y, total = state
        return n + 1, y * x[1], total + y * n

    n, _, total = tj.while_loop(lambda state: (state[1] > 0.01) & (state[0] < 2000), body, (0, x[0], x[2]))
    return total / n


def newton(x):
    y = x[0] * 1.0
    for _ in range(1, 100):
        step = (y * y - x[1]) / (2 * y) * 0.3
        y = y - step
        if abs(step) < 1e-10:
            break
    return y * x[2]


def after_a_while(x):
    """The first passes differ."""
    y, n, z = x[0], 0, x[2]
    while y > 0.01:
        n += 1
        y = y * x[1]
        if n > 5:
            z = z + y
    return z * min(n, 12)


def vectors(x):
    y, n = x * 1.0, 0
    while tj.sum(y * y) > 1e-3:
        y = y * x[1] + x * (1e-9 * n)
        n += 1
    return tj.sum(y * x) * n


COUNTED = [
    beside, with_limit, read_after, mean, series, temporary, over_a_range, downwards, endless, by_function, Solver(), as_form,
    newton, after_a_while, vectors,
]  # fmt: skip


def programs(g):
    return [p for s in g._signatures.values() for p in s.paths.counted]


def name(f):
    return getattr(f, "__name__", type(f).__name__)


@pytest.mark.parametrize("f", COUNTED, ids=name)
def test_other_counts_are_the_same_program(f):
    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    for rate in [*np.linspace(0.9, 0.99, 8), 0.93, 0.985]:
        x = np.array([0.9, rate, 0.2])
        for a, b in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert programs(g)
    assert g.calls["recorded"] < 5


@pytest.mark.parametrize("f", [read_after, temporary], ids=name)
def test_second_derivatives(f):
    g, eager = tj.hessian(f, compile="now"), tj.hessian(f, compile="never")
    for rate in np.linspace(0.8, 0.93, 7):
        x = np.array([0.9, rate, 0.2])
        np.testing.assert_allclose(g(x), eager(x), rtol=1e-9, atol=1e-10)
    assert g.calls["recorded"] < 7


def test_single_precision():
    g, eager = tj.value_and_grad(over_a_range, compile="now"), tj.value_and_grad(over_a_range, compile="never")
    for rate in np.linspace(0.9, 0.99, 8):
        x = np.array([0.9, rate, 0.2], np.float32)
        np.testing.assert_allclose(g(x)[1], eager(x)[1], rtol=1e-3)


def test_counts_among_the_results_are_integers():
    def f(x):
        y, n = x[0], 0
        while y > 0.01:
            y = y * x[1]
            n += 1
        return y, n, {"twice": 2 * n, "seven": 7}

    g, eager = tj.jit(f, compile="now"), tj.jit(f, compile="never")
    for rate in np.linspace(0.9, 0.99, 10):
        x = np.array([0.9, rate])
        found, expected = g(x), eager(x)
        assert found[1:] == expected[1:]
        assert type(found[1]) is int
        assert type(found[2]["twice"]) is int
    assert g.calls["recorded"] < 4


def test_a_limit_that_is_reached_is_another_path():
    g, eager = tj.value_and_grad(with_limit, compile="now"), tj.value_and_grad(with_limit, compile="never")
    for rate in (0.9, 0.95, 0.99, 0.9999, 0.97, 0.99999, 0.995):
        x = np.array([0.9, rate, 0.2])
        for a, b in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert programs(g)


@pytest.mark.parametrize("limit", [30, 31, 32, 33])
@pytest.mark.parametrize("compare", [lambda n, limit: n == limit, lambda n, limit: n >= limit, lambda n, limit: not n < limit])
def test_the_pass_in_which_a_comparison_turns_is_not_passed_over(compare, limit):
    def f(x):
        y, n = x[0], 0
        while y > 0.5:
            y = y - x[1]
            n += 1
            if compare(n, limit):
                y = y * 0.9
        return y * x[2] * n

    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    for count in (12, 20, *range(26, 38)):
        x = np.array([1.0, 0.5 / (count - 0.5), 0.2])
        for a, b in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    assert programs(g)


# What Python decides by a counter


def cut_off(x):
    y, n = x[0], 0
    while y > 0.01:
        y = y * x[1]
        n += 1
    return y * x[2] if n > 40 else y


def at_one_count(x):
    y, n = x[0], 0
    while y > 0.01:
        y = y * x[1]
        n += 1
        if n == 60:
            y = y * 0.9
    return y


def every_third(x):
    y, n, z = x[0], 0, x[2]
    while y > 0.01:
        y = y * x[1]
        if n % 3 == 0:
            z = z + y
        n += 1
    return z


def from_a_list(x):
    rates = [1.0] * 50 + [0.9] * 5000
    y, n = x[0], 0
    while y > 0.01:
        y = y * x[1] * rates[n]
        n += 1
    return y


def steered(y, n):
    return y * 0.9 if n > 50 else y * 0.95


def by_a_function_that_decides(x):
    y, n = x[0], 0
    while y > 0.01:
        y = steered(y * x[1], n)
        n += 1
    return y


def by_locals(x):
    y, n = x[0], 0
    while y > 0.01:
        y = y * x[1] * (1.0 if locals()["n"] < 40 else 0.9)
        n += 1
    return y


def by_a_closure(x):
    y, n = x[0], 0

    def factor():
        return 1.0 if n < 40 else 0.9

    while y > 0.01:
        y = y * x[1] * factor()
        n += 1
    return y


def by_error(x):
    y, n, rates = x[0], 0, [1.0] * 45
    while y > 0.01:
        try:
            y = y * x[1] * rates[n]
        except IndexError:
            y = y * 0.9
        n += 1
    return y


def by_text(x):
    y, n = x[0], 0
    while y > 0.01:
        y = y * x[1] * (0.9 if f"{n:03d}"[1] == "6" else 1.0)
        n += 1
    return y


def by_identity(x):
    y, n, forty = x[0], 0, 40
    while y > 0.01:
        y = y * x[1] * (0.9 if n is forty else 1.0)
        n += 1
    return y


def one_for_another(x):
    y, n, m = x[0], 0, 41
    while y > 0.01:
        y = y * x[1] * (1.0 if (n, m) < (41, 0) else 0.9)
        n, m = n + 1, m
    return y


def by_steps(x):
    y, steps = x[0], iter(range(45))
    for _ in range(5000):
        y = y * x[1] * (1.0 if next(steps, None) is not None else 0.9)
        if y < 0.01:
            break
    return y


def along_a_list(x):
    y = x[0]
    for rate in [1.0] * 45 + [0.9] * 5000:
        y = y * x[1] * rate
        if y < 0.01:
            break
    return y


def changed_range(x):
    y, n = x[0], 5000
    for _ in range(n):
        n = 7
        y = y * x[1]
        if y < 0.01:
            break
    return y * n


STEERED = [
    cut_off, at_one_count, every_third, from_a_list, by_a_function_that_decides, by_locals, by_a_closure, by_error, by_text,
    by_identity, one_for_another, by_steps, along_a_list, changed_range,
]  # fmt: skip


@pytest.mark.parametrize("f", STEERED, ids=name)
def test_what_python_decides_by_a_counter_is_not_left_out(f):
    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    for rate in (0.7, 0.8, 0.86, 0.9, 0.92, 0.96, 0.87):
        x = np.array([0.9, rate, 0.2])
        for a, b in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def agrees(seed):
    program = Program(seed)
    make = {"has_aux": program.counts}
    g = tj.value_and_grad(program.function, compile="now", **make)
    eager = tj.value_and_grad(program.function, compile="never", **make)
    for rate in (0.75, 0.85, 0.92, 0.96, 0.94, 0.9, 0.965):
        x = np.linspace(0.9, 0.1, 40)
        x[1] = rate
        try:
            (expected, slope), aux = eager(x), None
        except (IndexError, ZeroDivisionError) as error:
            with pytest.raises(type(error)):
                g(x)
            continue
        value, gradient = g(x)
        if program.counts:
            (value, found), (expected, aux) = value, expected
            assert repr(found) == repr(aux), program.source
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-11, err_msg=program.source)
        np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-11, err_msg=program.source)


@pytest.mark.filterwarnings("ignore:tapejit")
@pytest.mark.parametrize("seed", range(4))
def test_random_loops_that_count(seed):
    agrees(seed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:tapejit")
@pytest.mark.parametrize("first", range(4, 204, 10))
def test_many_random_loops_that_count(first):
    for seed in range(first, first + 10):
        agrees(seed)
