"""np.zeros and its like inside a differentiated function: float arrays with active elements."""

# ruff: noqa: RUF005  (compiled by Numba: tuples are joined with +)

import functools

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge.compiler import arrayobj, impl_ret_new_ref
from tapejit.nopython.algebra import algebra
from tapejit.nopython.cache import typed
from tapejit.nopython.contiguous import assigned, row_of
from tapejit.nopython.exchange import supplied
from tapejit.nopython.named import named_as
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import (
    Active,
    holds_namedtuple,
    holds_plain_floats,
    is_active,
    is_active_array,
    is_number,
    level,
    with_leaf,
)


def _dtype(structure, dtype):
    """The element type an allocation with this dtype argument gets, or None for NumPy's own."""
    if dtype is None or isinstance(dtype, (types.Omitted, types.NoneType)):
        return structure
    if isinstance(dtype, types.Function) and dtype.typing_key is float:
        return structure
    scalar = getattr(dtype, "dtype", None)
    if isinstance(scalar, Active):
        return scalar if level(scalar) >= level(structure) else with_leaf(structure, scalar.leaf)
    return with_leaf(structure, scalar) if isinstance(scalar, types.Float) else None


def _allocate(context, builder, arrty, shape_type, shape, zeroed=False):
    if isinstance(shape_type, types.Integer):
        extents = [context.cast(builder, shape, shape_type, types.intp)]
    else:
        items = zip(cgutils.unpack_tuple(builder, shape), shape_type, strict=True)
        extents = [context.cast(builder, value, ty, types.intp) for value, ty in items]
    for extent in extents:
        with cgutils.if_unlikely(builder, builder.icmp_signed("<", extent, extent.type(0))):
            context.call_conv.return_user_exc(builder, ValueError, ("negative dimensions not allowed",))
    array = arrayobj._empty_nd_impl(context, builder, arrty, extents)
    if zeroed:
        nbytes = builder.mul(array.nitems, array.itemsize)
        cgutils.memset(builder, array.data, nbytes, 0)
    return impl_ret_new_ref(context, builder, arrty, array._getvalue())


def _allocator(zeroed, element_of):
    def typing(typingctx, shape, what):
        ndim = 1 if isinstance(shape, types.Integer) else len(shape)
        arrty = types.Array(element_of(what), ndim, "C")

        def codegen(context, builder, sig, args):
            return _allocate(context, builder, arrty, sig.args[0], args[0], zeroed)

        return arrty(types.unliteral(shape), types.unliteral(what)), codegen

    return typing


@intrinsic
def empty_like_element(typingctx, shape, like):
    """An uninitialised C-ordered array whose elements have the type of ``like``."""
    return _allocator(False, types.unliteral)(typingctx, shape, like)


@intrinsic
def empty_of(typingctx, shape, ref):
    """The same of a type."""
    return _allocator(False, lambda ref: ref.instance_type)(typingctx, shape, ref)


@intrinsic
def zeros_of(typingctx, shape, ref):
    """An array of zeros, whatever a function does with it: what memory held before would be taken for statements' numbers.

    Zero bytes are a constant zero in every active type.
    """
    return _allocator(True, lambda ref: ref.instance_type)(typingctx, shape, ref)


@active_function
def filled(array, value):
    flat = row_of(array)
    for k in range(flat.size):
        flat[k] = value
    return array


@active_function
def _unit_diagonal(matrix):
    for k in range(matrix.shape[0]):
        matrix[k, k] = 1.0
    return matrix


@intrinsic
def constant_of(typingctx, x, ref):
    """A plain number as a constant of an active type."""
    ty = with_leaf(ref.instance_type, x) if isinstance(x, types.Float) else ref.instance_type

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, ty)
        return alg.pack(alg.lift(sig.args[0], args[0]))

    return ty(types.unliteral(x), ref), codegen


def activated(a, ref, kinds):
    """An active copy of an array of plain floats, also of those in a tuple, and of a namedtuple; anything else as it is.

    ``kinds``: the numbers in a namedtuple that become active, ``float64`` for floats alone, ``int64`` for integers too.
    """
    raise NotImplementedError


@typed(activated)
def _activated(a, ref, kinds):
    if isinstance(a, types.BaseNamedTuple):
        return lambda a, ref, kinds: named_as(a, _items_activated(a, ref, kinds))
    if not holds_plain_floats(a) and not holds_namedtuple(a):
        return lambda a, ref, kinds: a
    if isinstance(a, types.BaseTuple):
        return lambda a, ref, kinds: (activated(a[0], ref, kinds),) + activated(a[1:], ref, kinds)
    element = with_leaf(ref.instance_type, a.dtype)
    return lambda a, ref, kinds: assigned(empty_of(a.shape, element), a)


def _items_activated(a, ref, kinds):
    """The same of what is in a namedtuple, where numbers count too: Numba has no type for two kinds of one."""
    raise NotImplementedError


@typed(_items_activated)
def _typed_items(a, ref, kinds):
    if len(a) == 0:
        return lambda a, ref, kinds: ()
    integers = (types.Integer, types.Boolean) if kinds.instance_type == types.int64 else ()
    if isinstance(types.unliteral(a[0]), (types.Float, *integers)):
        return lambda a, ref, kinds: (constant_of(a[0], ref),) + _items_activated(a[1:], ref, kinds)
    return lambda a, ref, kinds: (activated(a[0], ref, kinds),) + _items_activated(a[1:], ref, kinds)


@active_function
def from_sequence(array, values):
    for k in range(len(values)):
        array[k] = values[k]
    return array


@active_function
def from_nested(array, rows):
    for i in range(len(rows)):
        for j in range(len(rows[i])):
            array[i, j] = rows[i][j]
    return array


def _items(ty):
    """(number of nested sequences, element type) of a list or tuple of scalars."""
    if isinstance(ty, (types.List, types.UniTuple)):
        depth, item = _items(ty.dtype)
        return depth + 1, item
    if isinstance(ty, types.BaseTuple) and len(ty):
        depths = [_items(item) for item in ty]
        if all(d == 0 for d, _ in depths):
            best = max((s for _, s in depths), key=lambda s: (level(s), isinstance(s, types.Float)))
            return 1, best
        return 99, None
    return 0, types.unliteral(ty)


def _is_left_out(dtype):
    return dtype is None or isinstance(dtype, (types.Omitted, types.NoneType))


class _Forms:
    """The forms of NumPy's functions that make arrays, in functions whose active values have one structure.

    Each method is a typer, as for ``overload``.
    """

    def __init__(self, structure):
        self.structure = structure

    def like_element(self, a, dtype):
        """The element type of an array like another one; None for NumPy's own."""
        if not _is_left_out(dtype):
            return _dtype(self.structure, dtype)
        item = a.dtype if isinstance(a, types.Array) else types.unliteral(a)
        if isinstance(item, Active):
            return item if level(item) == level(self.structure) else with_leaf(self.structure, item.leaf)
        return with_leaf(self.structure, item) if isinstance(item, types.Float) else None

    def constant(self, numpy_function, value):
        def typer(shape, dtype=None):
            element = _dtype(self.structure, dtype)
            if element is None:
                return lambda shape, dtype=None: numpy_function(shape, dtype)
            if not value:
                return lambda shape, dtype=None: zeros_of(shape, element)
            return lambda shape, dtype=None: filled(empty_of(shape, element), value)

        return typer

    def full(self, shape, fill_value, dtype=None):
        given = not _is_left_out(dtype)
        element = _dtype(self.structure, dtype)
        if element is not None and (given or not isinstance(fill_value, (types.Integer, types.Boolean))):
            return lambda shape, fill_value, dtype=None: filled(empty_of(shape, element), fill_value)
        if given:
            return lambda shape, fill_value, dtype=None: np.full(shape, fill_value, dtype)
        return lambda shape, fill_value, dtype=None: np.full(shape, fill_value)

    def like(self, numpy_function, value):
        def typer(a, dtype=None):
            element = self.like_element(a, dtype)
            if element is None:
                if _is_left_out(dtype):
                    return lambda a, dtype=None: numpy_function(a)
                return lambda a, dtype=None: numpy_function(a, dtype)
            if not value:
                return lambda a, dtype=None: zeros_of(np.shape(a), element)
            return lambda a, dtype=None: filled(empty_of(np.shape(a), element), value)

        return typer

    def full_like(self, a, fill_value, dtype=None):
        element = self.like_element(a, dtype)
        if element is None:
            return lambda a, fill_value, dtype=None: np.full_like(a, fill_value)
        return lambda a, fill_value, dtype=None: filled(empty_of(np.shape(a), element), fill_value)

    def eye(self, N):
        element = self.structure
        return (lambda N: _unit_diagonal(zeros_of((N, N), element))) if isinstance(N, types.Integer) else None

    def identity(self, n):
        element = self.structure
        return lambda n: _unit_diagonal(zeros_of((n, n), element))

    def array(self, a, dtype=None):
        if isinstance(a, types.Array):
            element = self.like_element(a, dtype)
            if element is None:
                return lambda a, dtype=None: a.copy()
            return lambda a, dtype=None: assigned(empty_of(a.shape, element), a)
        depth, item = _items(a)
        if depth not in (1, 2) or not (is_active(item) or is_number(item)):
            return None
        plain = _is_left_out(dtype)
        element = _dtype(self.structure, dtype)
        if plain and isinstance(item, (types.Integer, types.Boolean)):
            element = None
        if element is None and depth == 1:
            return (
                (lambda a, dtype=None: np.array(a)) if plain else (lambda a, dtype=None: np.array(a, dtype))
            )
        if element is None:  # Numba takes no nested lists but literal ones
            element = item if plain else dtype.dtype
        if plain and is_active(item):
            element = with_leaf(self.structure, item.leaf)
        if depth == 2:
            return lambda a, dtype=None: from_nested(empty_of((len(a), len(a[0])), element), a)
        if isinstance(a, types.Tuple):
            return lambda a, dtype=None: _from_tuple(empty_of(len(a), element), a, 0)
        return lambda a, dtype=None: from_sequence(empty_of(len(a), element), a)

    def copy(self, a):
        if not isinstance(a, types.Array):
            return None
        element = self.like_element(a, None)
        if element is None:
            return lambda a: a.copy()
        return lambda a: assigned(empty_of(a.shape, element), a)

    def copy_method(self, a):
        return self.copy(a) if isinstance(a, types.Array) else (lambda a: a.copy())

    def become(self, kinds):
        element = self.structure
        return lambda a: (lambda a: activated(a, element, kinds))

    def astype(self, a, dtype):
        element = _dtype(self.structure, dtype) if isinstance(a, types.Array) else None
        if element is not None:
            return lambda a, dtype: assigned(empty_of(a.shape, element), a)
        return None if is_active_array(a) else (lambda a, dtype: a.astype(dtype))


@functools.cache
def allocators(structure):
    """NumPy function, or name of a method -> its form for functions whose active values have this structure."""
    forms = _Forms(structure)
    typers = {
        np.empty: forms.constant(np.empty, 0.0),
        np.zeros: forms.constant(np.zeros, 0.0),
        np.ones: forms.constant(np.ones, 1.0),
        np.full: forms.full,
        np.empty_like: forms.like(np.empty_like, 0.0),
        np.zeros_like: forms.like(np.zeros_like, 0.0),
        np.ones_like: forms.like(np.ones_like, 1.0),
        np.full_like: forms.full_like,
        np.eye: forms.eye,
        np.identity: forms.identity,
        np.array: forms.array,
        np.copy: forms.copy,
        "copy": forms.copy_method,
        "astype": forms.astype,
        "become": forms.become(types.float64),
        "become_whole": forms.become(types.int64),
    }
    return {function: _entered(function, typer) for function, typer in typers.items()}


def _entered(function, typer):
    def stub(*args):
        raise NotImplementedError("only compiled code allocates active arrays")

    name = getattr(function, "__name__", None)
    stub.__name__ = stub.__qualname__ = f"np.{name}" if name else f"the method .{function}()"
    typed(stub, strict=False)(typer)
    return stub


supplied.allocators = allocators


def _from_tuple(array, items, k):
    raise NotImplementedError


@typed(_from_tuple)
def _from_tuple_typed(array, items, k):
    if len(items) == 0:
        return lambda array, items, k: array

    def implementation(array, items, k):
        array[k] = items[0]
        return _from_tuple(array, items[1:], k + 1)

    return implementation
