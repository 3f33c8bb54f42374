"""Namedtuples as arguments, in the function, and as gradients: of the class of the argument."""

from collections import namedtuple

import numpy as np
import pytest
from finite_differences import differences as slopes
from numba import njit

from tapejit import nopython

Rates = namedtuple("Rates", "birth death")
Model = namedtuple("Model", "start rates")

MODEL = Model(np.array([1.0, 2.0]), Rates(0.5, 1.5))


@njit
def stepped(rates, h):
    return Rates(rates.birth * rates.death, rates.death + h)


def simulated(model, h):
    rates = Rates(model.rates.birth * 2, model.rates.death)
    state = model.start
    for _ in range(3):
        state = state * rates.birth + h * rates.death
        rates = stepped(rates, h)
    return np.sum(state) * rates.birth + np.sum(model.start**2)


def differences(f, model, step=1e-6):
    numbers = [*model.start, *model.rates]

    def at(k, sign):
        moved = list(numbers)
        moved[k] += sign * step
        return f(Model(np.array(moved[:2]), Rates(*moved[2:])), 0.3)

    d = [(at(k, 1) - at(k, -1)) / (2 * step) for k in range(4)]
    return Model(np.array(d[:2]), Rates(*d[2:]))


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_the_gradient_in_a_namedtuple_is_one_of_the_same_class(mode):
    value, gradient = nopython.value_and_grad(simulated, mode=mode)(MODEL, 0.3)
    expected = differences(simulated, MODEL)
    assert value == pytest.approx(simulated(MODEL, 0.3), rel=1e-13)
    assert type(gradient) is Model
    assert type(gradient.rates) is Rates
    np.testing.assert_allclose(gradient.start, expected.start, rtol=1e-7)
    assert gradient.rates == pytest.approx(expected.rates, rel=1e-7)


def product(rates):
    return rates.birth**2 * rates.death


def test_integers_in_a_namedtuple_count_as_floats():
    assert nopython.grad(product)(Rates(3, 2)) == Rates(12.0, 9.0)


def doubled(rates):
    return Rates(rates.birth * rates.death, 2.0 * rates.death)


def test_tangents_in_the_form_of_the_argument_and_of_the_result():
    value, tangent = nopython.jvp(doubled)(Rates(3.0, 2.0), Rates(1.0, 0.5))
    assert (value, tangent) == (Rates(6.0, 4.0), Rates(3.5, 1.0))
    assert type(value) is type(tangent) is Rates


@njit
def kept(rates):
    return doubled_jitted(rates).birth ** 2


doubled_jitted = njit(doubled)


def with_a_checkpoint(rates):
    return CHECKPOINTED(rates) + rates.birth


CHECKPOINTED = nopython.checkpoint(kept)


def test_a_checkpoint_keeps_a_namedtuple():
    assert nopython.grad(with_a_checkpoint, mode="tape")(Rates(3.0, 2.0)) == pytest.approx((25.0, 36.0))


People = namedtuple("People", "well ill past")
Counted = namedtuple("Counted", "total count")
Nested = namedtuple("Nested", "inner path")


def epidemic(x, steps):
    now = People(0.99, 0.01, 0.0)
    for _ in range(steps):
        fallen, risen = x[0] * now.well * now.ill, x[1] * now.ill
        now = People(now.well - 0.1 * fallen, now.ill + 0.1 * (fallen - risen), now.past + 0.1 * risen)
    return now.ill


def with_integers(x, steps):
    now = Counted(0, 1)
    for _ in range(steps):
        now = Counted(now.total + x[0] * now.count, now.count + 1)
    return now.total * x[1]


def with_an_index(x, steps):
    now = Counted(0.0, 1)
    for _ in range(steps):
        now = Counted(now.total + x[now.count % 2], now.count + 1)
    return now.total**2 * x[0]


def in_a_branch(x, steps):
    now = Counted(np.ones(2), 1.0)
    if steps > 3:
        now = Counted(now.total * x, now.count)
    return np.sum(now.total) * now.count * x[0]


def inside_others(x, steps):
    now = Nested(Counted(1.0, 0.0), np.ones(2)), 2.0
    for _ in range(steps):
        first, weight = now
        now = Nested(Counted(first.inner.total * x[0], first.inner.count + x[1]), first.path * x[0]), weight * x[1]
    return now[0].inner.total + now[0].path[0] * now[0].inner.count * now[1]


SLOW = [pytest.param(f, marks=pytest.mark.slow) for f in (epidemic, in_a_branch, with_an_index)]


@pytest.mark.parametrize("f", [with_integers, inside_others, *SLOW], ids=lambda f: f.__name__)
def test_a_namedtuple_of_plain_numbers_becomes_a_differentiated_one(f):
    x = np.array([0.5, 0.1])
    expected = slopes(lambda x: f(x, 4), x)
    value, gradient = nopython.value_and_grad(f, mode="tape")(x, 4)
    assert value == pytest.approx(f(x, 4), rel=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9)


def test_the_same_with_dual_numbers():
    x = np.array([0.5, 0.1])
    expected = slopes(lambda x: epidemic(x, 4), x)
    np.testing.assert_allclose(nopython.grad(epidemic, mode="dual")(x, 4), expected, rtol=1e-6)
