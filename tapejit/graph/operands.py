"""What the records of a recording read."""

import numpy as np

from tapejit.core import record as R
from tapejit.core.record import MASK
from tapejit.eager.tensor import Tensor
from tapejit.spec.structured import ROWS


def columns_of(recorder) -> dict:
    """The fields of a recording's records, each a list; the operand of a leaf is the record whose value it has, if any."""
    tape = recorder.tape
    rows = tape.records[: len(tape)]
    columns = {name: rows[name].tolist() for name in rows.dtype.names}
    for k in np.flatnonzero((rows["op"] == 0) & (rows["flags"] & R.LEAF != 0)).tolist():
        columns["a"][k] = -1  # where the gradient of a leaf is
    for k, a in recorder.aliases.items():
        columns["a"][k] = a
    return columns


def all_operands(columns, k) -> list:
    """The operands of record k in order, three or more, -1 for none; those in a row take its place."""
    found = [columns["a"][k], columns["b"][k], columns["c"][k]]
    while found[-1] >= 0 and columns["op"][found[-1]] in ROWS:
        row = found.pop()
        found += [columns["a"][row], columns["b"][row], columns["c"][row]]
    return found


def records_read(recorder, columns, k) -> list:
    """The records that record k reads."""
    note = recorder.notes.get(k)
    if note is not None:
        return [x._r & MASK for x in note.operands if isinstance(x, Tensor)]
    return [o for o in all_operands(columns, k) if o >= 0]


def ancestors(records, values, read) -> set:
    """The records and all that they ``read`` which is not among the values yet."""
    found, stack = set(), list(records)
    while stack:
        k = stack.pop()
        if k not in found and k not in values:
            found.add(k)
            stack += read(k)
    return found


def live(columns, roots, stop, asked, read) -> list:
    """Some records and all that they need, in the order of the tape; of those in ``stop`` nothing further is needed.

    The same as ``ancestors`` for most of a long tape, faster: rows of operands are records here.

    Args:
        asked: the records whose operands are what ``read`` says.
    """
    alive = bytearray(len(columns["op"]))
    for k in roots:
        alive[k] = 1
    first, second, third = (columns[name] for name in "abc")
    for k in range(len(alive) - 1, -1, -1):
        if not alive[k] or k in stop:
            continue
        for o in (first[k], second[k], third[k]) if k not in asked else read(k):
            if o >= 0:
                alive[o] = 1
    return np.flatnonzero(np.frombuffer(alive, np.uint8)).tolist()
