"""Errors about the graph, in words: what was asked, what stands in the way, what to do."""

import numpy as np

from tapejit.core import record as R
from tapejit.core.refusals import LinAlgError
from tapejit.core.status import failed_at
from tapejit.spec.table import OPS


class Refused(BaseException):
    """The function cannot be replayed; the message says why, and where."""


class SweepUnderWay(RuntimeError):
    """A backward was asked for in the middle of another one on the same tape."""


def node_name(tape, k: int) -> str:
    """PyTorch's name of the backward node of a record."""
    return OPS[int(tape.ops[k])].node_name


def raise_for_graph(tape, answer: int):
    """Raise the RuntimeError for an answer of ``sweep.prepare``."""
    k = int(tape.header[R.H_MISSING])
    if answer == R.FREED_GRAPH:
        raise RuntimeError(
            f"trying to backward through the graph a second time: the values that {node_name(tape, k)} saved were freed "
            "by the first backward; pass retain_graph=True to the first call, or compute the result again"
        )
    if answer == R.MUTATED:
        layout = tape.records["n"][k]
        raise RuntimeError(
            f"a value that {node_name(tape, k)} ({int(layout)} elements) needs for its gradient has been modified by an "
            "inplace operation since it was saved; use the out-of-place form (x = x + 1 instead of x += 1), or change a clone()"
        )
    if answer == R.BUSY:
        raise SweepUnderWay(
            "backward() was called by code that interrupted another backward() of this thread (a handler of a signal, a "
            "finalizer, a callback of the garbage collector); let the handler set a flag, and look at it in the loop"
        )
    raise RuntimeError(f"tapejit: unexpected answer {answer} from the engine")


def kernel_failure(op, plan, status) -> LinAlgError:
    """What a kernel's status means, and for which matrix; the plan's shape is that of the batch."""
    matrix, info = failed_at(status)
    if not plan.shape:
        which = "the matrix"
    elif len(plan.shape) == 1:
        which = f"matrix {matrix} of the batch"
    else:
        which = f"matrix {tuple(map(int, np.unravel_index(matrix, plan.shape)))} of the batch"
    return LinAlgError(f"linalg.{op.name}: {which} {op.failure(info)}")
