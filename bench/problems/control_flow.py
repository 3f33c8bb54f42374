"""A loop and a branch that depend on the value."""

from numba import njit


@njit
def f_and_slope(a):
    b = a * 2
    s = 2.0
    while abs(b) < 1000:
        b = b * 2
        s = s * 2
    return (b, s) if b > 0 else (100 * b, 100 * s)
