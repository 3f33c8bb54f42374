"""The two ways this package compiles a function of the engine.

``inner`` is for functions called from compiled code only: without the wrappers for Python and C each costs a fifth less to
compile. ``entry`` is for those that Python calls, through ``engine``. Division by zero gives inf, as in NumPy.
"""

from numba import njit
from numba.core import types

from tapejit.edge.lean import Lean

entry = njit(error_model="numpy", pipeline_class=Lean)
PART = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def inner(function=None, **options):
    """Decorator, with or without options of ``njit``."""

    def decorate(function):
        plain = njit(pipeline_class=Lean, **PART, **options)
        return _for_any_number(plain(function))

    return decorate if function is None else decorate(function)


def _for_any_number(dispatcher):
    """A function that Numba does not compile anew for each constant it is called with: LLVM knows constants as well."""
    template = dispatcher.get_call_template
    dispatcher.get_call_template = lambda args, kws: template(tuple(map(types.unliteral, args)), kws)
    return dispatcher
