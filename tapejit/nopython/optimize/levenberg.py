"""Levenberg and Marquardt's method as compiled code.

K. Madsen, H. Nielsen, O. Tingleff, Methods for non-linear least squares problems (2004), section 3.2, with Marquardt's scaling
by the diagonal and bounds by projection: parameters at a bound that would leave it stand still for the step.
"""

import numpy as np
from numba import njit
from numba.extending import is_jitted

from tapejit.nopython.cache import helper, unkept
from tapejit.nopython.optimize.starts import started
from tapejit.nopython.rowsandlanes import jacobian

GRADIENT, COST, STEP, EXHAUSTED, STUCK, NOT_FINITE = 1, 2, 3, 0, -2, -1
MESSAGES = {
    GRADIENT: "`gtol` termination condition is satisfied.",
    COST: "`ftol` termination condition is satisfied.",
    STEP: "`xtol` termination condition is satisfied.",
    EXHAUSTED: "The maximum number of function evaluations is exceeded.",
    STUCK: "No step makes the sum of squares smaller.",
    NOT_FINITE: "The model, its derivative or the data are not finite at the start.",
}


@helper(fastmath={"reassoc", "contract", "nsz"})
def normal_equations(r, J, A, b):
    """A = J J' (lower triangle) and b = J r for J of shape (parameters, points); gives half the sum of squares."""
    n, m = J.shape
    for j in range(n):
        for k in range(j + 1):
            s = 0.0
            for i in range(m):
                s += J[j, i] * J[k, i]
            A[j, k] = s
        s = 0.0
        for i in range(m):
            s += J[j, i] * r[i]
        b[j] = s
    s = 0.0
    for i in range(m):
        s += r[i] * r[i]
    return 0.5 * s


@helper
def factor(A, L, damping, free):
    """Cholesky's factor of A with its diagonal enlarged, rows of fixed parameters left out; False if there is none."""
    n = len(free)
    for j in range(n):
        for k in range(j + 1):
            s = A[j, k] if free[j] and free[k] else 0.0
            if j == k:
                s = s + damping * max(s, 1e-30) if free[j] else 1.0
            for i in range(k):
                s -= L[j, i] * L[k, i]
            if j == k:
                if not s > 0.0:
                    return False
                L[j, j] = np.sqrt(s)
            else:
                L[j, k] = s / L[k, k]
    return True


@helper
def solve_factored(L, d):
    """d becomes the solution of L L' x = d."""
    n = len(d)
    for j in range(n):
        for k in range(j):
            d[j] -= L[j, k] * d[k]
        d[j] /= L[j, j]
    for j in range(n - 1, -1, -1):
        for k in range(j + 1, n):
            d[j] -= L[k, j] * d[k]
        d[j] /= L[j, j]


@helper
def covariance(A, L, free, scale, out):
    """The inverse of A, times ``scale``; inf where A has no inverse or the scale is inf, zeros for fixed parameters."""
    n = len(free)
    if scale == np.inf or not factor(A, L, 0.0, free):
        out[:] = np.inf
        return
    for j in range(n):
        out[j] = 0.0
        if free[j]:
            out[j, j] = 1.0
            solve_factored(L, out[j])
            for k in range(n):
                out[j, k] *= scale


@helper
def fixed_at_bounds(p, b, low, high, free):
    """Mark what may move, and give the largest entry of the gradient among it; NaN if there is one."""
    largest = 0.0
    for j in range(len(p)):
        free[j] = not ((p[j] <= low[j] and b[j] > 0.0) or (p[j] >= high[j] and b[j] < 0.0))
        if free[j] and not abs(b[j]) <= largest and not np.isnan(largest):
            largest = abs(b[j])
    return largest


@helper
def damped_step(p, d, A, L, b, low, high, free, damping, trial):
    """The step into ``trial``; (whether there is one, its length over that of p, the reduction it promises)."""
    n = len(p)
    if not factor(A, L, damping, free):
        return False, 0.0, 0.0
    for j in range(n):
        d[j] = -b[j] if free[j] else 0.0
    solve_factored(L, d)
    length, size, promised = 0.0, 0.0, 0.0
    for j in range(n):
        trial[j] = min(max(p[j] + d[j], low[j]), high[j])
        length += (trial[j] - p[j]) ** 2
        size += p[j] ** 2
        promised += 0.5 * d[j] * (damping * max(A[j, j], 1e-30) * d[j] - b[j])
    return True, np.sqrt(length / max(size, 1e-300)), promised


@helper
def keep_step(p, A, b, trial, B, c):
    """The trial becomes the point. Loops: assignments to slices take Numba seconds to compile, for their error messages."""
    for j in range(len(p)):
        p[j], b[j] = trial[j], c[j]
        for k in range(len(p)):
            A[j, k] = B[j, k]


def solver(evaluate):
    """Compiled code for one problem.

    Args:
        evaluate: jitted; ``evaluate(p, x, y, w, r, J)`` writes weighted residuals and their derivatives, (parameters, points).

    Returns:
        a jitted function of ``(p, x, y, w, low, high, cov, absolute, most, ftol, xtol, gtol)``: the start in ``p`` becomes the
        solution, ``cov`` its covariance; (status, evaluations, half the sum of squares).
    """

    @unkept
    def fit(p, x, y, w, low, high, cov, absolute, most, ftol, xtol, gtol):
        n, m = p.shape[0], y.shape[0]
        r, J, A, B, L = np.empty(m), np.empty((n, m)), np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
        b, c, d, trial, free = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.ones(n, np.bool_)
        evaluate(p, x, y, w, r, J)
        cost, calls, status, damping, growth = normal_equations(r, J, A, b), 1, EXHAUSTED, 1e-3, 2.0
        if not np.isfinite(cost):
            status = NOT_FINITE
        while status == EXHAUSTED and calls < most:
            largest = fixed_at_bounds(p, b, low, high, free)
            if not largest > gtol:
                status = GRADIENT if largest <= gtol else NOT_FINITE
                break
            done, length, promised = damped_step(p, d, A, L, b, low, high, free, damping, trial)
            reached = np.inf
            if done:
                evaluate(trial, x, y, w, r, J)
                reached = normal_equations(r, J, B, c)
                calls += 1
            if reached <= cost:
                if cost - reached <= ftol * cost:
                    status = COST
                elif length <= xtol:
                    status = STEP
                ratio = (cost - reached) / promised if promised > 0.0 else 1.0
                damping *= max(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0) ** 3)
                keep_step(p, A, b, trial, B, c)
                cost, growth = reached, 2.0
            else:
                if done and length <= xtol:
                    status = STEP
                damping *= growth
                growth *= 2.0
                if damping > 1e16:
                    status = STUCK
        scale = 1.0 if absolute else 2.0 * cost / (m - n) if m > n else np.inf
        covariance(A, L, free, scale, cov) if np.isfinite(cost) else cov.fill(np.nan)
        return status, calls, cost

    return fit


def levenberg_marquardt(
    residuals, *, low=-np.inf, high=np.inf, max_nfev=1000, ftol=1e-10, xtol=1e-10, gtol=1e-12
):
    """A compiled minimiser of sums of squares.

    Args:
        residuals: ``residuals(p, *args)`` gives an array of one dimension, p an array of one dimension; plain or jitted.
        low, high: bounds for every parameter.
        max_nfev, ftol, xtol, gtol: when to stop: evaluations; the change of the sum of squares, and of the parameters,
            relative to themselves; the largest entry of the gradient.

    Returns:
        a jitted function ``solve(p0, *args) -> (p, cov, cost, status, evaluations)``: ``cov`` is the covariance with the
        residuals' own variance, ``cost`` half the sum of squares; status 1, 2, 3: gtol, ftol, xtol; 0: evaluations used up;
        -1: not finite at the start; -2: no step makes it smaller.
    """
    into = jacobian(residuals, mode="dual").into  # there are no fewer residuals than parameters
    values = residuals if is_jitted(residuals) else njit(residuals)

    @unkept
    def evaluate(p, args, y, w, r, J):
        found = into(*((p,) + args + (J.T,)))  # noqa: RUF005 - as Numba takes it
        for i in range(len(r)):
            r[i] = found[i]

    fit = solver(evaluate)

    @njit(nogil=True, error_model="numpy")
    def solve(p0, *args):
        p, n = started(p0), len(p0)
        cov, y = np.empty((n, n)), values(p, *args)
        ends = np.full(n, low), np.full(n, high)
        status, calls, cost = fit(p, args, y, y, *ends, cov, False, max_nfev, ftol, xtol, gtol)
        return p, cov, cost, status, calls

    return solve
