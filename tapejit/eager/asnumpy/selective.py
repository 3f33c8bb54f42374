"""NumPy's reductions with ``where=`` and ``initial=``, on tensors: what is left out counts as the neutral element."""

import math

from tapejit.eager import arithmetic, reductions
from tapejit.eager.asnumpy import moments
from tapejit.eager.functional import FUNCTIONS
from tapejit.eager.functional import where as _where
from tapejit.eager.ufuncs import fold_product, tensor_of
from tapejit.eager.views import expand


def _left(a, where, neutral):
    """The tensor with a neutral number where the condition does not hold."""
    if where is True:
        return a
    if a.dtype.is_floating_point or neutral in (0, 1):
        return _where(_condition(where), a, neutral)
    raise TypeError("a maximum or minimum of integers with where= has no neutral element here: convert to float")


def _condition(where):
    return arithmetic.condition(tensor_of(where))


def sum(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    found = reductions.sum(_left(a, where, 0), axis, keepdims, dtype=dtype)
    return found if initial is None else found + initial


def prod(a, axis=None, dtype=None, keepdims=False, initial=None, where=True):
    found = fold_product(_left(a if dtype is None else a.to(dtype), where, 1), axis, keepdims)
    return found if initial is None else found * initial


def _extreme(reduction, pair, neutral):
    def extreme(a, axis=None, keepdims=False, initial=None, where=True):
        if where is not True and initial is None:
            raise ValueError("a maximum or minimum with where= needs an initial value, the result where nothing is left")
        found = reduction(_left(a, where, neutral), axis, keepdims)
        return found if initial is None else FUNCTIONS[pair](found, initial)

    return extreme


max, min = _extreme(reductions.amax, "maximum", -math.inf), _extreme(reductions.amin, "minimum", math.inf)


def any(a, axis=None, keepdims=False, where=True):
    return reductions.any(a if where is True else (a != 0) & _condition(where), axis, keepdims)


def all(a, axis=None, keepdims=False, where=True):
    return reductions.all(a if where is True else (a != 0) | ~_condition(where), axis, keepdims)


def _count(a, where, axis, keepdims):
    return reductions.sum(expand(_condition(where), a.shape).to(a.dtype), axis, keepdims)


def mean(a, axis=None, dtype=None, keepdims=False, where=True):
    a = moments.floats(a) if dtype is None else a.to(dtype)
    if where is True:
        return reductions.mean(a, axis, keepdims)
    return reductions.sum(_left(a, where, 0), axis, keepdims) / _count(a, where, axis, keepdims)


def var(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, correction=None):
    ddof = ddof if correction is None else correction
    a = a if dtype is None else a.to(dtype)
    if where is True:
        return reductions.var(a, axis, keepdims, correction=ddof)
    a = moments.floats(a)
    centred = _left(a - mean(a, axis, keepdims=True, where=where), where, 0)
    return reductions.sum(centred * centred, axis, keepdims) / (_count(a, where, axis, keepdims) - ddof)


def std(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, correction=None):
    return var(a, axis, dtype, ddof, keepdims, where, correction).sqrt()
