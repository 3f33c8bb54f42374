"""Calls in plain functions: of one another, of Numba's intrinsics, of elementary functions, and of a few of Python's own."""

import functools
import math

import numpy as np
from llvmlite import ir
from numba.core import types

from tapejit.edge.numba import cpu_target
from tapejit.edge.plain.operators import BIT, DOUBLE, FLOATS, NOTHING, SINGLE, WORD, is_number, kind_of
from tapejit.edge.plain.source import Unknown
from tapejit.edge.vecmath import processor
from tapejit.edge.vecmath.emit import DOUBLE as DOUBLES
from tapejit.edge.vecmath.emit import SINGLE as SINGLES
from tapejit.edge.vecmath.emit import Value

_HALF = ir.IntType(32)  # only to say what an intrinsic reads or writes: a value of it becomes a word
_NUMBA = {WORD: types.intp, _HALF: types.int32, BIT: types.boolean, DOUBLE: types.float64, SINGLE: types.float32}
_LLVM = {np.sqrt: "llvm.sqrt", math.sqrt: "llvm.sqrt", np.log: "llvm.log", math.log: "llvm.log"}
_POINTERS = {
    types.CPointer(element): None for element in (types.float64, types.float32, types.int64, types.int32, types.uint8)
}


def call(unit, arithmetic, function, arguments, flags):
    """The value of a call; None for a function that answers nothing. ``flags`` are the caller's (see ``writer.write``)."""
    if hasattr(function, "py_func"):
        return _call_plain(unit, arithmetic, function, arguments, flags)
    if hasattr(function, "_defn"):
        return _call_intrinsic(arithmetic, function, arguments)
    if function in _OWN:
        return _OWN[function](arithmetic, *arguments)
    if function in _LLVM and len(arguments) == 1:
        x = arguments[0]
        return arithmetic.intrinsic(_LLVM[function], arithmetic.as_kind(x, kind_of(x) if kind_of(x) in FLOATS else DOUBLE))
    if getattr(function, "__module__", "").startswith("tapejit.edge.vecmath.") and hasattr(function, "__wrapped__"):
        return _call_elementary(arithmetic, function, arguments)
    raise Unknown(f"a call of {function!r}")


def _call_plain(unit, arithmetic, dispatcher, arguments, flags):
    kinds = tuple(kind_of(a) for a in arguments)
    own = dispatcher.targetoptions.get("fastmath")
    # As with Numba, a function that says nothing of its own is computed as its caller is.
    flags = flags if not own else ("fast",) if own is True else tuple(sorted(own))
    code = unit.part(dispatcher.py_func, kinds, flags)
    answer = arithmetic.builder.call(code, [arithmetic.as_kind(a, k) for a, k in zip(arguments, kinds, strict=True)])
    return None if code.function_type.return_type == NOTHING else answer


@functools.cache
def _typed(kind):
    """Numba's type of a kind."""
    if kind in _NUMBA:
        return _NUMBA[kind]
    for pointer in _POINTERS:
        if cpu_target.target_context.get_value_type(pointer) == kind:
            return pointer
    raise Unknown(f"{kind} for an intrinsic")


def _call_intrinsic(arithmetic, function, arguments):
    context = cpu_target.target_context
    given = [types.literal(a) if type(a) is int else _typed(kind_of(a)) for a in arguments]
    found = function._defn(cpu_target.typing_context, *given)
    if found is None:
        raise Unknown(f"{function} of {given}")
    signature, write = found
    takes = [context.get_value_type(t) for t in signature.args]
    converted = [arithmetic.as_kind(a, k) for a, k in zip(arguments, takes, strict=True)]
    try:
        answer = write(context, arithmetic.builder, signature, converted)
    except Exception as error:  # it takes the function around it for one of Numba's
        raise Unknown(f"{function}: {error}") from None
    if signature.return_type == types.int32:
        answer = arithmetic.builder.sext(answer, WORD)
    return None if signature.return_type == types.void else answer


def _call_elementary(arithmetic, function, arguments):
    single = all(kind_of(a) == SINGLE for a in arguments)
    form = SINGLES if single else DOUBLES
    fma = processor.has_fma(cpu_target.target_context)
    kind = SINGLE if single else DOUBLE
    return function(*[Value(arithmetic.builder, form, fma, arithmetic.as_kind(a, kind)) for a in arguments]).ir


def _as_int(arithmetic, x):
    return int(x) if is_number(x) else arithmetic.as_kind(x, WORD)


def _as_float(arithmetic, x):
    if is_number(x):
        return float(x)
    return x if kind_of(x) in FLOATS else arithmetic.as_kind(x, DOUBLE)


def _as_bool(arithmetic, x):
    return arithmetic.truth(x)


def _extreme(op):
    def apply(arithmetic, *values):
        return functools.reduce(functools.partial(arithmetic.extreme, op), values)

    return apply


def _compared_with_infinity(sign):
    def apply(arithmetic, x):
        x = _as_float(arithmetic, x)
        return arithmetic.builder.fcmp_ordered(sign, arithmetic.magnitude(x), x.type(math.inf))

    return apply


def _is_nan(arithmetic, x):
    return arithmetic.builder.fcmp_unordered("uno", x, x)


def _as_half(arithmetic, x):
    return arithmetic.as_kind(x, _HALF)


_OWN = {
    types.int32: _as_half,
    int: _as_int,
    float: _as_float,
    bool: _as_bool,
    abs: lambda arithmetic, x: arithmetic.magnitude(x),
    min: _extreme("Lt"),
    max: _extreme("Gt"),
    np.isinf: _compared_with_infinity("=="),
    np.isfinite: _compared_with_infinity("<"),
    np.isnan: _is_nan,
}
