"""Solutions of equations as functions of what stands in the equations."""

import numpy as np
import pytest

import tapejit as tj
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
