"""Gradients inside Numba: differentiate ordinary nopython functions, loops and branches included."""

from tapejit.nopython import (
    arrayproducts,
    arrayreductions,
    arrays,
    casts,
    customcalls,
    implicit,
    interpolation,
    matrixnames,
    models,
    optable,
    optimize,
    scalars,
    statistics,
)
from tapejit.nopython.checkpoint import checkpoint
from tapejit.nopython.custom import rule, stop_gradient
from tapejit.nopython.derivatives import grad, hessian, hvp, jvp, value_and_grad
from tapejit.nopython.explain import DifferentiationError
from tapejit.nopython.memory import memory_limit, set_memory_limit
from tapejit.nopython.rowsandlanes import jacobian
from tapejit.nopython.statementtape import free_memory

__all__ = [
    "DifferentiationError",
    "checkpoint",
    "free_memory",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "jacobian",
    "jvp",
    "memory_limit",
    "optimize",
    "rule",
    "set_memory_limit",
    "stop_gradient",
    "value_and_grad",
]


def __dir__():
    return __all__
