"""LAPACK, and the rest of BLAS, for jitted code: SciPy's routines, called by symbol name as those of ``blas``.

    info = POTRF(UPPER, n, a, n)

A routine takes its arguments as in Fortran, all of them integers and addresses but for scale factors; the work arrays are the
caller's, and ``info`` is the result. Characters are given by their codes: ``LOWER, UPPER, ...``. Memory is column-major
there, so what is a row-major matrix here is its transpose to LAPACK.
"""

import functools

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge import fortran

LOWER, UPPER, NO, TRANSPOSED, UNIT, LEFT, RIGHT, VALUES, SOME, ALL = map(ord, "LUNTULRVSA")

# c: a character, i: an integer, f: a real number, p: an array, x: info, the result
_BLAS = {"trsm": "cccciifpipi", "trsv": "cccipipi", "trmm": "cccciifpipi"}
_LAPACK = {
    "potrf": "cipix",
    "potri": "cipix",
    "getrf": "iipipx",
    "syevd": "ccipippipix",
    "gesdd": "ciipippipipipx",
    "geqrf": "iipippix",
    "orgqr": "iiipippix",
    "geev": "ccipipppipipix",
}
# Of complex numbers, pairs of one's own precision: under the names ZHEEVD and so on, in either precision.
_COMPLEX = {
    "getrf": "iipipx",
    "heevd": "ccipippipipix",
    "gesdd": "ciipippipipippx",
    "geqrf": "iipippix",
    "ungqr": "iiipippix",
    "geev": "ccipippipipipx",
}
_PRECISIONS = (("d", "z"), ("s", "c"))


@functools.cache
def link() -> None:
    """Make the symbols ``tapejit_dpotrf`` and so on known to the process."""
    families = ("cython_blas", _BLAS, 0), ("cython_lapack", _LAPACK, 0), ("cython_lapack", _COMPLEX, 1)
    for module, routines, kind in families:
        for prefixes in _PRECISIONS:
            for routine in routines:
                whole = prefixes[kind] + routine
                llvm.add_symbol(f"tapejit_{whole}", fortran.address(module, whole))


_WORD, _INT, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)


def _routine(prefix, name, kinds):
    """An intrinsic that calls a routine, every argument by reference."""
    real = ir.DoubleType() if prefix == "d" else ir.FloatType()
    given = kinds.rstrip("x")
    gives = types.intp if given != kinds else types.void

    def pointer(builder, kind, value):
        if kind == "p":
            return builder.inttoptr(value, _BYTE.as_pointer())
        if kind == "f":
            value = builder.fptrunc(value, real) if prefix == "s" else value
        else:
            value = builder.trunc(value, _BYTE if kind == "c" else _INT)
        return builder.bitcast(cgutils.alloca_once_value(builder, value), _BYTE.as_pointer())

    def emit(context, builder, signature, args):
        pointers = [pointer(builder, *pair) for pair in zip(given, args, strict=True)]
        if gives is types.intp:
            info = cgutils.alloca_once_value(builder, _INT(0))
            pointers.append(builder.bitcast(info, _BYTE.as_pointer()))
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer()] * len(pointers))
        symbol = f"tapejit_{prefix}{name}"
        function = builder.module.globals.get(symbol) or ir.Function(builder.module, kind, symbol)
        builder.call(function, pointers)
        return builder.sext(builder.load(info), _WORD) if gives is types.intp else context.get_dummy_value()

    names = ", ".join(f"a{j}" for j in range(len(given)))
    signature = gives(*(types.float64 if kind == "f" else types.intp for kind in given))
    scope = {"intrinsic": intrinsic, "emit": emit, "signature": signature}
    exec(f"@intrinsic\ndef {name}(typingctx, {names}):\n    return signature, emit\n", scope)
    return scope[name]


# by dtype code: the names that kernels use -> the routines
ROUTINES = tuple(
    {name.upper(): _routine(real, name, kinds) for name, kinds in (_BLAS | _LAPACK).items()}
    | {f"Z{name.upper()}": _routine(pairs, name, kinds) for name, kinds in _COMPLEX.items()}
    for real, pairs in _PRECISIONS
)
