"""The heat equation with a cubic sink, explicit steps, and its adjoint by hand."""

import numpy as np
from numba import njit


@njit
def heat(u0):
    """Explicit heat equation with a cubic sink: 100 steps; the sum of squares at the end."""
    n = u0.size
    u = u0.copy()
    w = np.zeros(n)
    for _ in range(100):
        for i in range(1, n - 1):
            w[i] = u[i] + 0.1 * (u[i - 1] - 2.0 * u[i] + u[i + 1]) - 0.01 * u[i] ** 3
        for i in range(1, n - 1):
            u[i] = w[i]
    s = 0.0
    for i in range(n):
        s += u[i] * u[i]
    return s


@njit
def gradient_into(u0, g):
    n = u0.size
    steps = 100
    states = np.empty((steps + 1, n))
    states[0, :] = u0
    for t in range(steps):
        u, w = states[t], states[t + 1]
        w[0] = u[0]
        w[n - 1] = u[n - 1]
        for i in range(1, n - 1):
            w[i] = u[i] + 0.1 * (u[i - 1] - 2.0 * u[i] + u[i + 1]) - 0.01 * u[i] ** 3
    last = states[steps]
    s = 0.0
    for i in range(n):
        s += last[i] * last[i]
        g[i] = 2.0 * last[i]
    b = np.empty(n)
    for t in range(steps - 1, -1, -1):
        u = states[t]
        for i in range(n):
            b[i] = g[i]
        for i in range(2, n - 2):
            g[i] = b[i] * (0.8 - 0.03 * u[i] * u[i]) + 0.1 * (b[i - 1] + b[i + 1])
        for i in (1, n - 2):
            g[i] = b[i] * (0.8 - 0.03 * u[i] * u[i])
            g[i] += 0.1 * (b[i + 1] if i == 1 else b[i - 1])
        g[0] = b[0] + 0.1 * b[1]
        g[n - 1] = b[n - 1] + 0.1 * b[n - 2]
    return s


@njit
def value_and_gradient(u0):
    g = np.empty_like(u0)
    return gradient_into(u0, g), g
