"""A long scalar recurrence as a Numba function: ``n`` operations."""

from numba import njit


@njit
def iterate(x, n):
    for _ in range(n // 4):
        x = x + 1e-7 * (1.0 - x * x)
    return x
