"""Which elements of a result depend on which elements of an argument, and how few products show a whole Jacobian.

Curtis, Powell, Reid (1974), "On the estimation of sparse Jacobian matrices": columns that share no row are found together
by one product with the sum of their unit vectors.
"""

import numpy as np

from tapejit.core.layout import packed_strides
from tapejit.graph.node import ELEMENTWISE
from tapejit.graph.positions import positions
from tapejit.graph.rewrite import reachable

LARGEST = 1 << 22  # nonzeros of a pattern above which none is worked out


def pattern(graph, result, argument):
    """A boolean CSR matrix: element i of ``result`` may depend on element j of ``argument``; None if that is not known."""
    from scipy import sparse  # takes 90 ms to import, and only whole Jacobians need it

    found = {argument.id: sparse.identity(argument.n, dtype=bool, format="csr")}
    for node in reachable(graph.nodes, [result]):
        if node.id in found:
            continue
        inputs = [(a, found[a.id]) for a in node.args if found.get(a.id) is not None]
        if not inputs:
            found[node.id] = None
            continue
        if node.op in ELEMENTWISE:
            total = None
            for a, rows in inputs:
                part = rows if a.shape == node.shape else rows[_broadcast(a.shape, node.shape)]
                total = part if total is None else total + part
        elif node.op == "view":
            total = inputs[0][1][positions(node.shape, *node.attr)]
        elif node.op in ("spread", "sum"):
            x = node.args[0]
            strides, start = node.attr if node.op == "spread" else (node.attr, 0)
            target = positions(x.shape, strides, start)
            ones = np.ones(x.n, bool)
            total = sparse.csr_matrix((ones, (target, np.arange(x.n))), shape=(node.n, x.n)) @ inputs[0][1]
        else:
            return None
        if total.nnz > LARGEST:
            return None
        found[node.id] = total
    return found[result.id]


def _broadcast(shape, target):
    lead = len(target) - len(shape)
    packed = packed_strides(shape)
    strides = [0] * lead + [0 if n == 1 else s for n, s in zip(shape, packed, strict=True)]
    return positions(target, strides, 0)


def colours(rows) -> np.ndarray:
    """A number for each column, different for columns that share a row (greedy)."""
    columns = rows.tocsc()
    found = np.full(rows.shape[1], -1)
    for j in range(rows.shape[1]):
        touching = columns.indices[columns.indptr[j] : columns.indptr[j + 1]]
        taken = {int(found[k]) for i in touching for k in rows.indices[rows.indptr[i] : rows.indptr[i + 1]]}
        colour = 0
        while colour in taken:
            colour += 1
        found[j] = colour
    return found
