"""Each feature of ``feature_functions`` against plain Python and its finite differences, on the tape and with dual numbers."""

import numpy as np
import pytest
from feature_functions import FUNCTIONS, POINT
from finite_differences import differences

from tapejit import nopython

# Dual numbers share everything but the arithmetic with the tape: a few functions cover them in a quick run.
QUICK = (
    "loop_carried_from_int",
    "branches",
    "math_functions",
    "powers",
    "calls",
    "tuples",
    "while_with_break",
)


HEAVY = ("sorting", "products_and_spread", "third_axis")  # ten seconds of compilation each


def is_slow(name, mode):
    return name in HEAVY or (mode == "dual" and name not in QUICK)


CASES = [
    pytest.param(name, mode, marks=[pytest.mark.slow] if is_slow(name, mode) else [])
    for mode in ("tape", "dual")
    for name in FUNCTIONS
]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_feature(name, mode):
    f = FUNCTIONS[name]
    x = POINT.copy()
    value, gradient = nopython.value_and_grad(f, mode=mode)(x)
    expected = differences(f, POINT)
    assert np.array_equal(x, POINT), "the caller's array is left alone"
    assert value == pytest.approx(f(POINT.copy()), rel=1e-12)
    assert gradient == pytest.approx(expected, rel=1e-6, abs=2e-8)
