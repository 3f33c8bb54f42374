"""Calls of plain functions by Python: arguments unpacked and answers packed by a C function of CPython's fastest form.

    object f(object self, object *arguments, size count)          (METH_FASTCALL; ``self`` is None)
"""

import ctypes

from llvmlite import ir

from tapejit.edge import cpython
from tapejit.edge.plain.operators import BIT, DOUBLE, NOTHING, WORD

_FASTCALL = 0x80


class _Method(ctypes.Structure):
    """``PyMethodDef``."""

    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


_methods = []  # CPython refers to them
_new = cpython.function("PyCFunction_NewEx", ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)


def callable_at(name: str, address: int, doc: str | None):
    """The function at an address, of the form above, as a Python object."""
    method = _Method(name.encode(), address, _FASTCALL, (doc or "").encode())
    _methods.append(method)
    return _new(ctypes.addressof(method), None, None)


def write(unit, symbol, code):
    """Put into a unit the C function by which Python calls a function of it, whose arguments are words and doubles."""
    builder = _opened(unit, symbol, len(code.args))
    _, given, _ = builder.function.args
    values = []
    for j, argument in enumerate(code.args):
        item = builder.load(builder.gep(given, [WORD(j)]))
        name, failed = ("PyFloat_AsDouble", DOUBLE(-1.0)) if argument.type == DOUBLE else ("PyLong_AsLongLong", WORD(-1))
        value = builder.call(_api(unit, name, argument.type, WORD), [item])
        compare = builder.fcmp_ordered if argument.type == DOUBLE else builder.icmp_signed
        with builder.if_then(compare("==", value, failed), likely=False):
            error = builder.call(_api(unit, "PyErr_Occurred", WORD), [])
            with builder.if_then(builder.icmp_signed("!=", error, WORD(0))):
                builder.ret(WORD(0))
        values.append(value)
    answer = builder.call(code, values)
    kind = code.function_type.return_type
    if kind == NOTHING:
        none = builder.function.args[0]
        builder.call(_api(unit, "Py_IncRef", NOTHING, WORD), [none])
        builder.ret(none)
    elif kind == DOUBLE:
        builder.ret(builder.call(_api(unit, "PyFloat_FromDouble", WORD, DOUBLE), [answer]))
    elif kind == BIT:
        builder.ret(builder.call(_api(unit, "PyBool_FromLong", WORD, WORD), [builder.zext(answer, WORD)]))
    else:
        builder.ret(builder.call(_api(unit, "PyLong_FromLongLong", WORD, WORD), [answer]))


def _opened(unit, symbol, count):
    """A builder in the C function, after a look at the number of arguments."""
    code = ir.Function(unit.module, ir.FunctionType(WORD, [WORD, WORD.as_pointer(), WORD]), symbol)
    builder = ir.IRBuilder(code.append_basic_block())
    with builder.if_then(builder.icmp_signed("!=", code.args[2], WORD(count)), likely=False):
        builder.call(_api(unit, "PyErr_BadArgument", ir.IntType(32)), [])
        builder.ret(WORD(0))
    return builder


def _api(unit, name, answer, *arguments):
    known = unit.module.globals.get(name)
    return known or ir.Function(unit.module, ir.FunctionType(answer, arguments), name)
