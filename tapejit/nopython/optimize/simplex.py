"""Nelder and Mead's method as a compiled loop, for functions without a useful gradient.

J. Nelder, R. Mead, Computer Journal 7 (1965) 308; the coefficients for many numbers are F. Gao and L. Han's,
Computational Optimization and Applications 51 (2012) 259.
"""

import numpy as np
from numba import njit
from numba.extending import is_jitted

from tapejit.nopython.cache import helper, unkept


@helper
def place_corner(x0, k, corner):
    """The start, for k > 0 with one number a little larger."""
    corner[:] = x0
    if k:
        corner[k - 1] += 0.05 * x0[k - 1] if x0[k - 1] != 0.0 else 0.00025


def nelder_mead(fun, *, xtol=1e-8, ftol=1e-8, maxfev=10_000):
    """A compiled minimiser that uses values alone.

    Args:
        fun: ``fun(x, *args)`` gives a number, x an array of one dimension; a plain function or a jitted one.
        xtol, ftol: the size of the simplex, and the range of its values, at which to stop.
        maxfev: the most evaluations.

    Returns:
        a jitted function ``solve(x0, *args) -> (x, value, status, evaluations)``; status 0: converged, 1: maxfev evaluations.
    """
    fun = fun if is_jitted(fun) else njit(fun)

    @unkept
    def at(t, centre, corner, point, args):
        for i in range(len(point)):
            point[i] = centre[i] + t * (corner[i] - centre[i])
        value = fun(point, *args)
        return value if not np.isnan(value) else np.inf

    @njit(nogil=True, error_model="numpy")
    def solve(x0, *args):
        n = len(x0)
        expand, contract, shrink = 1.0 + 2.0 / n, 0.75 - 0.5 / n, 1.0 - 1.0 / max(n, 2)
        corners, values = np.empty((n + 1, n)), np.empty(n + 1)
        centre, point, other = np.empty(n), np.empty(n), np.empty(n)
        for k in range(n + 1):
            place_corner(x0, k, corners[k])
            values[k] = at(1.0, corners[k], corners[k], point, args)
        calls = n + 1
        while calls < maxfev:
            order = np.argsort(values)
            corners, values = corners[order], values[order]
            if values[n] - values[0] <= ftol and np.max(np.abs(corners - corners[0])) <= xtol:
                return corners[0].copy(), values[0], 0, calls
            for i in range(n):
                centre[i] = np.sum(corners[:n, i]) / n
            value = at(-1.0, centre, corners[n], point, args)
            calls += 1
            if value < values[0]:
                further = at(-expand, centre, corners[n], other, args)
                calls += 1
                if further < value:
                    point[:], value = other, further
            elif value >= values[n - 1]:
                nearer = at(-contract if value < values[n] else contract, centre, corners[n], other, args)
                calls += 1
                if nearer < min(value, values[n]):
                    point[:], value = other, nearer
                else:
                    for k in range(1, n + 1):
                        values[k] = at(shrink, corners[0], corners[k], point, args)
                        corners[k] = point
                    calls += n
                    continue
            corners[n], values[n] = point, value
        best = np.argmin(values)
        return corners[best].copy(), values[best], 1, calls

    return solve
