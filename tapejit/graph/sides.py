"""Operands of products are worked out in the order in which what they are made of lies in memory.

The rows of ``X.T * d`` are columns of X: to work them out one after another goes through all of X for each. BLAS takes an
operand either way, so ``(X.T * d) @ Y`` becomes ``(X * d[:, None]).T @ Y``.
"""

from tapejit.core.layout import packed_strides
from tapejit.graph.node import ELEMENTWISE, EXACT
from tapejit.graph.rewrite import reachable, remade


def operands_as_they_lie(graph, roots, decided) -> list:
    """The new roots; what ``decided`` (others) depend on stays as it is, to the last bit."""
    order = reachable(graph.nodes, roots)
    fixed = {x.id for x in reachable(graph.nodes, decided)}
    uses = {}
    for k in [r.id for r in (*roots, *decided)] + [a.id for x in order for a in x.args]:
        uses[k] = uses.get(k, 0) + 1
    new = {}
    for node in order:
        args = [new.get(a.id, a) for a in node.args]
        if node.op == "matmul" and node.id not in fixed:
            args = [_as_it_lies(graph, a, uses) for a in args]
        changed = any(a is not b for a, b in zip(args, node.args, strict=True))
        new[node.id] = remade(graph, node, args) if changed else node
    return [new[r.id] for r in roots]


def _as_it_lies(graph, x, uses):
    """An operand, turned if more of what it is worked out from lies by columns than by rows."""
    if len(x.shape) != 2 or 1 in x.shape or x.op not in ELEMENTWISE:
        return x
    made, balance, stack = set(), 0, [x]
    while stack:
        y = stack.pop()
        if y.id in made:
            continue
        if y.op in ELEMENTWISE and y.shape == x.shape and uses.get(y.id) == 1:
            made.add(y.id)
            stack += y.args
        elif y.n == x.n and y.op != "const":
            strides = y.attr.strides if y.op == "view" else packed_strides(y.shape)
            balance += _lies_by_columns(strides) - _lies_by_columns(strides[::-1])
    return graph.view(_turned(graph, x, made, {}), x.shape, (1, x.shape[0]), 0) if balance > 0 else x


def _lies_by_columns(strides):
    return len(strides) == 2 and 0 < strides[0] < strides[1]


def _turned(graph, x, made, known):
    """The transpose of x, as an operand of an elementwise op."""
    if x.id in known or not x.shape:
        return known.get(x.id, x)
    if x.id in made:
        args = [_turned(graph, a, made, known) for a in x.args]
        exact = x.attr == EXACT
        found = graph.cast(*args, x.dtype) if x.op == "cast" else graph.elementwise(x.op, *args, exact=exact)
    else:
        shape = (1, *x.shape)[-2:]
        found = graph.view(x, shape[::-1], packed_strides(shape)[::-1], 0)
    known[x.id] = found
    return found
