"""Solutions of equations inside compiled code, differentiable to second order.

    solve = nopython.implicit.root(residual)        # residual(x, a) gives as many numbers as x has
    x = solve(x0, a)                                # in Python, in @njit code, in what is differentiated
    solve = nopython.implicit.odeint(slope)         # slope(y, t, a) gives as many numbers as y has
    y = solve(y0, times, a)

The solution of an equation without derivatives in it is found on plain numbers, by Newton's method. With the inverse Jacobian
J^-1 there held constant, each step ``x - J^-1 f(x, a)`` on differentiated numbers leaves the value as it is and makes one more
order of the derivatives right: the first is the implicit function theorem.
"""

import numpy as np
from numba import njit

from tapejit.nopython.backsolve import by_adjoint_equation
from tapejit.nopython.cache import helper
from tapejit.nopython.derivatives import grad
from tapejit.nopython.factors import lu_factor, lu_solve
from tapejit.nopython.odeint import discrete
from tapejit.nopython.rowsandlanes import jacobian
from tapejit.nopython.userlevel import generated, jitted, names_of
from tapejit.spec.rungekutta import CHOICE

__all__ = ["fixed_point", "linear_solve", "minimize", "odeint", "root"]


def root(f, *, tol=1e-10, maxiter=100, order=2):
    """A compiled solver of ``f(x, *params) = 0``, differentiable in the parameters.

    Args:
        f: ``f(x, *params)`` gives an array of as many numbers as ``x`` has; plain or jitted, its parameters named one by one.
        tol: the largest entry of the last step, relative to the largest entry of x (or 1).
        maxiter: the most Jacobians.
        order: up to which order derivatives are to be right.

    Returns:
        a jitted function ``solve(x0, *params)``: the root near ``x0``, an array of one dimension. It raises ArithmeticError
        where the steps do not converge, and numpy.linalg.LinAlgError where the Jacobian is singular.
    """
    f, names = jitted(f), names_of(f, 1)
    return _root(f, jacobian(f), names, tol, maxiter, order)


def fixed_point(f, *, tol=1e-10, maxiter=100, order=2):
    """The same for ``f(x, *params) = x``: by Newton steps, so the map need not contract."""
    names = names_of(f, 1)
    gap = generated("gap", ["x", *names], [f"return f({', '.join(['x', *names])}) - x"], {"f": jitted(f)})
    return _root(gap, jacobian(gap), names, tol, maxiter, order)


def minimize(f, *, tol=1e-10, maxiter=100, order=2):
    """The same for a stationary point of a scalar function, a minimum where the start is near one.

    To find a minimum from afar, see ``nopython.optimize``; start here with what it gives.
    """
    names = names_of(f, 1)
    slope = grad(jitted(f))
    return _root(slope, jacobian(slope), names, tol, maxiter, order)


def linear_solve(matvec, *, order=2):
    """A compiled solver of ``matvec(x, *params) = b`` for a linear function.

    Returns:
        a jitted function ``solve(b, *params)``, differentiable in both.
    """
    matvec, names = jitted(matvec), names_of(matvec, 1)
    given = ", ".join(["x", *names])
    body = [
        f"inverse = inverse_of(slopes({', '.join(['0.0 * plain(b)', *(f'plain({n})' for n in names)])})[1])",
        "x = inverse @ plain(b)",
        *[f"x = x - inverse @ (matvec({given}) - b)"] * (order + 1),
        "return x",
    ]
    return generated("solve", ["b", *names], body, {"matvec": matvec, "slopes": jacobian(matvec), "inverse_of": inverse_of})


def odeint(f, *, rtol=1e-8, atol=1e-8, steps=None, maxsteps=10_000, checkpoint=False, adjoint="discrete"):
    """A compiled solver of ``dy/dt = f(y, t, *params)`` from ``y(t[0]) = y0``, differentiable in ``y0``, ``t`` and ``params``.

    Args:
        f: ``f(y, t, *params)`` gives an array or a tuple of as many numbers as ``y`` has (with a tuple nothing is allocated);
            plain or jitted, its parameters named one by one.
        rtol, atol: the error allowed in a step, relative to y and absolute (root mean square over the entries).
        steps: None for steps of the size that the errors allow, or a number of equal steps between neighbouring times.
        maxsteps: the most steps between neighbouring times.
        checkpoint: keep one record for every 16 steps, which are taken again in reverse, for solutions of very many: some
            kilobytes less a step, at nearly twice the time. With dual numbers nothing is kept in any case.
        adjoint: "discrete" for the derivatives of the steps; "continuous" for those of the equation: its adjoint equation is
            solved back from the end, to the same tolerances, and only the values at the times are kept, whatever the number
            of steps. They agree up to the error of the solution. With dual numbers they are those of the steps.

    Returns:
        a jitted function ``solve(y0, t, *params)``: y at the times, (times, numbers of y), for an array y0 of one dimension. It
        raises ArithmeticError if f is not finite, the steps are used up (and says if the equation is stiff), and ValueError
        if the times are not in order or f gives another number of numbers.
    """
    if steps is not None and steps < 1:
        raise ValueError(f"odeint(): steps={steps}; at least one")
    if adjoint not in ("discrete", "continuous") or (checkpoint and adjoint == "continuous"):
        raise ValueError(CHOICE.format(adjoint, checkpoint))
    if adjoint == "discrete":
        return discrete(f, rtol, atol, steps, maxsteps, checkpoint)
    return by_adjoint_equation(f, lambda f: discrete(f, rtol, atol, steps, maxsteps, False))


def _root(f, slopes, names, tol, maxiter, order):
    """The solver of a jitted residual with a jitted ``slopes(x, *params) -> (value, Jacobian)``."""
    newton = _newton(f, slopes, tol, maxiter)
    body = [
        f"x0, inverse = newton(plain(start), ({' '.join(f'plain({n}),' for n in names)}))",
        *[f"x{k + 1} = x{k} - inverse @ f({', '.join([f'x{k}', *names])})" for k in range(order)],
        f"return x{order}",
    ]
    return generated("solve", ["start", *names], body, {"newton": newton, "f": f})


@helper
def inverse_of(matrix):
    lu, pivots = lu_factor(np.ascontiguousarray(matrix), False)
    return lu_solve(lu, pivots, np.eye(len(matrix)), False)


@helper
def is_small(step, x, tol):
    """Whether a step is within a tolerance of the largest entry of x (or 1)."""
    size, small = 1.0, True
    for i in range(len(x)):
        size = max(size, abs(x[i]))
    for i in range(len(x)):
        small = small and abs(step[i]) <= max(tol, 1e-15) * size  # nan is not
    return small


@helper
def sum_of_squares(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i] ** 2
    return total


def _newton(f, slopes, tol, maxiter):
    """Compiled code for plain numbers: (the root, the inverse of the Jacobian there); see ``implicit.solutions``."""

    @njit(nogil=True, error_model="numpy")
    def newton(x0, params):
        x = x0 + 0.0
        value = f(x, *params)
        if value.shape != x.shape:
            raise ValueError("implicit: the function must give as many numbers as the unknowns are")
        size = sum_of_squares(value)
        for _ in range(maxiter):
            lu, pivots = lu_factor(np.ascontiguousarray(slopes(x, *params)[1]), False)
            step = lu_solve(lu, pivots, value.reshape(-1, 1), False)[:, 0]
            share, trial, after, reached = 1.0, x, value, np.inf
            for _ in range(10):  # the longest of ten halvings that does not make the function larger
                trial = x - share * step
                after = f(trial, *params)
                reached = sum_of_squares(after)
                if reached <= size:
                    break
                share *= 0.5
            if not reached <= size:  # at the last digits nothing gets smaller
                if not is_small(step, x, 1e-8):
                    raise ArithmeticError("implicit: the function is not finite there, or no step makes it smaller")
                share, trial = 1.0, x - step
                after = f(trial, *params)
                reached = sum_of_squares(after)
            x, value, size = trial, after, reached
            done = is_small(share * step, x, tol)
            while share == 1.0 and not done:  # further steps with the same factors, while each gains a digit
                step = lu_solve(lu, pivots, value.reshape(-1, 1), False)[:, 0]
                trial = x - step
                after = f(trial, *params)
                reached = sum_of_squares(after)
                done = is_small(step, trial, tol)
                if not done and not reached <= 0.01 * size:
                    break
                x, value, size = trial, after, reached
            if done:
                return x, inverse_of(slopes(x, *params)[1])
        raise ArithmeticError("implicit: no convergence; start nearer to the solution, or raise maxiter")

    return newton
