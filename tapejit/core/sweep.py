"""The reverse sweep: from seeded records back to the leaves, in one call.

``reach.prepare`` finds the records to visit; ``run`` calls their reverse kernels. An adjoint is allocated when its first
contribution arrives, which overwrites instead of adding, and goes back to the heap as soon as its record is done, so that a
sweep stays in the cache.
"""

from tapejit.core.append import MASK, fill, flags_of, touch, write_record
from tapejit.core.forward import address_of
from tapejit.core.heap import alloc, release
from tapejit.core.reach import WANTED, forget, is_wanted, operand_of, prepare
from tapejit.core.record import (
    ADDRESS,
    BUSY,
    CAPTURE,
    F64,
    FLAGS,
    FREED,
    GRAD,
    H_ADJOINTS,
    H_CAPACITY,
    H_COUNT,
    H_KERNELS,
    H_LEAF_COUNT,
    H_LEAVES,
    H_MISSING,
    H_OPERAND,
    H_ORDER,
    H_RECORDS,
    H_RETAINED,
    H_SWEEPING,
    H_TAPE,
    H_TEAM,
    H_THREAD,
    H_TRAITS,
    H_VISITED,
    HOOKED,
    KERNELS_PER_OP,
    L_DTYPE,
    L_ITEMSIZE,
    L_N,
    L_PACKED,
    LAYOUT,
    LEAF,
    NO_MEMORY,
    OP,
    PLAN,
    RECLAIM,
    RETAIN,
    SCALAR_A,
    SCALAR_B,
    SCALAR_C,
    SIZE,
    SLOW,
    STARVED,
    STOPPED,
    T_CONDITION,
    T_ELEMENTWISE,
    T_ERASE,
    T_IDENTITY,
    T_RULE,
    T_SCATTER,
    TAPE_SHIFT,
    A,
)
from tapejit.core.rows import run_reverse
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_f32, as_f64, as_i32, as_i64, call8, copy_bytes, thread_id, zero_bytes


@entry
def give_seed(header, k, seed):
    """Make ``seed``, the address of a contiguous array or 0 for ones, the adjoint of a root, or add it to one.

    Returns 0, or NO_MEMORY.
    """
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    layout = as_i64(as_i64(h[H_RECORDS] + k * SIZE)[LAYOUT >> 3])
    n = layout[L_N]
    dtype = layout[L_DTYPE]
    size = layout[L_ITEMSIZE]
    if seed and adjoints[k] != WANTED:
        add_arrays(seed, adjoints[k], n, dtype)
        return 0
    block = alloc(header, n * size)
    if block == 0:
        return NO_MEMORY
    if seed:
        copy_bytes(block, seed, n * size)
    else:
        fill(block, n, dtype, 1.0)
    if adjoints[k] == WANTED:
        adjoints[k] = block
    else:
        add_arrays(block, adjoints[k], n, dtype)
        release(header, block, n * size)
    return 0


@inner
def add_arrays(source, target, n, dtype):
    """target += source"""
    if dtype == F64:
        for i in range(n):
            as_f64(target)[i] += as_f64(source)[i]
    else:
        for i in range(n):
            as_f32(target)[i] += as_f32(source)[i]


@inner
def erase(header, k, o, kernel, x, y, z, kept):
    """Hand the adjoint of record ``k`` on to ``o`` without the part that the kernel clears; its block too, unless ``kept``.

    False, and nothing is done, if there is no memory.
    """
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    record = h[H_RECORDS] + k * SIZE
    layout = as_i64(as_i64(record)[LAYOUT >> 3])
    nbytes = layout[L_N] * layout[L_ITEMSIZE]
    g = adjoints[k]
    if kept:
        g = alloc(header, nbytes)
        if g == 0:
            return False
        copy_bytes(g, adjoints[k], nbytes)
    call8(kernel, record, g, x, y, z, as_i64(record)[ADDRESS >> 3], 0, 0)
    if adjoints[o] == WANTED:
        adjoints[o] = g
        if not kept:
            adjoints[k] = 0
    else:
        add_arrays(g, adjoints[o], layout[L_N], layout[L_DTYPE])
        if kept:
            release(header, g, nbytes)
    return True


@inner
def add_rows(header, record, j, kernel, size_x, g, x, y, z, target, nbytes, fresh):
    """Add an elementwise record's contribution to operand ``j``, row by row, at ``target``; False if memory ran out."""
    h = as_i64(header)
    longs = as_i64(record)
    layout = as_i64(longs[LAYOUT >> 3])
    plan = longs[PLAN >> 3]
    flags = as_i32(record)[FLAGS >> 2]
    accumulate = 0 if fresh else 1
    if fresh and plan != 0 and (as_i64(plan)[1] >> j) & 1:  # several results add up in one place
        zero_bytes(target, nbytes)
        accumulate = 1
    sum_kernel = as_i64(h[H_KERNELS])[KERNELS_PER_OP + layout[L_DTYPE] * 4]
    sx = 0 if flags & SCALAR_A else 1
    sy = 0 if flags & SCALAR_B else 1
    sz = 0 if flags & SCALAR_C else 1
    n, size, out = layout[L_N], layout[L_ITEMSIZE], longs[ADDRESS >> 3]
    return run_reverse(
        header, h[H_TEAM], kernel, sum_kernel, plan, j, n, size, size_x, g, x, sx, y, sy, z, sz, out, target, accumulate
    )


@inner
def propagate(header, k):
    """Add the contributions of record ``k`` to its operands' adjoints. The last identity takes over the block.

    False if memory ran out: it is to be called again, and then goes on with the operand at which it stopped.
    """
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    kernels = as_i64(h[H_KERNELS])
    record = h[H_RECORDS] + k * SIZE
    flags = as_i32(record)[FLAGS >> 2]
    op = as_i32(record)[OP >> 2]
    traits = as_i64(h[H_TRAITS])[op]
    longs = as_i64(record)
    layout = as_i64(longs[LAYOUT >> 3])
    plan = longs[PLAN >> 3]
    n = layout[L_N]
    g = adjoints[k]
    first = op * KERNELS_PER_OP + layout[L_DTYPE] * 4
    x = address_of(header, record, operand_of(record, 0), SCALAR_A)
    y = address_of(header, record, operand_of(record, 1), SCALAR_B)
    z = address_of(header, record, operand_of(record, 2), SCALAR_C)
    kept = flags & (CAPTURE | RETAIN)
    for j in range(h[H_OPERAND], -1, -1):
        o = operand_of(record, j)
        if not is_wanted(header, o):
            continue
        h[H_OPERAND] = j
        target_layout = as_i64(as_i64(h[H_RECORDS] + o * SIZE)[LAYOUT >> 3])
        target_n = target_layout[L_N]
        target_size = target_layout[L_ITEMSIZE]
        fresh = adjoints[o] == WANTED
        if traits & T_ERASE and j == 0:
            if not erase(header, k, o, kernels[first + 1], x, y, z, kept):
                return False
            break
        if fresh and traits & (T_IDENTITY << j) and plan == 0 and n == target_n and not kept and j == 0:
            adjoints[o] = g
            adjoints[k] = 0
            break
        if fresh:
            block = alloc(header, target_n * target_size)
            if block == 0:
                return False
            adjoints[o] = block
        accumulate = 0 if fresh else 1
        if traits & T_ELEMENTWISE:
            size_x = 1 if traits & T_CONDITION else layout[L_ITEMSIZE]
            kernel = kernels[first + 1 + j]
            if not add_rows(header, record, j, kernel, size_x, g, x, y, z, adjoints[o], target_n * target_size, fresh):
                return False
        else:
            whole = traits & (T_IDENTITY << j) and plan == 0 and n == target_n
            if fresh and traits & T_SCATTER and not whole:
                zero_bytes(adjoints[o], target_n * target_size)
                accumulate = 1
            call8(
                kernels[first + 1 + j], record, g, x, y, z, longs[ADDRESS >> 3], adjoints[o], accumulate
            )
    h[H_OPERAND] = 2
    return True


@entry
def run(header, retain, to_leaves):
    """Sweep what ``prepare`` found and ``give_seed`` seeded.

    With ``to_leaves``, adjoints of leaves are added to their gradients; a leaf without one gets a new record, in the
    order of the list of leaves, whose unneeded entries become -1. Returns the number of new records, plus 2**32 for
    each adjoint that retain_grad() asked to keep or that is of a hooked leaf (the sweep is under way until these are
    taken); or STOPPED or STARVED, to be answered by ``resume``.
    """
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    leaves = as_i64(h[H_LEAVES])
    for i in range(h[H_LEAF_COUNT]):
        k = leaves[i]
        if adjoints[k] < WANTED:
            adjoints[k] = 0
            leaves[i] = -1
        elif to_leaves and flags_of(header, k) & HOOKED:
            as_i32(h[H_RECORDS] + k * SIZE)[FLAGS >> 2] |= CAPTURE
        elif to_leaves:
            open_gradient(header, k)
    h[H_RETAINED] = 0
    return advance(header, 0, -1, retain, to_leaves)


@entry
def resume(header, i, swept, retain, to_leaves):
    """Go on with a sweep that stopped at position ``i`` of the order; results as of ``run``.

    ``swept`` says that the record there has contributed to its operands; if not, its hooks have run, or memory ran out there.
    """
    if swept:
        let_go(header, as_i64(as_i64(header)[H_ORDER])[i])
        return advance(header, i + 1, -1, retain, to_leaves)
    return advance(header, i, i, retain, to_leaves)


@inner
def let_go(header, k):
    """Give the adjoint of a swept record back, unless it is asked for."""
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    flags = flags_of(header, k)
    if adjoints[k] > WANTED and flags & (CAPTURE | RETAIN) == 0:
        layout = as_i64(as_i64(h[H_RECORDS] + k * SIZE)[LAYOUT >> 3])
        release(header, adjoints[k], layout[L_N] * layout[L_ITEMSIZE])
        adjoints[k] = 0
    elif flags & CAPTURE == 0 and adjoints[k] <= WANTED:
        adjoints[k] = 0
    if adjoints[k] > WANTED and flags & RETAIN:
        h[H_RETAINED] += 1


@inner
def advance(header, first, passed, retain, to_leaves):
    """Sweep the records from position ``first`` of the order on, as far as the compiled kernels go.

    ``passed`` is the position of a record whose hooks have run, or -1.
    """
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    order = as_i64(h[H_ORDER])
    leaves = as_i64(h[H_LEAVES])
    for i in range(first, h[H_VISITED]):
        k = order[i]
        record = h[H_RECORDS] + k * SIZE
        flags = flags_of(header, k)
        if flags & HOOKED and i != passed and adjoints[k] > WANTED:
            h[H_MISSING] = i
            return STOPPED
        swept = False
        for j in range(3):
            swept = swept or is_wanted(header, operand_of(record, j))
        if not swept or adjoints[k] < WANTED:
            order[i] = -1
        elif adjoints[k] > WANTED and flags & FREED == 0:
            if as_i64(h[H_TRAITS])[as_i32(record)[OP >> 2]] & T_RULE:
                h[H_MISSING] = i
                return STOPPED
            if not propagate(header, k):
                h[H_MISSING] = i
                return STARVED
        let_go(header, k)
    if not retain:
        consume(header)
    made = 0
    if to_leaves:
        for i in range(h[H_LEAF_COUNT]):
            if leaves[i] >= 0 and flags_of(header, leaves[i]) & CAPTURE:
                h[H_RETAINED] += 1  # and stays for the caller to take
                leaves[i] = -1
            elif leaves[i] >= 0 and close_gradient(header, leaves[i]):
                made += 1
            else:
                leaves[i] = -1
        if h[H_RETAINED] == 0:
            h[H_SWEEPING] = 0
    return made + (h[H_RETAINED] << 32)


@entry
def contribute(header, o, part):
    """Add the contiguous array at ``part`` to the adjoint of record ``o``, which the stopped sweep wants. 0, or NO_MEMORY."""
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    layout = as_i64(as_i64(h[H_RECORDS] + o * SIZE)[LAYOUT >> 3])
    if adjoints[o] == WANTED:
        block = alloc(header, layout[L_N] * layout[L_ITEMSIZE])
        if block == 0:
            return NO_MEMORY
        copy_bytes(block, part, layout[L_N] * layout[L_ITEMSIZE])
        adjoints[o] = block
    else:
        add_arrays(part, adjoints[o], layout[L_N], layout[L_DTYPE])
    return 0


@entry
def abandon(header):
    """End a sweep that stopped and is not to go on: its adjoints are given back."""
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    for k in range(h[H_COUNT]):
        if adjoints[k] > WANTED:
            layout = as_i64(as_i64(h[H_RECORDS] + k * SIZE)[LAYOUT >> 3])
            release(header, adjoints[k], layout[L_N] * layout[L_ITEMSIZE])
    forget(header)


@inner
def open_gradient(header, k):
    """Let a leaf's existing gradient take the contributions directly."""
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    gradient = operand_of(h[H_RECORDS] + k * SIZE, 0)
    if gradient < 0:
        return
    address = as_i64(h[H_RECORDS] + gradient * SIZE)[ADDRESS >> 3]
    seed = adjoints[k]
    if seed > WANTED:
        layout = as_i64(as_i64(h[H_RECORDS] + k * SIZE)[LAYOUT >> 3])
        add_arrays(seed, address, layout[L_N], layout[L_DTYPE])
        release(header, seed, layout[L_N] * layout[L_ITEMSIZE])
    adjoints[k] = address
    touch(header, gradient, 2 * h[H_COUNT])


@inner
def close_gradient(header, k):
    """Turn a leaf's adjoint into a record of its own, if it has no gradient yet; whether it did."""
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    record = h[H_RECORDS] + k * SIZE
    block = adjoints[k]
    adjoints[k] = 0
    if operand_of(record, 0) >= 0 or block <= WANTED:
        return False
    packed = as_i64(as_i64(record)[LAYOUT >> 3])[L_PACKED]
    as_i32(record)[A >> 2] = h[H_COUNT]
    write_record(header, 0, 0, -1, -1, -1, -1, block, packed, 0, 0.0)
    return True


@inner
def consume(header):
    """Mark the swept records whose saved values are let go, and those above them."""
    h = as_i64(header)
    order = as_i64(h[H_ORDER])
    for i in range(h[H_VISITED] - 1, -1, -1):
        if order[i] < 0:
            continue
        record = h[H_RECORDS] + order[i] * SIZE
        dead = as_i64(h[H_TRAITS])[as_i32(record)[OP >> 2]] & 0xFFF != 0
        for j in range(3):
            o = operand_of(record, j)
            if o >= 0 and flags_of(header, o) & (FREED | LEAF | GRAD) == FREED | GRAD:
                dead = True
        if dead:
            as_i32(record)[FLAGS >> 2] |= FREED


@entry
def take_adjoint(header, k):
    """Make the captured adjoint of record ``k`` a record of its own; -1 if nothing arrived there."""
    h = as_i64(header)
    if h[H_COUNT] >= h[H_CAPACITY]:
        return RECLAIM
    adjoints = as_i64(h[H_ADJOINTS])
    record = h[H_RECORDS] + k * SIZE
    as_i32(record)[FLAGS >> 2] &= ~CAPTURE
    block = adjoints[k]
    adjoints[k] = 0
    if block <= WANTED:
        return -1
    return write_record(header, 0, 0, -1, -1, -1, -1, block, as_i64(as_i64(record)[LAYOUT >> 3])[L_PACKED], 0, 0.0)


@entry
def backward_scalar(header, handle, retain):
    """``prepare``, ``give_seed`` and ``run`` to the leaves for one root, a one-element tensor of this tape that is no leaf.

    What ``run`` answers, SLOW for another kind of root, or what else stands in the way, and then nothing has changed.
    """
    h = as_i64(header)
    if handle >> TAPE_SHIFT != h[H_TAPE] or h[H_THREAD] != thread_id():
        return SLOW
    k = handle & MASK
    if as_i64(as_i64(h[H_RECORDS] + k * SIZE)[LAYOUT >> 3])[L_N] != 1 or flags_of(header, k) & (GRAD | LEAF) != GRAD:
        return SLOW
    if h[H_SWEEPING]:
        return BUSY
    root = h[H_ORDER]  # prepare reads its root before it writes there
    as_i64(root)[0] = k
    status = prepare(header, root, 1, 0, 0)
    if status < 0:
        return status
    status = give_seed(header, k, 0)
    if status < 0:
        forget(header)
        return status
    return run(header, retain, 1)
