"""Appending records: what one Python-level operation costs.

Each function is called from Python through its compiled entry point with integers, runs the op's kernel and answers
the handle of the new record, or one of the negative answers of ``record``. The fast ones (``unary``, ``binary``,
``scalar``) refuse everything unusual; ``general`` takes what Python has worked out.
"""

from tapejit.core.forward import run_record
from tapejit.core.heap import alloc, release
from tapejit.core.record import (
    ADDRESS,
    COMPILE,
    EXTERNAL,
    F32,
    F64,
    FAILED,
    FLAGS,
    FLOAT_CODES,
    GRAD,
    H_BYTES,
    H_COUNT,
    H_GRAD_MODE,
    H_KERNELS,
    H_LAST_STAMP,
    H_LIMIT,
    H_MISSING,
    H_RECORDING,
    H_RECORDS,
    H_ROOM,
    H_STAMPS,
    H_TAPE,
    H_TEAM,
    H_THREAD,
    H_VERSIONS,
    IMM,
    KERNELS_PER_OP,
    L_CONTIGUOUS,
    L_DTYPE,
    L_ITEMSIZE,
    L_N,
    LAYOUT,
    LEAF,
    NO_MEMORY,
    OWNER,
    PUT,
    RECLAIM,
    SCALAR_A,
    SCALAR_B,
    SCALAR_C,
    SIZE,
    SLOW,
    TAPE_SHIFT,
    VIEW,
    A,
)
from tapejit.core.rows import FEWEST, PART, run_forward
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_f32, as_f64, as_i32, as_i64, call8, copy_bytes, thread_id

SHARED = FEWEST * PART  # elements from which on threads may share a kernel
SCALARS = SCALAR_A | SCALAR_B | SCALAR_C
MASK = (1 << TAPE_SHIFT) - 1


@inner
def write_record(header, op, flags, a, b, c, owner, address, layout, plan, imm):
    """Fill the next record. An owner of -1 stands for the record itself."""
    h = as_i64(header)
    k = h[H_COUNT]
    record = h[H_RECORDS] + k * SIZE
    words = as_i32(record)
    words[0] = op
    words[1] = flags
    words[2] = a
    words[3] = b
    words[4] = c
    words[5] = k if owner < 0 else owner
    longs = as_i64(record)
    longs[3] = address
    longs[4] = as_i64(layout)[L_N]
    longs[5] = layout
    longs[6] = plan
    if flags & SCALARS and as_i64(layout)[L_DTYPE] == F32:
        as_f32(record)[IMM >> 2] = imm
    else:
        as_f64(record)[IMM >> 3] = imm
    as_i64(h[H_STAMPS])[k] = 0
    as_i64(h[H_VERSIONS])[k] = 0
    h[H_COUNT] = k + 1
    return (h[H_TAPE] << TAPE_SHIFT) | k


@inner
def full(header):
    h = as_i64(header)
    return h[H_COUNT] >= h[H_ROOM] or h[H_BYTES] > h[H_LIMIT]


@inner
def fast_kernel(header, op, a):
    """The kernel that the fast path calls for a tensor of this thread's tape; 0 if this is not a case for it."""
    h = as_i64(header)
    if a >> TAPE_SHIFT != h[H_TAPE] or h[H_THREAD] != thread_id():
        return 0
    layout = as_i64(as_i64(h[H_RECORDS] + (a & MASK) * SIZE)[LAYOUT >> 3])
    dtype = layout[L_DTYPE]
    if dtype >= FLOAT_CODES or layout[L_CONTIGUOUS] == 0 or full(header):
        return 0
    return as_i64(h[H_KERNELS])[op * KERNELS_PER_OP + dtype * 4]


@inner
def run_row(header, kernel, layout, out, x, sx, y, sy):
    """Run the kernel of an op of contiguous operands, or numbers, that give a result of this layout."""
    n = layout[L_N]
    if n < SHARED:
        call8(kernel, n, out, x, sx, y, sy, 0, 0)
    else:
        size = layout[L_ITEMSIZE]
        run_forward(as_i64(header)[H_TEAM], kernel, 0, n, size, size, out, x, sx, y, sy, 0, 0)


@inner
def flags_of(header, k):
    """The flags of record ``k``."""
    return as_i32(as_i64(header)[H_RECORDS] + k * SIZE)[FLAGS >> 2]


@entry
def unary(header, op, a):
    """An elementwise op of one contiguous float tensor of this tape."""
    h = as_i64(header)
    kernel = fast_kernel(header, op, a)
    if kernel == 0:
        return SLOW
    a &= MASK
    x = as_i64(h[H_RECORDS] + a * SIZE)
    layout = as_i64(x[LAYOUT >> 3])
    out = alloc(header, layout[L_N] * layout[L_ITEMSIZE])
    if out == 0:
        return NO_MEMORY
    flags = flags_of(header, a) & h[H_GRAD_MODE]
    run_row(header, kernel, layout, out, x[ADDRESS >> 3], 1, 0, 0)
    keep = flags | h[H_RECORDING]
    return write_record(header, op, flags, a if keep else -1, -1, -1, -1, out, x[LAYOUT >> 3], 0, 0.0)


@entry
def binary(header, op, a, b):
    """An elementwise op of two contiguous float tensors of one layout, both of this tape."""
    h = as_i64(header)
    kernel = fast_kernel(header, op, a)
    if kernel == 0 or b >> TAPE_SHIFT != h[H_TAPE]:
        return SLOW
    a &= MASK
    b &= MASK
    x = as_i64(h[H_RECORDS] + a * SIZE)
    y = as_i64(h[H_RECORDS] + b * SIZE)
    layout = as_i64(x[LAYOUT >> 3])
    if x[LAYOUT >> 3] != y[LAYOUT >> 3]:
        return SLOW
    out = alloc(header, layout[L_N] * layout[L_ITEMSIZE])
    if out == 0:
        return NO_MEMORY
    flags = (flags_of(header, a) | flags_of(header, b)) & h[H_GRAD_MODE]
    run_row(header, kernel, layout, out, x[ADDRESS >> 3], 1, y[ADDRESS >> 3], 1)
    if not flags | h[H_RECORDING]:
        a = b = -1
    return write_record(header, op, flags, a, b, -1, -1, out, x[LAYOUT >> 3], 0, 0.0)


@entry
def scalar(header, op, a, number, reflected):
    """An elementwise op of a contiguous float tensor and a number, the number first when ``reflected`` is 1."""
    h = as_i64(header)
    kernel = fast_kernel(header, op, a)
    if kernel == 0:
        return SLOW
    a &= MASK
    x = as_i64(h[H_RECORDS] + a * SIZE)
    layout = as_i64(x[LAYOUT >> 3])
    out = alloc(header, layout[L_N] * layout[L_ITEMSIZE])
    if out == 0:
        return NO_MEMORY
    flags = flags_of(header, a) & h[H_GRAD_MODE]
    here = a if flags | h[H_RECORDING] else -1
    imm = h[H_RECORDS] + h[H_COUNT] * SIZE + IMM
    if reflected:
        k = write_record(header, op, flags | SCALAR_A, -1, here, -1, -1, out, x[LAYOUT >> 3], 0, number)
        run_row(header, kernel, layout, out, imm, 0, x[ADDRESS >> 3], 1)
    else:
        k = write_record(header, op, flags | SCALAR_B, here, -1, -1, -1, out, x[LAYOUT >> 3], 0, number)
        run_row(header, kernel, layout, out, x[ADDRESS >> 3], 1, imm, 0)
    return k


@inner
def operand(header, k):
    """The record number in a handle, -1 for none."""
    return k & MASK if k >= 0 else -1


@inner
def grad_flag(header, k):
    if k < 0:
        return 0
    return as_i32(as_i64(header)[H_RECORDS] + k * SIZE)[FLAGS >> 2] & GRAD


@entry
def general(header, op, flags, a, b, c, layout, plan, imm):
    """Any op: ``layout`` is the result's, ``plan`` its parameters, ``flags`` tells immediates and in-place results.

    A tape without a thread (a recording) takes calls from any.
    """
    h = as_i64(header)
    if h[H_THREAD] != 0 and h[H_THREAD] != thread_id():
        return SLOW
    tape = h[H_TAPE]
    if (a >= 0 and a >> TAPE_SHIFT != tape) or (b >= 0 and b >> TAPE_SHIFT != tape) or (c >= 0 and c >> TAPE_SHIFT != tape):
        return SLOW
    if full(header):
        return RECLAIM
    a = operand(header, a)
    b = operand(header, b)
    c = operand(header, c)
    shape = as_i64(layout)
    dtype = shape[L_DTYPE]
    slot = op * KERNELS_PER_OP + dtype * 4
    kernel = as_i64(h[H_KERNELS])[slot]
    if kernel == 0:
        h[H_MISSING] = slot
        return COMPILE
    owner = -1
    if flags & PUT:
        x = h[H_RECORDS] + a * SIZE
        out = as_i64(x)[ADDRESS >> 3]
        owner = as_i32(x)[OWNER >> 2]
        flags |= VIEW
    else:
        out = alloc(header, shape[L_N] * shape[L_ITEMSIZE])
        if out == 0:
            return NO_MEMORY
    grad = (grad_flag(header, a) | grad_flag(header, b) | grad_flag(header, c)) & h[H_GRAD_MODE]
    k = write_record(header, op, flags | grad, a, b, c, owner, out, layout, plan, imm)
    record = h[H_RECORDS] + (k & MASK) * SIZE
    status = run_record(header, record, kernel)
    if status != 0:
        release(header, out, shape[L_N] * shape[L_ITEMSIZE])
        h[H_COUNT] -= 1
        h[H_MISSING] = status
        return FAILED
    if not grad | h[H_RECORDING]:
        words = as_i32(record)
        words[2] = words[3] = words[4] = -1
    return k


@entry
def link_gradient(header, a, gradient):
    """Tell a leaf's record the record of its gradient, -1 for none; nothing for other records."""
    words = as_i32(as_i64(header)[H_RECORDS] + (a & MASK) * SIZE)
    if words[FLAGS >> 2] & LEAF:
        words[A >> 2] = gradient & MASK if gradient >= 0 else -1


@entry
def value(header, layout, flags):
    """A block without a history, its contents undefined."""
    h = as_i64(header)
    if h[H_THREAD] != 0 and h[H_THREAD] != thread_id():
        return SLOW
    if full(header):
        return RECLAIM
    shape = as_i64(layout)
    out = alloc(header, shape[L_N] * shape[L_ITEMSIZE])
    if out == 0:
        return NO_MEMORY
    return write_record(header, 0, flags, -1, -1, -1, -1, out, layout, 0, 0.0)


@entry
def constant(header, layout, flags, number):
    """A float tensor filled with one number."""
    k = value(header, layout, flags)
    if k >= 0:
        h = as_i64(header)
        shape = as_i64(layout)
        fill(as_i64(h[H_RECORDS] + (k & MASK) * SIZE)[ADDRESS >> 3], shape[L_N], shape[L_DTYPE], number)
    return k


@inner
def fill(address, n, dtype, number):
    if dtype == F64:
        p = as_f64(address)
        for i in range(n):
            p[i] = number
    else:
        q = as_f32(address)
        for i in range(n):
            q[i] = number


@entry
def external(header, layout, address, flags):
    """A value in somebody else's memory, or (flags 0) in a block that this record takes over."""
    if full(header):
        return RECLAIM
    return write_record(header, 0, flags, -1, -1, -1, -1, address, layout, 0, 0.0)


@entry
def view(header, op, a, layout, plan, offset, start, flags):
    """A record that shares the block of ``a``, ``offset`` bytes further on; ``start`` counts elements of ``a``."""
    h = as_i64(header)
    if a >> TAPE_SHIFT != h[H_TAPE]:
        return SLOW
    if h[H_COUNT] >= h[H_ROOM]:
        return RECLAIM
    a &= MASK
    x = h[H_RECORDS] + a * SIZE
    grad = grad_flag(header, a) & h[H_GRAD_MODE] if op != 0 else 0
    here = a if grad | h[H_RECORDING] else -1
    address = as_i64(x)[ADDRESS >> 3] + offset
    owner = as_i32(x)[OWNER >> 2]
    return write_record(header, op, flags | grad | VIEW, here, -1, -1, owner, address, layout, plan, float(start))


@entry
def item(header, a):
    """The first element of a float, int64 or bool tensor, as a float."""
    x = as_i64(as_i64(header)[H_RECORDS] + (a & MASK) * SIZE)
    address = x[ADDRESS >> 3]
    layout = as_i64(x[LAYOUT >> 3])
    if layout[L_DTYPE] == F64:
        return as_f64(address)[0]
    return float(as_f32(address)[0])


@inner
def touch(header, k, time):
    """Note that the block of record ``k`` was changed in place at ``time``, counted in half records."""
    h = as_i64(header)
    owner = as_i32(h[H_RECORDS] + k * SIZE)[OWNER >> 2]
    as_i64(h[H_STAMPS])[owner] = time
    as_i64(h[H_VERSIONS])[owner] += 1
    h[H_LAST_STAMP] = max(h[H_LAST_STAMP], time)


@inner
def shared(header, k):
    """Whether the memory of record ``k`` may be known to another tape too: it is somebody else's."""
    return flags_of(header, as_i32(as_i64(header)[H_RECORDS] + k * SIZE)[OWNER >> 2]) & EXTERNAL != 0


@entry
def changed(header, a):
    """Note that the value of ``a`` was just changed in place outside of the tape."""
    touch(header, a & MASK, 2 * as_i64(header)[H_COUNT])


@entry
def overwrite(header, a, b):
    """Copy the value of contiguous ``b`` over contiguous ``a`` of the same size, without a history."""
    h = as_i64(header)
    x = as_i64(h[H_RECORDS] + (a & MASK) * SIZE)
    y = as_i64(h[H_RECORDS] + (b & MASK) * SIZE)
    layout = as_i64(x[LAYOUT >> 3])
    copy_bytes(x[ADDRESS >> 3], y[ADDRESS >> 3], layout[L_N] * layout[L_ITEMSIZE])
    touch(header, a & MASK, 2 * h[H_COUNT])


@entry
def inplace(header, op, a, b, number):
    """``a = op(a, b)``, or ``op(a, number)`` for b of -1, in the memory of ``a``, without a history.

    For contiguous float tensors of one layout on this tape; a leaf is changed as any other.
    """
    h = as_i64(header)
    kernel = fast_kernel(header, op, a)
    if kernel == 0 or h[H_GRAD_MODE] or (b >= 0 and b >> TAPE_SHIFT != h[H_TAPE]):
        return SLOW
    x = as_i64(h[H_RECORDS] + (a & MASK) * SIZE)
    y = as_i64(h[H_RECORDS] + (b & MASK) * SIZE) if b >= 0 else x
    layout = as_i64(x[LAYOUT >> 3])
    if x[LAYOUT >> 3] != y[LAYOUT >> 3] or shared(header, a & MASK):
        return SLOW
    nbytes = layout[L_N] * layout[L_ITEMSIZE]
    out = alloc(header, nbytes)
    if out == 0:
        return NO_MEMORY
    if b >= 0:
        run_row(header, kernel, layout, out, x[ADDRESS >> 3], 1, y[ADDRESS >> 3], 1)
    else:
        imm = h[H_RECORDS] + h[H_COUNT] * SIZE + IMM  # of the next record, which is not in use
        if layout[L_DTYPE] == F32:
            as_f32(imm)[0] = number
        else:
            as_f64(imm)[0] = number
        run_row(header, kernel, layout, out, x[ADDRESS >> 3], 1, imm, 0)
    copy_bytes(x[ADDRESS >> 3], out, nbytes)
    release(header, out, nbytes)
    touch(header, a & MASK, 2 * h[H_COUNT])
    return 0


@entry
def fill_inplace(header, a, number):
    """Fill a contiguous float tensor of this tape that has no history and is not a view."""
    h = as_i64(header)
    if h[H_THREAD] != thread_id() or a >> TAPE_SHIFT != h[H_TAPE]:
        return SLOW
    record = h[H_RECORDS] + (a & MASK) * SIZE
    x = as_i64(record)
    layout = as_i64(x[LAYOUT >> 3])
    if layout[L_DTYPE] >= FLOAT_CODES or layout[L_CONTIGUOUS] == 0 or as_i32(record)[FLAGS >> 2] & (GRAD | VIEW | EXTERNAL):
        return SLOW
    fill(x[ADDRESS >> 3], layout[L_N], layout[L_DTYPE], number)
    touch(header, a & MASK, 2 * h[H_COUNT])
    return 0


@entry
def settle(header, a, b):
    """Let record ``b``, the newest, live in the memory of contiguous ``a``: ``b`` is what an in-place op made of ``a``."""
    h = as_i64(header)
    source = h[H_RECORDS] + (a & MASK) * SIZE
    record = h[H_RECORDS] + (b & MASK) * SIZE
    layout = as_i64(as_i64(record)[LAYOUT >> 3])
    copy_bytes(as_i64(source)[ADDRESS >> 3], as_i64(record)[ADDRESS >> 3], layout[L_N] * layout[L_ITEMSIZE])
    release(header, as_i64(record)[ADDRESS >> 3], layout[L_N] * layout[L_ITEMSIZE])
    as_i64(record)[ADDRESS >> 3] = as_i64(source)[ADDRESS >> 3]
    as_i64(record)[LAYOUT >> 3] = as_i64(source)[LAYOUT >> 3]
    as_i32(record)[OWNER >> 2] = as_i32(source)[OWNER >> 2]
    as_i32(record)[FLAGS >> 2] |= VIEW
    touch(header, b & MASK, 2 * (b & MASK) + 1)
