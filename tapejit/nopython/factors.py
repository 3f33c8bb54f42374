"""LAPACK on plain float64 matrices, for the values and the first derivatives of ``solving``: the loops of ``kernels``.

Matrices are C-ordered; what is factored is kept, and never factored again for the derivative. NumPy's ``solve`` has no word
for what is known of a matrix, so ``factored`` looks, as SciPy's does: a triangle is its own factor, a symmetric matrix gets
Cholesky's if it has one, and every other matrix, which shows within its first rows that it is neither, an LU.
"""

import numpy as np

from tapejit.edge.raw import native_alloc, native_free
from tapejit.kernels import blas, lapack
from tapejit.kernels.factor import BLOCK, cholesky_backward, cholesky_small, factorised, mirror
from tapejit.kernels.lapack import ROUTINES, UPPER
from tapejit.kernels.solves import SMALL, solve_rows
from tapejit.kernels.solves import solve_factored as solve_lu
from tapejit.nopython.cache import helper
from tapejit.nopython.memory import address_in

POTRF, POTRI = ROUTINES[0]["POTRF"], ROUTINES[0]["POTRI"]
TILE = 32
GENERAL, LOWER_TRIANGLE, UPPER_TRIANGLE, POSITIVE = range(4)  # what a factor is: LU, the matrix itself, Cholesky's


blas.link()  # LAPACK's symbols are to be known before code that calls them is compiled, or loaded from disk
lapack.link()


@helper
def check_square(a):
    if a.shape[0] != a.shape[1]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square.")


@helper
def check_right_side(a, b):
    if b.shape[0] != a.shape[0]:
        raise np.linalg.LinAlgError(
            "Incompatible sizes for solve: the right side must have the matrix's rows."
        )


@helper
def lu_factor(a, singular):
    """(the factors of a square matrix, its pivots); LinAlgError for a singular one, unless that is ``singular``."""
    check_square(a)
    n = a.shape[0]
    lu, pivots = a.copy(), np.empty(n)
    work = native_alloc(8 * n + 8)  # an array would be given back after its last mention, before it is written to
    first = factorised(n, address_in(lu), address_in(pivots), work) if n > 0 else 0
    native_free(work)
    if first > 0 and not singular:
        raise np.linalg.LinAlgError("Matrix is singular to machine precision.")
    return lu, pivots


@helper
def is_triangle(a, upper):
    """Is the other triangle zero, and the diagonal nowhere?"""
    n = a.shape[0]
    for i in range(n):
        if a[i, i] == 0.0:
            return False
        for j in range(0 if upper else i + 1, i if upper else n):
            if a[i, j] != 0.0:
                return False
    return True


@helper
def is_symmetric(a):
    """Symmetric but for rounding, with a positive diagonal; tile by tile, the first row first.

    Cholesky's factor is that of a matrix whose elements differ by up to ``(n + 1) eps sqrt(a_ii a_jj)`` (J. Demmel, On
    floating point errors in Cholesky, LAPACK working note 14, 1989): what two triangles differ by less is no more than that.
    """
    n = a.shape[0]
    roots = np.empty(n)  # squares of what is compared would be lost where numbers are very large or small
    for i in range(n):
        if not 0.0 < a[i, i] < np.inf:
            return False
        roots[i] = np.sqrt(a[i, i])
    limit = 4.0 * np.finfo(np.float64).eps
    for i0 in range(0, n, TILE):
        for j0 in range(i0, n, TILE):
            for i in range(i0, min(i0 + TILE, n)):
                for j in range(max(j0, i + 1), min(j0 + TILE, n)):
                    if not abs(a[i, j] - a[j, i]) <= limit * roots[i] * roots[j]:
                        return False
    return True


@helper
def factored(a, singular):
    """(a kind of those above, the factor of a square matrix, its pivots); LinAlgError as ``lu_factor``."""
    check_square(a)
    if is_triangle(a, False):
        return LOWER_TRIANGLE, a.copy(), np.empty(0)
    if is_triangle(a, True):
        return UPPER_TRIANGLE, a.copy(), np.empty(0)
    if is_symmetric(a):
        lower = lower_triangle(a)
        if potrf(lower) == 0:
            return POSITIVE, lower, np.empty(0)
    lu, pivots = lu_factor(a, singular)
    return GENERAL, lu, pivots


@helper
def solve_factored(kind, factor, pivots, b, transposed):
    """The solution of ``A x = b``, or of ``A.T x = b``, for the columns of a matrix b, from what ``factored`` gives."""
    if kind == GENERAL:
        return lu_solve(factor, pivots, b, transposed)
    check_right_side(factor, b)
    if kind == POSITIVE:
        return triangular_solve(factor, triangular_solve(factor, b, 1, 0, 0), 1, 0, 1)
    return triangular_solve(factor, b, 1, int(kind == UPPER_TRIANGLE), transposed)


@helper
def determinant(kind, factor, pivots):
    """(sign, log|det|), from what ``factored`` gives."""
    if kind == GENERAL:
        return lu_determinant(factor, pivots)
    sign, total = 1.0, 0.0
    for j in range(factor.shape[0]):
        if factor[j, j] < 0.0:
            sign = -sign
        total += np.log(abs(factor[j, j]))
    return sign, total * (2.0 if kind == POSITIVE else 1.0)


@helper
def inverse(kind, factor, pivots):
    """The inverse of what ``factored`` gives; LinAlgError for a singular matrix."""
    if determinant(kind, factor, pivots)[0] == 0.0:
        raise np.linalg.LinAlgError("Matrix is singular to machine precision.")
    n = factor.shape[0]
    if kind != POSITIVE or n <= SMALL:
        return solve_factored(kind, factor, pivots, np.eye(n), 0)
    out = factor.copy()
    POTRI(UPPER, n, address_in(out), n)
    for i in range(n):
        for j in range(i):
            out[j, i] = out[i, j]
    return out


@helper
def lu_solve(lu, pivots, b, transposed):
    """The solution of ``A x = b``, or of ``A.T x = b``, for the columns of a matrix b."""
    check_right_side(lu, b)
    n = lu.shape[0]
    out = b.copy()
    if out.size > 0:
        solve_lu(n, b.shape[1], transposed, address_in(lu), address_in(pivots), address_in(out))
    return out


@helper
def lu_determinant(lu, pivots):
    """(sign, log|det|)"""
    sign, total = 1.0, 0.0
    for j in range(lu.shape[0]):
        pivot = lu[j, j]
        if (pivots[j] != j + 1) != (pivot < 0.0):
            sign = -sign
        if pivot == 0.0:
            sign = 0.0
        total += np.log(abs(pivot))
    return sign, total


@helper
def cofactors(a):
    """``det(A) A^-T``, of a singular matrix too: the products of all singular values but one each."""
    n = a.shape[0]
    u, s, vt = np.linalg.svd(a)
    sign = np.linalg.slogdet(u)[0] * np.linalg.slogdet(vt)[0]
    others = np.empty(n)
    for j in range(n):
        others[j] = sign
        for k in range(n):
            if k != j:
                others[j] *= s[k]
    return np.dot(u * others, vt)


@helper
def lower_triangle(a):
    n = a.shape[0]
    out = np.empty((n, n))
    for i in range(n):  # np.tril would be a dozen functions to compile
        for j in range(n):
            out[i, j] = a[i, j] if j <= i else 0.0
    return out


@helper
def potrf(lower):
    """Cholesky's factor in place of a lower triangle; not 0 where there is none."""
    n = lower.shape[0]
    if n == 0:
        return 0
    return cholesky_small(n, address_in(lower)) if n <= SMALL else POTRF(UPPER, n, address_in(lower), n)


@helper
def cholesky_factor(a):
    """The lower factor; the upper triangle of ``a`` is not read."""
    check_square(a)
    out = lower_triangle(a)
    if potrf(out) != 0:
        raise np.linalg.LinAlgError("Matrix is not positive definite.")
    return out


@helper
def cholesky_adjoint(lower, g):
    """The adjoint of a symmetric matrix from that of its factor, of which the lower triangle counts."""
    n = lower.shape[0]
    out = g.copy()
    if n > 0:
        work = native_alloc(8 * BLOCK * BLOCK)
        cholesky_backward(n, address_in(lower), address_in(out), work)
        native_free(work)
        mirror(n, address_in(out))
    return out


@helper
def triangular_solve(triangle, b, left, upper, transposed):
    """X with ``op(T) X = B``, or ``X op(T) = B`` if not ``left``."""
    m, n = b.shape
    out = b.copy()
    if out.size > 0:
        solve_rows(
            left, upper, transposed, 0, m, n, address_in(triangle), triangle.shape[0], address_in(out), n
        )
    return out


@helper
def eigh(a):
    """(eigenvalues, vectors) of a symmetric matrix, of which the lower triangle is read."""
    w, v = np.linalg.eigh(a)
    return w, np.ascontiguousarray(v)


@helper
def qr(a):
    q, r = np.linalg.qr(a)
    return np.ascontiguousarray(q), np.ascontiguousarray(r)


@helper
def svd(a):
    """(U, s, Vh), reduced."""
    u, s, vt = np.linalg.svd(a, False)
    return np.ascontiguousarray(u), s, np.ascontiguousarray(vt)


@helper
def pinv(a, rcond):
    return np.ascontiguousarray(np.linalg.pinv(a, rcond))
