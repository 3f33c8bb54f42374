"""Whether a function has written into arguments that share memory.

Differentiated arrays are copied into active ones, so a write into one of two arrays that overlap is not seen in the
other: the result would not be the function's. Reading such arrays is sound, and is left alone.
"""

import hashlib

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.nopython.cache import ENGINE, call, generated_function, helper, typed
from tapejit.nopython.memory import I64
from tapejit.nopython.reverse import index_of
from tapejit.nopython.scalars import primal
from tapejit.nopython.types import Tape, is_active_array


def _arrays_in(ty, path=()):
    """Where the arrays among arguments are: the places in the tuples around them."""
    if isinstance(ty, types.BaseTuple):
        return [found for k, item in enumerate(ty) for found in _arrays_in(item, (*path, k))]
    return [path] if isinstance(ty, types.Array) else []


@helper
def _gcd(a, b):
    while b != 0:
        a, b = b, a % b
    return a


@helper
def _meet(low_a, high_a, step_a, size_a, low_b, high_b, step_b, size_b):
    """Whether two arrays, as ``_place`` describes them, may have a byte in common."""
    if high_a <= low_b or high_b <= low_a:
        return False
    step = _gcd(step_a, step_b)
    if step == 0:
        return True
    ahead = (low_b - low_a) % step
    return ahead < size_a or step - ahead < size_b


@intrinsic
def _place(typingctx, x):
    """(first byte, byte behind the last, greatest common step, bytes of an element) of an array."""

    def codegen(context, builder, sig, args):
        array = context.make_array(sig.args[0])(context, builder, args[0])
        nothing, one = I64(0), I64(1)
        start = builder.ptrtoint(array.data, I64)
        low, high, step, empty = start, start, nothing, ir.IntType(1)(0)
        pairs = [cgutils.unpack_tuple(builder, v, x.ndim) for v in (array.shape, array.strides)]
        for extent, stride in zip(*pairs, strict=True):
            span = builder.mul(builder.sub(extent, one), stride)
            below = builder.icmp_signed("<", span, nothing)
            empty = builder.or_(empty, builder.icmp_signed("==", extent, nothing))
            low = builder.select(below, builder.add(low, span), low)
            high = builder.select(below, high, builder.add(high, span))
            size = builder.select(builder.icmp_signed("<", stride, nothing), builder.neg(stride), stride)
            common = call(context, builder, _gcd, step, size)
            step = builder.select(builder.icmp_signed("==", span, nothing), step, common)
        high = builder.add(high, array.itemsize)
        place = (builder.select(empty, start, low), builder.select(empty, start, high), step, array.itemsize)
        return context.make_tuple(builder, sig.return_type, place)

    return types.UniTuple(types.int64, 4)(x), codegen


def _is_changed(x, active, low):
    raise NotImplementedError


@typed(_is_changed)
def _is_changed_typed(x, active, low):
    on_tape = isinstance(active.dtype, Tape)

    def implementation(x, active, low):
        for index in np.ndindex(x.shape):
            before, after = primal(x[index]), primal(active[index])
            if before != after and (before == before or after == after):
                return True
            if on_tape and _statement(active[index]) >= low:
                return True
        return False

    return implementation


def _statement(x):
    raise NotImplementedError


@typed(_statement)
def _statement_typed(x):
    return (lambda x: index_of(x)) if isinstance(x, Tape) else (lambda x: 0)


def disturbed(args, active, low):
    """Whether a differentiated array overlaps with another argument and one of the two was written to.

    ``active`` are the arguments that the function was called with, ``low`` the first statement after the inputs.
    """
    raise NotImplementedError


@typed(disturbed)
def _disturbed_any(args, active, low):
    arrays = _arrays_in(args)
    if len(arrays) < 2 or args == active:
        return lambda args, active, low: False
    copied = [k for k, path in enumerate(arrays) if _is_copied(_at(args, path), _at(active, path))]
    lines = [f"p{k} = _place(args{_text(path)})" for k, path in enumerate(arrays)]
    for k in copied:
        overlaps = " or ".join(f"_meet(*p{k}, *p{j})" for j in range(len(arrays)) if j != k)
        path = _text(arrays[k])
        lines += [f"if ({overlaps}) and _is_changed(args{path}, active{path}, low):", "    return True"]
    source = "\n    ".join(["def disturbed(args, active, low):", *lines, "return False"]) + "\n"
    scope = {"_place": _place, "_meet": _meet, "_is_changed": _is_changed}
    digest = hashlib.blake2b(source.encode(), digest_size=8).hexdigest()
    return generated_function("disturbed", source, scope, ENGINE + digest)


def _is_copied(given, active):
    return is_active_array(active) and active.dtype != given.dtype


def _at(ty, path):
    for k in path:
        ty = ty[k]
    return ty


def _text(path):
    return "".join(f"[{k}]" for k in path)
