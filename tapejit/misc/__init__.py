"""Small tools around gradients, with the names and arguments of HIPS autograd.

The transforms here run the function anew at every call, as HIPS autograd does: it may draw random numbers, print and branch.
Those of ``tapejit`` itself record it and replay machine code, and refuse what a replay would repeat.
"""

import functools

from tapejit.eager.tensor import Tensor
from tapejit.misc.flatten import flatten
from tapejit.replay import egrad, transforms
from tapejit.replay.recorder import active
from tapejit.replay.trees import map_tree

__all__ = ["elementwise_grad", "flatten", "grad", "hessian_vector_product", "value_and_grad"]


def _values(transformed, fun):
    """A function of functions whose results outside of all others are values: of tensors without gradients such tensors."""

    def requires_grad(tree):
        found = []
        map_tree(lambda x: found.append(isinstance(x, Tensor) and x.requires_grad), tree)
        return any(found)

    transformed.values_only = True  # no history is worked out where none is given

    @functools.wraps(fun)
    def call(*args, **kwargs):
        result = transformed(*args, **kwargs)
        if active or requires_grad((args, kwargs)):
            return result
        return map_tree(lambda x: x.detach() if isinstance(x, Tensor) else x, result)

    return call


def grad(fun, argnum=0):
    """``tapejit.grad`` that runs the function at every call."""
    return _values(transforms.grad(fun, argnum, compile="never"), fun)


def value_and_grad(fun, argnum=0):
    """``tapejit.value_and_grad`` that runs the function at every call."""
    return _values(transforms.value_and_grad(fun, argnum, compile="never"), fun)


def elementwise_grad(fun, argnum=0):
    """``tapejit.elementwise_grad`` that runs the function at every call."""
    return _values(egrad.elementwise_grad(fun, argnum, compile="never"), fun)


def hessian_vector_product(fun, argnum=0):
    """``tapejit.hessian_vector_product`` that runs the function at every call."""
    return _values(egrad.hessian_vector_product(fun, argnum, compile="never"), fun)
