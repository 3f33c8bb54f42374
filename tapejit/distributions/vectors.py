"""Distributions of vectors."""

import math

import tapejit as tj
from tapejit.distributions import noise
from tapejit.distributions.base import Distribution, derived, one_of, parameters
from tapejit.distributions.constraints import (
    independent,
    lower_cholesky,
    positive,
    positive_definite,
    real_vector,
    simplex,
)
from tapejit.special import digamma, gammaln, xlogy


def whitened(factor, x):
    """L^-1 x for lower triangular matrices L (batch, n, n) and vectors x (..., batch, n)."""
    if factor.ndim == 2:
        flat = x.reshape(-1, x.shape[-1])
        return tj.linalg.solve_triangular(factor, flat.T, upper=False).T.reshape(x.shape)
    factor = factor.expand((*tj.broadcast_shapes(factor.shape[:-2], x.shape[:-1]), *factor.shape[-2:]))
    return tj.linalg.solve_triangular(factor, x.expand(factor.shape[:-1]).unsqueeze(-1), upper=False).squeeze(-1)


def inverse_of_lower(factor):
    """The inverse of a lower triangular matrix."""
    eye = tj.eye(factor.shape[-1], dtype=factor.dtype).expand(factor.shape)
    return tj.linalg.solve_triangular(factor, eye, upper=False)


def half_log_det(factor):
    """The logarithm of the product of a lower triangular matrix's diagonal."""
    return tj.log(tj.linalg.diagonal(factor)).sum(-1)


def factor_of(distribution):
    """The lower Cholesky factor of a covariance that is given, or whose inverse is."""
    if "covariance_matrix" in distribution._given:
        return tj.linalg.cholesky(distribution.covariance_matrix)
    # for the exchange J and J P J = L L', P is (J L J)(J L J)' with J L J upper triangular: its transposed inverse is lower
    turned = tj.linalg.cholesky(tj.flip(distribution.precision_matrix, (-2, -1)))
    return inverse_of_lower(tj.flip(turned, (-2, -1)).mT)


def precision_of(factor):
    """(L L')^-1 of a lower triangular matrix L."""
    inverse = inverse_of_lower(factor)
    return inverse.mT @ inverse


def trace_of_ratio(factor, other):
    """The trace of (L L')^-1 M M' for lower triangular L and M."""
    batch = tj.broadcast_shapes(factor.shape[:-2], other.shape[:-2])
    whole = (*batch, *factor.shape[-2:])
    ratio = tj.linalg.solve_triangular(factor.expand(whole), other.expand(whole), upper=False)
    return (ratio**2).sum((-2, -1))


def one_matrix(name, covariance_matrix, precision_matrix, scale_tril):
    """The one that is given of a covariance, its inverse and its lower Cholesky factor, by its name.

    Raises:
        ValueError: if there is another number of them.
    """
    given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
    one_of(name, **given)
    return given


class MultivariateNormal(Distribution):
    """MultivariateNormal(loc, covariance_matrix=None, precision_matrix=None, scale_tril=None): vectors of n normal numbers.

    Args:
        loc: the mean: (..., n).
        covariance_matrix, precision_matrix, scale_tril: the covariance (..., n, n), its inverse, or its lower Cholesky factor;
            one of them.
    """

    arg_constraints = parameters(
        loc=real_vector, covariance_matrix=positive_definite, precision_matrix=positive_definite, scale_tril=lower_cholesky
    )
    support = real_vector
    has_rsample = True

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        matrices = one_matrix("MultivariateNormal", covariance_matrix, precision_matrix, scale_tril)
        super().__init__(validate_args, loc=loc, **matrices)

    @property
    def event_shape(self):
        """(n,)"""
        return tj.Size(self.loc.shape[-1:])

    scale_tril = derived(lambda self: factor_of(self))
    covariance_matrix = derived(lambda self: self.scale_tril @ self.scale_tril.mT)
    precision_matrix = derived(lambda self: precision_of(self.scale_tril))

    def rsample(self, sample_shape=()):
        z = noise.normal(self._shape(sample_shape), self.loc)
        return self.loc + (self.scale_tril @ z.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value):
        factor = self.scale_tril
        z = whitened(factor, self._value(value) - self.loc)
        return -0.5 * (z * z).sum(-1) - half_log_det(factor) - 0.5 * z.shape[-1] * math.log(2 * math.pi)

    def entropy(self):
        return 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi)) + half_log_det(self.scale_tril)

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        if "covariance_matrix" in self._given:
            return tj.linalg.diagonal(self.covariance_matrix)
        return (self.scale_tril**2).sum(-1)


class Dirichlet(Distribution):
    """Dirichlet(concentration): vectors of K probabilities x, their density in proportion to the product
    of ``x ** (concentration - 1)``."""

    arg_constraints = parameters(concentration=independent(positive, 1))
    support = simplex
    has_rsample = True

    def __init__(self, concentration, validate_args=None):
        super().__init__(validate_args, concentration=concentration)

    @property
    def event_shape(self):
        """(K,)"""
        return tj.Size(self.concentration.shape[-1:])

    def rsample(self, sample_shape=()):
        parts = noise.gamma(self._shape(sample_shape), self.concentration)
        return parts / parts.sum(-1, keepdim=True)

    def _log_normalizer(self):
        return gammaln(self.concentration).sum(-1) - gammaln(self.concentration.sum(-1))

    def log_prob(self, value):
        return xlogy(self.concentration - 1, self._value(value)).sum(-1) - self._log_normalizer()

    def entropy(self):
        a, n = self.concentration, self.event_shape[0]
        total = a.sum(-1)
        return self._log_normalizer() - (n - total) * digamma(total) - ((a - 1) * digamma(a)).sum(-1)

    @property
    def mean(self):
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self):
        a = self.concentration
        over = tj.clamp(a - 1, min=0.0)
        top = tj.nn.functional.one_hot(a.argmax(-1), a.shape[-1]).to(a.dtype)
        return tj.where((a < 1).all(-1).unsqueeze(-1), top, over / over.sum(-1, keepdim=True))

    @property
    def variance(self):
        total, m = self.concentration.sum(-1, keepdim=True), self.mean
        return m * (1 - m) / (total + 1)
