"""The exponential of a matrix: N. Higham's scaling and squaring with the Padé approximant of order 13 (2005).

The plan is (n, batches).
"""

from tapejit.core.record import PLAN
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64 as P
from tapejit.edge.raw import as_i64, copy_bytes, native_alloc, native_free
from tapejit.kernels import blas
from tapejit.kernels.factor import factorised
from tapejit.kernels.solves import gemm_rows, solve_factored

SIZE = 8  # bytes of an element; rebound with P
GEMM, GEMV, DOT = blas.DOUBLE
_THETA = 5.371920351148152  # the largest norm for which order 13 is exact to rounding
_B = (
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
    670442572800.0,
    33522128640.0,
    1323241920.0,
    40840800.0,
    960960.0,
    16380.0,
    182.0,
    1.0,
)


@inner
def combine(n, c0, c2, c4, c6, a2, a4, a6, out):
    """``out = c6 A^6 + c4 A^4 + c2 A^2 + c0 I``"""
    p, q, s, r = P(a2), P(a4), P(a6), P(out)
    for i in range(n * n):
        r[i] = c2 * p[i] + c4 * q[i] + c6 * s[i]
    for i in range(n):
        r[i * n + i] += c0


@inner
def add_to(n, source, target, scale):
    p, q = P(source), P(target)
    for i in range(n * n):
        q[i] += scale * p[i]


@inner
def norm_one(n, a):
    """The largest sum of absolute values in a row: of the transpose, whose exponential is as large."""
    p = P(a)
    largest = 0.0
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += abs(p[i * n + j])
        largest = max(largest, total)
    return largest


@inner
def exponential(n, out, work):
    """Of ``out`` in place; ``work`` holds 6 n * n + n elements and n integers."""
    square = n * n * SIZE
    a2, a4, a6, u, v, t = work, work + square, work + 2 * square, work + 3 * square, work + 4 * square, work + 5 * square
    size = norm_one(n, out)
    squarings = 0
    while size > _THETA and squarings < 1100:
        size *= 0.5
        squarings += 1
    scale = 0.5**squarings
    a = P(out)
    for i in range(n * n):
        a[i] = a[i] * scale
    gemm_rows(0, 0, n, n, n, 1.0, out, n, out, n, 0.0, a2, n)
    gemm_rows(0, 0, n, n, n, 1.0, a2, n, a2, n, 0.0, a4, n)
    gemm_rows(0, 0, n, n, n, 1.0, a4, n, a2, n, 0.0, a6, n)
    combine(n, 0.0, _B[9], _B[11], _B[13], a2, a4, a6, t)
    combine(n, _B[1], _B[3], _B[5], _B[7], a2, a4, a6, v)
    gemm_rows(0, 0, n, n, n, 1.0, a6, n, t, n, 1.0, v, n)
    gemm_rows(0, 0, n, n, n, 1.0, out, n, v, n, 0.0, u, n)
    combine(n, 0.0, _B[8], _B[10], _B[12], a2, a4, a6, t)
    combine(n, _B[0], _B[2], _B[4], _B[6], a2, a4, a6, v)
    gemm_rows(0, 0, n, n, n, 1.0, a6, n, t, n, 1.0, v, n)
    copy_bytes(out, v, square)
    add_to(n, u, out, 1.0)
    add_to(n, u, v, -1.0)
    pivots = work + 6 * square
    factorised(n, v, pivots, pivots + n * SIZE)
    solve_factored(n, n, 0, v, pivots, out)
    for _ in range(squarings):
        gemm_rows(0, 0, n, n, n, 1.0, out, n, out, n, 0.0, t, n)
        copy_bytes(out, t, square)


def exponential_forward(record, out, x, y, z):
    p = as_i64(as_i64(record)[PLAN >> 3])
    n = p[0]
    square = n * n * SIZE
    copy_bytes(out, x, p[1] * square)
    work = native_alloc(6 * square + n * (SIZE + 4) + 16)
    for i in range(p[1]):
        exponential(n, out + i * square, work)
    native_free(work)


KERNELS = {
    "matrix_exp": (exponential_forward,),
}
