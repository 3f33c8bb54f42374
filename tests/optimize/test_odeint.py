"""Solutions of initial value problems, and their derivatives."""

import gc

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import tapejit as tj
from tapejit.core import tape
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


@pytest.mark.parametrize("options", [{"steps": 8}, {"rtol": 1e-6, "atol": 1e-6}], ids=["equal", "chosen"])
def test_the_adjoint_equation_gives_the_gradient(options):
    steps = tj.grad(lambda *a: loss(*a, steps=8), argnums=(0, 1, 2), compile="never")
    equation = tj.grad(lambda *a: loss(*a, adjoint="continuous", **options), argnums=(0, 1, 2), compile="never")
    for a, b in zip(steps(START, TIMES, RATES), equation(START, TIMES, RATES), strict=True):
        assert np.allclose(a, b, atol=1e-4)


def test_the_adjoint_equation_is_replayed_and_differentiated():
    def slope(p, **options):
        return loss(START, TIMES[:2], p, steps=3, **options)

    eager = tj.grad(lambda p: slope(p, adjoint="continuous"), compile="never")
    recorded = tj.grad(lambda p: slope(p, adjoint="continuous"), compile="now")
    for shift in (0.0, 0.1):
        assert np.allclose(eager(RATES + shift), recorded(RATES + shift), rtol=1e-12)
    H = tj.hessian(lambda p: slope(p, adjoint="continuous"), compile="never")(RATES)
    assert np.allclose(H, tj.hessian(slope, compile="never")(RATES), rtol=1e-4)


def test_the_adjoint_equation_sees_what_is_closed_over():
    scale = tj.tensor(1.3, requires_grad=True)

    def f(y, t, p):
        return hunt(y, t, p["rates"]) * scale

    found = []
    for adjoint in ("discrete", "continuous"):
        y, p = tj.tensor(START, requires_grad=True), tj.tensor(RATES, requires_grad=True)
        value = (odeint(f, y, TIMES, {"rates": p}, adjoint=adjoint, steps=8) ** 2).sum()
        found.append([g.numpy() for g in tj.autograd.grad(value, (y, p, scale))])
    for a, b in zip(*found, strict=True):
        assert np.allclose(a, b, rtol=1e-4)


def test_the_adjoint_equation_where_little_depends():
    of = dict(adjoint="continuous", steps=4)
    assert tj.grad(lambda y: odeint(lambda y, t: -y, y, [0.0], **of).sum(), compile="never")(2.0) == 1.0
    assert tj.grad(lambda y: odeint(lambda y, t: tj.sin(t), y, [0.0, 1.0], **of).sum(), compile="never")(2.0) == 2.0
    by_time = tj.grad(lambda t: odeint(lambda y, t: tj.sin(t), 2.0, t, **of).sum(), compile="never")
    assert np.allclose(by_time(np.array([0.5, 1.0])), [-np.sin(0.5), np.sin(1.0)])
    by_rate = tj.grad(lambda p: odeint(lambda y, t, p: p * t, 2.0, [0.0, 1.0], p, **of)[-1], compile="never")
    assert np.isclose(by_rate(3.0), 0.5)
    assert not odeint(lambda y, t: -y, 2.0, [0.0, 1.0], **of).requires_grad


def test_the_adjoint_equation_keeps_nothing_of_the_way():
    kept = {}
    for adjoint in ("discrete", "continuous"):
        y = tj.tensor(START, requires_grad=True)
        gc.collect()
        tape.main.reclaim()
        before = len(tape.main)
        value = odeint(hunt, y, [0.0, 10.0], RATES, adjoint=adjoint)
        gc.collect()
        tape.main.reclaim()
        kept[adjoint] = len(tape.main) - before
        del value
    assert kept["discrete"] > 1000
    assert kept["continuous"] < 20


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
    with pytest.raises(ValueError, match="adjoint"):
        odeint(lambda y, t: y, 1.0, [0.0, 1.0], adjoint="backward")
    with pytest.raises(ValueError, match="checkpoint"):
        odeint(lambda y, t: y, 1.0, [0.0, 1.0], adjoint="continuous", checkpoint=True)


def test_a_stiff_equation_says_what_to_do():
    with pytest.raises(ArithmeticError, match=r"stiff.*Radau"):
        odeint(lambda y, t: -1e6 * (y - tj.cos(t)), 0.0, [0.0, 1.0], maxsteps=500)
    with pytest.raises(ArithmeticError, match="raise maxsteps"):
        odeint(lambda y, t: tj.cos(200 * t) * y, 1.0, [0.0, 9.0], maxsteps=100)


def test_a_recording_is_one_program_for_all_numbers_of_steps():
    times = np.linspace(0, 6, 9)
    g = tj.value_and_grad(lambda p: loss(START, times, p), compile="now")
    eager = tj.value_and_grad(lambda p: loss(START, times, p), compile="never")
    rates = np.random.default_rng(0).uniform(0.3, 1.5, size=(12, 2))
    for p in rates:
        for a, b in zip(g(p), eager(p), strict=True):
            assert np.allclose(a, b, rtol=1e-10)
    assert g.calls["recorded"] <= 5


def test_a_step_that_leads_astray_leaves_nothing_in_the_gradient():
    def f(y, t, p):
        return p * tj.exp(3 * y)

    def last(p):
        return odeint(f, -1.0, [0.0, 3.0], p, rtol=1e-3, atol=1e-3)[-1]

    exact = -np.log(np.exp(3.0) - 9 * 2.2) / 3
    assert np.isclose(float(last(2.2)), exact, rtol=1e-2)
    assert np.isfinite(tj.grad(last, compile="never")(2.2))


def test_refused_steps_and_their_derivatives():
    def f(y, t, p):
        return -y + p * tj.exp(-200 * (t - 1) ** 2)

    def last(p):
        return odeint(f, 1.0, [0.0, 0.2, 3.0], p)[-1]

    rhs = lambda t, y, p: -y + p * np.exp(-200 * (t - 1) ** 2)  # noqa: E731
    found = [solve_ivp(rhs, (0, 3), [1.0], args=(p,), rtol=1e-12, atol=1e-12).y[0, -1] for p in (2.0, 3.0)]
    value, slope = tj.value_and_grad(last, compile="never")(2.0)
    assert np.isclose(value, found[0], rtol=1e-6)
    assert np.isclose(slope, found[1] - found[0], rtol=1e-6)
