"""CPython as this package needs it: functions of its C API, and what reference counts mean.

Functions of ``ctypes.pythonapi`` have one prototype for the whole process, which any library may change; those of ``api`` are
our own.
"""

import ctypes
import sysconfig
from sys import getrefcount

import numpy as np

api = ctypes.PyDLL("python", handle=ctypes.pythonapi._handle)


def function(name: str, result, *arguments):
    """A function of the C API with its prototype, in ctypes' types."""
    found = getattr(api, name)
    found.restype, found.argtypes = result, arguments
    return found


release = function("Py_DecRef", None, ctypes.c_void_p)
capsule_pointer = function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
type_from_spec = function("PyType_FromSpec", ctypes.py_object, ctypes.c_void_p)
type_modified = function("PyType_Modified", None, ctypes.py_object)
new_method = function("PyDescr_NewMethod", ctypes.py_object, ctypes.py_object, ctypes.c_void_p)

_DEFINITION, _OFFSET = 40, 16  # of the PyMemberDef in a descriptor, and of the offset in that


def offset_of(field) -> int:
    """Where objects have a field that ``__slots__`` declares, from its descriptor: bytes from their start."""
    definition = ctypes.c_void_p.from_address(id(field) + _DEFINITION).value
    return ctypes.c_ssize_t.from_address(definition + _OFFSET).value


def _counts(objects):
    return np.fromiter(map(getrefcount, objects), np.int64, len(objects))


_ALONE = int(_counts([object()])[0])  # what is counted for an object that only the list refers to


def references_beside(objects):
    """How many references each object of a list has, beside the list's own: an int64 array."""
    return _counts(objects) - _ALONE


def check_interpreter() -> None:
    """Refuse an interpreter whose objects look otherwise.

    Raises:
        ImportError: for a free-threaded build.
    """
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise ImportError(
            "tapejit does not run on a free-threaded build of Python (its compiled code counts references itself, which needs "
            "the interpreter's lock): use the ordinary build of this Python version"
        )
