"""Numbers from outside that change between calls: constants first, read at every call once they only enter arithmetic."""

import contextlib
import dataclasses
import linecache
import math
import sys
import threading

import numpy as np
import pytest

import tapejit as tj
from tapejit.replay import capturednumbers, recordings

X = np.array([0.3, 0.2, 0.5])
rate, steps = 1.0, 1


@dataclasses.dataclass
class Schedule:
    beta: float = 1.0


class Model:
    def __init__(self):
        self.T, self.cfg, self.schedule, self.calls, self.n = 1.0, {"lam": 0.5, "name": "a"}, Schedule(), 0, 1

    def energy(self, x):
        return (x * x / self.T).sum() + tj.exp(-x / self.T).sum() * self.cfg["lam"]

    def nested(self, x):
        return self.helper(x) if self.schedule.beta > 0.5 else 2 * self.helper(x)

    def helper(self, x):
        return (x * x).sum() * self.schedule.beta


model = Model()
LIST = [0.5, 1.0, "text"]


def decay_list(k):
    LIST[0] *= 0.97
    if k % 9 == 5:
        LIST[2] = "other" if LIST[2] == "text" else "text"


def of_globals(x):
    return (x * x * rate).sum() + 0.9**steps * x.sum()


def arithmetic(x):
    return (x * np.sqrt(rate)).sum() * (1 - rate) / (1 + rate) ** 2 + min(rate, 0.5)


def helped(x):
    return of_globals(x) + (lambda y: y * rate)(x).sum()


def keyed(x):
    return {1.0: x.sum(), 0.5: 2 * x.sum()}.get(rate, 3 * x.sum())


def by_math(x):
    return (x * math.exp(rate)).sum()


def by_kind(x):
    return x.sum() * (rate if isinstance(rate, float) else 7.0)


def written(x):
    return x.sum() * len(f"{rate:.5f}".rstrip("0")) * rate


def powers(x):
    return (x**rate).sum()


def later(x):
    """On its other way the number is a length."""
    return (x * steps).sum() if x[0] > 0 else x[: min(int(steps), 2)].sum() + sum(range(steps))


def refused_later(x):
    return (x * rate).sum() if x[0] > 0 else (x * (rate if type(rate) is float else 9.0)).sum() + math.floor(rate)


def decay_globals(k):
    global rate, steps
    rate *= 0.97
    steps += 1


def decay_model(k):
    model.T *= 0.97
    model.cfg["lam"] *= 1.01
    model.schedule.beta *= 0.97


@pytest.fixture(autouse=True)
def _as_before():
    global rate, steps, model
    yield
    rate, steps, model = 1.0, 1, Model()
    LIST[:] = 0.5, 1.0, "text"


def compared(f, change, policy="auto", calls=60, points=(X,)):
    """Whether replayed gradients are the eager ones while something changes; the replayed function."""
    g, eager = tj.value_and_grad(f, compile=policy), tj.value_and_grad(f, compile="never")
    for k in range(calls):
        x = points[k % len(points)]
        for found, expected in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        change(k)
    return g


RUN_TIME = {
    "globals": (of_globals, decay_globals),
    "arithmetic": (arithmetic, decay_globals),
    "an element": (lambda x: (x * LIST[0]).sum() * (2 if LIST[2] == "text" else 3), decay_list),
    "a helper's": (helped, decay_globals),
    "attributes and entries": (lambda x: model.energy(x), decay_model),
    "a dataclass's, decided": (lambda x: model.nested(x), decay_model),
}


@pytest.mark.parametrize("policy", ["auto", "now"])
@pytest.mark.parametrize("name", RUN_TIME)
def test_become_run_time_values(name, policy):
    g = compared(*RUN_TIME[name], policy)
    assert g.calls["recorded"] <= 16
    assert g.calls["eager"] <= 10


def test_a_closure_variable():
    t = 1.0

    def f(x):
        return (x / t + 1 / t).sum()

    def change(k):
        nonlocal t
        t *= 0.95

    assert compared(f, change, "now").calls["recorded"] <= 4


def test_a_method_of_several_objects():
    class Line:
        def __init__(self, slope):
            self.slope = slope

        @tj.value_and_grad
        def loss(self, x):
            return (x * self.slope).sum()

    lines = [Line(float(k)) for k in range(3)]
    for k in range(30):
        for line in lines:
            value, gradient = line.loss(X)
            assert value == pytest.approx(X.sum() * line.slope)
            np.testing.assert_allclose(gradient, line.slope)
            line.slope += 1 + k


@pytest.mark.parametrize("f", [keyed, by_math, by_kind, written, powers])
@pytest.mark.filterwarnings("ignore:.*runs eagerly from now on")
def test_what_steers_stays_a_constant(f):
    compared(f, decay_globals, calls=20)


@pytest.mark.parametrize("f", [later, refused_later])
@pytest.mark.filterwarnings("ignore:.*runs eagerly from now on")
def test_another_way_may_take_the_number_otherwise(f):
    compared(f, decay_globals, calls=12)
    compared(f, decay_globals, calls=30, points=(X, X, X, X, X, X, X, -X))


def test_kinds_of_numbers():
    global rate
    g = tj.jit(lambda x: (x * rate).sum())
    values = [1.5, 2.5, 3.5, 4.5, np.float64(2.25), 3, -1, 1 << 40, (1 << 60) + 1, True, 0.0, -0.0, np.inf, 1e300]
    values += [np.float32(0.5), 2.0]
    for value in values * 2:
        rate = value
        assert g(X) == pytest.approx(float((X * rate).sum()))
        g.wait()
    rate = "text"
    with pytest.raises(TypeError):
        g(X)
    rate = 2.0
    assert g(X) == pytest.approx(2 * X.sum())


def test_lists_may_grow_and_shrink():
    numbers = [1.0, 2.0]
    g = tj.jit(lambda x: (x * numbers[0]).sum() * sum(numbers))
    for k in range(30):
        numbers[0] = k + 0.5
        numbers[1:] = [2.0] * (k % 3)
        assert g(X) == pytest.approx(X.sum() * numbers[0] * sum(numbers))
    numbers.clear()
    with pytest.raises(IndexError):
        g(X)


def test_entries_may_come_and_go():
    g = tj.jit(lambda x: (x * model.cfg["lam"]).sum())
    for k in range(8):
        model.cfg["lam"] = k + 0.5
        assert g(X) == pytest.approx(X.sum() * (k + 0.5))
    model.cfg["other"] = 3.0
    assert g(X) == pytest.approx(X.sum() * 7.5)
    del model.cfg["lam"]
    with pytest.raises(KeyError):
        g(X)
    model.cfg["lam"] = 2.0
    assert g(X) == pytest.approx(X.sum() * 2)


@pytest.mark.filterwarnings("ignore:.*runs eagerly from now on")
def test_a_number_that_the_function_changes_itself_counts_once_a_call():
    def f(x):
        model.calls += 1
        model.T = model.T * 0.5 + 1.0
        return (x * model.T).sum()

    g, expected = tj.jit(f), 1.0
    for k in range(80):
        expected = expected * 0.5 + 1.0
        assert g(X) == pytest.approx(X.sum() * expected)
        assert (model.calls, type(model.calls), type(model.T)) == (k + 1, int, float)


def test_the_first_record_of_errors_puts_the_number_back():
    def f(x):
        if steps > 3 and not isinstance(steps, int):
            raise ValueError("a tensor")
        return (x * steps).sum()

    g = tj.jit(f)
    for _ in range(8):
        assert g(X) == pytest.approx(X.sum() * steps)
        assert type(steps) is int
        decay_globals(0)


def test_interrupts_put_the_number_back():
    class Stop(BaseException):
        pass

    files, n, came, seen = {capturednumbers.__file__, recordings.__file__}, 0, True, 0
    never = ("finally:", "True in got", "_lock.release", "try:", "whole(put_back)")  # no signal is looked at there

    def tracer(frame, event, arg):
        nonlocal seen
        if frame.f_code.co_filename not in files:
            return None
        if event == "line" and not any(p in linecache.getline(frame.f_code.co_filename, frame.f_lineno) for p in never):
            seen += 1
            if seen == n:
                raise Stop
        return tracer

    while came:
        model.T, n, seen = 1.0, n + 7, 0
        g = tj.jit(lambda x: (x * model.T).sum())
        for _ in range(4):
            g(X)
            model.T += 1.0
        h = tj.jit(lambda x: (x * model.T).sum())
        sys.settrace(tracer)
        with contextlib.suppress(Stop):
            for _ in range(4):
                h(X)
                model.T += 1.0
        sys.settrace(None)
        came = seen >= n
        assert type(model.T) is float
        assert h(X) == pytest.approx(X.sum() * model.T)
    assert n > 300


def test_nothing_stands_in_while_other_threads_run_code_of_the_users():
    stop, kinds = threading.Event(), set()

    def watch():
        while not stop.is_set():
            kinds.add(type(model.T))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        g = tj.jit(lambda x: (x * model.T).sum())
        for k in range(30):
            model.T = k + 0.5
            assert g(X) == pytest.approx(X.sum() * (k + 0.5))
    finally:
        stop.set()
        thread.join()
    assert kinds == {float}


def test_arrays_and_numbers_together():
    table = np.random.default_rng(0).normal(size=(4, 3))

    def f(x):
        return ((table @ x) / model.T).sum() * table[0, 0] + (x * model.schedule.beta).sum()

    def change(k):
        decay_model(k)
        if k % 7 == 3:
            table[...] += 0.1

    compared(f, change, "now")
