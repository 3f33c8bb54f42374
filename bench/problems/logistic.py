"""Logistic regression: the loss and its gradient by hand, the products by BLAS."""

import math

from numba import njit


@njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def value_and_gradient(w, x, y):
    n = y.size
    s = x @ w
    total = 0.0
    for i in range(n):
        z = s[i]
        e = math.exp(-abs(z))
        total += max(z, 0.0) + math.log1p(e) - y[i] * z
        s[i] = ((1.0 if z > 0 else e) / (1 + e) - y[i]) / n
    return total / n, s @ x
