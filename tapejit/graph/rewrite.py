"""Passes over a whole graph, before it is planned."""

import numpy as np

from tapejit.core.layout import packed_strides
from tapejit.graph.node import Node, Places, Strands, unit_free
from tapejit.graph.positions import differ, positions


def keep_reachable(graph, roots):
    """Drop all nodes of which nothing is made that is wanted; the others are numbered anew."""
    graph.nodes = reachable(graph.nodes, roots)
    for number, node in enumerate(graph.nodes):
        node.id = number
    graph.known = {(x.op, tuple(a.id for a in x.args), x.attr, x.shape, x.dtype): x for x in graph.nodes}


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
    def elements(node, leaves):
        found = [x for x in leaves if x.op == "spread" and (x.args[0].n == 1 or x.args[0].op == "pack")]
        return (found, [x for x in leaves if x not in found]) if len(found) > 1 else None

    return _sums_made_again(graph, roots, elements, _packed)


def weave_strands(graph, roots) -> list:
    """Sums of arrays that are spread at strides, side by side, become one array that is filled strand by strand.

    Each strand is then written where it stands, by the loop that works it out. Returns the new roots.
    """
    return _sums_made_again(graph, roots, _strands, _woven)


def _strands(node, leaves):
    """(step, start) of each leaf if these are spreads that fill the sum, each element once, and not all are stretches."""
    if sum(x.args[0].n if x.op == "spread" else node.n for x in leaves) != node.n or len(leaves) < 2:
        return None
    steps = [_single_step(x.args[0].shape, x.attr.strides) for x in leaves]
    if None in steps or all(abs(step) == 1 for step in steps):
        return None
    starts = [x.attr.start for x in leaves]
    taken = [start + step * np.arange(x.args[0].n) for x, step, start in zip(leaves, steps, starts, strict=True)]
    return (leaves, Strands(zip(steps, starts, strict=True))) if differ(np.concatenate(taken), node.n) else None


def _single_step(shape, strides):
    """The distance of neighbours, in C order, if it is one; else None."""
    sizes = [(s, p) for s, p, n in zip(strides, packed_strides(shape), shape, strict=True) if n != 1]
    step = sizes[-1][0] if sizes else 1
    return step if all(s == step * p for s, p in sizes) else None


def _woven(graph, node, leaves, strands, new):
    return graph.node("weave", [new.get(x.args[0].id, x.args[0]) for x in leaves], strands, node.shape, node.dtype)


def _sums_made_again(graph, roots, wanted, made) -> list:
    """Replace sums, whose terms nobody else reads in part.

    Args:
        wanted: of a node and its terms gives what ``made`` needs to know of them, None where nothing is to be done.
        made: ``made(graph, node, *known, new)`` gives what stands in the node's place; ``new`` has that of earlier ones by id.
    """
    order = reachable(graph.nodes, roots)
    uses = dict.fromkeys((r.id for r in roots), 1)
    for node in order:
        for a in node.args:
            uses[a.id] = uses.get(a.id, 0) + 1
    roots_ids = {r.id for r in roots}
    absorbed = set()
    sums = {}
    for node in reversed(order):
        if node.op != "add" or node.attr or node.n <= 1 or node.id in absorbed:
            continue
        leaves, stack, inner = [], [node], []
        while stack:
            x = stack.pop()
            free = x is node or (uses[x.id] == 1 and x.id not in roots_ids)
            if x.op == "add" and not x.attr and x.shape == node.shape and free:
                inner.append(x.id)
                stack += x.args
            else:
                leaves.append(x)
        known = wanted(node, leaves)
        if known is not None:
            absorbed.update(inner)
            sums[node.id] = known
    if not sums:
        return roots
    new = {}
    for node in order:
        if node.id in sums:
            new[node.id] = made(graph, node, *sums[node.id], new)
        elif node.id not in absorbed:
            args = [new.get(a.id, a) for a in node.args]
            changed = any(a is not b for a, b in zip(args, node.args, strict=True))
            new[node.id] = remade(graph, node, args) if changed else node
    return [new[r.id] for r in roots]


def remade(graph, node, args) -> Node:
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
