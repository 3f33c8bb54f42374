"""What a function's machine code depends on: its code, and what that refers to, down to numbers and arrays.

Code of a user's function is kept on disk under a digest of all this. What cannot be told, such as the attributes of an object,
or a plain function that somebody's overload stands for, leaves the function without a digest, and its code is not kept.
"""

import builtins
import hashlib
import types as pytypes

import numba
import numpy as np
import scipy
from numba.core import types

from tapejit.edge.caching import NOPYTHON, is_ours
from tapejit.edge.compiler import Dispatcher, builtin_registry
from tapejit.edge.store import PACKAGE

_LIBRARIES = ("numpy", "math", "cmath", "operator", "_operator", "scipy", "numba", "builtins")
_PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype, range, slice, type(Ellipsis), types.Type)
_SETTINGS = ("OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DEBUGINFO_DEFAULT", "DISABLE_JIT")


class _Unknown(Exception):
    """The function refers to something that may change without a trace."""


def fingerprint(function):
    """A digest of a function's code, and of the values, functions and modules' attributes it refers to, or None."""
    contents = _Contents()
    try:
        contents.enter(function, root=True)
        for own in _overloads():
            contents.enter(own, root=True)
    except _Unknown:
        return None
    return contents.digest.hexdigest()


def _overloads():
    """What others have taught Numba in this process: compiled code may be theirs in any place."""
    known = (*builtin_registry.functions, *builtin_registry.attributes, *(one for _, one in builtin_registry.globals))
    found = {id(f): f for f in (getattr(one, "_overload_func", None) for one in known) if f is not None}
    return [f for f in found.values() if f.__module__ and f.__module__.split(".")[0] not in (*_LIBRARIES, "tapejit")]


class _Contents:
    def __init__(self):
        versions = [np.__version__, scipy.__version__, numba.__version__]
        self.digest = hashlib.blake2b(digest_size=16)
        self._note(versions, [repr(getattr(numba.config, name, None)) for name in _SETTINGS])
        self.seen = {}  # id of a function -> its place; and it, so that no id is used twice

    def _note(self, *what):
        self.digest.update(repr(what).encode())

    def enter(self, value, root=False):
        """Add a value; ``root``: the function that is compiled, which may be a plain one."""
        if isinstance(value, Dispatcher):
            self._dispatcher(value)
        elif isinstance(value, pytypes.FunctionType):
            self._function(value, root)
        elif isinstance(value, pytypes.CodeType):
            self._code(value)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, _PLAIN):
            self._note(type(value).__name__, value)
        elif type(value) in (tuple, list):
            self._note(type(value).__name__, len(value))
            for item in value:
                self.enter(item)
        elif isinstance(value, pytypes.ModuleType):
            self._note("module", value.__name__)
        elif isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
            self._note("namedtuple", value.__name__, value._fields)
        elif not self._of_library(value):
            raise _Unknown

    def _of_library(self, value):
        """Whether it is a function or a class of Python's or NumPy's, which their versions tell."""
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if isinstance(value, np.ufunc):
            module, name = "numpy", value.__name__
        elif isinstance(value, pytypes.BuiltinFunctionType) and isinstance(value.__self__, pytypes.ModuleType):
            module = value.__self__.__name__
        if not isinstance(name, str) or str(module).split(".")[0] not in _LIBRARIES:
            return False
        self._note("library", module, name)
        return True

    def _dispatcher(self, value):
        self._note(type(value).__name__, sorted((k, repr(v)) for k, v in value.targetoptions.items()))
        self._rules(value, value.py_func)
        self._function(value.py_func, True)

    def _rules(self, owner, function):
        """Derivatives that are stated of a function, or made for it."""
        made = vars(owner).get("_tapejit_twin")
        if made is not None and made.py_func is not function:
            self._note("twin")
            self.enter(made)

    def _function(self, function, compiled):
        if id(function) in self.seen:
            self._note("seen", self.seen[id(function)][0])
            return
        self.seen[id(function)] = len(self.seen), function
        self._note("function", function.__name__, function.__qualname__)
        if self._is_of_engine(function):
            self._note(function.__module__, function.__code__.co_firstlineno)
        elif not compiled and self._of_library(function):
            return
        elif not compiled:
            raise _Unknown  # an overload may stand for it
        else:
            self._rules(function, function)
            self._code(function.__code__)
            self._references(function)
        for value in (function.__defaults__, *(function.__kwdefaults__ or {}).items()):
            self.enter(value)
        for cell in function.__closure__ or ():
            try:
                self.enter(cell.cell_contents)
            except ValueError:  # an empty one
                raise _Unknown from None

    def _is_of_engine(self, function):
        """Whether it stands in the sources whose digest is part of every key."""
        file = function.__code__.co_filename
        return is_ours(function) and any(file.startswith(str(PACKAGE / folder)) for folder in NOPYTHON)

    def _references(self, function):
        for name in _names(function.__code__):
            if name in function.__globals__:
                self._note(name)
                self._reference(function.__globals__[name], function.__code__)
            elif not hasattr(builtins, name):
                self._note("nowhere", name)

    def _reference(self, value, code):
        self.enter(value)
        if not isinstance(value, pytypes.ModuleType) or value.__name__.split(".")[0] in _LIBRARIES:
            return
        for name in _names(code):  # attributes of a user's module, of which it may have any
            if hasattr(value, name):
                self._note(name)
                self._reference(getattr(value, name), code)

    def _code(self, code):
        self._note(code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags)
        self._note(code.co_argcount, code.co_kwonlyargcount, getattr(code, "co_exceptiontable", None))
        for constant in code.co_consts:
            self.enter(constant) if not isinstance(constant, frozenset) else self._note(sorted(map(repr, constant)))

    def _array(self, value):
        if value.dtype.hasobject:
            raise _Unknown
        self._note("array", value.dtype, value.shape, value.strides, value.flags.writeable)
        self.digest.update(np.ascontiguousarray(value).tobytes())


def _names(code):
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, pytypes.CodeType):
            names += _names(constant)
    return sorted(set(names))
