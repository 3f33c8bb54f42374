"""Products of matrices and vectors, all of them BLAS calls (see ``structured``).

The plan of ``matmul`` is

    m, n, k, batches, then for each of x, y: transposed, leading dimension, elements from one batch to the next

for row-major ``out[m, n] = x[m, k] @ y[k, n]``; ``transposed`` says that the memory holds the transpose. BLAS is
column-major, so it is asked for the transposed product.
"""

from tapejit.core.record import PLAN
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64 as P
from tapejit.edge.raw import as_i64, zero_bytes
from tapejit.kernels import blas

SIZE = 8  # bytes of an element; rebound with P
GEMM, GEMV, DOT = blas.DOUBLE


@inner
def product(m, n, k, a, ta, lda, b, tb, ldb, c, accumulate):
    """Row-major ``c[m, n] (+)= a[m, k] @ b[k, n]``."""
    beta = 1.0 if accumulate else 0.0
    if m * n == 0:
        return
    if k == 0:
        if not accumulate:
            zero_bytes(c, m * n * SIZE)
    elif n == 1:
        step = 1 if tb else max(ldb, 1)
        if ta:
            GEMV(0, m, k, 1.0, a, lda, b, step, beta, c, 1)
        else:
            GEMV(1, k, m, 1.0, a, lda, b, step, beta, c, 1)
    elif m == 1:
        step = lda if ta else 1
        if tb:
            GEMV(1, k, n, 1.0, b, ldb, a, step, beta, c, 1)
        else:
            GEMV(0, n, k, 1.0, b, ldb, a, step, beta, c, 1)
    else:
        GEMM(tb, ta, n, m, k, 1.0, b, ldb, a, lda, beta, c, n)


def matmul_forward(record, out, x, y, z):
    p = as_i64(as_i64(record)[PLAN >> 3])
    m, n, k = p[0], p[1], p[2]
    for i in range(p[3]):
        a = x + i * p[6] * SIZE
        b = y + i * p[9] * SIZE
        product(m, n, k, a, p[4], p[5], b, p[7], p[8], out + i * m * n * SIZE, 0)


def matmul_reverse_x(record, g, x, y, z, out, target, accumulate):
    p = as_i64(as_i64(record)[PLAN >> 3])
    m, n, k = p[0], p[1], p[2]
    for i in range(p[3]):
        b = y + i * p[9] * SIZE
        product(m, k, n, g + i * m * n * SIZE, 0, n, b, 1 - p[7], p[8], target + i * m * k * SIZE, accumulate)


def matmul_reverse_y(record, g, x, y, z, out, target, accumulate):
    p = as_i64(as_i64(record)[PLAN >> 3])
    m, n, k = p[0], p[1], p[2]
    for i in range(p[3]):
        a = x + i * p[6] * SIZE
        product(k, n, m, a, 1 - p[4], p[5], g + i * m * n * SIZE, 0, n, target + i * k * n * SIZE, accumulate)


# dot: the plan is (n,)


def dot_forward(record, out, x, y, z):
    P(out)[0] = DOT(as_i64(as_i64(record)[PLAN >> 3])[0], x, y)


@inner
def add_scaled(n, scale, source, target, accumulate):
    t = P(target)
    s = P(source)
    if scale == 0:  # an adjoint of zero stays zero, whatever it meets
        for i in range(0 if accumulate else n):
            t[i] = 0
    elif accumulate:
        for i in range(n):
            t[i] += scale * s[i]
    else:
        for i in range(n):
            t[i] = scale * s[i]


def dot_reverse_x(record, g, x, y, z, out, target, accumulate):
    add_scaled(as_i64(as_i64(record)[PLAN >> 3])[0], P(g)[0], y, target, accumulate)


def dot_reverse_y(record, g, x, y, z, out, target, accumulate):
    add_scaled(as_i64(as_i64(record)[PLAN >> 3])[0], P(g)[0], x, target, accumulate)


KERNELS = {
    "matmul": (matmul_forward, matmul_reverse_x, matmul_reverse_y),
    "dot": (dot_forward, dot_reverse_x, dot_reverse_y),
}
