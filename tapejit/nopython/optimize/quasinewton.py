"""BFGS and L-BFGS as compiled loops.

J. Nocedal, S. Wright, Numerical Optimization (2006), algorithms 6.1, 7.4 and 7.5.
"""

import numpy as np
from numba import njit

from tapejit.nopython.cache import helper, unkept
from tapejit.nopython.derivatives import value_and_grad
from tapejit.nopython.optimize.starts import started
from tapejit.nopython.optimize.wolfe import add, dot, search

CONVERGED, EXHAUSTED, STUCK, NOT_FINITE = 0, 1, 2, 3  # the first three as SciPy's statuses


@helper
def _largest(g):
    """The largest absolute value; NaN if there is one."""
    m = 0.0
    for i in range(len(g)):
        if not abs(g[i]) <= m and not np.isnan(m):
            m = abs(g[i])
    return m


@helper
def _identity(H):
    for i in range(H.shape[0]):
        for j in range(H.shape[1]):
            H[i, j] = 1.0 if i == j else 0.0


@helper
def _downhill(g, d):
    """A loop: assignments to slices take Numba seconds to compile, for their error messages."""
    for i in range(len(g)):
        d[i] = -g[i]


@helper
def _direction_dense(H, g, d):
    for i in range(len(g)):
        d[i] = -dot(H[i], g)


@helper
def _update_dense(H, s, y, u, first):
    """The inverse Hessian's approximation after a step s that changed the gradient by y."""
    n, sy = len(s), dot(s, y)
    if not sy > 1e-14 * np.sqrt(dot(s, s) * dot(y, y)):
        return
    if first:
        scale = sy / dot(y, y)
        for i in range(n):
            H[i, i] = scale
    for i in range(n):
        u[i] = dot(H[i], y)
    factor = (1.0 + dot(y, u) / sy) / sy
    for i in range(n):
        for j in range(n):
            H[i, j] += factor * s[i] * s[j] - (u[i] * s[j] + s[i] * u[j]) / sy


@helper
def _direction_limited(S, Y, rho, alpha, count, g, d):
    """The two loops over the last steps; those before count - len(S) are forgotten."""
    memory = len(S)
    for i in range(len(g)):
        d[i] = -g[i]
    if count == 0:
        return
    for k in range(count - 1, max(count - memory, 0) - 1, -1):
        j = k % memory
        alpha[j] = rho[j] * dot(S[j], d)
        add(-alpha[j], Y[j], d)
    last = (count - 1) % memory
    scale = 1.0 / (rho[last] * dot(Y[last], Y[last]))
    for i in range(len(d)):
        d[i] *= scale
    for k in range(max(count - memory, 0), count):
        j = k % memory
        add(alpha[j] - rho[j] * dot(Y[j], d), S[j], d)


def _evaluation(fun):
    into = value_and_grad(fun).into

    @unkept
    def evaluate(x, gradient, args):
        return into(*((x,) + args + (gradient,)))  # noqa: RUF005 - as Numba takes it

    return evaluate


def bfgs(fun, *, gtol=1e-5, maxiter=1000):
    """A compiled minimiser by the BFGS method, for up to some hundred numbers.

    Args:
        fun: ``fun(x, *args)`` gives a number; as for ``nopython.value_and_grad``, x an array of one dimension.
        gtol: the largest entry of the gradient at which to stop.
        maxiter: the most steps.

    Returns:
        a jitted function ``solve(x0, *args) -> (x, value, status, evaluations)``; status 0: converged, 1: maxiter steps,
        2: no lower point along the search direction (the last digits are reached, or the gradient is not continuous),
        3: not finite at the start.
    """
    evaluate = _evaluation(fun)

    @njit(nogil=True, error_model="numpy")
    def solve(x0, *args):
        n = len(x0)
        x, g, d, trial, new = started(x0), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
        s, y, H, u = np.empty(n), np.empty(n), np.eye(n), np.empty(n)
        value, calls = evaluate(x, g, args), 1
        if not np.isfinite(value + dot(g, g)):
            return x, value, NOT_FINITE, calls
        for k in range(maxiter):
            largest = _largest(g)
            if largest <= gtol:
                return x, value, CONVERGED, calls
            _direction_dense(H, g, d)
            slope = dot(g, d)
            if not slope < 0.0:
                _identity(H)
                _downhill(g, d)
                slope = -dot(g, g)
            step, value, more = search(
                evaluate, args, x, d, value, slope, 1.0 if k else min(1.0, 1.0 / largest), trial, new
            )
            calls += more
            if step == 0.0:
                return x, value, STUCK, calls
            for i in range(n):
                s[i], y[i] = trial[i] - x[i], new[i] - g[i]
                x[i], g[i] = trial[i], new[i]
            _update_dense(H, s, y, u, k == 0)
        return x, value, CONVERGED if _largest(g) <= gtol else EXHAUSTED, calls

    return solve


def lbfgs(fun, *, memory=10, gtol=1e-5, maxiter=10_000):
    """A compiled minimiser by the L-BFGS method, for many numbers; as ``bfgs``, the last ``memory`` steps being kept."""
    evaluate = _evaluation(fun)

    @njit(nogil=True, error_model="numpy")
    def solve(x0, *args):
        n = len(x0)
        x, g, d, trial, new = started(x0), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
        S, Y, rho, alpha = np.empty((memory, n)), np.empty((memory, n)), np.empty(memory), np.empty(memory)
        value, calls, count = evaluate(x, g, args), 1, 0
        if not np.isfinite(value + dot(g, g)):
            return x, value, NOT_FINITE, calls
        for _ in range(maxiter):
            largest = _largest(g)
            if largest <= gtol:
                return x, value, CONVERGED, calls
            _direction_limited(S, Y, rho, alpha, count, g, d)
            slope = dot(g, d)
            if not slope < 0.0:
                count, slope = 0, -dot(g, g)
                _downhill(g, d)
            first = 1.0 if count else min(1.0, 1.0 / largest)
            step, value, more = search(evaluate, args, x, d, value, slope, first, trial, new)
            calls += more
            if step == 0.0:
                return x, value, STUCK, calls
            j = count % memory
            for i in range(n):
                S[j, i], Y[j, i] = trial[i] - x[i], new[i] - g[i]
                x[i], g[i] = trial[i], new[i]
            sy = dot(S[j], Y[j])
            if sy > 1e-14 * np.sqrt(dot(S[j], S[j]) * dot(Y[j], Y[j])):
                rho[j] = 1.0 / sy
                count += 1
        return x, value, CONVERGED if _largest(g) <= gtol else EXHAUSTED, calls

    return solve
