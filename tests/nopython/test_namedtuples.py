"""Namedtuples as arguments, in the function, and as gradients: of the class of the argument."""

from collections import namedtuple

import numpy as np
import pytest
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
