"""Small systems, which programs have written out: their solutions have the bits of eager ones."""

import numpy as np
import pytest

import tapejit as tj
from tapejit import linalg
from tapejit.compile import kept, smallsolves
from tapejit.core import plans
from tapejit.graph.node import Graph

CASES = [(n, columns) for n in range(1, smallsolves.MOST_ROWS + 2) for columns in (None, 1, 2, 3, 5, 8, 9)]


def weighted(a, b, w):
    return (w * linalg.solve(a, b)).sum()


def system(n, columns, dtype, seed=0):
    rng = np.random.default_rng([n, columns or 0, seed])
    a = rng.normal(size=(n, n))[rng.permutation(n)]
    b, w = rng.normal(size=(2, n) if columns is None else (2, n, columns))
    return tuple(x.astype(dtype) for x in (a, b, w))


def by_eager(a, b, w):
    """The solution, and the gradient in b: the solution of the transposed system."""
    b = tj.tensor(b, requires_grad=True)
    x = linalg.solve(tj.tensor(a), b)
    (w * x).sum().backward()
    return x.detach().numpy(), b.grad.numpy()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("n", "columns"), CASES)
def test_solutions_have_the_bits_of_eager_ones(n, columns, dtype):
    solution, gradient = tj.jit(linalg.solve, compile="now"), tj.grad(weighted, argnums=1, compile="now")
    for seed in range(8):  # pivots differ
        a, b, w = system(n, columns, dtype, seed)
        expected = by_eager(a, b, w)
        for _ in range(2):
            np.testing.assert_array_equal(solution(a, b), expected[0])
            np.testing.assert_array_equal(gradient(a, b, w), expected[1])
    assert solution.calls["eager"] == gradient.calls["eager"] == 0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", range(1, smallsolves.MOST_ROWS + 2))
def test_factors_and_inverses_have_the_bits_of_eager_ones(n, dtype):
    inverse = tj.jit(linalg.inv, compile="now")
    factors = tj.jit(lambda a: tuple(linalg.lu_factor(a)) + tuple(linalg.slogdet(a)), compile="now")
    for seed in range(8):
        a, _, _ = system(n, None, dtype, seed)
        a[:, 0] = np.round(a[:, 0])  # ties, too
        if np.linalg.matrix_rank(a) < n:
            continue
        for _ in range(2):
            np.testing.assert_array_equal(inverse(a), linalg.inv(tj.tensor(a)).numpy())
            expected = [*linalg.lu_factor(tj.tensor(a)), *linalg.slogdet(tj.tensor(a))]
            for got, x in zip(factors(a), expected, strict=True):
                np.testing.assert_array_equal(got, x.numpy())


def test_the_determinant_of_a_singular_matrix():
    f = tj.jit(lambda a: tuple(linalg.slogdet(a)), compile="now")
    for a in (np.eye(3), np.arange(9.0).reshape(3, 3), np.zeros((3, 3)), np.diag([2.0, 0.0, -1.0]), np.eye(3)[[1, 0, 2]]):
        for got, x in zip(f(a), linalg.slogdet(tj.tensor(a)), strict=True):
            np.testing.assert_array_equal(got, x.numpy())


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0, 5e-324])
@pytest.mark.parametrize("place", [(0, 0), (1, 0), (2, 2)])
def test_numbers_at_the_edges(wrong, place):
    solution = tj.jit(linalg.solve, compile="now")
    a, b, _ = system(3, 2, "float64")
    a[place] = wrong
    with np.errstate(all="ignore"):
        expected = linalg.solve(tj.tensor(a), tj.tensor(b)).numpy()
        for _ in range(2):
            np.testing.assert_array_equal(solution(a, b), expected)


def test_a_singular_matrix_is_the_error_of_eager():
    solution = tj.jit(linalg.solve, compile="now")
    a, b, _ = system(2, None, "float64")
    solution(a, b)
    solution(a, b)
    for singular in (np.ones((2, 2)), np.zeros((2, 2))):
        with pytest.raises(linalg.LinAlgError):
            solution(singular, b)
    np.testing.assert_allclose(a @ np.asarray(solution(a, b)), b, rtol=1e-12)


def test_in_loops_and_to_second_order():
    def filtered(p):
        one, other = tj.tensor(np.eye(2)), tj.tensor([[0.0, 1.0], [1.0, 0.5]])
        S, x = one * p[0], tj.zeros(2) + p[1]
        for k in range(30):
            S = linalg.solve(S + 0.1 * k * other, one) + p[2] * one
            x = linalg.solve(S, x + p[0])
        return (x * x).sum()

    p = np.array([1.3, 0.4, 0.7])
    gradient, hessian = tj.grad(filtered, compile="now"), tj.hessian(filtered, compile="now")
    x = tj.tensor(p, requires_grad=True)
    (first,) = tj.autograd.grad(filtered(x), x, create_graph=True)
    second = [tj.autograd.grad(g, x, retain_graph=True)[0].numpy() for g in first]
    for _ in range(2):
        np.testing.assert_allclose(gradient(p), first.detach().numpy(), rtol=1e-10)
        np.testing.assert_allclose(hessian(p), np.array(second), rtol=1e-8)


def test_kernels_are_called_for_singular_matrices_alone(monkeypatch):
    monkeypatch.setattr(kept, "read", lambda structure: None)
    f = tj.jit(lambda a, b, w: (linalg.solve(a, b), linalg.solve(a.mT, w)), compile="now")
    for columns, called in ((smallsolves.MOST_COLUMNS, {"lu"}), (smallsolves.MOST_COLUMNS + 1, {"lu", "solve"})):
        f(*system(2, columns, "float64"))
        graph, calls = f._shown().frozen.graph, f._shown().machine.calls
        assert {graph.nodes[place[2]].attr.name for place in calls.places if place[0] == "kernel"} == called


def test_programs_kept_on_disk_differ_by_what_is_written_out():
    gradient = tj.grad(weighted, argnums=1, compile="now")
    gradient(*system(2, 2, "float64"))
    solution = tj.jit(linalg.solve, compile="now")
    solution(*system(2, 2, "float64")[:2])

    def digest(f):
        """Of a graph that is the same but for the kernel's plan: the transposed matrix or the matrix itself."""
        (kernel,) = {n.attr for n in f._shown().frozen.graph.nodes if n.op == "call" and n.attr.name == "solve"}
        graph = Graph()
        operands = graph.input(0, (2, 2), "f8"), graph.input(1, (7,), "f8")
        return kept.Structure(graph, [graph.node("call", operands, kernel, (2, 2), "f8")], [], 2).digest

    assert digest(gradient) != digest(solution)


def test_plans_that_are_no_longer_listed(monkeypatch):
    f = tj.jit(lambda a, b: (linalg.solve(a, b), linalg.inv(a)), compile="now")
    f(*system(2, 3, "float64")[:2])
    program = f._shown()
    expected = kept.Structure(*program._wanted()).digest
    monkeypatch.setattr(plans, "_by_address", {})
    assert kept.Structure(*program._wanted()).digest == expected
    kernels = [node.attr for node in program.frozen.graph.nodes if node.op == "call"]
    assert {k.name: smallsolves.written_out(k) for k in kernels} == {"lu": (2, 2, 0), "solve": (2, 3, 0), "inverse": (2, 2, 0)}


def test_the_right_sides_may_be_results_and_parts_of_arrays():
    f = tj.jit(lambda a, b: linalg.solve(a, b[1:3]) + b[1:3], compile="now")
    a, _, _ = system(2, 2, "float64")
    b = np.arange(8.0).reshape(4, 2)
    for _ in range(2):
        np.testing.assert_allclose(f(a, b), np.linalg.solve(a, b[1:3]) + b[1:3], rtol=1e-12)
