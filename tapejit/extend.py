"""Functions with derivatives of their own in HIPS autograd's form: ``primitive`` and ``defvjp``."""

import functools

import numpy as np

from tapejit.eager.tensor import Tensor
from tapejit.replay.customrules import custom_vjp

__all__ = ["defvjp", "primitive"]


def _plain(x):
    return x.detach().numpy() if isinstance(x, Tensor) else x


class primitive(custom_vjp):
    """A function of arrays, whatever it does with them, whose derivative ``defvjp`` states.

    Called with tensors it gets NumPy arrays of their values; its result must be an array or a number.
    """

    def __init__(self, fun):
        @functools.wraps(fun)
        def of_arrays(*args):
            return np.asarray(fun(*map(_plain, args)))

        super().__init__(of_arrays)


def defvjp(fun, *makers, argnums=None):
    """State the derivative of a ``primitive``: ``maker(ans, *args)`` of an argument gives the function of g that pulls it back.

    ``argnums`` says which arguments the makers are of, by default the first ones; None in place of a maker means zero.
    """
    places = dict(zip(range(len(makers)) if argnums is None else argnums, makers, strict=True))

    def forward(*args):
        ans = fun(*args)
        return ans, (ans, args)

    def backward(kept, g):
        ans, args = kept
        found = (places.get(k) for k in range(len(args)))
        return tuple(None if maker is None else maker(ans, *args)(g) for maker in found)

    fun.defvjp(forward, backward)
