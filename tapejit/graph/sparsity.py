"""Which elements of a result depend on which elements of an argument."""

import numpy as np

from tapejit.core.layout import packed_strides
from tapejit.graph.node import ELEMENTWISE
from tapejit.graph.positions import positions
from tapejit.graph.rewrite import reachable

LARGEST = 1 << 22  # nonzeros of a pattern above which none is worked out
_CONSTANT = {"lt", "le", "gt", "ge", "eq", "ne", "isnan", "isinf", "isfinite", "floor", "ceil", "trunc", "rint"}


class TooLarge(Exception):
    """A pattern has too many entries to be worked out."""


def pattern(graph, result, argument, most=None):
    """A boolean CSR matrix: element i of ``result`` may depend on element j of ``argument``; None if none does on any.

    Args:
        most: entries per element up to which it is worked out.

    Raises:
        TooLarge: if a value on the way has more entries.
    """
    from scipy import sparse  # takes 90 ms to import, and only whole Jacobians need it

    found = {argument.id: sparse.identity(argument.n, dtype=bool, format="csr")}
    for node in reachable(graph.nodes, [result]):
        if node.id in found:
            continue
        inputs = [(a, found[a.id]) for a in node.args if found.get(a.id) is not None]
        if node.op in _CONSTANT or not inputs:  # derivatives of steps are zero
            found[node.id] = None
            continue
        total = None
        for a, rows in inputs:
            part = _reads(sparse, node, a, rows)
            total = part if total is None else total + part
        if total.nnz > min(LARGEST, most * max(node.n, argument.n) if most else LARGEST):
            raise TooLarge
        found[node.id] = total
    return found[result.id]


def _reads(sparse, node, a, rows):
    """What a node has of one operand, whose elements depend on the argument as ``rows`` says."""
    if node.op in ELEMENTWISE:
        return rows if a.shape == node.shape else rows[_broadcast(a.shape, node.shape)]
    if node.op == "view":
        return rows[positions(node.shape, *node.attr)]
    if node.op == "spread":
        return _placed(sparse, node.n, positions(a.shape, *node.attr)) @ rows
    if node.op == "place":
        taken = positions(node.args[1].shape, *node.attr)
        if a is node.args[1]:
            return _placed(sparse, node.n, taken) @ rows
        kept = np.setdiff1d(np.arange(node.n), taken)
        return _placed(sparse, node.n, kept, kept, node.n) @ rows
    if node.op in ("sum", "max", "min"):
        return _placed(sparse, node.n, positions(a.shape, node.attr, 0)) @ rows
    if node.op == "pack":
        places = [at for at, x in zip(node.attr, node.args, strict=True) if x is a]
        return _placed(sparse, node.n, places, np.zeros(len(places), int), a.n) @ rows
    if node.op == "matmul":
        return _of_product(sparse, node, a) @ rows
    if node.n * rows.shape[1] > LARGEST:
        raise TooLarge
    union = rows.sum(0).astype(bool)  # kernels and loops: any element of the result may depend on any of the operand
    return sparse.csr_matrix(np.ones((node.n, 1), bool)) @ sparse.csr_matrix(union)


def _placed(sparse, n, target, source=None, count=None):
    """The matrix that adds element ``source`` (each in turn by default) to element ``target`` of n."""
    source = np.arange(len(target)) if source is None else source
    shape = (n, len(target) if count is None else count)
    return sparse.csr_matrix((np.ones(len(target), bool), (target, source)), shape=shape)


def _of_product(sparse, node, a):
    """Which elements of an operand each element of a product reads: a row of the first, a column of the second."""
    x, y = node.args
    columns = 1 if len(y.shape) == 1 else y.shape[-1]
    m, k = x.shape[-2:]
    batch = x.n // max(m * k, 1)
    if batch * m * columns * k > LARGEST:
        raise TooLarge
    b, i, j, inner = np.ogrid[:batch, :m, :columns, :k]
    out = ((b * m + i) * columns + j) + 0 * inner
    total = None
    for operand, read in ((x, (b * m + i) * k + inner + 0 * j), (y, _column(y, b, inner, j, k, columns) + 0 * i)):
        if operand is a:
            part = sparse.csr_matrix((np.ones(out.size, bool), (out.reshape(-1), (read + 0 * out).reshape(-1))), (node.n, a.n))
            total = part if total is None else total + part
    return total


def _column(y, b, inner, j, k, columns):
    return inner + 0 * b + 0 * j if len(y.shape) == 1 else (b * k + inner) * columns + j


def _broadcast(shape, target):
    lead = len(target) - len(shape)
    packed = packed_strides(shape)
    strides = [0] * lead + [0 if n == 1 else s for n, s in zip(shape, packed, strict=True)]
    return positions(target, strides, 0)
