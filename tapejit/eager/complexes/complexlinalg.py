"""Linear algebra of complex matrices.

A complex matrix A + iB is the real one [[A, -B], [B, A]] of twice the size: products, inverses, pseudo-inverses and powers of
one are those of the other, and come with all derivatives. Decompositions are LAPACK's, on pairs (``spec.decomposing``).
"""

import math

from tapejit.eager import creation, families, linalg
from tapejit.eager.complexes import complexmath as algebra
from tapejit.eager.complexes.complexparts import cat, prod, stack
from tapejit.eager.complexes.pair import FUNCTIONS, ComplexTensor, as_complex, both, entered, of_pairs
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.indexing import stack as real_stack
from tapejit.eager.linalg import checks, decompositions, functions, norms, plain, systems, tensorforms
from tapejit.eager.reductions import sum as real_sum
from tapejit.eager.tensor import Tensor
from tapejit.spec import complexforms as ops
from tapejit.spec import decomposing
from tapejit.spec.vocabulary import supply

# Written for both kinds: their bodies call functions that are there for complex tensors too.
for _function in (
    functions.matrix_power, functions.lstsq, functions.cond, functions.kron, functions.cross,
    functions.matrix_rank, tensorforms.tensorinv, tensorforms.tensorsolve,
):  # fmt: skip
    entered(method=False)(_function.__wrapped__)
for _name in ("matrix_power", "kron"):
    setattr(ComplexTensor, _name, FUNCTIONS[_name])


def _square(name, z):
    checks.squares(name, z)
    return z.shape[-1], tuple(z.shape[:-2])


def _pairs(z):
    return real_stack([z.real, z.imag], -1)


def _decomposed(op, z, words, shapes, batch):
    """The results of an op on pairs; a shape that ends in an Ellipsis is of complex numbers."""
    wanted = tuple((*s[:-1], 2) if s[-1:] == (...,) else s for s in shapes)
    found = checks.emitted(op, (_pairs(z),), words, wanted, batch=batch)
    return [of_pairs(t) if s[-1:] == (...,) else t for t, s in zip(found, shapes, strict=True)]


# By the real matrix of twice the size


def _block(z):
    rows = families.FUNCTIONS["cat"]
    return rows([rows([z.real, -z.imag], -1), rows([z.imag, z.real], -1)], -2)


def _unblocked(t, rows, columns):
    """The complex matrix of a block."""
    return ComplexTensor(t[..., :rows, :columns], t[..., rows:, :columns])


@entered()
def cholesky(z: ComplexTensor, upper=False) -> ComplexTensor:
    """L with ``A = L @ L.mH`` (or U with ``A = U.mH @ U``) of positive definite Hermitian matrices.

    With every number as the block [[x, -y], [y, x]] the factor is that of a real matrix of twice the size. One triangle is
    read; the gradient is that of ``cholesky((A + A.mH) / 2)``.

    Raises:
        LinAlgError: if a matrix is not positive definite.
    """
    n, batch = _square("cholesky", z)
    if upper:
        return cholesky(z.mT.conj()).mT.conj()
    blocks = real_stack([real_stack([z.real, -z.imag], -1), real_stack([z.imag, z.real], -1)], -2)
    k = len(batch)
    factor = linalg.cholesky(blocks.permute(*range(k), k, k + 2, k + 1, k + 3).reshape(*batch, 2 * n, 2 * n))
    return ComplexTensor(factor[..., 0::2, 0::2], factor[..., 1::2, 0::2])


@entered(method=False)
def solve(a, b, *, left=True) -> ComplexTensor:
    """x with a @ x = b (x @ a = b if not ``left``), of square matrices and a vector or matrices.

    Raises:
        RuntimeError: if ``a`` is not square; LinAlgError if it is singular.
    """
    a, b = both(a, b)
    n, _ = _square("solve", a)
    vectors = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    if vectors:
        return solve(a if left else a.mT, b.unsqueeze(-1)).squeeze(-1)
    if not left:
        return solve(a.mT, b.mT).mT
    x = linalg.solve(_block(a), families.FUNCTIONS["cat"]([b.real, b.imag], -2))
    return _unblocked(x, n, x.shape[-1])


def triangular(b, t, left, upper, unit) -> ComplexTensor:
    """X with ``T @ X = B`` or ``X @ T = B``; inf or NaN where a diagonal element is 0."""
    if not left:
        return triangular(b.mT, t.mT, True, not upper, unit).mT
    n = t.shape[-1]
    t = t.triu(int(unit)) if upper else t.tril(-int(unit))
    if unit:
        t = t + creation.eye(n, dtype=t.real.dtype)
    block, side = systems._one_batch(_block(t), families.FUNCTIONS["cat"]([b.real, b.imag], -2))
    factors = systems.saved_factors(block, checked=False)
    return _unblocked(systems.solve_factored(side, factors, block, tuple(block.shape), False), n, side.shape[-1])


@entered(method=False)
def solve_triangular(A, B, *, upper, left=True, unitriangular=False) -> ComplexTensor:
    """X with ``A @ X = B``, or ``X @ A = B`` if not ``left``; A is triangular, its other triangle is not read."""
    A, B = both(A, B)
    n, _ = _square("solve_triangular", A)
    checks.matrices("solve_triangular", B)
    if n != B.shape[-2 if left else -1]:
        raise RuntimeError(f"linalg.solve_triangular(): shapes {A.shape} and {B.shape} do not fit (left={left})")
    return triangular(B, A, left, upper, unitriangular)


@entered()
def cholesky_solve(B, L, upper=False) -> ComplexTensor:
    """X with ``A @ X = B`` where ``A = L @ L.mH`` (or ``L.mH @ L`` if ``upper``)."""
    B, L = both(B, L)
    L = L.mH if upper else L
    return solve_triangular(L.mH, solve_triangular(L, B, upper=False), upper=True)


@entered()
def cholesky_inverse(L, upper=False) -> ComplexTensor:
    """The inverse of ``L @ L.mH`` (or ``L.mH @ L`` if ``upper``)."""
    return cholesky_solve(creation.eye(L.shape[-1], dtype=L.dtype), L, upper)


@entered("inverse", method=False)
def inv(z: ComplexTensor) -> ComplexTensor:
    """The inverse of square matrices.

    Raises:
        RuntimeError: if they are not square; LinAlgError for a singular one.
    """
    n, _ = _square("inv", z)
    return _unblocked(linalg.inv(_block(z)), n, n)


@entered("pinverse")
def pinv(z: ComplexTensor, *, atol=None, rtol=None, hermitian=False, rcond=None) -> ComplexTensor:
    """The Moore-Penrose inverse; see ``tapejit.linalg.pinv``. ``hermitian``: that of ``(A + A.mH) / 2``."""
    checks.matrices("pinv", z)
    if hermitian:
        _square("pinv", z)
        z = (z + z.mH) * 0.5
    rtol = rcond if rtol is None else rtol
    m, n = z.shape[-2:]
    if rtol is None and not (isinstance(atol, Tensor) or atol):
        rtol = functions.default_rtol(z)
    return _unblocked(linalg.pinv(_block(z), atol=atol, rtol=rtol), n, m)


@entered()
def matrix_exp(z: ComplexTensor) -> ComplexTensor:
    """The exponential of square matrices."""
    n, _ = _square("matrix_exp", z)
    return _unblocked(linalg.matrix_exp(_block(z)), n, n)


# Decompositions


def _hermitian(name, z, UPLO):
    _square(name, z)
    if UPLO not in ("L", "U", "l", "u"):
        raise RuntimeError(f"linalg.{name}() reads a triangle, UPLO='L' or 'U', got {UPLO!r}")
    return z.mH if UPLO in ("U", "u") else z


@entered(method=False)
def eigh(z: ComplexTensor, UPLO="L") -> decompositions.Eigen:
    """(w, V) with ``A = V @ diag(w) @ V.mH`` of Hermitian A, w real and ascending; see ``tapejit.linalg.eigh``.

    The gradient of a function that depends on the phases of the vectors is NaN.
    """
    z = _hermitian("eigh", z, UPLO)
    n, batch = _square("eigh", z)
    words = n, math.prod(batch), 1
    return decompositions.Eigen(*_decomposed(decomposing.complex_eigh, z, words, ((*batch, n), (*batch, n, n, ...)), batch))


@entered(method=False)
def eigvalsh(z: ComplexTensor, UPLO="L") -> Tensor:
    """The eigenvalues of Hermitian A, real and ascending."""
    if z.requires_grad:
        return eigh(z, UPLO).eigenvalues
    z = _hermitian("eigvalsh", z, UPLO)
    n, batch = _square("eigvalsh", z)
    return _decomposed(decomposing.complex_eigh, z, (n, math.prod(batch), 0), ((*batch, n),), batch)[0]


@entered(method=False)
def eig(z: ComplexTensor) -> decompositions.Eigen:
    """(w, V) with ``A @ V = V @ diag(w)`` of square A; see ``tapejit.linalg.eig``."""
    n, batch = _square("eig", z)
    shapes = (*batch, n, ...), (*batch, n, n, ...)
    return decompositions.Eigen(*_decomposed(ops.complex_eig, z, (n, math.prod(batch)), shapes, batch))


@entered(method=False)
def eigvals(z: ComplexTensor) -> ComplexTensor:
    """The eigenvalues of a square matrix."""
    return eig(z).eigenvalues


@entered(method=False)
def svd(z: ComplexTensor, full_matrices=True) -> decompositions.SVD:
    """(U, S, Vh) with ``A = U @ diag(S) @ Vh``, S real and descending; see ``tapejit.linalg.svd``.

    The gradient of a function that depends on the phases of the vectors is NaN.
    """
    checks.matrices("svd", z)
    m, n = z.shape[-2:]
    k, batch = min(m, n), tuple(z.shape[:-2])
    full = full_matrices and m != n
    shapes = (*batch, m, m if full else k, ...), (*batch, k), (*batch, n if full else k, n, ...)
    U, S, Vh = _decomposed(decomposing.complex_svd, z, (m, n, math.prod(batch), int(full), 1), shapes, batch)
    if full and z.requires_grad:
        U = cat((U[..., :k], _undefined(U[..., k:], S)), -1) if m > n else U
        Vh = cat((Vh[..., :k, :], _undefined(Vh[..., k:, :], S)), -2) if n > m else Vh
    return decompositions.SVD(U, S, Vh)


def _undefined(z, source):
    return of_pairs(decompositions.undefined(_pairs(z), source))


@entered(method=False)
def svdvals(z: ComplexTensor) -> Tensor:
    """The singular values, descending."""
    checks.matrices("svdvals", z)
    if z.requires_grad:
        return svd(z, False).S
    m, n = z.shape[-2:]
    batch = tuple(z.shape[:-2])
    return _decomposed(decomposing.complex_svd, z, (m, n, math.prod(batch), 0, 0), ((*batch, min(m, n)),), batch)[0]


@entered(method=False)
def qr(z: ComplexTensor, mode="reduced") -> decompositions.QR:
    """(Q, R) with ``A = Q @ R``, R upper triangular with a real diagonal; see ``tapejit.linalg.qr``."""
    checks.matrices("qr", z)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"linalg.qr() has the modes 'reduced', 'complete' and 'r', got {mode!r}")
    m, n = z.shape[-2:]
    k, batch = min(m, n), tuple(z.shape[:-2])
    complete = mode == "complete" and m > n
    if complete and z.requires_grad:
        R = qr(z).R.real
        with no_grad():
            whole = qr(z.detach(), "complete")
        return decompositions.QR(_undefined(whole.Q, R), _undefined(whole.R, R))
    columns = m if complete else k
    shapes = (*batch, m, columns, ...), (*batch, columns, n, ...)
    Q, R = _decomposed(decomposing.complex_qr, z, (m, n, math.prod(batch), int(complete)), shapes, batch)
    return decompositions.QR(Q[..., :0, :0].detach().reshape(0), R) if mode == "r" else decompositions.QR(Q, R)


def _as_method(function):
    """A function of PyTorch's older names, as a method."""
    setattr(ComplexTensor, function.__name__, function)


_as_method(plain.svd)
_as_method(plain.qr)


# LU and determinants


def _factored(z, checked):
    """(LU, pivots, signs)."""
    n, batch = z.shape[-1], tuple(z.shape[:-2])
    shapes = (*batch, n, n, ...), (*batch, n), batch
    return _decomposed(decomposing.complex_lu, z, (n, math.prod(batch), int(checked)), shapes, batch)


@entered(method=False)
def lu_factor(z: ComplexTensor, *, pivot=True) -> systems.Factors:
    """(LU, pivots) of square A; see ``tapejit.linalg.lu_factor``."""
    _square("lu_factor", z)
    if not pivot:
        raise NotImplementedError("linalg.lu_factor() pivots always: leave pivot=True")
    factors, pivots, _ = _factored(z, True)
    return systems.Factors(factors, pivots.detach().to("int32"))


@entered(method=False)
def lu(z: ComplexTensor, *, pivot=True) -> systems.LU:
    """(P, L, U) with ``A = P @ L @ U`` of square A; P is real."""
    factors, pivots = lu_factor(z, pivot=pivot)
    real = z.real.dtype
    eye = creation.eye(z.shape[-1], dtype=real)
    return systems.LU(systems.permutation_matrix(pivots.to(real)), factors.tril(-1) + eye, factors.triu())


@entered(method=False)
def lu_solve(LU, pivots, B, *, left=True, adjoint=False) -> ComplexTensor:
    """X with ``A @ X = B`` from ``lu_factor(A)``; ``A.mH`` with ``adjoint``, ``X @ A = B`` if not ``left``."""
    LU, B = both(LU, B)
    if not left:
        return lu_solve(LU, pivots, B.mH, adjoint=not adjoint).mH
    P = systems.permutation_matrix(pivots.to(LU.real.dtype))
    if adjoint:
        return P @ triangular(triangular(B, LU.mH, True, False, False), LU.mH, True, True, True)
    return triangular(triangular(P.mT @ B, LU, True, False, True), LU, True, True, False)


@entered()
def slogdet(z: ComplexTensor) -> systems.SignLog:
    """(det / |det|, log|det|) of square matrices; (0, -inf) for a singular one, whose gradient is not finite."""
    _square("slogdet", z)
    factors, _, signs = _factored(z, False)
    diagonal = factors.diagonal(0, -2, -1)
    return systems.SignLog(prod(algebra.sgn(diagonal), -1) * signs.detach(), real_sum(algebra.abs(diagonal).log(), -1))


@entered()
def logdet(z: ComplexTensor) -> ComplexTensor:
    """log det of square matrices."""
    sign, logarithm = slogdet(z)
    return ComplexTensor(logarithm, algebra.angle(sign))


@entered()
def det(z: ComplexTensor) -> ComplexTensor:
    """The determinants of square matrices, with derivatives at singular ones too; see ``tapejit.linalg.det``."""
    n, batch = _square("det", z)
    if n == 0:
        return as_complex(creation.ones(batch, dtype=z.real.dtype))
    if n <= 3:
        return systems.small_determinant(z, n)
    with no_grad():
        value = _pairs(_product_of_factors(z.detach()))
    return of_pairs(checks.emitted(ops.determinant, (value, _pairs(z)), (), (tuple(value.shape),))[0])


def _product_of_factors(z):
    factors, _, signs = _factored(z, False)
    return prod(factors.diagonal(0, -2, -1), -1) * signs


def cofactor_matrix(pairs) -> ComplexTensor:
    """conj(det(A) A^-T) of pairs, by the singular values."""
    with no_grad():
        u, s, vh = svd(of_pairs(pairs.detach()))
        others = decompositions.products_of_others(s)
        unit = _product_of_factors(u) * _product_of_factors(vh)
        value = ((u * others[..., None, :]) @ vh) * unit.conj()[..., None, None]
    return of_pairs(checks.emitted(ops.cofactors, (_pairs(value), pairs), (), (tuple(pairs.shape),))[0])


# Norms and products


@entered(method=False)
def vector_norm(z, ord=2, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The norm of the moduli; see ``tapejit.linalg.vector_norm``."""
    return linalg.vector_norm(algebra.abs(z if dtype is None else z.to(dtype)), ord, dim, keepdim)


@entered(method=False)
def matrix_norm(z, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None) -> Tensor:
    """The norm of matrices; see ``tapejit.linalg.matrix_norm``."""
    z = z if dtype is None else z.to(dtype)
    if ord not in ("nuc", 2, -2):  # of the moduli
        return linalg.matrix_norm(algebra.abs(z), ord, dim, keepdim)
    return norms.matrix_norm.__wrapped__(z, ord, dim, keepdim)


@entered()
def norm(z, p=2, dim=None, keepdim=False, dtype=None) -> Tensor:
    """The p-norm of the moduli; "nuc": the nuclear norm of matrices."""
    if p == "nuc":
        return matrix_norm(z, "nuc", (0, 1) if dim is None else dim, keepdim, dtype=dtype)
    return algebra.abs(z if dtype is None else z.to(dtype)).norm(p, dim, keepdim)


@entered(method=False)
def vander(x, N=None) -> ComplexTensor:
    """The powers 0 to N - 1 of the elements of x, along a new last dimension."""
    x = x if x.ndim else x.unsqueeze(0)
    N = x.shape[-1] if N is None else N
    powers = [creation.ones(tuple(x.shape), dtype=x.dtype)]
    while len(powers) < N:
        powers.append(powers[-1] * x)
    return stack(powers, -1)[..., :N]


@entered(method=False)
def vecdot(x, y, *, dim=-1) -> ComplexTensor:
    """The sums of conj(x) * y along a dimension."""
    x, y = both(x, y)
    return (algebra.conj(x) * y).sum(dim)


supply(
    complex_of=algebra.complex_,
    complex_of_pairs=of_pairs,
    pairs_of_complex=_pairs,
    complex_cat=cat,
    complex_solve=solve,
    complex_triangular=triangular,
    complex_cofactor_matrix=cofactor_matrix,
)
