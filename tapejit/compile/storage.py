"""Which values of a long program are kept in memory, decided by looking at each node once.

A value that is not kept is worked out again by every loop that reads it, together with all that it is made of. In a program
of many thousand records most values are read far away, by the backward half: they are kept.
"""

from tapejit.graph.node import ELEMENTWISE, LAZY

WINDOW = 64  # nodes further apart than this are not expected to meet in one loop
PARTS = 8  # terms of a sum that lie anywhere in it
LARGEST = 48  # operations of an expression that is worked out in one go


def far_values(nodes, dear) -> set:
    """The ids of values to keep: read far from where they are made, dear and read twice, or long expressions.

    Args:
        nodes: of the graph, in the order of the tape.
        dear: the cost above which a value that is read twice is kept.
    """
    kept, sizes, uses = set(), {}, {}
    for node in nodes:
        if node.op not in LAZY or node.n == 1:
            sizes[node.id] = 0
        else:
            sizes[node.id] = 1 + sum(sizes[a.id] for a in node.args)
        for a in node.args:
            source = _made(a)
            if source is None:
                continue
            uses[source.id] = uses.get(source.id, 0) + 1
            if node.id - source.id > WINDOW or (uses[source.id] > 1 and source.cost >= dear):
                kept.add(source.id)
                sizes[source.id] = 0
        if sizes[node.id] > LARGEST and _is_made(node):
            kept.add(node.id)
            sizes[node.id] = 0
    return kept


def sums_of_parts(node, stored) -> dict:
    """The sums in an expression of which many terms are parts of an array: id -> the terms.

    Args:
        stored: the ids of values that are not worked out here.
    """
    found, waiting, seen = {}, [node], set()
    while waiting:
        x = waiting.pop()
        if x.id in seen or (x.id in stored and x is not node) or x.op not in LAZY:
            continue
        seen.add(x.id)
        terms = _terms(x, stored)
        if sum(term.op == "spread" for term in terms) >= PARTS:
            found[x.id] = terms
        else:
            waiting += x.args
    return found


def _terms(node, stored):
    """What a sum adds up, in order; equal shapes alone."""
    terms, waiting = [], [node]
    while waiting:
        x = waiting.pop()
        inner = x.op == "add" and not x.attr and x.is_float and all(a.shape == x.shape for a in x.args)
        if inner and (x is node or x.id not in stored):
            waiting += reversed(x.args)
        else:
            terms.append(x)
    return terms


def _made(node):
    """The value behind views and spreads that is worked out, None where there is none."""
    while node.op in ("view", "spread") and node.n > 1:
        node = node.args[0]
    return node if _is_made(node) and node.n > 1 else None


def _is_made(node):
    return node.op in ELEMENTWISE or node.op == "place"
