"""Least squares with exact Jacobians: ``least_squares`` and ``curve_fit``."""

import inspect
import warnings

import numpy as np
from scipy import optimize

from tapejit.eager.indexing import unbind
from tapejit.optimize.objective import Functions, kept, plain, vector_of
from tapejit.optimize.parameters import Parameters
from tapejit.optimize.running import INTERRUPTED, Run


def least_squares(fun, x0, jac=None, bounds=(-np.inf, np.inf), method="trf", ftol=1e-8, xtol=1e-8, gtol=1e-8, *,
                  args=(), kwargs=None, progress=False, **options):  # fmt: skip
    """Minimise the sum of squares of residuals: ``scipy.optimize.least_squares`` with the exact Jacobian.

    Args:
        fun: ``fun(x, *args, **kwargs)`` gives the residuals, an array or a sequence; of tensors, or jitted by Numba.
        x0: where to start, an array or a tree of arrays, as for ``minimize``.
        jac: None for the exact one; else as in SciPy.
        bounds: as in SciPy; for a tree a tree of pairs (low, high) or None, one for each array, or a pair of trees.
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
    elif not parameters.is_vector and isinstance(bounds, tuple) and len(bounds) == 2:
        limits = parameters.ends(bounds)
    result = run.result(
        lambda: optimize.least_squares(
            residuals, parameters.vector, functions.jacobian() if jac is None else jac, limits, method, ftol, xtol, gtol,
            args=args, **options,
        )
    )  # fmt: skip
    result.x = parameters.tree(result.x)
    return result


_FREE = (-np.inf, np.inf)
_OF_MINPACK = {"ftol", "xtol", "gtol", "maxfev", "epsfcn", "factor", "diag"}


def curve_fit(f, xdata, ydata, p0=None, sigma=None, absolute_sigma=False, check_finite=None, bounds=_FREE,
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
        (parameters, covariance), and what SciPy adds with ``full_output``. After Ctrl-C: the best point so far, infinite
        covariances, and an ``OptimizeWarning``.
    """
    start = _start(np.ones(kept(f, "count", lambda: _count(f))) if p0 is None else p0)
    xdata, ydata = (x if type(x) is np.ndarray else plain(x)[0] for x in (xdata, ydata))
    if np.ndim(ydata) != 1 or np.iscomplexobj(ydata):
        raise ValueError(
            f"curve_fit(): ydata has shape {np.shape(ydata)} and dtype {np.asarray(ydata).dtype}; it is a vector of real "
            "numbers: ravel what the model gives, and stack real and imaginary parts"
        )
    free = bounds is _FREE or np.array_equal(bounds, _FREE)
    usual = free and method in (None, "lm") and jac is None and nan_policy is None and options.keys() <= _OF_MINPACK
    data = _data(xdata, ydata, sigma, check_finite, start.size) if usual else None
    best = []
    try:
        if data is not None:
            found = _by_minpack(f, start, data, absolute_sigma, options, best)
        else:
            functions = Functions(kept(f, "model", lambda: _model(f)), Parameters(start, "curve_fit()"))
            value, exact = functions.vector(), _noting(functions.jacobian(), best)
            found = optimize.curve_fit(
                lambda x, *p: value(np.array(p), x), xdata, ydata, start, sigma, absolute_sigma, check_finite, bounds,
                method, (lambda x, *p: exact(np.array(p), x)) if jac is None else jac,
                full_output=True, nan_policy=nan_policy, **options,
            )  # fmt: skip
    except KeyboardInterrupt:
        if not best:
            raise
        message = "curve_fit() was interrupted: this is the best point so far, without covariances"
        warnings.warn(message, optimize.OptimizeWarning, stacklevel=2)
        found = best[0], np.full((best[0].size,) * 2, np.inf), {}, message, INTERRUPTED
    return found if full_output else found[:2]


def _start(p0):
    """The vector to start from, finite floats."""
    start = p0 if type(p0) is np.ndarray else None if isinstance(p0, (dict, str)) else np.array(p0, ndmin=1)
    if start is None or start.ndim > 1:
        raise TypeError(f"curve_fit(): p0 is {p0!r}; it has a number for each parameter of the model, in their order")
    if start.dtype == np.float64 and start.ndim == 1 and start.size and np.isfinite(start).all():
        return start
    return Parameters(np.atleast_1d(start), "curve_fit()").vector


def _data(x, y, sigma, check_finite, n):
    """(x, y), and 1 / sigma where there is one, as float64; None for what only SciPy's own function treats, or refuses."""

    def checked(a):
        a = np.asarray(a, float)
        return a if check_finite is False or np.isfinite(a).all() else np.asarray_chkfinite(a)

    y = checked(y)
    x = checked(x) if isinstance(x, (list, tuple, np.ndarray)) else x
    if y.ndim != 1 or not 0 < n <= y.size:
        return None
    if sigma is None:
        return x, y
    sigma = np.asarray(sigma)
    return (x, y, np.broadcast_to(1.0 / sigma, y.shape)) if sigma.size == 1 or sigma.shape == y.shape else None


def _noting(jacobian, best):
    """The Jacobian, which is wanted only at points better than those before; ``best`` holds the last of them."""

    def noting(p, *data):
        best[:] = (p.copy(),)
        return jacobian(p, *data)

    return noting


def _model(f):
    return lambda p, x: f(x, *unbind(p))


def _residuals(f, n):
    """(the weighted residuals of a model as a function of the vector of its parameters, their Jacobian)."""
    model = _model(f)

    def residuals(p, x, y, *weights):
        left = vector_of(model(p, x)) - y
        return left * weights[0] if weights else left

    functions = Functions(residuals, Parameters(np.ones(n), "curve_fit()"))
    return functions.vector(), functions.jacobian()


def _by_minpack(f, start, data, absolute_sigma, options, best):
    """What SciPy's function does by default, without its wrappers, which take most of the time of a small fit."""
    value, exact = kept(f, ("residuals", start.size), lambda: _residuals(f, start.size))
    p, covariance, info, message, status = optimize.leastsq(value, start, data, _noting(exact, best), True, **options)
    if status not in (1, 2, 3, 4):
        raise RuntimeError(f"Optimal parameters not found: {message}")
    freedom = info["fvec"].size - p.size
    if covariance is not None and freedom and not absolute_sigma:
        covariance *= info["fvec"] @ info["fvec"] / freedom
    if covariance is None or np.isnan(covariance).any() or not (absolute_sigma or freedom):
        warnings.warn("Covariance of the parameters could not be estimated", optimize.OptimizeWarning, stacklevel=3)
        covariance = np.full((p.size, p.size), np.inf)
    return p, covariance, info, message, status


def _count(f):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [p for p in inspect.signature(f).parameters.values() if p.kind in kinds]
    if len(found) < 2:
        raise ValueError("curve_fit(): the number of parameters cannot be seen from the model; pass p0")
    return len(found) - 1
