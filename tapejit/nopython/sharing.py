"""Whether a function has written into arguments that share memory.

Differentiated arrays are copied into active ones, so a write into one of two arrays that overlap is not seen in the
other: the result would not be the function's. Reading such arrays is sound, and is left alone.
"""

import numpy as np
from numba.core import types

from tapejit.nopython.cache import helper, typed
from tapejit.nopython.reverse import index_of
from tapejit.nopython.scalars import primal
from tapejit.nopython.types import Tape, is_active_array


def _arrays_in(ty):
    if isinstance(ty, types.BaseTuple):
        return sum(map(_arrays_in, ty))
    return int(isinstance(ty, types.Array))


@helper
def _gcd(a, b):
    while b != 0:
        a, b = b, a % b
    return a


@helper
def _meet(a, b):
    """Whether two arrays, as ``_places`` describes them, may have a byte in common."""
    low_a, high_a, step_a, size_a = a
    low_b, high_b, step_b, size_b = b
    if high_a <= low_b or high_b <= low_a:
        return False
    step = _gcd(step_a, step_b)
    if step == 0:
        return True
    ahead = (low_b - low_a) % step
    return ahead < size_a or step - ahead < size_b


def _place(x):
    """(first byte, byte behind the last, greatest common step, bytes of an element)."""
    raise NotImplementedError


@typed(_place)
def _place_of_array(x):
    ndim = x.ndim

    def implementation(x):
        low = high = x.ctypes.data
        step = 0
        for k in range(ndim):
            if x.shape[k] == 0:
                return low, low, 0, x.itemsize
            span = (x.shape[k] - 1) * x.strides[k]
            low += min(span, 0)
            high += max(span, 0)
            if span != 0:
                step = _gcd(step, abs(x.strides[k]))
        return low, high + x.itemsize, step, x.itemsize

    return implementation


def _places(args):
    """``_place`` of every array among the arguments."""
    raise NotImplementedError


@typed(_places)
def _places_typed(args):
    if not _arrays_in(args):
        return lambda args: ()
    if isinstance(args, types.BaseTuple):
        return lambda args: _places(args[0]) + _places(args[1:])
    return lambda args: (_place(args),)


def _is_changed(x, active, low):
    raise NotImplementedError


@typed(_is_changed)
def _is_changed_typed(x, active, low):
    on_tape = isinstance(active.dtype, Tape)

    def implementation(x, active, low):
        for index in np.ndindex(x.shape):
            before, after = primal(x[index]), primal(active[index])
            if before != after and (before == before or after == after):
                return True
            if on_tape and _statement(active[index]) >= low:
                return True
        return False

    return implementation


def _statement(x):
    raise NotImplementedError


@typed(_statement)
def _statement_typed(x):
    return (lambda x: index_of(x)) if isinstance(x, Tape) else (lambda x: 0)


def _disturbed(args, active, places, k, low):
    raise NotImplementedError


@typed(_disturbed)
def _disturbed_typed(args, active, places, k, low):
    if isinstance(args, types.BaseTuple):
        if not _arrays_in(args):
            return lambda args, active, places, k, low: False
        first = _arrays_in(args[0])
        return lambda args, active, places, k, low: (
            _disturbed(args[0], active[0], places, k, low)
            or _disturbed(args[1:], active[1:], places, k + first, low)
        )
    if not is_active_array(active) or active.dtype == getattr(args, "dtype", None):
        return lambda args, active, places, k, low: False

    def of_array(args, active, places, k, low):
        for j in range(len(places)):
            if j != k and _meet(places[k], places[j]):
                return _is_changed(args, active, low)
        return False

    return of_array


def disturbed(args, active, low):
    """Whether a differentiated array overlaps with another argument and one of the two was written to.

    ``active`` are the arguments that the function was called with, ``low`` the first statement after the inputs.
    """
    raise NotImplementedError


@typed(disturbed)
def _disturbed_any(args, active, low):
    if _arrays_in(args) < 2 or args == active:
        return lambda args, active, low: False
    return lambda args, active, low: _disturbed(args, active, _places(args), 0, low)
