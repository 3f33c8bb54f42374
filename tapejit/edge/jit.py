"""The two ways this package compiles a function of the engine.

``inner`` is for functions called from compiled code only: without the wrappers for Python and C each costs a fifth less to
compile. ``entry`` is for those that Python calls, through ``engine``. Division by zero gives inf, as in NumPy.
"""

from numba import njit

entry = njit(error_model="numpy")


def inner(function=None, **options):
    """Decorator, with or without options of ``njit``."""
    decorate = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)
    return decorate if function is None else decorate(function)
