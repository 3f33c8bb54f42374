"""Which records of a recording others need: a pass over its operands from the end."""

from tapejit.edge.jit import entry
from tapejit.edge.raw import as_i32, as_u8

NEEDED = 1
ASKED = 2  # what it reads is not in the columns: Python says it


@entry
def mark_needed(first, second, third, marks, end):
    """Mark what the marked records before ``end`` read, from the last one on.

    Args:
        first, second, third: addresses of columns of int32, -1 for nothing.
        marks: the address of a byte for each record.

    Returns the first record met that is marked, and to be asked; -1 if there is none.
    """
    a, b, c, m = as_i32(first), as_i32(second), as_i32(third), as_u8(marks)
    for j in range(end):
        k = end - 1 - j
        if m[k] & NEEDED:
            if m[k] & ASKED:
                return k
            if a[k] >= 0:
                m[a[k]] |= NEEDED
            if b[k] >= 0:
                m[b[k]] |= NEEDED
            if c[k] >= 0:
                m[c[k]] |= NEEDED
    return -1
