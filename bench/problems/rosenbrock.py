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


@njit(**FAST)
def hessian_product(x, v):
    n = x.shape[0]
    out = np.empty_like(x)
    out[0] = (1200 * x[0] * x[0] - 400 * x[1] + 2) * v[0] - 400 * x[0] * v[1]
    for i in range(1, n - 1):
        diagonal = 1200 * x[i] * x[i] - 400 * x[i + 1] + 202
        out[i] = diagonal * v[i] - 400 * (x[i] * v[i + 1] + x[i - 1] * v[i - 1])
    out[n - 1] = 200 * v[n - 1] - 400 * x[n - 2] * v[n - 2]
    return out


@njit(**FAST)
def hessian(x):
    n = x.shape[0]
    out = np.zeros((n, n))
    for i in range(n - 1):
        out[i, i] += 1200 * x[i] * x[i] - 400 * x[i + 1] + 2
        out[i + 1, i + 1] += 200
        out[i, i + 1] = out[i + 1, i] = -400 * x[i]
    return out
