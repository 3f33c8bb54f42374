"""Small tools around gradients, with the names and arguments of HIPS autograd.

The transforms here run the function anew at every call, as HIPS autograd does: it may draw random numbers, print and branch.
Those of ``tapejit`` itself record it and replay machine code, and refuse what a replay would repeat.
"""

import functools

from tapejit.misc.flatten import flatten
from tapejit.replay import egrad, transforms

__all__ = ["elementwise_grad", "flatten", "grad", "hessian_vector_product", "value_and_grad"]


def grad(fun, argnum=0):
    """``tapejit.grad`` that runs the function at every call."""
    return functools.wraps(fun)(transforms.grad(fun, argnum, compile="never"))


def value_and_grad(fun, argnum=0):
    """``tapejit.value_and_grad`` that runs the function at every call."""
    return functools.wraps(fun)(transforms.value_and_grad(fun, argnum, compile="never"))


def elementwise_grad(fun, argnum=0):
    """``tapejit.elementwise_grad`` that runs the function at every call."""
    return egrad.elementwise_grad(fun, argnum, compile="never")


def hessian_vector_product(fun, argnum=0):
    """``tapejit.hessian_vector_product`` that runs the function at every call."""
    return egrad.hessian_vector_product(fun, argnum, compile="never")
