"""``minimize`` with exact gradients, and Hessians or their products where a method uses them."""

import inspect

import numpy as np
from numba.extending import is_jitted
from scipy import optimize
from scipy.sparse.linalg import LinearOperator

from tapejit.optimize.objective import Functions, kept, plain, vector_of
from tapejit.optimize.parameters import Parameters
from tapejit.optimize.running import Run
from tapejit.replay.transforms import jit

WITHOUT_GRADIENT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
BY_PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
BY_HESSIAN = {"dogleg", "trust-exact"}


def minimize(fun, x0, args=(), method=None, jac=None, hess=None, hessp=None, bounds=None, constraints=(), tol=None,
             callback=None, options=None, *, progress=False):  # fmt: skip
    """Minimise a scalar function: ``scipy.optimize.minimize`` with exact derivatives.

    Args:
        fun: ``fun(x, *args)``, of tensors, or jitted by Numba.
        x0: where to start: an array, or nested tuples, lists and dicts of arrays and numbers, which ``fun`` gets as they are.
        args: further arguments of ``fun``, its derivatives and no other.
        method: as in SciPy, which chooses if None. Newton-CG, trust-ncg, trust-krylov and trust-constr get Hessian-vector
            products, dogleg and trust-exact the Hessian; Nelder-Mead, Powell, COBYLA and COBYQA use values alone.
        jac, hess, hessp: None for exact ones; what is given is handed to SciPy as it is.
        bounds: as in SciPy; for a tree a tree of pairs (low, high) or None, one for each array.
        constraints: as in SciPy; Jacobians that are not given are exact (functions of tensors, of the same ``x``).
        tol, callback, options: as in SciPy; the callback gets ``x`` as ``fun`` does.
        progress: show a bar (needs tqdm).

    Returns:
        SciPy's ``OptimizeResult``; ``x`` is like ``x0``. After Ctrl-C, ``x`` is the best point so far, ``success`` False.

    Raises:
        TypeError: if ``fun`` gives no scalar, or ``x0`` holds no numbers.
        ValueError: if the function, or for methods that use it the gradient, is not finite at the start.
    """
    parameters = Parameters(x0, "minimize()")
    functions = Functions(fun, parameters)
    args = plain(args)
    run = Run("minimize", progress)
    name = method.lower() if isinstance(method, str) else ""
    by_gradient = jac is None and name not in WITHOUT_GRADIENT
    found = functions.value_and_grad() if by_gradient else functions.value()

    first = []  # what was found at the start: SciPy asks for it again before anything else

    def objective(x, *args):
        result = first.pop() if first and np.array_equal(x, parameters.vector) else found(x, *args)
        run.note(x, result[0] if by_gradient else result)
        return result

    if by_gradient:
        first.append(found(parameters.vector, *args))
        _check_start(first[0], x0)
        if hess is None and hessp is None and name in BY_PRODUCTS:
            hessp = functions.product()
        if hess is None and hessp is None and name in BY_HESSIAN:
            hess = functions.hessian()
    result = run.result(
        lambda: optimize.minimize(
            objective, parameters.vector, args, method, jac=True if by_gradient else jac, hess=hess, hessp=hessp,
            bounds=parameters.bounds(bounds), constraints=_constraints(constraints, parameters), tol=tol,
            callback=_callback(callback, parameters), options=options,
        )
    )  # fmt: skip
    result.x = parameters.tree(result.x)
    return result


def _check_start(found, x0):
    value, gradient = found
    if not np.isfinite(value):
        raise ValueError(f"minimize(): the function is {value} at the start {x0!r}")
    if not np.isfinite(gradient).all():
        raise ValueError(f"minimize(): the function is {value} at the start {x0!r}, but its gradient is {gradient}")


def _callback(callback, parameters):
    """The callback with parameters as the caller holds them."""
    if callback is None or parameters.is_vector:
        return callback
    if "intermediate_result" in inspect.signature(callback).parameters:

        def by_result(intermediate_result):
            intermediate_result.x = parameters.tree(intermediate_result.x)
            return callback(intermediate_result=intermediate_result)

        return by_result
    return lambda x, *rest: callback(parameters.tree(x), *rest)


def _constraints(constraints, parameters):
    """SciPy's constraints with exact Jacobians where none are given."""
    if isinstance(constraints, (dict, optimize.LinearConstraint, optimize.NonlinearConstraint)):
        return _constraint(constraints, parameters)
    return [_constraint(c, parameters) for c in constraints]


def _constraint(c, parameters):
    if isinstance(c, optimize.LinearConstraint):
        return c
    if isinstance(c, optimize.NonlinearConstraint):
        if callable(c.jac):
            return c
        functions = Functions(c.fun, parameters)
        product = Functions(kept(c.fun, "weighted", lambda: _weighted(c.fun)), parameters).product()

        def hess(x, v):
            return LinearOperator((x.size, x.size), lambda direction: product(x, direction.ravel(), v))

        return optimize.NonlinearConstraint(
            functions.vector(), c.lb, c.ub, functions.jacobian(), hess, keep_feasible=c.keep_feasible
        )
    if "jac" in c:
        return c
    functions = Functions(c["fun"], parameters)
    return {**c, "fun": functions.vector(), "jac": functions.jacobian(), "args": plain(c.get("args", ()))}


def _weighted(fun):
    """The sum of a function's results, each times a multiplier: its Hessian is what a method asks of a constraint."""
    return lambda x, v: (vector_of(fun(x)) * v).sum()


def minimize_scalar(fun, bracket=None, bounds=None, args=(), method=None, tol=None, options=None):
    """``scipy.optimize.minimize_scalar`` of a function of tensors, or one jitted by Numba, which runs compiled.

    SciPy's methods for one variable use values alone; ``minimize`` uses the derivative.
    """
    value = kept(fun, "scalar", lambda: fun if is_jitted(fun) else jit(fun))
    bracket = None if bracket is None else tuple(map(float, bracket))
    return optimize.minimize_scalar(
        lambda x, *args: value(float(x), *args), bracket, bounds, plain(args), method, tol, options
    )
