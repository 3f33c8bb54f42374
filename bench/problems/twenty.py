"""The function of the cold start as a Numba function, kept on disk as a user would have it."""

import math

from numba import njit


@njit(cache=True)
def total(x):
    s = 0.0
    for i in range(x.size):
        v = x[i]
        y = math.sin(v) * math.exp(-v) + math.tanh(v) / (1 + v**2)
        y = math.log(1 + y * y) - math.sqrt(v) * math.cos(v)
        y = 1 / (1 + math.exp(-y)) + math.sinh(v) / math.cosh(y)
        s += math.atan(y) * v - y * y
    return s
