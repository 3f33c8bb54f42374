"""Arrays whose elements stand in a row: seen as one row, and copied as they stand in memory.

NumPy's ways for it, as Numba compiles them, look at every extent and stride again; on arrays of a few numbers that takes longer
than the arithmetic.
"""

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge.compiler import arrayobj
from tapejit.nopython.cache import typed
from tapejit.nopython.twins import active_function


@intrinsic
def _row(typingctx, a):
    """A C-ordered array as one row, which does not own its memory."""
    result = types.Array(a.dtype, 1, "C", readonly=not a.mutable, aligned=a.aligned)

    def codegen(context, builder, sig, args):
        source = context.make_array(sig.args[0])(context, builder, args[0])
        row = context.make_array(result)(context, builder)
        arrayobj.populate_array(
            row,
            data=source.data,
            shape=[source.nitems],
            strides=[source.itemsize],
            itemsize=source.itemsize,
            meminfo=None,
        )
        return row._getvalue()

    return result(a), codegen


def row_of(a):
    """The elements in C order of a parameter of the function that asks, as long as that runs: its caller owns them."""
    raise NotImplementedError


@typed(row_of)
def _row_of(a):
    return (lambda a: _row(a)) if a.layout == "C" else (lambda a: a.ravel())


@intrinsic
def _move(typingctx, array, values):
    """Copy the memory of a C-ordered array into another one of the same type of elements, and as many."""

    def codegen(context, builder, sig, args):
        target, source = (
            context.make_array(ty)(context, builder, value) for ty, value in zip(sig.args, args, strict=True)
        )
        size = builder.mul(source.nitems, source.itemsize)
        cgutils.raw_memcpy(builder, target.data, source.data, size, 1)
        return context.get_dummy_value()

    return types.void(array, values), codegen


def assigned(array, values):
    """``array`` after ``array[...] = values``, which have its shape; it is new memory."""
    raise NotImplementedError


@typed(assigned)
def _assigned(array, values):
    if values.layout == array.layout == "C":
        if values.dtype == array.dtype:
            return lambda array, values: _moved(array, values)
        return lambda array, values: _assigned_in_a_row(array, values)
    return lambda array, values: _assigned_by_index(array, values)


@active_function
def _moved(array, values):
    _move(array, values)
    return array


@active_function
def _assigned_in_a_row(array, values):
    row, items = row_of(array), row_of(values)
    for k in range(row.size):
        row[k] = items[k]
    return array


@active_function
def _assigned_by_index(array, values):
    for index in np.ndindex(values.shape):
        array[index] = values[index]
    return array
