"""Gathering and scattering by flat indices (see ``structured``)."""

from tapejit.core.record import IMM, N
from tapejit.edge.raw import as_f64, as_i64, copy_bytes, zero_bytes
from tapejit.edge.raw import as_f64 as P

SIZE = 8  # bytes of an element; rebound with P


# take: gather by flat indices; scatter_add: its transpose


def take_forward(record, out, x, y, z):
    for i in range(as_i64(record)[N >> 3]):
        P(out)[i] = P(x)[as_i64(y)[i]]


def take_reverse(record, g, x, y, z, out, target, accumulate):
    for i in range(as_i64(record)[N >> 3]):
        P(target)[as_i64(y)[i]] += P(g)[i]


def scatter_add_forward(record, out, x, y, z):
    zero_bytes(out, as_i64(record)[N >> 3] * SIZE)
    for i in range(int(as_f64(record)[IMM >> 3])):
        P(out)[as_i64(y)[i]] += P(x)[i]


def scatter_add_reverse(record, g, x, y, z, out, target, accumulate):
    for i in range(int(as_f64(record)[IMM >> 3])):
        P(target)[i] = P(g)[as_i64(y)[i]] + (P(target)[i] if accumulate else 0)


# put: the operand with some elements replaced, by flat indices (z) that are all different; place: the same for a strided
# region.
# The adjoint of the operand is the result's with those elements cleared, which reverse_x does in place.


def put_forward(record, out, x, y, z):
    if out != x:
        copy_bytes(out, x, as_i64(record)[N >> 3] * SIZE)
    for i in range(int(as_f64(record)[IMM >> 3])):
        P(out)[as_i64(z)[i]] = P(y)[i]


def put_reverse_x(record, g, x, y, z, out, target, accumulate):
    for i in range(int(as_f64(record)[IMM >> 3])):
        P(g)[as_i64(z)[i]] = 0


def put_reverse_y(record, g, x, y, z, out, target, accumulate):
    for i in range(int(as_f64(record)[IMM >> 3])):
        j = as_i64(z)[i]
        P(target)[i] = P(g)[j] + (P(target)[i] if accumulate else 0)


def row_forward(record, out, x, y, z):
    """The addresses of two or three operands; of a further row, IMM long, those that are in it."""
    words = as_i64(out)
    words[0] = x
    words[1] = y
    further = int(as_f64(record)[IMM >> 3])
    if further:
        copy_bytes(out + 16, z, 8 * further)
    elif as_i64(record)[N >> 3] > 2:
        words[2] = z


KERNELS = {
    "row": (row_forward,),
    "kept_row": (row_forward,),
    "take": (take_forward, take_reverse, None),
    "scatter_add": (scatter_add_forward, scatter_add_reverse, None),
    "put": (put_forward, put_reverse_x, put_reverse_y, None),
}
