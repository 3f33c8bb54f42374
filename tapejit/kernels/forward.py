"""The forward sweep: records that have run once are run again, with other numbers in their leaves."""

from tapejit.kernels.append import address_of
from tapejit.kernels.jit import entry
from tapejit.kernels.raw import as_i32, as_i64, call5
from tapejit.kernels.record import (
    ADDRESS,
    H_KERNELS,
    H_RECORDS,
    H_TRAITS,
    KERNELS_PER_OP,
    L_DTYPE,
    L_ITEMSIZE,
    L_N,
    LAYOUT,
    PLAN,
    PUT,
    SCALAR_A,
    SCALAR_B,
    SCALAR_C,
    SIZE,
    T_CONDITION,
    T_ELEMENTWISE,
    VIEW,
)
from tapejit.kernels.rows import run_forward


@entry
def forward(header, first, end):
    """Run records ``first`` to ``end`` - 1 in order; leaves and views have nothing to run."""
    h = as_i64(header)
    for k in range(first, end):
        record = h[H_RECORDS] + k * SIZE
        words, longs = as_i32(record), as_i64(record)
        op, flags = words[0], words[1]
        if op == 0 or flags & (VIEW | PUT) == VIEW:
            continue
        layout = as_i64(longs[LAYOUT >> 3])
        kernel = as_i64(h[H_KERNELS])[op * KERNELS_PER_OP + layout[L_DTYPE] * 4]
        out = longs[ADDRESS >> 3]
        x = address_of(header, record, words[2], SCALAR_A)
        y = address_of(header, record, words[3], SCALAR_B)
        z = address_of(header, record, words[4], SCALAR_C)
        traits = as_i64(h[H_TRAITS])[op]
        if traits & T_ELEMENTWISE:
            size = layout[L_ITEMSIZE]
            size_x = 1 if traits & T_CONDITION else size
            sx = 0 if flags & SCALAR_A else 1
            sy = 0 if flags & SCALAR_B else 1
            sz = 0 if flags & SCALAR_C else 1
            run_forward(kernel, longs[PLAN >> 3], layout[L_N], size, size_x, out, x, sx, y, sy, z, sz)
        else:
            call5(kernel, record, out, x, y, z)
    return 0
