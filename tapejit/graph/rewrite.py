"""Passes over a whole graph, before it is planned."""

from tapejit.core.layout import packed_strides
from tapejit.graph.node import Node, Places, unit_free
from tapejit.graph.positions import positions


def reachable(nodes, roots) -> list:
    """The nodes that roots depend on, operands before users."""
    found, stack = set(), [r.id for r in roots]
    while stack:
        k = stack.pop()
        if k not in found:
            found.add(k)
            stack += [a.id for a in nodes[k].args]
    return [nodes[k] for k in sorted(found)]


def pack_scalars(graph, roots) -> list:
    """Sums of single elements, each put into zeros of its own, become one array filled element by element.

    That is what the gradient of code on single elements ``x[i]`` looks like, and ``stack`` of numbers; and so again with
    arrays filled that way in place of single elements. Returns the new roots.
    """
    while True:
        before, roots = roots, _pack_once(graph, roots)
        if all(a is b for a, b in zip(before, roots, strict=True)):
            return roots


def _pack_once(graph, roots) -> list:
    order = reachable(graph.nodes, roots)
    uses = dict.fromkeys((r.id for r in roots), 1)
    for node in order:
        for a in node.args:
            uses[a.id] = uses.get(a.id, 0) + 1
    wanted = {r.id for r in roots}
    absorbed = set()
    sums = {}
    for node in reversed(order):
        if node.op != "add" or node.attr or node.n <= 1 or node.id in absorbed:
            continue
        leaves, stack, inner = [], [node], []
        while stack:
            x = stack.pop()
            free = x is node or (uses[x.id] == 1 and x.id not in wanted)
            if x.op == "add" and not x.attr and x.shape == node.shape and free:
                inner.append(x.id)
                stack += x.args
            else:
                leaves.append(x)
        elements = [x for x in leaves if x.op == "spread" and (x.args[0].n == 1 or x.args[0].op == "pack")]
        if len(elements) > 1:
            absorbed.update(inner)
            sums[node.id] = elements, [x for x in leaves if x not in elements]
    if not sums:
        return roots
    new = {}
    for node in order:
        if node.id in sums:
            new[node.id] = _packed(graph, node, *sums[node.id], new)
        elif node.id not in absorbed:
            args = [new.get(a.id, a) for a in node.args]
            changed = any(a is not b for a, b in zip(args, node.args, strict=True))
            new[node.id] = _remade(graph, node, args) if changed else node
    return [new[r.id] for r in roots]


def _remade(graph, node, args) -> Node:
    """The node with other operands."""
    if node.op == "view":
        return graph.view(args[0], node.shape, *node.attr)
    return graph.node(node.op, args, node.attr, node.shape, node.dtype)


def without_reshape(node) -> Node:
    """What a result is before it is given another shape: its elements in memory are the same."""
    while node.op == "view" and node.n == node.args[0].n > 1:
        if node.attr != (unit_free(packed_strides(node.shape), node.shape), 0):
            break
        node = node.args[0]
    return node


def _packed(graph, node, elements, others, new) -> Node:
    places = {}
    for x in elements:
        part, taken = new.get(x.args[0].id, x.args[0]), positions(x.args[0].shape, *x.attr)
        parts = zip(part.attr, part.args, strict=True) if part.op == "pack" else [(0, part)]
        for k, scalar in parts:
            at = int(taken[k])
            scalar = graph.view(scalar, (), (), 0)
            places[at] = graph.elementwise("add", places[at], scalar) if at in places else scalar
    keys = Places(sorted(places))
    total = graph.node("pack", [places[k] for k in keys], keys, node.shape, node.dtype)
    for x in others:
        total = graph.elementwise("add", new.get(x.id, x), total)
    return total
