"""Loops in loops, recorded from plain Python: the inner ones are loops of one function, with the results of eager execution."""

import numpy as np
import pytest
from random_nested import check

import tapejit as tj
from tapejit.compile import passcode
from tapejit.graph import periods, reroll


@pytest.fixture
def short_loops(monkeypatch):
    """Loops are looked for in short recordings, too."""
    monkeypatch.setattr(reroll, "FEWEST", 20)
    monkeypatch.setattr(periods, "SAVED", 10)


@pytest.fixture
def functions(monkeypatch, planned_anew):
    """The functions of loops that are written."""
    made = []
    write = passcode.LoopCode._write

    def noted(self, *args):
        made.append(self)
        write(self, *args)

    monkeypatch.setattr(passcode.LoopCode, "_write", noted)
    return made


def thomas(x, passes=6):
    """Implicit diffusion: in every step a tridiagonal system is solved, forwards and backwards."""
    n = len(x)
    u = [x[i] for i in range(n)]
    r = 0.3
    b = 1 + 2 * r
    for _ in range(passes):
        c, d, v = [0.0] * n, [0.0] * n, [0.0] * n
        c[0], d[0] = -r / b, u[0] / b
        for i in range(1, n):
            m = b + r * c[i - 1]
            c[i] = -r / m
            d[i] = (u[i] + r * d[i - 1]) / m
        v[n - 1] = d[n - 1]
        for i in range(n - 2, -1, -1):
            v[i] = d[i] - c[i] * v[i + 1]
        u = [ui - 0.01 * ui * ui for ui in v]
    return sum((ui * ui for ui in u), 0.0)


def triangle(x, passes=None):
    """A binomial tree: rows that get shorter."""
    v = [tj.maximum(x[0] - x[i], 0.0) + x[i] * x[1] for i in range(len(x))]
    for _ in range(len(x) - 1 if passes is None else passes):
        v = [0.49 * v[i + 1] + x[2] * v[i] for i in range(len(v) - 1)]
    return v[0]


def grid(x, passes=5):
    """Diffusion in two dimensions, of lists of lists with edges that stay."""
    n = int(np.sqrt(len(x)))
    u = [[x[i * n + j] for j in range(n)] for i in range(n)]
    for _ in range(passes):
        w = [row[:] for row in u]
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                w[i][j] = u[i][j] + 0.1 * (u[i - 1][j] + u[i + 1][j] + u[i][j - 1] + u[i][j + 1] - 4 * u[i][j])
        u = w
    return sum((a * a for row in u for a in row), 0.0)


def alignment(x, passes=None):
    """Soft dynamic time warping: a table of lists with a column and a row around it."""
    n = len(x) // 2
    y = np.sin(np.arange(n) * 0.3)
    table = [[1e3] * (n + 1) for _ in range(n + 1)]
    table[0][0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            a, b, c = table[i - 1][j], table[i][j - 1], table[i - 1][j - 1]
            soft = -tj.log(tj.exp(x[0] * -a) + tj.exp(x[0] * -b) + tj.exp(x[0] * -c))
            table[i][j] = (x[i - 1] - y[j - 1]) ** 2 + soft
    return table[n][n]


@pytest.mark.parametrize("function", [thomas, triangle, grid, alignment])
@pytest.mark.parametrize("size", [36, 64])
def test_as_eager(function, size, short_loops):
    x = np.random.default_rng(size).uniform(0.3, 1.0, size=size)
    g = tj.value_and_grad(function, compile="now")
    leaf = tj.tensor(x, requires_grad=True)
    y = function(leaf)
    y.backward()
    for _ in range(2):
        value, slope = g(x)
        np.testing.assert_allclose(value, y.item(), rtol=1e-11)
        np.testing.assert_allclose(slope, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_random_programs(seed, short_loops):
    check(seed)


@pytest.mark.parametrize("function", [thomas, triangle, grid])
def test_code_does_not_grow_with_the_passes(function, functions):
    x = np.random.default_rng(1).uniform(0.3, 1.0, size=100)
    counts = []
    for passes in (24, 60):
        functions.clear()
        g = tj.value_and_grad(lambda x, passes=passes: function(x, passes), compile="now")
        g(x)
        counts.append(len(functions))
    assert 0 < counts[1] <= 1.5 * counts[0]
