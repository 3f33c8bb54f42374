"""Differential equations solved by SciPy, with exact Jacobians."""

import numpy as np
from scipy import integrate

from tapejit.eager.creation import as_tensor
from tapejit.eager.indexing import stack
from tapejit.optimize.objective import Functions, kept, plain, vector_of
from tapejit.optimize.parameters import Parameters
from tapejit.replay.jacobianpasses import jacobian
from tapejit.replay.transforms import jit, jvp

IMPLICIT = {"Radau", "BDF", "LSODA"}


def solve_ivp(fun, t_span, y0, method="RK45", t_eval=None, dense_output=False, events=None, vectorized=False, args=None,
              **options):  # fmt: skip
    """Solve an initial value problem: ``scipy.integrate.solve_ivp``; implicit methods get the exact Jacobian.

    Args:
        fun: ``fun(t, y, *args)`` gives dy/dt, an array or a sequence of numbers; of tensors, or jitted by Numba.
        y0: the state at the start, an array of one dimension.
        t_span, method, t_eval, dense_output, events, options: as in SciPy. ``vectorized`` is not needed: derivatives are exact.

    Returns:
        SciPy's result.
    """
    state = Parameters(y0, "solve_ivp()")
    functions = Functions(fun, state, lead=1)
    rate, args = functions.vector(), plain(args or ())
    if "jac" not in options and method in IMPLICIT:
        exact = functions.jacobian()
        options["jac"] = lambda t, y: exact(float(t), y, *args)
    return integrate.solve_ivp(
        lambda t, y: rate(float(t), y, *args), t_span, state.vector, method, t_eval, dense_output,
        _events(events, args), **options,
    )  # fmt: skip


def _events(events, args):
    """Events with the arguments of the equation, which SciPy would pass on, their attributes kept."""
    if events is None or not args:
        return events
    if not callable(events):
        return [_events(e, args) for e in events]

    def event(t, y):
        return events(t, y, *args)

    event.__dict__.update(events.__dict__)
    return event


def solve_bvp(fun, bc, x, y, p=None, **options):
    """Solve a boundary value problem: ``scipy.integrate.solve_bvp`` with exact Jacobians.

    Args:
        fun: ``fun(x, y)``, or ``fun(x, y, p)`` with unknown parameters, gives dy/dx at all points of the mesh: ``x`` has the
            shape (m,), ``y`` and the result (n, m), or the result is a sequence of n rows; of tensors.
        bc: ``bc(ya, yb)``, or ``bc(ya, yb, p)``, gives the n (+ k) conditions at the ends; of tensors.
        x, y, p, options: as in SciPy.

    Returns:
        SciPy's result.
    """
    rates, slopes = kept(fun, "rates", lambda: _rates(fun))
    conditions, derivatives = kept(bc, "conditions", lambda: _conditions(bc))
    unknown = () if p is None else (np.asarray(p, dtype=np.float64),)
    return integrate.solve_bvp(
        rates, conditions, np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), *unknown,
        fun_jac=slopes, bc_jac=derivatives, **options,
    )  # fmt: skip


def _rates(fun):
    """(the rows of the right-hand side as one array, their derivatives in y and p at each point)."""

    def rows(x, y, *p):
        result = fun(x, y, *p)
        return stack([as_tensor(r).expand(x.shape) for r in result]) if isinstance(result, (tuple, list)) else result

    def slopes(x, y, *p):
        # The rate at a point depends on the state there alone: one direction answers for all points.
        along = jvp(lambda y, *p: rows(x, y, *p))
        zeros = tuple(q * 0.0 for q in p)
        of_state = [along((y, *p), (_unit(y, i), *zeros))[1] for i in range(y.shape[0])]
        if not p:
            return stack(of_state, 1)
        of_parameters = [along((y, *p), (y * 0.0, _unit(p[0], k)))[1] for k in range(p[0].shape[0])]
        return stack(of_state, 1), stack(of_parameters, 1)

    return jit(rows), jit(slopes)


def _unit(x, k):
    """Ones in row k of an array like x."""
    unit = np.zeros(tuple(x.shape))
    unit[k] = 1.0
    return as_tensor(unit)


def _conditions(bc):
    def residuals(*args):
        return vector_of(bc(*args))

    made = {n: jacobian(residuals, argnums=tuple(range(n))) for n in (2, 3)}
    return jit(residuals), lambda *args: made[len(args)](*args)
