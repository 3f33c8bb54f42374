"""Long scalar code in which operations recur at no fixed distances: loops over tables, with the results of eager execution."""

import numpy as np
import pytest
from random_nested import check

import tapejit as tj
from tapejit.compile import linker, longscalars
from tapejit.compile.stretches import stretches
from tapejit.edge import optimiser
from tapejit.graph import reroll


@pytest.fixture
def unrolled(monkeypatch, planned_anew):
    """Recordings are left as they are, and stretches are looked for in short code, too."""
    monkeypatch.setattr(reroll, "FEWEST", 1 << 30)
    monkeypatch.setattr(longscalars, "ENOUGH", 0)
    monkeypatch.setattr(longscalars, "LEAST", -100.0)


def cholesky(a):
    n = len(a)
    factor = [[None] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s = s - factor[i][k] * factor[j][k]
            factor[i][j] = tj.sqrt(s) if i == j else s / factor[j][j]
    return sum((tj.log(factor[i][i]) for i in range(n)), 0.0)


def elimination(a):
    n = len(a)
    rows = [[a[i, j] for j in range(n)] + [1.0 if i == j else 0.0 for j in range(n)] for i in range(n)]
    for k in range(n):
        pivot = rows[k][k]
        rows[k] = [v / pivot for v in rows[k]]
        for i in range(n):
            if i != k:
                factor = rows[i][k]
                rows[i] = [v - factor * w for v, w in zip(rows[i], rows[k], strict=True)]
    return sum((v * v for row in rows for v in row[n:]), 0.0)


def lags(a):
    """Numbers of Python, decisions, and results that are read at many distances."""
    x = [a[i, 0] for i in range(len(a))]
    total = 0.0
    for k in range(1, len(a)):
        for i in range(len(a) - k):
            term = x[i] * x[i + k] * np.sin(0.3 * i + k)
            total = total + (term if term > 0 else 0.5 * term)
    return total


def matrix(n):
    a = np.random.default_rng(n).normal(size=(n, n))
    return a @ a.T + n * np.eye(n)


@pytest.mark.parametrize("function", [cholesky, elimination, lags])
@pytest.mark.parametrize("n", [5, 9])
def test_as_eager(function, n, unrolled):
    a = matrix(n)
    leaf = tj.tensor(a, requires_grad=True)
    y = function(leaf)
    y.backward()
    g = tj.value_and_grad(function, compile="now")
    for _ in range(2):
        value, slope = g(a)
        np.testing.assert_allclose(value, y.item(), rtol=1e-12)
        np.testing.assert_allclose(slope, leaf.grad.numpy(), rtol=1e-9, atol=1e-13)


def test_the_inverse_of_a_matrix(unrolled):
    a = matrix(6)
    b = np.linalg.inv(a)
    value, slope = tj.value_and_grad(elimination, compile="now")(a)
    np.testing.assert_allclose(value, (b * b).sum(), rtol=1e-10)
    np.testing.assert_allclose(slope, -2 * b.T @ b @ b.T, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("seed", range(200, 220))
def test_random_programs(seed, unrolled):
    check(seed)


@pytest.fixture
def lines(monkeypatch, planned_anew):
    """The lines of a function's machine code as LLVM gets them."""
    monkeypatch.setattr(linker, "found", lambda digest: None)
    counted, made = [], optimiser.object_code
    monkeypatch.setattr(optimiser, "object_code", lambda text, *rest: counted.append(text.count("\n")) or made(text, *rest))

    def lines(function, n):
        tj.value_and_grad(lambda a: function(a), compile="now")(matrix(n))
        return counted[-1]

    return lines


@pytest.mark.parametrize("function", [cholesky, elimination])
def test_the_code_is_a_fraction(function, monkeypatch, lines):
    monkeypatch.setattr(reroll, "FEWEST", 1 << 30)
    by_tables = lines(function, 13)
    monkeypatch.setattr(longscalars, "ENOUGH", 1 << 30)
    assert by_tables < 0.5 * lines(function, 13)


def test_rows_of_a_triangle_are_no_runs(monkeypatch, lines):
    by_tables = lines(elimination, 12)
    monkeypatch.setattr(reroll, "MOSTLY", 1.0)
    assert by_tables < 0.75 * lines(elimination, 12)


@pytest.mark.parametrize("function", [cholesky, elimination])
def test_the_code_does_not_grow_with_the_passes(function, lines):
    """Nor with the number of loops: which follow one another, and what stands between them, is told by a table."""
    assert lines(function, 18) < 1.3 * lines(function, 12)


def test_passes_that_read_the_first_one(unrolled):
    """What the first pass makes lies at one place for all of them, yet is not there before."""

    def f(a):
        first, total = None, 0.0
        for i in range(8):
            made = tj.sin(a[i, 0])
            first = made if first is None else first
            total = total + made * first
        return total

    a = matrix(8)
    value, slope = tj.value_and_grad(f, compile="now")(a)
    s, c = np.sin(a[:, 0]), np.cos(a[:, 0])
    np.testing.assert_allclose(value, s.sum() * s[0], rtol=1e-13)
    np.testing.assert_allclose(slope[:, 0], c * s[0] + np.eye(8)[0] * c[0] * s.sum(), rtol=1e-12)


def test_what_passes_hand_on():
    """s = s - a * b: the product stays in the pass, the difference goes to the next one, a and b are looked up."""
    operations, operands = [], []
    for i in range(8):
        operations += [0, 1]
        operands += [[-1, 3 if i % 3 else -1], [2 * i - 1, 2 * i]]
    (found,) = stretches(operations, operands)
    assert (found.start, found.period, found.trips) == (0, 2, 8)
    assert found.ways == (("memory",), ("memory",), ("carried", 1), ("inner", 0))


def test_fewer_passes_join_others_of_their_body():
    operations = [0, 1, 2] * 6 + [7] + [0, 1, 2] * 3 + [8]
    operands = [[-1] for _ in operations]
    found = stretches(operations, operands)
    assert [(s.start, s.period, s.trips) for s in found] == [(0, 3, 6), (19, 3, 3)]
    assert found[0].body == found[1].body
