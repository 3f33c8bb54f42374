"""Patterns of sparse matrices: how their entries are read from products, and the matrices that are made of the entries."""

import functools
from typing import NamedTuple

import numpy as np

from tapejit.graph.colouring import colours, readings, symmetric_colours


class Plan:
    """The pattern of a matrix, and how its entries are read from products.

    Args:
        split: the sizes of its blocks (rows, or None for one, and columns) if it is given in blocks, else None.
        proven: whether there are no other entries, as far as the graph shows.

    Attributes:
        rows: the pattern.
        symmetric: whether the matrix is.
        vector: one for checks.
        empty: the matrices of the result without entries.
        filled: functions that give these with some entries.
        alone: the one matrix that is the result, if there is one and no other entries need be looked for, else None.
        kind: what makes the result of entries, see ``entries_of``.
    """

    def __init__(self, rows, mode, symmetric, split=None, proven=True):
        from scipy import sparse

        rows = sparse.csr_array(rows)
        rows.sort_indices()
        self.rows, self.proven, self.symmetric = rows, proven, symmetric
        self._mode = mode
        self.vector = np.random.default_rng(0).uniform(0.5, 1.5, rows.shape[1])
        self.split = split
        self._order = None
        self.kind = None
        self.empty = [_fixed(sparse, rows)] if split is None else self._in_blocks(sparse, *split)
        self.filled = [filler(empty) for empty in self.empty]
        self.alone = self.empty[0] if split is None and proven else None

    @functools.cached_property
    def products(self):
        """How entries are read from products."""
        return products_for(self.rows, self._mode, self.symmetric, self._order)

    def _in_blocks(self, sparse, heights, widths):
        """The empty matrices of the blocks; entries stand block after block from now on."""
        entries = self.rows.tocoo()
        heights = heights or [self.rows.shape[0]]
        block = _piece(heights, entries.row) * len(widths) + _piece(widths, entries.col)
        self._order = np.argsort(block, kind="stable")
        tops, lefts = np.cumsum([0, *heights]), np.cumsum([0, *widths])
        pieces = [
            self.rows[tops[i] : tops[i + 1], lefts[j] : lefts[j + 1]]
            for i in range(len(heights))
            for j in range(len(widths))
        ]
        return [_fixed(sparse, sparse.csr_array(piece)) for piece in pieces]

    def numbers_of(self, rows, columns):
        """Which entries stand at these places, None if one of the places is not of the pattern."""
        keys = rows * self.rows.shape[1] + columns
        found = np.searchsorted(self._keys, keys)
        if not np.array_equal(self._keys[np.minimum(found, len(self._keys) - 1)], keys):
            return None
        return found if self._order is None else _put(self._order, np.arange(len(self._order)))[found]

    @functools.cached_property
    def _keys(self):
        """The entries in CSR order as numbers that grow."""
        entries = self.rows.tocoo()
        return entries.row.astype(np.int64) * self.rows.shape[1] + entries.col

    @functools.cached_property
    def coordinates(self):
        """The rows and the columns of the entries, block after block."""
        keys = self._keys if self._order is None else self._keys[self._order]
        return np.divmod(keys, self.rows.shape[1])

    def entries_of(self, result):
        """The entries of a result, block after block."""
        matrices = []
        _collect(result, matrices)
        return matrices[0].data if len(matrices) == 1 else np.concatenate([m.data for m in matrices])

    def in_order(self, values):
        """The whole matrix with these entries."""
        if self._order is not None:
            values = _put(self._order, values)
        from scipy import sparse

        return sparse.csr_array((values, self.rows.indices, self.rows.indptr), self.rows.shape)

    def matrices(self, values):
        """The CSR array with these entries, or the tuple of blocks."""
        if self.split is None:
            return self.filled[0](values)
        found, start = [], 0
        for empty, filled in zip(self.empty, self.filled, strict=True):
            found.append(filled(values[start : start + empty.nnz]))
            start += empty.nnz
        heights, widths = self.split
        if heights is None:
            return tuple(found)
        return tuple(tuple(found[k : k + len(widths)]) for k in range(0, len(found), len(widths)))


class Products(NamedTuple):
    """Products from which the entries of a matrix are read.

    Attributes:
        forward: they are with columns, else with rows.
        seeds: one row per product, the sum of the unit vectors of a colour.
        places: for each entry, block after block in CSR order, where it stands in the products one after another.
    """

    forward: bool
    seeds: np.ndarray
    places: np.ndarray


def products_for(rows, mode, symmetric=False, order=None):
    """The products for a pattern, whose entries are wanted in CSR order, or in an order of these."""
    from scipy import sparse

    numbers, forward = _chosen(rows, mode, symmetric)
    colour, at = readings(rows if forward else sparse.csr_array(rows.T), numbers)
    if not forward:  # entries of the transpose, in its order
        turned = sparse.csr_array((np.arange(rows.nnz), rows.indices, rows.indptr), rows.shape).T.tocsr()
        turned.sort_indices()
        colour, at = _put(turned.data, colour), _put(turned.data, at)
    seeds = np.zeros((int(numbers.max(initial=-1)) + 1, len(numbers)))
    met = np.unique(rows.indices) if forward else np.flatnonzero(np.diff(rows.indptr))
    seeds[numbers[met], met] = 1.0
    places = (colour * rows.shape[0 if forward else 1] + at).astype(np.int64)
    return Products(forward, seeds, places if order is None else places[order])


class Entries(tuple):
    """What a recording gives: the entries, and a product with the whole matrix where there may be others.

    The class, one for each plan, makes the result of arrays, as that of a named tuple makes one of its fields; ``of`` makes the
    tuple itself.

    Attributes:
        written_into: the matrix whose like is filled with the entries in place, None where that is not all there is to do.
    """

    _fields = ("values", "whole")
    written_into = None

    @classmethod
    def of(cls, *parts):
        return tuple.__new__(cls, parts)


def entries_of(plan, check):
    """The class of the entries of a plan; ``check(plan, entries, product)`` compares them with a product."""

    made = plan.matrices if plan.split else plan.filled[0]

    class Found(Entries):
        written_into = plan.alone

        def __new__(cls, values, whole=None):
            if values.__class__ is not np.ndarray:
                values = values.detach().numpy()
            if whole is not None:
                check(plan, values, whole if whole.__class__ is np.ndarray else whole.detach().numpy())
            return made(values)

    return Found


def _fixed(sparse, rows):
    """A matrix of a pattern whose arrays of indices cannot be written: all matrices that come of it share them."""
    rows.sort_indices()
    rows.indices.flags.writeable = rows.indptr.flags.writeable = False
    empty = sparse.csr_array((np.empty(rows.nnz), rows.indices, rows.indptr), rows.shape)
    _ = empty.has_canonical_format  # looked at once
    return empty


def filler(empty):
    """A function that gives the matrix with some entries."""
    kind, kept, new = empty.__class__, dict(empty.__dict__), object.__new__  # SciPy would check the indices again

    def filled(values):
        found = new(kind)
        attributes = found.__dict__
        attributes.update(kept)
        attributes["data"] = values
        return found

    return filled


def _piece(sizes, places):
    return np.searchsorted(np.cumsum(sizes), places, side="right")


def _put(order, values):
    found = np.empty_like(values)
    found[order] = values
    return found


def _chosen(rows, mode, symmetric):
    """The colours, of columns or of rows, and whether they are of columns."""
    if symmetric:
        return symmetric_colours(rows), True
    ways = []
    if mode in ("auto", "forward"):
        ways.append((colours(rows), True))
    if mode in ("auto", "reverse"):
        ways.append((colours(rows.T.tocsr()), False))
    return min(ways, key=lambda way: way[0].max(initial=-1) + (not way[1]))


def target_data(plan, out) -> list:
    """The arrays of the entries of what a caller gives for them: of CSR matrices with the pattern, or one array for all.

    Raises:
        ValueError, TypeError: if they do not fit, see ``Sparse.into``.
    """
    if out.__class__ is np.ndarray:
        nnz = plan.rows.nnz
        if out.shape != (nnz,):
            raise ValueError(f"into() needs an array of shape {(nnz,)} for the entries, got {out.shape}")
        return [_may_take(out)]
    matrices = []
    _collect(out, matrices)
    if len(matrices) != len(plan.empty):
        raise ValueError(f"into() needs {len(plan.empty)} matrices, or one array for all entries; got {len(matrices)}")
    for matrix, empty in zip(matrices, plan.empty, strict=True):
        if getattr(matrix, "format", None) != "csr":
            raise TypeError(f"into() writes into CSR matrices and arrays, got {type(matrix).__name__}")
        if matrix.shape != empty.shape or not (_equal(matrix.indptr, empty.indptr) and _equal(matrix.indices, empty.indices)):
            raise ValueError(
                "into() needs a CSR matrix with the pattern of the result, indices sorted: start with an earlier result, or "
                "with what pattern(...) gives"
            )
    return [_may_take(matrix.data) for matrix in matrices]


def _collect(tree, found):
    if isinstance(tree, (tuple, list)):
        for x in tree:
            _collect(x, found)
    else:
        found.append(tree)


def _equal(a, b) -> bool:
    return a is b or np.array_equal(a, b)


def _may_take(array):
    if array.dtype.kind != "f":
        raise TypeError(f"into() needs an array that can hold floats, got one of {array.dtype}")
    if not array.flags.writeable:
        raise ValueError("into() needs arrays that may be written, got a read-only one")
    return array
