"""BLAS for jitted code: SciPy's routines, called by symbol name so that kernels can be cached on disk."""

import functools

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge import fortran

_ROUTINES = ("gemm", "gemv", "dot")


@functools.cache
def link() -> None:
    """Make the symbols ``tapejit_dgemm`` and so on known to the process; to be called before a kernel that uses them."""
    for prefix in "ds":
        for routine in _ROUTINES:
            llvm.add_symbol(f"tapejit_{prefix}{routine}", fortran.address("cython_blas", prefix + routine))


def _integer(builder, value):
    return cgutils.alloca_once_value(builder, builder.trunc(value, ir.IntType(32)))


def _flag(builder, transposed):
    """A pointer to BLAS's 'T' or 'N'."""
    byte = ir.IntType(8)
    is_set = builder.icmp_signed("!=", transposed, transposed.type(0))
    return cgutils.alloca_once_value(builder, builder.select(is_set, byte(ord("T")), byte(ord("N"))))


def _routines(prefix):
    real = ir.DoubleType() if prefix == "d" else ir.FloatType()
    scalar = types.float64 if prefix == "d" else types.float32

    def number(builder, value):
        return cgutils.alloca_once_value(builder, builder.fptrunc(value, real) if prefix == "s" else value)

    def array(builder, address):
        return builder.inttoptr(address, real.as_pointer())

    def call(builder, routine, result, arguments):
        kind = ir.FunctionType(result, [a.type for a in arguments])
        fn = cgutils.get_or_insert_function(builder.module, kind, f"tapejit_{prefix}{routine}")
        return builder.call(fn, arguments)

    @intrinsic
    def gemm(typingctx, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        """Column-major ``c = alpha * op(a) @ op(b) + beta * c``."""

        def codegen(context, builder, signature, args):
            ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc = args
            integer = functools.partial(_integer, builder)
            arguments = [_flag(builder, ta), _flag(builder, tb), integer(m), integer(n), integer(k)]
            arguments += [number(builder, alpha), array(builder, a), integer(lda), array(builder, b), integer(ldb)]
            arguments += [number(builder, beta), array(builder, c), integer(ldc)]
            call(builder, "gemm", ir.VoidType(), arguments)
            return context.get_dummy_value()

        w, f = types.intp, types.float64
        return types.void(w, w, w, w, w, f, w, w, w, w, f, w, w), codegen

    @intrinsic
    def gemv(typingctx, ta, m, n, alpha, a, lda, x, incx, beta, y, incy):
        """Column-major ``y = alpha * op(a) @ x + beta * y``."""

        def codegen(context, builder, signature, args):
            ta, m, n, alpha, a, lda, x, incx, beta, y, incy = args
            integer = functools.partial(_integer, builder)
            arguments = [_flag(builder, ta), integer(m), integer(n), number(builder, alpha), array(builder, a)]
            arguments += [integer(lda), array(builder, x), integer(incx), number(builder, beta)]
            arguments += [array(builder, y), integer(incy)]
            call(builder, "gemv", ir.VoidType(), arguments)
            return context.get_dummy_value()

        w, f = types.intp, types.float64
        return types.void(w, w, w, f, w, w, w, w, f, w, w), codegen

    @intrinsic
    def dot(typingctx, n, x, y):
        """The inner product of two contiguous vectors."""

        def codegen(context, builder, signature, args):
            n, x, y = args
            one = cgutils.alloca_once_value(builder, ir.IntType(32)(1))
            arguments = [_integer(builder, n), array(builder, x), one, array(builder, y), one]
            return call(builder, "dot", real, arguments)

        return scalar(types.intp, types.intp, types.intp), codegen

    return gemm, gemv, dot


DOUBLE = _routines("d")
SINGLE = _routines("s")
