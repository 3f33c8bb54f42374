"""Kernels of the ops that are not elementwise.

    forward(record, out, x, y, z)
    reverse(record, g, x, y, z, out, target, accumulate)

are written once over ``P``, the pointer cast of the dtype they are compiled for (``Q`` is the other float type's);
``as_floats`` binds it. All tensors that a kernel sees are contiguous, but for the operands of ``copy`` and ``matmul``,
whose plans hold strides. A reverse kernel of an op with the scatter trait finds zeros, or a sum, in ``target``.
"""

import types as python_types

from numba import cfunc, njit
from numba.core import types

from tapejit.kernels import blas, raw
from tapejit.kernels.cache import GENERATED

_GENERIC = {f"tapejit.kernels.{name}" for name in ("strided", "indexed", "products", "along")}


def as_floats(function, dtype):
    """The function with ``P``, ``Q`` and ``SIZE`` bound for a dtype code, and so its jitted helpers."""
    casts = (raw.as_f64, raw.as_f32)
    bound = {"P": casts[dtype], "Q": casts[1 - dtype], "SIZE": (8, 4)[dtype]}
    bound.update(zip(("GEMM", "GEMV", "DOT"), (blas.DOUBLE, blas.SINGLE)[dtype], strict=True))
    return _rebind(function, bound, ("f64", "f32")[dtype])


def _rebind(function, bound, suffix):
    """A copy of a plain function whose globals are ``bound``, its jitted helpers rebound as well."""
    scope = dict(function.__globals__)
    scope.update(bound)
    name = f"{function.__name__}_{suffix}"
    for used in function.__code__.co_names:
        helper = scope.get(used)
        inner = getattr(helper, "py_func", None)
        if inner is not None and inner.__module__ in _GENERIC and _depends(inner, bound):
            scope[used] = njit(**_options(helper))(_rebind(inner, bound, suffix))
    code = function.__code__.replace(co_filename=f"{GENERATED}{name} {function.__code__.co_firstlineno}>", co_name=name)
    copy = python_types.FunctionType(code, scope, name)
    copy.__module__ = function.__module__
    return copy


def _options(dispatcher):
    return {name: value for name, value in dispatcher.targetoptions.items() if name != "nopython"}


def _depends(function, bound):
    names = set(function.__code__.co_names)
    if names & bound.keys():
        return True
    helpers = (getattr(function.__globals__.get(name), "py_func", None) for name in names)
    return any(h is not None and h.__module__ in _GENERIC and _depends(h, bound) for h in helpers)


def structured_kernel(op, which, dtype):
    """Compile, or load from the cache, one kernel of a structured op; arguments as ``elementwise_kernel``."""
    function = as_floats(op.kernels[which], dtype)
    if op.name in ("matmul", "dot"):
        blas.link()
    signature = types.void(*[types.intp] * function.__code__.co_argcount)
    return cfunc(signature, error_model="numpy", fastmath={"contract"}, nogil=True, cache=True)(function)
