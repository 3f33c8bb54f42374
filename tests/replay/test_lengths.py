"""Calls with other lengths: one program where loops go along them, and none where Python does otherwise at another length."""

import dataclasses
import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
from random_lengths import Function

import tapejit as tj

LENGTHS = (50, 60, 73, 20, 8, 9, 10, 11, 200, 1000, 0, 1, 2, 3, 7, 12, 61)
P = np.array([0.3, 0.6, 0.25])


def by_range(x, n):
    y = x[0]
    for _ in range(n):
        y = y * x[1] + tj.sin(y) * 0.1
    return y * x[2]


def by_counter(x, n):
    y = x[0]
    for i in range(n):
        y = y * x[1] + x[2] * i / (i + 1)
    return y / n if n else y


def backwards(x, n):
    y = x[0]
    for i in range(n - 1, -1, -1):
        y = y * x[1] + x[2] * (0.01 * i)
    return y


def from_one(x, n):
    y, z = x[0], x[1]
    for i in range(1, n + 1):
        y, z = z, y * x[2] + z * (1.0 / (i * i))
    return y + z


def with_reversed(x, n):
    y = x[0]
    for i in reversed(range(n)):
        y = y * x[1] + x[2] / (n - i)
    return y


def by_fori_loop(x, n):
    return tj.fori_loop(0, n, lambda i, y: y * x[1] + x[2] * i, x[0])


def with_defaults(x, n, dt=0.1, scale=2):
    y = x[0]
    for _ in range(n):
        y = y + dt * (x[1] - y) * scale
    return y * x[2]


def step(y, x, i):
    if i > 1000000:
        raise RuntimeError
    return y * x[1] + x[2] * i


def by_function(x, n):
    y = x[0]
    for i in range(n):
        y = step(y, x, i)
    return y


def early_values(x, n):
    """What the first passes leave is read after the loop."""
    y, first = x[0], x[1]
    for i in range(n):
        y = y * x[1] + x[2]
        if i == 0:
            first = y
    return y * first


def returns_count(x, n):
    y = x[0]
    for _ in range(n):
        y = y * x[1] + x[2]
    return y


def by_steps(x, n):
    """The step depends on their number."""
    dt, y, v = 1.0 / n if n else 1.0, x[0], x[1]
    for _ in range(n):
        y, v = y + dt * v, v - dt * x[2] * y / 2
    return y


NUMBERS = [
    by_range, by_counter, backwards, from_one, with_reversed, by_fori_loop, with_defaults, by_function, early_values,
    returns_count, by_steps,
]  # fmt: skip


def along(p, ys):
    v, total = p[0], 0.0
    for y in ys:
        v = p[0] + p[1] * v + p[2] * y**2
        total = total + tj.log(v) + y**2 / v
    return total


def by_index(p, ys):
    v, total = p[0], 0.0
    for t in range(len(ys)):
        v = p[0] + p[1] * v + p[2] * ys[t] ** 2
        total = total + v * ys[t]
    return total


def by_shape(p, ys):
    v = p[0] * 1.0
    for t in range(1, ys.shape[0]):
        v = p[1] * v + p[2] * ys[t] * ys[t - 1]
    return v


def mean(p, ys):
    total = 0.0
    for y in ys:
        total = total + (y - p[0]) ** 2 * p[1]
    return total / len(ys) + p[2] if len(ys) else p[0] * 1.0


def enumerated(p, ys):
    total = p[0]
    for i, y in enumerate(ys):
        total = total * p[1] + y * i
    return total * p[2]


def paired(p, ys):
    total = p[0]
    for a, b in zip(ys[1:], ys[:-1]):  # noqa: B905
        total = total * p[1] + a * b
    return total * p[2]


def from_the_end(p, ys):
    total = p[0]
    for i in range(len(ys) - 1, -1, -1):
        total = total * p[1] + ys[i]
    return total * p[2]


def smoothed(p, ys):
    """There and back."""
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    for i in range(len(ys)):
        a = a * p[2] + ys[len(ys) - 1 - i]
    return a


def branches(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
        if a < -100.0:
            a = a * 0.5
    return a * p[2]


def scanned(p, ys):
    def body(carry, y):
        v, total = carry
        v = p[0] + p[1] * v + p[2] * y**2
        return (v, total + tj.log(v)), None

    (v, total), _ = tj.scan(body, (p[0], 0.0), ys)
    return total + v


def scanned_back(p, ys):
    return tj.scan(lambda h, y: (tj.tanh(h * p[1] + y), None), p[0], ys, reverse=True)[0] * p[2]


def chosen(p, ys):
    a = p[0]
    for y in ys:
        a = tj.cond(a > -100.0, lambda a, y: a * p[1] + y, lambda a, y: a + y, a, y)
    return a


SERIES = [along, by_index, by_shape, mean, enumerated, paired, from_the_end, smoothed, branches, scanned, scanned_back, chosen]


def rows(w, ys):
    h, total = tj.zeros(3), 0.0
    for y in ys:
        h = tj.tanh(w @ y + 0.9 * h)
        total = total + (h * h).sum()
    return total


def by_states(w, ys):
    """A state that is put together anew in each pass."""
    s = tj.stack([w[0, 0], w[1, 1]])
    for y in ys:
        a, b = s
        s = tj.stack([a + 0.1 * b, b - 0.1 * a + y @ w[0]])
    return (s * s).sum()


def by_closures(w, ys):
    def body(h, y):
        rate = lambda x: x * 0.5  # noqa: E731
        return rate(h) + y @ w[1]

    h = w[0, 0]
    for y in ys:
        h = body(h, y)
    return h


def filtered(w, ys):
    """With arrays from outside."""
    m, c = tj.zeros(2), tj.eye(2)
    total = 0.0
    for y in ys:
        m, c = TURN @ m, TURN @ c @ TURN.T + tj.eye(2) * w[0, 0] ** 2
        gain = c[:, 0] / (c[0, 0] + 1.0)
        m, c = m + gain * (y[0] * w[1, 0] - m[0]), c - tj.outer(gain, c[0])
        total = total + (m * m).sum()
    return total


TURN = np.array([[0.9, 0.1], [-0.1, 0.9]])


def by_parameters(params, ys):
    h = tj.zeros(3)
    for y in ys:
        h = tj.tanh(params["w"] @ y + params["a"] * h)
    return h.sum()


def two_arrays(w, ys, us):
    h = tj.zeros(3)
    for y, u in zip(ys, us):  # noqa: B905
        h = 0.5 * h + w @ y * u
    return (h * h).sum()


def elements(w, ys):
    h = w[:, 0] * 0.0
    for t in range(ys.shape[0]):
        h = h * 0.9 + w[:, 0] * ys[t, 0] + w[:, 1] * ys[t][1]
    return h.sum()


def name(f):
    return f.__name__


def series(n, *shape):
    return np.sin(np.arange(n * math.prod(shape), dtype=float) * 1.7).reshape(n, *shape)


def programs(g):
    return [p for s in g._lengths.signatures() for p in s.paths.counted]


def compare(f, make, lengths=LENGTHS, how=tj.value_and_grad, **options):
    """The replayed function after the calls with some lengths, all as eager."""
    g, eager = how(f, compile="now", **options), how(f, compile="never", **options)
    for n in lengths:
        args = make(n)
        found, expected = g(*args), eager(*args)
        for a, b in zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=f"length {n}")
    return g


@pytest.mark.parametrize("f", NUMBERS, ids=name)
def test_numbers(f):
    g = compare(f, lambda n: (P, n), [n for n in LENGTHS if n or f is not with_reversed])
    assert programs(g)
    assert g.calls["recorded"] <= 3 + 6 + 2  # the first, those under 8, and two to find out what an int is


@pytest.mark.parametrize("f", SERIES, ids=name)
def test_series(f):
    g = compare(f, lambda n: (P, series(n)))
    assert programs(g)
    assert g.calls["recorded"] <= 3 + 6


@pytest.mark.parametrize("f", [rows, elements, by_states, by_closures, filtered], ids=name)
def test_rows(f):
    g = compare(f, lambda n: (np.linspace(-1, 1, 6).reshape(3, 2), series(n, 2)))
    assert programs(g)
    assert g.calls["recorded"] <= 3 + 6


def test_parameters_in_a_dict():
    params = {"w": np.linspace(-1, 1, 6).reshape(3, 2), "a": 0.9}
    g, eager = tj.value_and_grad(by_parameters, compile="now"), tj.value_and_grad(by_parameters, compile="never")
    for n in (50, 60, 70, 20, 33, 2):
        (value, found), (same, expected) = g(params, series(n, 2)), eager(params, series(n, 2))
        np.testing.assert_allclose(value, same, rtol=1e-10)
        np.testing.assert_allclose(found["w"], expected["w"], rtol=1e-10)
        np.testing.assert_allclose(found["a"], expected["a"], rtol=1e-10)
    assert g.calls["recorded"] == 4


class Pair(NamedTuple):
    w: object
    a: object


@dataclasses.dataclass
class Parameters:
    w: object
    a: object


@pytest.mark.parametrize("kind", [Pair, Parameters])
def test_parameters_with_names(kind):
    def f(params, ys):
        h = tj.zeros(3)
        for y in ys:
            h = tj.tanh(params.w @ y + params.a * h)
        return h.sum()

    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    params = kind(np.linspace(-1, 1, 6).reshape(3, 2), 0.9)
    for n in (50, 60, 70, 20, 33, 2):
        (value, found), (same, expected) = g(params, series(n, 2)), eager(params, series(n, 2))
        np.testing.assert_allclose(value, same, rtol=1e-10)
        np.testing.assert_allclose(found.w, expected.w, rtol=1e-10)
        np.testing.assert_allclose(found.a, expected.a, rtol=1e-10)
    assert g.calls["recorded"] == 4


def test_two_arrays_of_one_length():
    w = np.linspace(-1, 1, 6).reshape(3, 2)
    g = compare(two_arrays, lambda n: (w, series(n, 2), series(n)))
    assert programs(g)
    before = g.calls["recorded"]
    eager = tj.value_and_grad(two_arrays, compile="never")
    for n, m in ((50, 49), (30, 31), (90, 30)):
        args = w, series(n, 2), series(m)
        np.testing.assert_allclose(g(*args)[1], eager(*args)[1], rtol=1e-10)
    assert g.calls["recorded"] == before + 3


@pytest.mark.parametrize("f", [by_counter, early_values, by_fori_loop], ids=name)
def test_second_derivatives_of_numbers(f):
    g = compare(f, lambda n: (P, n), (50, 60, 70, 40, 90, 1), tj.hessian)
    assert programs(g) or f is early_values


@pytest.mark.parametrize("f", [along, paired, scanned], ids=name)
def test_second_derivatives_of_series(f):
    compare(f, lambda n: (P, series(n)), (50, 60, 70, 40, 90, 1), tj.hessian)


def test_single_precision():
    def make(n):
        return P.astype(np.float32), series(n).astype(np.float32)

    g, eager = tj.value_and_grad(along, compile="now"), tj.value_and_grad(along, compile="never")
    for n in (50, 60, 70, 80, 33):
        np.testing.assert_allclose(g(*make(n))[1], eager(*make(n))[1], rtol=1e-3)
    assert programs(g)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32])
@pytest.mark.parametrize("f", [mean, from_the_end, enumerated, smoothed], ids=name)
def test_arrays_of_other_kinds(f, dtype):
    compare(f, lambda n: (P, (np.arange(n) * 5 % 7).astype(dtype)), (50, 61, 70, 25, 90, 9))


def test_in_the_background():
    g, eager = tj.value_and_grad(along), tj.value_and_grad(along, compile="never")
    for n in (50, 60, 70, 80, 33, 44, 55):
        np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)
    assert g.wait(60)
    for n in range(90, 120):
        np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)
    assert g.calls["recorded"] == 3
    assert g.compiled


def test_tensors_and_names():
    g, eager = tj.value_and_grad(along, compile="now"), tj.value_and_grad(along, compile="never")
    for n in (50, 60, 70, 80, 33):
        np.testing.assert_allclose(g(tj.tensor(P), ys=tj.tensor(series(n)))[1], eager(P, series(n))[1], rtol=1e-10)
    assert g.calls["recorded"] == 3


def test_a_method():
    class Model:
        def __init__(self):
            self.scale = 0.5

        def loss(self, p, ys):
            a = p[0]
            for y in ys:
                a = self.passed(a, p) + y * self.scale
            return a * p[2]

        def passed(self, a, p):
            return a * p[1]

    model = Model()
    g, eager = tj.value_and_grad(model.loss, compile="now"), tj.value_and_grad(model.loss, compile="never")
    for n in (50, 60, 70, 80, 33):
        np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)
    assert g.calls["recorded"] == 3
    model.scale = 0.25
    for n in (50, 60, 70, 80, 33):
        np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)


def test_what_the_function_reads_changes():
    scale = 0.5

    def f(p, ys):
        a = p[0]
        for y in ys:
            a = a * p[1] + y * scale
        return a * p[2]

    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    for scale in (0.5, 0.75, 0.25, 1.5):  # noqa: B007
        for n in (50, 60, 70, 80, 33):
            np.testing.assert_allclose(g(P, series(n))[1], eager(P, series(n))[1], rtol=1e-10)


def test_counts_among_the_results():
    def f(p, ys):
        a = p[0]
        for y in ys:
            a = a * p[1] + y
        return a, len(ys), 7

    g, eager = tj.jit(f, compile="now"), tj.jit(f, compile="never")
    for n in (50, 60, 70, 80, 33):
        found, expected = g(P, series(n)), eager(P, series(n))
        assert found[1:] == expected[1:]
        assert type(found[1]) is int
    assert g.calls["recorded"] == 3


def test_an_error_beyond_the_end_of_an_array():
    def f(p, n):
        a = p[0]
        for i in range(n):
            a = a * 0.9 + p[i]
        return a

    g = compare(f, lambda n: (np.linspace(0, 1, 100), n), (50, 60, 70, 100, 99, 20), tj.jit)
    assert programs(g)
    g = compare(f, lambda n: (np.linspace(0, 1, 100), n), (50, 60, 70, 100, 99, 20))
    with pytest.raises(IndexError):
        g(np.linspace(0, 1, 100), 101)


# What Python decides by a length


def limit(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    return a * p[2] if len(ys) > 65 else a


def at_one_pass(p, ys):
    a = p[0]
    for i, y in enumerate(ys):
        a = a * p[1] + y
        if i == 64:
            a = a * 0.5
    return a


def before_the_end(p, ys):
    a = p[0]
    for i in range(len(ys)):
        a = a * p[1] + ys[i]
        if i == len(ys) - 2:
            a = a * 0.5
    return a


def every_third(p, ys):
    a = p[0]
    for i in range(len(ys)):
        a = a * p[1] + (ys[i] if i % 3 else 0.0)
    return a


def modulo(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    return a * (len(ys) % 7)


def from_a_list(p, ys):
    rates = [1.0] * 65 + [0.9] * 5000
    a = p[0]
    for i in range(len(ys)):
        a = a * p[1] * rates[i] + ys[i]
    return a


def by_python_count(p, ys):
    a, k = p[0], 0
    for y in ys:
        a = a * p[1] + y * (1.0 if k < 65 else 0.5)
        k = k + 1
    return a


def by_a_list_that_grows(p, ys):
    a, seen = p[0], []
    for y in ys:
        seen.append(y)
        a = a * p[1] + y * (1.0 if len(seen) < 65 else 0.5)
    return a


def by_an_iterator(p, ys):
    a, rates = p[0], iter([1.0] * 65 + [0.5] * 5000)
    for y in ys:
        a = a * p[1] + y * next(rates)
    return a


def by_an_inner_iterator(p, ys):
    a, rates = p[0], iter([1.0] * 65 + [0.5] * 5000)
    for y in ys:
        for rate in rates:
            a = a * p[1] + y * rate
            break
    return a


def by_endless_count(p, ys):
    a, count = p[0], itertools.count()
    for y in ys:
        for k in count:
            a = a * p[1] + y * (1.0 if k < 65 else 0.5)
            break
    return a


class Schedule:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return 1.0 if self.calls <= 65 else 0.5

    @property
    def rate(self):
        return self()

    def __mul__(self, other):
        return other * self()

    __rmul__ = __mul__


def by_an_object(p, ys):
    a, schedule = p[0], Schedule()
    for y in ys:
        a = a * p[1] + y * schedule()
    return a


def by_a_property(p, ys):
    a, schedule = p[0], Schedule()
    for y in ys:
        a = a * p[1] + y * schedule.rate
    return a


def by_an_operator(p, ys):
    a, schedule = p[0], Schedule()
    for y in ys:
        a = a * p[1] + schedule * y
    return a


SCHEDULE = Schedule()


class Truth:
    def __init__(self):
        self.calls = 0

    def __bool__(self):
        self.calls += 1
        return self.calls <= 65

    def __len__(self):
        return 1 + bool(self)

    def __float__(self):
        return 1.0 + bool(self)

    def __gt__(self, other):
        return bool(self)

    def __neg__(self):
        return 1.0 if self else 0.5

    def __contains__(self, x):
        return bool(self)


TRUTH = Truth()


def by_a_global_object(p, ys):
    a, SCHEDULE.calls = p[0], 0
    for y in ys:
        a = a * p[1] + SCHEDULE * y
    return a


def reset():
    SCHEDULE.calls = TRUTH.calls = 0
    return 1.0


def by_an_object_from_outside(p, ys):
    a = p[0] * reset()
    for y in ys:
        a = a * p[1] + y * SCHEDULE
    return a


def by_its_truth(p, ys):
    a = p[0] * reset()
    for y in ys:
        a = a * p[1] + (y if TRUTH else 0.5 * y)
    return a


def by_not_its_truth(p, ys):
    a = p[0] * reset()
    for y in ys:
        a = a * p[1] + (0.5 * y if not TRUTH else y)
    return a


def by_its_length(p, ys):
    a = p[0] * reset()
    for y in ys:
        a = a * p[1] + y * len(TRUTH)
    return a


def by_its_value(p, ys):
    a = p[0] * reset()
    for y in ys:
        a = a * p[1] + y * float(TRUTH)
    return a


def by_its_order(p, ys):
    a = p[0] * reset()
    for y in ys:
        a = a * p[1] + (y if TRUTH > 0 else 0.5 * y)
    return a


def by_its_sign(p, ys):
    a = p[0] * reset()
    for y in ys:
        a = a * p[1] + y * -TRUTH
    return a


def by_what_it_contains(p, ys):
    a = p[0] * reset()
    for y in ys:
        a = a * p[1] + (y if 1 in TRUTH else 0.5 * y)
    return a


def by_a_ufunc_of_python(p, ys):
    calls = []

    def rate(x):
        calls.append(1)
        return 1.0 if len(calls) <= 65 else 0.5

    made = np.frompyfunc(rate, 1, 1)
    a = p[0]
    for y in ys:
        a = a * p[1] + y * float(made(1.0))
    return a


def by_a_closure(p, ys):
    calls = 0

    def rate():
        nonlocal calls
        calls += 1
        return 1.0 if calls <= 65 else 0.5

    a = p[0]
    for y in ys:
        a = a * p[1] + y * rate()
    return a


def by_a_default(p, ys):
    def rate(calls=[]):  # noqa: B006
        calls.append(1)
        return 1.0 if len(calls) <= 65 else 0.5

    a = p[0]
    for y in ys:
        a = a * p[1] + y * rate()
    return a


def by_a_dict(p, ys):
    a, seen = p[0], {"n": 0}
    for y in ys:
        seen["n"] += 1
        a = a * p[1] + y * (1.0 if seen["n"] <= 65 else 0.5)
    return a


def by_an_array(p, ys):
    a, seen = p[0], np.zeros(1)
    for y in ys:
        seen += 1.0
        a = a * p[1] + y * (1.0 if seen[0] <= 65 else 0.5)
    return a


def by_an_array_of_another_name(p, ys):
    a, seen = p[0], np.zeros(1)
    again = seen
    for y in ys:
        again += 1.0
        a = a * p[1] + y * (1.0 if seen[0] <= 65 else 0.5)
    return a


def by_error(p, ys):
    a, rates = p[0], [1.0] * 65
    for i, y in enumerate(ys):
        try:
            a = a * p[1] * rates[i] + y
        except IndexError:
            a = a * 0.5
    return a


def by_text(p, ys):
    a = p[0]
    for i, y in enumerate(ys):
        a = a * p[1] + y * (0.5 if f"{i:03d}"[1] == "7" else 1.0)
    return a


def by_a_comprehension(p, ys):
    a = p[0]
    for y in [y * (1.0 if i < 65 else 0.5) for i, y in enumerate(ys)]:
        a = a * p[1] + y
    return a


def by_break(p, ys):
    a = p[0]
    for i, y in enumerate(ys):
        a = a * p[1] + y
        if i == 64:
            break
    return a


def a_mean_too(p, ys):
    a, centre = p[0], ys.mean()
    for y in ys:
        a = a * p[1] + (y - centre)
    return a


def a_mean_in_each(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + (y - ys.mean())
    return a


def a_sum_of_all(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    return a + (ys * p[2]).sum()


def last_of_all(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    return a * ys[-1] + ys[3]


def the_twelfth(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y * ys[11]
    return a


def with_squares_of_counters(p, ys):
    a = p[0]
    for i, y in enumerate(ys):
        a = a * p[1] + y * (i * i % 5)
    return a


def along_two_thirds(p, ys):
    a = p[0]
    for i in range(0, len(ys), 3):
        a = a * p[1] + ys[i]
    return a


def half(p, ys):
    a = p[0]
    for i in range(len(ys) // 2):
        a = a * p[1] + ys[i]
    return a


def nested(p, ys):
    a = p[0]
    for i in range(len(ys)):
        for j in range(len(ys)):
            a = a * p[1] + ys[i] * ys[j]
    return a


def until(p, ys):
    a, i = p[0], 0
    while i < len(ys):
        a = a * p[1] + ys[i]
        i += 1
    return a


def last_counter(p, ys):
    a = p[0]
    for i, y in enumerate(ys):  # noqa: B007
        a = a * p[1] + y
    return a * (1.0 if i < 65 else 0.5)


def by_sign(p, ys):
    """A decision in each pass that the data make."""
    a = p[0]
    for y in ys:
        a = a * p[1] + (y if y > 0.2 else -y)
    return a


def until_large(p, ys):
    a = p[0]
    for y in ys:
        a = a + tj.abs(y) * p[1]
        if a > 40:
            break
    return a * p[2]


def windows(p, ys):
    a = p[0]
    for i in range(2, len(ys) - 2):
        a = a * p[1] + ys[i - 2] * ys[i + 2] + ys[i : i + 2].sum()
    return a


STEERED = [
    limit, at_one_pass, before_the_end, every_third, modulo, from_a_list, by_python_count, by_a_list_that_grows, by_an_iterator,
    by_an_inner_iterator, by_endless_count, by_an_object, by_a_property, by_an_operator, by_a_closure, by_a_default, by_a_dict,
    by_an_array, by_an_array_of_another_name, by_error, by_text, by_a_comprehension, by_break, a_mean_too, a_mean_in_each,
    a_sum_of_all, last_of_all, the_twelfth, with_squares_of_counters, along_two_thirds, half, until, last_counter, by_sign,
    until_large, windows, by_a_global_object, by_an_object_from_outside, by_its_truth, by_not_its_truth, by_its_length,
    by_its_value, by_its_order, by_its_sign, by_what_it_contains, by_a_ufunc_of_python,
]  # fmt: skip


@pytest.mark.parametrize("f", STEERED, ids=name)
def test_what_python_decides_by_a_length_is_not_left_out(f):
    compare(f, lambda n: (P, series(n)), (50, 57, 62, 75, 64, 65, 66, 67, 100, 20, 19, 12))


def test_loops_in_one_another():
    compare(nested, lambda n: (P, series(n)), (9, 10, 11, 12, 15))


@pytest.mark.parametrize("turn", [64, 65, 66])
@pytest.mark.parametrize("decide", [lambda n, t: n == t, lambda n, t: n >= t, lambda n, t: not n < t, lambda n, t: t <= n - 1])
def test_the_length_at_which_a_comparison_turns(decide, turn):
    def f(p, n):
        a = p[0]
        for _ in range(n):
            a = a * p[1] + p[2]
        return a * 0.5 if decide(n, turn) else a

    compare(f, lambda n: (P, n), (50, 55, 60, *range(62, 69), 80, 90))


@pytest.mark.parametrize("place", [0, 1, 2, 3, 5, 40, -1, -2, -3, -5])
def test_a_pass_that_differs(place):
    def f(p, ys):
        a = p[0]
        for i in range(len(ys)):
            a = a * p[1] + ys[i]
            if i == (place if place >= 0 else len(ys) + place):
                a = a * p[2]
        return a

    compare(f, lambda n: (P, series(n)), (50, 57, 62, 75, 39, 40, 41, 42, 8, 9, 10, 100))


def agrees(seed, lengths=(50, 57, 62, 75, 64, 66, 13, 8, 120, 3)):
    """Whether a random function became a program for all lengths; all results are those of eager execution."""
    f = Function(seed).function
    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    for n in lengths:
        args = np.array([0.3, 0.6, 0.25]), series(n), series(n, 2), n
        for a, b in zip(g(*args), eager(*args), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=f"seed {seed}, length {n}")
    return bool(programs(g))


@pytest.mark.parametrize("seed", range(12))
def test_random_functions(seed):
    agrees(seed)


if __name__ == "__main__":  # python tests/replay/test_lengths.py FIRST COUNT
    import sys

    first, count = map(int, sys.argv[1:])
    print(sum(map(agrees, range(first, first + count))), "of", count, "functions are one program for all lengths")
