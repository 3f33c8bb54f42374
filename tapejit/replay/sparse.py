"""Sparse Jacobians and Hessians: as few products as the pattern of zeros allows, and the entries alone.

The pattern is found from the graph of the recorded function, coloured once per kind of arguments, and kept; later calls run one
program that gives the entries.
"""

import copy
import functools

import numpy as np

from tapejit.core import tape as tapes
from tapejit.core.dtypes import as_array
from tapejit.eager.dispatch import from_array
from tapejit.eager.grad_mode import enable_grad
from tapejit.eager.indexing import stack
from tapejit.eager.places import take_flat
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import expand, reshape
from tapejit.graph.build import Lowering
from tapejit.graph.colouring import colours, readings, symmetric_colours
from tapejit.graph.sparsity import TooLarge, pattern
from tapejit.replay.function import Replayed
from tapejit.replay.transforms import Differentiated, pulled, pushed, results_of, scalar
from tapejit.replay.trees import flatten, is_result
from tapejit.replay.vmap import Example, batched

FEW = 8  # products of which each has a pass of its own
TOLERANCE = 1e-6  # to which a product with the whole Jacobian must agree with one with the entries


class _Plan:
    """The pattern of a matrix, and how its entries are read from products.

    Attributes:
        forward: products are with columns, else with rows.
        seeds: one row per product, the sum of the unit vectors of a colour.
        places: for each entry in CSR order, where it stands in the products one after another.
    """

    def __init__(self, rows, mode, symmetric):
        from scipy import sparse

        rows = sparse.csr_array(rows)
        rows.sort_indices()
        rows.indices.flags.writeable = rows.indptr.flags.writeable = False  # all matrices that come of it share them
        self.rows = rows
        self._empty = sparse.csr_array((np.empty(rows.nnz), rows.indices, rows.indptr), rows.shape)
        numbers, self.forward = _chosen(rows, mode, symmetric)
        colour, at = readings(rows if self.forward else sparse.csr_array(rows.T), numbers)
        if not self.forward:  # entries of the transpose, in its order
            order = sparse.csr_array((np.arange(rows.nnz), rows.indices, rows.indptr), rows.shape).T.tocsr()
            order.sort_indices()
            colour, at = _put(order.data, colour), _put(order.data, at)
        count = int(numbers.max(initial=-1)) + 1
        self.seeds = np.zeros((count, len(numbers)))
        self.seeds[numbers, np.arange(len(numbers))] = 1.0
        self.places = (colour * rows.shape[0 if self.forward else 1] + at).astype(np.int64)

    def matrix(self, values):
        """The CSR array with these entries."""
        found = copy.copy(self._empty)  # SciPy would check the indices again
        found.data = values
        return found


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


class Sparse:
    """A function that gives a ``scipy.sparse.csr_array``; made by ``sparse_jacobian`` and ``sparse_hessian``."""

    def __init__(self, what, fun, argnums, given, mode, compile, static_argnums, static):
        if not isinstance(argnums, int):
            raise TypeError(f"{what}() differentiates in one argument, a position; got argnums={argnums!r}")
        if mode not in ("auto", "forward", "reverse"):
            raise ValueError(f"{what}() has the modes 'auto', 'forward', 'reverse', got {mode!r}")
        functools.update_wrapper(self, fun, updated=())
        self.what, self.fun, self.argnums, self.given, self.mode = what, fun, argnums, given, mode
        self.options = {"compile": compile, "static_argnums": static_argnums, "static": static}
        self._plans = {}  # by the shapes of the arguments

    def __repr__(self):
        return f"<{self.what} of {getattr(self.fun, '__qualname__', self.fun)}>"

    def __reduce__(self):
        options = self.options
        parts = self.what, self.fun, self.argnums, self.given, self.mode
        return Sparse, (*parts, options["compile"], options["static_argnums"], options["static"])

    def __call__(self, *args, **kwargs):
        plan, entries = self._prepared(args, kwargs)
        values = entries(*args, **kwargs)
        return plan.matrix(values.detach().numpy() if isinstance(values, Tensor) else values)

    def pattern(self, *args, **kwargs):
        """The pattern for such arguments, a boolean CSR array."""
        return self._prepared(args, kwargs)[0].rows.astype(bool)

    def _prepared(self, args, kwargs):
        leaves = []
        structure = flatten((args, kwargs), lambda x: is_result(x) or isinstance(x, (float, np.floating)), leaves)
        key = structure, tuple((np.shape(x), getattr(x, "dtype", None)) for x in leaves)
        found = self._plans.get(key)
        if found is None:
            plan = _Plan(self._pattern(args, kwargs), self.mode, self.what == "sparse_hessian")
            options = self.options
            entries = Replayed(functools.partial(self._entries, plan), self.fun, "jit", self.argnums,
                               options["static_argnums"], options["compile"], (self.fun,), options["static"])  # fmt: skip
            found = self._plans[key] = plan, entries
        return found

    def _differentiated(self, args, kwargs):
        """The one leaf x and what is differentiated, by the function or by its gradient."""
        wanted = Differentiated(args, self.argnums, f"{self.what}()", kwargs, self.fun)
        if len(wanted.leaves) != 1:
            raise TypeError(f"{self.what}() differentiates in one array, argument {self.argnums} is a tree of several")
        (x,) = wanted.leaves
        result = wanted.call(self.fun)
        if self.what == "sparse_hessian":
            return x, pulled([scalar(result, f"{self.what}()")], [None], [x])[0]
        outputs, _ = results_of(result, f"{self.what}()")
        if len(outputs) != 1:
            raise TypeError(f"{self.what}() needs a function whose result is one array, it gave a tree of {len(outputs)}")
        return x, outputs[0]

    # The pattern

    def _pattern(self, args, kwargs):
        """The pattern as a boolean CSR matrix: as given, or as found from the graph."""
        from scipy import sparse

        recorder = _Probe()
        try:
            with recorder:
                args = [from_array(as_array(a)) if isinstance(a, np.ndarray) else a for a in args]
                with enable_grad():
                    x, y = self._differentiated(args, kwargs)
                shape = y.numel(), x.numel()
                rows = _found(recorder, x, y)
        finally:
            x = y = args = None
            recorder.close()
        if isinstance(self.given, str):
            if self.given != "detect":
                raise ValueError(f"{self.what}(): pattern is 'detect' or a sparse matrix, got {self.given!r}")
            if rows is TooLarge:
                raise ValueError(f"{self.what}(): the pattern of shape {shape} has too many entries; use the dense form")
            return sparse.csr_matrix(shape, dtype=bool) if rows is None else rows
        given = sparse.csr_matrix(self.given) != 0
        if given.shape != shape:
            raise ValueError(f"{self.what}(): the pattern has shape {given.shape}, the matrix {shape}")
        return given

    # The entries

    def _entries(self, plan, *args, **kwargs):
        """The entries in CSR order; what a recording runs checks that there are no others."""
        with enable_grad():
            x, y = self._differentiated(args, kwargs)
            products = self._products(plan, x, y)
            values = take_flat(reshape(products, -1), from_array(plan.places), None)
            if tapes.current().recorder is not None:
                self._check(plan, x, y, values)
        return values

    def _products(self, plan, x, y):
        """All products with seeds, one after another."""
        source, target = (x, y) if plan.forward else (y, x)
        seeds = plan.seeds.astype(x.dtype.numpy)

        def product(seed):
            return pushed([y], [x], [seed]) if plan.forward else pulled([y], [seed], [x])

        if len(seeds) <= FEW:
            found = [product(from_array(seed.reshape(source.shape)))[0] for seed in seeds]
            return stack([reshape(p, -1) for p in found]) if found else from_array(np.zeros((0, target.numel())))
        ((found, has),) = batched(product, [from_array(seeds.reshape(-1, *source.shape))], len(seeds))
        return found if has else expand(found, (len(seeds), *found.shape))

    def _check(self, plan, x, y, values):
        """Compare a product with the whole matrix and one with its entries: a path that was not known may have others.

        Raises:
            ValueError: if they differ.
        """
        vector = np.random.default_rng(0).uniform(0.5, 1.5, x.numel())
        whole = pushed([y], [x], [from_array(vector.reshape(x.shape).astype(x.dtype.numpy))])[0]._memory().reshape(-1)
        entries = plan.matrix(values._memory().astype(np.float64))
        close = np.abs(entries @ vector - whole) <= TOLERANCE * (1 + abs(entries) @ vector + np.abs(whole))
        if not (close | ~np.isfinite(whole)).all():
            row = int(np.flatnonzero(~close)[0])
            raise ValueError(
                f"{self.what}(): row {row} has entries outside of the pattern"
                + (" that was found at the first call: the function took another path" if isinstance(self.given, str) else "")
                + "; pass a pattern with all entries that may occur"
            )


class _Probe(Example):
    """A recording of which only the graph is wanted: tensors from outside are arrays for it."""

    def _standing_in(self, array, tensor):
        t = super()._standing_in(array, tensor)
        self.sources[t._r & ((1 << 40) - 1)] = array
        return t


def _found(recorder, x, y):
    lowering = Lowering(recorder, stop=(recorder.index(x),))
    result, argument = lowering.nodes([recorder.index(y), recorder.index(x)])
    try:
        return pattern(lowering.graph, result, argument)
    except TooLarge:
        return TooLarge


def sparse_jacobian(fun, argnums=0, *, pattern="detect", mode="auto", static_argnums=(), static=(), compile="auto"):
    """A function that gives the Jacobian as a ``scipy.sparse.csr_array`` of shape (elements of the result, of the argument).

    Args:
        fun: a function whose result is one array.
        argnums: the argument to differentiate in, one array.
        pattern: "detect" finds it from the recorded function, or a matrix whose nonzeros are where entries may be.
        mode: products with columns ("forward"), with rows ("reverse"), or what takes fewer ("auto").
        static_argnums, static, compile: see ``value_and_grad``.

    Raises:
        ValueError: at a call, if the function turns out to have entries outside of the pattern.
        TypeError: if argument or result are not one array.
    """
    return Sparse("sparse_jacobian", fun, argnums, pattern, mode, compile, static_argnums, static)


def sparse_hessian(fun, argnums=0, *, pattern="detect", static_argnums=(), static=(), compile="auto"):
    """A function that gives the Hessian of a scalar function as a symmetric ``scipy.sparse.csr_array``.

    Arguments and errors as ``sparse_jacobian``; the products are coloured with regard to symmetry (star colouring).
    """
    return Sparse("sparse_hessian", fun, argnums, pattern, "auto", compile, static_argnums, static)
