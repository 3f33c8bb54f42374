"""What a function reads beside its arguments, found by watching it run: line by line, while it is recorded.

Before a line runs, and after it, its loads are looked up: attributes, items, globals and closure variables that lead to
objects which were there before the function began. Each is a place to watch at every replay. Nothing of the user's is
called to find out. Functions that would give something else at the next call (random numbers, clocks, files) are refused.
"""

import collections
import contextvars
import functools
import gc
import inspect
import itertools
import operator
import re
import sys
import types
import weakref

import numpy as np

from tapejit.eager.tensor import Tensor
from tapejit.edge import tracing
from tapejit.edge.between import runs_in_between
from tapejit.edge.userline import PACKAGE, PACKAGES, STDLIB, called, is_installed, is_library
from tapejit.replay.lines import place_of
from tapejit.replay.loads import NOTHING, loads
from tapejit.replay.members import Members, is_users
from tapejit.replay.numpyreads import NumpyReads
from tapejit.replay.operandsread import Steps, makes_operands
from tapejit.replay.states import State, is_opaque
from tapejit.replay.unrepeatable import is_generator, kind_of_code, kind_of_function

_LIBRARIES = {*PACKAGES, "tapejit", *sys.stdlib_module_names}
_COMPILER = re.compile(r"-packages[/\\](numba|llvmlite)[/\\]")
_passed: dict = {}  # by file: whether its functions are not watched; _OURS, or "aside": nor what they call
_OURS = "ours"
_CONTAINERS = (list, tuple, dict, set, frozenset, collections.deque)
_GETTERS = (operator.attrgetter, operator.itemgetter, operator.methodcaller)
_CHANGING = {"append", "extend", "insert", "add", "update", "appendleft", "write", "clear", "remove", "discard"}
_USUAL = {"np", "tj", "torch"}
_STATEFUL = ("tapejit.nn.", "tapejit.distributions.")  # ours, whose objects have attributes that users set and our code reads
_OF_TENSORS = {"grad", "requires_grad", "is_leaf", "retains_grad"}  # what changes of one while its values stay
_ENDS = (Tensor, np.ndarray, np.generic, float, int, str, bytes, complex, type(None), types.BuiltinFunctionType, np.ufunc)


def _is_library_module(module) -> bool:
    return module.__name__.partition(".")[0] in _LIBRARIES


def _is_usual(name, module) -> bool:
    """Whether a variable has the name that a module goes by: it will keep it."""
    return name in _USUAL or name == module.__name__.rpartition(".")[2]


def _how_passed(file):
    """What is in ``_passed`` of a file."""
    if file.startswith(PACKAGE):
        return _OURS
    return "aside" if _COMPILER.search(file) else is_library(file) or is_installed(file)


class Unrepeatable(RuntimeError):
    """A recorded function calls what gives something else at the next call."""


class Reads:
    """What the functions that run by ``watch`` read.

    Args:
        lines: hears which line of theirs runs (see ``lines``).
        sources: the arrays that are operands, by record.

    Attributes:
        places: tuples (where, owner, name, value) in the order of the first read, by what tells them apart.
        containers: by id, a list, dict or the like and a copy of what it held.
        arrays: arrays that were read.
        states: by id, an object that code of another library reads, and its State.
        kinds: by id, a class of the user's of which an object was read.
        functions: by id, a function of the user's that ran.
        numpy: what NumPy computes with.
    """

    def __init__(self, function, objects, allowed, lines, sources):
        self.lines = lines
        self.places, self.containers, self.arrays = {}, {}, []
        self.allowed = allowed
        self.states, self._opaque = {}, {}
        self.kinds, self.functions, self._ran = {}, {}, set()
        self.numpy = NumpyReads(sources)
        self._known = {}  # id -> object that was there before
        self._functions = collections.defaultdict(list)  # by code
        self._inner = set()  # code of functions made inside
        self._loose = set()  # attributes of objects that no chain leads to
        self._aside = None  # the frame of what Python runs in between by itself, while it runs
        for x in (function, *objects):
            self._outside(x)

    def watch(self, function, args, kwargs):
        """``function(*args, **kwargs)``, its reads noted; a debugger or the like waits meanwhile."""
        before = tracing.begin(tracing.Tracer(self._called, _passed, _OURS, self.numpy.busy))
        try:
            return function(*args, **kwargs)
        finally:
            tracing.end(before)
            self.lines.note(place_of(sys._getframe(1)))
            if getattr(before[0], "function", None) != self._called:  # else a transform inside ends, and the function goes on
                self.numpy.end()

    def finish(self):
        """Note attributes that are read of objects which no chain leads to."""
        for x in list(self._known.values()):
            for name in self._loose:
                self._attribute(x, name)
        self.states = {k: (x, State(x)) for k, x in self._opaque.items()}
        self.kinds = {k: (x, Members(x, _LIBRARIES)) for k, x in self.kinds.items()}
        outside = (f for functions in self._functions.values() for f in functions)
        for f in itertools.chain(outside, *(members.functions() for _, members in self.kinds.values())):
            if f.__code__ in self._ran and f.__code__ not in self._inner:
                self.functions[id(f)] = f

    def forget(self, tensors):
        """Keep no tensors that stood in for numbers."""
        for key, (*place, value) in self.places.items():
            if any(value is t for t in tensors):
                self.places[key] = *place, None
        for _, held in self.containers.values():
            for k in [k for k, v in held.items() if any(v is t for t in tensors)] if isinstance(held, dict) else ():
                held[k] = None
        for t in tensors:
            self._known.pop(id(t), None)

    def _called(self, frame, event, arg):
        code = frame.f_code
        passed = _passed.get(code.co_filename)
        if passed is None:
            passed = _passed[code.co_filename] = _how_passed(code.co_filename)
        if passed is _OURS or self._aside is not None:  # nearly all calls: those of an operation
            return self._looked_into(frame) if self.numpy.inside else None
        if runs_in_between(frame):
            self._aside = frame
            return self._until_it_returns
        if passed == "aside":  # a function compiles: what that reads, a terminal's colours say, is not what the function reads
            self._aside = frame
            return self._until_it_returns
        if passed:
            kind = kind_of_code(code)
            if kind is not None:
                self._refuse(kind, called(frame.f_back)[1] or code.co_name, frame.f_back, None)
            return None
        self._ran.add(code)
        found = loads(code)
        self._inner.update(found.inner)
        self._loose |= found.loose
        self.numpy.enter(frame)
        return _Watched(self, found).event

    def _looked_into(self, frame):
        """A function of ours was given arrays from outside."""
        if self._aside is not None or makes_operands(frame.f_code.co_filename):
            return None
        self.numpy.enter(frame)
        return _LookedInto(Steps(self.numpy, frame)).event

    def _until_it_returns(self, frame, event, arg):
        if event == "return":
            self._aside = None
        return self._until_it_returns

    def _refuse(self, kind, written, frame, function):
        while frame is not None and frame.f_code.co_filename.startswith(STDLIB):
            frame = frame.f_back
        file = frame.f_code.co_filename if frame else "<"
        if is_library(file) or file.startswith("<string") or is_installed(file):
            return  # not the user's call
        if self.allowed is True or written in self.allowed or any(a is function for a in self.allowed if function is not None):
            return
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        if any(a is module or a is getattr(function, "__self__", self) for a in self.allowed):
            return
        where = f"{file}:{frame.f_lineno}"
        raise Unrepeatable(
            f"{written}() gives {kind}; inside a function that is recorded it would be the same at every replay: work it out "
            f"outside and pass it as an argument, or allow it with static={written!r} ({where})"
        )

    def chain(self, chain, frame, first):
        """Look up a chain in a frame; gives what it leads to, ``NOTHING`` if that is not known."""
        value, outside = self._root(chain, frame)
        if value is NOTHING:
            self._loose.update(x for kind, x in chain.steps if kind == "attribute")
            return NOTHING
        for kind, x in chain.steps:
            if not outside and id(value) not in self._known:
                return NOTHING
            if not isinstance(value, _CONTAINERS):
                self._outside(value)
            if isinstance(value, types.ModuleType):
                owner, value = value, self._of_module(value, x)
            elif kind == "attribute":
                if is_generator(value) and first:
                    self._refuse("a random number", str(chain), frame, getattr(value, x, None))
                if isinstance(value, _CONTAINERS):
                    if x not in _CHANGING:
                        self._outside(value)
                    return NOTHING
                if isinstance(value, contextvars.ContextVar) and first:
                    self._refuse("what its context holds", str(chain), frame, None)
                owner, value = value, self._attribute(value, x)
                if value is NOTHING:
                    self._absent(owner, x)
            else:
                key = x if kind == "item" else self._variable(*x, frame)
                owner, value = value, self._item(value, key)
            if value is NOTHING:
                self._whole(owner)
                return NOTHING
            outside = True
        if outside or id(value) in self._known:
            self._whole(value)
        if outside:
            self._outside(value)
            if value is globals:
                self._named_globals(frame)
            elif isinstance(value, weakref.ref):
                self._outside(value())
            if callable(value) and first:
                kind = kind_of_function(value, chain.bare_call)
                if kind is not None:
                    self._refuse(kind, str(chain), frame, value)
        return value

    def _whole(self, x):
        """Note an object that code which is not watched reads values of."""
        if is_opaque(x, _LIBRARIES):
            self._opaque.setdefault(id(x), x)

    def _absent(self, owner, name):
        """Note that an object has no such attribute: it may get one."""
        space = getattr(owner, "__dict__", None)
        if isinstance(space, dict) and inspect.getattr_static(owner, name, NOTHING) is NOTHING:
            self._outside(space)

    def _named_globals(self, frame):
        """Note what ``globals()`` is asked for by names that are written there."""
        for name in frame.f_code.co_consts:
            if isinstance(name, str) and name in frame.f_globals:
                self._place("item", frame.f_globals, name, frame.f_globals[name])

    def _variable(self, is_global, name, frame):
        space = frame.f_globals if is_global else frame.f_locals
        return space.get(name, NOTHING)

    def _root(self, chain, frame):
        """The variable that a chain begins with, and whether it is one from outside."""
        name = chain.name
        if chain.is_global:
            if name in frame.f_globals:
                value = frame.f_globals[name]
                self._place("item", frame.f_globals, name, value)
                return value, True
            value = frame.f_builtins.get(name, NOTHING)
            if value is NOTHING:
                self.places.setdefault(("absent", id(frame.f_globals), name), ("absent", frame.f_globals, name, True))
            return value, True
        value = frame.f_locals.get(name, NOTHING)
        if value is NOTHING or name not in frame.f_code.co_freevars:
            return value, False
        cell = self._cell(frame.f_code, name, value)
        if cell is None:
            return value, False
        self._place("cell", cell, None, value)
        return value, True

    def _cell(self, code, name, value):
        """The cell of a closure variable, None if it belongs to a function that is recorded."""
        if code in self._inner:
            return None
        if not self._functions[code]:
            self._functions[code] = [f for f in gc.get_referrers(code) if isinstance(f, types.FunctionType)]
        k = code.co_freevars.index(name)
        for f in self._functions[code]:
            try:
                if f.__closure__[k].cell_contents is value:
                    return f.__closure__[k]
            except ValueError:
                continue
        return None

    def _of_module(self, module, name):
        if name not in vars(module):
            return NOTHING
        value = vars(module)[name]
        if not _is_library_module(module):
            self._place("item", vars(module), name, value)
        return value

    def _attribute(self, owner, name):
        """An attribute that is a plain value; what it leads to otherwise runs code, which is watched itself."""
        if isinstance(owner, Tensor) and name in _OF_TENSORS:
            value = getattr(owner, name)
            self._place("attribute", owner, name, value)
            self._outside(value)
            return value
        if isinstance(owner, (*_ENDS, *_CONTAINERS, types.ModuleType, types.FunctionType)):
            return NOTHING
        space = {} if isinstance(owner, type) else getattr(owner, "__dict__", None)
        if not isinstance(space, dict):
            space = {}
        if name == "__dict__":
            return self._everything(owner)
        if name in space:
            value = space[name]
            self._place("item", space, name, value)
        elif isinstance(owner, type) and owner.__module__.partition(".")[0] in _LIBRARIES:
            return getattr(owner, name, NOTHING)
        else:
            static = inspect.getattr_static(owner, name, NOTHING)
            plain = not hasattr(static, "__get__") or isinstance(static, (types.MemberDescriptorType, types.FunctionType))
            if isinstance(static, types.FunctionType) and not isinstance(owner, type):
                self._shadow(owner, name)
                return NOTHING
            if static is NOTHING or not plain:
                return NOTHING
            value = getattr(owner, name, NOTHING)
            if value is NOTHING:
                return NOTHING
            self._place("attribute", owner, name, value)
        self._outside(value)
        return value

    def _everything(self, owner):
        if isinstance(owner, types.ModuleType) and _is_library_module(owner):
            return NOTHING
        space = getattr(owner, "__dict__", None)
        if isinstance(space, dict):
            self._outside(space)  # other attributes may be added
            for name in list(space):
                self._attribute(owner, name)
        return NOTHING

    def _item(self, owner, key):
        if isinstance(owner, dict):
            try:
                if key in owner:
                    self._place("item", owner, key, owner[key])
                    return owner[key]
            except TypeError:
                pass
        self._outside(owner)
        if isinstance(owner, (list, tuple)) and isinstance(key, int) and -len(owner) <= key < len(owner):
            return owner[key]
        return NOTHING

    def _place(self, where, owner, name, value):
        if isinstance(value, types.ModuleType) and _is_library_module(value) and _is_usual(name, value):
            return
        self.places.setdefault((where, id(owner), name), (where, owner, name, value))

    def _outside(self, x):
        """Note an object that was there before, with what it contains."""
        if id(x) in self._known:
            return
        self._known[id(x)] = x
        if isinstance(x, np.ndarray):
            self.arrays.append(x)
            self.numpy.begin(_watched_frames())
        elif isinstance(x, _CONTAINERS):
            if not isinstance(x, (tuple, frozenset)):
                self.containers[id(x)] = x, (dict(x) if isinstance(x, dict) else list(x))
            for item in list(x.values() if isinstance(x, dict) else x):
                self._outside(item)
        elif isinstance(x, types.FunctionType):
            self._functions[x.__code__].append(x)
            for default in (*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()):
                self._outside(default)
        elif isinstance(x, types.MethodType):
            self._outside(x.__func__)
            self._outside(x.__self__)
        elif isinstance(x, type):
            self._kind(x)
        elif isinstance(x, (*_ENDS, types.ModuleType)):
            return
        elif hasattr(type(x), "__next__"):
            raise RuntimeError(
                f"a {type(x).__name__} from outside is read in a function that is recorded, which would see the same values "
                "at every replay; pass them as arguments"
            )
        else:
            if isinstance(x, functools._lru_cache_wrapper):
                self.numpy.begin(_watched_frames())
            self._known.setdefault(id(type(x)), type(x))
            self._kind(type(x))
            if type(x).__module__.startswith(_STATEFUL):
                self._outside(vars(x))
            if callable(x) and hasattr(type(x), "forward"):  # a module, whose call is not watched, nor those of its parts
                self._shadow(x, "forward")
                for name in ("_modules", "_parameters", "_buffers"):
                    self._outside(vars(x).get(name))
            parts = [inspect.getattr_static(x, part, None) for part in ("fun", "__func__", "__wrapped__")]
            parts = [part for part in parts if isinstance(part, (types.FunctionType, types.MethodType))]
            for part in (x.func, x.args, x.keywords) if isinstance(x, functools.partial) else parts:
                self._outside(part)

    def _shadow(self, owner, name):
        """Note that a method is that of the class: the object may get one of its own."""
        space = getattr(owner, "__dict__", None)
        if isinstance(space, dict) and name not in space:
            self.places.setdefault(("absent", id(space), name), ("absent", space, name, True))

    def _kind(self, kind):
        if id(kind) not in self.kinds and is_users(kind, _LIBRARIES):
            self.kinds[id(kind)] = kind


def _watched_frames():
    """The frames that run and are watched."""
    frame = sys._getframe(1)
    while frame is not None:
        if getattr(frame.f_trace, "__func__", None) is _Watched.event:
            yield frame
        frame = frame.f_back


class _LookedInto:
    """A frame of ours in which arrays may be computed with."""

    __slots__ = ("_steps",)

    def __init__(self, steps):
        self._steps = steps

    def event(self, frame, event, arg):
        if event == "opcode":
            self._steps.step(frame.f_lasti if arg is None else arg)
        elif event == "return":
            self._steps.step(None)
        return self.event


class _Watched:
    """A frame that is watched."""

    __slots__ = ("known", "lines", "loads", "note", "reads", "steps")

    def __init__(self, reads, found):
        self.reads, self.loads, self.note = reads, found, reads.lines.note
        self.lines = ()  # the chains of the line that runs, which may have other values once it has run
        self.known = {}  # of lines that have run: where they are, and the chains that may lead elsewhere the next time
        self.steps = None

    def event(self, frame, event, arg):
        if event == "line" and not self.lines:
            known = self.known.get(frame.f_lineno)
            if known is not None and not known[1]:  # nearly all
                self.note(known[0])
                return self.event
        if event == "opcode":
            if self.steps is None:
                self.steps = Steps(self.reads.numpy, frame)
            self.steps.step(frame.f_lasti if arg is None else arg)
            return self.event
        if event == "return" and self.steps is not None:
            self.steps.step(None)
        if self.lines:
            self._look_again(frame)
            self.lines = ()
        if event == "line":
            self._line(frame)
        elif event == "return":
            self.note(place_of(frame.f_back))
        return self.event

    def _look_again(self, frame):
        """Look up the chains that may lead elsewhere now; few begin with an object from outside."""
        space, outside = frame.f_locals, self.reads._known
        for chain in self.lines:
            if id(space.get(chain.name, NOTHING)) in outside:
                self.reads.chain(chain, frame, False)

    def _line(self, frame):
        number = frame.f_lineno
        known = self.known.get(number)
        if known is not None:
            self.note(known[0])
            self.lines = known[1]
            self._look_again(frame)
            return
        place, chains, own = (frame.f_code.co_filename, number), self.loads.lines.get(number, ()), frame.f_code.co_freevars
        self.note(place)
        self.lines = [c for c in chains if c.steps and not c.is_global and c.name not in own]
        self.known[number] = place, self.lines
        found = [self.reads.chain(c, frame, True) for c in chains]
        if any(_takes_all(x) for x in found):
            for x in found:
                if x is not NOTHING and id(x) in self.reads._known and not isinstance(x, type):
                    self.reads._everything(x)


def _takes_all(x) -> bool:
    """Whether a function may read anything of an object that it is given, unseen."""
    if isinstance(x, _GETTERS):
        return True
    if isinstance(x, types.BuiltinFunctionType):
        seen = x.__name__ in ("len", "print", "isinstance", "range", "id", "type", "callable")
        return x.__module__ in ("builtins", "operator", "_operator") and not seen
    return isinstance(x, types.FunctionType) and (x.__module__ or "").partition(".")[0] in sys.stdlib_module_names
