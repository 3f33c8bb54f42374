"""How the functions of the nopython engine are compiled, and kept between processes (see ``edge.caching``)."""

from pathlib import Path

from numba import njit
from numba.extending import overload

GENERATED = "<nopython "  # co_filename of a generated driver: "<nopython NAME DIGEST>"
PACKAGE = Path(__file__).resolve().parent


def helper(function=None, **options):
    """Decorator for functions of the engine that only compiled code calls.

    Wrappers for Python and C would double what the small ones take to compile.
    """
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "cache": True}
    decorate = njit(nogil=True, error_model="numpy", **options)
    return decorate if function is None else decorate(function)


def typed(stub, **options):
    """``overload`` for the engine's vocabulary: implementations that refer to nothing of the user's are cached."""
    return overload(stub, jit_options={"no_cfunc_wrapper": True, "cache": True}, **options)


def is_cacheable(function):
    """Whether a function stands in the engine's sources: then its code and the types say all about it."""
    return Path(function.__code__.co_filename).is_relative_to(PACKAGE) and not function.__closure__
