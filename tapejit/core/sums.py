"""Sums of many numbers: accurate, fast, and the same whoever adds up.

A sum is one of blocks, whose sums are added with compensation (Neumaier 1974): accurate for long rows, fast for all. The blocks
of very many numbers are summed in parts, which the threads of a team share; what they leave is added in order.
"""

import numpy as np

from tapejit.core.team import COUNT, SHARE, SUMS
from tapejit.edge.capi import stack_words
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f32, as_f64, as_i64, call2, call4

REASSOCIATE = {"reassoc", "nsz", "contract"}  # lets a sum run in several lanes
BLOCK = 1024
MANY = 1 << 19  # numbers of a sum in parts, at least
PART = 1 << 16  # numbers of a part: some microseconds
_AT_ONCE = 1 << 21  # numbers whose block sums are kept


@inner(fastmath=REASSOCIATE)
def block_sum(p, start, n):
    total = 0.0
    for i in range(start, start + n):
        total += p[i]
    return total


@inner
def compensated(total, lost, part):
    """A total and what it has lost, with one more number."""
    new = total + part
    if np.isfinite(new):
        lost += (total - new) + part if abs(total) >= abs(part) else (part - new) + total
    return new, lost


@inner
def row_sum(p, n):
    """The sum of a row."""
    if n == 0:
        return 0.0
    if n <= BLOCK:
        return float(block_sum(p, 0, n))
    total = 0.0
    lost = 0.0
    for start in range(0, n, BLOCK):
        total, lost = compensated(total, lost, float(block_sum(p, start, min(BLOCK, n - start))))
    return total + lost


def sums_part(frame, k):
    """The sums of the blocks of part ``k``; the frame is where the numbers lie, how many, the bytes of one, and a place."""
    f = as_i64(frame)
    first = k * PART
    for start in range(first, min(first + PART, f[1]), BLOCK):
        n = min(BLOCK, f[1] - start)
        if f[2] == 8:
            as_f64(f[3])[start // BLOCK] = block_sum(as_f64(f[0]), start, n)
        else:
            as_f64(f[3])[start // BLOCK] = block_sum(as_f32(f[0]), start, n)


@inner
def sum_of_many(team, source, n, size):
    """The sum of ``n`` numbers of ``size`` bytes, in parts."""
    t = as_i64(team)
    frame = stack_words(4)
    sums = stack_words(2048)
    f = as_i64(frame)
    total = 0.0
    lost = 0.0
    for first in range(0, n, _AT_ONCE):
        f[0], f[1], f[2], f[3] = source + first * size, min(_AT_ONCE, n - first), size, sums
        parts = (f[1] + PART - 1) // PART
        if t[COUNT] > 1:
            call4(t[SHARE], team, t[SUMS], frame, parts)
        else:
            for k in range(parts):
                call2(t[SUMS], frame, k)
        for b in range((f[1] + BLOCK - 1) // BLOCK):
            total, lost = compensated(total, lost, as_f64(sums)[b])
    return total + lost
