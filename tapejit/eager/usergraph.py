"""Calls of functions whose derivative the user states, on the tape (the ops are in ``spec.usernodes``).

The value of a node is eight bytes of NumPy's, kept alive by the tape as long as the record needs them; by their address the
call is found, so that it goes when the record goes.
"""

import weakref

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.dtypes import float64
from tapejit.core.layout import layout_of
from tapejit.core.record import MASK
from tapejit.eager import hooks
from tapejit.eager.dispatch import bring, constant, emit_view, recover, wrap
from tapejit.eager.grad_mode import is_grad_enabled
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import clone
from tapejit.spec import usernodes
from tapejit.spec.table import VALUE

_parts = weakref.WeakValueDictionary()  # address of a node's value -> Part
_BESIDE_NEXT = 2  # operands of a node that has a next one


class Call:
    """One call of a user's function.

    Args:
        pull: from the gradients of the results (None where none arrived) to those of the inputs (None where there is none).
        name: of the backward node.
        inputs: the tensors to be given gradients.
    """

    def __init__(self, pull, name, inputs, results):
        self.pull, self.name = pull, name
        self.inputs = [(x.shape, x.dtype) for x in inputs]
        self.results = results  # their values, without a history
        self.node = None  # its Tensor while its backward runs and is recorded

    def gradients(self, sweep, node):
        """What the user's backward gives, checked; worked out once in a sweep."""
        if self not in sweep:
            arrived = [sweep.pop((self, i), None) for i in range(len(self.results))]
            self.node = None if hooks.on_a_side() else node
            try:
                found = self.pull(arrived)
            finally:
                self.node = None
            sweep[self] = [self._fitting(k, g) for k, g in enumerate(found)]
        return sweep[self]

    def _fitting(self, k, g):
        if g is None:
            return None
        shape, dtype = self.inputs[k]
        if not isinstance(g, Tensor):
            raise TypeError(f"{self.name}: a gradient must be a tensor or None, got {type(g).__name__} for input {k}")
        if g.shape != shape:
            try:
                fits = np.broadcast_shapes(shape, g.shape)
            except ValueError:
                fits = None
            if fits == g.shape:
                g = _summed(g, shape)
            elif fits == shape:
                g = g.expand(shape)
            else:
                raise RuntimeError(
                    f"{self.name} returned a gradient of shape {tuple(g.shape)} for input {k}, which has shape {tuple(shape)}"
                )
        return g.to(dtype)

    def result(self, i):
        """Result ``i`` for the user's backward: with a history where that is recorded."""
        if self.node is None or not is_grad_enabled():
            return emit_view(VALUE, self.results[i], self.results[i]._layout)
        return _result_of(self, i, self.results[i], self.node)


def _summed(g, shape):
    lead = g.ndim - len(shape)
    dims = (*range(lead), *(d + lead for d, s in enumerate(shape) if s == 1 and g.shape[d + lead] != 1))
    return (g.sum(dims, keepdim=True) if dims else g).reshape(shape)


class Part:
    """What a node of a call stands for: the inputs that are its operands, or one of several results."""

    def __init__(self, call, inputs=(), has_next=False, index=None):
        self.call, self.inputs, self.has_next, self.index = call, inputs, has_next, index
        self.token = np.zeros(1)
        self.address = self.token.ctypes.data
        _parts[self.address] = self


def connect(pull, name, inputs, results):
    """The call, and tensors with the values of ``results``, which have no history, whose own leads to ``inputs``."""
    call = Call(pull, name, inputs, results)
    tape = tapes.current()
    inputs = [x if x._r >> R.TAPE_SHIFT == tape.number else bring(tape, x) for x in inputs]
    size = _BESIDE_NEXT if len(inputs) > _BESIDE_NEXT + 1 else _BESIDE_NEXT + 1
    node = None
    for start in reversed(range(0, len(inputs), size)):
        numbers = range(start, min(start + size, len(inputs)))
        operands = [inputs[i] for i in numbers] + ([] if node is None else [node])
        node = _node(Part(call, tuple(numbers), node is not None), operands)
    return call, [_result_of(call, i, result, node) for i, result in enumerate(results)]


def _node(part, operands):
    """A node's Tensor: an external value, made into an op's record."""
    tape, layout = tapes.current(), layout_of((), float64)
    flags = R.EXTERNAL | R.VIEW | (R.GRAD if tape.header[R.H_GRAD_MODE] else 0)
    while True:
        answer = engine.external(tape.address, layout.address, part.address, flags)
        if answer >= 0:
            break
        recover(tape, answer, layout)
    tape.kept_alive.setdefault(part.address, []).append(part)
    k = answer & MASK
    for place, x in zip("abc", operands, strict=False):
        tape.records[place][k] = x._r & MASK
    tape.ops[k] = usernodes.node.code
    return wrap(tape, answer, layout)


def _result_of(call, i, value, node):
    """A view of a result with the history that goes to ``node``; of several results each has a node of its own between."""
    if len(call.results) > 1:
        node = _node(Part(call, index=i), [node])
    return joined(value, node)


def joined(value, node):
    """A view of a value with the history that goes to ``node``."""
    tape = tapes.current()
    node = node if node._tape() is tape else bring(tape, node)  # first: operands stand before what they are operands of
    t = emit_view(usernodes.result, value, value._layout)
    k = t._r & MASK
    tape.records["a"][k] = value._r & MASK if value._tape() is tape else tape.records["a"][k]
    tape.records["b"][k] = node._r & MASK
    t._set_flags(-1, R.GRAD)
    return t


def part_of(node):
    """What a node stands for."""
    return _parts[node.data_ptr()]


# What the rules of the two ops do


def arrive(record, g, node):
    """The adjoint of a result has arrived: it is kept for the call, in the sweep; the node is told that one has.

    A result may have several records: one more for each time that a backward which was recorded has read it.
    """
    part = part_of(node)
    key = part.call, part.index or 0
    before = record.sweep.get(key)
    if before is not None:
        record.sweep[key] = before + g
    else:
        record.sweep[key] = clone(g) if hooks.on_a_side() else g
    return _nothing()


def leave(record, node):
    """The adjoints of a node's operands."""
    part = part_of(node)
    if part.index is not None:
        return (_nothing(),)
    found = part.call.gradients(record.sweep, node)
    return (*(found[i] for i in part.inputs), *((_nothing(),) if part.has_next else ()))


def _nothing():
    return constant(0.0, layout_of((), float64))
