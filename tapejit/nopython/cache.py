"""How the functions of the nopython engine are compiled, and kept between processes (see ``edge.caching``)."""

import linecache
from pathlib import Path

from numba import njit
from numba.core.types import int64
from numba.extending import overload

from tapejit.edge import store
from tapejit.edge.parts import PartsOfNumba
from tapejit.edge.plain import compilers  # noqa: F401 - functions of numbers are compiled by it

GENERATED = "<nopython "  # co_filename of a generated function: "<nopython NAME DIGEST>"
ENGINE = "engine-"  # begins the digest of one that is made of the engine's sources alone
SOURCES = store.PACKAGE / "nopython", store.PACKAGE / "spec"


def helper(function=None, **options):
    """Decorator for functions of the engine that only compiled code calls.

    Wrappers for Python and C would double what the small ones take to compile.
    """
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "cache": True}
    decorate = njit(nogil=True, error_model="numpy", pipeline_class=PartsOfNumba, **options)
    return decorate if function is None else decorate(function)


def unkept(function):
    """The same for functions that refer to the user's, which are not kept."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": PartsOfNumba}
    return njit(nogil=True, error_model="numpy", **options)(function)


def call(context, builder, function, *args, types=None):
    """Write a call of one of them into code that is being written; of integers, where no types are given."""
    given = types or (int64,) * len(args)
    signature = function._numba_type_.get_call_type(context.typing_context, given, {})
    compiled = function.overloads[tuple(signature.args)]
    context.add_linking_libs([compiled.library])
    return context.call_internal(builder, compiled.fndesc, signature, args)


def typed(stub, **options):
    """``overload`` for the engine's vocabulary: implementations that refer to nothing of the user's are cached."""
    jit_options = {"no_cfunc_wrapper": True, "cache": True, "pipeline_class": PartsOfNumba}
    return overload(stub, jit_options=jit_options, **options)


def is_cacheable(function):
    """Whether a function stands in the engine's sources, or is made from them: its code and the types say all about it."""
    file = function.__code__.co_filename
    ours = any(map(Path(file).is_relative_to, SOURCES)) or (file.startswith(GENERATED) and f" {ENGINE}" in file)
    return ours and not function.__closure__


def generated_function(name, source, namespace, digest):
    """Define a driver from its source text under a file name the cache knows."""
    filename = f"{GENERATED}{name} {digest}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    namespace = dict(namespace, __name__=__name__)
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]
