"""A long scalar recurrence as a Numba function: ``n`` operations on two coupled numbers."""

from numba import njit


@njit
def iterate(x, n):
    y = 0.5 * x
    for _ in range(n // 6):
        x = x - 1e-8 * (y * y)
        y = y + 1e-8 * (x * x)
    return x + y
