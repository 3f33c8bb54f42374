"""Functions of arrays with forms of their own for active ones, and the stand-ins by which differentiated code calls them.

An ``overload`` does not displace what Numba has: the first implementation that fits is taken, and generic code fits
active elements as well, with its own idea of ties and NaN. So ``passes`` exchanges each of these functions, and each
method of the same meaning, for a stand-in that knows two answers: ours if an argument is active, else Numba's own.

Where ours is a call of one compiled function with the same arguments, the form names that function (``direct``): a function
around it, made anew for each pair of types, would double what there is to compile. Where it says the result's type as well,
the function is compiled when a call of it is written, not when types are found: operators that end in an expression with others
(see ``fusing``) never are.
"""

import functools
import inspect
from types import SimpleNamespace

import numpy as np
from numba.core import types
from numba.extending import lower_builtin, overload

from tapejit.edge.compiler import AbstractTemplate, Dispatcher, infer_global, signature
from tapejit.nopython.cache import call
from tapejit.nopython.types import has_active

FUNCTIONS = {}  # NumPy function -> its stand-in
METHODS = {}  # name of an array method -> its stand-in
INPLACE = {}  # in-place operator -> its stand-in
CASTS = {}  # float type, NumPy's or Numba's -> the stand-in for a call of it
supplied = (
    SimpleNamespace()
)  # what modules that are compiled with the pass supply to it: ``allocators``, ``compiled``, ``each`` and ``twin_of``


def replaces(*functions, method=None):
    """Decorator for the form of NumPy functions on active arguments, written as for ``overload``.

    It returns an implementation, or None for arguments it has no form for: those are refused. ``method`` is the name of
    the array method that means the same.
    """

    def enter(typer):
        for function in functions:
            enter_form(function, typer)  # the engine's own functions call NumPy's
            if function not in FUNCTIONS:
                FUNCTIONS[function] = stand_in(f"np.{function.__name__}", function)
            enter_form(FUNCTIONS[function], typer)
        if method is not None:
            METHODS[method] = stand_in(f"the method .{method}()", None, method)
            enter_form(METHODS[method], typer)
        return typer

    return enter


class direct:
    """A form that is a call of ``dispatcher`` with the arguments as they are given; ``otherwise`` for other numbers of them.

    ``result`` is the type of what it answers, where that is known before it is compiled.
    """

    def __init__(self, dispatcher, otherwise=None, result=None):
        self.dispatcher = dispatcher
        self.otherwise = otherwise
        self.result = result

    def typed(self, context, given):
        """(signature of the call, key of what writes it)."""
        if self.result is not None:
            return signature(self.result, *map(types.unliteral, given)), _compiled_when_called(self.dispatcher)
        fnty = self.dispatcher._numba_type_
        sig = fnty.get_call_type(context, given, {})
        return sig, fnty.get_impl_key(sig)


@functools.cache
def _compiled_when_called(dispatcher):
    """What writes a call of a function, and compiles it for that."""

    def written(context, builder, sig, args):
        typed = dispatcher._numba_type_.get_call_type(context.typing_context, sig.args, {})
        if typed.return_type != sig.return_type:  # it would be read as what it is not
            raise AssertionError(f"{dispatcher}: {typed.return_type} where {sig.return_type} was said")
        return call(context, builder, dispatcher, *args, types=sig.args)

    return lower_builtin(written, types.VarArg(types.Any))(written)


def enter_form(function, typer):
    """``overload`` for a typer that returns an implementation, a dispatcher, or what ``direct`` makes."""
    parameters = inspect.signature(typer).parameters

    def found(*args, **kws):
        form = typer(*args, **kws)
        return direct(form) if isinstance(form, Dispatcher) else form

    class Direct(AbstractTemplate):
        key = function

        def generic(self, args, kws):
            try:
                bound = inspect.signature(typer).bind(*args, **kws)
            except TypeError:
                return None
            form = found(*bound.args, **bound.kwargs)
            given = tuple(bound.arguments.values())
            if not isinstance(form, direct) or form.dispatcher.py_func.__code__.co_argcount != len(given):
                return None
            sig, self.found = form.typed(self.context, given)
            names = [parameters[name].replace(default=inspect.Parameter.empty) for name in bound.arguments]
            return sig.replace(pysig=inspect.Signature(names))

        def get_impl_key(self, sig):
            return self.found

    Direct.typer = staticmethod(typer)
    infer_global(function, types.Function(Direct))

    @functools.wraps(typer)
    def implementation(*args, **kws):
        form = found(*args, **kws)
        return form.otherwise if isinstance(form, direct) else form

    overload(function, strict=False)(implementation)


def stand_in(name, function, method=None):
    def stub(*args):
        raise NotImplementedError("only compiled code calls this")

    stub.__name__ = stub.__qualname__ = name

    class Passive(AbstractTemplate):
        """Numba's own form, for calls without an active argument."""

        key = stub
        found = None

        def generic(self, args, kws):
            if any(map(has_active, (*args, *kws.values()))):
                return None
            if function is not None:
                fnty = self.context.resolve_value_type(function)
                sig = self.context.resolve_function_type(fnty, args, kws)
            else:
                fnty = self.context.resolve_getattr(args[0], method)
                if fnty is None:
                    return None
                sig = fnty.get_call_type(self.context, args[1:], kws)
            if sig is None:
                return None
            self.found = type(fnty) if isinstance(fnty, types.NumberClass) else fnty.get_impl_key(sig)
            return _without_receiver(sig)

        def get_impl_key(self, sig):
            return self.found

    infer_global(stub, types.Function(Passive))
    return stub


def _without_receiver(sig):
    """The signature of a method as that of a function."""
    if sig.recvr is None:
        return sig
    plain = signature(sig.return_type, sig.recvr, *sig.args)
    if sig.pysig is not None:
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        plain = plain.replace(pysig=sig.pysig.replace(parameters=[own, *sig.pysig.parameters.values()]))
    return plain


def is_absent(ty):
    """Whether an optional argument is left out or None."""
    return ty is None or isinstance(ty, (types.Omitted, types.NoneType))


def flag(ty):
    """The value of an argument that must be known when compiling: True, False, or None if it is not known."""
    if isinstance(ty, types.Omitted):
        return ty.value
    if isinstance(ty, types.BooleanLiteral):
        return ty.literal_value
    return ty if isinstance(ty, bool) else None


def _squared_norm(a):
    """``np.linalg.norm(a) ** 2`` in differentiated code."""
    raise NotImplementedError("only compiled code calls this")


SQUARED_NORM = _squared_norm


@overload(SQUARED_NORM)
def _plain_squared_norm(a):
    return None if has_active(a) else (lambda a: np.linalg.norm(a) ** 2)
