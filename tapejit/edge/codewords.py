"""Where CPython keeps a function's code and defaults, and a class's version: offsets of words, found in live objects.

A class's version is another number whenever an attribute of it, or of a class that it derives from, was set; 0 if it has none
for now. What is not found where it is looked for is None, and callers ask Python instead.
"""

import ctypes
import functools

_FIRST, _FUNCTION_BYTES = 16, 160
_TYPE_BYTES = 600


def word(x, offset) -> int:
    """The word at an offset in an object."""
    return ctypes.c_int64.from_address(id(x) + offset).value


def _look_up(kind):
    """A class has a version once something was looked up in it."""
    getattr(kind, "_nothing_has_this_name", None)


@functools.cache
def of_function(name):
    """The offset of what ``__code__``, ``__defaults__`` or ``__kwdefaults__`` of a function gives; None if it is not found."""

    def probe(a=(), *, b=()):
        return a, b

    wanted = id(getattr(probe, name))
    found = [k for k in range(_FIRST, min(_FUNCTION_BYTES, probe.__sizeof__()), 8) if word(probe, k) == wanted]
    return found[0] if len(found) == 1 else None


@functools.cache
def of_version():
    """The offset of a class's version in it; None if it is not found."""

    class Probe:
        pass

    def words():
        _look_up(Probe)
        return [word(Probe, k) for k in range(_FIRST, min(_TYPE_BYTES, type.__basicsize__), 8)]

    seen = [words(), words()]
    for value in range(2):
        Probe.mark = value
        seen.append(words())
    first, again, second, third = seen
    rows = zip(first, again, second, third, strict=True)
    found = [k for k, (a, b, c, d) in enumerate(rows) if a == b and 0 < b < c < d < 1 << 32]
    return _FIRST + 8 * found[0] if found else None  # from 3.13 on a count of the versions follows


def version(kind) -> int:
    """A class's version, 0 if it has none."""
    offset = of_version()
    _look_up(kind)
    return 0 if offset is None else word(kind, offset)
