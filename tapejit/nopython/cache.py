"""How the functions of the nopython engine are compiled, and kept between processes (see ``edge.caching``)."""

import linecache
from pathlib import Path

from numba import njit
from numba.extending import overload

GENERATED = "<nopython "  # co_filename of a generated function: "<nopython NAME DIGEST>"
ENGINE = "engine-"  # begins the digest of one that is made of the engine's sources alone
PACKAGE = Path(__file__).resolve().parent


def helper(function=None, **options):
    """Decorator for functions of the engine that only compiled code calls.

    Wrappers for Python and C would double what the small ones take to compile.
    """
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "cache": True}
    decorate = njit(nogil=True, error_model="numpy", **options)
    return decorate if function is None else decorate(function)


def unkept(function):
    """The same for functions that refer to the user's, which are not kept."""
    return njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def typed(stub, **options):
    """``overload`` for the engine's vocabulary: implementations that refer to nothing of the user's are cached."""
    return overload(stub, jit_options={"no_cfunc_wrapper": True, "cache": True}, **options)


def is_cacheable(function):
    """Whether a function stands in the engine's sources, or is made from them: its code and the types say all about it."""
    file = function.__code__.co_filename
    ours = Path(file).is_relative_to(PACKAGE) or (file.startswith(GENERATED) and f" {ENGINE}" in file)
    return ours and not function.__closure__


def generated_function(name, source, namespace, digest):
    """Define a driver from its source text under a file name the cache knows."""
    filename = f"{GENERATED}{name} {digest}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    namespace = dict(namespace, __name__=__name__)
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]
