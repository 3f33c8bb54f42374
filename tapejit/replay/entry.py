"""The compiled door between Python and a program: it takes arrays and floats, checks them and makes the table of pointers.

One entry per kinds of arguments, cached on disk; a program is told to it by the address of a few words:

    program, workspace, then for every array its shape and strides in bytes
"""

import functools
import hashlib
import linecache

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.kernels.cache import GENERATED
from tapejit.kernels.raw import as_i64

MISFIT = -1  # a shape, or a stride, is not what the program was made for
LONGEST_NAME = 80  # the name stands twice in the name of a file in the cache, which may have 255 characters
MOST_SCALARS = 8  # scalar results that are returned; more go to arrays
_NUMBA = {"f8": types.float64, "f4": types.float32, "i8": types.int64, "i4": types.int32, "i2": types.int16,
          "i1": types.int8, "u1": types.uint8, "b1": types.boolean}


def _runner(count):
    """An intrinsic that runs a program on a tuple of arrays and floats, and gives the status and ``count`` floats."""

    @intrinsic
    def run(typingctx, program, workspace, arguments):
        result = types.Tuple((types.int64, *[types.float64] * count))

        def codegen(context, builder, signature, args):
            kinds = signature.args[2]
            pointer = ir.IntType(8).as_pointer()
            total = len(kinds) + count
            table = cgutils.alloca_once(builder, pointer, size=max(total, 1))
            outputs = []
            for j in range(total):
                if j < len(kinds):
                    value = builder.extract_value(args[2], j)
                    if isinstance(kinds[j], types.Array):
                        place = context.make_array(kinds[j])(context, builder, value).data
                    else:
                        place = cgutils.alloca_once_value(builder, value)
                else:
                    place = cgutils.alloca_once(builder, ir.DoubleType())
                    outputs.append(place)
                builder.store(builder.bitcast(place, pointer), builder.gep(table, [ir.IntType(64)(j)]))
            kind = ir.FunctionType(ir.IntType(64), [pointer.as_pointer(), pointer])
            function = builder.inttoptr(args[0], kind.as_pointer())
            status = builder.call(function, [table, builder.inttoptr(args[1], pointer)])
            return context.make_tuple(builder, result, [status, *map(builder.load, outputs)])

        return result(types.intp, types.intp, arguments), codegen

    return run


run0, run1, run2, run3, run4, run5, run6, run7, run8 = (_runner(count) for count in range(MOST_SCALARS + 1))


def entry_source(name, kinds, count):
    """The source of the entry for arguments of ``kinds`` ('f' or (dtype, ndim)) and ``count`` scalar results."""
    names = [f"a{j}" for j in range(len(kinds))]
    lines = [f"def {name}(words{''.join(', ' + n for n in names)}):", "    w = as_i64(words)"]
    k = 2
    tests = []
    for n, kind in zip(names, kinds, strict=True):
        if kind != "f":
            for d in range(kind[1]):
                tests += [f"{n}.shape[{d}] != w[{k}]", f"({n}.strides[{d}] != w[{k + 1}] and w[{k}] > 1)"]
                k += 2
    zeros = "".join(", 0.0" for _ in range(count))
    if tests:
        lines += [f"    if {' or '.join(tests)}:", f"        return {MISFIT}{zeros}" + ("," if not count else "")]
    lines.append(f"    return run{count}(w[0], w[1], ({''.join(n + ', ' for n in names)}))")
    return "\n".join(lines) + "\n"


@functools.cache
def entry(kinds, count):
    """The compiled entry point for kinds of arguments."""
    name = "enter_" + "_".join("f" if k == "f" else f"{k[0]}x{k[1]}" for k in kinds) + f"_{count}"
    if len(name) > LONGEST_NAME:
        name = f"enter_{len(kinds)}_{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"
    scope = {"as_i64": as_i64, f"run{count}": globals()[f"run{count}"]}
    source = entry_source(name, kinds, count)
    digest = hashlib.blake2b(source.encode(), digest_size=8).hexdigest()
    filename = f"{GENERATED}{name} {digest}>"  # the kernel cache knows the name
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), scope)
    function = scope[name]
    function.__module__ = __name__
    compiled = njit(nogil=True, cache=True)(function)
    signature = (types.int64, *(types.float64 if k == "f" else types.Array(_NUMBA[k[0]], k[1], "A") for k in kinds))
    compiled.compile(signature)
    return compiled.overloads[signature].entry_point


def words_for(program, workspace, specs):
    """The words that tell an entry about a program; ``specs`` are (shape, dtype) of the arrays."""
    words = [program, workspace]
    for shape, dtype in specs:
        step = np.dtype(dtype).itemsize
        strides = []
        for size in reversed(shape):
            strides.append(step)
            step *= max(size, 1)
        for size, stride in zip(shape, reversed(strides), strict=True):
            words += [size, stride]
    return np.array(words, dtype=np.int64)
