"""Giving memory back: records that nothing can reach any more leave the tape, the others move together.

A record stays while a Tensor refers to it, while a kept record's gradient still needs it, or while its block holds a
value that one of those needs. Values never move, only records do.
"""

from tapejit.core.heap import dismantle, release, trim
from tapejit.core.record import (
    ADDRESS,
    DEAD,
    EXTERNAL,
    FLAGS,
    FREED,
    GRAD,
    H_BYTES,
    H_CAPACITY,
    H_COUNT,
    H_DROPPED,
    H_DROPPED_COUNT,
    H_LAST_STAMP,
    H_LIMIT,
    H_MOVED,
    H_ORDER,
    H_RECORDING,
    H_RECORDS,
    H_STAMPS,
    H_TAPE,
    H_TRAITS,
    H_VERSIONS,
    HELD,
    L_ITEMSIZE,
    L_N,
    LAYOUT,
    LEAF,
    NO_VALUE,
    OP,
    OWNER,
    SIZE,
    TAPE_SHIFT,
    A,
)
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_i32, as_i64, as_u8, copy_bytes

EDGE, VALUE, BLOCK = 1, 2, 4  # why a record is kept


@inner
def mark(header, alive, why):
    """Fill ``why``, a byte per record, from ``alive``, a byte per record that says whether its Tensor is held."""
    h = as_i64(header)
    for k in range(h[H_COUNT] - 1, -1, -1):
        record = h[H_RECORDS] + k * SIZE
        words = as_i32(record)
        flags = words[FLAGS >> 2]
        if alive[k] & HELD:
            why[k] |= EDGE | VALUE
        edges = why[k] & EDGE and (h[H_RECORDING] or (flags & GRAD and not flags & (LEAF | FREED)))
        needs = as_i64(h[H_TRAITS])[words[OP >> 2]]
        needs = (needs | needs >> 4 | needs >> 8) & 15
        for j in range(3):
            o = words[(A >> 2) + j]
            if o < 0:
                continue
            if flags & LEAF:
                if not alive[o] & HELD:
                    words[A >> 2] = -1
            elif edges and (needs >> j & 1 or h[H_RECORDING] or as_i32(h[H_RECORDS] + o * SIZE)[FLAGS >> 2] & GRAD):
                why[o] |= EDGE
                if needs >> j & 1:
                    why[o] |= VALUE
            else:
                words[(A >> 2) + j] = -1
        if edges and needs & 8:
            why[k] |= VALUE
        if why[k] & VALUE:
            why[words[OWNER >> 2]] |= BLOCK


@inner
def drop_block(header, record):
    """Let go of the block a record owns."""
    h = as_i64(header)
    address = as_i64(record)[ADDRESS >> 3]
    if as_i32(record)[FLAGS >> 2] & EXTERNAL:
        as_i64(h[H_DROPPED])[h[H_DROPPED_COUNT]] = address
        h[H_DROPPED_COUNT] += 1
    else:
        layout = as_i64(as_i64(record)[LAYOUT >> 3])
        release(header, address, layout[L_N] * layout[L_ITEMSIZE])


@inner
def drop_values(header, alive, why):
    """Find out what is needed, let go of the blocks of all else, and end the list of external ones with 0."""
    h = as_i64(header)
    for k in range(h[H_COUNT]):
        why[k] = 0
    mark(header, alive, why)
    h[H_DROPPED_COUNT] = 0
    for k in range(h[H_COUNT]):
        record = h[H_RECORDS] + k * SIZE
        words = as_i32(record)
        if words[OWNER >> 2] == k and words[FLAGS >> 2] & NO_VALUE == 0 and not why[k] & BLOCK:
            drop_block(header, record)
            words[FLAGS >> 2] |= NO_VALUE
    as_i64(h[H_DROPPED])[h[H_DROPPED_COUNT]] = 0


@entry
def spare(header, count, moves, alive_address, why_address, minimum):
    """As ``reclaim``, but records stay where they are: only memory is given back."""
    h = as_i64(header)
    if h[H_COUNT] != count or h[H_MOVED] != moves:
        return 0
    alive = as_u8(alive_address)
    for k in range(count):
        words = as_i32(h[H_RECORDS] + k * SIZE)
        if words[FLAGS >> 2] & LEAF and words[A >> 2] >= 0:  # a sweep under way may add to this gradient
            alive[words[A >> 2]] |= HELD
    drop_values(header, alive, as_u8(why_address))
    trim(header)
    h[H_LIMIT] = max(minimum, 2 * h[H_BYTES])
    return 1


@entry
def give_idle(header):
    """Give the memory that a tape keeps for later back to the system."""
    dismantle(header)


@entry
def reclaim(header, count, moves, alive_address, why_address, handles_address, minimum):
    """Compact the tape; 0, and nothing is done, if there are not ``count`` records any more or they have moved since.

    A byte per record at ``alive_address`` says what is known of its Tensor, 0 for none. The new handles of these Tensors stand
    at ``handles_address`` afterwards, one after the other, and the numbers of their records in the order list (the capacity for
    those that are gone); in the dropped list stand the external blocks let go of, then 0.
    """
    h = as_i64(header)
    if h[H_COUNT] != count or h[H_MOVED] != moves:
        return 0
    alive = as_u8(alive_address)
    why = as_u8(why_address)
    moved = as_i64(h[H_ORDER])
    stamps = as_i64(h[H_STAMPS])
    drop_values(header, alive, why)
    kept = 0
    for k in range(count):
        moved[k] = kept
        record = h[H_RECORDS] + k * SIZE
        words = as_i32(record)
        if not why[k]:
            continue
        if alive[k]:
            words[FLAGS >> 2] &= ~DEAD
        else:
            words[FLAGS >> 2] |= DEAD
        for j in range(3):
            o = words[(A >> 2) + j]
            if o >= 0 and not words[FLAGS >> 2] & LEAF:
                words[(A >> 2) + j] = moved[o]
        if why[words[OWNER >> 2]] & BLOCK:
            words[OWNER >> 2] = moved[words[OWNER >> 2]] if words[OWNER >> 2] != k else kept
        else:
            words[OWNER >> 2] = kept
            words[FLAGS >> 2] |= NO_VALUE
        stamps[kept] = stamps[k]
        as_i64(h[H_VERSIONS])[kept] = as_i64(h[H_VERSIONS])[k]
        if kept != k:
            copy_bytes(h[H_RECORDS] + kept * SIZE, record, SIZE)
        kept += 1
    moved[count] = kept
    h[H_COUNT] = kept
    h[H_LAST_STAMP] = 0
    for k in range(kept):
        words = as_i32(h[H_RECORDS] + k * SIZE)
        if words[FLAGS >> 2] & LEAF and words[A >> 2] >= 0:
            words[A >> 2] = moved[words[A >> 2]]
        stamps[k] = 2 * moved[stamps[k] >> 1] + (stamps[k] & 1)
        h[H_LAST_STAMP] = max(h[H_LAST_STAMP], stamps[k])
    h[H_LIMIT] = max(minimum, 2 * h[H_BYTES])
    h[H_MOVED] += 1
    handles = as_i64(handles_address)
    live = 0
    for k in range(count):
        if alive[k]:  # of the places in the order list only those below k are written
            place = moved[k] if why[k] else h[H_CAPACITY]
            handles[live] = (h[H_TAPE] << TAPE_SHIFT) | place
            moved[live] = place
            live += 1
    return 1
