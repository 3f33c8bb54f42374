"""Solutions of initial value problems, and their derivatives."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import tapejit as tj
from tests.oracle import check_grad

odeint = tj.implicit.odeint
START = np.array([1.0, 0.5])
TIMES = np.array([0.0, 0.7, 1.5, 2.0])
RATES = np.array([1.1, 0.4])


def hunt(y, t, p):
    prey, hunters = y[0], y[1]
    return tj.stack([p[0] * prey - prey * hunters, prey * hunters - p[1] * hunters * (1 + 0.1 * tj.sin(t))])


def exact(start=START, times=TIMES, rates=RATES):
    def slope(t, y):
        return [rates[0] * y[0] - y[0] * y[1], y[0] * y[1] - rates[1] * y[1] * (1 + 0.1 * np.sin(t))]

    found = solve_ivp(slope, (times[0], times[-1]), start, t_eval=times, rtol=1e-12, atol=1e-12, method="DOP853")
    return found.y.T


def loss(y0, t, p, **options):
    return (odeint(hunt, y0, t, p, **options) ** 2).sum()


def test_the_solution_is_scipys():
    assert np.allclose(odeint(hunt, START, TIMES, RATES).numpy(), exact(), rtol=1e-7)
    assert np.allclose(odeint(hunt, START, TIMES, RATES, rtol=1e-4, atol=1e-4).numpy(), exact(), rtol=1e-3)
    assert np.allclose(odeint(hunt, START, TIMES, RATES, steps=30).numpy(), exact(), rtol=1e-8)
    back = odeint(hunt, exact()[-1], TIMES[::-1].copy(), RATES).numpy()
    assert np.allclose(back[-1], START, rtol=1e-6)


def test_equal_steps_converge_to_fifth_order():
    errors = [np.abs(odeint(hunt, START, TIMES, RATES, steps=n).numpy() - exact()).max() for n in (8, 16)]
    assert 25 < errors[0] / errors[1] < 50


def test_derivatives_are_right_to_second_order():
    check_grad(lambda y, t, p: odeint(hunt, y, t, p, steps=2), START, TIMES, RATES, order=2)


def test_derivatives_with_chosen_steps_are_those_of_the_exact_solution():
    found = tj.grad(loss, argnums=(0, 1, 2), compile="never")(START, TIMES, RATES)
    for k, given in enumerate((START, TIMES, RATES)):
        for i in range(len(given)):
            values = []
            for sign in (1, -1):
                moved = [START.copy(), TIMES.copy(), RATES.copy()]
                moved[k][i] += sign * 1e-5
                values.append((exact(*moved) ** 2).sum())
            assert np.isclose(found[k][i], (values[0] - values[1]) / 2e-5, rtol=1e-5, atol=1e-6)


def test_second_derivatives_with_chosen_steps():
    H = tj.hessian(lambda p: loss(START, TIMES, p), compile="never")(RATES)
    slope = tj.grad(lambda p: loss(START, TIMES, p), compile="never")
    for i in range(2):
        e = 1e-4 * np.eye(2)[i]
        assert np.allclose(H[i], (slope(RATES + e) - slope(RATES - e)) / 2e-4, rtol=1e-4)


@pytest.mark.parametrize("options", [{"steps": 3}, {}])
def test_recorded_solutions_are_replayed(options):
    eager = tj.value_and_grad(lambda p: loss(START, TIMES, p, **options), compile="never")
    recorded = tj.value_and_grad(lambda p: loss(START, TIMES, p, **options), compile="now")
    for shift in (0.0, 0.01, 0.3, 0.0):
        for a, b in zip(eager(RATES + shift), recorded(RATES + shift), strict=True):
            assert np.allclose(a, b, rtol=1e-12)


def test_checkpoints_give_the_same_gradient():
    scale = tj.tensor(1.3, requires_grad=True)

    def f(y, t, p):
        return hunt(y, t, p["rates"]) * scale

    found = []
    for checkpoint in (False, True):
        y, p = tj.tensor(START, requires_grad=True), tj.tensor(RATES, requires_grad=True)
        value = (odeint(f, y, TIMES, {"rates": p}, checkpoint=checkpoint) ** 2).sum()
        found.append([g.numpy() for g in tj.autograd.grad(value, (y, p, scale))])
    for a, b in zip(*found, strict=True):
        assert np.allclose(a, b, rtol=1e-13)


def test_a_start_of_any_shape():
    y = odeint(lambda y, t: -y, tj.ones(2, 3), [0.0, 1.0])
    assert y.shape == (2, 2, 3)
    assert np.allclose(y[1].numpy(), np.exp(-1), rtol=1e-8)
    assert odeint(lambda y, t: -y, 2.0, [0.0]).tolist() == [2.0]


def test_what_cannot_be_solved_is_said():
    with pytest.raises(ArithmeticError, match="odeint"):
        odeint(lambda y, t: y * y, 1.0, [0.0, 2.0])
    with pytest.raises(ArithmeticError, match="not finite"):
        odeint(lambda y, t: y * np.nan, 1.0, [0.0, 2.0])
    with pytest.raises(ArithmeticError, match="3 steps"):
        odeint(lambda y, t: tj.sin(9 * t), 1.0, [0.0, 9.0], maxsteps=3)
    with pytest.raises(ValueError, match="neither"):
        odeint(lambda y, t: y, 1.0, [0.0, 2.0, 1.0])
    with pytest.raises(ValueError, match="shape"):
        odeint(lambda y, t: tj.ones(3), 1.0, [0.0, 1.0])
    with pytest.raises(ValueError, match="vector"):
        odeint(lambda y, t: y, 1.0, 2.0)
    with pytest.raises(ValueError, match="at least one"):
        odeint(lambda y, t: y, 1.0, [0.0, 1.0], steps=0)
