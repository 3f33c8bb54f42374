"""Running records forward: one that was just appended, or all of a tape again, with other numbers in its leaves."""

from tapejit.core.record import (
    ADDRESS,
    FLAGS,
    H_KERNELS,
    H_RECORDS,
    H_TEAM,
    H_TRAITS,
    IMM,
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
    T_STATUS,
    VIEW,
)
from tapejit.core.rows import run_forward
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_i32, as_i64, ask5, call5


@inner
def address_of(header, record, k, flag):
    """Where an operand's value is: in its record's block, or the immediate of the record that uses it."""
    if as_i32(record)[FLAGS >> 2] & flag:
        return record + IMM
    if k < 0:
        return 0
    return as_i64(as_i64(header)[H_RECORDS] + k * SIZE)[ADDRESS >> 3]


@inner
def run_record(header, record, kernel):
    """Run a record's kernel on the values of its operands. Its status, 0 for kernels that cannot fail."""
    words, longs = as_i32(record), as_i64(record)
    op, flags = words[0], words[1]
    out = longs[ADDRESS >> 3]
    x = address_of(header, record, words[2], SCALAR_A)
    y = address_of(header, record, words[3], SCALAR_B)
    z = address_of(header, record, words[4], SCALAR_C)
    traits = as_i64(as_i64(header)[H_TRAITS])[op]
    if traits & T_ELEMENTWISE:
        layout = as_i64(longs[LAYOUT >> 3])
        size = layout[L_ITEMSIZE]
        size_x = 1 if traits & T_CONDITION else size
        sx = 0 if flags & SCALAR_A else 1
        sy = 0 if flags & SCALAR_B else 1
        sz = 0 if flags & SCALAR_C else 1
        run_forward(as_i64(header)[H_TEAM], kernel, longs[PLAN >> 3], layout[L_N], size, size_x, out, x, sx, y, sy, z, sz)
    elif traits & T_STATUS:
        return ask5(kernel, record, out, x, y, z)
    else:
        call5(kernel, record, out, x, y, z)
    return 0


@entry
def forward(header, first, end):
    """Run records ``first`` to ``end`` - 1 in order; leaves and views have nothing to run.

    Returns 0, or the status of a kernel that failed, where it ends.
    """
    h = as_i64(header)
    for k in range(first, end):
        record = h[H_RECORDS] + k * SIZE
        words = as_i32(record)
        op, flags = words[0], words[1]
        if op != 0 and flags & (VIEW | PUT) != VIEW:
            dtype = as_i64(as_i64(record)[LAYOUT >> 3])[L_DTYPE]
            status = run_record(header, record, as_i64(h[H_KERNELS])[op * KERNELS_PER_OP + dtype * 4])
            if status != 0:
                return status
    return 0
