"""``custom_vjp`` and ``custom_jvp`` in compiled code: the function, and what is stated of it as a rule of ``nopython.rule``."""

import inspect

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import overload, typeof_impl

from tapejit.edge.compiler import Dispatcher
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import generated_function
from tapejit.nopython.custom import rule
from tapejit.nopython.exchange import supplied
from tapejit.nopython.like import first_of
from tapejit.nopython.types import is_active
from tapejit.replay.customrules import Custom, custom_vjp


@typeof_impl.register(Custom)
def _typeof_custom(value, context):
    return types.Dispatcher(compiled(value))


def compiled(custom):
    """The jitted function of a ``custom_vjp`` or ``custom_jvp``, whose derivative in compiled code is the stated one.

    Raises:
        AttributeError: if none is stated.
    """
    known = custom.__dict__.get("_tapejit_compiled")
    if known is None:
        custom._check()
        known = custom.__dict__["_tapejit_compiled"] = njit(_plain(custom.fun))
        names = [p.name for p in inspect.signature(custom.fun).parameters.values()]
        make = _of_vjp if isinstance(custom, custom_vjp) else _of_jvp
        rule(known)(make(custom, names))
    return known


supplied.compiled = compiled


def _plain(f):
    return f.py_func if isinstance(f, Dispatcher) else f


def _jitted(f):
    return f if isinstance(f, Dispatcher) else njit(f)


def _generated(custom, lines, names, scope):
    name = f"partials_of_{_plain(custom.fun).__name__}"
    name = name if name.isidentifier() else "partials_of_function"
    source = f"def {name}({', '.join(names)}):\n    " + "\n    ".join(lines) + "\n"
    made = generated_function(name, source, scope, f"custom{id(custom)}")
    made.__module__ = _plain(custom.fun).__module__  # the user's: what it calls has twins
    return made


def _of_vjp(custom, names):
    """All partial derivatives by the cotangent 1, or by one cotangent after another where the result is an array."""
    own = [n for k, n in enumerate(names) if k not in custom.nondiff]
    places = {n: own.index(n) if n in own else None for n in names}
    fixed = "".join(f"{names[k]}, " for k in custom.nondiff)
    scope = {"fwd__": _jitted(custom._fwd), "bwd__": _jitted(custom._bwd), "cotangent__": cotangent, "seeded__": seeded}
    scope |= {"room__": room, "entered__": entered, "number__": number, "size__": size}
    lines = [f"out__, kept__ = fwd__({', '.join(names)})", "g__ = cotangent__(out__)", f"first__ = bwd__({fixed}kept__, g__)"]
    for n, k in places.items():
        lines.append(f"{n}__ = room__(out__, {n}, {'0.0' if k is None else f'first__[{k}]'})")
    lines += ["for index__ in range(size__(out__)):", "    seed__ = seeded__(g__, index__)"]
    lines.append(f"    found__ = bwd__({fixed}kept__, seed__)")
    for n, k in places.items():
        if k is not None:
            lines.append(f"    {n}__ = entered__({n}__, index__, size__(out__), False, number__(found__[{k}]))")
    lines.append("return (" + "".join(f"{n}__, " for n in names) + ")")
    return _generated(custom, lines, names, scope)


def _of_jvp(custom, names):
    """All partial derivatives, by one tangent after another."""
    own = [n for k, n in enumerate(names) if k not in custom.nondiff]
    fixed = "".join(f"{names[k]}, " for k in custom.nondiff)
    scope = {"rule__": _jitted(custom._rule), "still__": still, "seeded__": seeded, "size__": size}
    scope |= {"room__": room, "entered__": entered, "number__": number}
    primals = "(" + "".join(f"{n}, " for n in own) + ")"
    lines = [f"{n}_t__ = still__({n})" for n in own]
    lines.append(f"out__, tangent__ = rule__({fixed}{primals}, ({''.join(f'{n}_t__, ' for n in own)}))")
    for n in names:
        lines.append(f"{n}__ = room__(out__, {n}, {'tangent__' if n in own else '0.0'})")
    for n in own:
        tangents = "".join("seed__, " if other == n else f"{other}_t__, " for other in own)
        lines += [
            f"for index__ in range(size__({n})):", f"    seed__ = seeded__({n}_t__, index__)",
            f"    found__ = rule__({fixed}{primals}, ({tangents}))[1]",
            f"    {n}__ = entered__({n}__, index__, size__({n}), True, number__(found__))",
        ]  # fmt: skip
    lines.append("return (" + "".join(f"{n}__, " for n in names) + ")")
    return _generated(custom, lines, names, scope)


# What the two are written in: numbers and arrays alike


def cotangent(out):
    """A zero of a result."""
    raise NotImplementedError


def still(x):
    """A zero of an argument."""
    raise NotImplementedError


@overload(cotangent)
@overload(still)
def _zero_of(x):
    if isinstance(x, types.Array):
        return lambda x: np.zeros(x.shape)
    return lambda x: 0.0


def size(x):
    """How many numbers there are."""
    raise NotImplementedError


@overload(size)
def _size(x):
    return (lambda x: x.size) if isinstance(x, types.Array) else (lambda x: 1)


def seeded(zeros, index):
    """Zeros with a one at a place, counted along."""
    raise NotImplementedError


@overload(seeded)
def _seeded(zeros, index):
    if not isinstance(zeros, types.Array):
        return lambda zeros, index: 1.0

    def of_array(zeros, index):
        seed = np.zeros(zeros.shape)
        seed.ravel()[index] = 1.0
        return seed

    return of_array


def number(x):
    """A cotangent; None is 0."""
    raise NotImplementedError


@overload(number)
def _number(x):
    return (lambda x: 0.0) if isinstance(x, types.NoneType) else (lambda x: x)


def room(out, x, like):
    """Where the derivatives of a result in an argument go: of the shape of both, elements as those of ``like``."""
    raise NotImplementedError


@overload(room)
def _room(out, x, like):
    a, b = isinstance(out, types.Array), isinstance(x, types.Array)
    plain = isinstance(like, types.NoneType) or not is_active(getattr(like, "dtype", like))
    shape = "out.shape + x.shape" if a and b else "out.shape" if a else "x.shape" if b else None
    if shape is None:
        return (lambda out, x, like: 0.0) if plain else (lambda out, x, like: like)
    element = "first_of(like)" if isinstance(like, types.Array) else "like"
    body = f"np.zeros({shape})" if plain else f"empty_like_element({shape}, {element})"
    scope = {"np": np, "empty_like_element": empty_like_element, "first_of": first_of}
    return eval(f"lambda out, x, like: {body}", scope)


def entered(block, index, n, last, part):
    """The block with a part at its place, the index-th of n: its own dimensions come after that, or before it (``last``)."""
    raise NotImplementedError


@overload(entered)
def _entered(block, index, n, last, part):
    if not isinstance(block, types.Array):
        return lambda block, index, n, last, part: part
    if not isinstance(part, types.Array):

        def of_number(block, index, n, last, part):
            flat = block.ravel()
            size = flat.size // n
            k, step = (index, n) if last else (index * size, 1)
            for _ in range(size):  # one, or zeros in place of None
                flat[k] = part
                k += step
            return block

        return of_number

    def of_array(block, index, n, last, part):
        flat = block.ravel()
        k, step = (index, n) if last else (index * part.size, 1)
        for place in np.ndindex(part.shape):
            flat[k] = part[place]
            k += step
        return block

    return of_array
