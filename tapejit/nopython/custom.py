"""Derivatives from outside the tape: rules for a function, checkpoints, and stop_gradient."""

import inspect

import numpy as np
from numba import njit
from numba.core import types
from numba.core.dispatcher import Dispatcher
from numba.core.extending import overload
from numba.extending import intrinsic

from tapejit.nopython.algebra import algebra
from tapejit.nopython.alloc import empty_like_element, structure_of
from tapejit.nopython.dispatch import generated_function
from tapejit.nopython.like import _zero, first_of
from tapejit.nopython.scalars import stop_gradient_scalar
from tapejit.nopython.statements import close, constant_like, inner, put, reserve
from tapejit.nopython.twins import ActiveDispatcher, active_function, twin
from tapejit.nopython.types import Active, Tape, is_active, is_active_array, level


@intrinsic
def active_like(typingctx, args):
    """A zero of the deepest active type among the arguments."""
    ty = structure_of(list(args))
    return (ty(args), _zero(ty)) if ty is not None else None


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


def values_below(like, x):
    """An argument one level down, if it is active at the level of ``like``; else as it is."""
    raise NotImplementedError


@overload(values_below)
def _values_below(like, x):
    item = x.dtype if isinstance(x, types.Array) else x
    if level(item) < like.level:
        return lambda like, x: x
    if not isinstance(x, types.Array):
        return lambda like, x: inner(x)

    def of_array(like, x):
        out = empty_like_element(x.shape, inner(first_of(x)))
        for index in np.ndindex(x.shape):
            out[index] = inner(x[index])
        return out

    return of_array


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


def _rule_twin(function, partials, original, extra):
    """The twin of ``function`` that takes its derivative from ``partials`` instead of its body."""
    names = list(inspect.signature(function).parameters)
    args = "".join(f"{name}, " for name in names)
    below = "".join(f"values_below(like__, {name}), " for name in names)
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
        "active_like": active_like, "values_below": values_below, "lift_result": lift_result,
        "attach_result": attach_result, "as_tuple": as_tuple, "f__": original, "partials__of": partials,
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
        body = ActiveDispatcher(f.py_func, targetoptions=dict(twin_options(f)), pipeline_class=_pipeline())
        body.original = f

        def lines(below):
            return [f"value__ = f__({below})", f"partials__ = as_tuple(partials__of({below}))"]

        derivative = twin(own)
        f._tapejit_twin = _rule_twin(f.py_func, derivative, body, lines)
        f._tapejit_twin.original = f
        return own

    return enter


def twin_options(f):
    from tapejit.nopython.twins import _OPTIONS

    return dict(_OPTIONS, **{k: v for k, v in f.targetoptions.items() if k in ("fastmath", "error_model")})


def _pipeline():
    from tapejit.nopython.lowering import ActiveCompiler

    return ActiveCompiler


def checkpoint(f, argnums=None):
    """The same function, recorded as its Jacobian: the statements inside it leave the tape at each call.

    A loop that calls ``step = checkpoint(step)`` keeps result x argument numbers a step, however much work a step is.
    It pays where a step does much with a small state; each call is differentiated at once, one sweep per number of the
    result. Only for the tape: dual numbers need no memory.

    Args:
        f: a function of float numbers and arrays that returns a number or an array.
        argnums: the arguments through which derivatives flow; all by default. Each must be a float or a float array.
    """
    from tapejit.nopython.driver import signature_of
    from tapejit.nopython.transforms import jacobian, value_and_grad

    function, parameters = signature_of(f)
    numbers = tuple(range(len(parameters))) if argnums is None else tuple(np.atleast_1d(argnums).tolist())
    scalar, array = value_and_grad(f, numbers, "tape"), jacobian(f, numbers)
    original = f if isinstance(f, Dispatcher) else njit(f)
    copy = njit(original.py_func)

    places = "".join(
        f"gradients__[{numbers.index(k)}], " if k in numbers else "0.0, " for k in range(len(parameters))
    )

    def lines(below):
        return [f"value__, gradients__ = partials__of({below})", f"partials__ = ({places})"]

    def either(*args):
        raise NotImplementedError

    names = ", ".join(p.name for p in parameters)
    namespace = {"scalar": scalar, "array": array, "types": types, "original": original, "twin": twin}
    exec(
        f"def typer({names}):\n"
        f"    returns = twin(original).get_call_template(({names},), {{}})[0].cases[0].return_type\n"
        f"    if isinstance(returns, types.Array):\n"
        f"        return lambda {names}: array({names})\n"
        f"    return lambda {names}: scalar({names})\n",
        namespace,
    )
    overload(either)(namespace["typer"])
    copy._tapejit_twin = _rule_twin(function, either, original, lines)
    copy._tapejit_twin.original = copy
    return copy


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
