"""Blocks for values and adjoints: segregated free lists in native memory.

A block never moves, so an address in a record or in a NumPy view stays right. Sizes are rounded up to a quarter of a
power of two; a small block is cut from a chunk, a large one is allocated by itself and given back when too much
memory lies idle. Every block is aligned to 16 bytes, those of 64 bytes and more to 64.
"""

from tapejit.core.record import FREE_LISTS, H_BYTES, H_CACHED, H_CHUNK, H_CHUNK_END, H_CHUNKS, H_FREE_LISTS
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_i64, leading_zeros, native_alloc, native_free

CHUNK = 1 << 20
LARGE = 1 << 17  # blocks from here on are allocated one by one
IDLE = 1 << 28  # idle bytes in large blocks above which they go back to the system


@inner
def size_class(nbytes):
    """The number of the free list for blocks of at least ``nbytes``."""
    if nbytes <= 64:
        return (max(nbytes, 1) + 15) >> 4
    power = 63 - leading_zeros(nbytes - 1)
    return (power << 2) + ((nbytes - 1) >> (power - 2)) - 23


@inner
def class_size(number):
    """The bytes in a block of a class, the inverse of ``size_class``."""
    if number <= 4:
        return number << 4
    power = (number + 19) >> 2
    quarter = (number + 19) & 3
    return (5 + quarter) << (power - 2)


@inner
def trim(header):
    """Give all idle large blocks back to the system."""
    h = as_i64(header)
    for number in range(size_class(LARGE), FREE_LISTS):
        block = h[H_FREE_LISTS + number]
        while block != 0:
            following = as_i64(block)[0]
            native_free(as_i64(block - 64)[0])
            block = following
        h[H_FREE_LISTS + number] = 0
    h[H_CACHED] = 0


@inner
def alloc(header, nbytes):
    """The address of a block of at least ``nbytes`` bytes, uninitialised; 0 when memory is exhausted."""
    h = as_i64(header)
    number = size_class(nbytes)
    size = class_size(number)
    block = h[H_FREE_LISTS + number]
    if block != 0:
        h[H_FREE_LISTS + number] = as_i64(block)[0]
        h[H_BYTES] += size
        if size >= LARGE:
            h[H_CACHED] -= size
        return block
    if size >= LARGE:
        raw = native_alloc(size + 128)
        if raw == 0:
            trim(header)
            raw = native_alloc(size + 128)
            if raw == 0:
                return 0
        block = (raw + 127) & ~63
        as_i64(block - 64)[0] = raw
        h[H_BYTES] += size
        return block
    block = h[H_CHUNK]
    if size >= 64:
        block = (block + 63) & ~63
    if block + size > h[H_CHUNK_END]:
        raw = native_alloc(CHUNK)
        if raw == 0:
            trim(header)
            raw = native_alloc(CHUNK)
            if raw == 0:
                return 0
        as_i64(raw)[0] = h[H_CHUNKS]
        h[H_CHUNKS] = raw
        h[H_CHUNK_END] = raw + CHUNK
        block = (raw + 64) & ~63
    h[H_CHUNK] = block + size
    h[H_BYTES] += size
    return block


@inner
def dismantle(header):
    """Give the memory that is not in use back to the system: idle large blocks, and all of it if nothing is in use."""
    trim(header)
    h = as_i64(header)
    if h[H_BYTES] != 0:
        return
    chunk = h[H_CHUNKS]
    while chunk != 0:
        before = as_i64(chunk)[0]
        native_free(chunk)
        chunk = before
    h[H_CHUNKS] = h[H_CHUNK] = h[H_CHUNK_END] = 0
    for number in range(FREE_LISTS):
        h[H_FREE_LISTS + number] = 0


@inner
def release(header, block, nbytes):
    """Give a block back; ``nbytes`` as it was asked for."""
    h = as_i64(header)
    number = size_class(nbytes)
    size = class_size(number)
    h[H_BYTES] -= size
    if size >= LARGE:
        if h[H_CACHED] + size > max(IDLE, h[H_BYTES]):
            native_free(as_i64(block - 64)[0])
            return
        h[H_CACHED] += size
    as_i64(block)[0] = h[H_FREE_LISTS + number]
    h[H_FREE_LISTS + number] = block
