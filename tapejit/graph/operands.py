"""What the records of a recording read."""

from tapejit.core.record import MASK
from tapejit.eager.tensor import Tensor
from tapejit.spec.structured import ROWS


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
