"""Least squares with exact Jacobians: ``least_squares`` and ``curve_fit``."""

import inspect

import numpy as np
from scipy import optimize

from tapejit.eager.indexing import unbind
from tapejit.optimize.objective import Functions, kept, plain
from tapejit.optimize.parameters import Parameters
from tapejit.optimize.running import Run


def least_squares(fun, x0, jac=None, bounds=(-np.inf, np.inf), method="trf", ftol=1e-8, xtol=1e-8, gtol=1e-8, *,
                  args=(), kwargs=None, progress=False, **options):  # fmt: skip
    """Minimise the sum of squares of residuals: ``scipy.optimize.least_squares`` with the exact Jacobian.

    Args:
        fun: ``fun(x, *args, **kwargs)`` gives the residuals, an array or a sequence; of tensors, or jitted by Numba.
        x0: where to start, an array or a tree of arrays, as for ``minimize``.
        jac: None for the exact one; else as in SciPy.
        bounds: as in SciPy; for a tree a tree of pairs (low, high) or None, one for each array.
        method, ftol, xtol, gtol, options: as in SciPy (``loss``, ``f_scale``, ``x_scale``, ``max_nfev``, ``verbose``, ...).
        progress: show a bar (needs tqdm).

    Returns:
        SciPy's ``OptimizeResult``; ``x`` is like ``x0``, ``jac`` has a column for each number.
    """
    parameters = Parameters(x0, "least_squares()")
    named = dict(kwargs or {})
    target = fun if not named else lambda x, *args: fun(x, *args, **named)
    functions = Functions(target, parameters)
    run = Run("least_squares", progress)
    value, args = functions.vector(), plain(args)

    def residuals(x, *args):
        found = value(x, *args)
        run.note(x, 0.5 * float(found @ found))
        return found

    limits = bounds
    if not parameters.is_vector and isinstance(bounds, (dict, list)):
        limits = tuple(np.array(parameters.bounds(bounds)).T)
    result = run.result(
        lambda: optimize.least_squares(
            residuals, parameters.vector, functions.jacobian() if jac is None else jac, limits, method, ftol, xtol, gtol,
            args=args, **options,
        )
    )  # fmt: skip
    result.x = parameters.tree(result.x)
    return result


def curve_fit(f, xdata, ydata, p0=None, sigma=None, absolute_sigma=False, check_finite=None, bounds=(-np.inf, np.inf),
              method=None, jac=None, *, full_output=False, nan_policy=None, **options):  # fmt: skip
    """Fit ``ydata = f(xdata, *parameters)``: ``scipy.optimize.curve_fit`` with the exact Jacobian.

    Args:
        f: the model, ``f(x, a, b, ...)``, of tensors.
        xdata: what the model gets as its first argument.
        ydata: the data, an array of one dimension.
        p0: where to start; ones if None, as many as the model has parameters.
        sigma, absolute_sigma, check_finite, bounds, method, full_output, nan_policy, options: as in SciPy.
        jac: None for the exact one; else as in SciPy.

    Returns:
        (parameters, covariance), and what SciPy adds with ``full_output``.
    """
    model = kept(f, "model", lambda: lambda p, x: f(x, *unbind(p)))
    start = Parameters(np.ones(_count(f) if p0 is None else np.size(p0)) if p0 is None else np.atleast_1d(p0), "curve_fit()")
    functions = Functions(model, start)
    value, exact = functions.vector(), functions.jacobian()
    (xdata,) = plain((xdata,))
    (ydata,) = plain((ydata,))
    return optimize.curve_fit(
        lambda x, *p: value(np.array(p), x), xdata, ydata, start.vector, sigma, absolute_sigma, check_finite, bounds, method,
        (lambda x, *p: exact(np.array(p), x)) if jac is None else jac,
        full_output=full_output, nan_policy=nan_policy, **options,
    )  # fmt: skip


def _count(f):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [p for p in inspect.signature(f).parameters.values() if p.kind in kinds]
    if len(found) < 2:
        raise ValueError("curve_fit(): the number of parameters cannot be seen from the model; pass p0")
    return len(found) - 1
