"""Functions that a recording works out twice, of the same operand: once where it runs, once for a derivative.

A gradient needs the cosine of what the sine was taken of. In straight code equal values are one; a loop and the loop of its
reverse have bodies of their own, and would each work it out. Here the second becomes the first, which is stacked then.
"""

import functools

import numpy as np

from tapejit.core import record as R
from tapejit.spec.primitives import PRIMITIVES
from tapejit.spec.table import OPS

DEAR = 12  # cycles, as the table of primitives has them, above which a function is not worked out again
MOST_ELEMENTS = 256  # above, memory costs what vectors do


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
    columns = {name: np.asarray(lowering.columns[name]) for name in ("op", "flags", "layout", "n", "imm", "a", "b", "c")}
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
