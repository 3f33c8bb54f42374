"""Gradients of long recordings: what a rule leaves once is made again for records of the same kind, with the same results."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.eager import tensorsweep

MATRIX = np.random.default_rng(0).normal(size=(3, 3)) * 0.4
DATA = np.random.default_rng(1).normal(size=(40, 3))


@pytest.fixture(autouse=True)
def short_recordings(monkeypatch):
    monkeypatch.setattr(tensorsweep, "SHORT", 0)


def numbers(x):
    y, z = x[0], x[1]
    for _ in range(30):
        y, z = y + 0.1 * (z - y) * x[2], tj.sin(z) * y / (1.5 + y * y) - x[3]
    return y * z


def one_operand_twice(x):
    y = x[0]
    for _ in range(20):
        y = y * y - (y + y) / 3.0 + tj.maximum(y, y) * 0.1
    return y


def changing_numbers(x):
    y = x[0]
    for t in range(20):
        y = 0.5 * y * (1.0 / (1 + t)) + x[1] - t * 0.01
    return y


def arrays(x):
    v, m = x[:3], x.reshape(2, 3)
    for t in range(15):
        v = tj.tanh(MATRIX @ v) + DATA[t] * x[0]
        m = m[:, [2, 0, 1]] * v + m.sum(0) * 0.1 - tj.softmax(m, 1)
        v = tj.where(v > 0.1, v * v, 0.3 * v) - m[0].mean()
    return (m * m).sum() + v.prod()


def norms(x):
    v = x * 1.0
    for _ in range(12):
        v = v / (1.0 + tj.linalg.norm(v) ** 2) + x
    return tj.linalg.norm(v) ** 2


def stacked(x):
    v = x[:2]
    for _ in range(12):
        v = tj.stack([v[0] * v[1], v[1] - tj.cat([v, x]).sum()]) * 0.3
    return v.sum()


FUNCTIONS = [numbers, one_operand_twice, changing_numbers, arrays, norms, stacked]


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_gradients_are_those_of_eager(f, dtype):
    x = np.linspace(0.2, 0.9, 6).astype(dtype)
    found, expected = (tj.value_and_grad(f, compile=c)(x) for c in ("now", "never"))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11 if dtype == "f8" else 2e-4, atol=1e-12 if dtype == "f8" else 1e-5)


@pytest.mark.parametrize("f", [numbers, one_operand_twice, norms])
def test_second_derivatives(f):
    x = np.linspace(0.2, 0.9, 6)
    found, expected = (tj.hessian(f, compile=c)(x) for c in ("now", "never"))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_a_rule_runs_once_for_records_of_one_kind(monkeypatch):
    calls = []
    rules = tensorsweep._contributions
    monkeypatch.setattr(tensorsweep, "_contributions", lambda *args: calls.append(args[1]) or rules(*args))

    def f(x):
        for _ in range(300):
            x = tj.sin(x) * 0.9
        return x

    tj.grad(f, compile="now")(0.5)
    assert len(calls) < 30


def test_hooks_see_every_gradient():
    seen = []

    def f(x):
        for _ in range(10):
            x = tj.sin(x)
            x.register_hook(lambda g: seen.append(1) or 2.0 * g)
        return x

    found, expected = (tj.grad(f, compile=c)(0.5) for c in ("now", "never"))
    assert found == pytest.approx(expected, rel=1e-12)
    assert len(seen) == 20


def test_records_tell_where_they_come_from():
    g = tj.value_and_grad(numbers, compile="now")
    g(np.linspace(0.2, 0.9, 6))
    assert "?" not in g.tape
