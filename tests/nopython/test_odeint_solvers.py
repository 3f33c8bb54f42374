"""Initial value problems inside compiled code: what tensors' ``tj.implicit.odeint`` gives, numbers and derivatives."""

import math

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

import tapejit as tj
from tapejit import nopython

START, RATES = np.array([1.0, 0.5]), np.array([1.1, 0.4])
TIMES = np.array([0.0, 0.7, 1.5, 2.0])


def hunt(y, t, p):
    return p[0] * y[0] - y[0] * y[1], y[0] * y[1] - p[1] * y[1] * (1 + 0.1 * math.sin(t))


def hunt_of_tensors(y, t, p):
    return tj.stack([p[0] * y[0] - y[0] * y[1], y[0] * y[1] - p[1] * y[1] * (1 + 0.1 * tj.sin(t))])


solve = nopython.implicit.odeint(hunt)


def loss(p, y0, t):
    return (solve(y0, t, p) ** 2).sum()


def loss_of_tensors(p, y0, t, **options):
    return (tj.implicit.odeint(hunt_of_tensors, y0, t, p, **options) ** 2).sum()


def agree(found, wanted, rtol=1e-11):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol)


def test_the_solution_is_that_of_tensors():
    np.testing.assert_allclose(solve(START, TIMES, RATES), tj.implicit.odeint(hunt_of_tensors, START, TIMES, RATES), rtol=1e-13)
    back = solve(START, TIMES[::-1].copy(), RATES)
    np.testing.assert_allclose(back, tj.implicit.odeint(hunt_of_tensors, START, TIMES[::-1].copy(), RATES), rtol=1e-13)
    assert np.array_equal(solve(START, TIMES[:1], RATES), START[None])
    assert solve(np.array([1, 2]), TIMES, RATES).shape == (4, 2)


def test_the_gradient_is_that_of_tensors():
    given = RATES, START, TIMES
    wanted = tj.grad(loss_of_tensors, argnums=(0, 1, 2), compile="never")(*given)
    agree(nopython.grad(loss, argnums=(0, 1, 2), mode="tape")(*given), wanted)
    agree([nopython.grad(loss)(*given)], wanted[:1])


@pytest.mark.slow
def test_equal_steps_and_checkpoints():
    given = RATES, START, TIMES
    equal = nopython.implicit.odeint(hunt, steps=20, checkpoint=True)
    found = nopython.grad(lambda p, y, t: (equal(y, t, p) ** 2).sum(), argnums=(0, 1, 2), mode="tape")(*given)
    agree(found, tj.grad(lambda *a: loss_of_tensors(*a, steps=20), argnums=(0, 1, 2), compile="never")(*given))
    kept = nopython.implicit.odeint(hunt, checkpoint=True)
    found = nopython.grad(lambda p: (kept(START, TIMES, p) ** 2).sum(), mode="tape")(RATES)
    agree([found], [nopython.grad(loss)(*given)])


@pytest.mark.slow
def test_second_derivatives():
    _, slope, bend = nopython.hessian(loss)(RATES, START, TIMES)
    np.testing.assert_allclose(slope, tj.grad(loss_of_tensors, compile="never")(RATES, START, TIMES), rtol=1e-11)
    np.testing.assert_allclose(bend, tj.hessian(loss_of_tensors, compile="never")(RATES, START, TIMES), rtol=1e-10)


@pytest.mark.slow
def test_many_numbers_as_arrays_and_other_parameters():
    def diffusion(y, t, rate, source, n):
        out = np.empty(n)
        for i in range(n):
            left = y[i - 1] if i > 0 else 0.0
            right = y[i + 1] if i < n - 1 else 0.0
            out[i] = rate * (left - 2 * y[i] + right) + source[i] * t
        return out

    n = 20
    spread = nopython.implicit.odeint(diffusion)
    source, start = np.linspace(0, 1, n), np.sin(np.arange(n))

    def cost(y0, source, rate):
        return (spread(y0, np.array([0.0, 0.3, 1.0]), rate, source, n)[-1] ** 2).sum()

    found = nopython.grad(cost, argnums=(0, 1, 2))(start, source, 1.3)
    jitted = nopython.value_and_grad(cost)
    value = lambda y, s, r: jitted(y, s, r)[0]  # noqa: E731
    np.testing.assert_allclose(found[0], differences(lambda y: value(y, source, 1.3), start), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found[1], differences(lambda s: value(start, s, 1.3), source), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found[2], (value(start, source, 1.3001) - value(start, source, 1.2999)) / 2e-4, rtol=1e-6)


@pytest.mark.slow
def test_a_fit_inside_jitted_code():
    data = solve(START, TIMES, RATES)

    def misfit(p, data):
        return ((solve(START, TIMES, p) - data) ** 2).sum()

    fit = nopython.optimize.bfgs(misfit, gtol=1e-9)

    @njit
    def fits(starts, data):
        found = np.empty_like(starts)
        for i in range(len(starts)):
            found[i] = fit(starts[i], data)[0]
        return found

    found = fits(np.array([[0.9, 0.6], [1.3, 0.3]]), data)
    np.testing.assert_allclose(found, [RATES, RATES], rtol=1e-6)


def test_what_cannot_be_solved_is_said():
    with pytest.raises(ArithmeticError, match="not finite"):
        solve(START, TIMES, np.array([np.nan, 1.0]))
    with pytest.raises(ValueError, match="increase or decrease"):
        solve(START, np.array([0.0, 2.0, 1.0]), RATES)
    with pytest.raises(ValueError, match="as many numbers"):
        solve(np.ones(3), TIMES, RATES)
    with pytest.raises(ValueError, match="at least one"):
        nopython.implicit.odeint(hunt, steps=0)
    with pytest.raises(TypeError, match="one by one"):
        nopython.implicit.odeint(lambda y, *given: y)


@pytest.mark.slow
def test_a_stiff_equation_says_what_to_do():
    stiff = nopython.implicit.odeint(lambda y, t, k: (-k * (y[0] - np.cos(t)),), maxsteps=500)
    with pytest.raises(ArithmeticError, match=r"stiff.*Radau"):
        stiff(np.zeros(1), np.array([0.0, 1.0]), 1e6)
    with pytest.raises(ArithmeticError, match="stiff"):
        nopython.grad(lambda k: stiff(np.zeros(1), np.array([0.0, 1.0]), k)[-1, 0])(1e6)
    wiggly = nopython.implicit.odeint(lambda y, t, k: (np.cos(k * t) * y[0],), maxsteps=100)
    with pytest.raises(ArithmeticError, match="raise maxsteps"):
        wiggly(np.ones(1), np.array([0.0, 9.0]), 200.0)


def pulled(y, t, a, w, k):
    """An array, with a number, a matrix, and an integer among the parameters."""
    return w @ y * a - y * y * np.sin(k * t)


W = np.array([[0.2, 0.5], [-0.4, 0.1]])
PULLED = {kind: nopython.implicit.odeint(pulled, rtol=1e-10, atol=1e-10, adjoint=kind) for kind in ("discrete", "continuous")}


def sum_of_pulled(kind):
    solve = PULLED[kind]
    return lambda a, w, y0, t: (solve(y0, t, a, w, 2) ** 2).sum()


def test_the_continuous_adjoint_is_that_of_tensors():
    given = RATES, START, TIMES
    continuous = nopython.implicit.odeint(hunt, adjoint="continuous")

    def loss(p, y0, t):
        return (continuous(y0, t, p) ** 2).sum()

    wanted = tj.grad(lambda *args: loss_of_tensors(*args, adjoint="continuous"), argnums=(0, 1, 2), compile="never")(*given)
    agree(nopython.grad(loss, argnums=(0, 1, 2), mode="tape")(*given), wanted, rtol=1e-9)
    for t in (TIMES[::-1].copy(), TIMES[:1]):
        wanted = tj.grad(loss_of_tensors, argnums=(0, 1, 2), compile="never")(RATES, START, t)
        for one, other in zip(nopython.grad(loss, argnums=(0, 1, 2), mode="tape")(RATES, START, t), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_the_continuous_adjoint_of_numbers_and_matrices_and_its_derivative():
    given = 0.7, W, START, TIMES
    one, other = (nopython.grad(sum_of_pulled(kind), argnums=(0, 1, 2, 3), mode="tape") for kind in PULLED)
    for a, b in zip(one(*given), other(*given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)
    f = njit(sum_of_pulled("continuous"))
    g = nopython.grad(lambda w: f(0.7, w, START, TIMES), mode="tape")
    v = np.array([[1.0, -0.5], [0.3, 2.0]])
    along = differences(lambda e: np.vdot(g(W + e[0] * v), v), np.zeros(1))[0]
    assert np.vdot(nopython.hvp(lambda w: f(0.7, w, START, TIMES))(W, v), v) == pytest.approx(along, rel=1e-5)
    assert nopython.grad(f, mode="dual")(*given) == pytest.approx(one(*given)[0], rel=1e-7)


@pytest.mark.slow
def test_the_continuous_adjoint_of_exponential_decay_is_known():
    decay = nopython.implicit.odeint(lambda y, t, k: -k * y, rtol=1e-10, atol=1e-12, adjoint="continuous")
    last = njit(lambda k, y0, t: decay(y0, t, k)[-1, 0])  # y0 exp(-k (t[-1] - t[0]))
    k, y0, t = 0.7, 1.5, np.array([0.0, 1.0, 2.0])
    value = y0 * math.exp(-2 * k)
    of_k, of_y0, of_t = nopython.grad(last, argnums=(0, 1, 2), mode="tape")(k, np.array([y0]), t)
    np.testing.assert_allclose([of_k, *of_y0], [-2 * value, value / y0], rtol=1e-8)
    np.testing.assert_allclose(of_t, [k * value, 0.0, -k * value], rtol=1e-8, atol=1e-10)
    slope = nopython.hvp(lambda p: decay(p[1:], t, p[0])[-1, 0])(np.array([k, y0]), np.array([1.0, 0.0]))
    np.testing.assert_allclose(slope, [4 * value, -2 * value / y0], rtol=1e-7)


def test_a_continuous_adjoint_has_no_checkpoint():
    with pytest.raises(ValueError, match="continuous"):
        nopython.implicit.odeint(hunt, adjoint="continuous", checkpoint=True)
    with pytest.raises(ValueError, match="sideways"):
        nopython.implicit.odeint(hunt, adjoint="sideways")
