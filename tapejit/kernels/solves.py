"""Systems of equations whose matrix is triangular, or factored as in ``factor`` (see ``structured``).

Everything is row-major. BLAS sees the transposes: from the left becomes from the right, lower becomes upper.

The plan of ``triangular`` is

    n, columns, batches, left, upper, transposed, unit, elements of the matrix from one batch to the next

for ``op(T) @ X = B`` with B[n, columns], or for ``X @ op(T) = B`` with B[columns, n]. That of ``solve`` is

    n, columns, batches, transposed, batches of the factors (1: one matrix for all)

for ``A @ X = B`` or ``A.T @ X = B``.
"""

from tapejit.core.record import PLAN, N
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64 as P
from tapejit.edge.raw import as_i64, copy_bytes, zero_bytes
from tapejit.kernels import blas
from tapejit.kernels.lapack import LEFT, LOWER, NO, RIGHT, ROUTINES, TRANSPOSED, UNIT, UPPER

SIZE = 8  # bytes of an element; rebound with P
GEMM, GEMV, DOT = blas.DOUBLE
TRSM, TRSV = ROUTINES[0]["TRSM"], ROUTINES[0]["TRSV"]
SMALL = 16  # rows up to which plain loops are faster than BLAS
NONUNIT = NO


@inner
def gemm_rows(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """``c[m, n] = alpha * op(a)[m, k] @ op(b)[k, n] + beta * c``"""
    if m > 0 and n > 0 and k > 0:
        GEMM(tb, ta, n, m, k, alpha, b, ldb, a, lda, beta, c, ldc)


@inner
def solve_small(upper, transposed, unit, m, n, t, ldt, b, ldb):
    """``op(T)[m, m] @ X = b[m, n]`` in place, by rows."""
    p, q = P(t), P(b)
    backward = upper != transposed
    for step in range(m):
        i = m - 1 - step if backward else step
        first, end = (i + 1, m) if backward else (0, i)
        for j in range(first, end):
            factor = p[j * ldt + i] if transposed else p[i * ldt + j]
            for c in range(n):
                q[i * ldb + c] -= factor * q[j * ldb + c]
        if not unit:
            pivot = p[i * ldt + i]
            for c in range(n):
                q[i * ldb + c] /= pivot


@inner
def solve_rows(left, upper, transposed, unit, m, n, t, ldt, b, ldb):
    """``op(T) @ X = b[m, n]`` or, not ``left``, ``X @ op(T) = b[m, n]`` in place."""
    if m == 0 or n == 0:
        return
    if left and m <= SMALL:
        solve_small(upper, transposed, unit, m, n, t, ldt, b, ldb)
        return
    triangle = LOWER if upper else UPPER
    diagonal = UNIT if unit else NONUNIT
    if left and n == 1:
        TRSV(triangle, NO if transposed else TRANSPOSED, diagonal, m, t, ldt, b, ldb)
        return
    TRSM(RIGHT if left else LEFT, triangle, TRANSPOSED if transposed else NO, diagonal, n, m, 1.0, t, ldt, b, ldb)


def triangular_forward(record, out, x, y, z):
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, columns = p[0], p[1]
    copy_bytes(out, x, p[2] * n * columns * SIZE)
    m, k = (n, columns) if p[3] else (columns, n)
    for i in range(p[2]):
        solve_rows(p[3], p[4], p[5], p[6], m, k, y + i * p[7] * SIZE, n, out + i * n * columns * SIZE, k)


@inner
def exchange_rows(n, columns, pivots, b, backwards):
    """The row exchanges of a factorisation, done to ``b[n, columns]``; pivots are counted from 1, as floats."""
    p, q = P(pivots), P(b)
    for step in range(n):
        i = n - 1 - step if backwards else step
        j = int(p[i]) - 1
        if j != i:
            for c in range(columns):
                q[i * columns + c], q[j * columns + c] = q[j * columns + c], q[i * columns + c]


@inner
def solve_factored(n, columns, transposed, lu, pivots, b):
    """``op(A) @ X = b[n, columns]`` in place, from the factors of A."""
    if not transposed:
        exchange_rows(n, columns, pivots, b, 0)
    solve_rows(1, transposed, transposed, 1 - transposed, n, columns, lu, n, b, columns)
    solve_rows(1, 1 - transposed, transposed, transposed, n, columns, lu, n, b, columns)
    if transposed:
        exchange_rows(n, columns, pivots, b, 1)


def solve_forward(record, out, x, y, z):
    """x: B, y: what ``lu`` made of A."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, columns, batches, factors = p[0], p[1], p[2], p[4]
    copy_bytes(out, x, batches * n * columns * SIZE)
    for i in range(batches):
        j = i if factors > 1 else 0
        pivots = y + (factors * n * n + j * n) * SIZE
        solve_factored(n, columns, p[3], y + j * n * n * SIZE, pivots, out + i * n * columns * SIZE)


def inverse_forward(record, out, x, y, z):
    """x: what ``lu`` made of A; the plan is (n, batches)."""
    p = as_i64(as_i64(record)[PLAN >> 3])
    n, batches = p[0], p[1]
    zero_bytes(out, batches * n * n * SIZE)
    for i in range(batches):
        for j in range(n):
            P(out + i * n * n * SIZE)[j * n + j] = 1.0
        solve_factored(n, n, 0, x + i * n * n * SIZE, x + (batches * n * n + i * n) * SIZE, out + i * n * n * SIZE)


def same_forward(record, out, x, y, z):
    """A value that was worked out by other means."""
    copy_bytes(out, x, as_i64(record)[N >> 3] * SIZE)


KERNELS = {
    "triangular": (triangular_forward,),
    "solve": (solve_forward,),
    "inverse": (inverse_forward,),
    "cofactors": (same_forward,),
    "determinant": (same_forward,),
    "pinv": (same_forward,),
    "undefined": (same_forward,),
}
