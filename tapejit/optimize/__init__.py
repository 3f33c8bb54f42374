"""SciPy's optimisers with exact derivatives: the names, the arguments and the results are those of ``scipy.optimize``.

    tj.optimize.minimize(lambda x: ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum(), np.zeros(10)).x

Functions are written for tensors (or are Numba's, jitted); parameters are arrays, or tuples, lists and dicts of arrays and
numbers, which come back as they were given. What a function computes is recorded once and then runs as machine code, which
is kept with the function: a second fit of other data compiles nothing. Ctrl-C ends a run with the best point so far.
"""

from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint, OptimizeResult, OptimizeWarning

from tapejit.optimize.boundary import solve_bvp, solve_ivp
from tapejit.optimize.fitting import curve_fit, least_squares
from tapejit.optimize.many import Fits, Minima, fit_many, minimize_many
from tapejit.optimize.minimizing import minimize, minimize_scalar
from tapejit.optimize.roots import root, root_scalar

__all__ = [
    "Bounds",
    "Fits",
    "LinearConstraint",
    "Minima",
    "NonlinearConstraint",
    "OptimizeResult",
    "OptimizeWarning",
    "curve_fit",
    "fit_many",
    "least_squares",
    "minimize",
    "minimize_many",
    "minimize_scalar",
    "root",
    "root_scalar",
    "solve_bvp",
    "solve_ivp",
]
