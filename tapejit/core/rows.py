"""Running row kernels over broadcast, strided operands.

A plan describes the loops of one elementwise op, its dimensions merged where the strides allow it:

    ndim, reduced, sizes[ndim], steps of x, y, z in memory [3 * ndim], steps of their adjoints [3 * ndim]

Bit j of ``reduced`` says that operand j was broadcast, so that its adjoint is a sum over the result's. Plan 0 stands
for operands that all look like the result.
"""

from tapejit.core.heap import alloc, release
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_i64, call5, call8, call11


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
def run_forward(kernel, plan, n, size, size_x, out, x, sx, y, sy, z, sz):
    """Run a forward row kernel; ``size`` is the bytes of an element, ``size_x`` that of the first operand."""
    if plan == 0:
        call8(kernel, n, out, x, sx, y, sy, z, sz)
        return
    if n == 0:
        return
    p = as_i64(plan)
    ndim = p[0]
    length = p[1 + ndim]
    last = 1 + 2 * ndim
    for row in range(n // length):
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


@inner
def run_reverse(header, kernel, reduce, plan, j, n, size, size_x, g, x, sx, y, sy, z, sz, out, target, accumulate):
    """Run the reverse row kernel of operand ``j``; ``reduce`` is the kernel that sums a broadcast adjoint.

    A broadcast operand needs ``target`` to hold zeros or a sum already (``accumulate`` is then 1). False, and nothing is done,
    if there is no memory.
    """
    if plan == 0:
        call11(kernel, n, g, x, sx, y, sy, z, sz, out, target, accumulate)
        return True
    if n == 0:
        return True
    p = as_i64(plan)
    ndim = p[0]
    length = p[1 + ndim]
    last = 1 + 2 * ndim
    reduced = (p[1] >> j) & 1
    place = alloc(header, n * size) if reduced else target
    if place == 0:
        return False
    for row in range(n // length):
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
            place + at,
            0 if reduced else accumulate,
        )
    if reduced:
        call5(reduce, ndim, plan + 16, plan + 8 * (2 + ndim * (4 + j)), place, target)
        release(header, place, n * size)
    return True
