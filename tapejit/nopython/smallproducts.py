"""Products of a few numbers, recorded number by number: a statement for each number of the result.

A call of BLAS and a record with copies of both factors take longer than a small product itself. One function for all types
of factors, which it gets as addresses and strides, is compiled once.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from tapejit.nopython.cache import helper
from tapejit.nopython.memory import I64, as_f64, as_i32, as_i64, read
from tapejit.nopython.statementtape import (
    CAPACITY,
    COEFFICIENTS,
    COUNTS,
    INDICES,
    STATEMENTS,
    TERMS,
    acquire,
    get_counter,
    set_counter,
)
from tapejit.nopython.types import Tape, is_active_array

MOST = 512  # products of two numbers in a small product of matrices


def is_simple(*tys):
    """Whether arrays are of float64, at least one of them recorded on the first tape."""
    items = [ty.dtype for ty in tys]
    recorded = [item for item in items if isinstance(item, Tape)]
    fits = all(item.scalar == types.float64 for item in recorded)
    return bool(recorded) and fits and all(item in recorded or item == types.float64 for item in items)


@intrinsic
def address_of_data(typingctx, x):
    """The address of an array's first number."""

    def codegen(context, builder, sig, args):
        array = context.make_array(sig.args[0])(context, builder, args[0])
        return builder.ptrtoint(array.data, I64)

    return types.int64(x), codegen


@intrinsic
def is_recorded(typingctx, x):
    """Whether an array's elements are active; known when the code is compiled."""
    answer = is_active_array(x)
    return types.boolean(x), lambda context, builder, sig, args: ir.Constant(ir.IntType(1), int(answer))


@helper
def record_product(out, m, n, common, a, row_a, step_a, active_a, b, step_b, column_b, active_b):
    """out = a @ b, ``m`` by ``n`` numbers with ``common`` products each, for arrays at given addresses.

    Rows, columns and the numbers of a product are so many bytes apart. An active element is a number and that of its
    statement.
    """
    tape = acquire(1)
    position, statement = get_counter(tape, TERMS), get_counter(tape, STATEMENTS)
    terms = common * (int(active_a) + int(active_b))
    room = position + m * n * terms < read(tape, CAPACITY, 0)
    coefficients, indices = as_f64(read(tape, COEFFICIENTS, 0)), as_i32(read(tape, INDICES, 0))
    counts = as_i32(read(tape, COUNTS, 0))
    for i in range(m):
        for j in range(n):
            row, column = a + row_a * i, b + column_b * j
            total = 0.0
            for _ in range(common):
                x, y = as_f64(row)[0], as_f64(column)[0]
                total += x * y
                if room and active_a:
                    coefficients[position] = y
                    indices[position] = as_i64(row)[1]
                    position += 1
                if room and active_b:
                    coefficients[position] = x
                    indices[position] = as_i64(column)[1]
                    position += 1
                row += step_a
                column += step_b
            as_f64(out)[0] = total
            as_i64(out)[1] = statement if room and terms > 0 else 0
            out += 16
            if room and terms > 0:
                counts[statement] = terms
                statement += 1
    if room:
        set_counter(tape, TERMS, position)
        set_counter(tape, STATEMENTS, statement)
    else:
        set_counter(tape, TERMS, read(tape, CAPACITY, 0))
