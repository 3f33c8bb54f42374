"""Arrays whose length changes from pass to pass: one function for all lengths, and eager's numbers."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.compile import codegen

rng = np.random.default_rng(5)


@pytest.fixture
def functions(monkeypatch, planned_anew):
    """How many functions of loops are made, and for how many loops."""
    made = []
    make = codegen.Code._loop_function

    def noted(self, *args):
        made.append(self)
        return make(self, *args)

    monkeypatch.setattr(codegen.Code, "_loop_function", noted)
    return made


def shrinking(x):
    v = tj.sin(x)
    for _ in range(len(x) - 1):
        v = 0.6 * tj.tanh(v[1:]) + x[0] * v[:-1]
    return v[0]


def growing(x):
    """Levinson and Durbin's recursion for prediction."""
    r = x * x.flip(0) * 0.01
    a, e = tj.stack([-r[1] / (r[0] + 3.0)]), r[0] + 3.0
    for k in range(1, len(x) - 1):
        back = a.flip(0)
        gain = -(r[k + 1] + (a * r[1 : k + 1].flip(0)).sum()) / e
        a = tj.cat([a + gain * back, gain.reshape(1)])
        e = e * (1.0 - gain * gain)
    return (a * a).sum() + e


def windows(x):
    """Means, largest and smallest of ever longer beginnings: constants depend on the length."""
    total = 0.0
    for k in range(2, len(x)):
        part = x[:k] * x[-k:]
        total = total + part.mean() * tj.amax(part) + tj.amin(x[k - 1 :]) * (x[::2][: k // 2] ** 2).sum()
    return total


def corners(x):
    """Elimination: corners of a matrix, whose rows get shorter."""
    n = min(len(x), 14)
    m = x[:n, None] * x[None, :n] + np.diag(np.linspace(2, 3, n))
    total = 0.0
    for _ in range(n - 1):
        total = total + tj.log(tj.abs(m[0, 0]))
        m = m[1:, 1:] - m[1:, :1] * m[:1, 1:] / m[0, 0]
    return total + m[0, 0]


def columns(x):
    m = tj.stack([x, x * x, tj.cos(x)], 1)
    for _ in range(len(x) // 2):
        m = m[2:] * 0.5 + tj.stack([m[1:-1, 2], m[:-2, 0], m[2:, 1]], 1)
    return (m * m).sum()


FUNCTIONS = [shrinking, growing, windows, corners, columns]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_as_eager(function, dtype):
    x = rng.uniform(0.2, 1.2, size=30).astype(dtype)
    g = tj.value_and_grad(function, compile="now")
    leaf = tj.tensor(x, requires_grad=True)
    y = function(leaf)
    y.backward()
    close = {"rtol": 1e-10, "atol": 1e-12} if dtype == np.float64 else {"rtol": 2e-3, "atol": 1e-4}
    for _ in range(2):
        value, slope = g(x)
        np.testing.assert_allclose(value, y.item(), **close)
        np.testing.assert_allclose(slope, leaf.grad.numpy(), **close)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_second_derivatives(function):
    x, v = rng.uniform(0.2, 1.2, size=(2, 18))
    g = tj.grad(lambda x: (tj.grad(function)(x) * v).sum(), compile="now")
    g(x)
    step = 1e-5
    ahead, behind = (tj.tensor(x + s * v, requires_grad=True) for s in (step, -step))
    for leaf in (ahead, behind):
        function(leaf).backward()
    expected = (ahead.grad.numpy() - behind.grad.numpy()) / (2 * step)
    np.testing.assert_allclose(g(x), expected, rtol=2e-5, atol=2e-6 * np.abs(expected).max())


def test_functions_do_not_grow_with_the_number_of_lengths(functions):
    counts = []
    for n in (40, 60):
        functions.clear()
        g = tj.value_and_grad(shrinking, compile="now")
        g(rng.uniform(0.2, 1.2, size=n))
        counts.append(len(functions))
    assert max(counts) < 25
