"""Words that several threads change, for jitted code: every access is sequentially consistent."""

import ctypes

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from tapejit.edge.cpython import function
from tapejit.edge.raw import extern

_WORD = ir.IntType(64)
_ORDER = "seq_cst"


def _pointer(builder, address):
    return builder.inttoptr(address, _WORD.as_pointer())


def _read_and_write(operation):
    """An intrinsic that changes a word and gives what it was."""

    def codegen(context, builder, signature, args):
        return builder.atomic_rmw(operation, _pointer(builder, args[0]), args[1], _ORDER)

    def change(typingctx, address, value):
        return types.intp(types.intp, types.intp), codegen

    return intrinsic(change)


exchange = _read_and_write("xchg")
add = _read_and_write("add")


@intrinsic
def read(typingctx, address):
    """The word at an address."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_pointer(builder, args[0]), _ORDER, 8)

    return types.intp(types.intp), codegen


@intrinsic
def replace(typingctx, address, expected, value):
    """Write ``value`` if the word is ``expected``; whether it was."""

    def codegen(context, builder, signature, args):
        pair = builder.cmpxchg(_pointer(builder, args[0]), args[1], args[2], _ORDER)
        return builder.extract_value(pair, 1)

    return types.boolean(types.intp, types.intp, types.intp), codegen


# CPython's locks, which need no GIL and which any thread may release.


@intrinsic
def acquire(typingctx, lock):
    """Wait for a lock."""

    def codegen(context, builder, signature, args):
        take = extern(context, builder, "PyThread_acquire_lock", ir.IntType(32), [_WORD, ir.IntType(32)])
        return builder.sext(builder.call(take, [args[0], ir.IntType(32)(1)]), _WORD)

    return types.intp(types.intp), codegen


@intrinsic
def release(typingctx, lock):
    """Release a lock that is held, by whichever thread."""

    def codegen(context, builder, signature, args):
        builder.call(extern(context, builder, "PyThread_release_lock", ir.VoidType(), [_WORD]), args)
        return context.get_dummy_value()

    return types.void(types.intp), codegen


_new_lock = function("PyThread_allocate_lock", ctypes.c_void_p)
_try = function("PyThread_acquire_lock", ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


def held_lock() -> int:
    """A new lock, held: who asks for it waits until somebody releases it.

    Raises:
        MemoryError: if there is none.
    """
    lock = _new_lock()
    if not lock:
        raise MemoryError("there is no memory for another lock")
    _try(lock, 0)
    return lock
