"""Linear algebra: ``tapejit.linalg`` has the names of ``torch.linalg``, batched, in float64 and float32.

LAPACK does the work, through SciPy; factors that a derivative needs are kept, not worked out again. See docs/linalg.md.
"""

from numpy.linalg import LinAlgError

from tapejit.linalg.decompositions import QR, eig, eigh, eigvals, eigvalsh, qr, svd, svdvals
from tapejit.linalg.functions import (
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
from tapejit.linalg.matrices import diag, diag_embed, diagonal, diagonal_matrix
from tapejit.linalg.norms import matrix_norm, norm, vector_norm
from tapejit.linalg.products import _matrix_words, bmm, dot, matmul, mm, mv, outer, product
from tapejit.linalg.systems import (
    cholesky,
    cholesky_inverse,
    cholesky_solve,
    det,
    inv,
    logdet,
    lu,
    lu_factor,
    lu_solve,
    slogdet,
    solve,
    solve_triangular,
)
