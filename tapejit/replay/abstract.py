"""What is known of the values that Python holds, where some of them are counters.

A value is a tuple whose first item says what it is: "known" (an object as it is), "form" (a number worked out from counters,
see ``graph.counting``), "flag" (a comparison of a form with a number), "tuple" and "made" (containers), "range" and its
iterators "counting" (of a counter) and "hidden", or one of those below. Where a call has a length (``lengthwalk``) there are
"sequence" (an array as long: its length, its other sizes), "along" and "going" (what a loop goes along, and its iterator: how
many values, and each of them), "function" (one that is made there: its code, its free variables), "mapping", "fields"
(an object whose attributes are told), "slice" and "literal" (a list of what stands in it).
"""

import dis
import types

import numpy as np

from tapejit.eager.tensor import Tensor
from tapejit.graph.counting import number

CLEAN = ("clean",)  # the same whatever the counters are
TENSOR = ("tensor", None)  # a tensor; its leading size, if that is known
PURE = ("pure",)  # the same whatever the counters are, and arithmetic with it has no memory
OPAQUE = ("opaque",)  # something that may depend on counters
NULL = ("null",)
_TAINTED = ("form", "flag", "opaque", "counting", "hidden", "sequence", "along", "going")
_PLAIN = (int, float, str, bool, type(None))
_LASTING = (*_PLAIN, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)


class Known:
    """A value as it is; of another object its identity."""

    def __init__(self, it):
        self.it = it

    def __eq__(self, other):
        if not isinstance(other, Known) or self.it.__class__ is not other.it.__class__:
            return False
        return self.it is other.it or (isinstance(self.it, _PLAIN) and self.it == other.it)

    def __hash__(self):
        return hash(self.it.__class__)


def known(it):
    return "known", Known(it)


def it_of(x):
    """What a known value is, None for all others."""
    return x[1].it if x[0] == "known" else None


def is_tainted(x):
    if x[0] in ("tuple", "made"):
        return any(map(is_tainted, x[1]))
    if x[0] in ("mapping", "fields"):
        return any(is_tainted(part) for _, part in x[1])
    return x[0] in _TAINTED or (x[0] == "function" and any(map(is_tainted, x[2])))


def is_iterator(x):
    """Whether a value lies on the stack for a ``for``."""
    return x[0] in ("counting", "hidden", "iterator", "going") or (x[0] == "range" and len(x) == 5)


def is_number(x):
    return x[0] == "known" and x[1].it.__class__ in (int, float, bool)


def as_form(x):
    if x[0] == "form":
        return x[1]
    return number(int(x[1].it) if x[1].it.__class__ is bool else x[1].it)


def both(a, b):
    """What a value is that is one of two."""
    if a == b:
        return a
    if a[0] == b[0] == "tensor":
        return TENSOR
    if a[0] == b[0] == "tuple" and len(a[1]) == len(b[1]):
        return "tuple", tuple(map(both, a[1], b[1]))
    return OPAQUE if is_tainted(a) or is_tainted(b) else CLEAN


class Frame:
    """A frame as it is at a decision; of tensors only what they are.

    Attributes:
        code, at: its code, and the instruction that it is at.
        locals: by name what it holds.
    """

    def __init__(self, frame):
        self.code = frame.f_code
        self.at = max(i.offset for i in dis.get_instructions(self.code) if i.offset <= frame.f_lasti)  # not within its caches
        self.space = frame.f_globals
        self.values = {name: seen(x) for name, x in frame.f_locals.items()}

    def range_of(self, x, again):
        """The range, or endless count, that an iterator of this frame goes along; None if it is another one.

        Args:
            again: local names that are given values while it does.
        """
        if x[0] != "range":
            return None
        found = []
        for part in x[2]:
            if part[0] == "local" and part[1] not in again:
                part = self.values.get(part[1], CLEAN)
            if it_of(part).__class__ is not int:
                return None
            found.append(it_of(part))
        return _endless(*found) if x[3] else range(*found)


def _endless(start=0, step=1):
    return range(start, start + step * (1 << 60), step)


def seen(x):
    """A value of Python's as the walk knows it."""
    if x.__class__ is Tensor:
        return "tensor", x._layout.shape[0] if x._layout.ndim else None
    if x.__class__ is tuple:
        return "tuple", tuple(map(seen, x))
    return known(x) if isinstance(x, _LASTING) or isinstance(getattr(x, "__dict__", None), dict) else CLEAN


def held(x):
    """A value of Python's, of whose arithmetic it is known whether it has a memory: that of NumPy's arrays has none."""
    if isinstance(x, (np.ndarray, np.generic, complex)) and type(x).__module__.split(".")[0] in ("numpy", "builtins"):
        return PURE
    return seen(x)


def stored(instructions):
    """The local names that get values, once for each place where they do."""
    return [name for i in instructions if i.opname.startswith(("STORE_FAST", "DELETE_FAST")) for name in names(i)]


def names(instruction):
    """The local names that an instruction is about."""
    named = instruction.argval
    return named if isinstance(named, tuple) else (named,)


def attribute(x, name):
    """An attribute of a module, or of an object that holds it as it is."""
    it = it_of(x)
    if it.__class__ is types.ModuleType:
        return known(getattr(it, name)) if hasattr(it, name) else CLEAN
    held = getattr(it, "__dict__", None) if x[0] == "known" else None
    if isinstance(held, dict) and name in held and not hasattr(type(it), name) and held[name].__class__ in _PLAIN:
        return known(held[name])
    return CLEAN
