"""np.zeros and its like inside a differentiated function: float arrays with active elements."""

import functools

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from tapejit.edge.compiler import arrayobj, impl_ret_new_ref
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, is_active, is_active_array, is_number, level, scalars_in


def structure_of(argtypes):
    """The deepest active type among arguments, with float64 at the bottom; None without one."""
    deepest = max((s for ty in argtypes for s in scalars_in(ty)), key=level, default=None)
    return with_leaf(deepest, types.float64) if isinstance(deepest, Active) else None


def with_leaf(structure, leaf):
    """The same nesting of active types over another float type; the float type itself if there is no nesting."""
    return structure.over(with_leaf(structure.scalar, leaf)) if isinstance(structure, Active) else leaf


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


def allocator(element, zeroed=False):
    """An intrinsic ``empty(shape)`` for a given element type.

    ``zeroed`` where a user's function might read before it writes: what memory held before would be taken for the number
    of a statement. Zero bytes are a constant zero in every active type.
    """

    @intrinsic
    def empty(typingctx, shape):
        ndim = 1 if isinstance(shape, types.Integer) else len(shape)
        arrty = types.Array(element, ndim, "C")

        def codegen(context, builder, sig, args):
            return _allocate(context, builder, arrty, sig.args[0], args[0], zeroed)

        return arrty(types.unliteral(shape)), codegen

    return empty


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


@intrinsic
def empty_like_element(typingctx, shape, like):
    """An uninitialised C-ordered array whose elements have the type of ``like``."""
    ndim = 1 if isinstance(shape, types.Integer) else len(shape)
    arrty = types.Array(types.unliteral(like), ndim, "C")

    def codegen(context, builder, sig, args):
        return _allocate(context, builder, arrty, sig.args[0], args[0])

    return arrty(types.unliteral(shape), types.unliteral(like)), codegen


@active_function
def filled(array, value):
    flat = array.ravel()
    for k in range(flat.size):
        flat[k] = value
    return array


@active_function
def _unit_diagonal(matrix):
    for k in range(matrix.shape[0]):
        matrix[k, k] = 1.0
    return matrix


@active_function
def assigned(array, values):
    for index in np.ndindex(values.shape):
        array[index] = values[index]
    return array


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


@functools.cache
def allocators(structure):
    """NumPy function -> its form for functions whose active values have this structure."""
    replaced = {}

    def form(numpy_function):
        def enter(typer):
            def stub(*args):
                raise NotImplementedError("only compiled code allocates active arrays")

            name = getattr(numpy_function, "__name__", None)
            stub.__name__ = stub.__qualname__ = f"np.{name}" if name else f"the method .{numpy_function}()"
            overload(stub, strict=False)(typer)
            replaced[numpy_function] = stub
            return typer

        return enter

    @form(np.empty)
    def empty(shape, dtype=None):
        element = _dtype(structure, dtype)
        if element is None:
            return lambda shape, dtype=None: np.empty(shape, dtype)
        make = allocator(element, zeroed=True)
        return lambda shape, dtype=None: make(shape)

    def constant(numpy_function, value):
        @form(numpy_function)
        def typer(shape, dtype=None):
            element = _dtype(structure, dtype)
            if element is None:
                return lambda shape, dtype=None: numpy_function(shape, dtype)
            make = allocator(element, zeroed=not value)
            if not value:
                return lambda shape, dtype=None: make(shape)
            return lambda shape, dtype=None: filled(make(shape), value)

    constant(np.zeros, 0.0)
    constant(np.ones, 1.0)

    @form(np.full)
    def full(shape, fill_value, dtype=None):
        given = not (dtype is None or isinstance(dtype, (types.Omitted, types.NoneType)))
        element = _dtype(structure, dtype)
        if element is not None and (given or not isinstance(fill_value, (types.Integer, types.Boolean))):
            make = allocator(element)
            return lambda shape, fill_value, dtype=None: filled(make(shape), fill_value)
        if given:
            return lambda shape, fill_value, dtype=None: np.full(shape, fill_value, dtype)
        return lambda shape, fill_value, dtype=None: np.full(shape, fill_value)

    def like_element(a, dtype):
        if not (dtype is None or isinstance(dtype, (types.Omitted, types.NoneType))):
            return _dtype(structure, dtype)
        item = a.dtype if isinstance(a, types.Array) else types.unliteral(a)
        if isinstance(item, Active):
            return item if level(item) == level(structure) else with_leaf(structure, item.leaf)
        return with_leaf(structure, item) if isinstance(item, types.Float) else None

    def like(numpy_function, value):
        @form(numpy_function)
        def typer(a, dtype=None):
            element = like_element(a, dtype)
            if element is None:
                if dtype is None or isinstance(dtype, (types.Omitted, types.NoneType)):
                    return lambda a, dtype=None: numpy_function(a)
                return lambda a, dtype=None: numpy_function(a, dtype)
            make = allocator(element, zeroed=not value)
            if not value:
                return lambda a, dtype=None: make(np.shape(a))
            return lambda a, dtype=None: filled(make(np.shape(a)), value)

    @form(np.eye)
    def eye(N):
        if not isinstance(N, types.Integer):
            return None
        make = allocator(structure, zeroed=True)
        return lambda N: _unit_diagonal(make((N, N)))

    @form(np.identity)
    def identity(n):
        make = allocator(structure, zeroed=True)
        return lambda n: _unit_diagonal(make((n, n)))

    like(np.empty_like, None)
    like(np.zeros_like, 0.0)
    like(np.ones_like, 1.0)

    @form(np.full_like)
    def full_like(a, fill_value, dtype=None):
        element = like_element(a, dtype)
        if element is None:
            return lambda a, fill_value, dtype=None: np.full_like(a, fill_value)
        make = allocator(element)
        return lambda a, fill_value, dtype=None: filled(make(np.shape(a)), fill_value)

    def array_like(a, dtype=None):
        if isinstance(a, types.Array):
            element = like_element(a, dtype)
            if element is None:
                return lambda a, dtype=None: a.copy()
            make = allocator(element)
            return lambda a, dtype=None: assigned(make(a.shape), a)
        depth, item = _items(a)
        if depth not in (1, 2) or not (is_active(item) or is_number(item)):
            return None
        plain = dtype is None or isinstance(dtype, (types.Omitted, types.NoneType))
        element = _dtype(structure, dtype)
        if plain and isinstance(item, (types.Integer, types.Boolean)):
            element = None
        if element is None and depth == 1:
            return (
                (lambda a, dtype=None: np.array(a)) if plain else (lambda a, dtype=None: np.array(a, dtype))
            )
        if element is None:  # Numba takes no nested lists but literal ones
            element = item if plain else dtype.dtype
        if plain and is_active(item):
            element = with_leaf(structure, item.leaf)
        make = allocator(element)
        if depth == 1:
            if isinstance(a, types.Tuple):
                return lambda a, dtype=None: _from_tuple(make(len(a)), a, 0)
            return lambda a, dtype=None: from_sequence(make(len(a)), a)
        return lambda a, dtype=None: from_nested(make((len(a), len(a[0]))), a)

    form(np.array)(array_like)

    @form(np.copy)
    def copy(a):
        implementation = array_like(a)
        if implementation is None or not isinstance(a, types.Array):
            return None
        element = like_element(a, None)
        if element is None:
            return lambda a: a.copy()
        make = allocator(element)
        return lambda a: assigned(make(a.shape), a)

    @form("copy")
    def copy_method(a):
        if not isinstance(a, types.Array):
            return lambda a: a.copy()
        return copy(a)

    @form("astype")
    def astype(a, dtype):
        if not isinstance(a, types.Array):
            return lambda a, dtype: a.astype(dtype)
        element = _dtype(structure, dtype)
        if element is None:
            if is_active_array(a):
                return None
            return lambda a, dtype: a.astype(dtype)
        make = allocator(element)
        return lambda a, dtype: assigned(make(a.shape), a)

    return replaced


def _from_tuple(array, items, k):
    raise NotImplementedError


@overload(_from_tuple)
def _from_tuple_typed(array, items, k):
    if len(items) == 0:
        return lambda array, items, k: array

    def implementation(array, items, k):
        array[k] = items[0]
        return _from_tuple(array, items[1:], k + 1)

    return implementation
