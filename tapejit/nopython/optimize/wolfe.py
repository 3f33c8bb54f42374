"""A line search to the strong Wolfe conditions, compiled.

J. Nocedal, S. Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6; the cubic through two values and slopes is
their equation 3.59.
"""

import numpy as np

from tapejit.nopython.cache import helper, unkept

_DECREASE, _CURVATURE, _TRIES = 1e-4, 0.9, 40


@helper(fastmath={"reassoc", "contract", "nsz"})
def dot(a, b):
    """In any order, so in vectors: the sums of one addition after the other were most of L-BFGS's own time."""
    s = 0.0
    for i in range(len(a)):
        s += a[i] * b[i]
    return s


@helper
def add(factor, a, out):
    for i in range(len(a)):
        out[i] += factor * a[i]


@helper
def cubic_minimum(a, fa, da, b, fb, db):
    """Where the cubic through (a, fa) and (b, fb) with slopes da and db is least, kept inside; the middle if it is nowhere."""
    c = da + db - 3.0 * (fa - fb) / (a - b)
    root = c * c - da * db
    middle = 0.5 * (a + b)
    if not root >= 0.0:
        return middle
    root = np.sqrt(root) if b > a else -np.sqrt(root)
    t = b - (b - a) * (db + root - c) / (db - da + 2.0 * root)
    edge = 0.1 * abs(b - a)
    return t if min(a, b) + edge <= t <= max(a, b) - edge else middle


@unkept
def search(evaluate, args, x, d, value, slope, step, trial, gradient):
    """A step along d that decreases the function enough and leaves a slope that is flat enough.

    Returns:
        (step, the function there, evaluations); ``trial`` and ``gradient`` hold the point and its gradient. Step 0: none.
    """
    low, f_low, s_low = 0.0, value, slope
    high, f_high, s_high = 0.0, value, slope
    bracketed = False
    for calls in range(1, _TRIES + 1):
        for i in range(len(x)):
            trial[i] = x[i] + step * d[i]
        f = evaluate(trial, gradient, args)
        s = dot(gradient, d)
        if not (np.isfinite(f) and np.isfinite(s)):
            high, f_high, s_high, bracketed = step, np.inf, np.inf, True
            step = 0.5 * (low + high) if np.isfinite(f_low) else 0.1 * step
            continue
        if f > value + _DECREASE * step * slope or (f >= f_low and low > 0.0):
            high, f_high, s_high, bracketed = step, f, s, True
        else:
            if abs(s) <= -_CURVATURE * slope:
                return step, f, calls
            if s * (high - low if bracketed else 1.0) >= 0.0:
                high, f_high, s_high, bracketed = low, f_low, s_low, True
            low, f_low, s_low = step, f, s
        if not bracketed:
            step *= 4.0
        elif np.isfinite(f_high):
            step = cubic_minimum(low, f_low, s_low, high, f_high, s_high)
        else:
            step = 0.5 * (low + high)
        if abs(high - low) <= 1e-16 * max(abs(step), 1e-300) and bracketed:
            break
    if low > 0.0:  # the conditions cannot be met to the last digits, but this is lower
        for i in range(len(x)):
            trial[i] = x[i] + low * d[i]
        return low, evaluate(trial, gradient, args), _TRIES + 1
    return 0.0, value, _TRIES
