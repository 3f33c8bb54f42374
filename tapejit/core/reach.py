"""Which records a reverse sweep has to visit: found, and refused where the graph cannot be swept, before anything has changed.

The word that will hold a record's adjoint address says before that: 0 not reached, 1 reached, 2 reached and wanted.
"""

from tapejit.core.append import flags_of
from tapejit.core.record import (
    BUSY,
    CAPTURE,
    COMPILE,
    FLAGS,
    FREED,
    FREED_GRAPH,
    GRAD,
    H_ADJOINTS,
    H_CAPACITY,
    H_COUNT,
    H_KERNELS,
    H_LAST_STAMP,
    H_LEAF_COUNT,
    H_LEAVES,
    H_MISSING,
    H_OPERAND,
    H_ORDER,
    H_RECORDS,
    H_STAMPS,
    H_SWEEPING,
    H_TRAITS,
    H_VISITED,
    KERNELS_PER_OP,
    L_DTYPE,
    LAYOUT,
    LEAF,
    MUTATED,
    OP,
    OWNER,
    PLAN,
    RECLAIM,
    SIZE,
    T_ELEMENTWISE,
    T_RULE,
    A,
)
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_i32, as_i64

WANTED = 2


@inner
def operand_of(record, j):
    return as_i32(record)[(A >> 2) + j]


@inner
def reach(header, k, pending):
    """Mark a record as reached; the number of records still to visit."""
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    if adjoints[k] == 0:
        adjoints[k] = WANTED
        if flags_of(header, k) & LEAF:
            as_i64(h[H_LEAVES])[h[H_LEAF_COUNT]] = k
            h[H_LEAF_COUNT] += 1
        else:
            return pending + 1
    return pending


@entry
def forget(header):
    """Take back the marks of ``prepare``."""
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    for k in range(h[H_COUNT]):
        adjoints[k] = 0
        as_i32(h[H_RECORDS] + k * SIZE)[FLAGS >> 2] &= ~CAPTURE
    h[H_VISITED] = 0
    h[H_LEAF_COUNT] = 0
    h[H_SWEEPING] = 0


@inner
def stale(header, record, k, needs):
    """Whether one of the values that a reverse kernel of record ``k`` reads was changed in place since."""
    h = as_i64(header)
    stamps = as_i64(h[H_STAMPS])
    for j in range(3):
        o = operand_of(record, j)
        if (needs >> j) & 1 and o >= 0 and stamps[as_i32(h[H_RECORDS] + o * SIZE)[OWNER >> 2]] > 2 * k:
            return True
    return (needs >> 3) & 1 and stamps[as_i32(record)[OWNER >> 2]] > 2 * k + 1


@entry
def prepare(header, roots, root_count, inputs, input_count):
    """Find the records to visit.

    ``roots`` and ``inputs`` are addresses of record numbers; with inputs, only records between the two are wanted.
    Returns 0, or BUSY, COMPILE, FREED_GRAPH, MUTATED, RECLAIM with H_MISSING set and nothing changed.
    """
    h = as_i64(header)
    if h[H_SWEEPING]:
        return BUSY
    records = h[H_RECORDS]
    adjoints = as_i64(h[H_ADJOINTS])
    order = as_i64(h[H_ORDER])
    h[H_VISITED] = 0
    h[H_LEAF_COUNT] = 0
    pending = 0
    k = 0
    for i in range(root_count):
        pending = reach(header, as_i64(roots)[i], pending)
        k = max(k, as_i64(roots)[i])
    while pending > 0:
        if adjoints[k] != 0:
            record = records + k * SIZE
            if as_i32(record)[FLAGS >> 2] & LEAF == 0:
                pending -= 1
                order[h[H_VISITED]] = k
                h[H_VISITED] += 1
                if as_i32(record)[FLAGS >> 2] & FREED == 0:
                    for j in range(3):
                        o = operand_of(record, j)
                        if o >= 0 and flags_of(header, o) & GRAD:
                            pending = reach(header, o, pending)
        k -= 1
    if h[H_COUNT] + h[H_LEAF_COUNT] > h[H_CAPACITY]:
        forget(header)
        return RECLAIM
    if input_count:
        restrict(header, inputs, input_count)
    status = check(header)
    if status < 0:
        forget(header)
    else:
        h[H_SWEEPING] = 1
        h[H_OPERAND] = 2
    return status


@inner
def restrict(header, inputs, input_count):
    """Want only what lies on a way to the inputs, and capture their adjoints."""
    h = as_i64(header)
    adjoints = as_i64(h[H_ADJOINTS])
    order = as_i64(h[H_ORDER])
    for i in range(h[H_VISITED]):
        freed = flags_of(header, order[i]) & FREED  # what lies below is no longer known: an input might
        adjoints[order[i]] = WANTED if freed else 1
    for i in range(h[H_LEAF_COUNT]):
        adjoints[as_i64(h[H_LEAVES])[i]] = 1
    for i in range(input_count):
        k = as_i64(inputs)[i]
        if adjoints[k]:
            adjoints[k] = WANTED
            as_i32(h[H_RECORDS] + k * SIZE)[FLAGS >> 2] |= CAPTURE
    for i in range(h[H_VISITED] - 1, -1, -1):
        k = order[i]
        for j in range(3):
            o = operand_of(h[H_RECORDS] + k * SIZE, j)
            if o >= 0 and adjoints[o] == WANTED and flags_of(header, o) & GRAD:
                adjoints[k] = WANTED


@inner
def is_wanted(header, o):
    return o >= 0 and as_i64(as_i64(header)[H_ADJOINTS])[o] >= WANTED and flags_of(header, o) & GRAD != 0


@inner
def check(header):
    """0 if every wanted record can be swept, else what stands in the way."""
    h = as_i64(header)
    kernels = as_i64(h[H_KERNELS])
    for i in range(h[H_VISITED]):
        k = as_i64(h[H_ORDER])[i]
        if as_i64(h[H_ADJOINTS])[k] < WANTED:
            continue
        record = h[H_RECORDS] + k * SIZE
        h[H_MISSING] = k
        op = as_i32(record)[OP >> 2]
        traits = as_i64(h[H_TRAITS])[op]
        if as_i32(record)[FLAGS >> 2] & FREED:
            if as_i32(record)[FLAGS >> 2] & CAPTURE == 0:
                return FREED_GRAPH
            continue
        dtype = as_i64(as_i64(record)[LAYOUT >> 3])[L_DTYPE]
        for j in range(3):
            if is_wanted(header, operand_of(record, j)):
                if h[H_LAST_STAMP] > 2 * k and stale(header, record, k, traits >> (4 * j)):
                    return MUTATED
                if traits & T_RULE:
                    continue
                slot = op * KERNELS_PER_OP + dtype * 4 + 1 + j
                if kernels[slot] == 0:
                    h[H_MISSING] = slot
                    return COMPILE
                plan = as_i64(record)[PLAN >> 3]
                if traits & T_ELEMENTWISE and plan != 0 and (as_i64(plan)[1] >> j) & 1:
                    slot = KERNELS_PER_OP + dtype * 4  # the sum kernel in the forward slot of op 1, view
                    if kernels[slot] == 0:
                        h[H_MISSING] = slot
                        return COMPILE
    return 0
