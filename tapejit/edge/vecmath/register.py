"""How Numba comes to know the functions of this package."""
import functools

import numba
from numba.core import types
from numba.extending import lower_builtin

from tapejit.edge.numba import AbstractTemplate, infer_global, signature

from . import processor
from .emit import FORMATS, Value


def _result_type(argument_types):
    """float32 if all arguments are, float64 for any mix with float64 or integers, None for anything else."""
    kinds = [types.unliteral(t) for t in argument_types]
    if not all(isinstance(t, (types.Integer, types.Boolean)) or t in FORMATS for t in kinds):
        return None
    return types.float32 if all(t == types.float32 for t in kinds) else types.float64


def elementwise(body):
    """Make a function over `Value`s callable from nopython code, from other such functions and from Python.

    Arguments are float64, float32 or integers (taken as float64); the result has the type of the arguments.
    """
    count = body.__code__.co_argcount

    @functools.wraps(body)
    def function(*args):
        if isinstance(args[0], Value):
            return body(*args)
        return _compiled(function, count)(*args)

    class Template(AbstractTemplate):
        key = function

        def generic(self, args, kws):
            result = _result_type(args) if len(args) == count and not kws else None
            return signature(result, *[result] * count) if result else None

    Template.__name__ = f"{body.__name__}_template"
    infer_global(function, types.Function(Template))

    @lower_builtin(function, *[types.Float] * count)
    def lower(context, builder, sig, args):
        fmt = FORMATS[sig.return_type]
        has_fma = processor.has_fma(context)
        return body(*[Value(builder, fmt, has_fma, a) for a in args]).ir

    return function


@functools.cache
def _compiled(function, count):
    """The function as a dispatcher, for calls from Python."""
    if count == 1:
        return numba.njit(lambda x: function(x))
    return numba.njit(lambda x, y: function(x, y))


class _SelectTemplate(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) != 3 or kws or not isinstance(args[0], types.Boolean):
            return None
        result = _result_type(args[1:])
        return signature(result, types.boolean, result, result) if result else None


def select_scalars(condition, if_true, if_false):
    """`if_true` where the condition holds, else `if_false`: both are computed, and a loop stays vectorised."""
    return if_true if condition else if_false


_SelectTemplate.key = select_scalars
infer_global(select_scalars, types.Function(_SelectTemplate))


@lower_builtin(select_scalars, types.Boolean, types.Float, types.Float)
def _lower_select(context, builder, sig, args):
    return builder.select(*args)
