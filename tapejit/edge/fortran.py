"""Where SciPy's BLAS and LAPACK lie: their modules of addresses are loaded by themselves.

``import scipy.linalg`` takes 0.2 s, which the first matrix product of a process would wait for; the two modules that hold
the addresses take 2 ms and need nothing of the package around them.
"""

import ctypes
import functools
import importlib
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

import scipy

PACKAGE = "scipy.linalg"

_name = ctypes.pythonapi.PyCapsule_GetName
_name.restype, _name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def address(module, routine) -> int:
    """The address of a routine, ``("cython_blas", "dgemm")``.

    Raises:
        ImportError: if SciPy has no such routine.
    """
    try:
        capsule = _module(module).__pyx_capi__[routine]
    except KeyError:
        raise ImportError(f"{PACKAGE}.{module} has no {routine}") from None
    return _pointer(capsule, _name(capsule))


@functools.cache
def _module(name):
    whole = f"{PACKAGE}.{name}"
    if PACKAGE in sys.modules:
        return importlib.import_module(whole)
    try:
        return _alone(whole, name)
    except (ImportError, AttributeError):  # built in another way
        return importlib.import_module(whole)


def _alone(whole, name):
    """A module without its package, which does not know of it: who imports the package later finds what he expects."""
    spec = PathFinder.find_spec(whole, [f"{path}/{PACKAGE.partition('.')[2]}" for path in scipy.__path__])
    if spec is None:
        raise ImportError(whole)
    try:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        module.__pyx_capi__  # noqa: B018 - it must be there
    finally:
        sys.modules.pop(whole, None)  # Cython has entered it
    return module
