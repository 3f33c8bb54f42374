"""What the records of a recording read."""

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core.needed import ASKED, NEEDED
from tapejit.core.record import MASK
from tapejit.eager.tensor import Tensor
from tapejit.spec.structured import ROWS
from tapejit.spec.table import OPS

NARROW, WIDE = ("op", "flags", "a", "b", "c"), ("n", "layout", "plan", "imm")  # fields of four and of eight bytes


class Columns(dict):
    """The fields of a recording's records, each a column of Python numbers that may be changed.

    The operand of a leaf is the record whose value it has, if any.

    Attributes:
        ops: how often each op is there, by its code.
    """

    def __init__(self, recorder):
        tape = recorder.tape
        count = len(tape)
        arrays = {name: np.empty(count, dtype=R.RECORD[name]) for name in NARROW + WIDE}
        self.ops = np.zeros(len(OPS), dtype=np.int64)
        self.update((name, memoryview(array)) for name, array in arrays.items())
        engine.split(tape.words[R.H_RECORDS], count, *(x.ctypes.data for x in self.places()), self.ops.ctypes.data)
        for k in np.flatnonzero((arrays["op"] == 0) & (arrays["flags"] & R.LEAF != 0)).tolist():
            self["a"][k] = -1  # where the gradient of a leaf is
        for k, a in recorder.aliases.items():
            self["a"][k] = a

    def array(self, name):
        """A column as an array."""
        return np.asarray(self[name])

    def places(self):
        """Where the columns are, those of four bytes and those of eight: two arrays, as the engine takes them."""
        return tuple(np.array([self.array(name).ctypes.data for name in names]) for names in (NARROW, WIDE))

    def single_precision(self):
        """The immediates of records of float32, which lie in half of the field."""
        return memoryview(self.array("imm").view(np.float32)[::2])

    def have(self, codes) -> bool:
        """Whether there is any of some ops."""
        return bool(self.ops[codes].any())


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


def live(columns, roots, stop, asked, read) -> np.ndarray:
    """Some records and all that they need, in the order of the tape; of those in ``stop`` nothing further is needed.

    The same as ``ancestors`` for most of a long tape, faster: rows of operands are records here.

    Args:
        asked: the records whose operands are what ``read`` says.
    """
    marks = np.zeros(len(columns["op"]) + 1, dtype=np.uint8)
    marks[list(asked)] = marks[list(stop)] = ASKED
    marks[list(roots)] |= NEEDED
    places = [columns.array(name).ctypes.data for name in "abc"]
    k = len(marks) - 1
    while (k := engine.mark_needed(*places, marks.ctypes.data, k)) >= 0:
        if k not in stop:
            marks[read(k)] |= NEEDED
    return np.flatnonzero(marks & NEEDED)
