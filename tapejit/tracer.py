"""What a function computes, step by step, in HIPS autograd's form: ``trace`` and ``Node``."""

import types
import warnings

from tapejit.core.record import MASK, SCALAR_A
from tapejit.eager.compiledsweep import handle_of
from tapejit.eager.tensor import Tensor
from tapejit.graph.operands import all_operands
from tapejit.replay.recorder import Recorder, around
from tapejit.replay.values import as_numpy, as_tensor
from tapejit.spec.table import OPS

__all__ = ["Node", "trace"]


class Node:
    """A step of a trace; subclasses keep of it what they want.

    Args:
        value: the result, a float or an array.
        fun: what was computed: its ``__name__`` is that of the op.
        args: its arguments, floats and arrays.
        kwargs: empty.
        parent_argnums: the places of the arguments that depend on what the trace began with.
        parents: the nodes of these.
    """

    __slots__ = []

    def __init__(self, value, fun, args, kwargs, parent_argnums, parents):
        raise NotImplementedError("a node states its own __init__(value, fun, args, kwargs, parent_argnums, parents)")

    def initialize_root(self, *args, **kwargs):
        """Called in place of ``__init__`` with the arguments of ``new_root``."""
        raise NotImplementedError("a node states its own initialize_root()")

    @classmethod
    def new_root(cls, *args, **kwargs):
        """The node that a trace begins with."""
        root = cls.__new__(cls)
        root.initialize_root(*args, **kwargs)
        return root


def trace(start_node, fun, x):
    """``(fun(x), its node)``: each step that depends on ``x`` becomes a node of the class of ``start_node``, in their order.

    The nodes are made once ``fun`` has run. Where the result does not depend on ``x`` a warning says so, and its node is None.
    """
    recorder, node = Recorder(), None
    try:
        with around(recorder), recorder:
            start = as_tensor(x).requires_grad_()
            value = fun(start)
            if isinstance(value, Tensor):
                node = _nodes(recorder.tape, start._r & MASK, start_node).get(value._r & MASK)
                value = as_numpy(value)
    finally:
        start = None
        recorder.close()
    if node is None:
        warnings.warn("trace(): the result does not depend on the argument", stacklevel=2)
    return value, node


def _nodes(tape, start, root) -> dict:
    """The nodes of the records that depend on one, by record."""
    rows = tape.records[: len(tape)]
    columns = {name: rows[name].tolist() for name in rows.dtype.names}
    nodes = {start: root}
    for k in range(start + 1, len(rows)):
        operands = [(j, o) for j, o in enumerate(all_operands(columns, k)) if o >= 0 or columns["flags"][k] & (SCALAR_A << j)]
        parents = [(place, nodes[o]) for place, (j, o) in enumerate(operands) if o in nodes]
        if columns["op"][k] == 0 or not parents:
            continue
        op = OPS[columns["op"][k]]
        fun = types.SimpleNamespace(__name__=(op.alias_of or op).name.strip("_"))
        args = tuple([columns["imm"][k] if o < 0 else as_numpy(handle_of(tape, o)) for _, o in operands])
        nodes[k] = type(root)(as_numpy(handle_of(tape, k)), fun, args, {}, *map(tuple, zip(*parents, strict=True)))
    return nodes
