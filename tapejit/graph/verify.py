"""Which graphs are legal: every node is checked against what its op takes and gives.

``check`` runs after every pass in the tests, and wherever the environment variable TAPEJIT_VERIFY is set; a wrong graph is
then an error that names the node, in place of a program that computes something else.
"""

import os

import numpy as np

from tapejit.core import dtypes
from tapejit.graph.loop import OWN, Loop, Where
from tapejit.graph.node import (
    ELEMENTWISE,
    EXACT,
    FLOATS,
    Affine,
    Kernel,
    Number,
    Places,
    Steps,
    Strands,
    block_of,
)
from tapejit.spec.primitives import LOGIC, TEST
from tapejit.spec.table import OPS

enabled = bool(os.environ.get("TAPEJIT_VERIFY"))

_DTYPES = {"f8", "f4", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


class Illegal(Exception):
    """A graph that breaks a rule; the message shows the node."""


def after(what, graph, roots=()):
    """``check``, if checking is switched on."""
    if enabled:
        check(graph, roots, what)


def check(graph, roots=(), what="the graph"):
    """Check every node of a graph, and that ``roots`` are nodes of it.

    Raises:
        Illegal: for the first node that its op does not allow.
    """
    for number, node in enumerate(graph.nodes):
        try:
            _node(graph, number, node)
        except _Broken as why:
            raise Illegal(f"{what}: {shown(node)}: {why}") from None
    for root in roots:
        if not (root.id < len(graph.nodes) and graph.nodes[root.id] is root):
            raise Illegal(f"{what}: {shown(root)} is wanted, but is no node of the graph")


def shown(node) -> str:
    """A node as a line: ``%5 = add f8 (3,) (%3, %4)``."""
    attr = "" if node.attr is None else f" [{node.attr!r}]"
    return f"%{node.id} = {node.op} {node.dtype} {node.shape} ({', '.join(map(repr, node.args))}){attr}"


class _Broken(Exception):
    pass


def _expect(condition, why):
    if not condition:
        raise _Broken(why)


def _node(graph, number, node):
    _expect(node.id == number, f"it stands at {number}")
    _expect(node.dtype in _DTYPES, "no such dtype")
    _expect(all(isinstance(n, int) and n >= 0 for n in node.shape), "a size is no integer of at least 0")
    for a in node.args:
        _expect(a.id < number and graph.nodes[a.id] is a, f"{a!r} is no earlier node of this graph")
    rule = _RULES.get(node.op) or (_elementwise if node.op in ELEMENTWISE else None)
    _expect(rule is not None, "no such op")
    rule(graph, node)


def _operands(node, count):
    _expect(len(node.args) == count, f"it has {len(node.args)} operands, not {count}")


def _attribute(node, kind):
    _expect(isinstance(node.attr, kind), f"its attribute is a {type(node.attr).__name__}, not a {kind.__name__}")


def _input(graph, node):
    _operands(node, 0)
    _attribute(node, int)


def _const(graph, node):
    _operands(node, 0)
    _attribute(node, Number)
    _expect(isinstance(node.attr.value, float if node.is_float else int), f"a {type(node.attr.value).__name__}")


def _extern(graph, node):
    _operands(node, 0)
    _attribute(node, int)
    _expect(0 <= node.attr < len(graph.arrays), "no such array")
    array = graph.arrays[node.attr]
    _expect((array.shape, array.dtype.str[1:]) == (node.shape, node.dtype), f"its array is {array.dtype} {array.shape}")


def _elementwise(graph, node):
    op, args = node.op, node.args
    row = ELEMENTWISE[op]
    _operands(node, row.arity)
    _expect(node.attr in (None, EXACT), "its attribute is neither None nor EXACT")
    shape = _broadcast([a.shape for a in args])
    _expect(shape == node.shape, f"its operands have shape {shape} together")
    kinds = {a.dtype for a in (args[1:] if op == "select" else args)}
    if op != "cast":
        _expect(len(kinds) == 1, f"its operands have dtypes {sorted(kinds)}")
    (kind, *_) = kinds
    if op == "select":
        _expect(args[0].dtype == "b1", "its condition is no bool")
    if row.gives_bool:
        _expect(node.dtype == "b1", "it gives bools")
        _expect(row.kind != TEST or kind in FLOATS, "it takes floats")
    elif op != "cast":
        _expect(node.dtype == kind, f"its operands are {kind}")
    if row.kind == LOGIC:
        _expect(kind not in FLOATS, "it takes bools and integers")


def _broadcast(shapes):
    ndim = max(map(len, shapes))
    padded = [(1,) * (ndim - len(s)) + tuple(s) for s in shapes]
    sizes = []
    for column in zip(*padded, strict=True):
        others = {n for n in column if n != 1}
        _expect(len(others) < 2, f"its operands have shapes {shapes}")
        sizes.append(others.pop() if others else 1)
    return tuple(sizes)


def _within(shape, strides, start, n):
    """That element I of a shape, at start + I . strides, lies among n elements."""
    _expect(len(strides) == len(shape), f"{len(strides)} strides for shape {shape}")
    _expect(all(s == 0 for s, size in zip(strides, shape, strict=True) if size == 1), "a stride along size 1 is not 0")
    if 0 in shape:
        return
    steps = [s * (size - 1) for s, size in zip(strides, shape, strict=True)]
    low, high = start + sum(s for s in steps if s < 0), start + sum(s for s in steps if s > 0)
    _expect(low >= 0 and high < n, f"it reaches from {low} to {high} of {n} elements")


def _moved(graph, node):
    _operands(node, 1)
    _attribute(node, Affine)
    (x,) = node.args
    _expect(node.dtype == x.dtype, f"its operand is {x.dtype}")
    few, many = (node, x) if node.op == "view" else (x, node)
    _within(few.shape, *node.attr, many.n)


def _place(graph, node):
    _operands(node, 2)
    _attribute(node, Affine)
    x, y = node.args
    _expect(x.shape == node.shape and x.dtype == y.dtype == node.dtype, f"its operands are {x.dtype} {x.shape} and {y.dtype}")
    _within(y.shape, *node.attr, x.n)
    _expect(block_of(x.shape, node.attr.start, node.attr.strides, y.shape) is not None, "its second operand goes to no block")


def _reduction(graph, node):
    _operands(node, 1)
    _attribute(node, Steps)
    (x,) = node.args
    _expect(node.dtype == x.dtype, f"its operand is {x.dtype}")
    _within(x.shape, node.attr, 0, node.n)


def _pack(graph, node):
    _attribute(node, Places)
    _operands(node, len(node.attr))
    _expect(list(node.attr) == sorted(set(node.attr)), "its places are not in order")
    _expect(all(0 <= k < node.n for k in node.attr), f"a place is outside of {node.n} elements")
    _expect(all((a.shape, a.dtype) == ((), node.dtype) for a in node.args), "an operand is no number of its dtype")


def _weave(graph, node):
    _attribute(node, Strands)
    _operands(node, len(node.attr))
    taken = np.zeros(node.n, int)
    for x, (step, start) in zip(node.args, node.attr, strict=True):
        _expect(x.dtype == node.dtype, f"{x!r} is {x.dtype}")
        _within((x.n,), (step if x.n != 1 else 0,), start, node.n)
        taken[start + step * np.arange(x.n)] += 1
    _expect((taken == 1).all(), "its operands do not fill it, each element once")


def _matmul(graph, node):
    _operands(node, 2)
    x, y = node.args
    _expect(node.is_float and x.dtype == y.dtype == node.dtype, f"its operands are {x.dtype} and {y.dtype}")
    _expect(len(x.shape) >= 2 and len(y.shape) >= 1, "it takes matrices, and a vector as the second operand")
    if len(y.shape) == 1:
        fits = x.shape[-1] == y.shape[0] and node.shape == x.shape[:-1]
    else:
        fits = x.shape[:-2] == y.shape[:-2] and x.shape[-1] == y.shape[-2]
        fits = fits and node.shape == (*x.shape[:-1], y.shape[-1])
    _expect(fits, f"its operands have shapes {x.shape} and {y.shape}")


def _call(graph, node):
    _attribute(node, Kernel)
    name, code, plan, _ = node.attr
    _expect(0 <= code < len(OPS) and OPS[code].name == name and not OPS[code].elementwise, "no such kernel")
    op = OPS[code]
    _operands(node, min(op.arity, op.reads))
    _expect(isinstance(plan, int), "its plan is no address")
    _expect(node.is_float, "kernels give floats")
    for a in node.args:
        _expect(a.op != "const", f"{a!r} is a constant, which has no memory")
        _expect(a.dtype in (node.dtype, "i8") or op.name == "cast", f"{a!r} is {a.dtype}")
    _expect(dtypes.as_dtype(node.dtype).is_floating_point, "kernels give floats")


def _loop(graph, node):
    _attribute(node, Loop)
    loop = node.attr
    _expect(len(loop.writes) == len(loop.outputs), "an output has no place")
    _expect(max(loop.size, 1) == node.n and len(node.shape) == 1, f"its block has {loop.size} elements")
    places = [w for w in (*loop.reads, *loop.writes) if isinstance(w, Where)]
    _expect(all(OWN <= max(w.base, w.table) < len(node.args) for w in places), "it reads an operand that it has not")
    check(loop.graph, [*loop.outputs, *(x for x, _, _ in loop.guards)], f"a pass of %{node.id}")


_RULES = {
    "loop": _loop,
    "input": _input,
    "const": _const,
    "extern": _extern,
    "view": _moved,
    "spread": _moved,
    "place": _place,
    **dict.fromkeys(("sum", "max", "min"), _reduction),
    "pack": _pack,
    "weave": _weave,
    "matmul": _matmul,
    "call": _call,
}
