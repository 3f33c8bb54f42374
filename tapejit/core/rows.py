"""Running row kernels over broadcast, strided operands.

A plan describes the loops of one elementwise op, its dimensions merged where the strides allow it:

    ndim, reduced, sizes[ndim], steps of x, y, z in memory [3 * ndim], steps of their adjoints [3 * ndim]

Bit j of ``reduced`` says that operand j was broadcast, so that its adjoint is a sum over the result's. Plan 0 stands
for operands that all look like the result.

Many elements are cut into parts, ranges of them or of rows, which the threads of a team share (``core.threads``). Each element
has one place, so it does not matter how they are cut.
"""

from tapejit.core.heap import alloc, release
from tapejit.core.team import COUNT, FORWARD, REVERSE, SHARE
from tapejit.edge.capi import stack_words
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_i64, call4, call5, call8, call11

PART = 1 << 15  # elements of a part: some ten microseconds of most kernels
FEWEST = 4  # parts; fewer are not worth waking a thread
MOST = 64
_FRAME = 18  # words of a job: its arguments, and the number of its parts
_PARTS = _FRAME - 1


@inner
def number_of_parts(team, n, units):
    """How many parts ``units`` ranges with ``n`` elements make: 1 where it does not pay, or there is one thread."""
    if n < FEWEST * PART or as_i64(team)[COUNT] <= 1:
        return 1
    return max(min(n // PART, MOST, units), 1)


@inner
def share(team, which, frame, parts):
    """Have the parts of a job done; ``which`` is the word of the team with the address of its function."""
    as_i64(frame)[_PARTS] = parts
    call4(as_i64(team)[SHARE], team, as_i64(team)[which], frame, parts)


@inner
def offsets(plan, row, group):
    """Where row number ``row`` begins, in elements, for the steps of ``group`` (0-2 memory, 3-5 adjoint)."""
    p = as_i64(plan)
    ndim = p[0]
    steps = 2 + ndim * (1 + group)
    position = 0
    for d in range(ndim - 2, -1, -1):
        size = p[2 + d]
        position += (row % size) * p[steps + d]
        row //= size
    return position


@inner
def number_of_units(plan, n):
    """What ranges are of: rows, or elements where all operands look like the result."""
    if plan == 0 or n == 0:
        return n
    return n // as_i64(plan)[1 + as_i64(plan)[0]]


@inner
def forward_range(kernel, plan, first, end, size, size_x, out, x, sx, y, sy, z, sz):
    if plan == 0:
        a = first * size
        call8(kernel, end - first, out + a, x + first * sx * size_x, sx, y + a * sy, sy, z + a * sz, sz)
        return
    p = as_i64(plan)
    ndim = p[0]
    length = p[1 + ndim]
    last = 1 + 2 * ndim
    for row in range(first, end):
        call8(
            kernel,
            length,
            out + row * length * size,
            x + offsets(plan, row, 0) * size_x,
            p[last],
            y + offsets(plan, row, 1) * size,
            p[last + ndim],
            z + offsets(plan, row, 2) * size,
            p[last + 2 * ndim],
        )


def forward_part(frame, k):
    """Part ``k`` of a forward job."""
    f = as_i64(frame)
    units = number_of_units(f[1], f[2])
    first, end = units * k // f[_PARTS], units * (k + 1) // f[_PARTS]
    forward_range(f[0], f[1], first, end, f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11])


@inner
def run_forward(team, kernel, plan, n, size, size_x, out, x, sx, y, sy, z, sz):
    """Run a forward row kernel; ``size`` is the bytes of an element, ``size_x`` that of the first operand."""
    units = number_of_units(plan, n)
    parts = number_of_parts(team, n, units)
    if parts == 1:
        forward_range(kernel, plan, 0, units, size, size_x, out, x, sx, y, sy, z, sz)
        return
    frame = stack_words(_FRAME)
    f = as_i64(frame)
    f[0], f[1], f[2], f[3], f[4], f[5] = kernel, plan, n, size, size_x, out
    f[6], f[7], f[8], f[9], f[10], f[11] = x, sx, y, sy, z, sz
    share(team, FORWARD, frame, parts)


@inner
def reverse_range(kernel, plan, first, end, size, size_x, g, x, sx, y, sy, z, sz, out, target, accumulate):
    if plan == 0:
        a = first * size
        x += first * sx * size_x
        call11(kernel, end - first, g + a, x, sx, y + a * sy, sy, z + a * sz, sz, out + a, target + a, accumulate)
        return
    p = as_i64(plan)
    ndim = p[0]
    length = p[1 + ndim]
    last = 1 + 2 * ndim
    for row in range(first, end):
        at = row * length * size
        call11(
            kernel,
            length,
            g + at,
            x + offsets(plan, row, 0) * size_x,
            p[last],
            y + offsets(plan, row, 1) * size,
            p[last + ndim],
            z + offsets(plan, row, 2) * size,
            p[last + 2 * ndim],
            out + at,
            target + at,
            accumulate,
        )


def reverse_part(frame, k):
    """Part ``k`` of a reverse job."""
    f = as_i64(frame)
    units = number_of_units(f[1], f[2])
    first, end = units * k // f[_PARTS], units * (k + 1) // f[_PARTS]
    reverse_range(f[0], f[1], first, end, f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11], f[12], f[13], f[14])


@inner
def run_reverse(header, team, kernel, reduce, plan, j, n, size, size_x, g, x, sx, y, sy, z, sz, out, target, accumulate):
    """Run the reverse row kernel of operand ``j``; ``reduce`` is the kernel that sums a broadcast adjoint.

    A broadcast operand needs ``target`` to hold zeros or a sum already (``accumulate`` is then 1). False, and nothing is done,
    if there is no memory.
    """
    reduced = plan != 0 and n != 0 and (as_i64(plan)[1] >> j) & 1
    place = alloc(header, n * size) if reduced else target
    if place == 0:
        return False
    accumulate = 0 if reduced else accumulate
    units = number_of_units(plan, n)
    parts = number_of_parts(team, n, units)
    if parts == 1:
        reverse_range(kernel, plan, 0, units, size, size_x, g, x, sx, y, sy, z, sz, out, place, accumulate)
    else:
        frame = stack_words(_FRAME)
        f = as_i64(frame)
        f[0], f[1], f[2], f[3], f[4], f[5] = kernel, plan, n, size, size_x, g
        f[6], f[7], f[8], f[9], f[10], f[11] = x, sx, y, sy, z, sz
        f[12], f[13], f[14] = out, place, accumulate
        share(team, REVERSE, frame, parts)
    if reduced:
        ndim = as_i64(plan)[0]
        call5(reduce, ndim, plan + 16, plan + 8 * (2 + ndim * (4 + j)), place, target)
        release(header, place, n * size)
    return True
