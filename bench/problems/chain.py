"""z = z * y, many times, on small arrays: the weighted sum of the last z, its gradient by hand."""

import numpy as np
from numba import njit


@njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def value_and_gradient(x, y, seed, length):
    n = x.size
    states = np.empty((length, n))
    z = x.copy()
    for k in range(length):
        for i in range(n):
            states[k, i] = z[i]
            z[i] *= y[i]
    value = (z * seed).sum()
    g, dy = seed.copy(), np.zeros(n)
    for k in range(length - 1, -1, -1):
        for i in range(n):
            dy[i] += g[i] * states[k, i]
            g[i] *= y[i]
    return value, g, dy
