"""Random programs against the exact oracle: a few always, many when slow tests are asked for."""

import numpy as np
import pytest
from numba import njit
from random_programs import COMPILED, make

from tapejit import nopython


def compiled(source):
    namespace = dict(COMPILED)
    exec(source, namespace)
    for name in ("helper", "pair"):
        namespace[name] = njit(namespace[name])
    return namespace["program"]


def check(seed, mode):
    source, (value, gradient), point = make(seed)
    found, slope = nopython.value_and_grad(compiled(source), mode=mode)(point)
    assert found == pytest.approx(value, rel=1e-9, abs=1e-10), source
    assert np.allclose(slope, gradient, rtol=1e-8, atol=1e-9), source


def check_float32(seed):
    """Single precision takes its own branches: tape and dual numbers are compared with each other."""
    source, _, point = make(seed)
    results = [
        nopython.value_and_grad(compiled(source), mode=m)(point.astype(np.float32)) for m in ("tape", "dual")
    ]
    (found, slope), (value, gradient) = results
    assert slope.dtype == np.float32
    assert found == pytest.approx(value, rel=1e-6), source
    assert np.allclose(slope, gradient, rtol=1e-5, atol=1e-6), source


@pytest.mark.parametrize("seed", range(4))
def test_a_few_programs(seed):
    check(seed, "tape")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 510))
def test_many_programs(seed):
    if seed % 10 == 9:
        check_float32(seed)
    else:
        check(seed, "dual" if seed % 5 == 0 else "tape")
