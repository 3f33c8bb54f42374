"""Systems of equations: triangular, Cholesky and LU factors, and what is worked out with them."""

import math
from typing import NamedTuple

from tapejit.core.layout import layout_of
from tapejit.core.plans import Plan, broadcast_shapes, cached
from tapejit.eager import creation
from tapejit.eager.dispatch import emit
from tapejit.eager.functional import where
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.indexing import cat
from tapejit.eager.linalg.checks import emitted, matrices, same_dtype, squares
from tapejit.eager.otherkinds import for_other_kinds
from tapejit.eager.tensor import Tensor, method, method_as
from tapejit.eager.views import contiguous, diagonal
from tapejit.spec import decomposing
from tapejit.spec import linalg as ops

# Triangular


def triangular(b, t, left, upper, transposed, unit) -> Tensor:
    """``op(T) X = B`` or ``X op(T) = B``; T is one for all of the batch, or has the batch of B."""
    n = t.shape[-1]
    batches = math.prod(b.shape[:-2])
    step = n * n if math.prod(t.shape[:-2]) > 1 else 0
    columns = b.shape[-1] if left else b.shape[-2]
    words = (n, columns, batches, *map(int, (left, upper, transposed, unit)), step)
    return emitted(ops.triangular, (b, t), words, (tuple(b.shape),))[0]


def _one_batch(a, b):
    """Both operands with one batch; a single matrix stays single."""
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    b = b if b.shape[:-2] == batch else b.expand(*batch, *b.shape[-2:])
    if a.shape[:-2] != batch and math.prod(a.shape[:-2]) > 1:
        a = a.expand(*batch, *a.shape[-2:])
    return a, b


@for_other_kinds
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left=True, unitriangular=False) -> Tensor:
    """X with ``A @ X = B``, or ``X @ A = B`` if not ``left``; A of shape (..., n, n) is upper or lower triangular.

    The other triangle is not read, nor the diagonal with ``unitriangular``: their gradients are zero. A zero on the diagonal
    gives inf or NaN, as in PyTorch.

    Raises:
        RuntimeError: if shapes or dtypes do not fit.
    """
    A, B = squares("solve_triangular", A), matrices("solve_triangular", B)
    same_dtype("solve_triangular", A, B)
    if A.shape[-1] != B.shape[-2 if left else -1]:
        raise RuntimeError(f"linalg.solve_triangular(): shapes {A.shape} and {B.shape} do not fit (left={left})")
    A, B = _one_batch(A, B)
    return triangular(B, A, left, upper, False, unitriangular)


# Cholesky


@method
@for_other_kinds
def cholesky(A: Tensor, upper=False) -> Tensor:
    """The lower triangular L with ``A = L @ L.mT`` (or U with ``A = U.mT @ U``) of positive definite A of shape (..., n, n).

    Only one triangle of A is read; the gradient is symmetric, that of ``cholesky((A + A.mT) / 2)``.

    Raises:
        LinAlgError: if a matrix is not positive definite, with its place in the batch.
    """
    A = squares("cholesky", A)
    if upper:
        return cholesky(A.mT).mT
    n, batch = A.shape[-1], tuple(A.shape[:-2])
    return emitted(ops.cholesky, (A,), (n, math.prod(batch)), (tuple(A.shape),), batch=batch)[0]


def cholesky_adjoint(factor, g) -> Tensor:
    """The symmetric adjoint of a matrix from that of its Cholesky factor."""
    words = factor.shape[-1], math.prod(factor.shape[:-2])
    return emitted(ops.cholesky_adjoint, (factor, g), words, (tuple(factor.shape),))[0]


@method
@for_other_kinds
def cholesky_solve(B: Tensor, L: Tensor, upper=False) -> Tensor:
    """X with ``A @ X = B`` where ``A = L @ L.mT`` (or ``L.mT @ L`` if ``upper``), B of shape (..., n, k).

    Raises:
        RuntimeError: if shapes or dtypes do not fit.
    """
    B, L = matrices("cholesky_solve", B), squares("cholesky_solve", L)
    same_dtype("cholesky_solve", B, L)
    if L.shape[-1] != B.shape[-2]:
        raise RuntimeError(f"cholesky_solve(): shapes {B.shape} and {L.shape} do not fit")
    L, B = _one_batch(L, B)
    half = triangular(B, L, True, upper, upper, False)
    return triangular(half, L, True, upper, not upper, False)


@method
@for_other_kinds
def cholesky_inverse(L: Tensor, upper=False) -> Tensor:
    """The inverse of ``L @ L.mT`` (or ``L.mT @ L`` if ``upper``)."""
    return cholesky_solve(creation.eye(L.shape[-1], dtype=L.dtype), L, upper)


# LU


class Factors(NamedTuple):
    """What ``lu_factor`` gives: L and U in one matrix, and the row exchanges counted from 1."""

    LU: Tensor
    pivots: Tensor


class LU(NamedTuple):
    """What ``lu`` gives: ``A = P @ L @ U``."""

    P: Tensor
    L: Tensor
    U: Tensor


def factored(A, checked) -> Tensor:
    """The block of LU factors, pivots and signs; ``checked``: a zero pivot is an error."""
    batch = tuple(A.shape[:-2])
    words = A.shape[-1], math.prod(batch), int(checked)
    shapes = (tuple(A.shape), (*batch, A.shape[-1]), batch)
    plan = cached(("lu", words, shapes, A.dtype), lambda: _block_plan(words, shapes, A.dtype, batch))
    return emit(decomposing.lu, plan.layout, contiguous(A), plan=plan.address)


def _block_plan(words, shapes, dtype, batch):
    return Plan(words, layout_of((sum(math.prod(s) for s in shapes),), dtype), shape=batch, results=shapes)


def saved_factors(A, checked=True) -> Tensor:
    """``factored`` without a history: a value that ops keep for their derivative."""
    with no_grad():
        return factored(A, checked)


@for_other_kinds
def lu_factor(A: Tensor, *, pivot=True) -> Factors:
    """(LU, pivots): L below the diagonal (its own is 1) and U on and above it; pivots are integers from 1.

    A has any shape (..., m, n), with min(m, n) pivots.

    Raises:
        LinAlgError: if a pivot is zero, with the matrix's place in the batch.
        NotImplementedError: without pivoting.
    """
    A = matrices("lu_factor", A)
    if not pivot:
        raise NotImplementedError("linalg.lu_factor() pivots always: leave pivot=True")
    if A.shape[-1] != A.shape[-2]:
        return (_wide if A.shape[-2] < A.shape[-1] else _tall)(A)
    block = factored(A, True)
    shapes = (tuple(A.shape), tuple(A.shape[:-1]), tuple(A.shape[:-2]))
    factors, pivots, _ = ops.parts(block, shapes)
    return Factors(factors, pivots.detach().to("int32"))


def permutation_matrix(pivots) -> Tensor:
    """P of ``A = P @ L @ U`` from the pivots."""
    shape = (*pivots.shape, pivots.shape[-1])
    return emitted(ops.permutation, (pivots,), (shape[-1], math.prod(shape[:-2])), (shape,))[0]


def _wide(A):
    """The factors of more columns than rows: U goes on as L^-1 P' of the rest."""
    m = A.shape[-2]
    factors, pivots = lu_factor(A[..., :m])
    rest = triangular(permutation_matrix(pivots.to(A.dtype)).mT @ A[..., m:], factors, True, False, False, True)
    return Factors(cat((factors, rest), -1), pivots)


def _tall(A):
    """The factors of more rows than columns: of the rows that pivoting brings to the top; L goes on as the rest times U^-1."""
    m, n = A.shape[-2:]
    padded = cat((A.detach(), creation.zeros((*A.shape[:-1], m - n), dtype=A.dtype)), -1)
    shapes = (tuple(padded.shape), tuple(padded.shape[:-1]), tuple(padded.shape[:-2]))
    pivots = ops.parts(saved_factors(padded, checked=False), shapes)[1]
    ordered = permutation_matrix(pivots).mT @ A
    factors, _ = lu_factor(ordered[..., :n, :])
    rest = triangular(ordered[..., n:, :], factors, False, True, False, False)
    return Factors(cat((factors, rest), -2), pivots[..., :n].detach().to("int32"))


@for_other_kinds
def lu(A: Tensor, *, pivot=True) -> LU:
    """(P, L, U) with ``A = P @ L @ U``: (m, m), (m, min(m, n)) and (min(m, n), n)."""
    return lu_unpack(*lu_factor(A, pivot=pivot))


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data=True, unpack_pivots=True) -> LU:
    """(P, L, U) from ``lu_factor``'s results; empty tensors in place of what is not asked for."""
    m, n = LU_data.shape[-2:]
    k, dtype = min(m, n), LU_data.dtype
    P = L = U = creation.zeros((0,), dtype=dtype)
    if unpack_pivots:
        rows = creation.arange(k + 1.0, m + 1.0, dtype=dtype).expand((*LU_pivots.shape[:-1], m - k))
        P = permutation_matrix(cat((LU_pivots.to(dtype), rows), -1))
    if unpack_data:
        L = LU_data[..., :k].tril(-1) + creation.eye(m, k, dtype=dtype)
        U = LU_data[..., :k, :].triu()
    return LU(P, L, U)


@for_other_kinds
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left=True, adjoint=False) -> Tensor:
    """X with ``A @ X = B`` from ``lu_factor(A)``; ``A.mT`` with ``adjoint``, ``X @ A = B`` if not ``left``."""
    LU, B = squares("lu_solve", LU), matrices("lu_solve", B)
    same_dtype("lu_solve", LU, B)
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    if LU.shape[-1] != B.shape[-2]:
        raise RuntimeError(f"linalg.lu_solve(): shapes {LU.shape} and {B.shape} do not fit")
    P = permutation_matrix(pivots.to(LU.dtype))
    if not adjoint:
        B = P.mT @ B
    LU, B = _one_batch(LU, B)
    half = triangular(B, LU, True, adjoint, adjoint, not adjoint)
    X = triangular(half, LU, True, not adjoint, adjoint, adjoint)
    return P @ X if adjoint else X


def solve_factored(b, factors, a, shape, transposed) -> Tensor:
    """``A X = B`` or ``A^T X = B`` by the factors of A of a shape; ``a`` carries the gradient, or is None."""
    n, columns = b.shape[-2:]
    batches, count = math.prod(b.shape[:-2]), math.prod(shape[:-2])
    words = (n, columns, batches, int(transposed), count)
    dtype = b.dtype
    key = ("solve", words, tuple(b.shape), tuple(shape), dtype)
    plan = cached(key, lambda: Plan(words, layout_of(tuple(b.shape), dtype), results=tuple(shape)))
    return emit(ops.solve, plan.layout, contiguous(b), factors, a, plan=plan.address)


@for_other_kinds
def solve(A: Tensor, B: Tensor, *, left=True) -> Tensor:
    """X with ``A @ X = B`` (``X @ A = B`` if not ``left``) for square A of shape (..., n, n).

    B is a matrix (..., n, k), or a vector (n,), or a batch of vectors (..., n) where the rest of its shape is that of A.

    Raises:
        LinAlgError: if a matrix is singular, with its place in the batch.
        RuntimeError: if shapes or dtypes do not fit.
    """
    A = squares("solve", A)
    same_dtype("solve", A, B)
    vectors = B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])
    if vectors:
        return solve(A, B.unsqueeze(-1)).squeeze(-1) if left else solve(A.mT, B.unsqueeze(-1)).squeeze(-1)
    B = matrices("solve", B)
    if A.shape[-1] != B.shape[-2 if left else -1]:
        raise RuntimeError(f"linalg.solve(): shapes {A.shape} and {B.shape} do not fit (left={left})")
    if not left:
        return solve(A.mT, B.mT).mT
    A, B = _one_batch(A, B)
    return solve_factored(B, saved_factors(A), A, tuple(A.shape), False)


def inverse_factored(factors, a, shape) -> Tensor:
    """The inverse of A of a shape by its factors; ``a`` carries the gradient, or is None."""
    words = shape[-1], math.prod(shape[:-2])
    key = ("inverse", words, tuple(shape), factors.dtype)
    plan = cached(key, lambda: Plan(words, layout_of(tuple(shape), factors.dtype)))
    return emit(ops.inverse, plan.layout, factors, a, plan=plan.address)


@method_as("inverse")
@for_other_kinds
def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices.

    Raises:
        LinAlgError: if a matrix is singular, with its place in the batch.
    """
    A = squares("inv", A)
    return inverse_factored(saved_factors(A), A, tuple(A.shape))


# Determinants


class SignLog(NamedTuple):
    """What ``slogdet`` gives."""

    sign: Tensor
    logabsdet: Tensor


@method
@for_other_kinds
def slogdet(A: Tensor) -> SignLog:
    """(sign, log|det|) of square matrices; (0, -inf) for a singular one, whose gradient is not finite."""
    A = squares("slogdet", A)
    factors = saved_factors(A, checked=False)
    batch, dtype = tuple(A.shape[:-2]), A.dtype
    shape, words = tuple(A.shape), (A.shape[-1], math.prod(batch))
    key = ("slogdet", words, shape, dtype)
    plan = cached(key, lambda: Plan(words, layout_of((2 * words[1],), dtype), shape=shape, results=(batch, batch)))
    sign, logarithm = ops.parts(emit(ops.log_determinant, plan.layout, factors, A, plan=plan.address), (batch, batch))
    return SignLog(sign.detach(), logarithm)


@method
@for_other_kinds
def logdet(A: Tensor) -> Tensor:
    """log det of square matrices: NaN where it is negative, -inf where it is zero."""
    sign, logarithm = slogdet(A)
    return where(sign < 0, math.nan, logarithm)


@method
@for_other_kinds
def det(A: Tensor) -> Tensor:
    """The determinants of square matrices, with derivatives at singular ones too.

    Up to 3x3 it is a polynomial, exact to every order; beyond, the first derivative is exact everywhere and the second is
    NaN at a singular matrix.
    """
    A = squares("det", A)
    n = A.shape[-1]
    if n == 0:
        return creation.ones(tuple(A.shape[:-2]), dtype=A.dtype)
    if n <= 3:
        return small_determinant(A, n)
    with no_grad():
        shapes = (tuple(A.shape), tuple(A.shape[:-1]), tuple(A.shape[:-2]))
        factors, _, sign = ops.parts(factored(A, False), shapes)
        value = diagonal(factors, 0, -2, -1).prod(-1) * sign
    return emitted(ops.determinant, (value, A), (), (tuple(A.shape[:-2]),))[0]


def small_determinant(A, n):
    a = [[A[..., i, j] for j in range(n)] for i in range(n)]
    if n == 1:
        return a[0][0] * 1.0
    if n == 2:
        return a[0][0] * a[1][1] - a[0][1] * a[1][0]
    minors = [a[1][j] * a[2][k] - a[1][k] * a[2][j] for j, k in ((1, 2), (0, 2), (0, 1))]
    return a[0][0] * minors[0] - a[0][1] * minors[1] + a[0][2] * minors[2]
