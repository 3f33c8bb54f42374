"""A user's function as SciPy wants it: of one vector, with exact derivatives, compiled once and kept with the function."""

import numpy as np
from numba.extending import is_jitted

from tapejit import nopython
from tapejit.eager.creation import as_tensor
from tapejit.eager.indexing import cat, stack
from tapejit.optimize.parameters import Parameters, as_tree, plain_array
from tapejit.replay import jacobianpasses, transforms
from tapejit.replay.trees import map_tree

_PLACE = "_tapejit_optimize"  # the attribute of a function that keeps what was made of it


def kept(fun, key, make):
    """What was made of a function for a key; made if it was not, and kept as long as the function is.

    A closure or lambda made anew at every call cannot keep anything: it is a new function.
    """
    try:
        store = fun.__dict__.setdefault(_PLACE, {})
    except (AttributeError, TypeError):  # a bound method, a callable with slots
        return make()
    if key not in store:
        store[key] = make()
    return store[key]


def vector_of(result):
    """A result as one vector: an array, a tensor, a number, or a sequence of them."""
    if isinstance(result, (tuple, list)):
        parts = [as_tensor(x) for x in result]
        if all(p.ndim == 0 for p in parts):
            return stack(parts)
        return cat([p.reshape(-1) for p in parts])
    return as_tensor(result).reshape(-1)


class Functions:
    """The value and the derivatives of ``fun(parameters, *args)`` as functions of ``(vector, *args)``.

    Args:
        fun: a function of tensors, or one jitted by Numba, which takes arrays.
        parameters: how ``fun`` wants the vector.
        lead: the number of arguments before the parameters (the time of a differential equation).
    """

    def __init__(self, fun, parameters: Parameters, lead: int = 0):
        self.fun = fun
        self.key = parameters.key
        self.lead = lead
        self.jitted = is_jitted(fun)
        if self.jitted and not parameters.is_vector:
            raise TypeError("a function jitted by Numba takes its parameters as one array; trees are for functions of tensors")

    def _made(self, kind, make):
        return kept(self.fun, (kind, self.key, self.lead), make)

    def _of_vector(self, shaped):
        fun, key, lead = self.fun, self.key, self.lead

        def of_vector(*args):
            before, vector, after = args[:lead], args[lead], args[lead + 1 :]
            return shaped(fun(*before, as_tree(key, vector), *after))

        return of_vector

    def _transform(self, kind, transform, shaped=lambda y: y, **options):
        if self.jitted:
            return self._made(kind, lambda: getattr(nopython, kind)(self.fun, **options))
        return self._made(kind, lambda: transform(self._of_vector(shaped), **options))

    def value(self):
        """The scalar result."""
        return self.fun if self.jitted else self._transform("jit", transforms.jit)

    def value_and_grad(self):
        return self._transform("value_and_grad", transforms.value_and_grad)

    def vector(self):
        """The result as a vector."""
        if self.jitted:
            return lambda *args: np.atleast_1d(np.asarray(self.fun(*args)))
        return self._transform("vector", transforms.jit, vector_of)

    def jacobian(self):
        """The derivative of ``vector``, a matrix."""
        if self.jitted:
            made = self._transform("jacobian", None, argnums=self.lead)
            return lambda *args: np.atleast_2d(made(*args)[1])
        return self._transform("jacobian", jacobianpasses.jacobian, vector_of, argnums=self.lead)

    def product(self):
        """The Hessian times a vector: a function of ``(vector, direction, *args)``."""
        if self.jitted:
            made = self._transform("hvp", None)
            return lambda x, v, *args: made(x, *args, v)
        return self._made("product", lambda: _product(self._of_vector(lambda y: y)))

    def hessian(self):
        if self.jitted:
            made = self._transform("hessian", None)
            return lambda *args: made(*args)[-1]
        return self._transform("hessian", jacobianpasses.hessian)


def _product(of_vector):
    """The Hessian times a vector as one recording, arguments beside the vector included."""

    def product(x, v, *args):
        return (transforms.grad(of_vector)(x, *args) * v).sum()

    return transforms.grad(product)


def plain(args) -> tuple:
    """The arguments beside the parameters, tensors as arrays, so that results are arrays."""
    args = args if isinstance(args, tuple) else (args,)
    return tuple(map_tree(plain_array, x) for x in args)
