"""Forward mode: tangents pushed along a tape, record by record, by the same rules that reverse mode uses.

An elementwise rule is a product with g, which is its own transpose. Ops that are linear push a tangent as they push a value.
Linear algebra states both ways (``spec.matrixrules``). What is left (norms, softmax) is the derivative of the rule in g, in
which the rule is linear: its transpose.
"""

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.layout import layout_at
from tapejit.core.record import MASK
from tapejit.eager import autograd, lessons
from tapejit.eager.compiledsweep import RecordView, handle_of, planned_sweep, same_tape
from tapejit.eager.creation import zeros, zeros_like
from tapejit.eager.dispatch import constant, emit
from tapejit.eager.grad_mode import enable_grad
from tapejit.eager.learnedsweep import Handles, Swept
from tapejit.eager.linalg.multiply import dot, product
from tapejit.eager.places import put_flat, scatter_add_flat, take_flat
from tapejit.eager.rotesweep import RoteRun, alike
from tapejit.eager.tensor import Tensor
from tapejit.eager.tensorsweep import operands_of
from tapejit.eager.views import contiguous, expand, spread, strided_view
from tapejit.spec import usernodes
from tapejit.spec.table import OPS, VALUES

_USERS = [usernodes.result.code, usernodes.node.code]


def push(outputs, leaves, tangents) -> list:
    """The derivatives of the outputs along tangents of the leaves, None for an output that does not move.

    Args:
        outputs, leaves: tensors of one tape, the leaves with a history of their own or none.
        tangents: one per leaf, of its shape; None for a leaf that does not move.
    """
    moving = [y for y in outputs if y.requires_grad]
    moves = {x: t for x, t in zip(leaves, tangents, strict=True) if t is not None}
    if moving:
        tape = moving[0]._tape()
        same_tape(tape, (*moving, *moves))
        order, _ = planned_sweep(tape, moving, list(moves))
        if np.isin(tape.ops[order], _USERS).any():
            return _by_two_sweeps(outputs, moves)
        here = tapes.current()
        if tape.recorder is not None and here.recorder is not None and len(order) > lessons.SHORT:
            with enable_grad(), here.at_one_line():
                return _Pushed(tape, here, moves, order[::-1]).through(outputs)
        nodes = [handle_of(tape, k) for k in order[::-1].tolist()]  # handles keep the records; their numbers may change
        sweep = {}
        with enable_grad():
            for node in nodes:
                if node not in moves:
                    t = tangent_of(tape, node, moves.get, sweep)
                    if t is not None:
                        moves[node] = t
    return [moves.get(y) for y in outputs]


def _by_two_sweeps(outputs, moves):
    """The same through functions whose backward the user states: the derivative of the reverse sweep in its seeds."""
    moving = [y for y in outputs if y.requires_grad]
    with enable_grad():
        seeds = [zeros_like(y).requires_grad_() for y in moving]
        found = autograd.grad(moving, list(moves), seeds, create_graph=True, allow_unused=True)
        pairs = [(g, t) for g, t in zip(found, moves.values(), strict=True) if g is not None and g.requires_grad]
        if not pairs:
            return [None] * len(outputs)
        gradients, tangents = zip(*pairs, strict=True)
        found = autograd.grad(gradients, seeds, tangents, create_graph=True, allow_unused=True)
    by_output = dict(zip(moving, found, strict=True))
    return [by_output.get(y) for y in outputs]


class _Pushed:
    """Tangents of records of a recording, by record, on the one that goes on: what a rule leaves is made again.

    Args:
        tape: the recording.
        here: the one that goes on, the same or another.
        moves: leaf -> its tangent.
        order: the records that are visited, an array.
    """

    def __init__(self, tape, here, moves, order):
        self.tape, self.here = tape, here
        self.lessons, self.handles = lessons.Lessons(here), Handles(tape, here)
        order = order.astype(np.int64)
        tape.flags[order] &= ~R.DEAD
        swept = Swept(tape, order)
        self.run = RoteRun(here, order, swept.kinds, swept.operands, len(tape), self.handles)
        self.tried = set()  # kinds in states that were learned from
        for x, t in moves.items():
            self._set(x._r & MASK, t)

    def _set(self, k, t):
        self.run.handles[k], self.run.states[k] = self.lessons.handle(t), t._layout.address

    def tangent(self, x):
        """The tangent of a tensor, None if it does not move."""
        found = int(self.run.handles[x._r & MASK]) if x._r >> R.TAPE_SHIFT == self.tape.number else -1
        return None if found < 0 else handle_of(self.here, found & MASK)

    def through(self, outputs) -> list:
        """The tangents of the outputs."""
        sweep = {}
        for i in self.run.unknown():
            self._by_rule(i, sweep)
        return [self.tangent(y) for y in outputs]

    def _by_rule(self, i, sweep):
        """Push through the i-th record by its rule, and learn from that once for what is alike."""
        run, begun = self.run, self.lessons.begin()
        k, operands = int(run.order[i]), run.operands[i].tolist()
        tangents = run.handles[operands].tolist()
        key = int(run.kinds[i]), *run.states[operands].tolist(), alike(tangents)
        t = tangent_of(self.tape, handle_of(self.tape, k), self.tangent, sweep)
        if t is None:
            return
        self._set(k, t)
        if key[0] < 0 or key in self.tried:
            return
        self.tried.add(key)
        known = *tangents, *map(self.handles.of, (*operands, k))
        if set(tangents).isdisjoint(known[3:]):  # a tangent may be an operand by accident
            lesson = self.lessons.learn(begun, known)
            place = lesson and lesson.place(int(run.handles[k]))
            if place is not None:
                run.learn(i, key[1:], lesson, place, int(run.states[k]))


class Step(RecordView):
    """A record on the way: what rules ask of it, and its op, operands, their tangents and the result."""

    __slots__ = ("flags", "layout", "op", "operands", "out", "tangents")

    def __init__(self, tape, node, tangent, sweep):
        k = node._r & MASK
        row = tape.records[k].item()
        self.op, self.flags, self.out = OPS[row[0]], row[1], node
        self.operands = operands_of(tape, k, row)
        self.tangents = [tangent(x) if isinstance(x, Tensor) else None for x in self.operands]
        self.layout = layout_at(row[R.RECORD.names.index("layout")])
        super().__init__(row, self.layout, [t is not None for t in self.tangents], sweep)

    def again(self, *operands):
        """The same op of other operands."""
        return emit(self.op, self.layout.packed, *map(contiguous, operands), plan=self._address(), imm=self.imm)

    def _address(self):
        return self.plan.address if self.plan else 0

    def moved(self, j, shape):
        """The tangent of operand j, zeros of a shape if it does not move; the operand itself may be gone."""
        t = self.tangents[j]
        return zeros(tuple(shape), dtype=self.out.dtype) if t is None else t


def tangent_of(tape, node, tangent, sweep):
    """The tangent of a record from those of its operands, which ``tangent`` gives; None if it does not move."""
    step = Step(tape, node, tangent, sweep)
    if all(t is None for t in step.tangents):
        return None
    if step.op.elementwise:
        return _elementwise(step)
    linear = _LINEAR.get((step.op.alias_of or step.op).name, step.op.push and _pushed)
    found = linear(step) if linear else None
    return _transposed(step) if found is None else found


def _pushed(step):
    return step.op.push(step, step.tangents, *step.operands, step.out)


def _elementwise(step):
    known = dict(zip(VALUES, (*step.operands, step.out), strict=True))
    total = None
    for rule, needs, t in zip(step.op.rules, step.op.needs, step.tangents, strict=False):
        if rule is None or t is None:
            continue
        part = rule(t, *[known[name] for name in needs])
        if isinstance(part, Tensor):
            total = part if total is None else total + part
    return total if total is None or total.shape == step.shape else expand(total, step.shape)


def _transposed(step):
    """The derivative of the rule in the adjoint, which is a linear function of it, along the tangents."""
    g = constant(0.0, step.layout.packed)
    g._set_flags(-1, R.GRAD | R.LEAF)
    if step.op.joint is not None:
        parts = step.op.joint(step, g, *step.operands, step.out)
    else:
        parts = [
            None if t is None or rule is None else rule(step, g, *step.operands, step.out)
            for rule, t in zip(step.op.rules, step.tangents, strict=False)
        ]
    pairs = [(p, t) for p, t in zip(parts, step.tangents, strict=False) if p is not None and t is not None and p.requires_grad]
    if not pairs:
        return None
    parts, tangents = zip(*pairs, strict=True)
    return autograd.grad(parts, [g], tangents, create_graph=True, allow_unused=True)[0]


# Linear ops


def _view(step):
    return strided_view(step.tangents[0], step.shape, step.strides, int(step.imm))


def _spread(step):
    return spread(step.tangents[0], step.plan.shape, step.plan.strides, int(step.imm), tuple(step.shape))


def _place(step):
    base, part = contiguous(step.moved(0, step.shape)), contiguous(step.moved(1, step.plan.shape))
    flags = step.flags & R.PUT  # written where it stands, as the values were
    return emit(step.op, base._layout, base, part, plan=step.plan.address, imm=step.imm, flags=flags)


def _put(step):
    places = step.operands[2]
    return put_flat(step.moved(0, step.shape), step.moved(1, places.shape), places)


def _matmul(step):
    x, y, _ = step.operands
    dx, dy, _ = step.tangents
    return _sum(None if dx is None else product(dx, y), None if dy is None else product(x, dy))


def _dot(step):
    x, y, _ = step.operands
    dx, dy, _ = step.tangents
    return _sum(None if dx is None else dot(dx, y), None if dy is None else dot(x, dy))


def _undefined(step):
    step.op.joint(step, step.tangents[1], *step.operands, step.out)  # raises if anything moves


def _sum(a, b):
    return a if b is None else b if a is None else a + b


_LINEAR = {
    "view": _view,
    "spread": _spread,
    "copy": lambda step: step.tangents[0],
    "cast": lambda step: step.tangents[0].to(step.out.dtype),
    **dict.fromkeys(("sum", "mean", "cumsum"), lambda step: step.again(step.tangents[0])),
    "take": lambda step: take_flat(step.tangents[0], step.operands[1], tuple(step.shape)),
    "scatter_add": lambda step: scatter_add_flat(step.tangents[0], step.operands[1], tuple(step.shape)),
    "put": _put,
    "place": _place,
    "matmul": _matmul,
    "dot": _dot,
    "undefined": _undefined,
}
