"""The older names of PyTorch whose arguments or results differ from those in ``linalg``."""

from typing import NamedTuple

from tapejit.eager import linalg, reductions
from tapejit.eager.tensor import Tensor, method


class SVD(NamedTuple):
    """What ``svd`` gives: V, not its transpose."""

    U: Tensor
    S: Tensor
    V: Tensor


@method
def svd(A: Tensor, some=True, compute_uv=True) -> SVD:
    """(U, S, V) with ``A = U @ diag(S) @ V.mH``; see ``linalg.svd``."""
    U, S, Vh = linalg.svd(A, full_matrices=not some)
    return SVD(U, S, Vh.mH) if compute_uv else SVD((U * 0).detach(), S, (Vh * 0).detach().mH)


@method
def qr(A: Tensor, some=True) -> linalg.QR:
    """``linalg.qr``, reduced if ``some``."""
    return linalg.qr(A, "reduced" if some else "complete")


@method
def cross(A: Tensor, B: Tensor, dim=None) -> Tensor:
    """``linalg.cross`` along a dimension, by default the first one of size 3."""
    if dim is None:
        if 3 not in A.shape:
            raise RuntimeError(f"cross() needs a dimension of size 3, got shape {A.shape}")
        dim = A.shape.index(3)
    return linalg.cross(A, B, dim=dim)


class PivotedLU(NamedTuple):
    """What ``lu`` gives with ``get_infos``."""

    LU: Tensor
    pivots: Tensor
    infos: Tensor


@method
def lu(A: Tensor, pivot=True, get_infos=False):
    """(LU, pivots) of ``linalg.lu_factor``, and with ``get_infos`` whether a pivot was zero."""
    return PivotedLU(*linalg.lu_factor_ex(A, pivot=pivot)) if get_infos else linalg.lu_factor(A, pivot=pivot)


@method
def lu_solve(B: Tensor, LU: Tensor, pivots: Tensor) -> Tensor:
    """``linalg.lu_solve`` with the right-hand side first."""
    return linalg.lu_solve(LU, pivots, B)


@method
def norm(x: Tensor, p=2, dim=None, keepdim=False, dtype=None) -> Tensor:
    """The p-norm of the elements, p a number, inf, -inf or "fro"; "nuc": the nuclear norm of matrices."""
    x = x if dtype is None else x.to(dtype)
    if p == "nuc":
        return linalg.matrix_norm(x, "nuc", (0, 1) if dim is None and x.ndim == 2 else dim, keepdim)
    return reductions.norm(x, p, dim, keepdim)
