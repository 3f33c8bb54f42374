"""Roots of functions, with exact derivatives."""

from numba.extending import is_jitted
from scipy import optimize

from tapejit import nopython
from tapejit.optimize.objective import Functions, kept, plain
from tapejit.optimize.parameters import Parameters
from tapejit.optimize.running import INTERRUPTED, Run
from tapejit.replay.transforms import grad, jit, value_and_grad

BY_JACOBIAN = {"hybr", "lm"}


def root(fun, x0, args=(), method="hybr", jac=None, tol=None, callback=None, options=None):
    """Where a function of several numbers is zero: ``scipy.optimize.root`` with the exact Jacobian.

    Args:
        fun: ``fun(x, *args)`` gives as many numbers as ``x`` has; of tensors, or jitted by Numba.
        x0: where to start, an array or a tree of arrays, as for ``minimize``.
        jac: None for the exact one (the methods hybr and lm use it); else as in SciPy.
        method, tol, callback, options: as in SciPy.

    Returns:
        SciPy's ``OptimizeResult``; ``x`` is like ``x0``. After Ctrl-C the point so far with the least sum of squares.
    """
    parameters = Parameters(x0, "root()")
    functions, args, run = Functions(fun, parameters), plain(args), Run("root", False)
    if jac is None and method in BY_JACOBIAN:
        jac = functions.jacobian()
    value = functions.vector()

    def noted(x, *args):
        found = value(x, *args)
        run.note(x, float(found @ found))
        return found

    result = run.result(lambda: optimize.root(noted, parameters.vector, args, method, jac, tol, callback, options))
    if result.get("status") == INTERRUPTED:
        result.fun = value(result.x, *args)
    result.x = parameters.tree(result.x)
    return result


def root_scalar(f, args=(), method=None, bracket=None, x0=None, x1=None, xtol=None, rtol=None, maxiter=None, options=None):
    """Where a function of one number is zero: ``scipy.optimize.root_scalar`` with exact derivatives.

    Args:
        f: ``f(x, *args)``, of tensors, or jitted by Numba.
        method: as in SciPy; by default brentq with a bracket, secant with ``x1``, else Newton's with the exact derivative.
            "halley" has the second one too.
        args, bracket, x0, x1, xtol, rtol, maxiter, options: as in SciPy.

    Returns:
        SciPy's ``RootResults``.
    """
    if method is None and bracket is None and x1 is None:
        method = "newton"
    first, second, value = kept(f, "scalar derivatives", lambda: _derivatives(f))

    def of_float(function):
        return lambda x, *args: function(float(x), *args)

    return optimize.root_scalar(
        of_float(value), plain(args), method, bracket,
        of_float(first) if method in ("newton", "halley") else None, of_float(second) if method == "halley" else None,
        None if x0 is None else float(x0), None if x1 is None else float(x1), xtol, rtol, maxiter, options,
    )  # fmt: skip


def _derivatives(f):
    """(first derivative, second derivative, value) as functions of floats."""
    if is_jitted(f):
        first = nopython.value_and_grad(f)
        second = nopython.hessian(f)
        return lambda *args: first(*args)[1], lambda *args: float(second(*args)[2]), f
    both = value_and_grad(f)
    return lambda *args: both(*args)[1], grad(grad(f)), jit(f)
