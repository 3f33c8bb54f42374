"""Static values that are equal and yet give other results: of another type, or zeros of the other sign, at any depth."""

import dataclasses
import math

_BY_EQUALITY = (int, bool, str, bytes, type(None))


def exact(x):
    """What must be the same beside ``x == y`` for two static values to be one: types, and the signs of zeros."""
    kind = type(x)
    if isinstance(x, (tuple, frozenset)):
        inner = tuple(map(exact, x)) if isinstance(x, tuple) else frozenset((item, exact(item)) for item in x)
        return kind, inner
    if isinstance(x, float):
        return kind, math.copysign(1.0, x)
    if isinstance(x, complex):
        return kind, math.copysign(1.0, x.real), math.copysign(1.0, x.imag)
    if isinstance(x, slice):
        return kind, tuple(map(exact, (x.start, x.stop, x.step)))
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        return kind, tuple(exact(getattr(x, field.name, None)) for field in dataclasses.fields(x))
    return kind


def told_by_equality(x) -> bool:
    """Whether objects of the class of ``x`` that are equal to it are the same in this sense."""
    return type(x) in _BY_EQUALITY or exact(x) is type(x) or (type(x) is float and x != 0.0)
