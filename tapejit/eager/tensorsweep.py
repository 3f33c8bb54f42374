"""The sweep by the op table's rules on Tensors: what it computes is recorded, and can be differentiated again."""

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.plans import plan_at
from tapejit.core.record import MASK
from tapejit.eager import anomaly, hooks, lessons
from tapejit.eager.compiledsweep import RecordView, handle_of, operand_records, planned_sweep, same_tape
from tapejit.eager.dispatch import constant
from tapejit.eager.grad_mode import set_grad_enabled
from tapejit.eager.learnedsweep import swept_by_number
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import strided_view
from tapejit.spec.table import BY_NAME, OPS, VALUES

_NORM, _SQUARE, _MUL = (BY_NAME[name] for name in ("norm", "square", "mul"))
_FLAGS, _IMM = map(R.RECORD.names.index, ("flags", "imm"))


def operands_of(tape, k, row):
    """The operands of record k, whose fields are ``row``, as rules take them: Tensors, floats for immediates, None for none."""
    flags = row[_FLAGS]
    operands = []
    for j, o in enumerate(operand_records(tape, OPS[row[0]], row)):
        if j < 3 and flags & (R.SCALAR_A << j):
            imm = row[_IMM]
            if handle_of(tape, k)._layout.dtype.code == R.F32:
                imm = float(tape.records[k : k + 1].view(np.uint8)[R.IMM : R.IMM + 4].view(np.float32)[0])
            operands.append(imm)
        else:
            operands.append(handle_of(tape, o) if o >= 0 else None)
    return operands


def sum_to(t: Tensor, shape) -> Tensor:
    """Sum what broadcasting repeated, so that the result has ``shape``."""
    if t.shape == shape:
        return t
    lead = t.ndim - len(shape)
    dims = (*range(lead), *(d + lead for d, s in enumerate(shape) if s == 1 and t.shape[d + lead] != 1))
    t = t.sum(dims, keepdim=True) if dims else t
    return t.reshape(shape)


def _square_of_norm(tape, length, g, wanted, inputs):
    """The contribution of ``length ** 2`` to what a 2-norm was taken of, past the norm, which has no derivative at 0."""
    k = length._r & MASK
    if OPS[int(tape.ops[k])] is not _NORM or length in inputs or tape.flags[k] & R.RETAIN:
        return None
    x = handle_of(tape, int(tape.records["a"][k]))
    if x not in wanted:
        return None
    plan = plan_at(int(tape.records["plan"][k]))
    return x, strided_view(2.0 * g, x.shape, plan.strides, 0) * x


def _contributions(tape, k, g, wanted, inputs, sweep):
    """Pairs (operand's Tensor, its contribution) of one record."""
    row = tape.records[k].item()  # a tuple: reading one field of an array's row costs more than all of them at once
    op = OPS[row[0]]
    operands = operands_of(tape, k, row)
    if op is _SQUARE or (op is _MUL and operands[0] is operands[1]):
        past = _square_of_norm(tape, operands[0], g, wanted, inputs)
        if past is not None:
            yield past
            return
    out, flag_at = handle_of(tape, k), tape.flag_at
    asked = [
        rule is not None and x.__class__ is Tensor and x in wanted and bool(flag_at[x._r & MASK] & R.GRAD)
        for rule, x in zip(op.rules, operands, strict=False)
    ]
    if op.elementwise:
        known = dict(zip(VALUES, (*operands, out), strict=True))
        for rule, x, names, is_asked in zip(op.rules, operands, op.needs, asked, strict=False):
            part = rule(g, *[known[name] for name in names]) if is_asked else None
            if part.__class__ is Tensor:
                yield x, part if part._layout.shape == x._layout.shape else sum_to(part, x.shape)
        return
    record = RecordView(row, out._layout, asked, sweep)  # now, since a rule may move records
    if op.joint is not None:
        parts = op.joint(record, g, *operands, out)
        yield from ((x, p) for x, p, a in zip(operands, parts, asked, strict=False) if a and p is not None)
        return
    for rule, x, is_asked in zip(op.rules, operands, asked, strict=False):
        if is_asked:
            yield x, rule(record, g, *operands, out)


def _swept_on_recording(tape, here, order, leaves, outputs, seeds, inputs):
    """The sweep of a tape that keeps all its records where they are, on one that does; None if there are hooks."""
    visited = np.concatenate((order, leaves))
    numbers = np.array([x._r & MASK for x in inputs], dtype=np.int64)
    if (tape.flags[np.concatenate((visited, numbers))] & R.HOOKED).any():
        return None
    asked_for, sweep = set(inputs), {}
    wanted = _Wanted(tape, visited)
    with here.at_one_line():
        seeds = [constant(1.0, y._layout.packed) if seed is None else seed for y, seed in zip(outputs, seeds, strict=True)]
        pairs = [(y._r & MASK, seed) for y, seed in zip(outputs, seeds, strict=True)]
        asked = [x._r & MASK for x in inputs]
        found = swept_by_number(
            tape, here, order, leaves, pairs, asked, lambda k, g: _contributions(tape, k, g, wanted, asked_for, sweep)
        )
    return {k: found.get(k) for k in asked}


class _Wanted:
    """The Tensors of some records, as a set."""

    def __init__(self, tape, records):
        self.number, self.end = tape.number, len(tape)
        self.marks = bytearray(self.end)
        np.frombuffer(self.marks, dtype=np.uint8)[records] = 1

    def __contains__(self, x):
        k = x._r & MASK
        return x._r >> R.TAPE_SHIFT == self.number and k < self.end and bool(self.marks[k])


def swept_as_tensors(outputs, seeds, inputs, retain, create_graph=True) -> dict:
    """The sweep by the op table's rules on Tensors: record number of each input -> its gradient."""
    tape = outputs[0]._tape()
    same_tape(tape, (*outputs, *inputs))
    order, leaves = planned_sweep(tape, outputs, inputs)
    here = tapes.current()
    recorded = tape.recorder is not None and here.recorder is not None
    if recorded and len(order) > lessons.SHORT and create_graph and not anomaly.active():
        found = _swept_on_recording(tape, here, order, leaves, outputs, seeds, inputs)
        if found is not None:
            return found
    order, leaves = order.tolist(), leaves.tolist()
    nodes = [handle_of(tape, k) for k in order]  # the handles keep the records; their numbers may change below
    wanted = {*nodes, *(handle_of(tape, k) for k in leaves)}
    asked_for = set(inputs)  # `in` a list would compare values
    adjoints, sweep = {}, {}
    with set_grad_enabled(create_graph), tape.at_one_line():
        for y, seed in zip(outputs, seeds, strict=True):
            seed = constant(1.0, y._layout.packed) if seed is None else seed
            adjoints[y] = adjoints[y] + seed if y in adjoints else seed
        for node in nodes:
            g = adjoints.get(node)
            if g is None:
                continue
            if hooks.known(node) is not None:
                g = adjoints[node] = hooks.through(node, g)
            for x, part in _contributions(tape, node._r & MASK, g, wanted, asked_for, sweep):
                if anomaly.active():
                    anomaly.check(node, x, part, g)
                adjoints[x] = adjoints[x] + part if x in adjoints else part
        for x in adjoints.keys() & asked_for:
            if x.is_leaf:
                adjoints[x] = hooks.through(x, adjoints[x])
    if not retain:
        for node in nodes:
            if OPS[int(tape.ops[node._r & MASK])].saved and node not in asked_for:
                tape.flags[node._r & MASK] |= R.FREED
    return {x._r & MASK: adjoints.get(x) for x in inputs}
