"""Derivatives from outside the tape: rules for a function, and stop_gradient."""

import inspect

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import intrinsic, overload

from tapejit.edge.compiler import Dispatcher
from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import generated_function
from tapejit.nopython.explain import DifferentiationError
from tapejit.nopython.like import active_like, first_of, values
from tapejit.nopython.pipeline import ActiveCompiler
from tapejit.nopython.scalars import stop_gradient_scalar
from tapejit.nopython.statements import close, constant_like, inner, put, reserve
from tapejit.nopython.twins import OPTIONS, ActiveDispatcher, active_function, twin
from tapejit.nopython.types import Active, Tape, is_active, is_active_array, level


@intrinsic
def attach(typingctx, total, partial, x):
    """``total`` with ``partial`` times the derivative of ``x`` added to its derivative."""
    if not (is_active(total) and is_active(x)):
        return None

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, total)
        own, other = alg.lift(total, args[0]), alg.lift(x, args[2])
        factor = alg.coef.unpack(alg.coef.lift(sig.args[1], args[1]))
        return alg.pack(alg.combine(own.v, [(None, own), (factor, other)]))

    return total(total, types.unliteral(partial), x), codegen


def attach_all(total, partial, x):
    """``attach`` for a number or for every element of an array."""
    raise NotImplementedError


@overload(attach_all)
def _attach_all(total, partial, x):
    item = x.dtype if isinstance(x, types.Array) else x
    if level(item) < total.level:
        return lambda total, partial, x: total
    if not isinstance(x, types.Array):
        return lambda total, partial, x: attach(total, partial, x)
    if isinstance(total, Tape):
        return lambda total, partial, x: _attach_wide(total, partial, x)
    return lambda total, partial, x: _attach_each(total, partial, x)


@active_function
def _attach_wide(total, partial, x):
    if partial.shape != x.shape:
        raise ValueError("a rule must give a partial derivative in the shape of its argument")
    n = x.size + 1
    position = reserve(total, n)
    k = 0
    if position >= 0:
        for index in np.ndindex(x.shape):
            put(total, position + k, partial[index], x[index])
            k += 1
        put(total, position + k, 1.0, total)
    return close(total, position, n, inner(total))


@active_function
def _attach_each(total, partial, x):
    if partial.shape != x.shape:
        raise ValueError("a rule must give a partial derivative in the shape of its argument")
    for index in np.ndindex(x.shape):
        total = attach(total, partial[index], x[index])
    return total


def attach_result(like, value, partial, x):
    """The result with one argument's derivative attached: a number, or an array element by element."""
    raise NotImplementedError


@overload(attach_result)
def _attach_result(like, value, partial, x):
    if isinstance(value, types.Array):

        def of_array(like, value, partial, x):
            for index in np.ndindex(value.shape):
                value[index] = attach_all(value[index], partial[index], x)
            return value

        return of_array
    return lambda like, value, partial, x: attach_all(value, partial, x)


def lift_result(like, value):
    raise NotImplementedError


@overload(lift_result)
def _lift_result(like, value):
    if isinstance(value, types.Array):

        def of_array(like, value):
            out = empty_like_element(value.shape, like)
            for index in np.ndindex(value.shape):
                out[index] = constant_like(like, value[index])
            return out

        return of_array
    return lambda like, value: constant_like(like, value)


def as_tuple(x):
    raise NotImplementedError


@overload(as_tuple)
def _as_tuple(x):
    return (lambda x: x) if isinstance(x, types.BaseTuple) else (lambda x: (x,))


def count_partials(partials, args):
    """Refuse a rule that does not give one partial derivative for each argument."""
    raise NotImplementedError


@overload(count_partials)
def _count_partials(partials, args):
    if len(partials) != len(args):
        raise DifferentiationError(
            f"[tapejit] a rule must give one partial derivative for each argument: this one gives {len(partials)} for "
            f"{len(args)}\n  instead: return a tuple with an entry for every argument, 0.0 for what is never differentiated"
            "\n[/tapejit]"
        )
    return lambda partials, args: None


def rule_twin(function, partials, original, extra):
    """The twin of ``function`` that takes its derivative from ``partials`` instead of its body."""
    names = list(inspect.signature(function).parameters)
    args = "".join(f"{name}, " for name in names)
    below = "".join(f"values(like__, {name}), " for name in names)
    name = function.__name__ if function.__name__.isidentifier() else "function"
    lines = [
        f"def {name}({', '.join(names)}):",
        f"like__ = active_like(({args}))",
        *extra(below),
        "result__ = lift_result(like__, value__)",
        *(
            f"result__ = attach_result(like__, result__, partials__[{k}], {name})"
            for k, name in enumerate(names)
        ),
        "return result__",
    ]
    namespace = {
        "active_like": active_like, "values": values, "lift_result": lift_result,
        "attach_result": attach_result, "as_tuple": as_tuple, "count_partials": count_partials,
        "f__": original, "partials__of": partials,
    }  # fmt: skip
    rewritten = generated_function(name, "\n    ".join(lines) + "\n", namespace, f"rule{id(function)}")
    result = active_function(rewritten)
    result.original = original
    return result


def rule(f):
    """Give the derivative of an ``@njit`` function, instead of having its body differentiated.

        @nopython.rule(f)
        def partials(x, y):
            return df_dx, df_dy

    ``partials`` takes what ``f`` takes and returns a tuple with one entry per argument: a number for a number, an
    array of the argument's shape for an array (for a result that is an array: of shape result + argument), anything
    for an argument that is never differentiated. It must be compilable by Numba, and may itself be differentiated: that
    is how second derivatives come out. The rule holds wherever ``f`` is called in a function differentiated from then on.

    Raises:
        TypeError: ``f`` is not an ``@njit`` function, or was differentiated before its rule was given.
    """
    if not isinstance(f, Dispatcher) or isinstance(f, ActiveDispatcher):
        raise TypeError(
            f"rule needs an @njit function, so that calls of it are recognised; got {type(f).__name__}"
        )
    if getattr(f, "_tapejit_twin", None) is not None:
        raise TypeError(
            f"{f.py_func.__name__} was differentiated before this rule; give the rule right after its definition"
        )

    def enter(partials):
        own = partials if isinstance(partials, Dispatcher) else njit(partials)
        body = ActiveDispatcher(f.py_func, targetoptions=dict(twin_options(f)), pipeline_class=ActiveCompiler)
        body.original = f

        def lines(below):
            return [
                f"value__ = f__({below})",
                f"partials__ = as_tuple(partials__of({below}))",
                f"count_partials(partials__, ({below}))",
            ]

        derivative = twin(own)
        f._tapejit_twin = rule_twin(f.py_func, derivative, body, lines)
        f._tapejit_twin.original = f
        return own

    return enter


def twin_options(f):
    return dict(OPTIONS, **{k: v for k, v in f.targetoptions.items() if k in ("fastmath", "error_model")})


def stop_gradient(x):
    """The value of ``x``, as a constant: nothing flows back through it.

    Args:
        x: a number or an array, active or not; in compiled code an array is copied. A Tensor is detached.
    """
    return x.detach() if hasattr(x, "detach") else x


@active_function
def _stopped(x):
    out = empty_like_element(x.shape, first_of(x))
    for index in np.ndindex(x.shape):
        out[index] = stop_gradient_scalar(x[index])
    return out


@overload(stop_gradient)
def _stop_gradient(x):
    if isinstance(x, Active):
        return lambda x: stop_gradient_scalar(x)
    if is_active_array(x):
        return lambda x: _stopped(x)
    return lambda x: x
