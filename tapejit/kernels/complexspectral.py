"""Linear algebra of complex matrices by LAPACK, and the eigenvalues of real ones; row-major, batch after batch.

A complex number is a pair of floats along a last dimension of 2, as LAPACK has it. Each op makes one block: all of its first
result, then all of its second, and so on; eigenvalues of Hermitian matrices, singular values, pivots and signs are real.

    complex_eigh (w, V): n, batches, vectors wanted            complex_svd (U, S, Vh): m, n, batches, full, vectors
    complex_qr (Q, R): m, n, batches, complete                 eig, complex_eig (w, V): n, batches
    complex_lu (LU, pivots, sign): n, batches, checked
"""

from tapejit.core.record import PLAN
from tapejit.core.status import failed
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64 as P
from tapejit.edge.raw import as_i32, as_i64, copy_bytes, native_alloc, native_free, zero_bytes
from tapejit.kernels.lapack import ALL, NO, ROUTINES, SOME, UPPER, VALUES
from tapejit.kernels.solves import same_forward
from tapejit.kernels.spectral import transposed

SIZE = 8  # bytes of a float, half of an element; rebound with P
_NAMES = "GEEV ZGETRF ZHEEVD ZGESDD ZGEQRF ZUNGQR ZGEEV".split()
GEEV, ZGETRF, ZHEEVD, ZGESDD, ZGEQRF, ZUNGQR, ZGEEV = (ROUTINES[0][name] for name in _NAMES)


@inner
def turned(rows, columns, a, out, sign):
    """``out[columns, rows] = a[rows, columns].T``, conjugated if ``sign`` is -1."""
    p, q = P(a), P(out)
    for i in range(rows):
        for j in range(columns):
            s, t = 2 * (i * columns + j), 2 * (j * rows + i)
            q[t] = p[s]
            q[t + 1] = sign * p[s + 1]


@inner
def unit_matrices(batches, n, out):
    zero_bytes(out, 2 * batches * n * n * SIZE)
    for i in range(batches):
        for j in range(n):
            P(out)[2 * ((i * n + j) * n + j)] = 1.0


def complex_eigh_forward(record, out, x, y, z):
    """Of the Hermitian matrix that the lower triangle says: to LAPACK it is the conjugate, by its upper one."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, batches = p[0], p[1]
    square = 2 * n * n * SIZE
    count, reals, integers = n * n + 66 * n, 1 + 5 * n + 2 * n * n, 3 + 5 * n
    work = native_alloc((2 * count + reals) * SIZE + square + 4 * integers + 16)
    rwork = work + 2 * count * SIZE
    own = rwork + reals * SIZE
    iwork = (own + square + 7) // 8 * 8
    status = 0
    for i in range(batches if n > 0 else 0):
        copy_bytes(own, x + i * square, square)
        job = VALUES if p[2] else NO
        info = ZHEEVD(job, UPPER, n, own, n, out + i * n * SIZE, work, count, rwork, reals, iwork, integers)
        if p[2]:
            turned(n, n, own, out + batches * n * SIZE + i * square, -1.0)
        if info != 0:
            status = failed(i, info)
            break
    native_free(work)
    return status


def complex_svd_forward(record, out, x, y, z):
    """The row-major A is the column-major A.T = Vh.T S U.T, whose left vectors are ours from the right."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    m, n, batches, full, vectors = p[0], p[1], p[2], p[3], p[4]
    k, larger = min(m, n), max(m, n)
    columns, rows = (m, n) if full else (k, k)  # of U and of Vh
    if not vectors:
        columns = rows = 0
    count = 2 * k * k + 4 * k + 66 * larger
    reals = 5 * k * k + 7 * k + 2 * larger * k + 2 * k * k
    work = native_alloc((2 * count + reals + 2 * m * n) * SIZE + 4 * 8 * k + 24)
    rwork = work + 2 * count * SIZE
    own = rwork + reals * SIZE
    iwork = (own + 2 * m * n * SIZE + 7) // 8 * 8
    values = out + 2 * batches * m * columns * SIZE
    right = values + batches * k * SIZE
    kind = NO if not vectors else ALL if full else SOME
    status = 0
    if m * n == 0:
        unit_matrices(batches, columns, out)
        unit_matrices(batches, rows, right)
    for i in range(batches if m * n > 0 else 0):
        copy_bytes(own, x + 2 * i * m * n * SIZE, 2 * m * n * SIZE)
        u, vh = out + 2 * i * m * columns * SIZE, right + 2 * i * rows * n * SIZE
        s = values + i * k * SIZE
        info = ZGESDD(kind, n, m, own, n, s, vh, n, u, max(columns, 1), work, count, rwork, iwork)
        if info != 0:
            status = failed(i, abs(info))
            break
    native_free(work)
    return status


def complex_qr_forward(record, out, x, y, z):
    p = as_i64(as_i64(record)[PLAN >> 3])
    m, n, batches = p[0], p[1], p[2]
    k = min(m, n)
    columns = m if p[3] else k  # of Q, rows of R
    larger = max(n, columns)
    count = 64 * larger
    work = native_alloc(2 * (count + k + m * larger) * SIZE)
    tau = work + 2 * count * SIZE
    own = tau + 2 * k * SIZE
    upper = out + 2 * batches * m * columns * SIZE
    if k == 0:
        unit_matrices(batches, columns, out)
    for i in range(batches if k > 0 else 0):
        turned(m, n, x + 2 * i * m * n * SIZE, own, 1.0)
        ZGEQRF(m, n, own, m, tau, work, count)
        r, a = P(upper + 2 * i * columns * n * SIZE), P(own)
        for row in range(columns):
            for c in range(n):
                above = c >= row
                r[2 * (row * n + c)] = a[2 * (c * m + row)] if above else 0.0
                r[2 * (row * n + c) + 1] = a[2 * (c * m + row) + 1] if above else 0.0
        ZUNGQR(m, columns, k, own, m, tau, work, count)
        turned(columns, m, own, out + 2 * i * m * columns * SIZE, 1.0)
    native_free(work)


@inner
def vectors_of_pairs(n, real, imaginary, found, values, vectors):
    """Eigenvalues and vectors as LAPACK tells them of a real matrix: a pair of conjugate ones is two columns, Re and Im."""
    w, v, f = P(values), P(vectors), P(found)
    j = 0
    while j < n:
        b = P(imaginary)[j]
        w[2 * j], w[2 * j + 1] = P(real)[j], b
        if b == 0.0:
            for i in range(n):
                v[2 * (i * n + j)], v[2 * (i * n + j) + 1] = f[j * n + i], 0.0
            j += 1
        else:
            w[2 * j + 2], w[2 * j + 3] = P(real)[j], -b
            for i in range(n):
                x, y = f[j * n + i], f[(j + 1) * n + i]
                at = 2 * (i * n + j)
                v[at], v[at + 1], v[at + 2], v[at + 3] = x, y, x, -y
            j += 2


@inner
def finite(count, x):
    """Whether all numbers are: what LAPACK does with others is not told by its info."""
    for i in range(count):
        if P(x)[i] - P(x)[i] != 0.0:
            return 0
    return 1


def eig_forward(record, out, x, y, z):
    """Of real matrices; eigenvalues and vectors are complex, the vectors of length 1."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, batches = p[0], p[1]
    count = 66 * n
    work = native_alloc((count + 2 * n * n + 2 * n) * SIZE)
    own = work + count * SIZE
    right = own + n * n * SIZE
    real = right + n * n * SIZE
    imaginary = real + n * SIZE
    status = 0
    for i in range(batches if n > 0 else 0):
        transposed(n, n, x + i * n * n * SIZE, own)
        info = 1
        if finite(n * n, own):
            info = GEEV(NO, VALUES, n, own, n, real, imaginary, own, n, right, n, work, count)
        if info != 0:
            status = failed(i, info)
            break
        vectors_of_pairs(n, real, imaginary, right, out + 2 * i * n * SIZE, out + 2 * (batches * n + i * n * n) * SIZE)
    native_free(work)
    return status


def complex_eig_forward(record, out, x, y, z):
    """Eigenvalues, and vectors of length 1 whose largest element is real."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, batches = p[0], p[1]
    count = 66 * n
    work = native_alloc(2 * (count + 2 * n * n + n) * SIZE)
    own = work + 2 * count * SIZE
    right = own + 2 * n * n * SIZE
    rwork = right + 2 * n * n * SIZE
    status = 0
    for i in range(batches if n > 0 else 0):
        turned(n, n, x + 2 * i * n * n * SIZE, own, 1.0)
        info = 1
        if finite(2 * n * n, own):
            info = ZGEEV(NO, VALUES, n, own, n, out + 2 * i * n * SIZE, own, n, right, n, work, count, rwork)
        if info != 0:
            status = failed(i, info)
            break
        turned(n, n, right, out + 2 * (batches * n + i * n * n) * SIZE, 1.0)
    native_free(work)
    return status


def complex_lu_forward(record, out, x, y, z):
    """The factors, the row exchanges counted from 1, and the signs of the permutations."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, batches = p[0], p[1]
    work = native_alloc(2 * n * n * SIZE + 4 * n + 8)
    places = work + 2 * n * n * SIZE
    pivots = out + 2 * batches * n * n * SIZE
    signs = P(pivots + batches * n * SIZE)
    status = 0
    for i in range(batches):
        turned(n, n, x + 2 * i * n * n * SIZE, work, 1.0)
        info = ZGETRF(n, n, work, max(n, 1), places)
        turned(n, n, work, out + 2 * i * n * n * SIZE, 1.0)
        q, w = P(pivots + i * n * SIZE), as_i32(places)
        sign = 1.0
        for j in range(n):
            q[j] = w[j]
            if w[j] != j + 1:
                sign = -sign
        signs[i] = sign
        if info > 0 and p[2]:
            status = failed(i, info)
            break
    native_free(work)
    return status


KERNELS = {
    "complex_eigh": (complex_eigh_forward,),
    "complex_svd": (complex_svd_forward,),
    "complex_qr": (complex_qr_forward,),
    "eig": (eig_forward,),
    "complex_eig": (complex_eig_forward,),
    "complex_lu": (complex_lu_forward,),
    "complex_cofactors": (same_forward,),
    "complex_determinant": (same_forward,),
}
