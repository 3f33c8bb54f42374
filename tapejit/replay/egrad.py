"""HIPS autograd's transforms that are not JAX's: gradients of sums, and Hessians times vectors."""

import functools

from tapejit.eager.tensor import Tensor
from tapejit.replay.transforms import grad, hvp


def elementwise_grad(fun, argnum=0, *, compile="auto"):
    """The gradient of the sum of the result: for a function of each element by itself its derivative."""

    @functools.wraps(fun)
    def summed(*args, **kwargs):
        y = fun(*args, **kwargs)
        return y.sum() if isinstance(y, Tensor) else sum(part.sum() for part in y)

    return grad(summed, argnum, compile=compile)


def hessian_vector_product(fun, argnum=0, *, compile="auto"):
    """A function of the arguments and a vector: the Hessian of ``fun`` in one argument times the vector."""

    @functools.wraps(fun)
    def product(*args, **kwargs):
        *args, vector = args

        def of_one(x):
            return fun(*args[:argnum], x, *args[argnum + 1 :], **kwargs)

        return hvp(of_one, compile=compile)(args[argnum], vector)

    return product
