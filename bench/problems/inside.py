"""Loops that call a gradient again and again from compiled code.

The input changes a little from call to call, or the call would leave the loop.
"""

from numba import njit

CALLS = 1_000


@njit
def on_array(f, x, g):
    total = 0.0
    start = x[0]
    for k in range(CALLS):
        x[0] = start * (1.0 + 1e-15 * k)
        total += f(x, g)
    x[0] = start
    return total


@njit
def on_array_pair(f, x, g):
    """The same for a function that gives (value, gradient) and writes the gradient."""
    total = 0.0
    start = x[0]
    for k in range(CALLS):
        x[0] = start * (1.0 + 1e-15 * k)
        total += f(x, g)[0]
    x[0] = start
    return total


@njit
def on_number(f, a):
    total = slopes = 0.0
    for k in range(CALLS):
        value, slope = f(a * (1.0 + 1e-15 * k))
        total += value
        slopes += slope
    return total, slopes


@njit
def on_pair(f, a, b):
    total = first = second = 0.0
    for k in range(CALLS):
        value, slopes = f(a * (1.0 + 1e-15 * k), b)
        total += value
        first += slopes[0]
        second += slopes[1]
    return total, first, second


@njit
def on_five(f, s, k, r, v, t):
    total = a = b = c = d = e = 0.0
    for i in range(CALLS):
        value, slopes = f(s * (1.0 + 1e-15 * i), k, r, v, t)
        total += value
        a += slopes[0]
        b += slopes[1]
        c += slopes[2]
        d += slopes[3]
        e += slopes[4]
    return total, a, b, c, d, e
