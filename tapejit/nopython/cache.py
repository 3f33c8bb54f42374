"""Where compiled gradients, and the engine's own functions, are kept between processes.

The engine decorates its functions with what is here, so that the locator is in place before any of them asks for one.
"""

import functools
import hashlib
from pathlib import Path

from numba import njit
from numba.extending import overload

from tapejit.edge import cache as kernel_cache
from tapejit.edge.compiler import caching

GENERATED = "<nopython "  # co_filename of a generated driver: "<nopython NAME DIGEST>"
PACKAGE = Path(__file__).resolve().parent


@functools.cache
def engine_stamp():
    """A digest of the sources that decide what a gradient's machine code is."""
    digest = hashlib.blake2b(kernel_cache.engine_stamp().encode(), digest_size=16)
    for folder in (PACKAGE, PACKAGE.parent / "ops"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


class NopythonCacheLocator(kernel_cache.TapejitCacheLocator):
    """Finds the cache of generated drivers and of this package's own jitted functions."""

    def __init__(self, py_func, py_file):
        super().__init__(py_func, py_file)
        if py_file.startswith(GENERATED):
            self._tag = py_file.rstrip(">").rsplit(" ", 1)[1]

    def get_source_stamp(self):
        return engine_stamp()

    @classmethod
    def from_function(cls, py_func, py_file):
        ours = py_file.startswith(GENERATED) or Path(py_file).is_relative_to(PACKAGE)
        return cls(py_func, py_file) if ours and kernel_cache.cache_folder() else None


caching.CacheImpl._locator_classes.insert(0, NopythonCacheLocator)
CACHED = kernel_cache.cache_folder() is not None  # else the engine is compiled in each process


def helper(function=None, **options):
    """Decorator for functions of the engine that only compiled code calls.

    Wrappers for Python and C would double what the small ones take to compile.
    """
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "cache": CACHED}
    decorate = njit(nogil=True, error_model="numpy", **options)
    return decorate if function is None else decorate(function)


def typed(stub, **options):
    """``overload`` for the engine's vocabulary: implementations that refer to nothing of the user's are cached."""
    return overload(stub, jit_options={"no_cfunc_wrapper": True, "cache": CACHED}, **options)


def is_cacheable(function):
    """Whether a function stands in the engine's sources: then its code and the types say all about it."""
    ours = Path(function.__code__.co_filename).is_relative_to(PACKAGE)
    return CACHED and ours and not function.__closure__
