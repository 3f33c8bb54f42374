"""Two perceptrons with one hidden layer: loss and gradient by hand, the products by BLAS."""

import math

import numpy as np
from numba import njit

FAST = dict(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@njit(**FAST)
def tanh_gradient(w1, b1, w2, b2, x, t):
    """Mean squared error of a tanh layer and a linear one."""
    h = x @ w1
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            h[i, j] = math.tanh(h[i, j] + b1[j])
    d = h @ w2
    loss, scale = 0.0, 1.0 / d.size
    db2 = np.zeros_like(b2)
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            e = d[i, j] + b2[j] - t[i, j]
            loss += e * e
            d[i, j] = 2 * scale * e
            db2[j] += d[i, j]
    dw2 = h.T @ d
    dh = d @ w2.T
    db1 = np.zeros_like(b1)
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            dh[i, j] *= 1 - h[i, j] * h[i, j]
            db1[j] += dh[i, j]
    return loss * scale, x.T @ dh, db1, dw2, db2


@njit(**FAST)
def softmax_gradient(w1, b1, w2, b2, x, labels):
    """Mean cross-entropy of a relu layer and a softmax; ``labels`` are one-hot."""
    n = x.shape[0]
    h = x @ w1
    for i in range(n):
        for j in range(h.shape[1]):
            h[i, j] = max(h[i, j] + b1[j], 0.0)
    d = h @ w2
    loss = 0.0
    db2 = np.zeros_like(b2)
    for i in range(n):
        top = -np.inf
        for j in range(d.shape[1]):
            d[i, j] += b2[j]
            top = max(top, d[i, j])
        total = 0.0
        for j in range(d.shape[1]):
            total += math.exp(d[i, j] - top)
        log_total = top + math.log(total)
        for j in range(d.shape[1]):
            score = d[i, j] - log_total
            loss -= score * labels[i, j]
            d[i, j] = (math.exp(score) - labels[i, j]) / n
            db2[j] += d[i, j]
    dw2 = h.T @ d
    dh = d @ w2.T
    db1 = np.zeros_like(b1)
    for i in range(n):
        for j in range(h.shape[1]):
            if h[i, j] == 0.0:
                dh[i, j] = 0.0
            db1[j] += dh[i, j]
    return loss / n, x.T @ dh, db1, dw2, db2
