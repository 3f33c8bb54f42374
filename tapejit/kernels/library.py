"""The kernels of the ops that are not elementwise, by the names of the ops: each family declares its own.

    forward(record, out, x, y, z)
    reverse(record, g, x, y, z, out, target, accumulate)

(``forward`` of an op that can fail answers a status, made by ``lapack.failed``)

are written once over ``P``, the pointer cast of the dtype they are compiled for (``Q`` is the other float type's);
``as_floats`` binds it. All tensors that a kernel sees are contiguous, but for the operands of ``copy`` and ``matmul``,
whose plans hold strides. A reverse kernel of an op with the scatter trait finds zeros, or a sum, in ``target``.
"""

import functools
import types as python_types

from tapejit.core import engine
from tapejit.edge import raw
from tapejit.edge.caching import is_ours
from tapejit.edge.jit import PART, inner
from tapejit.edge.plain import code as plain
from tapejit.edge.plain.operators import NOTHING, WORD
from tapejit.kernels import (
    along,
    blas,
    complexspectral,
    factor,
    indexed,
    lapack,
    matrixexp,
    ordering,
    products,
    solves,
    spectral,
    strided,
)
from tapejit.kernels.pointwise import elementwise_kernel

_FAMILIES = (along, complexspectral, factor, indexed, matrixexp, ordering, products, solves, spectral, strided)
KERNELS: dict = {}  # name of an op -> (forward, reverse of each operand), plain functions that are compiled on first use
for _family in _FAMILIES:
    KERNELS.update(_family.KERNELS)
_GENERIC = {family.__name__ for family in _FAMILIES}


@functools.cache
def as_floats(function, dtype):
    """The function with ``P``, ``Q`` and ``SIZE`` bound for a dtype code, and so its jitted helpers, shared by all."""
    casts = (raw.as_f64, raw.as_f32)
    scope = dict(function.__globals__)
    scope.update(P=casts[dtype], Q=casts[1 - dtype], SIZE=(8, 4)[dtype])
    scope.update(zip(("GEMM", "GEMV", "DOT"), (blas.DOUBLE, blas.SINGLE)[dtype], strict=True))
    scope.update(lapack.ROUTINES[dtype])
    for name in function.__code__.co_names:
        helper = getattr(scope.get(name), "py_func", None)
        if helper is not None and helper.__module__ in _GENERIC:
            scope[name] = _as_floats_jitted(scope[name], dtype)
    name = f"{function.__name__}_{('f64', 'f32')[dtype]}"
    code = function.__code__
    file = code.co_filename  # of an op of somebody else's, whose source is in no stamp
    if is_ours(function):
        file = f"<tapejit {function.__module__}.{name} {code.co_firstlineno}>"
    code = code.replace(co_filename=file, co_name=name, co_qualname=name)
    copy = python_types.FunctionType(code, scope, name)
    copy.__module__ = function.__module__
    copy.__wrapped__ = function  # whose source it is
    return copy


@functools.cache
def _as_floats_jitted(dispatcher, dtype):
    options = {k: v for k, v in dispatcher.targetoptions.items() if k not in ("nopython", *PART)}
    return inner(as_floats(dispatcher.py_func, dtype), **options)


def attach(name, forward, *reverse) -> None:
    """Say what the kernels of an op are that others entered: its forward one, and a reverse one of each operand or None."""
    KERNELS[name] = (forward, *reverse)


def structured_kernel(op, which, dtype) -> int:
    """Compile, or load from the cache, one kernel of a structured op; arguments and result as ``elementwise_kernel``."""
    function = as_floats(KERNELS[op.name][which], dtype)
    if op.name in ("matmul", "dot") or op.joint:
        blas.link()
        lapack.link()
    status = op.failure is not None and which == 0
    return plain.c_function(function, WORD if status else NOTHING, ("contract",))


def kernel(op, which, dtype) -> int:
    """The address of a kernel of any op, compiled or loaded."""
    return (elementwise_kernel if op.elementwise else structured_kernel)(op, which, dtype)


engine.build_with(kernel)
