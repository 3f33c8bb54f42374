"""The public functions: one per elementwise op, made from the table, and a few composed of others."""

import operator

import numpy as np

from tapejit.core import dtypes
from tapejit.core.layout import layout_of
from tapejit.core.refusals import ArgumentError
from tapejit.eager import foreign
from tapejit.eager.dispatch import (
    apply,
    as_condition,
    binary_method,
    emit,
    from_array,
    is_number,
    noted,
    plain,
    reflected_method,
    result_dtype,
    unary_function,
)
from tapejit.eager.frameless import untraced
from tapejit.eager.keywords import deliver, with_axis
from tapejit.eager.tensor import Tensor, method, method_as
from tapejit.eager.views import clone, contiguous
from tapejit.spec import elementwise, incomplete, special, structured
from tapejit.spec.primitives import PRIMITIVES
from tapejit.spec.table import BY_NAME, FUNCTIONS, OPS, entered


def _public(op):
    """The public function of an op, with its documentation made from the entry."""
    if op.arity == 1:
        function = unary_function(op)
    elif op.arity == 2:
        quick = binary_method(op)

        def function(x, y, *, out=None):
            if out is not None:
                return deliver(apply(op, x, y), out)
            if x.__class__ is Tensor:
                result = quick(x, y)
                if result is not NotImplemented:
                    return result
            return apply(op, x, y)
    else:

        def function(*operands):
            if len(operands) != op.arity:
                raise TypeError(f"{op.name}() takes {op.arity} operands, got {len(operands)}")
            return apply(op, *operands)

    operands = "a tensor" if op.arity == 1 else "tensors, arrays or numbers; shapes broadcast"
    function.__name__ = function.__qualname__ = op.name
    function.__module__ = "tapejit" if is_plain(op.name) else "tapejit.special"
    function.__doc__ = f"{op.doc}, elementwise.\n\nTakes {operands}; the result has the promoted float dtype."
    return function


_SPECIAL = (special.__name__, incomplete.__name__)


def is_plain(name) -> bool:
    """Whether a function is one of tapejit itself, and not of ``tapejit.special`` alone."""
    op = BY_NAME.get(name)
    return op is None or not op.elementwise or op.value.__module__ not in _SPECIAL or name in special.PLAIN


def _enter(op):
    """Make the public function of an elementwise op, and a method of it where its first operand is a tensor's."""
    if op.elementwise and op.code:
        FUNCTIONS[op.name] = _public(op)
        if is_plain(op.name) and not (op.name.startswith("_") or op.condition or op.name in _FUNCTIONS_ONLY):
            method(FUNCTIONS[op.name])


_FUNCTIONS_ONLY = ("cube", "cbrt", "clamp_min", "clamp_max")
for _op in OPS:
    _enter(_op)
entered.append(_enter)


# Powers: small integer exponents have kernels of their own


_POWERS = {2: "square", 3: "cube", 0.5: "sqrt", -1: "reciprocal", -0.5: "rsqrt"}


def _power_by_number(x, exponent):
    if x._layout.dtype.is_floating_point:
        if exponent == 1:
            return clone(x)
        name = _POWERS.get(exponent)
        if name is not None:
            return FUNCTIONS[name](x)
    elif exponent.__class__ is int and exponent < 0:
        raise RuntimeError("integers to negative integer powers are not integers; convert the tensor to float first")
    return apply(elementwise.pow, x, exponent)


@method
@with_axis
def pow(x, exponent) -> Tensor:
    """x raised to a power, elementwise; either may be a number."""
    if is_number(exponent) and isinstance(x, Tensor):
        return _power_by_number(x, exponent)
    return apply(elementwise.pow, x, exponent)


@method
@with_axis
def add(x, other, *, alpha=1) -> Tensor:
    """x + alpha * other, elementwise."""
    return apply(elementwise.add, x, other if alpha == 1 else other * alpha)


@method
@with_axis
def sub(x, other, *, alpha=1) -> Tensor:
    """x - alpha * other, elementwise."""
    return apply(elementwise.sub, x, other if alpha == 1 else other * alpha)


@method
@with_axis
def div(x, other, *, rounding_mode=None) -> Tensor:
    """x / other, elementwise; with ``rounding_mode`` "trunc" or "floor" rounded to a whole number, integers then stay integers.

    Raises:
        RuntimeError: for another rounding mode.
    """
    if rounding_mode is None:
        return apply(elementwise.div, x, other)
    if rounding_mode == "floor":
        return floor_divide(x, other)
    if rounding_mode != "trunc":
        raise RuntimeError(f"div() knows the rounding modes None, 'trunc' and 'floor', got {rounding_mode!r}")
    if result_dtype([t if isinstance(t, Tensor) else as_scalar(t) for t in (x, other)]).is_floating_point:
        return FUNCTIONS["trunc"](apply(elementwise.div, x, other))
    return noted("truncdiv", lambda *xs: from_array(PRIMITIVES["quotient"].numpy(*plain(xs))), x, other)


@method
@with_axis
def round(x, *, decimals=0) -> Tensor:
    """The nearest number with so many decimals (negative: tens, hundreds, ...), halves to even."""
    if not decimals:
        return FUNCTIONS["round"](x)
    scale = 10.0 ** abs(decimals)
    return FUNCTIONS["round"](x * scale) / scale if decimals > 0 else FUNCTIONS["round"](x / scale) * scale


@method
@with_axis
def clamp(x, min=None, max=None) -> Tensor:
    """x, but at least ``min`` and at most ``max``: numbers or tensors, either may be None. The gradient passes at the bounds.

    Raises:
        ValueError: if both bounds are None.
    """
    if min is None and max is None:
        raise ArgumentError("clamp() needs min, max or both")
    if min is not None:
        x = apply(elementwise.clamp_min, x, min)
    return x if max is None else apply(elementwise.clamp_max, x, max)


@with_axis
def where(condition, x=None, y=None):
    """x where the condition holds, else y. With the condition alone: the indices where it holds, as a tuple."""
    if x is None and y is None:
        return tuple(from_array(i) for i in np.nonzero(as_condition(condition)._array()))
    return apply(elementwise.where, condition, x, y)


@method_as("where")
def _where_of(self, condition, other):
    return where(condition, self, other)


@method
def logsigmoid(x) -> Tensor:
    """log(sigmoid(x)) without overflow."""
    return -FUNCTIONS["softplus"](-x)


def floor_divide(x, y) -> Tensor:
    """The quotient rounded down, elementwise, as Python's ``//``: that without the remainder; integers stay integers."""
    if result_dtype([t if isinstance(t, Tensor) else as_scalar(t) for t in (x, y)]).is_floating_point:
        return apply(elementwise._floordiv, x, y)
    return noted("floor_divide", lambda *xs: from_array(np.floor_divide(*plain(xs))), x, y)


def as_scalar(x):
    """A Python number, or a tensor made of an array."""
    return x if is_number(x) else from_array(x)


# Comparisons: no gradient, NumPy's work


def comparison(name, doc):
    compare = getattr(operator, name)

    def function(x, other):
        if not isinstance(x, Tensor):
            x = from_array(x)
        if not isinstance(other, (Tensor, int, float, bool, np.ndarray, np.generic)):
            other = foreign.operand(other)
            if other is None:
                return NotImplemented
        try:
            return noted(name, lambda *xs: from_array(compare(*plain(xs))), x, other)
        except ValueError:
            raise ArgumentError(f"shapes {x.shape} and {np.shape(other)} cannot be broadcast together") from None

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


COMPARISONS = {
    name: comparison(name, f"Whether x {sign} other, elementwise: a bool tensor.")
    for name, sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "=="), ("ne", "!="))
}


def _logical(ufunc, doc):
    def function(x, other=None):
        operands = (x,) if other is None else (x, other)
        return noted(ufunc.__name__, lambda *xs: from_array(ufunc(*plain(xs))), *operands)

    function.__doc__ = doc
    return function


LOGICAL = {
    "logical_and": _logical(np.logical_and, "Whether both are true, elementwise."),
    "logical_or": _logical(np.logical_or, "Whether either is true, elementwise."),
    "logical_xor": _logical(np.logical_xor, "Whether exactly one is true, elementwise."),
    "logical_not": _logical(np.logical_not, "Whether x is zero, elementwise."),
    "isnan": _logical(np.isnan, "Whether x is NaN, elementwise."),
    "isinf": _logical(np.isinf, "Whether x is infinite, elementwise."),
    "isfinite": _logical(np.isfinite, "Whether x is finite, elementwise."),
}


@method
def allclose(x, y, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Whether all elements agree to within ``atol + rtol * |y|``."""
    return bool(np.allclose(*plain((x, y)), rtol=rtol, atol=atol, equal_nan=equal_nan))


@method
def equal(x, y) -> bool:
    """Whether two tensors have the same shape and elements."""
    return x.shape == y.shape and bool(np.array_equal(x._array(), y._array()))


# Dtypes


def to(x: Tensor, dtype) -> Tensor:
    """The tensor in another dtype; the gradient passes between float types. The same tensor if the dtype is the same."""
    dtype = dtypes.as_dtype(dtype)
    layout = x._layout
    if layout.dtype is dtype:
        return x
    if layout.dtype.is_floating_point and dtype.is_floating_point:
        return emit(structured.cast, layout_of(layout.shape, dtype), contiguous(x))
    return noted("to", lambda x: from_array(x._array(), dtype), x)


# Operators


_power_by = {number: BY_NAME[name] for number, name in _POWERS.items()}


def _operators():
    methods = {}
    for name, op in (("add", elementwise.add), ("sub", elementwise.sub), ("mul", elementwise.mul)):
        methods[f"__{name}__"] = binary_method(op)
        methods[f"__r{name}__"] = reflected_method(op)
    methods["__truediv__"] = binary_method(elementwise.div)
    methods["__rtruediv__"] = reflected_method(elementwise.div)
    methods["__pow__"] = binary_method(elementwise.pow, _power_by, pow)
    methods["__rpow__"] = reflected_method(elementwise.pow)
    methods["__mod__"] = binary_method(elementwise.remainder)
    methods["__rmod__"] = reflected_method(elementwise.remainder)
    methods["__neg__"] = FUNCTIONS["neg"]
    methods["__pos__"] = lambda self: self
    methods["__abs__"] = FUNCTIONS["abs"]
    methods["__floordiv__"] = floor_divide
    methods["__rfloordiv__"] = lambda self, other: floor_divide(other, self)
    methods["__divmod__"] = lambda self, other: (self // other, self % other)
    methods["__rdivmod__"] = lambda self, other: (other // self, other % self)
    for name, function in COMPARISONS.items():
        methods[f"__{name}__"] = untraced(function)
    for name in ("and", "or", "xor"):
        methods[f"__{name}__"] = methods[f"__r{name}__"] = _bitwise(getattr(operator, f"__{name}__"))
    methods["__invert__"] = lambda self: noted("invert", lambda x: from_array(np.invert(x._array())), self)
    return methods


def _bitwise(function):
    def bitwise(self, other):
        return noted(function.__name__.strip("_"), lambda *xs: from_array(function(*plain(xs))), self, other)

    return bitwise


for _name, _function in (COMPARISONS | LOGICAL | _operators()).items():
    method_as(_name)(_function)
