"""A type whose objects can be called without a Python frame (PEP 590), made with CPython's C API.

An object has room for the address of a C function, which CPython calls in place of ``__call__`` wherever it is not 0, and
for the block by which that function knows the object.
"""

import ctypes

from tapejit.edge import cpython
from tapejit.edge.blocks import BLOCK, VECTORCALL

_FLAGS = 168  # offset of tp_flags in PyTypeObject
_HAVE_VECTORCALL, _BASETYPE, _HAVE_VERSION_TAG, _METHOD = 1 << 11, 1 << 10, 1 << 18, 1 << 17
_TP_MEMBERS, _OBJECT, _SIZE, _READONLY = 72, 16, 19, 1  # Py_tp_members, Py_T_OBJECT_EX, Py_T_PYSSIZET, Py_READONLY
_FASTCALL_KEYWORDS = 0x80 | 0x02


class _Member(ctypes.Structure):
    """``PyMemberDef``."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("type", ctypes.c_int), ("offset", ctypes.c_ssize_t), ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]  # fmt: skip


class _Slot(ctypes.Structure):
    """``PyType_Slot``."""

    _fields_ = [("slot", ctypes.c_int), ("pointer", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    """``PyType_Spec``."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("size", ctypes.c_int), ("itemsize", ctypes.c_int), ("flags", ctypes.c_uint),
        ("slots", ctypes.c_void_p),
    ]  # fmt: skip


class _Method(ctypes.Structure):
    """``PyMethodDef``."""

    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


_members = (_Member * 3)(
    _Member(b"__vectorcalloffset__", _SIZE, VECTORCALL, _READONLY, None), _Member(b"_block", _OBJECT, BLOCK, 0, None), _Member()
)
_slots = (_Slot * 2)(_Slot(_TP_MEMBERS, ctypes.addressof(_members)), _Slot(0, None))
_spec = _Spec(b"tapejit.replay.NativeCall", BLOCK + 8, 0, _BASETYPE | _HAVE_VERSION_TAG, ctypes.addressof(_slots))
NativeCall = cpython.type_from_spec(ctypes.addressof(_spec))


def may_call(kind, flags_too=0) -> bool:
    """Let the objects of a subclass be called natively; False if its type object does not look as expected."""
    flags = ctypes.c_ulong.from_address(id(kind) + _FLAGS)
    if flags.value != kind.__flags__:
        return False
    flags.value |= _HAVE_VECTORCALL | flags_too  # a class with a __call__ of its own does not inherit it
    cpython.type_modified(kind)
    return True


def may_bind(kind) -> bool:
    """The same for objects that ``__get__`` makes methods of: CPython calls them with the object before the arguments."""
    return may_call(kind, _METHOD)


def call_natively(instance, address):
    """Let ``object f(object self, object *args, size count, object names)`` answer the calls of an object from now on."""
    ctypes.c_void_p.from_address(id(instance) + VECTORCALL).value = address


_methods: list = []


def add_method(kind, name, address):
    """Put a C function of the same form into a class, as a method."""
    method = _Method(name.encode(), address, _FASTCALL_KEYWORDS, (getattr(kind, name).__doc__ or "").encode())
    _methods.append(method)
    setattr(kind, name, cpython.new_method(kind, ctypes.addressof(method)))
