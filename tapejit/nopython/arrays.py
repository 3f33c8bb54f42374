"""Elementwise operations, comparisons and in-place operators on active arrays.

Broadcasting is NumPy's. Each element is one statement; the loops are compiled with the active pipeline.
"""

import functools
import hashlib
import math
import operator

import numpy as np
from numba.core import types

from tapejit.nopython import scalars
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import ENGINE, generated_function, typed
from tapejit.nopython.contiguous import row_of
from tapejit.nopython.exchange import INPLACE, direct, enter_form, replaces, supplied
from tapejit.nopython.scalars import clamp_max, clamp_min
from tapejit.nopython.statements import constant_like, element_like
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, has_active, is_active_array, scalar_type


def _elementwise(fn, *operands):
    """Whether ``fn`` is to be applied elementwise here: active operands and an array among them."""
    if not any(isinstance(ty, types.Array) for ty in operands) or not any(map(has_active, operands)):
        return False
    elements = [scalar_type(ty) for ty in operands]
    return None not in elements and scalars.result_type(fn, elements) is not None


def at(a, i, j, k):
    """An operand's element at a broadcast position, of which it uses the last ``a.ndim`` indices."""
    raise NotImplementedError


@typed(at)
def _at(a, i, j, k):
    if not isinstance(a, types.Array):
        return lambda a, i, j, k: a
    if a.ndim == 1:
        return lambda a, i, j, k: a[k if a.shape[0] != 1 else 0]
    if a.ndim == 2:
        return lambda a, i, j, k: a[j if a.shape[0] != 1 else 0, k if a.shape[1] != 1 else 0]
    return lambda a, i, j, k: a[
        i if a.shape[0] != 1 else 0, j if a.shape[1] != 1 else 0, k if a.shape[2] != 1 else 0
    ]


def extent(a, axis):
    """An operand's extent along the last axis (1), the one before (2), or the first of three (3)."""
    raise NotImplementedError


@typed(extent)
def _extent(a, axis):
    if not isinstance(a, types.Array):
        return lambda a, axis: 1
    ndim = a.ndim
    return lambda a, axis: a.shape[ndim - axis] if axis <= ndim else 1


@active_function
def common(n, m):
    """The extent of two operands together."""
    if n != m and n != 1 and m != 1:
        raise ValueError("operands could not be broadcast together")
    return m if n == 1 else n


@active_function
def stretched_1(a, shape):
    out = empty_like_element(shape, constant_element(a))
    for k in range(shape[0]):
        out[k] = at(a, 0, 0, k)
    return out


@active_function
def stretched_2(a, shape):
    out = empty_like_element(shape, constant_element(a))
    for j in range(shape[0]):
        for k in range(shape[1]):
            out[j, k] = at(a, 0, j, k)
    return out


@active_function
def stretched_3(a, shape):
    out = empty_like_element(shape, constant_element(a))
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                out[i, j, k] = at(a, i, j, k)
    return out


def stretched(a, shape):
    """A copy of an operand in a given shape."""
    raise NotImplementedError


@functools.partial(enter_form, stretched)
def _stretched(a, shape):
    return {1: stretched_1, 2: stretched_2, 3: stretched_3}[len(shape)]


def spread(a, shape):
    """An operand's elements in a row, in the order of a C-ordered array of the given shape; a number is itself."""
    raise NotImplementedError


@typed(spread)
def _spread(a, shape):
    if not isinstance(a, types.Array):
        return lambda a, shape: a
    if a.ndim == len(shape) and a.layout == "C":
        return lambda a, shape: row_of(a) if a.shape == shape else stretched(a, shape).ravel()
    return lambda a, shape: stretched(a, shape).ravel()


@functools.cache
def each(functions, text, sample, names, arrays, ndim):
    """The loop of an expression of elements: an active function of arrays and numbers.

    All elements are gone through in one loop, which the tape can record in strips.

    Args:
        functions: what ``text`` calls ``f0``, ``f1``, ...
        text: the expression, an operand being ``{name}``.
        sample: another, whose value has its type.
        names: those of all operands, in the order of the parameters.
        arrays: those of the operands that are arrays.
        ndim: the result's dimensions, 1 to 3.
    """
    extents = []
    for axis in range(ndim, 0, -1):
        extents.append(f"extent({names[0]}, {axis})")
        for name in names[1:]:
            extents[-1] = f"common({extents[-1]}, extent({name}, {axis}))"
    lines = [
        f"shape = ({', '.join(extents)},)",
        f"out = empty_like_element(shape, {sample.format(**{n: f'constant_element({n})' for n in names})})",
        "row = row_of(out)",
        *(f"{name} = spread({name}, shape)" for name in arrays),
        "for k in range(row.size):",
        *(f"    {name}_k = {name}[k]" for name in arrays),
        f"    row[k] = {text.format(**{n: f'{n}_k' if n in arrays else n for n in names})}",
        "return out",
    ]
    scope = {"extent": extent, "common": common, "constant_element": constant_element, "spread": spread,
             "empty_like_element": empty_like_element, "row_of": row_of}  # fmt: skip
    return _written("each_" + "_".join(f.__name__ for f in functions[:3]), lines, ", ".join(names), scope, functions)


supplied.each = each


def _loops(fn, operands):
    """The loops of an elementwise function: its form for the types of operands, active arrays among them."""
    names = ("a", "b", "c")[:operands]
    text = f"f0({', '.join(f'{{{n}}}' for n in names)})"

    def choose(*tys):
        arrays = tuple(n for n, ty in zip(names, tys, strict=True) if isinstance(ty, types.Array))
        known = fn in scalars.ARITHMETIC or fn in scalars.PREDICATES
        element = scalars.result_type(fn, [scalar_type(ty) for ty in tys]) if known else None
        ndim = _rank(*tys)
        result = None if element is None else types.Array(element, ndim, "C")
        return direct(each((fn,), text, text, names, arrays, ndim), result=result)

    return choose


def _written(name, lines, parameters, scope, functions):
    """An active function from its lines; its digest says which functions they apply under the names ``f0``, ``f1``, ...

    It is kept on disk unless one is an op of the table, which may be entered anew with another rule.
    """
    source = "\n    ".join([f"def {name}({parameters}):", *lines]) + "\n"
    applied = " ".join(f"{f.__module__}.{f.__name__}" for f in functions)
    digest = hashlib.blake2b(f"{applied} {source}".encode(), digest_size=8).hexdigest()
    ours = all(
        (f.__module__ or "").split(".")[0] in ("numpy", "math", "_operator") or f.__module__ == __name__
        for f in functions
    )
    scope = scope | {f"f{k}": f for k, f in enumerate(functions)}
    return active_function(generated_function(name, source, scope, (ENGINE if ours else "") + digest))


def constant_element(a):
    """An element's value to find a result's type; only compiled code calls it."""
    raise NotImplementedError


@typed(constant_element)
def _constant_element(a):
    element = scalar_type(a)
    if isinstance(element, Active):
        if isinstance(a, types.Array):
            return lambda a: constant_like(element_like(a), 1.0)
        return lambda a: a
    if isinstance(a, types.Array):
        one = element(1)
        return lambda a: one
    return lambda a: a


def _rank(*operands):
    return max(ty.ndim if isinstance(ty, types.Array) else 0 for ty in operands)


def register_unary(fn):
    """Let Numba know a function of one active array, elementwise."""
    loops = _loops(fn, 1)

    @functools.partial(enter_form, fn)
    def typer(a):
        fits = is_active_array(a) and a.ndim <= 3 and scalars.result_type(fn, [a.dtype]) is not None
        return loops(a) if fits else None


def register_binary(fn):
    """Let Numba know a function of two operands, one an active array, elementwise."""
    loops = _loops(fn, 2)

    @functools.partial(enter_form, fn)
    def typer(a, b):
        return loops(a, b) if _elementwise(fn, a, b) and _rank(a, b) <= 3 else None


def register_ternary(fn):
    """Let Numba know a function of three operands, one an active array, elementwise."""
    loops = _loops(fn, 3)

    @functools.partial(enter_form, fn)
    def typer(a, b, c):
        return loops(a, b, c) if _elementwise(fn, a, b, c) and _rank(a, b, c) <= 3 else None


def _register_other(fn):
    """A function of one number that is not of the op table."""
    loops = _loops(fn, 1)

    @functools.partial(enter_form, fn)
    def typer(a):
        return loops(a) if is_active_array(a) and a.ndim <= 3 else None


def _register_predicate(fn, of_number):
    """The same for one that Numba takes for a function of any array."""
    loops = _loops(of_number, 1)

    @replaces(fn)
    def typer(a):
        if is_active_array(a) and a.ndim <= 3:
            return loops(a)
        return (lambda a: of_number(a)) if isinstance(a, Active) else None


for _fn in (np.floor, np.ceil, np.trunc, np.rint, np.degrees, np.rad2deg, np.radians, np.deg2rad):
    _register_other(_fn)
for _fn, _of_number in ((np.isnan, math.isnan), (np.isinf, math.isinf), (np.isfinite, math.isfinite)):
    _register_predicate(_fn, _of_number)

_SCALAR_ONLY = {max, min, float, pow}
for _fn, _name in scalars.ARITHMETIC.items():
    _module = getattr(_fn, "__module__", None)
    if _fn in _SCALAR_ONLY or _module == "math" or (_module == "_operator" and _fn.__name__.startswith("i")):
        continue
    (register_binary if _name in scalars.TWO else register_unary)(_fn)
for _fn in scalars.PREDICATES:
    register_binary(_fn)


def choose(condition, x, y):
    raise NotImplementedError


@typed(choose)
def _choose(condition, x, y):
    return lambda condition, x, y: x if condition else y


_where_loops = _loops(choose, 3)


@replaces(np.where)
def _where(condition, x, y):
    elements = [scalar_type(ty) for ty in (x, y)]
    if not isinstance(condition, types.Array) or None in elements or not any(map(has_active, (x, y))):
        return None
    return _where_loops(condition, x, y) if _rank(condition, x, y) <= 3 else None


@replaces(np.clip, method="clip")
def _clip(a, a_min, a_max):
    """The gradient passes at the bounds, as everywhere in this package."""
    if not any(map(has_active, (a, a_min, a_max))):
        return None
    if isinstance(a_min, types.NoneType):
        return lambda a, a_min, a_max: clamp_max(a, a_max)
    if isinstance(a_max, types.NoneType):
        return lambda a, a_min, a_max: clamp_min(a, a_min)
    return lambda a, a_min, a_max: clamp_max(clamp_min(a, a_min), a_max)


def _check_extent(n, m):
    if m != n and m != 1:
        raise ValueError("operands could not be broadcast together")


_check = active_function(_check_extent)


@active_function
def _check_extents(a, b):
    for axis in (1, 2, 3):
        _check(extent(a, axis), extent(b, axis))


def _update_loops(op):
    """Loops for ``a = op(a, b)`` in the memory of ``a``: in a row where it is one, else by its dimensions."""
    scope = {"at": at, "spread": spread, "row_of": row_of, "check_extents": _check_extents}

    @functools.cache
    def in_a_row(array):
        spreading = ["check_extents(a, b)", "items = spread(b, a.shape)"] if array else []
        item = "items[k]" if array else "b"
        loop = ["for k in range(row.size):", f"    row[k] = f0(row[k], {item})"]
        return _written(
            f"update_by_{op.__name__}", ["row = row_of(a)", *spreading, *loop, "return a"], "a, b", scope, (op,)
        )

    @functools.cache
    def by_dimensions(ndim):
        counters = "ijk"[3 - ndim :]
        index = ", ".join(counters)
        lines = ["check_extents(a, b)"]
        for axis, counter in enumerate(counters):
            lines.append("    " * axis + f"for {counter} in range(a.shape[{axis}]):")
        item = f"at(b, {'0, ' * (3 - ndim)}{index})"
        lines.append("    " * ndim + f"a[{index}] = f0(a[{index}], {item})")
        return _written(f"update_by_{op.__name__}", [*lines, "return a"], "a, b", scope, (op,))

    def choose(a, b):
        return in_a_row(isinstance(b, types.Array)) if a.layout == "C" else by_dimensions(a.ndim)

    return choose


def _inplace(iop, op):
    """A function that stands for ``iop`` in differentiated code: ours on active arrays, Numba's on anything else."""

    loops = _update_loops(op)

    def stub(a, b):
        raise NotImplementedError

    stub.__name__ = f"inplace_{op.__name__}"

    @functools.partial(enter_form, stub)
    def typer(a, b):
        if is_active_array(a) and a.ndim <= 3 and scalar_type(b) is not None:
            return loops(a, b)
        if isinstance(a, types.Array) and has_active(b):
            return None  # a plain array cannot take the result: reported with a remedy
        if has_active(a) or has_active(b):
            return lambda a, b: op(a, b)
        return lambda a, b: iop(a, b)

    return stub


INPLACE.update(
    (iop, _inplace(iop, op))
    for iop, op in (
        (operator.iadd, operator.add),
        (operator.isub, operator.sub),
        (operator.imul, operator.mul),
        (operator.itruediv, operator.truediv),
        (operator.ipow, operator.pow),
        (operator.imod, operator.mod),
    )
)
