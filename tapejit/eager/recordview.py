"""A record as the rules of the op table see it."""

import numpy as np

from tapejit.core import record as R
from tapejit.core.layout import layout_at, packed_strides
from tapejit.core.plans import plan_at
from tapejit.eager.tensor import Tensor

FLAGS, A, VALUE, LAYOUT, PLAN, IMM = map(R.RECORD.names.index, ("flags", "a", "address", "layout", "plan", "imm"))
_IMMEDIATE = (R.SCALAR_A, R.SCALAR_B, R.SCALAR_C)


class RecordView:
    """What a rule on Tensors may ask of the record it differentiates."""

    __slots__ = ("imm", "plan", "shape", "wanted")

    def __init__(self, row, layout, wanted=()):
        self.wanted = wanted
        self.plan = plan_at(row[PLAN]) if row[PLAN] else None
        self.imm = row[IMM]
        self.shape = layout.shape

    @property
    def strides(self):
        return self.plan.strides if self.plan else packed_strides(self.shape)


def handle_of(tape, k) -> Tensor:
    """The Tensor of a record, made anew if the user has let go of it."""
    t = tape.handles[k]
    if t is None:
        t = object.__new__(Tensor)
        t._r = (tape.number << R.TAPE_SHIFT) | k
        t._layout = layout_at(int(tape.records["layout"][k]))
        tape.handles[k] = t
        tape.flags[k] &= ~R.DEAD
    return t


def operands_of(tape, k, row):
    """The operands of record k, whose fields are ``row``, as rules take them: Tensors, floats for immediates, None for none."""
    flags = row[FLAGS]
    operands = []
    for o, scalar in zip(row[A : A + 3], _IMMEDIATE, strict=True):
        if flags & scalar:
            imm = row[IMM]
            if handle_of(tape, k)._layout.dtype.code == R.F32:
                imm = float(tape.records[k : k + 1].view(np.uint8)[R.IMM : R.IMM + 4].view(np.float32)[0])
            operands.append(imm)
        else:
            operands.append(handle_of(tape, o) if o >= 0 else None)
    return operands
