"""Orthogonal and spectral decompositions, and determinants of singular matrices by them."""

import math
from typing import NamedTuple

from tapejit.eager.grad_mode import no_grad
from tapejit.eager.indexing import cat
from tapejit.eager.linalg.checks import emitted, matrices, squares
from tapejit.eager.linalg.systems import slogdet
from tapejit.eager.otherkinds import for_other_kinds, makers
from tapejit.eager.tensor import Tensor
from tapejit.spec import complexforms as complexops
from tapejit.spec import decomposing as ops
from tapejit.spec import linalg


class Eigen(NamedTuple):
    """What ``eigh`` and ``eig`` give; the vectors are columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVD(NamedTuple):
    """What ``svd`` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class QR(NamedTuple):
    """What ``qr`` gives."""

    Q: Tensor
    R: Tensor


def _symmetric(name, A, UPLO):
    A = squares(name, A)
    if UPLO not in ("L", "U", "l", "u"):
        raise RuntimeError(f"linalg.{name}() reads a triangle, UPLO='L' or 'U', got {UPLO!r}")
    return A.mT if UPLO in ("U", "u") else A


def _eigen_shapes(A):
    batch = tuple(A.shape[:-2])
    return (A.shape[-1], math.prod(batch), 1), ((*batch, A.shape[-1]), tuple(A.shape)), batch


@for_other_kinds
def eigh(A: Tensor, UPLO="L") -> Eigen:
    """(w, V) with ``A = V @ diag(w) @ V.mT`` of symmetric A, w ascending; one triangle is read.

    The gradient is symmetric. Where eigenvalues are equal, it is right for functions that do not depend on the choice of
    their vectors and do not mix them, and NaN for others: those have no derivative that V could tell.

    Raises:
        LinAlgError: if LAPACK does not converge (NaN or inf in A).
    """
    A = _symmetric("eigh", A, UPLO)
    words, shapes, batch = _eigen_shapes(A)
    return Eigen(*emitted(ops.eigh, (A,), words, shapes, batch=batch))


@for_other_kinds
def eigvalsh(A: Tensor, UPLO="L") -> Tensor:
    """The eigenvalues of symmetric A, ascending; for equal ones, the gradient is that of their sum."""
    A = _symmetric("eigvalsh", A, UPLO)
    if A.requires_grad:
        return eigh(A).eigenvalues
    words, shapes, batch = _eigen_shapes(A)
    return emitted(ops.eigh, (A,), (*words[:2], 0), shapes[:1], batch=batch)[0]


@for_other_kinds
def eig(A: Tensor) -> Eigen:
    """(w, V) with ``A @ V = V @ diag(w)`` of square A, both complex, as in PyTorch; vectors have length 1.

    A function of V has a gradient if it does not depend on the phases of the vectors, else it is NaN; for equal eigenvalues
    see ``eigh``.

    Raises:
        LinAlgError: if LAPACK does not converge (NaN or inf in A).
    """
    A = squares("eig", A)
    words, shapes, batch = _eigen_shapes(A)
    found = emitted(complexops.eig, (A,), words, tuple((*shape, 2) for shape in shapes), batch=batch)
    return Eigen(*map(makers["pairs"], found))


@for_other_kinds
def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of a square matrix, as a complex tensor; see ``eig``."""
    return eig(A).eigenvalues


@for_other_kinds
def svd(A: Tensor, full_matrices=True) -> SVD:
    """(U, S, Vh) with ``A = U @ diag(S) @ Vh``, S descending; of shapes (m, k), (k,), (k, n) unless ``full_matrices``.

    What full matrices have beyond the reduced ones is any basis, and a gradient through it an error; for equal singular
    values see ``eigh``.

    Raises:
        LinAlgError: if LAPACK does not converge (NaN or inf in A).
    """
    A = matrices("svd", A)
    m, n = A.shape[-2:]
    k, batch = min(m, n), tuple(A.shape[:-2])
    full = full_matrices and m != n
    shapes = ((*batch, m, m if full else k), (*batch, k), (*batch, n if full else k, n))
    U, S, Vh = emitted(ops.svd, (A,), (m, n, math.prod(batch), int(full), 1), shapes, batch=batch)
    if full and A.requires_grad:
        U = cat((U[..., :k], undefined(U[..., k:], S)), -1) if m > n else U
        Vh = cat((Vh[..., :k, :], undefined(Vh[..., k:, :], S)), -2) if n > m else Vh
    return SVD(U, S, Vh)


def undefined(value, source):
    """A value that depends on what ``source`` does, but has no derivative: to use it in one is an error."""
    return emitted(ops.undefined, (value.detach(), source.sum()), (), (tuple(value.shape),))[0]


@for_other_kinds
def svdvals(A: Tensor) -> Tensor:
    """The singular values, descending; for equal ones, the gradient is that of their sum."""
    A = matrices("svdvals", A)
    m, n = A.shape[-2:]
    if A.requires_grad:
        return svd(A, False).S
    batch = tuple(A.shape[:-2])
    return emitted(ops.svd, (A,), (m, n, math.prod(batch), 0, 0), ((*batch, min(m, n)),), batch=batch)[0]


@for_other_kinds
def qr(A: Tensor, mode="reduced") -> QR:
    """(Q, R) with ``A = Q @ R``, R upper triangular; the signs are LAPACK's.

    Args:
        mode: "reduced" (Q of shape (m, k), k the smaller size), "complete" (Q square), or "r" (Q is empty).

    Raises:
        RuntimeError: in backward for "complete" with more rows than columns: the rest of Q is any basis.
    """
    A = matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"linalg.qr() has the modes 'reduced', 'complete' and 'r', got {mode!r}")
    m, n = A.shape[-2:]
    k, batch = min(m, n), tuple(A.shape[:-2])
    complete = mode == "complete" and m > n
    if complete and A.requires_grad:
        R = qr(A).R
        with no_grad():
            whole = qr(A.detach(), "complete")
        return QR(undefined(whole.Q, R), undefined(whole.R, R))
    columns = m if complete else k
    shapes = ((*batch, m, columns), (*batch, columns, n))
    Q, R = emitted(ops.qr, (A,), (m, n, math.prod(batch), int(complete)), shapes, batch=batch)
    return QR(Q[..., :0, :0].detach().reshape(0), R) if mode == "r" else QR(Q, R)


# Determinants: cofactors of singular matrices


def cofactor_matrix(A) -> Tensor:
    """det(A) A^-T, by the singular values where A is singular or nearly so."""
    with no_grad():
        value = _cofactors(A.detach())
    return emitted(linalg.cofactors, (value, A), (), (tuple(A.shape),))[0]


def _cofactors(A):
    u, s, vh = svd(A)
    return (u * (products_of_others(s) * (_sign(u) * _sign(vh))[..., None])[..., None, :]) @ vh


def products_of_others(s):
    """For each number of the last dimension the product of all others, zeros among them or not."""
    one = s[..., :1] * 0.0 + 1.0
    before = cat((one, s[..., :-1]), -1).cumprod(-1)
    return before * cat((one, s.flip(-1)[..., :-1]), -1).cumprod(-1).flip(-1)


def _sign(orthogonal):
    return slogdet(orthogonal).sign


def determinant_from_cofactors(A, C) -> Tensor:
    """The expansion along the first row."""
    return (A[..., 0, :] * C[..., 0, :]).sum(-1)
