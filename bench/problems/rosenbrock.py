"""Rosenbrock's function, its gradient by hand."""

import numpy as np
from numba import njit

FAST = dict(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@njit(**FAST)
def gradient_into(x, g):
    """Each element gathers from its neighbours: no element of g is written twice, and the loop vectorises."""
    n = x.shape[0]
    value = 0.0
    u = 1 - x[0]
    r = x[1] - x[0] * x[0]
    value += 100 * r * r + u * u
    g[0] = -400 * r * x[0] - 2 * u
    for i in range(1, n - 1):
        before = x[i] - x[i - 1] * x[i - 1]
        r = x[i + 1] - x[i] * x[i]
        u = 1 - x[i]
        value += 100 * r * r + u * u
        g[i] = 200 * before - 400 * r * x[i] - 2 * u
    g[n - 1] = 200 * (x[n - 1] - x[n - 2] * x[n - 2])
    return value


@njit(**FAST)
def value_and_gradient(x):
    g = np.empty_like(x)
    return gradient_into(x, g), g
