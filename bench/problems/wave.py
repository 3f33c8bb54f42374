"""The wave equation on a square as nested loops, for gradients of compiled code."""

import numpy as np
from numba import njit

STEPS = 100


@njit
def wave(u0):
    """The energy after 100 steps from rest; the border stays at zero.

    Args:
        u0: the field at the beginning, shape (n, n).
    """
    n = u0.shape[0]
    before, u = u0.copy(), u0.copy()
    for _ in range(STEPS):
        after = np.zeros_like(u0)
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                curvature = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4.0 * u[i, j]
                after[i, j] = 2.0 * u[i, j] - before[i, j] + 0.1 * curvature
        before, u = u, after
    total = 0.0
    for i in range(n):
        for j in range(n):
            total += u[i, j] * u[i, j]
    return total
