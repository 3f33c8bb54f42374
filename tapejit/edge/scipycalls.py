"""Calls of special functions from machine code, bound when one is first called: SciPy is slow to import, and the functions of
``edge.specialmath`` are compiled then.

Code calls through a table whose address is a symbol, so that code kept on disk fits every process. An entry is at first a
function of Python's that puts the address of the true one in its own place.
"""

import ctypes
import functools
import importlib

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import cfunc
from numba.core import types
from numba.extending import get_cython_function_address

from tapejit.edge.specialmath import FUNCTIONS
from tapejit.spec.primitives import LIBRARY

_SYMBOL = "tapejit_scipy_special"
_VARIANTS = ("{}", "__pyx_fuse_1{}", "__pyx_fuse_0{}")  # as Cython names a function, or its instance for doubles
_table = np.zeros(len(LIBRARY), np.int64)
_kept = []
_DOUBLE, _INT, _WORD = ir.DoubleType(), ir.IntType(32), ir.IntType(64)


def _found(name, arity):
    """The address of a function of doubles, SciPy's or our own."""
    if name in FUNCTIONS:
        getattr(FUNCTIONS[name], "link", lambda: None)()  # to what it calls itself
        signature = types.float64(*[types.float64] * arity, types.int32)
        _kept.append(cfunc(signature, cache=True, error_model="numpy")(FUNCTIONS[name]))
        return _kept[-1].address
    capsules = importlib.import_module("scipy.special.cython_special").__pyx_capi__
    wanted = f"double ({'double, ' * arity}int __pyx_skip_dispatch)"
    for variant in _VARIANTS:
        symbol = variant.format(name)
        if symbol in capsules and f'"{wanted}"' in str(capsules[symbol]):
            return get_cython_function_address("scipy.special.cython_special", symbol)
    raise ImportError(f"SciPy has no compiled function {name}({'double, ' * arity}); tapejit needs SciPy 1.12 or later")


def _kind(arity):
    return ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * arity, ctypes.c_int)


@functools.cache
def of_arrays(name):
    """A function as one of arrays, number by number."""
    function = _kind(LIBRARY[name])(_found(name, LIBRARY[name]))
    return np.vectorize(lambda *xs: function(*xs, 0), otypes=[float])


def _binding(k, name, arity):
    kind = _kind(arity)

    def bind(*args):
        _table[k] = address = _found(name, arity)
        return kind(address)(*args)

    bound = kind(bind)
    _kept.append(bound)
    _table[k] = ctypes.cast(bound, ctypes.c_void_p).value


for _k, (_name, _arity) in enumerate(LIBRARY.items()):
    _binding(_k, _name, _arity)
llvm.add_symbol(_SYMBOL, _table.ctypes.data)


def call(builder, name, args):
    """The code of a call; single precision is worked out in double."""
    single = args[0].type != _DOUBLE
    if single:
        args = [builder.fpext(x, _DOUBLE) for x in args]
    table = builder.module.globals.get(_SYMBOL)
    if table is None:
        table = ir.GlobalVariable(builder.module, ir.ArrayType(_WORD, len(LIBRARY)), _SYMBOL)
    place = builder.gep(table, [_INT(0), _INT([*LIBRARY].index(name))])
    kind = ir.FunctionType(_DOUBLE, [*[_DOUBLE] * len(args), _INT])
    result = builder.call(builder.inttoptr(builder.load(place), kind.as_pointer()), [*args, _INT(0)])
    return builder.fptrunc(result, ir.FloatType()) if single else result
