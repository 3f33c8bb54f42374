"""Reading and writing native memory from jitted code, and the thread-local storage that holds the tapes.

A thread's tapes hang on keys of the C library's thread-specific storage, whose destructor (``free``) gives a tape back
when its thread ends. Generated code refers to the keys and to the memory limit by symbol, so it can be cached on disk.
"""

import ctypes
import sys

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge.room import half_of_memory

I8P = ir.IntType(8).as_pointer()
I32 = ir.IntType(32)
I64 = ir.IntType(64)
KEYS = 24  # tapes whose coefficients take up to this many words
_WINDOWS = sys.platform == "win32"
_KEY = I64 if sys.platform == "darwin" else I32
_GET = "FlsGetValue" if _WINDOWS else "pthread_getspecific"
_SET = "FlsSetValue" if _WINDOWS else "pthread_setspecific"


def _make_keys():
    cell = ctypes.c_ulong if sys.platform == "darwin" else ctypes.c_uint32
    keys = (cell * KEYS)()
    if _WINDOWS:
        release = ctypes.cast(ctypes.cdll.msvcrt.free, ctypes.c_void_p)
        allocate = ctypes.windll.kernel32.FlsAlloc
        allocate.argtypes = [ctypes.c_void_p]
        for k in range(KEYS):
            keys[k] = allocate(release)
        return keys
    libc = ctypes.CDLL(None)
    release = ctypes.cast(libc.free, ctypes.c_void_p)
    for k in range(KEYS):
        key = cell()
        if libc.pthread_key_create(ctypes.byref(key), release):
            raise RuntimeError(
                "tapejit.nopython needs thread-specific storage, and this process has no key left"
            )
        keys[k] = key.value
    return keys


def _keep_freed_memory():
    """Have the C library keep up to 64 MB of what arrays give back, as it does once a program has freed a large one.

    glibc (malloc(3), M_MMAP_THRESHOLD) learns from the largest block that was freed, up to 32 MB, from which size on blocks
    are returned to the system. Before it has, every call of a gradient gets its arrays as new pages, which take longer to
    come by than to fill. The block here is never touched, so it costs nothing.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
        libc.free.argtypes = [ctypes.c_void_p]
        libc.free(libc.malloc((32 << 20) - (64 << 10)))


_keep_freed_memory()
_keys = _make_keys()
_limit = ctypes.c_int64(half_of_memory())
llvm.add_symbol("tapejit_tape_keys", ctypes.addressof(_keys))
llvm.add_symbol("tapejit_tape_limit", ctypes.addressof(_limit))


def memory_limit() -> int:
    """The largest size of one thread's tape, in bytes."""
    return _limit.value


def set_memory_limit(nbytes: int) -> None:
    """Bound the tape of each thread.

    A gradient whose tape would pass the limit raises MemoryError, after the function has run to its end: memory beyond
    the limit is never touched. Address space is reserved up to the limit, memory is used as the tape grows into it.

    Args:
        nbytes: the limit in bytes, at least 64 kB. The default is half of the machine's memory.
    """
    nbytes = int(nbytes)
    if nbytes < 1 << 16:
        raise ValueError(f"a tape needs at least 65536 bytes; got a limit of {nbytes}")
    _limit.value = nbytes


def _external(module, name, ty):
    try:
        return module.get_global(name)
    except KeyError:
        variable = ir.GlobalVariable(module, ty, name)
        variable.linkage = "external"
        return variable


def _key(builder, slot):
    keys = _external(builder.module, "tapejit_tape_keys", ir.ArrayType(_KEY, KEYS))
    return builder.load(builder.gep(keys, [ir.Constant(I64, 0), slot], inbounds=True))


def thread_tape(builder, slot):
    """The calling thread's tape number ``slot`` as an i8*, or null."""
    fn = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I8P, [_KEY]), _GET)
    # So that one call serves a function; "readnone" would let LLVM move it above the call that sets the value.
    for attribute in ("nounwind", "readonly", "inaccessiblememonly"):
        fn.attributes.add(attribute)
    return builder.call(fn, [_key(builder, slot)])


@intrinsic
def get_thread_tape(typingctx, slot):
    def codegen(context, builder, sig, args):
        return builder.ptrtoint(thread_tape(builder, args[0]), I64)

    return types.int64(types.int64), codegen


@intrinsic
def set_thread_tape(typingctx, slot, address):
    def codegen(context, builder, sig, args):
        result = ir.IntType(32)
        fn = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [_KEY, I8P]), _SET)
        builder.call(fn, [_key(builder, args[0]), builder.inttoptr(args[1], I8P)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def current_limit(typingctx):
    def codegen(context, builder, sig, args):
        return builder.load(_external(builder.module, "tapejit_tape_limit", I64))

    return types.int64(), codegen


@intrinsic
def allocate_zeroed(typingctx, nbytes):
    """Zeroed memory whose pages exist once they are touched; 0 if there is none."""

    def codegen(context, builder, sig, args):
        fn = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I8P, [I64, I64]), "calloc")
        return builder.ptrtoint(builder.call(fn, [args[0], ir.Constant(I64, 1)]), I64)

    return types.int64(types.int64), codegen


@intrinsic
def release(typingctx, address):
    def codegen(context, builder, sig, args):
        fn = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [I8P]), "free")
        builder.call(fn, [builder.inttoptr(args[0], I8P)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


def element_pointer(context, builder, ty, base, index):
    data = context.get_data_type(ty)
    pointer = base if isinstance(base.type, ir.PointerType) else builder.inttoptr(base, data.as_pointer())
    return builder.gep(pointer, [index], inbounds=True)


@intrinsic
def address_in(typingctx, x):
    """Where an array's numbers are."""

    def codegen(context, builder, sig, args):
        return builder.ptrtoint(context.make_array(x)(context, builder, args[0]).data, I64)

    return types.int64(x), codegen


@intrinsic
def read(typingctx, base, index, like):
    """The value of ``like``'s type at an index of the array at address ``base``."""
    ty = types.unliteral(like)

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, ty, args[0], args[1])
        return context.data_model_manager[ty].load_from_data_pointer(builder, pointer, align=None)

    return ty(types.int64, types.int64, ty), codegen


@intrinsic
def write(typingctx, base, index, value):
    """Store a value at an index of the array at address ``base``."""
    ty = types.unliteral(value)

    def codegen(context, builder, sig, args):
        data = context.data_model_manager[ty].as_data(builder, args[2])
        pointer = element_pointer(context, builder, ty, args[0], args[1])
        builder.store(data, pointer, align=min(8, context.get_abi_sizeof(data.type)))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, ty), codegen


@intrinsic
def clear(typingctx, base, index, like):
    """Zero the bytes of a value: no active zero, which could be recorded, but nothing at all."""
    ty = types.unliteral(like)

    def codegen(context, builder, sig, args):
        data = context.get_data_type(ty)
        pointer = element_pointer(context, builder, ty, args[0], args[1])
        builder.store(ir.Constant(data, None), pointer, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, ty), codegen


@intrinsic
def size_of(typingctx, like):
    """How many bytes a value takes in memory."""

    def codegen(context, builder, sig, args):
        return ir.Constant(I64, context.get_abi_sizeof(context.get_data_type(like)))

    return types.int64(like), codegen


def _pointer(ty):
    @intrinsic
    def cast(typingctx, address):
        return types.CPointer(ty)(types.int64), lambda context, builder, sig, args: builder.inttoptr(
            args[0], context.get_value_type(sig.return_type)
        )

    return cast


as_f64 = _pointer(types.float64)
as_i64 = _pointer(types.int64)
as_i32 = _pointer(types.int32)
