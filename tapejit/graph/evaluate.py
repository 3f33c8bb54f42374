"""A graph worked out node by node with NumPy: what every pass and every compiled program is compared with.

Kernels of the op table are run as they are; all else is written here a second time, in the simplest way.
"""

import numpy as np

from tapejit.core import dtypes
from tapejit.core import tape as tapes
from tapejit.core.layout import layout_of
from tapejit.eager.dispatch import emit, share
from tapejit.eager.views import contiguous
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
    if op == "view":
        return args[0].reshape(-1)[positions(node.shape, *attr)]
    target = np.zeros(node.n, np.dtype(node.dtype))
    if op == "pack":
        target[list(attr)] = args
    elif op == "spread":
        np.add.at(target, positions(args[0].shape, *attr), args[0].reshape(-1))
    else:
        if op != "sum":
            target[:] = -np.inf if op == "max" else np.inf
        _REDUCTIONS[op].at(target, positions(args[0].shape, attr, 0), args[0].reshape(-1))
    return target


def _called(node, args):
    """The result of a kernel."""
    op = OPS[node.attr.code]
    with tapes.aside():
        tensors = [contiguous(share(x, layout_of(x.shape, dtypes.as_dtype(x.dtype)))) for x in map(np.ascontiguousarray, args)]
        tensors += [None] * (3 - len(tensors))
        layout = layout_of(node.shape, dtypes.as_dtype(node.dtype))
        return np.array(emit(op, layout, *tensors, plan=node.attr.plan, imm=node.attr.imm)._memory())
