"""Gradients inside Numba: differentiate ordinary nopython functions, loops and branches included."""

from tapejit.nopython import arrays, linalg, products, reductions, scalars
from tapejit.nopython.checkpoint import checkpoint
from tapejit.nopython.custom import rule, stop_gradient
from tapejit.nopython.errors import DifferentiationError
from tapejit.nopython.memory import memory_limit, set_memory_limit
from tapejit.nopython.tape import free_memory
from tapejit.nopython.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad

__all__ = [
    "DifferentiationError",
    "checkpoint",
    "free_memory",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "memory_limit",
    "rule",
    "set_memory_limit",
    "stop_gradient",
    "value_and_grad",
]


def __dir__():
    return __all__
