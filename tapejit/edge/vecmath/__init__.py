"""Elementary functions that LLVM vectorises: `from tapejit.kernels import vecmath as vm`, then `vm.exp(x)` in nopython code.

Arguments are float64 or float32, and the result has their type; integers count as float64. Every function is written
into its caller (`log`, `log2`, `log10` and `pow` as a call per vector), is at most 2 ulp from the true value over its whole
range, and follows C99 (annex F) at its special values. They may also be called from Python, one number at a time.

Where to look: `emit` turns formulas into LLVM code, `register` makes them known to Numba, `processor` tells what vectors
there are; `exponential`, `logarithm`, `trig`, `hyperbolic`, `inverse`, `power` and `error` hold the formulas; `rare` puts
branches into a vectorised loop, and `tables` the small tables of logarithms.
"""
from .error import erf, erfc
from .exponential import exp, exp2, expm1, sigmoid
from .hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from .inverse import acos, asin, atan, atan2
from .logarithm import log, log1p, log2, log10, softplus
from .power import hypot, pow
from .register import select_scalars as select
from .trig import cos, sin, tan
from .zeta import zeta

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1",
    "hypot", "log", "log10", "log1p", "log2", "pow", "select", "sigmoid", "sin", "sinh", "softplus", "tan",
    "tanh", "zeta",
]
