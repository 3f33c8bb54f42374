"""What a recording works out again, of the same operands: functions for a derivative, and indices in every pass of a loop.

A gradient needs the cosine of what the sine was taken of. In straight code equal values are one; a loop and the loop of its
reverse have bodies of their own, and would each work it out. Here the second becomes the first, which is stacked then.
Indices that are the same in every pass lie before the loop then, and so do the guards that they are in range.
"""

import functools

import numpy as np

from tapejit.core import record as R
from tapejit.core.record import MASK
from tapejit.eager.tensor import Tensor
from tapejit.spec.primitives import PRIMITIVES
from tapejit.spec.table import OPS

DEAR = 12  # cycles, as the table of primitives has them, above which a function is not worked out again
MOST_ELEMENTS = 256  # above, memory costs what vectors do


_VIEWS = {op.code for op in OPS if op.name.startswith("view")}


@functools.cache
def _dear():
    """The codes of elementwise ops of one operand that take long."""
    return [op.code for op in OPS if op.code and op.elementwise and op.arity == 1 and _cost(op.trace(0)) > DEAR]


def _cost(expr) -> float:
    own = PRIMITIVES[expr.op].cost if expr.op in PRIMITIVES else 0.0
    return own + sum(_cost(a) for a in expr.args if hasattr(a, "args"))


def share(lowering):
    """Let operands be the first of several records that work out the same.

    Args:
        lowering: its ``columns`` change: operands.
    """
    if not lowering.columns.have(_dear()):
        return
    columns = {name: lowering.columns.array(name) for name in ("op", "flags", "layout", "n", "imm", "a", "b", "c")}
    taken = np.isin(columns["op"], _dear()) & (columns["n"] <= MOST_ELEMENTS) & (columns["a"] >= 0)
    taken &= columns["flags"] & (R.PUT | R.SCALAR_A) == 0
    found = np.flatnonzero(taken)
    numbers = columns["imm"].view(np.int64)
    rows = np.stack([column[found].astype(np.int64) for column in (columns["a"], columns["op"], columns["layout"], numbers)])
    order = np.lexsort(rows)
    rows = rows[:, order]
    again = np.zeros(len(found), bool)
    again[1:] = (rows[:, 1:] == rows[:, :-1]).all(axis=0)
    again &= ~np.isin(found[order], list(lowering.exact))  # else the bits of a decision came from another record
    if not again.any():
        return
    starts = np.maximum.accumulate(np.where(again, 0, np.arange(len(found))))
    stands = np.arange(len(columns["op"]), dtype=columns["a"].dtype)
    stands[found[order[again]]] = found[order[starts[again]]]
    for name in "abc":
        column = columns[name]
        used = column >= 0
        column[used] = stands[column[used]]


def share_indices(lowering):
    """Let records read the first of several indices that are made of the same integers.

    Args:
        lowering: its ``columns`` change: operands.
    """
    columns = {name: np.asarray(lowering.columns[name]) for name in ("op", "layout", "plan", "imm", "a", "b", "c")}
    stands = np.arange(len(columns["op"]), dtype=columns["a"].dtype)
    first = {}

    def source(k):
        """What views have made a record of."""
        views = []
        while columns["op"][k] in _VIEWS and columns["a"][k] >= 0:
            views += (columns[name][k].item() for name in ("layout", "plan", "imm"))
            k = int(columns["a"][k])
        return k, *views

    for k, note in lowering.recorder.notes.items():
        if note.name == "flat" and k not in lowering.exact:
            made_of = tuple(source(int(x._r & MASK)) for x in note.operands if isinstance(x, Tensor))
            told = tuple((x.shape, x.tobytes()) if isinstance(x, np.ndarray) else repr(x) for x in note.parameters)
            stands[k] = first.setdefault((made_of, told, columns["layout"][k].item()), k)
    for name in "abc":
        used = columns[name] >= 0
        columns[name][used] = stands[columns[name][used]]
