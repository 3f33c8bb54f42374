"""Raw memory for jitted code: typed pointers from integer addresses, indirect calls, native allocation.

Records hold plain integer addresses, so that one fixed layout serves every dtype; these intrinsics turn them into
typed pointers (``p[i]`` then reads and writes as in C) and call compiled kernels through their addresses.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

f64p = types.CPointer(types.float64)
f32p = types.CPointer(types.float32)
i64p = types.CPointer(types.int64)
i32p = types.CPointer(types.int32)
u8p = types.CPointer(types.uint8)


def _caster(pointer_type):
    @intrinsic
    def cast(typingctx, address):
        def codegen(context, builder, signature, args):
            return builder.inttoptr(args[0], context.get_value_type(pointer_type))

        return pointer_type(types.intp), codegen

    return cast


as_f64 = _caster(f64p)
as_f32 = _caster(f32p)
as_i64 = _caster(i64p)
as_i32 = _caster(i32p)
as_u8 = _caster(u8p)


def _caller(arity, result=types.void):
    """An intrinsic that calls the function at an address with ``arity`` integer arguments."""
    names = ", ".join(f"a{i}" for i in range(arity))
    scope = {"intrinsic": intrinsic, "emit": _emit_call, "signature": result(*[types.intp] * (arity + 1))}
    exec(f"@intrinsic\ndef call{arity}(typingctx, fn, {names}):\n    return signature, emit\n", scope)
    return scope[f"call{arity}"]


def _emit_call(context, builder, signature, args):
    word = context.get_value_type(types.intp)
    is_void = signature.return_type == types.void
    function_type = ir.FunctionType(ir.VoidType() if is_void else word, [word] * (len(args) - 1))
    answer = builder.call(builder.inttoptr(args[0], function_type.as_pointer()), args[1:])
    return context.get_dummy_value() if is_void else answer


call2 = _caller(2)
call4 = _caller(4)
call5 = _caller(5)
ask2 = _caller(2, types.intp)  # the function answers a status
ask5 = _caller(5, types.intp)  # the function answers a status
call8 = _caller(8)
call11 = _caller(11)


def extern(context, builder, name, result, arguments):
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


@intrinsic
def native_alloc(typingctx, nbytes):
    """Uninitialised memory from Numba's runtime; the address, or 0 when there is none."""

    def codegen(context, builder, signature, args):
        word = context.get_value_type(types.intp)
        fn = extern(context, builder, "NRT_Allocate", ir.IntType(8).as_pointer(), [word])
        return builder.ptrtoint(builder.call(fn, args), word)

    return types.intp(types.intp), codegen


@intrinsic
def native_free(typingctx, address):
    """Give back what ``native_alloc`` returned."""

    def codegen(context, builder, signature, args):
        pointer = ir.IntType(8).as_pointer()
        fn = extern(context, builder, "NRT_Free", ir.VoidType(), [pointer])
        builder.call(fn, [builder.inttoptr(args[0], pointer)])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@intrinsic
def copy_bytes(typingctx, target, source, nbytes):
    """``memcpy``: the two ranges must not overlap."""

    def codegen(context, builder, signature, args):
        pointer = ir.IntType(8).as_pointer()
        cgutils.raw_memcpy(
            builder,
            builder.inttoptr(args[0], pointer),
            builder.inttoptr(args[1], pointer),
            args[2],
            1,
        )
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def zero_bytes(typingctx, target, nbytes):
    """``memset`` to zero."""

    def codegen(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        cgutils.memset(builder, pointer, args[1], 0)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def leading_zeros(typingctx, value):
    """The number of leading zero bits of a 64-bit integer."""

    def codegen(context, builder, signature, args):
        return builder.ctlz(args[0], cgutils.false_bit)

    return types.intp(types.intp), codegen


@intrinsic
def thread_id(typingctx):
    """A number that tells the running thread from every other one."""
    import sys

    name = "GetCurrentThreadId" if sys.platform == "win32" else "pthread_self"
    bits = 32 if sys.platform == "win32" else 64

    def codegen(context, builder, signature, args):
        fn = extern(context, builder, name, ir.IntType(bits), [])
        word = context.get_value_type(types.intp)
        value = builder.call(fn, [])
        return builder.zext(value, word) if bits < 64 else value

    return types.intp(), codegen
