"""Elementwise operations, comparisons and in-place operators on active arrays.

Broadcasting is NumPy's. Each element is one statement; the loops are compiled with the active pipeline.
"""

import operator

import numpy as np
from numba.core import types
from numba.extending import overload

from tapejit.nopython import scalars
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.exchange import replaces
from tapejit.nopython.scalars import clamp_max, clamp_min
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, has_active, is_active_array, is_number


def _scalar_type(ty):
    """The element type of an array or scalar operand, or None for anything else."""
    ty = ty.dtype if isinstance(ty, types.Array) else types.unliteral(ty)
    return ty if isinstance(ty, Active) or is_number(ty) else None


def _elementwise(fn, *operands):
    """Whether ``fn`` is to be applied elementwise here: active operands and an array among them."""
    if not any(isinstance(ty, types.Array) for ty in operands) or not any(map(has_active, operands)):
        return False
    elements = [_scalar_type(ty) for ty in operands]
    return None not in elements and scalars.result_type(fn, elements) is not None


def at(a, i, j, k):
    """An operand's element at a broadcast position, of which it uses the last ``a.ndim`` indices."""
    raise NotImplementedError


@overload(at)
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


@overload(extent)
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


def spread(a, shape):
    """An operand's elements in a row, in the order of a C-ordered array of the given shape; a number is itself."""
    raise NotImplementedError


@overload(spread)
def _spread(a, shape):
    if not isinstance(a, types.Array):
        return lambda a, shape: a
    stretched = {1: stretched_1, 2: stretched_2, 3: stretched_3}[len(shape)]
    if a.ndim == len(shape) and a.layout == "C":
        return lambda a, shape: (a if a.shape == shape else stretched(a, shape)).ravel()
    return lambda a, shape: stretched(a, shape).ravel()


def _loops(fn, operands):
    """The loops of an elementwise function for results of one, two and three dimensions.

    All elements are gone through in one loop, which the tape can record in strips.
    """
    names = ["a", "b", "c"][:operands]
    args = ", ".join(names)
    elements = ", ".join(f"constant_element({n})" for n in names)
    scope = {"fn": fn, "extent": extent, "common": common, "constant_element": constant_element, "spread": spread,
             "empty_like_element": empty_like_element, "__name__": __name__}  # fmt: skip
    found = {}
    for ndim in (1, 2, 3):
        extents = []
        for axis in range(ndim, 0, -1):
            text = f"extent(a, {axis})"
            for name in names[1:]:
                text = f"common({text}, extent({name}, {axis}))"
            extents.append(text)

        def source(arrays, ndim=ndim, extents=extents):
            items = [f"{name}[k]" if name in arrays else name for name in names]
            lines = [
                f"def loop({args}):",
                f"shape = ({', '.join(extents)},)",
                f"out = empty_like_element(shape, fn({elements}))",
                "row = out.ravel()",
                *(f"{name} = spread({name}, shape)" for name in arrays),
                "for k in range(row.size):",
                f"    row[k] = fn({', '.join(items)})",
                "return out",
            ]
            return "\n    ".join(lines)

        found[ndim] = _by_operands(source, names, scope)
    return found


def _by_operands(source, names, scope):
    """A choice among loops by which operands are arrays."""
    loops = {}

    def choose(*operands):
        arrays = tuple(n for n, ty in zip(names, operands, strict=True) if isinstance(ty, types.Array))
        if arrays not in loops:
            namespace = dict(scope)
            exec(source(arrays), namespace)
            loops[arrays] = active_function(namespace["loop"])
        return loops[arrays]

    return choose


def constant_element(a):
    """An element's value to find a result's type; only compiled code calls it."""
    raise NotImplementedError


@overload(constant_element)
def _constant_element(a):
    element = _scalar_type(a)
    if isinstance(element, Active):
        from tapejit.nopython.statements import constant_like, element_like

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
    loops = {}

    @overload(fn)
    def typer(a):
        if not (is_active_array(a) and a.ndim <= 3 and scalars.result_type(fn, [a.dtype]) is not None):
            return None
        loops.update(loops or _loops(fn, 1))
        loop = loops[a.ndim](a)
        return lambda a: loop(a)


def register_binary(fn):
    """Let Numba know a function of two operands, one an active array, elementwise."""
    loops = {}

    @overload(fn)
    def typer(a, b):
        if not _elementwise(fn, a, b) or _rank(a, b) > 3:
            return None
        loops.update(loops or _loops(fn, 2))
        loop = loops[_rank(a, b)](a, b)
        return lambda a, b: loop(a, b)


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


@overload(choose)
def _choose(condition, x, y):
    return lambda condition, x, y: x if condition else y


_where_loops = {}


@replaces(np.where)
def _where(condition, x, y):
    elements = [_scalar_type(ty) for ty in (x, y)]
    if not isinstance(condition, types.Array) or None in elements or not any(map(has_active, (x, y))):
        return None
    if _rank(condition, x, y) > 3:
        return None
    _where_loops.update(_where_loops or _loops(choose, 3))
    loop = _where_loops[_rank(condition, x, y)](condition, x, y)
    return lambda condition, x, y: loop(condition, x, y)


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

    @active_function
    def row_by_number(a, b):
        row = a.ravel()
        for k in range(row.size):
            row[k] = op(row[k], b)
        return a

    @active_function
    def row_by_array(a, b):
        _check_extents(a, b)
        row = a.ravel()
        items = spread(b, a.shape)
        for k in range(row.size):
            row[k] = op(row[k], items[k])
        return a

    @active_function
    def one(a, b):
        _check_extents(a, b)
        for k in range(a.shape[0]):
            a[k] = op(a[k], at(b, 0, 0, k))
        return a

    @active_function
    def two(a, b):
        _check_extents(a, b)
        for j in range(a.shape[0]):
            for k in range(a.shape[1]):
                a[j, k] = op(a[j, k], at(b, 0, j, k))
        return a

    @active_function
    def three(a, b):
        _check_extents(a, b)
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                for k in range(a.shape[2]):
                    a[i, j, k] = op(a[i, j, k], at(b, i, j, k))
        return a

    def choose(a, b):
        if a.layout == "C":
            return row_by_array if isinstance(b, types.Array) else row_by_number
        return {1: one, 2: two, 3: three}[a.ndim]

    return choose


def _inplace(iop, op):
    """A function that stands for ``iop`` in differentiated code: ours on active arrays, Numba's on anything else."""

    loops = _update_loops(op)

    def stub(a, b):
        raise NotImplementedError

    stub.__name__ = f"inplace_{op.__name__}"

    @overload(stub)
    def typer(a, b):
        if is_active_array(a) and a.ndim <= 3 and _scalar_type(b) is not None:
            loop = loops(a, b)
            return lambda a, b: loop(a, b)
        if isinstance(a, types.Array) and has_active(b):
            return None  # a plain array cannot take the result: reported with a remedy
        if has_active(a) or has_active(b):
            return lambda a, b: op(a, b)
        return lambda a, b: iop(a, b)

    return stub


INPLACE = {
    iop: _inplace(iop, op)
    for iop, op in (
        (operator.iadd, operator.add),
        (operator.isub, operator.sub),
        (operator.imul, operator.mul),
        (operator.itruediv, operator.truediv),
        (operator.ipow, operator.pow),
        (operator.imod, operator.mod),
    )
}
