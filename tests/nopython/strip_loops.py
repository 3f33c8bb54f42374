"""What the tests of loops in strips share: a register of loops, and what each is compared with."""

import numpy as np
import pytest
from finite_differences import differences
from numba import njit
from random_programs import exactly

from tapejit import nopython
from tapejit.nopython import statementtape as tape
from tapejit.nopython.memory import get_thread_tape, read
from tapejit.nopython.statementtape import STRIP

SIZE = 45
POINT = np.cos(np.arange(SIZE) * 1.7) + 0.1


class Loops(dict):
    """name -> (a loop, whether strips are expected on its tape)."""

    def strips(self, f):
        self[f.__name__] = f, True
        return f

    def passes(self, f):
        self[f.__name__] = f, False
        return f

    def tests(self):
        """What a file tests of each of its loops: by the tape, by dual numbers (slow), and what both are compared with."""
        each = pytest.mark.parametrize("name", list(self))

        @each
        def by_tape(name):
            check_tape(*self[name])

        @pytest.mark.slow
        @each
        def by_dual_numbers(name):
            check_dual(self[name][0])

        @each
        def plainly(name):
            check_plain(self[name][0])

        return by_tape, by_dual_numbers, plainly


@njit
def count_strips(statements):
    counts = read(get_thread_tape(1), tape.COUNTS, 0)
    found = 0
    for k in range(statements):
        found += read(counts, k, np.int32(0)) == STRIP
    return found


def check_tape(f, strips):
    """By the tape: the value, the gradient, and whether there are strips."""
    nopython.free_memory()
    value_and_grad = nopython.value_and_grad(f, mode="tape")
    value, gradient = value_and_grad(POINT.copy())
    assert bool(count_strips(10 * SIZE)) == strips
    expected, exact = exactly(f, POINT)
    assert value == pytest.approx(expected, rel=1e-13)
    assert gradient == pytest.approx(exact, rel=1e-11, abs=1e-11 * np.abs(exact).max())
    _, again = value_and_grad(POINT.copy())
    assert np.array_equal(again, gradient), "adjoints are left clean"


def check_dual(f):
    """By dual numbers."""
    value, gradient = nopython.value_and_grad(f, mode="dual")(POINT.copy())
    expected, exact = exactly(f, POINT)
    assert value == pytest.approx(expected, rel=1e-13)
    assert gradient == pytest.approx(exact, rel=1e-11, abs=1e-11 * np.abs(exact).max())


def check_plain(f):
    """What both are compared with, against finite differences."""
    value, gradient = exactly(f, POINT)
    assert value == pytest.approx(f(POINT.copy()), rel=1e-13)
    expected = differences(f, POINT)
    assert gradient == pytest.approx(expected, rel=1e-5, abs=1e-6 * max(1.0, np.abs(expected).max()))
