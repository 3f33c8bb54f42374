"""What the names of derivative rules mean for tensors (see ``spec.vocabulary``)."""

from tapejit.core.dtypes import float64
from tapejit.core.layout import packed_strides
from tapejit.eager.creation import eye, zeros
from tapejit.eager.functional import LOGICAL, where
from tapejit.eager.grad_mode import no_grad
from tapejit.eager.indexing import cat
from tapejit.eager.linalg.decompositions import cofactor_matrix, determinant_from_cofactors
from tapejit.eager.linalg.functions import matrix_exp
from tapejit.eager.linalg.matrices import diagonal_matrix
from tapejit.eager.linalg.multiply import matmul, outer, product
from tapejit.eager.linalg.systems import (
    cholesky_adjoint,
    inverse_factored,
    permutation_matrix,
    solve,
    solve_factored,
    triangular,
)
from tapejit.eager.places import place, put_flat, scatter_add_flat, take_flat
from tapejit.eager.tensorsweep import sum_to
from tapejit.eager.usergraph import arrive, leave
from tapejit.eager.views import spread, strided_view
from tapejit.spec.vocabulary import supply

supply(
    **{
        function.__name__: function
        for function in (
            arrive, leave,
            packed_strides, sum_to, eye, zeros, where, no_grad, cat, place, put_flat, scatter_add_flat, take_flat,
            cofactor_matrix, determinant_from_cofactors, matrix_exp, diagonal_matrix, matmul, outer, product,
            cholesky_adjoint, inverse_factored, permutation_matrix, solve, solve_factored, triangular, spread, strided_view,
        )
    },
    float64=float64,
    isnan=LOGICAL["isnan"],
)
