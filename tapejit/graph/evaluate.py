"""A graph worked out node by node with NumPy: what every pass and every compiled program is compared with.

Kernels of the op table are run as they are; all else is written here a second time, in the simplest way.
"""

import numpy as np

from tapejit.core import dtypes
from tapejit.core import tape as tapes
from tapejit.core.layout import layout_of
from tapejit.eager.dispatch import emit, share
from tapejit.eager.views import contiguous
from tapejit.graph.loop import OWN
from tapejit.graph.node import ELEMENTWISE
from tapejit.graph.positions import positions
from tapejit.graph.rewrite import reachable
from tapejit.spec.table import OPS

_REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum}


def evaluate(graph, roots, inputs) -> list:
    """The values of some nodes, as arrays.

    Args:
        inputs: by number, what the ``input`` nodes stand for.
    """
    values = {}
    with np.errstate(all="ignore"):
        for node in reachable(graph.nodes, roots):
            value = np.asarray(_value(graph, node, [values[a.id] for a in node.args], inputs))
            values[node.id] = value.astype(np.dtype(node.dtype), copy=False).reshape(node.shape)
    return [values[r.id] for r in roots]


def _value(graph, node, args, inputs):
    op, attr = node.op, node.attr
    if op == "cast":
        return args[0].astype(np.dtype(node.dtype))
    if op in ELEMENTWISE:
        return ELEMENTWISE[op].numpy(*args)
    if op == "input":
        return np.asarray(inputs[attr], np.dtype(node.dtype))
    if op == "extern":
        return graph.arrays[attr]
    if op == "const":
        return np.full(node.shape, attr.value)
    if op == "matmul":
        return np.matmul(*args)
    if op == "call":
        return _called(node, args)
    if op == "loop":
        return _Passes(node, args).run()
    if op == "view":
        return args[0].reshape(-1)[positions(node.shape, *attr)]
    if op == "place":
        target = args[0].reshape(-1).copy()
        target[positions(args[1].shape, *attr)] = args[1].reshape(-1)
        return target
    target = np.zeros(node.n, np.dtype(node.dtype))
    if op == "weave":
        for (step, start), x in zip(attr, args, strict=True):
            target[start + step * np.arange(x.size)] = x.reshape(-1)
    elif op == "pack":
        target[list(attr)] = args
    elif op == "spread":
        np.add.at(target, positions(args[0].shape, *attr), args[0].reshape(-1))
    else:
        if op != "sum":
            target[:] = -np.inf if op == "max" else np.inf
        _REDUCTIONS[op].at(target, positions(args[0].shape, attr, 0), args[0].reshape(-1))
    return target


class _Passes:
    """A loop, pass by pass: what a pass reads is taken before it writes anything."""

    def __init__(self, node, args):
        self.loop, self.block = node.attr, np.zeros(node.n, np.dtype(node.dtype))
        self.operands = [a.reshape(-1) for a in args]

    def _stretch(self, where, n, t):
        """The ``n`` elements that a Where means in pass t, as a view."""
        index = where.start
        if where.step:
            index += where.step * ((t + where.shift) & where.mask if where.mask else t)
        if where.table >= 0:
            index += int(self.operands[where.table][t])
        memory = self.block if where.base == OWN else self.operands[where.base]
        return memory[index : index + n]

    def run(self):
        loop = self.loop
        for at, where, n in loop.copies:
            self.block[at : at + n] = self._stretch(where, n, 0)
        handed = [[self._stretch(w, 1, 0)[0] for w in reversed(carried.first)] for carried in loop.carried]
        for t in range(loop.trips):
            values = self._pass(t, handed)
            for x, where in zip(values, loop.writes, strict=True):
                if where is not None:
                    self._stretch(where, x.size, t)[...] = x.reshape(-1)
            for carried, before in zip(loop.carried, handed, strict=True):
                before[:] = [values[carried.output].item(), *before[:-1]]
            for update in loop.updates:
                places = positions(update.shape, update.strides, 0)
                target = self._stretch(update.where, int(places.max(initial=0)) + 1, t)
                value = values[update.output].reshape(-1)
                if update.put:
                    target[places] = value
                else:
                    np.add.at(target, places, value)
        return self.block

    def _pass(self, t, handed):
        shapes = {x.attr: x.shape for x in self.loop.graph.nodes if x.op == "input"}
        inputs = {}
        for j, shape in shapes.items():
            where = self.loop.reads[j]
            value = handed[where[1]][-1] if isinstance(where, tuple) else self._stretch(where, int(np.prod(shape)), t).copy()
            inputs[j] = np.reshape(value, shape)
        return evaluate(self.loop.graph, self.loop.outputs, inputs)


def _called(node, args):
    """The result of a kernel."""
    op = OPS[node.attr.code]
    with tapes.as_before(), tapes.aside():
        tensors = [contiguous(share(x, layout_of(x.shape, dtypes.as_dtype(x.dtype)))) for x in map(np.ascontiguousarray, args)]
        tensors += [None] * (3 - len(tensors))
        layout = layout_of(node.shape, dtypes.as_dtype(node.dtype))
        return np.array(emit(op, layout, *tensors, plan=node.attr.plan, imm=node.attr.imm)._memory())
