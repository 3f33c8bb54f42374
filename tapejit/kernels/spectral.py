"""Orthogonal and spectral decompositions by LAPACK: eigh, svd, qr, eig (see ``structured``); row-major, batch after batch.

Each makes one block: all of its first result, then all of its second, and so on. The plans are

    eigh (w, V): n, batches, whether vectors are wanted        svd (U, S, Vh): m, n, batches, full, vectors
    qr (Q, R): m, n, batches, complete

``complexspectral`` has those of complex numbers, and ``eig``, whose results are complex.
"""

from tapejit.core.record import PLAN
from tapejit.core.status import failed
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64 as P
from tapejit.edge.raw import as_i64, copy_bytes, native_alloc, native_free, zero_bytes
from tapejit.kernels.lapack import ALL, NO, ROUTINES, SOME, UPPER, VALUES

SIZE = 8  # bytes of an element; rebound with P
SYEVD, GESDD, GEQRF, ORGQR = (ROUTINES[0][name] for name in ("SYEVD", "GESDD", "GEQRF", "ORGQR"))


@inner
def transposed(rows, columns, a, out):
    """``out[columns, rows] = a[rows, columns].T``"""
    p, q = P(a), P(out)
    for i0 in range(0, rows, 16):
        for j0 in range(0, columns, 16):
            for i in range(i0, min(i0 + 16, rows)):
                for j in range(j0, min(j0 + 16, columns)):
                    q[j * rows + i] = p[i * columns + j]


@inner
def identities(batches, n, out):
    zero_bytes(out, batches * n * n * SIZE)
    for i in range(batches):
        for j in range(n):
            P(out)[(i * n + j) * n + j] = 1.0


def eigh_forward(record, out, x, y, z):
    """Of the symmetric matrix that the lower triangle says."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, batches = p[0], p[1]
    square = n * n * SIZE
    count = 1 + 6 * n + 2 * n * n
    integers = 3 + 5 * n
    work = native_alloc((count + 64 * n) * SIZE + 4 * integers + 8 + square)
    iwork = work + (count + 64 * n) * SIZE
    own = iwork + (4 * integers + 8) // 8 * 8
    status = 0
    for i in range(batches if n > 0 else 0):
        w = out + i * n * SIZE
        v = out + (batches * n) * SIZE + i * square if p[2] else own
        copy_bytes(own, x + i * square, square)
        info = SYEVD(VALUES if p[2] else NO, UPPER, n, own, n, w, work, count + 64 * n, iwork, integers)
        if p[2]:
            transposed(n, n, own, v)
        if info != 0:
            status = failed(i, info)
            break
    native_free(work)
    return status


def svd_forward(record, out, x, y, z):
    """The row-major A is the column-major A.T = V S U.T, whose left vectors are ours from the right."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    m, n, batches, full, vectors = p[0], p[1], p[2], p[3], p[4]
    k, larger = min(m, n), max(m, n)
    columns, rows = (m, n) if full else (k, k)  # of U and of Vh
    if not vectors:
        columns = rows = 0
    count = 4 * k * k + 7 * k + max(larger, 4 * k * k + 4 * k) + 64 * larger
    work = native_alloc((count + m * n) * SIZE + 4 * 8 * k + 16)
    own, iwork = work + count * SIZE, work + (count + m * n) * SIZE
    values = out + batches * m * columns * SIZE
    right = values + batches * k * SIZE
    kind = NO if not vectors else ALL if full else SOME
    status = 0
    if m * n == 0:
        identities(batches, columns, out)
        identities(batches, rows, right)
    for i in range(batches if m * n > 0 else 0):
        copy_bytes(own, x + i * m * n * SIZE, m * n * SIZE)
        u, vh = out + i * m * columns * SIZE, right + i * rows * n * SIZE
        info = GESDD(kind, n, m, own, n, values + i * k * SIZE, vh, n, u, max(columns, 1), work, count, iwork)
        if info != 0:
            status = failed(i, abs(info))
            break
    native_free(work)
    return status


def qr_forward(record, out, x, y, z):
    p = as_i64(as_i64(record)[PLAN >> 3])
    m, n, batches = p[0], p[1], p[2]
    k = min(m, n)
    columns = m if p[3] else k  # of Q, rows of R
    larger = max(n, columns)
    count = 64 * larger
    work = native_alloc((count + k + m * larger) * SIZE)
    tau = work + count * SIZE
    own = tau + k * SIZE
    upper = out + batches * m * columns * SIZE
    if k == 0:
        identities(batches, columns, out)
    for i in range(batches if k > 0 else 0):
        transposed(m, n, x + i * m * n * SIZE, own)
        GEQRF(m, n, own, m, tau, work, count)
        r, a = P(upper + i * columns * n * SIZE), P(own)
        for row in range(columns):
            for c in range(n):
                r[row * n + c] = a[c * m + row] if c >= row else 0.0
        ORGQR(m, columns, k, own, m, tau, work, count)
        transposed(columns, m, own, out + i * m * columns * SIZE)
    native_free(work)


KERNELS = {
    "eigh": (eigh_forward,),
    "svd": (svd_forward,),
    "qr": (qr_forward,),
}
