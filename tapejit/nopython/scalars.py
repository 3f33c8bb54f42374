"""Python's operators, ``math`` and scalar NumPy functions on active scalars: their typing and their code.

The table below says which op of the op table each function means. Typing and the plain lowering are made from it; code
compiled by ``lowering`` uses the same table to keep expressions pending.
"""

import itertools
import math
import operator

import numpy as np
from numba.core import types
from numba.extending import intrinsic, lower_builtin, overload

from tapejit.edge.compiler import AbstractTemplate, infer_global, lower_cast, signature
from tapejit.nopython.algebra import algebra, primal_value, scalar_operation
from tapejit.nopython.exchange import replaces
from tapejit.nopython.types import Active, Dual, Tape, is_active, is_number, promote
from tapejit.spec.primitives import COMPARISON, FUNCTION, PRIMITIVES


def clamp_min(x, y):
    """``x``, but at least ``y``: the gradient passes at the bound."""
    raise NotImplementedError("only compiled code calls this")


def clamp_max(x, y):
    """``x``, but at most ``y``."""
    raise NotImplementedError("only compiled code calls this")


def _names(row):
    """The functions of ``math`` and NumPy that mean a primitive."""
    found = [row.math] if row.math else []
    return [*found, row.numpy] if getattr(np, row.numpy.__name__, None) is row.numpy else found


def _functions(arity):
    return {
        name: _names(row)
        for name, row in PRIMITIVES.items()
        if row.kind == FUNCTION and row.arity == arity and row.c
    }


_BINARY = {
    **_functions(2),
    "add": [operator.add, operator.iadd, np.add],
    "sub": [operator.sub, operator.isub, np.subtract],
    "mul": [operator.mul, operator.imul, np.multiply],
    "div": [operator.truediv, operator.itruediv, np.divide],
    "pow": [operator.pow, operator.ipow, math.pow, np.power, pow],
    "remainder": [operator.mod, operator.imod, np.remainder],
    "np.logaddexp": [np.logaddexp],
    "maximum": [max, np.maximum],
    "minimum": [min, np.minimum],
    "clamp_min": [clamp_min],
    "clamp_max": [clamp_max],
}
_UNARY = {
    **_functions(1),
    "neg": [operator.neg, np.negative],
    "abs": [abs, math.fabs, np.abs, np.fabs],
    "square": [np.square],
    "reciprocal": [np.reciprocal],
    "sign": [np.sign],
    "sqrt": [math.sqrt, np.sqrt],
    "np.cbrt": [np.cbrt],
    "math.lgamma": [math.lgamma],
    "math.gamma": [math.gamma],
    "identity": [operator.pos, float, np.positive],
}
PREDICATES = {getattr(operator, name): row.sign for name, row in PRIMITIVES.items() if row.kind == COMPARISON}
ARITHMETIC = {fn: name for table in (_BINARY, _UNARY) for name, fns in table.items() for fn in fns}
TWO = {*_BINARY}  # those of two operands
THREE: set = set()  # and of three
_KINDS = (Tape, Dual)
_NUMBERS = (types.Float, types.Integer, types.Boolean)


def result_type(fn, args):
    """The type of ``fn(*args)`` for scalars with an active one among them, or None where it has no meaning."""
    if not any(map(is_active, args)) or not all(is_active(a) or is_number(a) for a in args):
        return None
    if fn in PREDICATES:
        return types.boolean if len(args) == 2 else None
    if len(args) != arity_of(fn):
        return None
    result = args[0]
    for other in args[1:]:
        result = result and promote(result, other, strict=False)
    return result


def arity_of(fn):
    """How many operands a function of the table has."""
    name = ARITHMETIC.get(fn)
    return 3 if name in THREE else 2 if fn in PREDICATES or name in TWO else 1


def compute(context, builder, fn, ty, argtypes, args, exponent=None):
    """Code for ``fn(*args)``; an arithmetic result is a value of the algebra of ``ty``, not packed."""
    if fn in PREDICATES:
        (a, x), (b, y) = (primal_value(context, builder, *pair) for pair in zip(argtypes, args, strict=True))
        fnty = context.typing_context.resolve_value_type(fn)
        sig = fnty.get_call_type(context.typing_context, (a, b), {})
        casts = [context.cast(builder, v, t, s) for v, t, s in zip((x, y), (a, b), sig.args, strict=True)]
        return context.get_function(fnty, sig)(builder, casts)
    name = ARITHMETIC[fn]
    if name == "identity":
        alg = algebra(context, builder, ty)
        return alg.lift(argtypes[0], args[0])
    if name == "pow" and exponent is None:
        exponent = (types.unliteral(argtypes[1]), args[1])
    return scalar_operation(context, builder, ty, name, argtypes, args, exponent)


def _lowering(fn):
    def lower(context, builder, sig, args):
        result = compute(context, builder, fn, sig.return_type, sig.args, args)
        return (
            algebra(context, builder, sig.return_type).pack(result) if is_active(sig.return_type) else result
        )

    return lower


def register(fn):
    """Let Numba know a function of active scalars."""

    @infer_global(fn)
    class ActiveTemplate(AbstractTemplate):
        def generic(self, args, kws):
            ty = None if kws else result_type(fn, args)
            return None if ty is None else signature(ty, *args)

    lower = _lowering(fn)
    for kinds in itertools.product((*_KINDS, *_NUMBERS), repeat=arity_of(fn)):
        if any(kind in _KINDS for kind in kinds):
            lower_builtin(fn, *kinds)(lower)


for _fn in (*ARITHMETIC, *PREDICATES):
    register(_fn)


def _cast(context, builder, fromty, toty, value):
    alg = algebra(context, builder, toty)
    return alg.pack(alg.lift(fromty, value))


for _kind in _KINDS:
    for _source in (*_NUMBERS, *_KINDS):
        lower_cast(_source, _kind)(_cast)


@intrinsic
def primal(typingctx, x):
    """The plain float inside an active scalar; a number is itself."""
    if is_active(x):
        return x.leaf(x), lambda context, builder, sig, args: primal_value(context, builder, x, args[0])[1]
    if is_number(x):
        ty = types.unliteral(x)
        return ty(ty), lambda context, builder, sig, args: args[0]
    return None


def _of_primal(*functions):
    """Functions whose derivative is zero wherever they have one: they see the value alone."""
    for fn in functions:
        scope = {"fn": fn, "primal": primal}

        def typer(x, scope=scope):
            if is_active(x):
                return eval("lambda x: fn(primal(x))", scope)  # fn must be a global of the implementation
            return None

        overload(fn)(eval("lambda x: typer(x)", {"typer": typer}))


_of_primal(bool, int, math.floor, math.ceil, math.trunc, math.isnan, math.isinf, math.isfinite)
_of_primal(np.floor, np.ceil, np.trunc, np.rint, np.isnan, np.isinf, np.isfinite, operator.truth)


@overload(round)
def _round(x, ndigits=None):
    if is_active(x) and (ndigits is None or isinstance(ndigits, (types.Omitted, types.NoneType))):
        return lambda x, ndigits=None: round(primal(x))
    return None


@overload(operator.floordiv)
def _floordiv(x, y):
    if result_type(operator.add, (x, y)) is not None:
        return lambda x, y: primal(x) // primal(y)
    return None


@overload(divmod)
def _divmod(x, y):
    if result_type(operator.add, (x, y)) is not None:
        return lambda x, y: (x // y, x % y)
    return None


@overload(math.copysign)
def _copysign(x, y):
    if is_active(x) or is_active(y):
        return lambda x, y: abs(x) if math.copysign(1.0, primal(y)) > 0.0 else -abs(x)
    return None


@overload(math.ldexp)
def _ldexp(x, n):
    if is_active(x) and isinstance(n, types.Integer):
        return lambda x, n: x * 2.0**n
    return None


@overload(operator.not_)
def _not(x):
    if is_active(x):
        return lambda x: primal(x) == 0.0
    return None


@overload(math.degrees)
@overload(np.degrees)
@overload(np.rad2deg)
def _degrees(x):
    if is_active(x):
        return lambda x: x * (180.0 / math.pi)
    return None


@overload(math.radians)
@overload(np.radians)
@overload(np.deg2rad)
def _radians(x):
    if is_active(x):
        return lambda x: x * (math.pi / 180.0)
    return None


@replaces(np.where)
def _where(condition, x, y):
    if isinstance(condition, types.Boolean) and (is_active(x) or is_active(y)):
        return lambda condition, x, y: x if condition else y
    return None


@intrinsic
def stop_gradient_scalar(typingctx, x):
    """The same value with zero derivative, still of the active type."""
    if not isinstance(x, Active):
        return None

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, x)
        return alg.pack(alg.constant_of(alg.unpack(args[0])))

    return x(x), codegen
