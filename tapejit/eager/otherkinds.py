"""Tensors that are no records (complex ones are pairs): where the public functions find theirs, and ``tensor`` their maker."""

import functools

import numpy as np

from tapejit.core.refusals import KindError
from tapejit.eager.tensor import Tensor

numbers: dict = {}  # kind of NumPy's dtype -> the functions of tensors of such numbers
others: dict = {}  # classes of tensors that are no records -> their functions, by the names of the public ones
makers: dict = {}  # kind of NumPy's dtype -> what makes a tensor of such an array; "pairs": of a real tensor of pairs


def other_kind(args):
    """The functions of the first argument's class in ``others`` (or of the first in a list), None where there is none."""
    for x in args:
        if x.__class__ in others:
            return others[x.__class__]
        if x.__class__ is complex or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "c"):
            return numbers["c"]
        if x.__class__ in (list, tuple):
            found = other_kind(x)
            if found is not None:
                return found
    return None


def of_other_kind(table, name, args, kwargs=None):
    """``name`` of arguments of which one is of another kind."""
    if name not in table:
        raise KindError(f"{name}() takes real tensors, not complex ones: use .real, .imag, .abs() or .angle()")
    return table[name](*args, **(kwargs or {}))


def without_tensor(function, args, kwargs):
    """A call whose first argument is no tensor: what fails for that says so.

    Raises:
        TypeError: if the function needs one.
    """
    try:
        return function(*args, **kwargs)
    except AttributeError as error:
        if isinstance(args[0], Tensor):
            raise
        given = type(args[0]).__name__
        raise TypeError(f"{function.__name__}() takes tensors, got {given}: convert it with tapejit.tensor(...)") from error


def for_other_kinds(function):
    """Let a function of tensors be that of complex ones where an argument is complex."""

    @functools.wraps(function)
    def method(*args, **kwargs):
        if args and (args[0].__class__ is not Tensor or args[-1].__class__ is not Tensor):
            other = other_kind(args)
            if other is not None:
                return of_other_kind(other, function.__name__, args, kwargs)
            return without_tensor(function, args, kwargs)
        return function(*args, **kwargs)

    return method


def for_pairs_of_kinds(function):
    """``for_other_kinds`` of a function of two tensors, as fast as it can be."""

    @functools.wraps(function)
    def method(x, y):
        if x.__class__ is Tensor and y.__class__ is Tensor:
            return function(x, y)
        other = other_kind((x, y))
        return function(x, y) if other is None else of_other_kind(other, function.__name__, (x, y))

    return method
