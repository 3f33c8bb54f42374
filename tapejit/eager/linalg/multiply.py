"""Products of vectors and matrices; the work is BLAS's."""

import math

import numpy as np

from tapejit.core.layout import layout_of
from tapejit.core.plans import Plan, broadcast_shapes, cached, known
from tapejit.eager.creation import as_tensor
from tapejit.eager.dispatch import emit, from_array
from tapejit.eager.frameless import untraced
from tapejit.eager.otherkinds import for_pairs_of_kinds, of_other_kind, other_kind
from tapejit.eager.tensor import Tensor, method, method_as
from tapejit.eager.views import clone, contiguous
from tapejit.spec import structured as ops


def _common(name, x, y):
    """Both operands as float tensors of one dtype.

    Raises:
        TypeError: if one is not a tensor.
        RuntimeError: if the dtypes differ, as in PyTorch.
    """
    for t in (x, y):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}() takes two tensors, got {type(x).__name__} and {type(y).__name__}")
    if x.dtype is not y.dtype:
        raise RuntimeError(f"{name}() takes tensors of one dtype, got {x.dtype} and {y.dtype}; convert one with .to()")
    return x, y


def _by_numpy(function, x, y):
    return from_array(function(x._array(), y._array()))


def matrix_words(layout):
    """(transposed, leading dimension, batch step) if BLAS can read the last two dimensions as they are, else None."""
    if layout.ndim == 1:
        return (0, 1, 0) if layout.contiguous else None
    rows, columns = layout.shape[-2:]
    s0, s1 = layout.strides[-2:]
    batch = layout.strides[:-2]
    step = batch[-1] if batch else 0
    for outer, size, inner in zip(batch, layout.shape[1:-2], batch[1:], strict=False):
        if outer != inner * size:
            return None
    if (s1 == 1 or columns == 1) and (s0 >= max(columns, 1) or rows == 1):
        return 0, max(s0 if rows > 1 else columns, 1), step
    if (s0 == 1 or rows == 1) and (s1 >= max(rows, 1) or columns == 1):
        return 1, max(s1 if columns > 1 else rows, 1), step
    return None


def _product_plan(a, b):
    m, k = a.shape[-2:]
    n = 1 if b.ndim == 1 else b.shape[-1]
    shape = a.shape[:-1] if b.ndim == 1 else (*a.shape[:-1], n)
    words = [m, n, k, math.prod(a.shape[:-2]), *matrix_words(a), *matrix_words(b)]
    return Plan(words, layout_of(shape, a.dtype))


def product(x: Tensor, y: Tensor) -> Tensor:
    """``x[..., m, k] @ y[..., k, n]`` with equal leading dimensions, or a matrix times a vector ``y[k]``."""
    a, b = x._layout, y._layout
    plan = known(("product", a, b))
    if plan is None:
        if not (matrix_words(a) and matrix_words(b)):
            return product(x if matrix_words(a) else clone(x), y if matrix_words(b) else clone(y))
        plan = cached(("product", a, b), lambda: _product_plan(a, b))
    return emit(ops.matmul if b.ndim > 1 else ops.mv, plan.layout, x, y, plan=plan.address)


def _mismatch(name, x, y):
    return RuntimeError(f"{name}() cannot multiply shapes {x.shape} and {y.shape}: the inner sizes differ")


@method
@for_pairs_of_kinds
def mm(x: Tensor, y: Tensor) -> Tensor:
    """The product of two matrices."""
    x, y = _common("mm", x, y)
    if x.ndim != 2 or y.ndim != 2:
        raise RuntimeError(f"mm() takes two matrices, got shapes {x.shape} and {y.shape}; use matmul()")
    return _matmul("mm", x, y)


@method
@for_pairs_of_kinds
def mv(x: Tensor, y: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    x, y = _common("mv", x, y)
    if x.ndim != 2 or y.ndim != 1:
        raise RuntimeError(f"mv() takes a matrix and a vector, got shapes {x.shape} and {y.shape}")
    return _matmul("mv", x, y)


@method
@for_pairs_of_kinds
def bmm(x: Tensor, y: Tensor) -> Tensor:
    """The products of two batches of matrices."""
    x, y = _common("bmm", x, y)
    if x.ndim != 3 or y.ndim != 3 or x.shape[0] != y.shape[0]:
        raise RuntimeError(f"bmm() takes two batches of as many matrices, got shapes {x.shape} and {y.shape}")
    return _matmul("bmm", x, y)


@method
@for_pairs_of_kinds
def dot(x: Tensor, y: Tensor) -> Tensor:
    """The inner product of two vectors of one length.

    Raises:
        RuntimeError: unless both are 1-dimensional, of one length and dtype.
    """
    x, y = _common("dot", x, y)
    if x.ndim != 1 or x.shape != y.shape:
        raise RuntimeError(f"dot() takes two vectors of one length, got shapes {x.shape} and {y.shape}")
    if not x.dtype.is_floating_point:
        return _by_numpy(np.dot, x, y)
    x, y = contiguous(x), contiguous(y)
    layout = x._layout
    plan = cached(("dot", layout), lambda: Plan([layout.n], layout_of((), layout.dtype)))
    return emit(ops.dot, plan.layout, x, y, plan=plan.address)


@method
def matmul(x: Tensor, y: Tensor) -> Tensor:
    """``x @ y`` by NumPy's rules: vectors, matrices, and batches of matrices whose leading dimensions broadcast.

    Raises:
        RuntimeError: if an operand has no dimensions, or sizes or dtypes do not fit.
    """
    if x.__class__ is not Tensor or y.__class__ is not Tensor:
        other = other_kind((x, y))
        if other is not None:
            return of_other_kind(other, "matmul", (x, y))
    if isinstance(y, np.ndarray):  # of integers: numbers, as in arithmetic
        y = from_array(y, x.dtype if y.dtype.kind in "iub" else None)
    return _matmul("matmul", *_common("matmul", x, y))


Tensor.__matmul__ = untraced(matmul)


@method_as("__rmatmul__")
@untraced
def _reflected_matmul(self, other):
    return matmul(as_tensor(other), self)


def _matmul(name, x, y):
    """``matmul`` of two tensors of one dtype, under the name that errors shall bear."""
    a, b = x._layout, y._layout
    if a.ndim == 2 and b.ndim == 2 and a.dtype.is_floating_point:
        if a.shape[1] != b.shape[0]:
            raise _mismatch(name, x, y)
        return product(x, y)
    if not a.ndim or not b.ndim:
        raise RuntimeError(f"matmul() needs at least 1 dimension on both sides, got shapes {x.shape} and {y.shape}; use *")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise _mismatch(name, x, y)
    if not a.dtype.is_floating_point:
        return _by_numpy(np.matmul, x, y)
    if a.ndim == 1 and b.ndim == 1:
        return dot(x, y)
    if a.ndim == 1:
        return matmul(x.unsqueeze(0), y).squeeze(-2)
    if b.ndim == 1:
        if a.ndim == 2:
            return product(x, y)
        return matmul(x, y.unsqueeze(1)).squeeze(-1)
    if b.ndim == 2 and a.contiguous:
        return product(x.reshape(math.prod(a.shape[:-1]), a.shape[-1]), y).reshape(*a.shape[:-1], b.shape[-1])
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return product(x.expand(*batch, *a.shape[-2:]), y.expand(*batch, *b.shape[-2:]))


@method
@for_pairs_of_kinds
def outer(x: Tensor, y: Tensor) -> Tensor:
    """All products of the elements of two vectors."""
    x, y = _common("outer", x, y)
    if x.ndim != 1 or y.ndim != 1:
        raise RuntimeError(f"outer() takes two vectors, got shapes {x.shape} and {y.shape}")
    return x.unsqueeze(1) * y.unsqueeze(0)
