"""Functions that are made of a user's, and treated as the user's own: differentiated, not taken as they stand."""

import hashlib
import inspect

import numpy as np
from numba import njit
from numba.extending import is_jitted, overload

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import generated_function
from tapejit.nopython.like import first_of
from tapejit.nopython.scalars import primal
from tapejit.nopython.types import is_active, is_active_array


def plain(x):
    """The plain numbers inside differentiated ones, whatever the order of the derivative."""
    return x


@overload(plain)
def _plain(x):
    if is_active(x):
        return lambda x: primal(x)
    if not is_active_array(x):
        return lambda x: x

    def of_array(x):
        out = empty_like_element(x.shape, primal(first_of(x)))
        for index in np.ndindex(x.shape):
            out[index] = primal(x[index])
        return out

    return of_array


def jitted(f):
    return f if is_jitted(f) else njit(f, nogil=True, error_model="numpy")


def names_of(f, first):
    """The names of the parameters of a function from one on."""
    parameters = list(inspect.signature(getattr(f, "py_func", f)).parameters.values())
    if len(parameters) < first or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in parameters):
        raise TypeError(f"nopython.implicit: {f} must name its parameters one by one, the unknowns first")
    return [f"p{k}" for k in range(len(parameters) - first)]


def generated(name, arguments, body, namespace):
    """A jitted function from the lines of its body: one with ``*params`` could not be differentiated."""
    source = "\n".join([f"def {name}({', '.join(arguments)}):", *(f"    {line}" for line in body), ""])
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    return users(generated_function(name, source, {"np": np, "plain": plain, **namespace}, digest))


def users(function):
    """The function jitted like the user's own: those of the engine are compiled as they stand, also inside derivatives."""
    function.__module__ = "__main__"
    return njit(function, nogil=True, error_model="numpy")
