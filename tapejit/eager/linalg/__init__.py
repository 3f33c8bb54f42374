"""The names of ``tapejit.linalg``, gathered."""


from tapejit.core.refusals import LinAlgError
from tapejit.eager.linalg.decompositions import QR, Eigen, eig, eigh, eigvals, eigvalsh, qr, svd, svdvals
from tapejit.eager.linalg.functions import (
    cond,
    cross,
    kron,
    lstsq,
    matrix_exp,
    matrix_power,
    matrix_rank,
    multi_dot,
    pinv,
    trace,
    vander,
)
from tapejit.eager.linalg.matrices import diag, diag_embed, diagonal, diagonal_matrix
from tapejit.eager.linalg.multiply import bmm, dot, matmul, mm, mv, outer, product
from tapejit.eager.linalg.norms import matrix_norm, norm, vector_norm
from tapejit.eager.linalg.systems import (
    cholesky,
    cholesky_inverse,
    cholesky_solve,
    det,
    inv,
    logdet,
    lu,
    lu_factor,
    lu_solve,
    lu_unpack,
    slogdet,
    solve,
    solve_triangular,
)
from tapejit.eager.linalg.tensorforms import (
    cholesky_ex,
    inv_ex,
    lu_factor_ex,
    solve_ex,
    tensorinv,
    tensorsolve,
    triangular_solve,
    vecdot,
)

__all__ = [
    "cholesky_ex", "inv_ex", "lu_factor_ex", "solve_ex", "tensorinv", "tensorsolve", "vecdot",
    "Eigen", "LinAlgError", "QR", "bmm", "cholesky", "cholesky_inverse", "cholesky_solve", "cond", "cross", "det",
    "diag", "diag_embed", "diagonal", "diagonal_matrix", "dot", "eig", "eigh", "eigvals", "eigvalsh", "inv",
    "kron", "logdet", "lstsq", "lu", "lu_factor", "lu_solve", "lu_unpack", "matmul", "matrix_exp", "matrix_norm",
    "matrix_power", "matrix_rank", "mm", "multi_dot", "mv", "norm", "outer", "pinv", "qr", "slogdet",
    "solve", "solve_triangular", "svd", "svdvals", "trace", "vander", "vector_norm",
]
