"""Views, copies, casts, sums and norms: kernels that walk one contiguous and one strided side (see ``structured``)."""

import numpy as np

from tapejit.core.record import IMM, PLAN, N
from tapejit.core.sums import MANY, REASSOCIATE, row_sum, sum_of_many
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64, as_i64, copy_bytes, zero_bytes
from tapejit.edge.raw import as_f64 as P

SIZE = 8  # bytes of an element; rebound with P


@inner
def offset(ndim, sizes, steps, row):
    """Where row number ``row`` of the strided side begins, in elements."""
    position = 0
    for d in range(ndim - 2, -1, -1):
        position += (row % sizes[d]) * steps[d]
        row //= sizes[d]
    return position


@inner
def count(ndim, sizes):
    n = 1
    for d in range(ndim):
        n *= sizes[d]
    return n


@inner
def add_strided(ndim, sizes, steps, source, target, scale):
    """target[strided] += scale * source, over a contiguous source; a step of 0 sums."""
    length = sizes[ndim - 1]
    step = steps[ndim - 1]
    n = count(ndim, sizes)
    if n == 0:
        return
    for row in range(n // length):
        t = P(target + offset(ndim, sizes, steps, row) * SIZE)
        s = P(source + row * length * SIZE)
        if step == 0:
            t[0] += row_sum(s, length) * scale
        elif step == 1:
            for i in range(length):
                t[i] += s[i] * scale
        else:
            for i in range(length):
                t[i * step] += s[i] * scale


@inner
def take_strided(ndim, sizes, steps, source, target, scale, accumulate):
    """target (+)= scale * source[strided], over a contiguous target; a step of 0 repeats."""
    length = sizes[ndim - 1]
    step = steps[ndim - 1]
    n = count(ndim, sizes)
    if n == 0:
        return
    for row in range(n // length):
        s = P(source + offset(ndim, sizes, steps, row) * SIZE)
        t = P(target + row * length * SIZE)
        if step == 0:
            v = s[0] * scale
            if accumulate:
                for i in range(length):
                    t[i] += v
            else:
                for i in range(length):
                    t[i] = v
        elif accumulate:
            for i in range(length):
                t[i] += s[i * step] * scale
        elif step == 1:
            for i in range(length):
                t[i] = s[i] * scale
        else:
            for i in range(length):
                t[i] = s[i * step] * scale


@inner
def put_strided(ndim, sizes, steps, source, target):
    """target[strided] = source, or 0 where ``source`` is 0 (the address)."""
    length = sizes[ndim - 1]
    step = steps[ndim - 1]
    n = count(ndim, sizes)
    if n == 0:
        return
    for row in range(n // length):
        t = P(target + offset(ndim, sizes, steps, row) * SIZE)
        s = P(source + row * length * SIZE)
        if source == 0:
            for i in range(length):
                t[i * step] = 0
        else:
            for i in range(length):
                t[i * step] = s[i]


@inner
def add_or_copy(source, target, n, accumulate):
    if accumulate:
        t = P(target)
        s = P(source)
        for i in range(n):
            t[i] += s[i]
    else:
        copy_bytes(target, source, n * SIZE)


@inner
def strided_plan(record):
    """(ndim, sizes, steps) of a plan that maps a contiguous side to a strided one."""
    plan = as_i64(record)[PLAN >> 3]
    ndim = as_i64(plan)[0]
    return ndim, as_i64(plan + 8), as_i64(plan + 8 * (1 + ndim))


# Views: no work forward; the forward slot holds the sum into a strided target that broadcasting uses


def view_reduce(ndim, sizes, steps, source, target):
    add_strided(ndim, as_i64(sizes), as_i64(steps), source, target, 1)


def view_reverse(record, g, x, y, z, out, target, accumulate):
    start = int(as_f64(record)[IMM >> 3])
    if as_i64(record)[PLAN >> 3] == 0:
        add_or_copy(g, target + start * SIZE, as_i64(record)[N >> 3], accumulate)
    else:
        ndim, sizes, steps = strided_plan(record)
        add_strided(ndim, sizes, steps, g, target + start * SIZE, 1)


# spread: the transpose of a view, zeros with the operand added at strided places


def spread_forward(record, out, x, y, z):
    zero_bytes(out, as_i64(record)[N >> 3] * SIZE)
    ndim, sizes, steps = strided_plan(record)
    add_strided(ndim, sizes, steps, x, out + int(as_f64(record)[IMM >> 3]) * SIZE, 1)


def spread_reverse(record, g, x, y, z, out, target, accumulate):
    ndim, sizes, steps = strided_plan(record)
    take_strided(ndim, sizes, steps, g + int(as_f64(record)[IMM >> 3]) * SIZE, target, 1, accumulate)


# copy: a strided operand made contiguous


def copy_forward(record, out, x, y, z):
    if as_i64(record)[PLAN >> 3] == 0:
        copy_bytes(out, x, as_i64(record)[N >> 3] * SIZE)
    else:
        ndim, sizes, steps = strided_plan(record)
        take_strided(ndim, sizes, steps, x, out, 1, 0)


def copy_reverse(record, g, x, y, z, out, target, accumulate):
    add_or_copy(g, target, as_i64(record)[N >> 3], accumulate)


# cast between the float types: P is the result's type, Q the operand's


def cast_forward(record, out, x, y, z):
    for i in range(as_i64(record)[N >> 3]):
        P(out)[i] = Q(x)[i]  # noqa: F821 - bound by as_floats


def cast_reverse(record, g, x, y, z, out, target, accumulate):
    for i in range(as_i64(record)[N >> 3]):
        Q(target)[i] = P(g)[i] + (Q(target)[i] if accumulate else 0)  # noqa: F821


# sum and mean: a strided target with steps of 0, and a scale; after the plan stands the address of the team


def sum_forward(record, out, x, y, z):
    ndim, sizes, steps = strided_plan(record)
    scale = as_f64(record)[IMM >> 3]
    if ndim == 1 and steps[0] == 0 and sizes[0] >= MANY:
        P(out)[0] = sum_of_many(steps[1], x, sizes[0], SIZE) * scale  # the word after the plan's own is the team's
        return
    for i in range(as_i64(record)[N >> 3]):
        P(out)[i] = 0.0 * scale  # NaN for the mean of nothing
    add_strided(ndim, sizes, steps, x, out, scale)


def sum_reverse(record, g, x, y, z, out, target, accumulate):
    ndim, sizes, steps = strided_plan(record)
    take_strided(ndim, sizes, steps, g, target, as_f64(record)[IMM >> 3], accumulate)


# norm: the square root of a sum of squares, with derivative 0 at 0


def norm_forward(record, out, x, y, z):
    ndim, sizes, steps = strided_plan(record)
    length = sizes[ndim - 1]
    step = steps[ndim - 1]
    n = as_i64(record)[N >> 3]
    zero_bytes(out, n * SIZE)
    total = count(ndim, sizes)
    for row in range(total // length if total else 0):
        o = P(out + offset(ndim, sizes, steps, row) * SIZE)
        s = P(x + row * length * SIZE)
        if step == 0:
            o[0] += block_square_sum(s, length)
        else:
            for i in range(length):
                o[i * step] += s[i] * s[i]
    for i in range(n):
        P(out)[i] = np.sqrt(P(out)[i])


@inner(fastmath=REASSOCIATE)
def block_square_sum(p, n):
    total = 0.0
    for i in range(n):
        total += p[i] * p[i]
    return total


def norm_reverse(record, g, x, y, z, out, target, accumulate):
    ndim, sizes, steps = strided_plan(record)
    length = sizes[ndim - 1]
    step = steps[ndim - 1]
    total = count(ndim, sizes)
    for row in range(total // length if total else 0):
        at = offset(ndim, sizes, steps, row)
        o = P(out + at * SIZE)
        u = P(g + at * SIZE)
        s = P(x + row * length * SIZE)
        t = P(target + row * length * SIZE)
        for i in range(length):
            k = i * step
            part = 0.0 if o[k] == 0 or u[k] == 0 else u[k] / o[k] * s[i]
            t[i] = part + t[i] if accumulate else part


# place: the operand with a strided region replaced; its adjoint is the result's with the region cleared, which
# reverse_x does in place


def place_forward(record, out, x, y, z):
    if out != x:
        copy_bytes(out, x, as_i64(record)[N >> 3] * SIZE)
    ndim, sizes, steps = strided_plan(record)
    put_strided(ndim, sizes, steps, y, out + int(as_f64(record)[IMM >> 3]) * SIZE)


def place_reverse_x(record, g, x, y, z, out, target, accumulate):
    ndim, sizes, steps = strided_plan(record)
    put_strided(ndim, sizes, steps, 0, g + int(as_f64(record)[IMM >> 3]) * SIZE)


def place_reverse_y(record, g, x, y, z, out, target, accumulate):
    ndim, sizes, steps = strided_plan(record)
    take_strided(ndim, sizes, steps, g + int(as_f64(record)[IMM >> 3]) * SIZE, target, 1, accumulate)


KERNELS = {
    "view": (view_reduce, view_reverse),
    "spread": (spread_forward, spread_reverse),
    "copy": (copy_forward, copy_reverse),
    "cast": (cast_forward, cast_reverse),
    "norm": (norm_forward, norm_reverse),
    "place": (place_forward, place_reverse_x, place_reverse_y),
    "sum": (sum_forward, sum_reverse),
    "mean": (sum_forward, sum_reverse),
}
