"""Transforms to matrices: Cholesky factors, covariances, factors of correlations."""

import math

import tapejit as tj
from tapejit.distributions import constraints
from tapejit.distributions.bijections import Transform
from tapejit.distributions.helping import tril_matrix_to_vec, vec_to_tril_matrix

__all__ = ["CorrCholeskyTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform"]


class LowerCholeskyTransform(Transform):
    """Square matrices to lower triangular ones with a positive diagonal: what is above the diagonal is dropped, the diagonal's
    exponential taken."""

    bijective = False
    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky
    domain_dim = codomain_dim = 2

    def _call(self, x):
        return x.tril(-1) + tj.diag_embed(tj.exp(tj.linalg.diagonal(x)))

    def _inverse(self, y):
        return y.tril(-1) + tj.diag_embed(tj.log(tj.linalg.diagonal(y)))


class PositiveDefiniteTransform(Transform):
    """Square matrices to positive definite ones: L L' of ``LowerCholeskyTransform``'s L."""

    bijective = False
    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite
    domain_dim = codomain_dim = 2

    def _call(self, x):
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y):
        return LowerCholeskyTransform()._inverse(tj.linalg.cholesky(y))


class CorrCholeskyTransform(Transform):
    """Vectors of n (n - 1) / 2 numbers to lower triangular factors (n, n) of correlations, whose rows have length 1.

    The hyperbolic tangent of a number is the element's share, with its sign, of what the ones before in its row have left of
    the length (the partial correlations of Lewandowski, Kurowicka and Joe 2009).
    """

    domain, codomain = constraints.real_vector, constraints.corr_cholesky
    domain_dim, codomain_dim = 1, 2

    def _call(self, x):
        eps = tj.finfo(x.dtype).eps
        shares = vec_to_tril_matrix(tj.clamp(tj.tanh(x), eps - 1, 1 - eps), -1)
        left = tj.cumprod(tj.sqrt(1 - shares**2), -1)
        return (shares + tj.eye(shares.shape[-1], dtype=x.dtype)) * _after_one(left)

    def _inverse(self, y):
        return tj.atanh(tril_matrix_to_vec(y, -1) / tj.sqrt(self._left(y)))

    @staticmethod
    def _left(y):
        """What the elements before one have left of its row's squared length, below the diagonal."""
        return tril_matrix_to_vec(_after_one(1 - tj.cumsum(y * y, -1)), -1)

    def log_abs_det_jacobian(self, x, y):
        tangents = 2.0 * (math.log(2.0) - x - tj.softplus(-2.0 * x))
        return (tangents + 0.5 * tj.log(self._left(y))).sum(-1)

    def forward_shape(self, shape):
        n = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != shape[-1]:
            raise ValueError(f"{shape[-1]} is not the number of elements below a square matrix's diagonal")
        return (*shape[:-1], n, n)

    def inverse_shape(self, shape):
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


def _after_one(x):
    """Rows moved on by one place, with 1 at the first."""
    return tj.cat([tj.ones_like(x[..., :1]), x[..., :-1]], -1)
