"""Keywords that every function of a family takes: ``axis`` and ``keepdims`` as NumPy writes them, ``input`` and ``other`` as
PyTorch does, ``out`` for the result.
"""

import functools
import inspect

from tapejit.eager.devices import check_places
from tapejit.eager.otherkinds import of_other_kind, other_kind, others, without_tensor
from tapejit.eager.tensor import Tensor

_SYNONYMS = (
    ("axis", "dim"), ("axes", "dim"), ("dims", "dim"), ("dim", "dims"), ("axis", "dims"), ("axes", "dims"),
    ("keepdims", "keepdim"), ("dimension", "dim"),
)


def deliver(result, out):
    """The result, written into ``out`` (a tensor, or one per result), which is given back.

    Raises:
        RuntimeError: if the result has a history, or does not fit.
        TypeError: if ``out`` is not made of tensors.
    """
    if out is None:
        return result
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(f"out= takes a tuple of {len(result)} tensors here, got {type(out).__name__}")
        parts = [deliver(r, o) for r, o in zip(result, out, strict=True)]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    if not isinstance(out, Tensor):
        raise TypeError(f"out= takes a tensor, got {type(out).__name__}")
    if result.requires_grad or out.requires_grad:
        raise RuntimeError(
            "a result with out= has no derivative, and an operand or out requires a gradient: take the result as it is "
            "returned, or work under no_grad()"
        )
    if out.shape != result.shape:
        raise RuntimeError(f"out= has shape {out.shape}, the result has shape {result.shape}: tensors keep their size")
    if result.dtype.is_floating_point and not out.dtype.is_floating_point:
        raise RuntimeError(f"a result of {result.dtype} cannot be stored in out= of {out.dtype}")
    return out.copy_(result)


def _names(function):
    """What each synonym means for a function."""
    parameters = inspect.signature(function).parameters
    found = {other: name for other, name in _SYNONYMS if name in parameters and other not in parameters}
    first = [name for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD][:2]
    for other, name in zip(("input", "other"), first, strict=False):
        if other not in parameters:
            found[other] = name
    return found


def with_axis(function):
    """Let a function take the usual keywords under their other names, and ``out``."""
    names = None

    @functools.wraps(function)
    def method(*args, **kwargs):
        if args and args[0].__class__ is not Tensor:
            other = other_kind(args)
            if other is not None:
                return of_other_kind(other, function.__name__, args, kwargs)
            if not kwargs:
                return without_tensor(function, args, kwargs)
        if not kwargs:
            return function(*args)
        nonlocal names
        if names is None:
            names = _names(function)
        out = kwargs.pop("out", None)
        return deliver(function(*args, **{names.get(name, name): value for name, value in kwargs.items()}), out)

    return method


def starred(function, *names):
    """Let a function of ``(x, *numbers)`` take the numbers by a name too."""

    @functools.wraps(function)
    def method(x, *numbers, **kwargs):
        if x.__class__ in others:
            return of_other_kind(others[x.__class__], function.__name__, (x, *numbers), kwargs)
        if x.__class__ is not Tensor and not kwargs:
            return without_tensor(function, (x, *numbers), kwargs)
        for name in names if kwargs and not numbers else ():
            if name in kwargs:
                given = kwargs.pop(name)
                numbers = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        return function(x, *numbers, **kwargs)

    return method


def placed(function):
    """Let a function that makes tensors take ``device``, ``layout``, ``pin_memory`` and ``out``."""

    @functools.wraps(function)
    def method(*args, **kwargs):
        if not kwargs:
            return function(*args)
        out = kwargs.pop("out", None)
        return deliver(function(*args, **check_places(kwargs)), out)

    return method
