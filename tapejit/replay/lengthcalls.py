"""Calls of functions in code that is followed along a length: of which it is known what they do, and which go along it too."""

import types

import numpy as np

from tapejit.graph.counting import Unsafe, counter, joined, number
from tapejit.replay.abstract import (
    NULL,
    OPAQUE,
    PURE,
    TENSOR,
    as_form,
    both,
    held,
    is_number,
    is_tainted,
    it_of,
    known,
)
from tapejit.replay.walk import TENSOR_NAMES
from tapejit.spec.table import OPS

HERE = "here"  # the counter of a loop, until it is known which loop that is
MOST_ROUNDS = 4  # until what passes hand on has settled
_NUMPY = {
    "sum", "dot", "mean", "where", "outer", "clip", "stack", "concatenate", "zeros", "ones", "eye", "array", "asarray",
    "reshape", "transpose", "full", "zeros_like", "ones_like", "cumsum", "prod", "max", "min", "square",
}  # fmt: skip
_MAKING = {"zeros", "ones", "eye", "full", "tensor", "as_tensor", "zeros_like", "ones_like"}
_PLAIN = (int, float, bool, str)
_PLAIN_FUNCTIONS = (float, int, abs, min, max, len, isinstance, bool)
_OF_ONE = {op.name for op in OPS if op.elementwise and op.arity == 1}  # functions of a number: the tape shows what it is
_NONE = known(None)
_FORMS = "tapejit.control.forms"


def placed(x, form):
    """A value with a form in place of the counter ``HERE``."""
    if x[0] in ("counter", "number"):
        return form if x == counter(HERE) else x
    if x[0] == "form":
        return "form", placed(x[1], form)
    if x[0] == "tuple":
        return "tuple", tuple(placed(part, form) for part in x[1])
    if len(x) == 3 and x[0] in "+-*/":
        return joined(x[0], placed(x[1], form), placed(x[2], form))
    return x


def in_every_pass(a, b):
    """What something is in each pass that is one thing before the first and another after it."""
    if a[0] == b[0] == "tuple" and len(a[1]) == len(b[1]):
        return "tuple", tuple(map(in_every_pass, a[1], b[1]))
    if b[0] == "tensor" and not is_tainted(a) and a != NULL:
        return TENSOR
    if a == b and a[0] not in ("clean", "pure", "function", "mapping", "fields", "made", "literal"):
        return a
    return OPAQUE


def has_no_memory(x):
    """Whether what is done with a value does not change it: no object of a user's has a say in it."""
    if x[0] in ("tuple", "literal"):
        return all(map(has_no_memory, x[1]))
    if x[0] != "known":
        return x[0] in ("tensor", "pure", "form", "slice")
    it = it_of(x)
    if it.__class__ is tuple:
        return all(has_no_memory(known(part)) for part in it)
    return it is None or isinstance(it, (*_PLAIN, type)) or type(it).__module__.split(".")[0] in ("tapejit", "numpy")


def either(a, b):
    """What a value is that is one of two: a number is as good as a tensor, for which of them it is, the tape shows."""
    if a[0] == b[0] == "tuple" and len(a[1]) == len(b[1]):
        return "tuple", tuple(map(either, a[1], b[1]))
    if a == b or not all(x[0] in ("tensor", "pure") or is_number(x) for x in (a, b)):
        return both(a, b)
    return TENSOR if "tensor" in (a[0], b[0]) else PURE


class LengthCalls:
    """The part of a walk that calls functions, see ``lengthwalk``."""

    def _kw_names(self, i, stack, space):
        space["*keywords"] = known(self.code.co_consts[i.arg])

    def _called(self, function, owner, args, keywords):
        names = () if keywords is None else it_of(keywords)
        if function[0] == "function":
            if names:
                raise Unsafe
            code, space = it_of(function[1]), it_of(function[3])
            return self._in_function(code, space, dict(zip(code.co_freevars, function[2], strict=True)), args)
        f = it_of(function)
        if getattr(f, "__module__", None) == _FORMS:
            return self._form_of_loop(f.__name__, args, names)
        if owner is None and not names and any(x[0] in ("sequence", "along", "form") for x in args):
            found = self._of_length(f, args)
            if found is not None:
                return found
        if _is_ours(f) and f.__name__ in _OF_ONE and owner is None and not names and [x[0] for x in args] == ["form"]:
            self.heard.form(args[0][1])
            return TENSOR
        tainted = any(map(is_tainted, args))
        if f.__class__ is types.FunctionType and (tainted or (self.strict and not _is_ours(f))):
            if names or _is_ours(f):
                raise Unsafe
            return self._inside(f, args if owner is None else [owner, *args])
        found = None if tainted or f is range else self._pure(function, f, owner, args, names)
        if found is None and self.strict and not tainted and (f is not range or names):
            raise Unsafe
        return found or super()._called(function, owner, args, keywords)

    def _of_length(self, f, args):
        """What functions of Python give that say how long something is, or go along it; None for others."""
        first = args[0]
        if f is len and first[0] == "sequence" and len(args) == 1:
            return "form", first[1]
        if f is range and all(x[0] == "form" or it_of(x).__class__ is int for x in args):
            return self._range(*args)
        if f is enumerate and len(args) <= 2:
            along, begin = self._iterated(first), number(0) if len(args) == 1 else as_form(args[1])
            return along and ("along", along[0], ("tuple", (("form", joined("+", counter(HERE), begin)), along[1])))
        if f is zip:
            parts = [self._iterated(x) for x in args]
            if None in parts or any(trips != parts[0][0] for trips, _ in parts):
                raise Unsafe
            return "along", parts[0][0], ("tuple", tuple(each for _, each in parts))
        if f is reversed and first[0] == "sequence":
            return "along", first[1], TENSOR
        if f is reversed and first[0] == "along":
            back = joined("-", joined("-", first[1], number(1)), counter(HERE))
            return "along", first[1], placed(first[2], back)
        return None

    def _range(self, *args):
        first, end, step = args if len(args) == 3 else (*([known(0)] * (2 - len(args))), *args, known(1))
        step = it_of(step)
        if step not in (1, -1):
            raise Unsafe
        length = joined("-", as_form(end), as_form(first)) if step > 0 else joined("-", as_form(first), as_form(end))
        if not self.heard.condition(">", length, 0):
            raise Unsafe
        if first == known(0) and step > 0:
            return "along", as_form(end), ("form", counter(HERE))
        return "along", length, ("form", joined("+" if step > 0 else "-", as_form(first), counter(HERE)))

    def _iterated(self, x):
        """(how many there are, each of them) of what goes along the length, None of all others."""
        if x[0] == "sequence":
            return x[1], TENSOR
        return x[1:] if x[0] == "along" else None

    # Functions that are gone through

    def _inside(self, f, args):
        code, missing = f.__code__, f.__code__.co_argcount - len(args)
        defaults = f.__defaults__ or ()
        if 0 < missing <= len(defaults):
            args = [*args, *map(held, defaults[len(defaults) - missing :])]
        free = {}
        for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
            try:
                free[name] = held(cell.cell_contents)
            except ValueError:
                free[name] = OPAQUE
        return self._in_function(code, f.__globals__, free, args)

    def _in_function(self, code, space, free, args):
        if self.depth >= 6 or len(args) != code.co_argcount or code.co_kwonlyargcount or code.co_flags & 0xC:
            raise Unsafe
        walk = type(self)(code, space, self.heard, free, self.depth + 1, self.strict)
        walk.go([(walk.instructions[0].offset, (), dict(zip(code.co_varnames, args, strict=False)))])
        return walk.result()

    def result(self):
        """What the function gives."""
        if not self.results:
            raise Unsafe
        found = self.results[0]
        for x in self.results[1:]:
            found = both(found, x)
        return found

    # Functions that are known

    def _pure(self, function, f, owner, args, names):
        """What a call gives of a function that has no memory, and is given none; None of any other."""
        values = args if owner is None else [owner, *args]
        if not all(map(has_no_memory, values)) or "out" in names:
            return None
        tensors = any(map(_has_tensors, values))
        if function[0] == "method" and owner[0] == "tensor":
            return TENSOR if function[1] in TENSOR_NAMES else PURE
        module, name = getattr(f, "__module__", None) or "", getattr(f, "__name__", "")
        of_numpy = isinstance(f, np.ufunc) and getattr(np, f.__name__, None) is f
        if _is_ours(f) or of_numpy or (module == "numpy" and name in _NUMPY):
            return TENSOR if tensors or (_is_ours(f) and name in _MAKING) else PURE
        if any(f is plain for plain in _PLAIN_FUNCTIONS) or (f.__class__ is types.BuiltinFunctionType and module == "math"):
            return TENSOR if tensors and f in (abs, min, max) else PURE
        return None

    def _form_of_loop(self, name, args, names):
        """What ``scan`` and ``fori_loop`` give, whose bodies are gone through."""
        values = args[: len(args) - len(names)]
        named = dict(zip(names, args[len(values) :], strict=True))
        if name == "scan":
            return self._scan(*values, **named)
        if name == "cond" and len(values) > 2 and not named and not any(map(is_tainted, values)):
            return either(*(self._called(f, None, values[3:], None) for f in values[1:3]))
        if name == "fori_loop" and len(values) == 4 and not named:
            lower, upper, body, init = values
            if "form" not in (lower[0], upper[0]):
                raise Unsafe
            along = self._range(lower, upper)
            return self._passed_on(along[1], lambda carry, i: self._called(body, None, [i, carry], None), along[2], init)
        raise Unsafe

    def _scan(self, f, init, xs, length=_NONE, reverse=_NONE, unroll=_NONE, **others):
        if others or length != _NONE or self.strict or reverse[0] != "known":
            raise Unsafe
        along = self._of_length(zip, xs[1])[1:] if xs[0] == "tuple" else self._iterated(xs)
        if along is None:
            raise Unsafe
        trips, each = along
        given = None

        def body(carry, x):
            nonlocal given
            answer = self._called(f, None, [carry, x], None)
            if answer[0] != "tuple" or len(answer[1]) != 2:
                raise Unsafe
            carry, given = answer[1]
            return carry

        carry = self._passed_on(trips, body, each, init)
        return "tuple", (carry, _NONE if given == _NONE else OPAQUE)

    def _passed_on(self, trips, body, each, carry):
        """What the last of some passes hands on, each of which is given one of the values."""
        if self.strict:
            raise Unsafe
        name = "form", self.depth, next(self.heard.numbers)
        self.heard.goes_along(name, trips)
        self.strict = True
        for _ in range(MOST_ROUNDS):
            after = in_every_pass(carry, body(carry, placed(each, counter(name))))
            if after == carry:
                self.strict = False
                return carry
            carry = after
        raise Unsafe


def _has_tensors(x):
    return x[0] == "tensor" or (x[0] in ("tuple", "literal") and any(map(_has_tensors, x[1])))


def _is_ours(f):
    return f.__class__ is types.FunctionType and f.__globals__.get("__name__", "").split(".")[0] == "tapejit"
