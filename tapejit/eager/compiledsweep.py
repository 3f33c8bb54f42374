"""The compiled sweep as Python runs it: prepared, stopped where a rule or a hook of Python's is to run, gone on, given up."""

import contextlib
import sys

import numpy as np

from tapejit.core import engine, errors
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.layout import layout_at, packed_strides
from tapejit.core.plans import plan_at
from tapejit.core.record import MASK
from tapejit.eager import hooks
from tapejit.eager.dispatch import borrow, recover, wrap
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import clone, contiguous
from tapejit.spec.structured import ROWS
from tapejit.spec.table import OPS

_FLAGS, _A, _VALUE, _LAYOUT, _PLAN, _IMM = map(R.RECORD.names.index, ("flags", "a", "address", "layout", "plan", "imm"))
_waiting: dict = {}  # address -> tape, of those on which a sweep waits for rules and hooks


def give_up(tape, to_leaves):
    """End a sweep that an interrupt stopped anywhere: no marks stay, and no leaf adds to a gradient that it does not show.

    Called where an exception is handled; a sweep that another one stood in the way of has nothing to be given up.
    """
    if isinstance(sys.exception(), errors.SweepUnderWay):
        return

    def clean():
        numbers, handles, flags = tape.firsts, tape.handles, tape.flags[: len(tape)]
        leaves = np.flatnonzero((flags & R.LEAF != 0) & (numbers[: len(tape)] >= 0))
        if tape.words[R.H_SWEEPING]:
            if to_leaves:  # their adjoints are the memory of gradients, which stays
                tape.adjoints[leaves[flags[leaves] & R.CAPTURE == 0]] = 0
            tape.words[R.H_SWEEPING] = R.GIVEN_UP
            with contextlib.suppress(MemoryError):  # then the next sweep begins with it
                tape.end_sweep()
        for k in leaves.tolist():
            shown = getattr(handles[k], "_grad", None)
            if shown is None or shown is not handles[numbers[k]]:
                numbers[k] = -1

    tapes.whole(clean)


def take(tape, k):
    """The kept adjoint of record ``k`` as a Tensor, None if nothing arrived."""
    while True:
        answer = engine.take_adjoint(tape.address, k)
        if answer == -1:
            return None
        if answer >= 0:
            return wrap(tape, answer, packed_at(tape, answer))
        tape._grow(2 * int(tape.header[R.H_CAPACITY]))  # not reclaim: other captured adjoints wait to be taken


def taken(tape):
    """All kept adjoints have been taken: the sweep is over."""
    tape.words[R.H_SWEEPING] = 0


def packed_at(tape, handle):
    return layout_at(int(tape.records["layout"][handle & MASK]))


def unblock(tape, answer):
    """``recover`` for a sweep that is not yet under way."""
    if answer == R.BUSY and tape.words[R.H_SWEEPING] == R.GIVEN_UP:
        tape.end_sweep()
    elif answer == R.RECLAIM and tape.address in _waiting:
        tape._grow(2 * int(tape.header[R.H_CAPACITY]))
    elif answer == R.RECLAIM:
        tape.reclaim()
    else:
        recover(tape, answer)


def same_tape(tape, tensors):
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
            _fed(tape, engine.give_seed, k, 0 if seed is None else seed.data_ptr())
    made = engine.run(tape.address, int(bool(retain)), int(to_leaves))
    return go_on(tape, made, retain, to_leaves) if made < 0 else made


def _fed(tape, function, *arguments):
    """Call a function of the engine for a sweep that is under way, again and again while giving memory back helps.

    Raises:
        MemoryError: if there is none.
    """
    while function(tape.address, *arguments) == R.NO_MEMORY:
        relieve(tape)


def relieve(tape):
    """Find memory for a sweep that is under way.

    Raises:
        MemoryError: if there is none.
    """
    if not tape.relieve():
        raise MemoryError(
            "tapejit: no memory for the gradients; free tensors, or use smaller batches. The graph can be used again; a .grad "
            "that was there before may hold a part of this call"
        )


def go_on(tape, made, retain, to_leaves):
    """Go on with a sweep that stopped: for want of memory, or at ops without reverse kernels and at hooks.

    Rules run on a tape beside it, without history. The caller gives the sweep up if one fails.
    """
    sweep = {}
    while made == R.STARVED:
        relieve(tape)
        made = engine.resume(tape.address, tape.words[R.H_MISSING], 0, int(bool(retain)), int(to_leaves))
    if made >= 0:
        return made
    with tapes.as_before(), tapes.aside() as side:
        _waiting[tape.address] = tape
        try:
            while made < 0:
                place = int(tape.header[R.H_MISSING])
                k = int(tape.order[place])
                if made == R.STARVED:
                    relieve(tape)
                elif tape.flags[k] & R.HOOKED:
                    _through_hooks(tape, side, k)
                swept = made == R.STOPPED and _contribute(tape, side, k, sweep)
                made = engine.resume(tape.address, place, int(swept), int(bool(retain)), int(to_leaves))
        finally:
            del _waiting[tape.address]
    return made


@contextlib.contextmanager
def apart(tape):
    """Let a sweep run on a tape on which another one waits: what belongs to that is put away and brought back."""
    if tape.address not in _waiting:
        yield
        return
    words = [R.H_VISITED, R.H_LEAF_COUNT, R.H_MISSING, R.H_RETAINED, R.H_SWEEPING, R.H_OPERAND]
    kept, count = tape.header[words].copy(), len(tape)
    arrays = {name: getattr(tape, name)[:count].copy() for name in ("adjoints", "order", "leaves")}
    captured = tape.flags[:count] & R.CAPTURE
    tape.adjoints[:count] = 0
    tape.flags[:count] &= ~R.CAPTURE
    tape.words[R.H_SWEEPING] = 0
    try:
        yield
    finally:
        tape.header[words] = kept
        for name, array in arrays.items():
            getattr(tape, name)[:count] = array
        tape.flags[:count] |= captured


def _through_hooks(tape, side, k):
    """Let the hooks of the Tensor of record k have its adjoint; what they give is its adjoint from here on."""
    handle = tape.handles[k]
    kept = borrow(side, layout_at(int(tape.records["layout"][k])).packed, int(tape.adjoints[k]))
    if handle is not None and hooks.known(handle) is not None:
        gradient = clone(kept)  # the user may keep it
        changed = hooks.through(handle, gradient)
        kept._memory()[...] = changed._memory()


def _contribute(tape, side, k, sweep) -> bool:
    """Add the adjoints that the rule of record k gives to those of its operands; False if reverse kernels are to do it."""
    op = OPS[int(tape.ops[k])]
    row = tape.records[k].item()
    layout = layout_at(row[_LAYOUT])
    operands = operand_records(tape, op, row)
    wanted = tuple(o >= 0 and tape.adjoints[o] >= 2 and bool(tape.flags[o] & R.GRAD) for o in operands)
    if op.joint is None or not any(wanted) or row[_FLAGS] & R.FREED:
        return False
    needs = op.needs[0]

    def value(o, name):
        if o < 0 or name not in needs:
            return None
        return borrow(side, layout_at(int(tape.records["layout"][o])), int(tape.addresses[o]))

    g = borrow(side, layout.packed, int(tape.adjoints[k]))
    out = borrow(side, layout, row[_VALUE]) if "out" in needs else None
    record = RecordView(row, layout, wanted, sweep)
    names = "xyz" + "z" * (len(operands) - 3)
    adjoints = op.joint(record, g, *map(value, operands, names), out)
    for o, part, asked in zip(operands, adjoints, wanted[: op.arity], strict=False):
        if asked and part is not None:
            part = contiguous(part)
            _fed(tape, engine.contribute, o, part.data_ptr())
    return True


def plan_sweep(tape, outputs, inputs=()):
    """What a sweep would visit: (records from the outputs down, leaves); only the wanted ones when there are inputs."""
    order, leaves = planned_sweep(tape, outputs, inputs)
    return order.tolist(), leaves.tolist()


def planned_sweep(tape, outputs, inputs):
    """``plan_sweep``, as arrays."""
    try:
        _prepare(tape, outputs, inputs)
        order = tape.order[: int(tape.header[R.H_VISITED])].copy()
        leaves = tape.leaves[: int(tape.header[R.H_LEAF_COUNT])].copy()
        order, leaves = order[tape.adjoints[order] >= 2], leaves[tape.adjoints[leaves] >= 2]
        engine.forget(tape.address)
    except BaseException:
        give_up(tape, False)
        raise
    return order, leaves


def operand_records(tape, op, row) -> list:
    """The operands of a record of an op, whose fields are ``row``: three, with -1 for none, or all that there are."""
    found = list(row[_A : _A + 3])
    while op.arity > 3 and int(tape.ops[found[-1]]) in ROWS:
        found += tape.records[found.pop()].item()[_A : _A + 3]
    return found[: max(op.arity, 3)]


class RecordView:
    """What a rule on Tensors may ask of the record it differentiates."""

    __slots__ = ("imm", "plan", "shape", "sweep", "wanted")

    def __init__(self, row, layout, wanted, sweep):
        self.wanted = wanted
        self.sweep = sweep  # a dict of this sweep
        self.plan = plan_at(row[_PLAN]) if row[_PLAN] else None
        self.imm = row[_IMM]
        self.shape = layout.shape

    @property
    def strides(self):
        return self.plan.strides if self.plan else packed_strides(self.shape)


def handle_of(tape, k) -> Tensor:
    """The Tensor of a record, made anew if the user has let go of it."""
    t = tape.handles[k]
    if tape.flag_at[k] & R.DEAD:
        tape.flags[k] &= ~R.DEAD
    if t is None:
        t = object.__new__(Tensor)
        t._r = (tape.number << R.TAPE_SHIFT) | k
        t._layout = layout_at(int(tape.records["layout"][k]))
        tape.handles[k] = t
    return t
