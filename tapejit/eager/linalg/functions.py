"""Functions of matrices: pseudo-inverse, least squares, powers, exponential, products of several."""

import math
from typing import NamedTuple

import numpy as np

from tapejit.core.plans import broadcast_shapes
from tapejit.eager import creation
from tapejit.eager.dispatch import from_array
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.indexing import stack
from tapejit.eager.linalg.checks import emitted, matrices, same_dtype, squares
from tapejit.eager.linalg.decompositions import eigvalsh, svd, svdvals
from tapejit.eager.linalg.multiply import matmul
from tapejit.eager.linalg.norms import norm
from tapejit.eager.linalg.systems import inv
from tapejit.eager.otherkinds import for_other_kinds
from tapejit.eager.tensor import Tensor, method, method_as
from tapejit.eager.views import diagonal
from tapejit.spec import linalg as ops


def default_rtol(A) -> float:
    return float(np.finfo(A.dtype.numpy).eps) * max(A.shape[-2:])


def _tolerance(A, largest, rtol, atol):
    """The size below which a singular value counts as zero, as in PyTorch."""
    eps = default_rtol(A)
    atol = 0.0 if atol is None else atol
    if rtol is None:
        above = atol > 0 if not isinstance(atol, Tensor) else (atol > 0).to(A.dtype)
        rtol = eps * (1 - above) if isinstance(atol, Tensor) else (0.0 if above else eps)
    relative = rtol * largest
    return relative.maximum(atol if isinstance(atol, Tensor) else creation.full_like(relative, float(atol)))


@method_as("pinverse")
@for_other_kinds
def pinv(A: Tensor, *, atol=None, rtol=None, hermitian=False, rcond=None) -> Tensor:
    """The Moore-Penrose inverse of shape (..., n, m), singular values below ``max(atol, rtol * largest)`` taken as zero.

    The derivative holds as long as the rank stays what it is; equal singular values do no harm.

    Args:
        rtol: by default the dtype's epsilon times the larger size (0 if ``atol`` is given); ``rcond`` is its older name.
        hermitian: A is symmetric: the gradient is that of ``pinv((A + A.mT) / 2)``.
    """
    A = matrices("pinv", A)
    if hermitian:
        A = squares("pinv", A)
        A = (A + A.mT) * 0.5
    rtol = rcond if rtol is None else rtol
    with no_grad():
        u, s, vh = svd(A.detach(), False)
        if s.shape[-1]:
            keep = s > _tolerance(A, s.amax(-1, keepdim=True), *_as_columns(rtol, atol))
            s = keep.to(A.dtype) / (s + (~keep).to(A.dtype))
        value = matmul(vh.mT * s[..., None, :], u.mT)
    return emitted(ops.pinv, (value, A), (), (tuple(value.shape),))[0]


def _as_columns(*tolerances):
    return (t[..., None] if isinstance(t, Tensor) and t.ndim else t for t in tolerances)


@for_other_kinds
def matrix_rank(A: Tensor, *, atol=None, rtol=None, hermitian=False) -> Tensor:
    """How many singular values are above the tolerance of ``pinv``, as integers."""
    A = matrices("matrix_rank", A)
    with no_grad():
        s = eigvalsh(A.detach()).abs() if hermitian else svdvals(A.detach())
        if not s.shape[-1]:
            return from_array(np.zeros(tuple(A.shape[:-2]), np.int64))
        return (s > _tolerance(A, s.amax(-1, keepdim=True), *_as_columns(rtol, atol))).sum(-1)


class LeastSquares(NamedTuple):
    """What ``lstsq`` gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


@for_other_kinds
def lstsq(A: Tensor, B: Tensor, rcond=None, *, driver=None) -> LeastSquares:
    """The least squares solution X of ``A @ X = B`` of least norm, by the pseudo-inverse.

    A is (..., m, n), B is (..., m, k), or (..., m) where A has one dimension more. Residuals are empty unless A has more rows
    than columns, all of them independent. ``driver`` is PyTorch's, and decides only which other results there are.
    """
    A = matrices("lstsq", A)
    same_dtype("lstsq", A, B)
    if driver not in (None, "gelsy", "gels", "gelsd", "gelss"):
        raise RuntimeError(f"linalg.lstsq() knows the drivers gels, gelsy, gelsd and gelss, got {driver!r}")
    vectors = B.ndim == A.ndim - 1
    columns = B.unsqueeze(-1) if vectors else B
    if columns.ndim < 2 or columns.shape[-2] != A.shape[-2]:
        raise RuntimeError(f"linalg.lstsq(): shapes {A.shape} and {B.shape} do not fit")
    X = matmul(pinv(A, rtol=rcond), columns)
    rank = matrix_rank(A, rtol=rcond) if driver != "gels" else from_array(np.zeros(0, np.int64))
    m, n = A.shape[-2:]
    real = A.dtype if isinstance(A, Tensor) else A.real.dtype
    residuals = creation.zeros(0, dtype=real)
    if m > n and driver != "gelsy" and bool((rank == n).all()):
        rest = matmul(A, X) - columns
        residuals = (rest * rest.conj()).real.sum(-2)
    with no_grad():
        values = svdvals(A.detach()) if driver in ("gelsd", "gelss") else creation.zeros(0, dtype=real)
    return LeastSquares(X.squeeze(-1) if vectors else X, residuals, rank, values)


@method
@for_other_kinds
def matrix_power(A: Tensor, n: int) -> Tensor:
    """``A`` multiplied by itself n times, by repeated squaring; negative n: the inverse's power.

    Raises:
        LinAlgError: for negative n and a singular matrix.
    """
    A = squares("matrix_power", A)
    if n < 0:
        return matrix_power(inv(A), -n)
    if n == 0:
        return creation.eye(A.shape[-1], dtype=A.dtype).expand(*A.shape).clone()
    result, square = None, A
    while n:
        if n & 1:
            result = square if result is None else matmul(result, square)
        n >>= 1
        square = matmul(square, square) if n else square
    return result.clone() if result is A else result


@method
@for_other_kinds
def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices (Padé of order 13, scaling and squaring)."""
    A = squares("matrix_exp", A)
    return emitted(ops.matrix_exp, (A,), (A.shape[-1], math.prod(A.shape[:-2])), (tuple(A.shape),))[0]


@for_other_kinds
def cond(A: Tensor, p=None) -> Tensor:
    """The condition number ``norm(A, p) * norm(inv(A), p)``; by default of the 2-norm, the ratio of singular values."""
    A = matrices("cond", A)
    if p in (None, 2, -2):
        s = svdvals(A)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    A = squares("cond", A)
    return norm(A, p, (-2, -1)) * norm(inv(A), p, (-2, -1))


@method
def trace(A: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if A.ndim != 2:
        raise RuntimeError(f"trace() takes a matrix, got shape {A.shape}")
    return diagonal(A).sum()


@method
@for_other_kinds
def kron(A: Tensor, B: Tensor) -> Tensor:
    """The Kronecker product of two tensors of any dimensions."""
    same_dtype("kron", A, B)
    ndim = max(A.ndim, B.ndim)
    a = A.reshape(*(1,) * (ndim - A.ndim), *A.shape)
    b = B.reshape(*(1,) * (ndim - B.ndim), *B.shape)
    left = a.reshape(*(size for s in a.shape for size in (s, 1)))
    right = b.reshape(*(size for s in b.shape for size in (1, s)))
    return (left * right).reshape(*(s * t for s, t in zip(a.shape, b.shape, strict=True)))


def multi_dot(tensors) -> Tensor:
    """The product of two or more matrices in the cheapest order; the first and the last may be vectors.

    Raises:
        RuntimeError: for fewer than two, or shapes that do not fit.
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"linalg.multi_dot() takes two tensors or more, got {len(tensors)}")
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    if first:
        tensors[0] = tensors[0].unsqueeze(0)
    if last:
        tensors[-1] = tensors[-1].unsqueeze(1)
    for t in tensors:
        if t.ndim != 2:
            raise RuntimeError(f"linalg.multi_dot() takes matrices, and vectors at the ends, got shape {t.shape}")
    result = _in_order(tensors, *_cheapest([*(t.shape[0] for t in tensors), tensors[-1].shape[1]]))
    result = result.squeeze(-1) if last else result
    return result.squeeze(0) if first else result


def _cheapest(sizes):
    """Where to split each stretch of a product of matrices, and its ends."""
    n = len(sizes) - 1
    cost, split = {}, {}
    for i in range(n):
        cost[i, i] = 0
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            ways = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j] = min(ways)
            split[i, j] = i + ways.index(cost[i, j])
    return split, 0, n - 1


def _in_order(tensors, split, i, j):
    if i == j:
        return tensors[i]
    k = split[i, j]
    return matmul(_in_order(tensors, split, i, k), _in_order(tensors, split, k + 1, j))


@for_other_kinds
def cross(A: Tensor, B: Tensor, *, dim=-1) -> Tensor:
    """The vector product of two tensors along a dimension of size 3; their shapes are broadcast.

    Raises:
        RuntimeError: if the dimension is not of size 3.
    """
    same_dtype("cross", A, B)
    if A.ndim != B.ndim:
        raise RuntimeError(f"linalg.cross() takes as many dimensions on both sides, got shapes {A.shape} and {B.shape}")
    if A.shape[dim] != 3 or B.shape[dim] != 3:
        raise RuntimeError(f"linalg.cross() needs size 3 in dimension {dim}, got shapes {A.shape} and {B.shape}")
    shape = broadcast_shapes(A.shape, B.shape)
    A, B = A.expand(*shape), B.expand(*shape)
    return A.roll(-1, dim) * B.roll(-2, dim) - A.roll(-2, dim) * B.roll(-1, dim)


@for_other_kinds
def vander(x: Tensor, N=None) -> Tensor:
    """The powers 0 to N - 1 of the elements of x, along a new last dimension."""
    x = x if x.ndim else x.unsqueeze(0)
    N = x.shape[-1] if N is None else N
    if not N:
        return creation.zeros(*x.shape, 0, dtype=x.dtype)
    one = creation.ones(tuple(x.shape), dtype=x.dtype)
    powers = [one]
    for _ in range(N - 1):
        powers.append(powers[-1] * x)
    return stack(powers, -1)
