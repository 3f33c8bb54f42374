"""Changing many tensors in place by one kernel: what the step of an optimiser is."""

from tapejit.core.append import shared, touch
from tapejit.core.record import (
    ADDRESS,
    GRAD,
    H_COUNT,
    H_GRAD_MODE,
    H_MOVED,
    H_RECORDS,
    H_TAPE,
    H_THREAD,
    L_CONTIGUOUS,
    L_DTYPE,
    L_N,
    LAYOUT,
    MASK,
    RECLAIM,
    SIZE,
    SLOW,
    TAPE_SHIFT,
)
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_i64, call4, thread_id

READ = 1  # the place in a row of the tensor that is only read, the gradient


@inner
def contiguous_on(header, a, dtype):
    """Whether ``a`` is a contiguous tensor of a dtype on this tape."""
    h = as_i64(header)
    if a >> TAPE_SHIFT != h[H_TAPE]:
        return False
    layout = as_i64(as_i64(h[H_RECORDS] + (a & MASK) * SIZE)[LAYOUT >> 3])
    return layout[L_CONTIGUOUS] != 0 and layout[L_DTYPE] == dtype


@entry
def update(header, moved, kernel, dtype, rows, count, width, numbers):
    """Run ``kernel(elements, addresses, numbers, 0)`` for each of ``count`` rows of ``width`` tensors.

    ``rows`` is the address of the tensors' handles, which become their addresses. All must be contiguous, of the dtype and,
    within a row, of one layout, and records must have moved ``moved`` times; otherwise nothing is changed.
    """
    h = as_i64(header)
    if h[H_THREAD] != thread_id() or h[H_GRAD_MODE] & GRAD:
        return SLOW
    if h[H_MOVED] != moved:
        return RECLAIM
    table = as_i64(rows)
    for i in range(count):
        row = i * width
        if not contiguous_on(header, table[row], dtype):
            return SLOW
        layout = as_i64(h[H_RECORDS] + (table[row] & MASK) * SIZE)[LAYOUT >> 3]
        for j in range(width):
            a = table[row + j]
            if a >> TAPE_SHIFT != h[H_TAPE] or as_i64(h[H_RECORDS] + (a & MASK) * SIZE)[LAYOUT >> 3] != layout:
                return SLOW
            if j != READ and shared(header, a & MASK):
                return SLOW
    for i in range(count):
        row = i * width
        n = as_i64(as_i64(h[H_RECORDS] + (table[row] & MASK) * SIZE)[LAYOUT >> 3])[L_N]
        for j in range(width):
            a = table[row + j] & MASK
            if j != READ:
                touch(header, a, 2 * h[H_COUNT])
            table[row + j] = as_i64(h[H_RECORDS] + a * SIZE)[ADDRESS >> 3]
        call4(kernel, n, rows + row * 8, numbers, 0)
    return 0
