"""vecmath against NumPy and SciPy on 100 000 elements, one thread, in place: `pytest bench/bench_vecmath.py`.

One group per function and type, e.g. `-k "exp-float64"`, so that the rivals stand beside each other.
"""

import numpy as np
import pytest
import scipy.special
from numba import njit

from tapejit.edge import vecmath as vm

SIZE = 100_000
# name: (the rival, range of the arguments, or one range per argument)
CASES = {
    "exp": (np.exp, (-10, 10)),
    "exp2": (np.exp2, (-10, 10)),
    "expm1": (np.expm1, (-10, 10)),
    "log": (np.log, (0, 100)),
    "log1p": (np.log1p, (-0.9, 10)),
    "log2": (np.log2, (0, 100)),
    "log10": (np.log10, (0, 100)),
    "sin": (np.sin, (-10, 10)),
    "cos": (np.cos, (-10, 10)),
    "tan": (np.tan, (-10, 10)),
    "asin": (np.arcsin, (-1, 1)),
    "acos": (np.arccos, (-1, 1)),
    "atan": (np.arctan, (-10, 10)),
    "sinh": (np.sinh, (-10, 10)),
    "cosh": (np.cosh, (-10, 10)),
    "tanh": (np.tanh, (-3, 3)),
    "asinh": (np.arcsinh, (-10, 10)),
    "acosh": (np.arccosh, (1, 10)),
    "atanh": (np.arctanh, (-1, 1)),
    "sigmoid": (scipy.special.expit, (-10, 10)),
    "softplus": (lambda x, out: np.logaddexp(x, x.dtype.type(0), out=out), (-10, 10)),
    "erf": (scipy.special.erf, (-3, 3)),
    "erfc": (scipy.special.erfc, (-3, 3)),
    "pow": (np.power, (0.1, 10), (-10, 10)),
    "atan2": (np.arctan2, (-10, 10), (-10, 10)),
    "hypot": (np.hypot, (-10, 10), (-10, 10)),
}


def _loop(name, arguments):
    function = getattr(vm, name)
    if arguments == 1:
        @njit
        def run(x, out):
            for i in range(x.size):
                out[i] = function(x[i])
    else:
        @njit
        def run(x, y, out):
            for i in range(x.size):
                out[i] = function(x[i], y[i])
    return run


@pytest.mark.parametrize("library", ["tapejit", "rival"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_function(benchmark, name, dtype, library):
    rival, *ranges = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(low, high, SIZE).astype(dtype) for low, high in ranges]
    out = np.empty_like(arrays[0])
    benchmark.group = f"{name}-{dtype}"
    if library == "tapejit":
        run = _loop(name, len(arrays))
        run(*arrays, out)
        benchmark(run, *arrays, out)
    else:
        benchmark(lambda: rival(*arrays, out=out))
