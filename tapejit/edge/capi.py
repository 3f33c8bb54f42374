"""CPython's and NumPy's objects for jitted code: functions of the C API by name, and fields by their offset.

An object is its address, an integer. Offsets are those of the stable part of the structures (CPython's ``PyObject``,
``PyFloatObject``, ``PyCellObject``, ``PyListObject``; NumPy's ``PyArrayObject_fields``, the same since NumPy 1.7);
``layouts_hold`` compares them with live objects, so that an interpreter that differs is noticed and not misread.
"""

import ctypes

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge import cpython
from tapejit.edge.raw import extern

# Offsets in bytes.
REFERENCES, TYPE, SIZE = 0, 8, 16
FLOAT_VALUE = CELL_VALUE = 16
LIST_ITEMS = 24
SLICE_START, SLICE_STOP, SLICE_STEP = 16, 24, 32
ARRAY_DATA, ARRAY_NDIM, ARRAY_SHAPE, ARRAY_STRIDES, ARRAY_BASE, ARRAY_DTYPE, ARRAY_FLAGS, ARRAY_WEAK = range(16, 80, 8)
C_CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x100, 0x400
NEW_FROM_DESCRIPTOR = 94  # position of PyArray_NewFromDescr in NumPy's table of functions


def _word_types(codes):
    """LLVM types: "o" for an object or another word, "i" for a C int, "v" for nothing."""
    return [{"o": ir.IntType(64), "i": ir.IntType(32), "v": ir.VoidType()}[c] for c in codes]


def _emit(call):
    def codegen(context, builder, signature, args):
        result = call(context, builder, args)
        if isinstance(result.type, ir.VoidType):
            return context.get_dummy_value()
        return builder.sext(result, ir.IntType(64)) if result.type.width < 64 else result

    return codegen


def _c_function(name, takes, gives="o"):
    """An intrinsic that calls a function of the C API; arguments and result are integers."""

    def call(context, builder, args):
        kinds = _word_types(takes)
        args = [builder.trunc(a, k) if k.width < 64 else a for a, k in zip(args, kinds, strict=True)]
        return builder.call(extern(context, builder, name, _word_types(gives)[0], kinds), args)

    result = types.void if gives == "v" else types.intp
    names = ", ".join(f"a{j}" for j in range(len(takes)))
    scope = {"signature": result(*[types.intp] * len(takes)), "codegen": _emit(call)}
    exec(f"def {name}(typingctx{''.join(', ' + n for n in names.split(', ') if n)}):\n    return signature, codegen\n", scope)
    return intrinsic(scope[name])


incref = _c_function("Py_IncRef", "o", "v")
decref = _c_function("Py_DecRef", "o", "v")
tuple_size = _c_function("PyTuple_Size", "o")
new_tuple = _c_function("PyTuple_New", "o")
tuple_item = _c_function("PyTuple_GetItem", "oo")
set_tuple_item = _c_function("PyTuple_SetItem", "ooo", "i")
new_list = _c_function("PyList_New", "o")
list_item = _c_function("PyList_GetItem", "oo")
set_list_item = _c_function("PyList_SetItem", "ooo", "i")
dict_item = _c_function("PyDict_GetItemWithError", "oo")
dict_size = _c_function("PyDict_Size", "o")
dict_next = _c_function("PyDict_Next", "oooo", "i")
attribute = _c_function("PyObject_GetAttr", "oo")
equal = _c_function("PyObject_RichCompareBool", "ooi", "i")
call_object = _c_function("PyObject_CallObject", "oo")
vectorcall = _c_function("PyObject_Vectorcall", "oooo")
frame_code = _c_function("PyFrame_GetCode", "o")
set_trace = _c_function("PyEval_SetTrace", "oo", "v")
thread_state = _c_function("PyThreadState_Get", "")
stop_tracing = _c_function("PyThreadState_EnterTracing", "o", "v")
go_on_tracing = _c_function("PyThreadState_LeaveTracing", "o", "v")
new_object = _c_function("PyType_GenericAlloc", "oo")
integer = _c_function("PyLong_AsLongLong", "o")
new_integer = _c_function("PyLong_FromLongLong", "o")
error_set = _c_function("PyErr_Occurred", "")
clear_error = _c_function("PyErr_Clear", "", "v")
save_thread = _c_function("PyEval_SaveThread", "")
restore_thread = _c_function("PyEval_RestoreThread", "o", "v")


@intrinsic
def new_float(typingctx, value):
    """``PyFloat_FromDouble``."""

    def codegen(context, builder, signature, args):
        function = extern(context, builder, "PyFloat_FromDouble", ir.IntType(64), [ir.DoubleType()])
        return builder.call(function, args)

    return types.intp(types.float64), codegen


@intrinsic
def integer_as_double(typingctx, x):
    """``PyLong_AsDouble``; -1 with an error set where it is too large."""

    def codegen(context, builder, signature, args):
        return builder.call(extern(context, builder, "PyLong_AsDouble", ir.DoubleType(), [ir.IntType(64)]), args)

    return types.float64(types.intp), codegen


@intrinsic
def new_array(typingctx, function, array_type, dtype, ndim, shape):
    """``PyArray_NewFromDescr`` at an address: an empty array in C order. It takes over a reference to ``dtype``."""

    def codegen(context, builder, signature, args):
        word, small = ir.IntType(64), ir.IntType(32)
        kind = ir.FunctionType(word, [word, word, small, word, word, word, small, word])
        ndim = builder.trunc(args[3], small)
        zero = word(0)
        pointer = builder.inttoptr(args[0], kind.as_pointer())
        return builder.call(pointer, [args[1], args[2], ndim, args[4], zero, zero, small(0), zero])

    return types.intp(*[types.intp] * 5), codegen


@intrinsic
def run_program(typingctx, function, table, workspace):
    """Call ``i64 program(i8** arrays, i8* workspace)`` at an address."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64), ir.IntType(64)])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return types.intp(types.intp, types.intp, types.intp), codegen


@intrinsic
def call_five(typingctx, function, a, b, c, d, e):
    """Call a C function of five words at an address."""

    def codegen(context, builder, signature, args):
        word = ir.IntType(64)
        return builder.call(builder.inttoptr(args[0], ir.FunctionType(word, [word] * 5).as_pointer()), args[1:])

    return types.intp(*[types.intp] * 6), codegen


@intrinsic
def stack_words(typingctx, count):
    """The address of ``count`` words (a literal) on the stack of the calling function."""

    def codegen(context, builder, signature, args):
        place = cgutils.alloca_once(builder, ir.IntType(64), size=count.literal_value)
        return builder.ptrtoint(place, ir.IntType(64))

    if isinstance(count, types.IntegerLiteral):
        return types.intp(count), codegen
    return None


def layouts_hold() -> bool:
    """Whether the objects of this interpreter look as the offsets say."""

    def word(x, offset, kind=ctypes.c_int64):
        return kind.from_address(id(x) + offset).value

    def unseen():
        return a

    a = np.arange(6.0).reshape(2, 3)
    dims = (ctypes.c_int64 * 2).from_address(word(a, ARRAY_SHAPE))
    strides = (ctypes.c_int64 * 2).from_address(word(a, ARRAY_STRIDES))
    flags = word(a, ARRAY_FLAGS, ctypes.c_int32)
    both = [None, a]
    before = word(a, REFERENCES)
    again = a
    return (
        ctypes.sizeof(ctypes.c_void_p) == 8
        and word(again, REFERENCES) == before + 1
        and word(a, TYPE) == id(np.ndarray)
        and word(both, SIZE) == 2
        and ctypes.c_int64.from_address(word(both, LIST_ITEMS) + 8).value == id(a)
        and [word(slice(a, both, None), at) for at in (SLICE_START, SLICE_STOP, SLICE_STEP)] == [id(x) for x in (a, both, None)]
        and word(2.5, FLOAT_VALUE, ctypes.c_double) == 2.5
        and word(np.float64(2.5), FLOAT_VALUE, ctypes.c_double) == 2.5
        and word(unseen.__closure__[0], CELL_VALUE) == id(a)
        and word(a, ARRAY_DATA) == a.__array_interface__["data"][0]
        and word(a, ARRAY_NDIM, ctypes.c_int32) == 2
        and (tuple(dims), tuple(strides)) == (a.shape, a.strides)
        and word(a[0], ARRAY_BASE) == id(a.base)
        and word(a, ARRAY_DTYPE) == id(a.dtype) == id(np.dtype(np.float64))
        and flags & (C_CONTIGUOUS | ALIGNED | WRITEABLE) == C_CONTIGUOUS | ALIGNED | WRITEABLE
        and not word(a.T, ARRAY_FLAGS, ctypes.c_int32) & C_CONTIGUOUS
        and word(a, ARRAY_WEAK) == 0
    )


def array_constructor() -> int:
    """The address of ``PyArray_NewFromDescr``."""
    table = cpython.capsule_pointer(np._core._multiarray_umath._ARRAY_API, None)
    return ctypes.c_void_p.from_address(table + 8 * NEW_FROM_DESCRIPTOR).value
