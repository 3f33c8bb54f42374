"""x = tanh(A x + b), 200 times: the sum of the last x, and its gradient in A and x by hand."""

import math

import numpy as np
from numba import njit

STEPS = 200


@njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def value_and_gradient(a, x, b):
    n = x.size
    states = np.empty((STEPS + 1, n))
    states[0] = x
    for k in range(STEPS):
        for i in range(n):
            z = b[i]
            for j in range(n):
                z += a[i, j] * states[k, j]
            states[k + 1, i] = math.tanh(z)
    value = states[STEPS].sum()
    g, before = np.ones(n), np.empty(n)
    da = np.zeros_like(a)
    for k in range(STEPS - 1, -1, -1):
        before[:] = 0.0
        for i in range(n):
            y = states[k + 1, i]
            d = g[i] * (1 - y * y)
            for j in range(n):
                da[i, j] += d * states[k, j]
                before[j] += d * a[i, j]
        g[:] = before
    return value, da, g
