"""Records run again with a batch of values in place of one: each is emitted anew, with a batch dimension in front where
an operand has one.

That happens in terms of the op table's ops and not of the graph's nodes, so conventions at kinks, derivatives of any order,
eager tensors with a history and recordings all see ordinary records. How each op takes a batch dimension is in ``batchrules``
and ``batchlinalg``.
"""

import math
from typing import NamedTuple

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.dtypes import float64
from tapejit.core.errors import Refused
from tapejit.core.layout import layout_at, layout_of, packed_strides
from tapejit.core.plans import plan_at
from tapejit.core.record import MASK
from tapejit.eager import lessons, usergraph
from tapejit.eager.compiledsweep import handle_of
from tapejit.eager.dispatch import constant, empty, from_array
from tapejit.eager.grad_mode import is_grad_enabled, no_grad
from tapejit.eager.indexing import cat
from tapejit.eager.rotesweep import UNKNOWN, RoteRun, alike
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import expand, reshape, strided_view, view_of
from tapejit.graph import batchlinalg, batchrules, unitvectors
from tapejit.graph.operands import Columns, all_operands, live, records_read
from tapejit.spec import usernodes
from tapejit.spec.structured import ROWS
from tapejit.spec.table import OPS


class Value(NamedTuple):
    """What stands for a record.

    Attributes:
        tensor: with a batch dimension in front if ``batched``; None for memory that is yet to be written.
        shape: of one example.
        block: the shapes of one example's parts, if the tensor is a block of several results, part after part for all of the
            batch.
        array: the NumPy array of a constant.
        stated: whether a user's function is differentiated here from outside of the batch.
        scaled: what the batch is made of where it comes from unit vectors, None where that is not known.
    """

    tensor: Tensor | None
    shape: tuple
    batched: bool = False
    block: tuple | None = None
    array: np.ndarray | None = None
    stated: bool = False
    scaled: unitvectors.Scaled | None = None

    @property
    def n(self) -> int:
        """Elements of one example."""
        return int(np.prod(self.shape, dtype=np.int64))


class Emission:
    """One record that is emitted again: what rules ask of it.

    Attributes:
        lead: (size of the batch,), or () where no operand has a batch dimension.
        operands: Values, floats for immediates, None.
    """

    __slots__ = ("base", "dtype", "imm", "lead", "op", "operands", "plan", "put", "shape")

    def __init__(self, op, shape, dtype, plan, imm, put, operands, size):
        self.op, self.base, self.shape, self.dtype = op, op.alias_of or op, shape, dtype
        self.plan, self.imm, self.put, self.operands = plan, imm, put, operands
        self.lead = (size,) if any(isinstance(x, Value) and x.batched for x in operands) else ()

    def layout(self):
        """Of the result."""
        return layout_of((*self.lead, *self.shape), self.dtype)

    def lifted(self, x) -> Tensor:
        """An operand with the batch dimension that the result has."""
        if x.tensor is None:
            return empty(layout_of((*self.lead, *x.shape), self.dtype))
        t = plain(x)
        return t if x.batched or not self.lead else expand(t, (*self.lead, *x.shape))

    def steps(self, n) -> tuple:
        """The stride of the batch dimension over examples of ``n`` elements, if there is one."""
        return (n,) * len(self.lead)


def plain(x) -> Tensor:
    """The tensor of a value, examples one after another."""
    if x.block is None or not x.batched:
        return x.tensor
    return cat([reshape(part, part.shape[0], math.prod(shape)) for part, shape in zip(parts(x), x.block, strict=True)], 1)


def parts(x) -> list:
    """The parts of a block, each with its batch dimension."""
    size = x.tensor.shape[0] // max(x.n, 1)
    start, found = 0, []
    for shape in x.block:
        shape = (size, *shape)
        found.append(strided_view(x.tensor, shape, packed_strides(shape), start))
        start += int(np.prod(shape, dtype=np.int64))
    return found


def aligned(x, ndim) -> Tensor:
    """The tensor of a value as an elementwise op of ``ndim`` dimensions takes it: sizes of 1 after the batch dimension."""
    t = plain(x)
    missing = ndim - len(x.shape)
    if not x.batched or not missing:
        return t
    layout = t._layout
    shape = (layout.shape[0], *(1,) * missing, *x.shape)
    memory = (layout.strides[0], *(1,) * missing, *layout.strides[1:])
    return view_of(t, shape, memory, packed_strides(shape))


class Batch:
    """A recording that is run again for a batch.

    Args:
        recorder: of the recording of one example; ``recorder.captured`` says which tensors it read from outside.
        inputs: tensors with the batch dimension in front, one per input of the recording.
        size: of the batch.
        units: whether the only input is all unit vectors, in order.
    """

    def __init__(self, recorder, inputs, size, units=False):
        self.recorder, self.size = recorder, size
        self.columns = Columns(recorder)
        self.imm32 = self.columns.single_precision()
        self.values = _Values(recorder.from_recordings())
        for k, j in recorder.inputs.items():
            scaled = unitvectors.Scaled(inputs[j], units=True) if units else None
            self.values[k] = Value(inputs[j], tuple(inputs[j].shape[1:]), True, scaled=scaled)
        for k, t in recorder.captured.items():
            self.values[k] = Value(t, tuple(t.shape))

    def run(self, records) -> list:
        """The Values of some records; all that they need, and every op that may fail, is emitted in order."""
        fails = np.array([op.failure is not None for op in OPS])
        fallible = np.flatnonzero(fails[self.columns["op"]]).tolist()
        order = self._needed([*records, *fallible])
        here = tapes.current()
        with here.at_one_line():
            if here.recorder is not None and len(order) > lessons.SHORT:
                _Learning(self, here, order).through()
            else:
                for k in order:
                    self.values[k] = self._value(k)
        return [self.values[k] for k in records]

    def _needed(self, records) -> list:
        """The records that are to be emitted, in order."""
        recorder, ops = self.recorder, np.asarray(self.columns["op"])
        leaves = {*recorder.numbers, *recorder.sources, *recorder.notes}
        found = live(self.columns, records, self.values, leaves, self._operands)
        found = found[(self.values.outside[found] < 0) & ~np.isin(ops[found], list(ROWS))]
        return [k for k in found.tolist() if k not in self.values]

    def _operands(self, k):
        recorder = self.recorder
        known = self.columns["op"][k] == 0 and (k in recorder.numbers or k in recorder.sources)
        return [] if known and k not in recorder.notes else records_read(recorder, self.columns, k)

    def _value(self, k) -> Value:
        layout = layout_at(self.columns["layout"][k])
        if self.columns["op"][k] == 0:
            return self._leaf(k, layout)
        r = self._emission(k, layout)
        if r.op is usernodes.node:
            stated = any(isinstance(x, Value) and (x.stated or _differentiated(x)) for x in r.operands)
            return Value(constant(0.0, layout_of((), float64)), (), stated=stated)
        if r.op is usernodes.result:
            return self._of_user(*r.operands[:2])
        if self.columns["flags"][k] & R.GRAD or not any(_differentiated(x) for x in r.operands):
            return self._emitted(r)
        with no_grad():
            return self._emitted(r)

    def _emission(self, k, layout):
        columns, flags, operands = self.columns, self.columns["flags"][k], []
        for j, o in enumerate(all_operands(columns, k)):
            if j < 3 and flags & (R.SCALAR_A << j):
                operands.append(self.imm32[k] if layout.dtype.code == R.F32 else columns["imm"][k])
            else:
                operands.append(self.values[o] if o >= 0 else None)
        plan = plan_at(columns["plan"][k]) if columns["plan"][k] else None
        op, put = OPS[columns["op"][k]], bool(flags & R.PUT)
        return Emission(op, tuple(layout.shape), layout.dtype, plan, columns["imm"][k], put, operands, self.size)

    def _emitted(self, r) -> Value:
        if r.op.elementwise:
            scaled = unitvectors.elementwise(r, aligned)
            found = batchrules.elementwise(r, aligned) if scaled is None else scaled.tensor()
            return Value(found, r.shape, bool(r.lead), scaled=scaled)
        rule = batchrules.RULES.get(r.base.name) or batchlinalg.RULES.get(r.base.name)
        if rule is None:
            raise Refused(f"vmap(): the op {r.op.name!r} has no rule for batches")
        found = rule(r, *r.operands[: r.base.arity])
        if isinstance(found, unitvectors.Scaled):
            return Value(found.tensor(), r.shape, True, scaled=found)
        if isinstance(found, tuple):
            return Value(found[0], r.shape, bool(r.lead), found[1] if r.lead else None)
        return Value(found, r.shape, bool(r.lead))

    def _of_user(self, value, node):
        """The result of a function whose derivative the user states."""
        if node.tensor is not None and node.tensor.requires_grad and not value.batched:  # a call outside of the batch
            return value._replace(tensor=usergraph.joined(value.tensor, node.tensor))
        if node.stated and is_grad_enabled():
            raise NotImplementedError(
                "vmap(): a function whose derivative is stated (custom_vjp, custom_jvp, autograd.Function) is inside, and the "
                "batch is differentiated from outside: take the gradient inside, as in vmap(grad(f))"
            )
        return value

    # Values without a history

    def _leaf(self, k, layout) -> Value:
        recorder, shape = self.recorder, tuple(layout.shape)
        if k in recorder.notes:
            return self._noted(k, shape)
        if k in recorder.numbers:
            return Value(constant(recorder.numbers[k], layout_of(shape, layout.dtype)), shape)
        if k in recorder.sources:
            array = recorder.sources[k]
            t = from_array(array, layout.dtype, copy=not self.columns["flags"][k] & R.EXTERNAL)
            return Value(t if t.shape == shape else expand(t, shape), shape, array=array)
        if self.columns["a"][k] >= 0:
            return self._detached(self.values[self.columns["a"][k]], shape)
        if not self.columns["flags"][k] & R.EXTERNAL:
            return Value(None, shape)
        raise Refused(f"vmap(): a value of unknown origin ({recorder.tape.lines.line(k)})")

    def _detached(self, x, shape):
        t = x.tensor.detach() if x.block is not None else plain(x).detach()
        return x._replace(tensor=t, shape=shape)

    def _noted(self, k, shape) -> Value:
        note = self.recorder.notes[k]
        operands = [self.values[x._r & MASK] if isinstance(x, Tensor) else x for x in note.operands]
        lead = any(isinstance(x, Value) and x.batched for x in operands)
        rule = batchrules.NOTED.get(note.name)
        if rule is not None:
            return Value(rule(lead, note.parameters, self.size, shape, *operands), shape, lead)
        function = self.recorder.worked_out[k][0]
        return Value(batchrules.noted_elementwise(note.name, function, operands, len(shape), aligned), shape, lead)


def _differentiated(x) -> bool:
    return isinstance(x, Value) and x.tensor is not None and x.tensor.requires_grad


class _Values(dict):
    """The Values by record; those of other recordings, and those that the engine has made, when somebody asks.

    Attributes:
        outside: by record the handle of what it stands for in another recording, -1 for others.
        made: None, or a RoteRun and, by number of its lessons, the Values but for their tensors.
    """

    def __init__(self, outside):
        super().__init__()
        self.outside, self.made = outside, None

    def __missing__(self, k):
        handle = int(self.outside[k])
        if handle >= 0:
            tensor = handle_of(tapes.tapes[handle >> R.TAPE_SHIFT], handle & MASK)
            value = self[k] = Value(tensor, tuple(tensor.shape))
            return value
        if self.made is None:
            raise KeyError(k)
        run, given = self.made
        value = self[k] = given[int(run.made[k])]._replace(tensor=handle_of(run.tape, int(run.handles[k]) & MASK))
        return value


class _Learning:
    """Emission on a recording: what a rule leaves, it leaves for all records whose operands stand for values that are alike.

    Rules run for the first of these, the engine makes the others.
    """

    def __init__(self, batch, here, order):
        self.batch, self.lessons = batch, lessons.Lessons(here)
        self.values = batch.values
        self.numbers = {}  # what is said of a value -> its state
        self.given = {}  # lesson -> the Value, but for its tensor
        tape = batch.recorder.tape
        order, none = np.array(order, dtype=np.int64), len(tape)
        rows = tape.records[order]
        operands = np.stack([np.where(rows[name] >= 0, rows[name], none) for name in "abc"], axis=1)
        self.run = RoteRun(here, order, self._kinds(rows), operands, none)
        self.run.states[none] = self._state(None)
        self._tell_outside(here)

    def through(self):
        """All records of the order."""
        run, values, batch, tried = self.run, self.values, self.batch, set()
        values.made = run, self.given
        for i in run.unknown():
            kind, operands = int(run.kinds[i]), run.operands[i].tolist()
            if kind < 0:
                k = int(run.order[i])
                values[k] = batch._value(k)
                continue
            handles = run.handles[operands].tolist()
            if UNKNOWN in handles:
                for k, handle in zip(operands, handles, strict=True):
                    if handle == UNKNOWN:
                        self._ask(k)
                continue
            self._by_rule(i, handles, (kind, *run.states[operands].tolist(), alike(handles)), tried)

    def _kinds(self, rows):
        """The number of the kind of each record, -1 for one that goes through its rule each time."""
        tape = self.batch.recorder.tape
        ops, flags = rows["op"], rows["flags"] & (lessons.SCALARS | R.PUT | R.GRAD)
        alone = np.array([op.arity > 3 or op in (usernodes.node, usernodes.result) for op in OPS])[ops] | (ops == 0)
        alone |= np.isin(tape.ops[rows["c"]], list(ROWS)) & (rows["c"] >= 0)
        return lessons.kinds_of([ops, flags, rows["layout"], rows["plan"], rows["imm"].view(np.int64)], alone)

    def _tell_outside(self, here):
        """Tell the engine what stands for records that are stand-ins of others on the tape where it works."""
        outside = self.values.outside
        records = np.flatnonzero((outside >= 0) & (outside >> R.TAPE_SHIFT == here.number))
        numbers = outside[records] & MASK
        here.flags[numbers] &= ~R.DEAD
        rows = here.records[numbers]
        kinds = lessons.kinds_of([rows["layout"], rows["flags"] & R.GRAD], np.zeros(len(records), dtype=bool))
        for kind in set(kinds.tolist()) - {-1}:
            same = records[kinds == kind]
            self.run.handles[same] = outside[same]
            self.run.states[same] = self._state(self.values[int(same[0])])

    def _ask(self, k):
        """Find the handle of what stands for an operand, -1 for memory that is yet to be written."""
        value = self.values[k]
        self.run.handles[k] = -1 if value.tensor is None else self.lessons.handle(value.tensor)
        self.run.states[k] = self._state(value)

    def _state(self, value):
        """A number for all that a rule may look at."""
        t = None if value is None else value.tensor
        what = value if t is None else (t._layout.address, t.requires_grad, *value[1:4], value.stated, value.scaled and t._r)
        return self.numbers.setdefault(what, len(self.numbers))

    def _by_rule(self, i, operands, key, tried):
        """Emit the i-th record by its rule, and learn from that once for each key."""
        k, begun = int(self.run.order[i]), self.lessons.begin()
        value = self.values[k] = self.batch._value(k)
        if key in tried or value.tensor is None or value.scaled is not None:
            return
        tried.add(key)
        lesson = self.lessons.learn(begun, (*operands, -1, -1, -1, -1))
        place = None if lesson is None else lesson.place(self.lessons.handle(value.tensor))
        if place is not None:
            number = self.run.learn(i, key[1:], lesson, place, self._state(value))
            if number:
                self.given[number] = value._replace(tensor=None)
