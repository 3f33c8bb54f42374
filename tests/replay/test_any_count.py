"""Loops that end when the data say so: one program for every number of passes."""

import threading

import numpy as np
import pytest

import tapejit as tj
from tapejit.compile import machine

MATRIX = np.array([[0.9, 0.1], [-0.1, 0.8]])


def scalar(x):
    y = x[0]
    while y > 0.01:
        y = y * tj.sin(x[1])
    return y * x[1]


def as_function(x):
    def body(state):
        y, total = state
        return y * x[1], total + tj.exp(y)

    return tj.while_loop(lambda state: state[0] > 0.01, body, (x[0], x[2]))[1]


def vectors(x):
    y, z = x * 1.0, x * 0.0
    while tj.sum(y * y) > 0.01:
        z = z + tj.sin(y) * x
        y = y * x[1] - 1e-5 * z
    return tj.sum(z * z)


def matrices(x):
    y = x[:2]
    while tj.sum(y * y) > 1e-3:
        y = MATRIX @ y * x[1] + np.array([1e-3, 2e-3])
    return tj.sum(y * x[2])


def in_containers(x):
    state = {"y": x[0], "h": [x[1], 0.0]}
    while state["y"] > 0.01:
        state["y"] = state["y"] * x[1]
        state["h"][1] = state["h"][1] + state["y"]
    return state["h"][1]


def step(y, x):
    return y * x[1] if y < 0.1 else y * x[1] * tj.cos(x[2])


def helped(x):
    y = x[0]
    while True:
        y = step(y, x)
        if y < 0.01:
            break
    return tj.log(y)


def in_turn(x):
    y = x[0]
    while y > 0.1:
        y = y * x[1]
    z = y * 3
    while z > 0.01:
        z = z * tj.sin(x[1])
    return z * y


def single(x):
    y = x[0]
    while y > 0.01:
        y = y * x[1]
    return y * x[2]


LOOPS = [scalar, as_function, vectors, matrices, in_containers, helped, in_turn, single]


def counted(g):
    return [p for s in g._signatures.values() for p in s.paths.counted]


def agree(f, xs, dtype="f8", transform=tj.value_and_grad, rtol=1e-11):
    g, eager = transform(f, compile="now"), transform(f, compile="never")
    for x in xs:
        x = np.asarray(x, dtype)
        for a, b in zip(tj_leaves(g(x)), tj_leaves(eager(x)), strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    return g


def tj_leaves(x):
    return x if isinstance(x, tuple) else (x,)


@pytest.mark.parametrize("f", LOOPS)
def test_other_counts_are_the_same_program(f):
    rates = np.linspace(0.9, 0.995, 14)
    g = agree(f, [(0.9, rate, 0.2) for rate in rates])
    assert g.calls["recorded"] < 10
    assert counted(g)


def test_thousands_of_counts():
    xs = [(0.9, 1 - 10.0 ** -(1 + 2.5 * k / 60), 0.2) for k in range(0, 60, 3)]
    g = agree(single, xs)
    assert g.calls["recorded"] < 8
    assert g.calls["replayed"] > 12


def test_single_precision():
    g = agree(single, [(0.9, rate, 0.2) for rate in np.linspace(0.9, 0.99, 12)], "f4", rtol=2e-4)
    assert counted(g)


@pytest.mark.parametrize("transform", [tj.jit, tj.hessian])
def test_other_transforms(transform):
    g = agree(single, [(0.9, rate, 0.2) for rate in np.linspace(0.9, 0.99, 12)], transform=transform, rtol=1e-8)
    assert g.calls["recorded"] < 6


def test_few_passes_are_paths_of_their_own():
    rates = np.tile(np.linspace(0.05, 0.97, 14), 2)
    g = agree(scalar, [(0.9, rate, 0.2) for rate in rates])
    assert counted(g)


def counting(x):
    """Python's own counter: what comes after the loop depends on it."""
    y, count = x[0], 0
    while y > 0.01:
        y = y * x[1]
        count += 1
    return y * min(count, 20)


def listing(x):
    ys = [x[0]]
    while ys[-1] > 0.01:
        ys.append(ys[-1] * x[1])
    return ys[-1] * len(ys)


def odd_ones(x):
    y, odd = x[0], False
    while y > 0.01:
        y = y * x[1]
        odd = not odd
    return y if odd else -y


def limited(x):
    y = x[0]
    for _ in [0.0] * 30:
        y = y * x[1]
        if y < 0.01:
            break
    return y


class Countdown:
    def __init__(self, left):
        self.left = left


def in_objects(x):
    y, counter = x[0], Countdown(25)
    while y > 0.01 and counter.left:
        y = y * x[1]
        counter.left -= 1
    return y


def by_iterator(x):
    y, steps = x[0], iter(range(25))
    while y > 0.01 and next(steps, None) is not None:
        y = y * x[1]
    return y


def by_closure(x):
    left = 25

    def proceeds(y):
        nonlocal left
        left -= 1
        return bool(y > 0.01) and left > 0

    y = x[0]
    while proceeds(y):
        y = y * x[1]
    return y


@pytest.mark.parametrize("f", [counting, listing, odd_ones, limited, in_objects, by_iterator, by_closure])
def test_what_python_counts_is_not_left_out(f):
    rates = [*np.linspace(0.6, 0.99, 10), 0.7, 0.99]
    agree(f, [(0.9, rate, 0.2) for rate in rates])


def test_captured_arrays_are_read_at_every_call():
    scale = np.array([0.9, 0.95])

    def f(x):
        y = x * 1.0
        while tj.sum(y) > 0.01:
            y = y * scale
        return tj.sum(y * x)

    g, eager = tj.value_and_grad(f, compile="now"), tj.value_and_grad(f, compile="never")
    for rate in np.linspace(0.8, 0.99, 15):
        scale[0] = rate
        x = np.array([0.5, 0.7])
        for a, b in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    assert counted(g)


def test_memory_grows_up_to_a_bound(monkeypatch):
    g = agree(scalar, [(0.9, rate, 0.2) for rate in (1.1, 1.2, 1.3, 1.4)])
    assert counted(g)
    x = np.array([0.9, np.pi / 2 - 5e-3, 0.2])  # some hundred thousand passes
    monkeypatch.setattr(machine, "MOST_STACK", 1 << 16)
    with pytest.raises(MemoryError, match="passes"):
        g(x)
    monkeypatch.undo()
    assert np.isfinite(g(x)[0])
    assert g.calls["recorded"] <= 4


def test_threads_have_memory_of_their_own():
    g, eager = tj.value_and_grad(vectors, compile="now"), tj.value_and_grad(vectors, compile="never")
    xs = [np.array([0.9, rate, 0.2]) for rate in np.linspace(0.9, 0.999, 8)]
    expected = [eager(x) for x in xs]
    for x in xs[:3]:
        g(x)
    wrong = []

    def work(k):
        for j in range(30):
            x, wanted = xs[(k + j) % 8], expected[(k + j) % 8]
            value, gradient = g(x)
            if not (np.allclose(value, wanted[0], rtol=1e-11) and np.allclose(gradient, wanted[1], rtol=1e-11)):
                wrong.append(x)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_decisions_have_the_bits_of_eager():
    def f(x):
        y, total = x[0], x[1] * 0.0
        while y * y + x[1] * y > 1e-3:
            total = total + y
            y = y - y * x[2] * tj.exp(-y) / 3.0
        return total

    rng = np.random.default_rng(3)
    g = agree(f, [(rng.uniform(0.5, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.5)) for _ in range(60)], rtol=1e-12)
    assert g.calls["recorded"] < 12
