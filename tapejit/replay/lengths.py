"""Calls that differ in a length: an int that says how many passes a loop has, or arrays with other numbers of rows.

Two calls whose arguments differ in nothing but one length are of one family. What is recorded of it afterwards becomes a
program for every length once two recordings agree (``graph.anylength``) and the function's code shows that Python does the same
for others (``lengthwalk``). Each other length is a signature of its own, as it is without families.
"""

import types

from tapejit.graph.anylength import LENGTH, Length
from tapejit.graph.counting import Unsafe, counter, joined, number
from tapejit.replay.abstract import CLEAN, TENSOR, held, is_tainted
from tapejit.replay.lengthforms import Heard
from tapejit.replay.lengthwalk import LengthWalk
from tapejit.replay.signature import Longer, Signature, longer_arrays
from tapejit.replay.trees import LEAF, NODE, unflatten

MOST_FAMILIES = 4  # of one function
MOST_COMPARED = 8  # signatures that a new one is compared with
MOST_TRIES = 8  # recordings of a family that become no program
OFTEN = 1000  # calls of one length after another that the door cannot answer, before it is recorded for itself
_TRANSFORMS = ("jit", "grad", "value_and_grad", "hessian")  # which hand the function the arguments as they are


class NotAlike(Exception):
    """Two signatures differ in more than a length."""


class Family:
    """Signatures that differ in a length.

    Attributes:
        key: of a signature, ``Longer`` in place of what differs.
        signature: what was recorded for all lengths.
        tries: recordings that have become no program.
        last, again: the length of the last call by a program that the door does not know, and how many were as long before it.
    """

    def __init__(self, name, key):
        self.key = key
        self.signature = Signature(name, key)
        self.tries = 0
        self.last, self.again = None, 0

    def length_of(self, key):
        """The length that makes a signature's key of the family's, None if none does."""
        found = []
        try:
            _match(self.key, key, found)
        except NotAlike:
            return None
        return found[0] if all(n == found[0] for n in found) else None

    def wants(self):
        """Whether another recording may become a program."""
        self.tries += not self.signature.paths.counted
        return self.tries <= MOST_TRIES and self.signature.paths.eager is None

    def is_often(self, length):
        """Count a call; whether so many have been of this length that a program of its own pays, which the door knows."""
        self.last, self.again = length, self.again + 1 if length == self.last else 0
        return self.again > OFTEN

    @property
    def longer(self):
        """By number of an array how much longer than the length it is."""
        return longer_arrays(self.key)

    def programs(self, length):
        """The programs for a length, and the least and most that each is for."""
        return [(p, span) for p in self.signature.paths.counted for span in p.spans_of(length)]


class Lengths:
    """The families of a function.

    Args:
        fun: the user's function.
    """

    def __init__(self, fun, name, transform):
        while transform in _TRANSFORMS and hasattr(fun, "transform") and hasattr(fun, "fun"):  # a gradient of a gradient
            fun, transform = fun.fun, fun.transform
        self.fun, self.name = fun, name
        known = isinstance(fun, (types.FunctionType, types.MethodType))
        self.families = [] if transform in _TRANSFORMS and known and hasattr(fun, "__code__") else None

    def of(self, key, signatures):
        """(the family of a signature that is new, its length); None if there is none."""
        if self.families is None:
            return None
        for family in self.families:
            length = family.length_of(key)
            if length is not None:
                return family, length
        for other in list(signatures)[-MOST_COMPARED:] if len(self.families) < MOST_FAMILIES else ():
            family = self._of_both(other, key)
            if family is not None:
                self.families.append(family)
                return family, family.length_of(key)
        return None

    def _of_both(self, one, other):
        differences = []
        try:
            key = _masked(one, other, differences)
        except NotAlike:
            return None
        if not differences or any(d[1] - d[0] != differences[0][1] - differences[0][0] for d in differences):
            return None
        return Family(self.name, _relative(key, differences[0][1]))

    def signatures(self):
        """What was recorded for all lengths, by family."""
        return [family.signature for family in self.families or ()]

    def length_of(self, signature, key):
        """The length of a call of the family with that signature; None if it is none."""
        family = next((f for f in self.families or () if f.signature is signature), None)
        return family and family.length_of(key)

    def length(self, family, length, inputs):
        """What the function makes of a length, as its code says.

        Raises:
            Unsafe: if that cannot be told.
        """
        heard = Heard(length)
        _walk(self.fun, family.key, heard)
        inside = tuple(form for form in heard.forms if any(name != LENGTH for name in _names(form)))
        after = tuple(form for form in heard.forms if form not in inside)
        counters = {**dict.fromkeys(heard.trips, (0, 1, 0)), LENGTH: (0, 0, 1)}
        found = Length(counters, inside, after, 0, 0, length, inputs, family.longer)
        return found.within(heard.limits)


def _names(form):
    return {form[1]} if form[0] == "counter" else set() if form[0] == "number" else _names(form[1]) | _names(form[2])


# Keys: trees of tuples, see ``trees.flatten``; and what is said of each leaf


def _masked(a, b, differences):
    """What two keys have in common; a pair of numbers in place of those that differ, which are told."""
    if a == b and a.__class__ is b.__class__:
        return a
    (parts, named), (others, other_named) = a[0], b[0]
    if len(parts) != len(others) or [n for n, _ in named] != [n for n, _ in other_named] or len(a[1]) != len(b[1]):
        raise NotAlike
    parts = tuple(_masked_part(x, y, differences) for x, y in zip(parts, others, strict=True))
    named = tuple((name, _masked_part(x, y, differences)) for (name, x), (_, y) in zip(named, other_named, strict=True))
    kinds = tuple(_masked_kind(x, y, differences) for x, y in zip(a[1], b[1], strict=True))
    return (parts, named), kinds


def _masked_part(x, y, differences):
    if x == y:
        return x
    if LEAF in (x, y) or x[0] != "static" or y[0] != "static" or x[2].__class__ is not int or y[2].__class__ is not int:
        raise NotAlike
    differences.append((x[2], y[2]))
    return "static", Longer, y[2]


def _rows(kind):
    """(the leading size of what a leaf is, all else), (None, the leaf) if it has none; see ``values.kind``."""
    if kind.__class__ is tuple and len(kind) > 1 and kind[1]:
        return kind[1][0], (kind[0], kind[1][1:], *kind[2:])
    return None, kind


def _with_rows(kind, rows):
    return kind[0], (rows, *kind[1][1:]), *kind[2:]


def _masked_kind(x, y, differences):
    if x == y:
        return x
    (rows, rest), (others, other_rest) = _rows(x), _rows(y)
    if rest != other_rest or None in (rows, others):
        raise NotAlike
    differences.append((rows, others))
    return _with_rows(x, Longer(others))


def _relative(key, length):
    """A key in which what differs is said by how much it is more than the length."""
    (parts, named), kinds = key

    def part(x):
        return ("static", Longer, x[2] - length) if x != LEAF and x[:2] == ("static", Longer) else x

    kinds = tuple(_with_rows(k, Longer(_rows(k)[0].more - length)) if _varies(k) else k for k in kinds)
    return (tuple(map(part, parts)), tuple((name, part(x)) for name, x in named)), kinds


def _varies(kind):
    return _rows(kind)[0].__class__ is Longer


def _match(family, key, found):
    """Enter the length by each of what differs.

    Raises:
        NotAlike: if anything else does.
    """
    (parts, named), kinds = family
    if len(parts) != len(key[0][0]) or len(named) != len(key[0][1]) or len(kinds) != len(key[1]):
        raise NotAlike
    pairs = [*zip(parts, key[0][0], strict=True), *((x, y) for (_, x), (_, y) in zip(named, key[0][1], strict=True))]
    if any(name != other for (name, _), (other, _) in zip(named, key[0][1], strict=True)):
        raise NotAlike
    for x, y in pairs:
        if x != LEAF and x[:2] == ("static", Longer):
            if y == LEAF or y[0] != "static" or y[2].__class__ is not int:
                raise NotAlike
            found.append(y[2] - x[2])
        elif x != y:
            raise NotAlike
    for x, y in zip(kinds, key[1], strict=True):
        if _varies(x):
            rows, rest = _rows(y)
            if rows is None or rest != _rows(x)[1]:
                raise NotAlike
            found.append(rows - _rows(x)[0].more)
        elif x != y:
            raise NotAlike


# The code


def _form(more):
    """The length, and so much more."""
    return joined("+", counter(LENGTH), number(more)) if more else counter(LENGTH)


def _walk(fun, key, heard):
    """Follow a function that is called with arguments of a family."""
    space, code, (parts, named), kinds = {}, fun.__code__, key[0], iter(key[1])
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if isinstance(fun, types.MethodType):
        fun, space, names = fun.__func__, {names[0]: held(fun.__self__)}, names[1:]
    if code.co_flags & 0xC or len(parts) > len(names) - code.co_kwonlyargcount or not {name for name, _ in named} <= {*names}:
        raise Unsafe
    space.update(zip(names, [_argument(part, kinds) for part in parts], strict=False))
    space.update((name, _argument(part, kinds)) for name, part in named)
    places = code.co_varnames[: code.co_argcount]
    defaults = dict(zip(places[::-1], (fun.__defaults__ or ())[::-1], strict=False))
    for name, x in {**defaults, **(fun.__kwdefaults__ or {})}.items():
        space.setdefault(name, held(x))
    free = {}
    for name, cell in zip(code.co_freevars, fun.__closure__ or (), strict=True):
        free[name] = held(cell.cell_contents)
    walk = LengthWalk(code, fun.__globals__, heard, free)
    walk.go([(walk.instructions[0].offset, (), space)])
    for x in walk.results:
        _result(x, heard)


def _result(x, heard):
    if x[0] == "form":
        heard.form(x[1])
    elif x[0] in ("tuple", "made"):
        for part in x[1]:
            _result(part, heard)
    elif is_tainted(x):
        raise Unsafe


def _argument(part, kinds):
    """An argument, or a part of one, as the walk knows it."""
    if part == LEAF:
        return _leaf(next(kinds))
    kind = part[0]
    if kind == "static":
        return ("form", _form(part[2])) if part[1] is Longer else held(unflatten(part, ()))
    inner = [_argument(x, kinds) for x in part[-1]]
    if kind is tuple:
        return "tuple", tuple(inner)
    if kind is dict:
        return "mapping", tuple(zip(part[1], inner, strict=True))
    names = _field_names(part)
    if names is not None:
        return "fields", tuple(zip(names, inner, strict=True))
    if any(map(is_tainted, inner)):
        raise Unsafe
    return CLEAN


def _field_names(part):
    """The attributes of a named tuple or a dataclass, if what they give is what they were made with."""
    kind, names = part[1] if part[0] is NODE else (part[0], getattr(part[0], "_fields", None))
    simple = kind.__getattribute__ in (object.__getattribute__, tuple.__getattribute__)
    known = part[0] is not NODE or "__dataclass_fields__" in vars(kind)
    return names if simple and known else None


def _leaf(kind):
    if kind == "f" or len(kind) == 1:
        return TENSOR
    shape = kind[1]
    if shape and shape[0].__class__ is Longer:
        return "sequence", _form(shape[0].more), tuple(shape[1:])
    return ("tensor", shape[0]) if shape else TENSOR

