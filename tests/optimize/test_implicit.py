"""Solutions of equations as functions of what stands in the equations."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.implicit import solutions
from tests.oracle import check_grad

root = tj.implicit.root


def cubic(x, a):
    return x**3 + a * x - 1


def test_derivatives_of_a_root_are_right_to_second_order():
    check_grad(lambda a: (root(cubic, tj.ones(2), a) ** 2).sum(), np.array([2.0, 3.0]), order=2)


def test_higher_orders_are_right_if_asked_for():
    a = tj.tensor(2.0, requires_grad=True)
    x = root(cubic, tj.ones(()), a, order=3)
    for _ in range(3):
        (x,) = tj.autograd.grad(x, a, create_graph=True)
    y = a
    iterated = tj.ones(())
    for _ in range(40):
        iterated = iterated - cubic(iterated, y) / (3 * iterated**2 + y)
    for _ in range(3):
        (iterated,) = tj.autograd.grad(iterated, a, create_graph=True)
    assert np.isclose(x.item(), iterated.item(), rtol=1e-9)


def test_what_the_function_closes_over_counts():
    scale = tj.tensor(4.0, requires_grad=True)
    x = root(lambda x: x * x - scale, tj.tensor([3.0]))
    x.sum().backward()
    assert np.isclose(scale.grad.item(), 0.25)


def test_a_root_in_fifty_dimensions_is_that_of_unrolled_steps():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(50, 50)) / 50

    def f(x, b):
        return x + tj.tanh(A @ x) - b

    def unrolled(b):
        x = b * 0
        for _ in range(60):
            x = b - tj.tanh(A @ x)
        return (x * x).sum()

    b = rng.normal(size=50)
    by_steps = tj.grad(unrolled, compile="never")(b)
    by_theorem = tj.grad(lambda b: (root(f, np.zeros(50), b) ** 2).sum(), compile="never")(b)
    assert np.allclose(by_theorem, by_steps, atol=1e-9)


def test_recorded_roots_are_replayed():
    g = tj.grad(lambda a: root(cubic, tj.ones(2), a).sum(), compile="now")
    for shift in np.linspace(0, 0.3, 10):
        a = np.array([2.0, 3.0]) + shift
        x = root(cubic, tj.ones(2), a).numpy()
        assert np.allclose(g(a), -x / (3 * x * x + a))


def test_fixed_points_minima_and_linear_systems():
    c = np.array([0.3, 0.8])
    check_grad(lambda c: tj.implicit.fixed_point(lambda x, c: tj.cos(c * x), np.ones(2), c).sum(), c, order=2)
    quartic = lambda x, c: ((x - c) ** 4).sum() + (x * x).sum()  # noqa: E731
    check_grad(lambda c: tj.implicit.minimize(quartic, np.ones(2), c).sum(), c, order=2)
    M = np.array([[3.0, 1.0], [0.5, 2.0]])
    check_grad(lambda M, c: tj.implicit.linear_solve(lambda x, M: M @ x, c, M).sum(), M, c, order=2)
    assert np.allclose(tj.implicit.linear_solve(lambda x: M @ x, c), np.linalg.solve(M, c))


def test_what_cannot_be_solved_is_said():
    with pytest.raises(ArithmeticError, match="implicit"):
        root(lambda x: x * x + 1, tj.full((1,), 2.0))
    with pytest.raises(ArithmeticError, match="2 steps"):
        root(cubic, tj.full((1,), 50.0), 2.0, maxiter=2)
    with pytest.raises(np.linalg.LinAlgError):
        root(lambda x: x.sum() * tj.ones(2), tj.ones(2))
    with pytest.raises(ValueError, match="gives 1 numbers for an x of 2"):
        root(lambda x: x.sum(), tj.ones(2))


STARTS = {"float32": np.ones(2, np.float32), "int": np.ones(2, int), "list": [1, 2], "tensor": tj.ones(2)}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_starts_of_every_kind(start):
    x = root(lambda x, a: [x[0] * x[0] - a, x[1] - x[0]], start, 2.0)
    assert np.allclose(x.numpy(), np.sqrt(2.0), rtol=1e-6)
    assert (x.dtype == tj.float32) == (getattr(start, "dtype", None) == np.float32)


def test_a_complex_start_is_refused():
    with pytest.raises(TypeError, match="complex"):
        root(lambda x: x * x - 2, 1 + 0j)


def test_what_is_kept_of_a_function_follows_what_it_reads():
    target = tj.tensor(4.0, requires_grad=True)

    def f(x):
        return x * x - target * factor

    for factor in (1.0, 4.0, 9.0, 16.0):
        x = root(f, tj.tensor([3.0]))
        x.sum().backward()
        assert np.isclose(x.item(), 2 * np.sqrt(factor))
        assert np.isclose(target.grad.item(), np.sqrt(factor) / 4)
        target.grad = None


def test_factors_serve_several_steps(monkeypatch):
    factored, lu_factor = [], solutions.lu_factor
    monkeypatch.setattr(solutions, "lu_factor", lambda A: factored.append(A) or lu_factor(A))
    a = np.linspace(1, 2, 30)

    def f(x, a):
        return x + 0.1 * tj.sin(x) - a

    x = root(f, np.zeros(30), a)
    assert np.abs(f(x, a).numpy()).max() < 1e-12
    assert len(factored) <= 3  # Newton's method with one for each step takes four, and one where the root is
