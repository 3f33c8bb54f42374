"""Linear algebra of tensors seen as matrices, and the forms that tell of a failure by a number instead of an error."""

import math
from typing import NamedTuple

import numpy as np

from tapejit.core.plans import broadcast_shapes
from tapejit.core.refusals import LinAlgError
from tapejit.eager import creation
from tapejit.eager.dispatch import from_array
from tapejit.eager.linalg.systems import cholesky, inv, lu_factor, solve, solve_triangular
from tapejit.eager.otherkinds import for_other_kinds
from tapejit.eager.reductions import sum
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import movedim_order


@for_other_kinds
def vecdot(x: Tensor, y: Tensor, *, dim=-1) -> Tensor:
    """The inner products of vectors along a dimension; the others are broadcast."""
    return sum(x * y, dim)


@for_other_kinds
def tensorinv(A: Tensor, ind=2) -> Tensor:
    """The inverse of A as a map from its last dimensions to its first ``ind``: ``tensordot(tensorinv(A), B, ind)`` solves.

    Raises:
        RuntimeError: unless both sides have as many elements.
    """
    rows, columns = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    n = math.prod(rows)
    if ind < 1 or n != math.prod(columns):
        raise RuntimeError(f"linalg.tensorinv() needs as many elements before dimension {ind} as after it, got shape {A.shape}")
    return inv(A.reshape(n, n)).reshape(columns + rows)


@for_other_kinds
def tensorsolve(A: Tensor, B: Tensor, dims=None) -> Tensor:
    """The X with ``tensordot(A, X, X.ndim) == B``; ``dims`` of A are moved to its end first."""
    if dims is not None:
        A = A.permute(*movedim_order(A.ndim, [d % A.ndim for d in dims], range(A.ndim - len(dims), A.ndim)))
    shape = tuple(A.shape[B.ndim :])
    n = math.prod(shape)
    return solve(A.reshape(B.numel(), n), B.reshape(B.numel(), 1)).reshape(shape)


def triangular_solve(b: Tensor, A: Tensor, upper=True, transpose=False, unitriangular=False):
    """(X, A) with ``A @ X = b`` for a triangular A, or its transpose; see ``linalg.solve_triangular``."""
    if transpose:
        A, upper = A.mT, not upper
    batch = broadcast_shapes(A.shape[:-2], b.shape[:-2])
    left, right = A.expand(*batch, *A.shape[-2:]), b.expand(*batch, *b.shape[-2:])
    return solve_triangular(left, right, upper=upper, unitriangular=unitriangular), A


class CholeskyInfo(NamedTuple):
    """What ``cholesky_ex`` gives."""

    L: Tensor
    info: Tensor


class InverseInfo(NamedTuple):
    """What ``inv_ex`` gives."""

    inverse: Tensor
    info: Tensor


class SolveInfo(NamedTuple):
    """What ``solve_ex`` gives."""

    result: Tensor
    info: Tensor


class FactorInfo(NamedTuple):
    """What ``lu_factor_ex`` gives."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


def _informed(A, check_errors, function, shape):
    """The result and 0, or NaN and 1 where it failed."""
    batch = tuple(A.shape[:-2])
    try:
        return function(), from_array(np.zeros(batch, np.int32))
    except LinAlgError:
        if check_errors:
            raise
    return creation.full(shape, math.nan, dtype=A.dtype), from_array(np.ones(batch, np.int32))


def cholesky_ex(A: Tensor, *, upper=False, check_errors=False) -> CholeskyInfo:
    """``cholesky`` and 0, or NaN and 1 where a matrix of the batch is not positive definite."""
    L, info = _informed(A, check_errors, lambda: cholesky(A), A.shape)
    return CholeskyInfo(L.mT if upper else L, info)


def inv_ex(A: Tensor, *, check_errors=False) -> InverseInfo:
    """``inv`` and 0, or NaN and 1 where a matrix of the batch is singular."""
    return InverseInfo(*_informed(A, check_errors, lambda: inv(A), A.shape))


def solve_ex(A: Tensor, B: Tensor, *, left=True, check_errors=False) -> SolveInfo:
    """``solve`` and 0, or NaN and 1 where a matrix of the batch is singular."""
    return SolveInfo(*_informed(A, check_errors, lambda: solve(A, B, left=left), B.shape))


def lu_factor_ex(A: Tensor, *, pivot=True, check_errors=False) -> FactorInfo:
    """``lu_factor`` and 0."""
    LU, pivots = lu_factor(A, pivot=pivot)
    return FactorInfo(LU, pivots, from_array(np.zeros(tuple(A.shape[:-2]), np.int32)))
