"""The compiled reverse sweep, driven from Python: prepared, run, carried on past ops without reverse kernels, given up."""

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.layout import layout_at
from tapejit.core.record import MASK
from tapejit.eager.dispatch import borrow, recover, wrap
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.recordview import LAYOUT, VALUE, A, RecordView
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import contiguous
from tapejit.spec.table import OPS

_new = object.__new__
COUNT = (1 << 32) - 1  # of what a sweep answers: how many gradients it made; above it: how many adjoints are retained


def give_up(tape, to_leaves):
    """End a sweep that an interrupt stopped anywhere: no marks stay, and no leaf adds to a gradient that it does not show."""

    def clean():
        engine.abandon(tape.address, int(to_leaves))
        tape.align()
        numbers, handles = tape.records["a"], tape.handles
        leaves = np.flatnonzero((tape.flags[: len(tape)] & R.LEAF != 0) & (numbers[: len(tape)] >= 0))
        for k in leaves.tolist():
            if getattr(handles[k], "_grad", None) is not handles[numbers[k]]:
                numbers[k] = -1

    tapes.whole(clean)


def attach_gradients(tape):
    """Give the leaves whose first gradient a sweep has just made their Tensors; the records are the newest ones."""
    handles = tape.handles
    base = tape.number << R.TAPE_SHIFT
    leaf_at, apart = tape.leaf_at, None
    for i in range(tape.words[R.H_LEAF_COUNT]):
        k = leaf_at[i]
        if k >= 0:
            leaf = handles[k]
            handle = base | len(handles)
            gradient = _new(Tensor)
            gradient._r = handle
            gradient._layout = packed_at(tape, handle) if leaf is None else leaf._layout.packed
            handles.append(gradient)
            if leaf is None:
                continue
            if getattr(leaf, "_grad", None) is None:
                leaf._grad = gradient
            elif apart is None:
                apart = [(leaf, gradient)]
            else:
                apart.append((leaf, gradient))
    if apart is not None:
        for leaf, gradient in apart:
            leaf.grad = added(leaf.grad, gradient)


def added(gradient, part):
    """A gradient with a later part, for a gradient that a sweep cannot add to in its own memory."""
    with no_grad():
        return gradient + part


def packed_at(tape, handle):
    return layout_at(int(tape.records["layout"][handle & MASK]))


def collect_retained(tape):
    """Move the adjoints that retain_grad() asked for into ``.grad``."""
    visited = tape.order[: int(tape.header[R.H_VISITED])]
    for k in visited[visited >= 0].tolist():
        if tape.flags[k] & R.RETAIN and tape.adjoints[k] > 2:
            handle = tape.handles[k]
            gradient = take(tape, k)
            if handle is not None:
                handle.grad = gradient if handle.grad is None else added(handle.grad, gradient)


def take(tape, k):
    """The kept adjoint of record ``k`` as a Tensor, None if nothing arrived."""
    while True:
        answer = engine.take_adjoint(tape.address, k)
        if answer == -1:
            return None
        if answer >= 0:
            return wrap(tape, answer, packed_at(tape, answer))
        tape._grow(2 * int(tape.header[R.H_CAPACITY]))  # not reclaim: other captured adjoints wait to be taken


def unblock(tape, answer):
    """``recover`` for a sweep that is not yet under way."""
    if answer == R.RECLAIM:
        tape.reclaim()
    else:
        recover(tape, answer)


def same_tape(tape, tensors):
    tape.align()
    if any(t._tape() is not tape for t in tensors):
        raise RuntimeError("outputs and inputs must have been computed in one thread")


def _numbers(tensors):
    return np.array([t._r & MASK for t in tensors], dtype=np.int64)


def _prepare(tape, outputs, inputs):
    """Let the engine find the records to visit; the record numbers of the outputs, which hold until the next append."""
    while True:
        roots, wanted = _numbers(outputs), _numbers(inputs)  # anew each time: unblocking may move records
        answer = engine.prepare(
            tape.address, roots.ctypes.data, len(roots), wanted.ctypes.data if len(wanted) else 0, len(wanted)
        )
        if answer == 0:
            return roots
        unblock(tape, answer)


def sweep(tape, outputs, seeds, inputs, retain, to_leaves):
    """Run the compiled sweep; returns the number of gradient records made."""
    seeds = [None if s is None else contiguous(s) for s in seeds]
    roots = _prepare(tape, outputs, inputs or ())
    for k, seed in zip(roots.tolist(), seeds, strict=True):
        if tape.adjoints[k] >= 2:
            engine.give_seed(tape.address, k, 0 if seed is None else seed.data_ptr())
    made = engine.run(tape.address, int(bool(retain)), int(to_leaves))
    return carry_on(tape, retain, to_leaves) if made < 0 else made


def carry_on(tape, retain, to_leaves):
    """Go on with a sweep that stopped at ops without reverse kernels: their rules run on a tape beside it, without history.

    The caller gives the sweep up if a rule fails.
    """
    made = R.STOPPED
    with tapes.aside() as side:
        while made == R.STOPPED:
            place = int(tape.header[R.H_MISSING])
            _contribute(tape, side, int(tape.order[place]))
            made = engine.resume(tape.address, place, int(bool(retain)), int(to_leaves))
    return made


def _contribute(tape, side, k):
    """Add the adjoints that the rule of record k gives to those of its operands."""
    op = OPS[int(tape.ops[k])]
    row = tape.records[k].item()
    layout = layout_at(row[LAYOUT])
    operands = row[A : A + 3]
    wanted = tuple(o >= 0 and tape.adjoints[o] >= 2 and bool(tape.flags[o] & R.GRAD) for o in operands)
    needs = op.needs[0]

    def value(o, name):
        if o < 0 or name not in needs:
            return None
        return borrow(side, layout_at(int(tape.records["layout"][o])), int(tape.addresses[o]))

    g = borrow(side, layout.packed, int(tape.adjoints[k]))
    out = borrow(side, layout, row[VALUE]) if "out" in needs else None
    record = RecordView(row, layout, wanted)
    adjoints = op.joint(record, g, *map(value, operands, "xyz"), out)
    for o, part, asked in zip(operands, adjoints, wanted[: op.arity], strict=False):
        if asked and part is not None:
            part = contiguous(part)
            engine.contribute(tape.address, o, part.data_ptr())


def plan_sweep(tape, outputs, inputs=()):
    """What a sweep would visit: (records from the outputs down, leaves); only the wanted ones when there are inputs."""
    try:
        _prepare(tape, outputs, inputs)
        order = tape.order[: int(tape.header[R.H_VISITED])].copy()
        leaves = tape.leaves[: int(tape.header[R.H_LEAF_COUNT])].copy()
        order, leaves = order[tape.adjoints[order] >= 2].tolist(), leaves[tape.adjoints[leaves] >= 2].tolist()
        engine.forget(tape.address)
    except BaseException:
        give_up(tape, False)
        raise
    return order, leaves
