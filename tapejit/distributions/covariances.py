"""Distributions of matrices, and normal vectors of which few directions vary together."""

import functools
import math

import tapejit as tj
from tapejit.distributions import constraints, noise
from tapejit.distributions.base import Distribution, as_tensors, derived, parameters
from tapejit.distributions.bounded import Beta
from tapejit.distributions.constraints import (
    independent,
    lower_cholesky,
    positive,
    positive_definite,
    real_vector,
)
from tapejit.distributions.vectors import (
    factor_of,
    half_log_det,
    inverse_of_lower,
    one_matrix,
    precision_of,
    trace_of_ratio,
    whitened,
)
from tapejit.special import digamma, gammaln, multigammaln


class LKJCholesky(Distribution):
    """LKJCholesky(dim, concentration=1.0): lower Cholesky factors L of correlations.

    The matrices L L' have the density det(L L')^(concentration - 1) (Lewandowski, Kurowicka and Joe 2009, whose "onion" the
    samples grow by).

    Raises:
        ValueError: for a dimension below 2.
    """

    arg_constraints = parameters(concentration=positive)
    support = constraints.corr_cholesky

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"the dimension of correlations is an integer of at least 2, got {dim}")
        self.dim = dim
        super().__init__(validate_args, concentration=concentration)

    def _options(self):
        return {"dim": self.dim}

    @property
    def event_shape(self):
        """(dim, dim)"""
        return tj.Size((self.dim, self.dim))

    def sample(self, sample_shape=()):
        with tj.no_grad():
            return self._grown(tuple(sample_shape))

    def _grown(self, sample_shape):
        """Row by row: a direction on the sphere, times a root of a Beta number; the diagonal fills up the length 1."""
        n = self.dim
        before = tj.arange(1.0, n, dtype=self.concentration.dtype)  # elements of rows 1, 2, ... that are below the diagonal
        rest = self.concentration.unsqueeze(-1) + 0.5 * (n - 1 - before)
        squares = Beta(0.5 * before, rest, validate_args=False).sample(sample_shape).unsqueeze(-1)
        directions = noise.normal((*sample_shape, *self.batch_shape, n - 1, n), self.concentration).tril()
        rows = tj.sqrt(squares) * directions / tj.linalg.vector_norm(directions, dim=-1, keepdim=True)
        rows = tj.cat([tj.zeros_like(rows[..., :1, :]), rows], -2)
        least = tj.finfo(rows.dtype).tiny
        return rows + tj.diag_embed(tj.sqrt(tj.clamp(1 - (rows**2).sum(-1), min=least)))

    def log_prob(self, value):
        factor, n, extra = self._value(value), self.dim, self.concentration
        diagonal = tj.linalg.diagonal(factor)[..., 1:]
        powers = 2 * (extra - 1).unsqueeze(-1) + n - tj.arange(2.0, n + 1, dtype=factor.dtype)
        total = extra + 0.5 * (n - 1)
        norm = 0.5 * (n - 1) * math.log(math.pi) + multigammaln(total - 0.5, n - 1) - (n - 1) * gammaln(total)
        return (powers * tj.log(diagonal)).sum(-1) - norm


class Wishart(Distribution):
    """Wishart(df, covariance_matrix=None, precision_matrix=None, scale_tril=None): sums of df squares z z' of normal vectors.

    Args:
        df: above n - 1.
        covariance_matrix, precision_matrix, scale_tril: of z: (..., n, n), one of them.

    Raises:
        ValueError: for fewer degrees of freedom.
    """

    arg_constraints = parameters(
        df=constraints.greater_than(0), covariance_matrix=positive_definite, precision_matrix=positive_definite,
        scale_tril=lower_cholesky,
    )  # fmt: skip
    support = positive_definite
    has_rsample = True

    def __init__(self, df, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        super().__init__(validate_args, df=df, **one_matrix("Wishart", covariance_matrix, precision_matrix, scale_tril))
        if self._validate_args and bool((self.df <= self.event_shape[-1] - 1).any()):
            raise ValueError(f"df of Wishart must be greater than n - 1 = {self.event_shape[-1] - 1}, got {self.df}")

    @property
    def event_shape(self):
        """(n, n)"""
        return tj.Size(getattr(self, self._given[1]).shape[-2:])

    scale_tril = derived(lambda self: factor_of(self))
    covariance_matrix = derived(lambda self: self.scale_tril @ self.scale_tril.mT)
    precision_matrix = derived(lambda self: precision_of(self.scale_tril))

    def rsample(self, sample_shape=()):
        """Bartlett's decomposition L A A' L': A is lower triangular, normal below a diagonal of roots of chi-square numbers."""
        n = self.event_shape[-1]
        freedom = self.df.unsqueeze(-1) - tj.arange(float(n), dtype=self.df.dtype)
        shape = (*sample_shape, *self.batch_shape, n)
        roots = tj.sqrt(2 * noise.gamma(shape, 0.5 * freedom))
        below = noise.normal(self._shape(sample_shape), self.df).tril(-1)
        factor = self.scale_tril @ (below + tj.diag_embed(roots))
        return factor @ factor.mT

    def log_norm(self):
        """What ``log_prob`` subtracts, the same for all values."""
        n = self.event_shape[-1]
        return self.df * (0.5 * n * math.log(2) + half_log_det(self.scale_tril)) + multigammaln(0.5 * self.df, n)

    def log_prob(self, value):
        v, n = self._value(value), self.event_shape[-1]
        trace = trace_of_ratio(self.scale_tril, tj.linalg.cholesky(v))
        return 0.5 * (self.df - n - 1) * tj.logdet(v) - 0.5 * trace - self.log_norm()

    def mean_log_det(self):
        """The mean of a sample's logarithm of its determinant."""
        n = self.event_shape[-1]
        halves = 0.5 * (self.df.unsqueeze(-1) - tj.arange(float(n), dtype=self.df.dtype))
        return digamma(halves).sum(-1) + n * math.log(2) + 2 * half_log_det(self.scale_tril)

    def entropy(self):
        n = self.event_shape[-1]
        return self.log_norm() - 0.5 * (self.df - n - 1) * self.mean_log_det() + 0.5 * n * self.df

    @property
    def mean(self):
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self):
        over = self.df - self.event_shape[-1] - 1
        return tj.where(over > 0, over, tj.nan)[..., None, None] * self.covariance_matrix

    @property
    def variance(self):
        v = self.covariance_matrix
        d = tj.linalg.diagonal(v)
        return self.df[..., None, None] * (v**2 + d.unsqueeze(-1) * d.unsqueeze(-2))


class LowRankMultivariateNormal(Distribution):
    """LowRankMultivariateNormal(loc, cov_factor, cov_diag): normal vectors of the covariance W W' + diag(d), at the cost of W's
    few columns.

    Args:
        loc: the mean: (..., n).
        cov_factor: W: (..., n, k).
        cov_diag: d, positive: (..., n).
    """

    arg_constraints = parameters(
        loc=real_vector, cov_factor=independent(constraints.real, 2), cov_diag=independent(positive, 1)
    )
    support = real_vector
    has_rsample = True

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        loc, cov_factor, cov_diag = as_tensors(loc, cov_factor, cov_diag)
        n = loc.shape[-1:]
        if cov_factor.ndim < 2 or cov_factor.shape[-2:-1] != n or cov_diag.shape[-1:] != n:
            raise ValueError(
                f"loc (..., n), cov_factor (..., n, k) and cov_diag (..., n) are wanted, got the shapes {tuple(loc.shape)}, "
                f"{tuple(cov_factor.shape)} and {tuple(cov_diag.shape)}"
            )
        super().__init__(validate_args, loc=loc, cov_factor=cov_factor, cov_diag=cov_diag)

    @property
    def event_shape(self):
        """(n,)"""
        return tj.Size(self.loc.shape[-1:])

    @functools.cached_property
    def _capacitance(self):
        """The lower Cholesky factor of I + W' diag(1/d) W."""
        scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)
        return tj.linalg.cholesky(scaled @ self.cov_factor + tj.eye(self.cov_factor.shape[-1], dtype=self.loc.dtype))

    def _half_log_det(self):
        return half_log_det(self._capacitance) + 0.5 * tj.log(self.cov_diag).sum(-1)

    def rsample(self, sample_shape=()):
        shape = self._shape(sample_shape)
        along = noise.normal((*shape[:-1], self.cov_factor.shape[-1]), self.loc)
        moved = (self.cov_factor @ along.unsqueeze(-1)).squeeze(-1)
        return self.loc + moved + tj.sqrt(self.cov_diag) * noise.normal(shape, self.loc)

    def log_prob(self, value):
        gap = self._value(value) - self.loc
        scaled = gap / self.cov_diag
        inner = whitened(self._capacitance, (self.cov_factor.mT @ scaled.unsqueeze(-1)).squeeze(-1))
        distance = (gap * scaled).sum(-1) - (inner**2).sum(-1)
        return -0.5 * distance - self._half_log_det() - 0.5 * gap.shape[-1] * math.log(2 * math.pi)

    def entropy(self):
        return 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi)) + self._half_log_det()

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return (self.cov_factor**2).sum(-1) + self.cov_diag

    @property
    def covariance_matrix(self):
        """W W' + diag(d)"""
        return self.cov_factor @ self.cov_factor.mT + tj.diag_embed(self.cov_diag)

    @property
    def scale_tril(self):
        """The lower Cholesky factor of the covariance."""
        return tj.linalg.cholesky(self.covariance_matrix)

    @property
    def precision_matrix(self):
        """The inverse of the covariance."""
        scaled = self.cov_factor / self.cov_diag.unsqueeze(-1)
        inner = inverse_of_lower(self._capacitance) @ scaled.mT
        return tj.diag_embed(1 / self.cov_diag) - inner.mT @ inner
