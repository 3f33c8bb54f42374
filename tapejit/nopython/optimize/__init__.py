"""Optimisers as compiled loops, for Python and for ``@njit`` code: nothing is allocated from step to step.

solve = nopython.optimize.lbfgs(loss)
x, value, status, evaluations = solve(x0, data)
"""

from tapejit.nopython.optimize.levenberg import levenberg_marquardt
from tapejit.nopython.optimize.quasinewton import bfgs, lbfgs
from tapejit.nopython.optimize.simplex import nelder_mead

__all__ = ["bfgs", "lbfgs", "levenberg_marquardt", "nelder_mead"]
