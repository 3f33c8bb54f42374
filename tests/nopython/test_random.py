"""Random programs against the exact oracle: a few always, many when slow tests are asked for."""

import numpy as np
import pytest
from numba import njit
from random_programs import COMPILED, make

from tapejit import nopython


def check(seed, mode):
    source, (value, gradient), point = make(seed)
    namespace = dict(COMPILED)
    exec(source, namespace)
    namespace["helper"] = njit(namespace["helper"])
    found, slope = nopython.value_and_grad(namespace["program"], mode=mode)(point)
    assert found == pytest.approx(value, rel=1e-9, abs=1e-10), source
    assert np.allclose(slope, gradient, rtol=1e-8, atol=1e-9), source


@pytest.mark.parametrize("seed", range(10))
def test_a_few_programs(seed):
    check(seed, "tape")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 510))
def test_many_programs(seed):
    check(seed, "dual" if seed % 5 == 0 else "tape")
