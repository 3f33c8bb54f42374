"""Sparse Jacobians and Hessians: as few products as the pattern of zeros allows, and the entries alone.

The pattern is found from the graph of the recorded function, coloured once per kind of arguments, and kept (see
``sparseplan``); later calls run one program that gives the entries.
"""

import functools
import threading

import numpy as np

from tapejit.core.dtypes import as_array
from tapejit.eager.dispatch import from_array
from tapejit.eager.grad_mode import enable_grad
from tapejit.eager.views import reshape
from tapejit.graph.build import Lowering
from tapejit.graph.sparsity import TooLarge, pattern
from tapejit.replay.diagonals import Irregular
from tapejit.replay.doorwords import Door
from tapejit.replay.fewproducts import entries_from, joined, seeds_of
from tapejit.replay.function import Replayed
from tapejit.replay.leaves import pulled, pushed
from tapejit.replay.recorder import around
from tapejit.replay.sparseplan import Entries, Plan, entries_of, target_data
from tapejit.replay.strands import entries_along
from tapejit.replay.transforms import Differentiated, results_of, scalar
from tapejit.replay.trees import flatten, is_result
from tapejit.replay.vmap import Example

TOLERANCE = 1e-6  # to which a product with the whole Jacobian must agree with one with the entries


class _Current(threading.local):
    """The plan of the call that runs in this thread."""

    plan = None


class Sparse(Door):
    """A function that gives a ``scipy.sparse.csr_array``; made by ``sparse_jacobian`` and ``sparse_hessian``.

    Attributes:
        entries: the recorded function of the entries, whose programs the door knows as those of this object.
    """

    def __init__(self, what, fun, argnums, given, mode, compile, static_argnums, static):
        single = isinstance(argnums, int)
        if not single and not (isinstance(argnums, (tuple, list)) and argnums and all(isinstance(k, int) for k in argnums)):
            raise TypeError(f"{what}() differentiates in a position, or in a tuple of them; got argnums={argnums!r}")
        if mode not in ("auto", "forward", "reverse"):
            raise ValueError(f"{what}() has the modes 'auto', 'forward', 'reverse', got {mode!r}")
        functools.update_wrapper(self, fun, updated=())
        self.what, self.fun, self.given, self.mode = what, fun, given, mode
        self.argnums = argnums if single else tuple(argnums)
        self.options = {"compile": compile, "static_argnums": static_argnums, "static": static}
        self._plans = {}  # by the shapes of the arguments
        self._quick = {}  # the same for arrays and floats alone, by a key that is found fast
        self._current = _Current()
        super().__init__()
        self.entries = Replayed(self._entries, fun, "jit", self.argnums, static_argnums, compile, (fun,), static)
        self._block = self.entries._block

    def __repr__(self):
        return f"<{self.what} of {getattr(self.fun, '__qualname__', self.fun)}>"

    def __reduce__(self):
        options = self.options
        parts = self.what, self.fun, self.argnums, self.given, self.mode
        return Sparse, (*parts, options["compile"], options["static_argnums"], options["static"])

    def general(self, args, kwargs):
        """A call of any kind."""
        return self._result(self._prepared(args, kwargs), args, kwargs)

    def _result(self, plan, args, kwargs):
        before, self._current.plan = self._current.plan, plan
        try:
            found = self.entries.general(args, kwargs)
        finally:
            self._current.plan = before
        if self.entries.is_open and not self.is_open:
            self.open_door()
        return found.__class__(*found) if isinstance(found, Entries) else found

    def general_into(self, args):
        """``J.into(*args, out)``: the entries written into ``out``, which is returned.

        Args:
            out: a ``csr_array`` or ``csr_matrix`` with the pattern of the result (a tree of them, as the result is), such as an
                earlier result; or one array for all entries in CSR order, block after block.

        Raises:
            ValueError: if the pattern or the shape is another, or the array may not be written; nothing is written then.
            TypeError: for anything else, or an array that cannot hold the entries.
        """
        if not args:
            raise TypeError(f"{self.what}().into() takes the arguments, then what the entries are written into; got nothing")
        *args, out = args
        plan = self._prepared(args, {})
        targets = target_data(plan, out)
        values = plan.entries_of(self._result(plan, tuple(args), {}))
        start = 0
        for target in targets:
            target[...] = values[start : start + len(target)]
            start += len(target)
        return out

    @property
    def compiled(self) -> bool:
        """Whether calls like the last one are answered by machine code."""
        return self.entries.compiled

    def wait(self, timeout=None) -> bool:
        """Have all that is recorded compiled, and wait until it is, as with other transforms."""
        return self.entries.wait(timeout)

    def pattern(self, *args, **kwargs):
        """The pattern for such arguments, a boolean CSR array; of all arguments side by side if there are several."""
        return self._prepared(args, kwargs).rows.astype(bool)

    def _prepared(self, args, kwargs):
        """The plan for such arguments."""
        quick = None if kwargs else _quick_key(args)
        found = self._quick.get(quick)
        if found is not None:
            return found
        leaves = []
        structure = flatten((tuple(args), kwargs), lambda x: is_result(x) or isinstance(x, (float, np.floating)), leaves)
        key = structure, tuple((np.shape(x), getattr(x, "dtype", None)) for x in leaves)
        found = self._plans.get(key)
        if found is None:
            found = self._plan(args, kwargs)
            found.kind = entries_of(found, self._check)
            self._plans[key] = found  # whole: an interrupt may come anywhere
        if quick is not None:
            self._quick[quick] = found
        return found

    def _differentiated(self, args, kwargs):
        """The leaves and what is differentiated, by the function or by its gradient."""
        wanted = Differentiated(args, self.argnums, f"{self.what}()", kwargs, self.fun)
        for k, (_, count) in zip(wanted.numbers, wanted.structures, strict=True):
            if count != 1:
                raise TypeError(f"{self.what}() differentiates in arrays, argument {k} is a tree of several")
        leaves = wanted.leaves
        result = wanted.call(self.fun)
        if self.what == "sparse_hessian":
            gradient = pulled([scalar(result, f"{self.what}()")], [None], leaves)
            return leaves, joined(gradient)
        outputs, _ = results_of(result, f"{self.what}()")
        if len(outputs) != 1:
            raise TypeError(f"{self.what}() needs a function whose result is one array, it gave a tree of {len(outputs)}")
        return leaves, outputs[0]

    # The pattern

    def _plan(self, args, kwargs):
        """The pattern, as given or as found from the graph, and its colouring."""
        recorder = _Probe()
        try:
            with around(recorder), recorder:
                args = [from_array(as_array(a)) if isinstance(a, np.ndarray) else a for a in args]
                with enable_grad():
                    leaves, y = self._differentiated(args, kwargs)
                sizes = [x.numel() for x in leaves]
                shape = y.numel(), sum(sizes)
                found = _found(recorder, leaves, y)
        finally:
            leaves = y = args = None
            recorder.close()
        rows, proven = found, True
        if not isinstance(self.given, str):
            rows, proven = self._given(found, shape)
        elif self.given != "detect":
            raise ValueError(f"{self.what}(): pattern is 'detect' or a sparse matrix, got {self.given!r}")
        elif found is TooLarge:
            raise ValueError(f"{self.what}(): the pattern of shape {shape} has too many entries; use the dense form")
        hessian = self.what == "sparse_hessian"
        split = None
        if not isinstance(self.argnums, int):
            split = (sizes if hessian else None), sizes
        return Plan(rows, self.mode, hessian, split, proven)

    def _given(self, found, shape):
        """The user's pattern, and whether the graph shows that there are no other entries."""
        from scipy import sparse

        given = sparse.csr_matrix(self.given) != 0
        if given.shape != shape:
            raise ValueError(f"{self.what}(): the pattern has shape {given.shape}, the matrix {shape}")
        if self.what == "sparse_hessian" and (given != given.T).nnz:
            raise ValueError(f"{self.what}(): the pattern is not symmetric")
        return given, found is not TooLarge and not (found > given).nnz

    # The entries

    def _entries(self, *args, **kwargs):
        """The entries, block after block in CSR order; what a recording runs checks that there are no others.

        With a pattern that may be too small also a product with the whole matrix, by which every call is checked.
        """
        plan = self._current.plan
        with enable_grad():
            leaves, y = self._differentiated(args, kwargs)
            values = self._values(plan, leaves, y)
            whole = reshape(pushed([y], leaves, seeds_of(plan.vector, leaves))[0], -1)
            self._check(plan, values._memory(), whole._memory())
        return plan.kind.of(*((values,) if plan.proven else (values, whole)))

    def _values(self, plan, leaves, y):
        """The entries, along diagonals if they lie so, else from products."""
        if self.mode == "auto":
            try:
                return entries_along(plan, y, leaves)
            except Irregular:
                pass
        return entries_from(plan.products, leaves, y)

    def _check(self, plan, values, whole):
        """Compare a product with the whole matrix and one with its entries: there may be others, by a path that was not known.

        Raises:
            ValueError: if they differ.
        """
        entries = plan.in_order(values.astype(np.float64))
        whole = whole.reshape(-1)
        with np.errstate(invalid="ignore"):  # infinities
            close = np.abs(entries @ plan.vector - whole) <= TOLERANCE * (1 + abs(entries) @ plan.vector + np.abs(whole))
        if not (close | ~np.isfinite(whole)).all():
            row = int(np.flatnonzero(~close)[0])
            raise ValueError(
                f"{self.what}(): row {row} has entries outside of the pattern"
                + (" that was found at the first call: the function took another path" if isinstance(self.given, str) else "")
                + "; pass a pattern with all entries that may occur"
            )


def _quick_key(args):
    """What tells arguments apart if they are arrays and floats, None for others."""
    if len(args) == 1 and args[0].__class__ is np.ndarray:
        return args[0].shape, args[0].dtype
    key = []
    for x in args:
        if x.__class__ is np.ndarray:
            key.append(x.shape)
            key.append(x.dtype)
        elif x.__class__ is float:
            key.append(float)
        else:
            return None
    return tuple(key)


class _Probe(Example):
    """A recording of which only the graph is wanted: tensors from outside are arrays for it."""

    def stand_ins_of(self, tape):
        return None

    def _standing_in(self, array, tensor):
        t = super()._standing_in(array, tensor)
        self.sources[t._r & ((1 << 40) - 1)] = array
        return t


def _found(recorder, leaves, y):
    """The pattern of all leaves side by side, ``TooLarge`` if it has too many entries."""
    from scipy import sparse

    places = [recorder.index(x) for x in leaves]
    lowering = Lowering(recorder, stop=tuple(places))
    result, *arguments = lowering.nodes([recorder.index(y), *places])
    blocks = []
    for argument in arguments:
        try:
            rows = pattern(lowering.graph, result, argument)
        except TooLarge:
            return TooLarge
        blocks.append(sparse.csr_matrix((result.n, argument.n), dtype=bool) if rows is None else rows)
    return blocks[0] if len(blocks) == 1 else sparse.hstack(blocks, format="csr")


def sparse_jacobian(fun, argnums=0, *, pattern="detect", mode="auto", static_argnums=(), static=(), compile="auto"):
    """A function that gives the Jacobian as a ``scipy.sparse.csr_array`` of shape (elements of the result, of the argument).

    Its method ``into(*args, out)`` writes the entries of a matrix that is there already; ``pattern(*args)`` gives the pattern.

    Args:
        fun: a function whose result is one array.
        argnums: the argument to differentiate in, one array; or a tuple of arguments, for which the result is a tuple.
        pattern: "detect" finds it from the recorded function, or a matrix whose nonzeros are where entries may be; of the
            matrices side by side if there are several arguments.
        mode: products with columns ("forward"), with rows ("reverse"), or what takes fewer ("auto").
        static_argnums, static, compile: see ``value_and_grad``.

    Raises:
        ValueError: at a call, if the function turns out to have entries outside of the pattern.
        TypeError: if an argument or the result is not one array.
    """
    return Sparse("sparse_jacobian", fun, argnums, pattern, mode, compile, static_argnums, static)


def sparse_hessian(fun, argnums=0, *, pattern="detect", static_argnums=(), static=(), compile="auto"):
    """A function that gives the Hessian of a scalar function as a symmetric ``scipy.sparse.csr_array``.

    With a tuple of arguments the result is a tuple of rows of blocks, each a tuple, and a given pattern is that of the whole
    matrix. Arguments, methods and errors as ``sparse_jacobian``; a given pattern that is not symmetric is a ValueError. The
    products are coloured with regard to symmetry (star colouring).
    """
    return Sparse("sparse_hessian", fun, argnums, pattern, "auto", compile, static_argnums, static)
