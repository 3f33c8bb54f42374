"""Numbers for the kinds of records: equal for those that are the same computation, whatever they compute with.

A row of words says what is to be equal. Rows are looked up in a table of places, and compared word by word there, so that no
two kinds are one by accident.
"""

from tapejit.core import record as R
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_i32, as_i64, as_u8

ODD = 0x2127599BF4325C37
SCALARS = R.SCALAR_A | R.SCALAR_B | R.SCALAR_C
WIDTH = 12  # words of a row of ``number_records``
ALONE, IN_A_ROW, NORM, PAST_NORM = 1, 2, 4, 8  # what is told of an op, bits


@inner
def number_of(words, width, known, kept, slots, mask):
    """The number of a row among the ``known`` ones, of which it becomes the last if it is new.

    Args:
        kept: the address of room for all rows.
        slots: the address of ``mask + 1`` numbers of int32, more than twice as many as there may be rows, 0 for none.
    """
    w, s, h = as_i64(words), as_i32(slots), 0
    for j in range(width):
        h = (h ^ w[j]) * ODD
        h = h ^ (h >> 32)
    at = h & mask
    while s[at] != 0:
        row, same = as_i64(kept + 8 * width * (s[at] - 1)), 0
        while same < width and row[same] == w[same]:
            same += 1
        if same == width:
            return s[at] - 1
        at = (at + 1) & mask
    s[at] = known + 1
    row = as_i64(kept + 8 * width * known)
    for j in range(width):
        row[j] = w[j]
    return known


@entry
def number_rows(rows, count, width, kinds, kept, slots, mask):
    """Write the numbers of some rows of words to ``kinds``, an address of int64; the number of kinds."""
    k, known = as_i64(kinds), 0
    for i in range(count):
        k[i] = number_of(rows + 8 * width * i, width, known, kept, slots, mask)
        known += 1 if k[i] == known else 0
    return known


@inner
def row_of(row, records, k, x, y, z, marked):
    """Write the words that say what record k is; its operands are x, y and z, k itself for none."""
    w, fields = as_i64(row), as_i64(records + R.SIZE * k)
    ints = as_i32(records + R.SIZE * k)
    of = R.SIZE // 8
    layouts = as_i64(records + R.LAYOUT)
    w[0] = ints[R.OP // 4]
    w[1] = ints[R.FLAGS // 4] & (SCALARS | R.PUT)
    w[2] = fields[R.LAYOUT // 8]
    w[3] = fields[R.PLAN // 8]
    w[4] = fields[R.IMM // 8]
    w[5] = layouts[of * x]
    w[6] = layouts[of * y]
    w[7] = layouts[of * z]
    w[8] = w[9] = w[10] = 0
    if marked != 0:
        m = as_u8(marked)
        w[8] = m[x] if x != k else 0
        w[9] = m[y] if y != k else 0
        w[10] = m[z] if z != k else 0
    equal = (1 if x == y else 0) + (2 if y == z else 0) + (4 if x == z else 0)
    w[11] = equal + (8 if x == k else 0) + (16 if y == k else 0) + (32 if z == k else 0)


@inner
def is_alone(records, traits, k, x, y, z):
    """Whether a rule may look at more of record k than its row says."""
    of, ops, t = R.SIZE // 4, as_i32(records + R.OP), as_u8(traits)
    own = t[ops[of * k]]
    past_norm = own & PAST_NORM != 0 and (t[ops[of * x]] | t[ops[of * y]]) & NORM != 0
    return own & ALONE != 0 or t[ops[of * z]] & IN_A_ROW != 0 or past_norm


@entry
def number_records(records, order, count, marked, traits, operands, kinds, kept, slots, mask):
    """Write the numbers of the kinds of some records, -1 for those that are alone, and three operands each.

    Args:
        marked: the address of a byte for each record of the tape that also is to be equal of operands; 0 for none.
        traits: the address of a byte for each op, what is told of it.
    """
    o, known = as_i64(order), 0
    for i in range(count):
        k = o[i]
        read, found = as_i32(records + R.SIZE * k + R.A), as_i64(operands + 24 * i)
        for j in range(3):
            found[j] = read[j] if read[j] >= 0 else k
        number = -1
        if not is_alone(records, traits, k, found[0], found[1], found[2]):
            row_of(kept + 8 * WIDTH * known, records, k, found[0], found[1], found[2], marked)
            number = number_of(kept + 8 * WIDTH * known, WIDTH, known, kept, slots, mask)
            known += 1 if number == known else 0
        as_i64(kinds)[i] = number
    return known
