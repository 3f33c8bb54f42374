"""Factorisations for systems of equations: Cholesky and LU (see ``structured``); row-major, batch after batch.

The plan of ``cholesky`` and its adjoint is (n, batches), that of ``lu`` (n, batches, whether a zero pivot is a failure). ``lu``
makes one block of all factors, then all pivots (rows counted from 1, as LAPACK's), then the signs of the permutations.
That of what is made of them is (n, batches).
"""

import math

from tapejit.core.record import PLAN
from tapejit.core.status import failed
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64 as P
from tapejit.edge.raw import as_i32, as_i64, copy_bytes, native_alloc, native_free, zero_bytes
from tapejit.kernels import blas
from tapejit.kernels.lapack import ROUTINES, UPPER
from tapejit.kernels.solves import SMALL, exchange_rows, gemm_rows, solve_rows

SIZE = 8  # bytes of an element; rebound with P
GEMM, GEMV, DOT = blas.DOUBLE
POTRF, GETRF = ROUTINES[0]["POTRF"], ROUTINES[0]["GETRF"]
BLOCK = 64
TILE = 16


@inner
def cholesky_small(n, a):
    """The lower factor in place; the order of the first minor that is not positive, 0 if there is none."""
    p = P(a)
    for j in range(n):
        d = p[j * n + j]
        for k in range(j):
            d -= p[j * n + k] * p[j * n + k]
        if not d > 0.0:
            return j + 1
        root = d**0.5
        p[j * n + j] = root
        for i in range(j + 1, n):
            s = p[i * n + j]
            for k in range(j):
                s -= p[i * n + k] * p[j * n + k]
            p[i * n + j] = s / root
    return 0


def cholesky_forward(record, out, x, y, z):
    p = as_i64(as_i64(record)[PLAN >> 3])
    n = p[0]
    for i in range(p[1]):
        a, r = P(x + i * n * n * SIZE), P(out + i * n * n * SIZE)
        for row in range(n):
            for c in range(row + 1):
                r[row * n + c] = a[row * n + c]
            for c in range(row + 1, n):
                r[row * n + c] = 0.0
        here = out + i * n * n * SIZE
        info = cholesky_small(n, here) if n <= SMALL else POTRF(UPPER, n, here, n)
        if info > 0:
            return failed(i, info)
    return 0


@inner
def diagonal_block(m, d, g, ld, work):
    """The adjoint of a factored diagonal block in place of ``g``, its lower triangle; ``work`` holds m * m elements.

    ``S = D^-T phi(D^T G) D^-1`` with phi the lower triangle, its diagonal halved; below the diagonal ``S + S^T``.
    """
    p, q, w = P(d), P(g), P(work)
    for i in range(m):
        for j in range(m):
            w[i * m + j] = 0.0
        for k in range(i, m):  # lower triangles: D[k, i] is zero for k < i, G[k, j] for k < j
            factor = p[k * ld + i]
            for j in range(i + 1):
                w[i * m + j] += factor * q[k * ld + j]
        w[i * m + i] *= 0.5
    solve_rows(1, 0, 1, 0, m, m, d, ld, work, m)
    solve_rows(0, 0, 0, 0, m, m, d, ld, work, m)
    for i in range(m):
        for j in range(i):
            q[i * ld + j] = w[i * m + j] + w[j * m + i]
        q[i * ld + i] = w[i * m + i]


@inner
def cholesky_backward(n, lower, g, work):
    """The adjoint of a symmetric matrix's lower triangle, in place of that of its factor ``lower``.

    Blocks from the last to the first: I. Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527.
    """
    end = n
    while end > 0:
        j = (end - 1) // BLOCK * BLOCK
        m, below = end - j, n - end
        d, dg = lower + (j * n + j) * SIZE, g + (j * n + j) * SIZE
        r, rg = lower + j * n * SIZE, g + j * n * SIZE
        b, bg = lower + end * n * SIZE, g + end * n * SIZE
        c, cg = b + j * SIZE, bg + j * SIZE
        if below > 0:
            solve_rows(0, 0, 0, 0, below, m, d, n, cg, n)
            gemm_rows(0, 0, below, j, m, -1.0, cg, n, r, n, 1.0, bg, n)
            gemm_rows(1, 0, m, m, below, -1.0, cg, n, c, n, 1.0, dg, n)  # above the diagonal: never read
        diagonal_block(m, d, dg, n, work)
        if j > 0:
            q, w = P(dg), P(work)
            for i in range(m):
                for k in range(i):
                    w[i * m + k] = w[k * m + i] = q[i * n + k]
                w[i * m + i] = 2.0 * q[i * n + i]
            gemm_rows(0, 0, m, j, m, -1.0, work, m, r, n, 1.0, rg, n)
            if below > 0:
                gemm_rows(1, 0, m, j, below, -1.0, cg, n, b, n, 1.0, rg, n)
        end = j


@inner
def mirror(n, g):
    """Halve the strict lower triangle and reflect it, tile by tile."""
    p = P(g)
    for i0 in range(0, n, TILE):
        for j0 in range(0, i0 + 1, TILE):
            for i in range(i0, min(i0 + TILE, n)):
                for j in range(j0, min(j0 + TILE, i)):
                    half = 0.5 * p[i * n + j]
                    p[i * n + j] = half
                    p[j * n + i] = half


def cholesky_adjoint_forward(record, out, x, y, z):
    """x: the factor, y: its adjoint, of which the lower triangle counts. The result is symmetric."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n = p[0]
    copy_bytes(out, y, p[1] * n * n * SIZE)
    work = native_alloc(BLOCK * BLOCK * SIZE)
    for i in range(p[1]):
        cholesky_backward(n, x + i * n * n * SIZE, out + i * n * n * SIZE, work)
        mirror(n, out + i * n * n * SIZE)
    native_free(work)


@inner
def lu_small(n, a, pivots):
    """The factors in place; the place of the first zero pivot, counted from 1, 0 if there is none."""
    p, q = P(a), P(pivots)
    info = 0
    for j in range(n):
        best, largest = j, abs(p[j * n + j])
        for i in range(j + 1, n):
            if abs(p[i * n + j]) > largest:
                best, largest = i, abs(p[i * n + j])
        q[j] = best + 1
        if best != j:
            for c in range(n):
                p[j * n + c], p[best * n + c] = p[best * n + c], p[j * n + c]
        pivot = p[j * n + j]
        if pivot == 0.0:
            if info == 0:
                info = j + 1
            continue
        for i in range(j + 1, n):
            factor = p[i * n + j] / pivot
            p[i * n + j] = factor
            for c in range(j + 1, n):
                p[i * n + c] -= factor * p[j * n + c]
    return info


@inner
def transpose(n, a):
    """``a[n, n]`` in place, tile by tile."""
    p = P(a)
    for i0 in range(0, n, TILE):
        for j0 in range(0, i0 + 1, TILE):
            for i in range(i0, min(i0 + TILE, n)):
                for j in range(j0, min(j0 + TILE, i)):
                    p[i * n + j], p[j * n + i] = p[j * n + i], p[i * n + j]


@inner
def lu_large(n, a, pivots, work):
    transpose(n, a)
    info = GETRF(n, n, a, n, work)
    transpose(n, a)
    q, w = P(pivots), as_i32(work)
    for i in range(n):
        q[i] = w[i]
    return info


@inner
def factorised(n, a, pivots, work):
    """LU in place, ``work`` holding n integers; the place of the first zero pivot, 0 if there is none."""
    return lu_small(n, a, pivots) if n <= SMALL else lu_large(n, a, pivots, work)


def lu_forward(record, out, x, y, z):
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, batches = p[0], p[1]
    copy_bytes(out, x, batches * n * n * SIZE)
    work = native_alloc(4 * n + 8) if n > SMALL else 0
    pivots, signs = out + batches * n * n * SIZE, P(out + batches * (n * n + n) * SIZE)
    status = 0
    for i in range(batches):
        a, q = out + i * n * n * SIZE, pivots + i * n * SIZE
        info = factorised(n, a, q, work)
        sign = 1.0
        for j in range(n):
            if P(q)[j] != j + 1:
                sign = -sign
        signs[i] = sign
        if info > 0 and p[2]:
            status = failed(i, info)
            break
    if work:
        native_free(work)
    return status


def log_determinant_forward(record, out, x, y, z):
    """Of x, what ``lu`` made: all signs, then the logarithms of the absolute values."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, batches = p[0], p[1]
    signs = P(x + batches * (n * n + n) * SIZE)
    for i in range(batches):
        a = P(x + i * n * n * SIZE)
        sign, total = 1.0 * signs[i], 0.0
        for j in range(n):
            pivot = a[j * n + j]
            if pivot <= 0.0:
                sign = -sign if pivot < 0.0 else 0.0 * sign
            total += math.log(abs(pivot))
        P(out)[i] = sign
        P(out)[batches + i] = total


def permutation_forward(record, out, x, y, z):
    """The matrix P of ``A = P L U``; x: the pivots."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n = p[0]
    zero_bytes(out, p[1] * n * n * SIZE)
    for i in range(p[1]):
        for j in range(n):
            P(out + i * n * n * SIZE)[j * n + j] = 1.0
        exchange_rows(n, n, x + i * n * SIZE, out + i * n * n * SIZE, 1)


KERNELS = {
    "cholesky": (cholesky_forward,),
    "cholesky_adjoint": (cholesky_adjoint_forward,),
    "lu": (lu_forward,),
    "permutation": (permutation_forward,),
    "log_determinant": (log_determinant_forward,),
}
