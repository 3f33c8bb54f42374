"""What an object of another library holds, so that a change of it is noticed: its code is not watched line by line.

A table's column or an entry of the environment is read by functions of pandas or of Python itself. What these read is reached
from the object by the references that the garbage collector follows, and in buffers; both are compared at every call.
"""

import collections
import gc
import operator
import types
import weakref

import numpy as np

from tapejit.eager.tensor import Tensor

MOST_PARTS = 1_000  # objects of a state that are compared, those nearest first
_OURS = "tapejit"
_ASIDE = {  # whose objects hold what is written, how things look, locks, or what compiled code was made of: no values
    *("builtins", "abc", "typing", "types", "enum", "functools", "operator", "logging", "io", "_io", "threading", "_thread"),
    *("argparse", "dataclasses", "contextlib", "concurrent", "multiprocessing", "asyncio", "warnings", "matplotlib", "numba"),
    *("llvmlite", "torch", "jax", "jaxlib", "numpy", _OURS),
}
_SEEN_THROUGH = (bytearray, memoryview, types.MappingProxyType)  # of builtins
_STOP = (
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.FrameType, types.MethodType),
    *(weakref.ref, str, bytes, int, float, complex, type(None), np.generic, np.dtype, np.ufunc, np.random.Generator),
    *(np.random.RandomState, Tensor),
)
_NUMBERS = (int, float, str)
_GROWING = (list, dict, set, collections.deque)
_found: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # kind of object -> whether it is opaque


def is_opaque(x, libraries) -> bool:
    """Whether functions of a library, which are not watched, read values of an object that is made by it."""
    if isinstance(x, _SEEN_THROUGH):
        return True
    if isinstance(x, (*_STOP, np.ndarray)):
        return False
    kind = type(x)
    if kind not in _found:
        modules = {base.__module__.partition(".")[0] for base in kind.__mro__}
        _found[kind] = _OURS not in modules and any(m in libraries and m not in _ASIDE for m in modules)
    return _found[kind]


class State:
    """What an object held, and what is reached from it."""

    def __init__(self, x):
        self._parts, self._held, self._buffers = [], [], []
        met, waiting = {id(x)}, collections.deque([x])
        while waiting and len(self._parts) + len(self._buffers) < MOST_PARTS:
            part = waiting.popleft()
            bytes_of_it = _buffer(part)
            if bytes_of_it is not None:
                self._buffers.append((part, bytes_of_it))
                continue
            held = _references(part)
            if not held and not isinstance(part, _GROWING):
                continue
            self._parts.append(part)
            self._held.append(held)
            for inner in held:
                if id(inner) not in met and not isinstance(inner, _STOP):
                    met.add(id(inner))
                    waiting.append(inner)
        self._seen = gc.get_referents(*self._parts)

    def holds(self) -> bool:
        """Whether all is as it was; an equal number in place of another is what it was."""
        seen = gc.get_referents(*self._parts)
        if len(seen) != len(self._seen) or not all(map(operator.is_, seen, self._seen)):
            if not all(map(_same, map(_references, self._parts), self._held)):
                return False
            self._seen = seen
        return all(_buffer(part) == held for part, held in self._buffers)


def _same(now, held):
    if len(now) != len(held):
        return False
    pairs = zip(now, held, strict=True)
    return all(a is b or (a.__class__ is b.__class__ and isinstance(a, _NUMBERS) and a == b) for a, b in pairs)


def _references(x):
    """What an object refers to; who else refers to the same, by weak references, is no part of it."""
    return [r for r in gc.get_referents(x) if not isinstance(r, weakref.ref)]


def _buffer(x):
    """The bytes of an array of numbers or the like, None if it is something else."""
    if isinstance(x, (tuple, list, dict, set)) or (isinstance(x, np.ndarray) and x.dtype.hasobject):
        return None
    if isinstance(x, np.ndarray):
        return x.tobytes()
    try:
        return bytes(memoryview(x))
    except (TypeError, ValueError, BufferError, NotImplementedError):
        return None
