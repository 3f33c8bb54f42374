"""Changing many tensors in place by one call of a kernel made from a rule."""

from array import array

from tapejit.core import engine
from tapejit.core import tape as tapes
from tapejit.core.record import H_MOVED, RECLAIM
from tapejit.kernels.stepping import update_kernel

_update = engine.late(globals(), "_update", "update")


def update_together(name, rule, dtype, width, tensors, numbers) -> bool:
    """Change rows of tensors by a rule, in place and without a history.

    Args:
        name: of the rule.
        rule: a function of ``width`` elements and of the numbers, see ``kernels.stepping``; one object for all calls.
        dtype: of all tensors.
        width: tensors in a row: one that changes, one that is only read, and others that change.
        tensors: the rows, one after another.
        numbers: floats, the same for all rows.

    Returns:
        Whether it was done. It is not, and nothing has changed, where a tensor has strides, memory of somebody else's or of
        another thread, and where operations are being recorded.
    """
    tape = tapes.current()
    if tape.recorder is not None:
        return False
    kernel = update_kernel(name, rule, width, len(numbers), dtype.code)
    values = array("d", numbers)
    answer = RECLAIM
    while answer == RECLAIM:  # records moved after their numbers were read
        moved = tape.words[H_MOVED]
        rows = array("q", [t._r for t in tensors])
        places = rows.buffer_info()[0], len(tensors) // width, width, values.buffer_info()[0]
        answer = _update(tape.address, moved, kernel, dtype.code, *places)
    return answer == 0
