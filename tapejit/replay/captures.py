"""What a function reads beside its arguments, so that rebinding it leads to a new recording.

Found in two ways: here from the function's code (closure cells, globals, defaults, attributes of captured objects, and
the same of functions that it names), and by ``reads`` when it runs. Compared by identity, containers by their elements.
"""

import functools
import inspect
import itertools
import operator
import types

import numpy as np

from tapejit.edge import blocks as B
from tapejit.edge import codewords
from tapejit.edge.capi import CELL_VALUE
from tapejit.replay.capturednumbers import Slot, is_number
from tapejit.replay.members import Members
from tapejit.replay.states import State

_DEPTH = 4
_SMALL = 64
_OF_FUNCTIONS = ("__code__", "__defaults__", "__kwdefaults__")
_PLAIN = (types.ModuleType, type, types.BuiltinFunctionType, np.ufunc)


class Captures:
    """The watched places of a function and what they held when it was recorded."""

    def __init__(self, function, statics=()):
        self.places = []  # (where, owner, name, value, snapshot)
        self.arrays = []
        self.changed = None  # the name of the place that was found to hold something else,
        self.place = None  # and (where, owner, name, value before, value now)
        self._seen = set()
        self._function(function, _DEPTH)
        code = getattr(function, "__code__", None)
        for value in statics:
            if code is not None and hasattr(value, "__dict__") and not isinstance(value, (*_PLAIN, types.FunctionType)):
                self._attributes(value, _names(code), _DEPTH)

    def _function(self, function, depth):
        function = getattr(function, "__wrapped__", function) if not isinstance(function, types.MethodType) else function
        if isinstance(function, types.MethodType):
            self._attributes(function.__self__, _names(function.__func__.__code__), depth)
            function = function.__func__
        code = getattr(function, "__code__", None)
        if code is None or id(function) in self._seen or depth == 0:
            return
        self._seen.add(id(function))
        names = _names(code)
        for cell in function.__closure__ or ():
            try:
                self._watch("cell", cell, None, cell.cell_contents, names, depth)
            except ValueError:
                continue
        for default in function.__defaults__ or ():
            self._value(default, names, depth)
        space = function.__globals__
        for name in names:
            if name in space:
                self._watch("item", space, name, space[name], names, depth)

    def _watch(self, where, owner, name, value, names, depth):
        package = getattr(value, "__module__", "") or ""
        if isinstance(value, _PLAIN) or (isinstance(value, types.FunctionType) and package.split(".")[0] == "tapejit"):
            if isinstance(value, types.ModuleType) and value.__name__.split(".")[0] not in ("tapejit", "numpy", "math"):
                self._attributes(value, names, 1)
            return
        self.places.append((where, owner, name, value, _snapshot(value)))
        self._value(value, names, depth)

    def _value(self, value, names, depth):
        if isinstance(value, np.ndarray):
            self.arrays.append(value)
        elif isinstance(value, (types.FunctionType, types.MethodType)) or _wraps(value):
            self._function(value, depth - 1)
        elif isinstance(value, (list, tuple, dict)):
            for item in list(value.values() if isinstance(value, dict) else value)[:_SMALL]:
                if isinstance(item, (np.ndarray, types.FunctionType)):
                    self._value(item, names, depth - 1)
        elif hasattr(value, "__dict__") and not isinstance(value, _PLAIN):
            self._attributes(value, names, depth - 1)

    def _attributes(self, owner, names, depth):
        if depth == 0 or id(owner) in self._seen:
            return
        self._seen.add(id(owner))
        try:
            space = vars(owner)
        except TypeError:
            return
        for name in names:
            if name in space:
                self._watch("item", space, name, space[name], names, depth)
            elif not isinstance(owner, types.ModuleType) and _is_data(getattr(type(owner), name, None)):
                self._watch("attribute", owner, name, getattr(owner, name), names, depth)

    def add(self, reads):
        """Watch what was read when the function ran too."""
        known = {(where, id(owner), name) for where, owner, name, _, _ in self.places}
        self.places += [(*place, None) for key, place in reads.places.items() if key not in known]
        seen = {id(value) for *_, value, snapshot in self.places if snapshot is not None}
        self.places += [("itself", x, None, x, held) for k, (x, held) in reads.containers.items() if k not in seen]
        self.places += [("itself", x, None, x, state) for x, state in reads.states.values()]
        self.places += [("itself", x, None, x, members) for x, members in reads.kinds.values()]
        for f in reads.functions.values():
            values = [(name, getattr(f, name)) for name in _OF_FUNCTIONS]  # calls that need no defaults need none later
            self.places += [("attribute", f, name, value, None) for name, value in values if value is not None]
        have = {id(a) for a in self.arrays}
        self.arrays += [a for a in reads.arrays if id(a) not in have]

    def merge(self, other):
        """Watch the places of another recording too, of another path of the function."""
        known = {(where, id(owner), name) for where, owner, name, _, _ in self.places}
        self.places += [place for place in other.places if (place[0], id(place[1]), place[2]) not in known]

    def moving(self, slots):
        """Let the numbers in some places change: programs read them at every call.

        Args:
            slots: by (where, id of the owner, name), see ``capturednumbers.Slot``.
        """
        for j, (where, owner, name, value, snapshot) in enumerate(self.places if slots else ()):
            if (where, id(owner), name) in slots:
                self.places[j] = where, owner, name, slots[where, id(owner), name], None
            elif isinstance(snapshot, (list, dict)):
                keys = snapshot if isinstance(snapshot, dict) else range(len(snapshot))
                of_it = {k: slots["item", id(value), k] for k in keys if ("item", id(value), k) in slots}
                if of_it:
                    is_dict = isinstance(snapshot, dict)
                    snapshot = {**snapshot, **of_it} if is_dict else [of_it.get(k, x) for k, x in enumerate(snapshot)]
                    self.places[j] = where, owner, name, value, snapshot
        known = {(where, id(owner), name) for where, owner, name, _, _ in self.places}
        for key, slot in slots.items():
            if key not in known and isinstance(slot.owner, list):
                self.places.append(("item", slot.owner, slot.name, slot, None))

    def hold(self) -> bool:
        """Whether every place still holds what it did; an equal number in place of another is what it was.

        Where numbers may change, programs read those that are there now.
        """
        for j, (where, owner, name, value, snapshot) in enumerate(self.places):
            now = _READ[where](owner, name)
            if value.__class__ is Slot:
                if value.take(now):
                    continue
            elif now is value or _same_number(now, value):
                if snapshot is None or self.matches(now, snapshot):
                    if now is not value or (snapshot.__class__ is Members and snapshot.moved()):
                        self.places[j] = where, owner, name, now, snapshot
                    continue
                where, owner, name, value, now = _difference(now, snapshot) or (where, owner, name, value, now)
            self.place = where, owner, name, value, now
            self.changed = f"{name!r}" if name is not None else f"a {type(value).__name__}"
            return False
        return True

    def words(self) -> tuple:
        """The places as the door reads them, tuples (kind, owner, name, value), and the objects that these refer to."""
        found, owned = [], []
        for where, owner, name, value, snapshot in list(self.places):
            owned += [owner, name, value]
            if where == "absent":
                found.append((B.ITEM, id(owner), id(name), 0))
            elif value.__class__ is Slot and isinstance(owner, list):
                owned.append(functools.partial(_taken, value))
                found.append((B.ANSWER, id(owned[-1]), 0, id(True)))
            elif value.__class__ is Slot:
                found.append((_NUMBERS[where], id(owner), id(name), value.array.__array_interface__["data"][0]))
            elif snapshot.__class__ is Members and snapshot.version:
                found.append((B.CELL, id(owner) + codewords.of_version() - CELL_VALUE, 0, snapshot.version))
                continue
            elif name in _OF_FUNCTIONS and codewords.of_function(name) is not None:
                at = id(owner) + codewords.of_function(name) - CELL_VALUE
                found.append((B.CELL, at, 0, id(value)))
            elif where != "itself":
                found.append((_PLACES[where], id(owner), id(name), id(value)))
            if type(value) in _CONTAINERS and type(snapshot) is type(value):
                kind, parts = _CONTAINERS[type(value)]
                addresses = np.array([*(0 if x.__class__ is Slot else id(x) for x in parts(snapshot)), 0], dtype=np.int64)
                owned += [snapshot, addresses]
                found.append((kind, id(value), addresses.ctypes.data, len(snapshot)))
            elif snapshot is not None:
                test = functools.partial(self.matches, value, snapshot)
                owned.append(test)
                found.append((B.ANSWER, id(test), 0, id(True)))
        return found, owned

    @staticmethod
    def matches(now, snapshot):
        if isinstance(snapshot, State):
            return snapshot.holds()
        if isinstance(snapshot, Members):
            return snapshot.hold()
        if len(now) != len(snapshot):
            return False
        if isinstance(snapshot, dict):  # in its order, which loops over it go by
            return list(now) == list(snapshot) and _alike(now.values(), snapshot.values())
        return _alike(now, snapshot)


def _is_data(value):
    """Whether a class attribute is a plain value rather than a method or a descriptor."""
    return value is not None and not callable(value) and not hasattr(value, "__get__")


def _wraps(value) -> bool:
    """Whether an object is a function around another; its own ``__getattr__`` is not asked."""
    return inspect.getattr_static(value, "__wrapped__", None) is not None


def _cell(cell, _):
    try:
        return cell.cell_contents
    except ValueError:  # it is empty now
        return _cell


def _absent(space, name):
    return name not in space


_READ = {
    "absent": _absent,
    "itself": lambda owner, _: owner,
    "cell": _cell,
    "item": lambda owner, name: owner.get(name) if owner.__class__ is dict else _element(owner, name),
    "attribute": lambda owner, name: getattr(owner, name, None),
}
_CONTAINERS = {list: (B.LIST_HOLDS, iter), dict: (B.DICT_HOLDS, lambda x: itertools.chain.from_iterable(x.items()))}
_NUMBERS = {"cell": B.CELL_NUMBER, "item": B.ITEM_NUMBER}
_PLACES = {"cell": B.CELL, "item": B.ITEM, "attribute": B.ATTRIBUTE}


def _names(code):
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _alike(now, before):
    return all(map(operator.is_, now, before)) or all(map(_same, now, before))


def _same(a, b):
    return a is b or _same_number(a, b) or _moves(b, a)


def _same_number(a, b):
    return a.__class__ is b.__class__ and isinstance(a, (int, float, str)) and a == b


def _moves(slot, now):
    return slot.__class__ is Slot and is_number(now)


def _taken(slot):
    """Whether an element of a list is a number, which programs read from now on."""
    return slot.take(_element(slot.owner, slot.name))


def _element(owner, k):
    """What a dict has under a key or a list at a place, None for nothing."""
    if isinstance(owner, list):
        return owner[k] if k < len(owner) else None
    return owner.get(k)


def _difference(now, snapshot):
    """By what a dict or list differs from what it was, as a place and its values; None if it has other keys or a new length."""
    if type(now) in _CONTAINERS and type(snapshot) is type(now) and len(now) == len(snapshot):
        for k, v in snapshot.items() if isinstance(now, dict) else enumerate(snapshot):
            if isinstance(now, dict) and k not in now:
                return None
            if not _same(now[k], v):
                return "item", now, k, v, now[k]
    return None


def _snapshot(value):
    if isinstance(value, dict):
        return dict(value) if len(value) <= _SMALL else None
    if isinstance(value, list):
        return list(value) if len(value) <= _SMALL else None
    return None
