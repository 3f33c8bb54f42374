"""Passes over the records of a long recording, in which what recurs is looked for: each reads memory once."""

from tapejit.core import record as R
from tapejit.core.recordkinds import ODD, SCALARS
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_i32, as_i64, as_u8

GRAM = 8  # records in a row that must recur
AHEAD = pow(ODD, GRAM, 1 << 64)
AHEAD -= (AHEAD >> 63) << 64  # as a word with a sign


@inner
def mixed(h, word):
    h = (h ^ word) * ODD
    return h ^ (h >> 32)


@entry
def survey(records, count, flags, ops):
    """Write the flags of records to ``flags``, an address of int32, and how often each op is there to ``ops``, of int64."""
    for k in range(count):
        fields = as_i32(records + R.SIZE * k)
        as_i32(flags)[k] = fields[R.FLAGS // 4]
        as_i64(ops)[fields[R.OP // 4]] += 1


@entry
def split(records, count, narrow, wide, ops):
    """Write the fields of records to columns, and how often each op is there to ``ops``, an address of int64.

    Args:
        narrow: the address of addresses of int32: op, flags and three operands.
        wide: that of addresses of int64: elements, layout, plan, immediate.
    """
    n, w, found = as_i64(narrow), as_i64(wide), as_i64(ops)
    op, flags, a, b, c = as_i32(n[0]), as_i32(n[1]), as_i32(n[2]), as_i32(n[3]), as_i32(n[4])
    elements, layout, plan, imm = as_i64(w[0]), as_i64(w[1]), as_i64(w[2]), as_i64(w[3])
    for k in range(count):
        small, large = as_i32(records + R.SIZE * k), as_i64(records + R.SIZE * k)
        op[k] = small[R.OP // 4]
        flags[k] = small[R.FLAGS // 4]
        a[k] = small[R.A // 4]
        b[k] = small[R.B // 4]
        c[k] = small[R.C // 4]
        elements[k] = large[R.N // 8]
        layout[k] = large[R.LAYOUT // 8]
        plan[k] = large[R.PLAN // 8]
        imm[k] = large[R.IMM // 8]
        found[op[k]] += 1


@entry
def compared(live, count, narrow, wide, moving, places, keys, reads):
    """Write for some records a number that is equal for equal computations, and the places of their operands among them.

    Args:
        live: the address of the numbers of the records.
        narrow, wide: as of ``split``.
        moving: the address of a byte for each op: whether its immediate is an offset.
        places: the address of the place of each record, int32.
        keys: an address of int64; ``reads``: of three int32 for each record, -1 for nothing.
    """
    n, w, at = as_i64(narrow), as_i64(wide), as_i32(places)
    op, flags = as_i32(n[0]), as_i32(n[1])
    for i in range(count):
        k = as_i64(live)[i]
        h = mixed(mixed(op[k], flags[k] & SCALARS), as_i64(w[1])[k])
        h = mixed(h, as_i64(w[2])[k])
        if as_u8(moving)[op[k]] == 0 and flags[k] & SCALARS == 0:
            h = mixed(h, as_i64(w[3])[k])
        as_i64(keys)[i] = mixed(h, 0)
        for j in range(3):
            x = as_i32(n[2 + j])[k]
            as_i32(reads)[3 * i + j] = at[x] if x >= 0 else -1


@entry
def distances(keys, reads, first, end, longest, near, seen, mask, counts):
    """Count how far back the same few records in a row were seen last, for each distance up to ``longest``.

    Args:
        reads: as ``compared`` writes them; with ``near``, how far back these stand must be the same, too, if not too far.
        seen: the address of room for ``mask + 1`` pairs (hash, place + 1) of zeros: what was seen lately.
    """
    found, rows = as_i64(counts), as_i64(seen)
    gram = 0
    for i in range(first, end):
        gram = gram * ODD + said(keys, reads, first, i, longest, near)
        if i - first >= GRAM:
            gram -= said(keys, reads, first, i - GRAM, longest, near) * AHEAD
        if i - first < GRAM - 1:
            continue
        slot = 2 * ((gram ^ (gram >> 29)) & mask)
        if rows[slot] == gram and rows[slot + 1] != 0:
            back = i + 1 - rows[slot + 1]
            if back <= longest:
                found[back] += 1
        rows[slot] = gram
        rows[slot + 1] = i + 1


@inner
def said(keys, reads, first, i, longest, near):
    """What is compared of a record."""
    h = as_i64(keys)[i]
    if near != 0:
        for j in range(3):
            x = as_i32(reads)[3 * i + j]
            back = i - x
            h = mixed(h, back if x >= first and back <= longest else 0)
    return h


@entry
def recur(keys, count, distance):
    """How many records recur at a distance."""
    k, found = as_i64(keys), 0
    for i in range(count - distance):
        found += 1 if k[i] == k[i + distance] else 0
    return found


@inner
def regular(keys, reads, i, period):
    """Whether a record and the next two at a distance are the same, with operands that move alike."""
    k = as_i64(keys)
    if k[i] != k[i + period] or k[i] != k[i + 2 * period]:
        return False
    here, then, after = as_i32(reads + 12 * i), as_i32(reads + 12 * (i + period)), as_i32(reads + 12 * (i + 2 * period))
    differs = 0
    for j in range(3):
        differs |= (then[j] - here[j]) ^ (after[j] - then[j])
    return differs == 0


@entry
def stretches(keys, reads, first, end, period, fewest, found):
    """Write where at least ``fewest`` records go on regularly at a distance: pairs (first record, records); how many pairs.

    With them go the two periods that the last of them are followed by.
    """
    pairs, count, begin = as_i64(found), 0, first
    for i in range(first, end - 2 * period + 1):
        if i < end - 2 * period and regular(keys, reads, i, period):
            continue
        length = i - begin + 2 * period
        if i > begin and length >= fewest:
            pairs[2 * count] = begin
            pairs[2 * count + 1] = length
            count += 1
        begin = i + 1
    return count
