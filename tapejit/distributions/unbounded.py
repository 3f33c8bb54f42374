"""Distributions of all real numbers."""

import math

import tapejit as tj
from tapejit.distributions import noise
from tapejit.distributions.base import Distribution, parameters
from tapejit.distributions.constraints import positive, real
from tapejit.special import betaln, digamma, i0e, i1e, ndtr, ndtri

EULER = 0.57721566490153286061
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class _LocationScale(Distribution):
    """A distribution of ``loc + scale * z``."""

    arg_constraints = parameters(loc=real, scale=positive)
    support = real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        super().__init__(validate_args, loc=loc, scale=scale)

    def _standard(self, value):
        return (self._value(value) - self.loc) / self.scale

    def rsample(self, sample_shape=()):
        return self.loc + self.scale * self._noise(self._shape(sample_shape))

    def _noise(self, shape):
        raise NotImplementedError

    @property
    def mode(self):
        return self.loc

    mean = mode


class Normal(_LocationScale):
    """Normal(loc, scale): the normal distribution of a mean and a standard deviation."""

    def _noise(self, shape):
        return noise.normal(shape, self.loc)

    def log_prob(self, value):
        z = self._standard(value)
        return -0.5 * z * z - tj.log(self.scale) - _HALF_LOG_2PI

    def cdf(self, value):
        return ndtr(self._standard(value))

    def icdf(self, value):
        return self.loc + self.scale * ndtri(value)

    def entropy(self):
        return 0.5 + _HALF_LOG_2PI + tj.log(self.scale)

    @property
    def variance(self):
        return self.scale**2


class Laplace(_LocationScale):
    """Laplace(loc, scale): the density falls exponentially on both sides of loc."""

    def _noise(self, shape):
        u = 2 * noise.uniform(shape, self.loc) - 1
        return -tj.sign(u) * tj.log1p(-u.abs())

    def log_prob(self, value):
        return -self._standard(value).abs() - tj.log(2 * self.scale)

    def cdf(self, value):
        z = self._standard(value)
        return 0.5 - 0.5 * z.sign() * tj.expm1(-z.abs())

    def icdf(self, value):
        u = value - 0.5
        return self.loc - self.scale * u.sign() * tj.log1p(-2 * u.abs())

    def entropy(self):
        return 1 + tj.log(2 * self.scale)

    @property
    def variance(self):
        return 2 * self.scale**2


class Cauchy(_LocationScale):
    """Cauchy(loc, scale): the density 1 / (pi * scale * (1 + z * z)); it has no mean."""

    def _noise(self, shape):
        return tj.tan(math.pi * (noise.uniform(shape, self.loc) - 0.5))

    def log_prob(self, value):
        z = self._standard(value)
        return -tj.log1p(z * z) - tj.log(self.scale) - math.log(math.pi)

    def cdf(self, value):
        return tj.atan(self._standard(value)) / math.pi + 0.5

    def icdf(self, value):
        return self.loc + self.scale * tj.tan(math.pi * (value - 0.5))

    def entropy(self):
        return math.log(4 * math.pi) + tj.log(self.scale)

    @property
    def mean(self):
        return tj.full_like(self.loc, math.nan)

    @property
    def variance(self):
        return tj.full_like(self.loc, math.inf)


class Gumbel(_LocationScale):
    """Gumbel(loc, scale): the distribution of maxima, with the distribution function exp(-exp(-z))."""

    def _noise(self, shape):
        return -tj.log(noise.exponential(shape, self.loc))

    def log_prob(self, value):
        z = self._standard(value)
        return -z - tj.exp(-z) - tj.log(self.scale)

    def cdf(self, value):
        return tj.exp(-tj.exp(-self._standard(value)))

    def icdf(self, value):
        return self.loc - self.scale * tj.log(-tj.log(value))

    def entropy(self):
        return tj.log(self.scale) + (1 + EULER)

    @property
    def mean(self):
        return self.loc + EULER * self.scale

    @property
    def variance(self):
        return math.pi**2 / 6 * self.scale**2


class StudentT(_LocationScale):
    """StudentT(df, loc=0, scale=1): Student's distribution with df degrees of freedom."""

    arg_constraints = parameters(df=positive, loc=real, scale=positive)

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        Distribution.__init__(self, validate_args, df=df, loc=loc, scale=scale)

    def _noise(self, shape):
        return noise.normal(shape, self.df) * tj.rsqrt(noise.gamma(shape, 0.5 * self.df) / (0.5 * self.df))

    def _log_normalizer(self):
        return tj.log(self.scale) + 0.5 * tj.log(self.df) + betaln(0.5 * self.df, tj.full_like(self.df, 0.5))

    def log_prob(self, value):
        z = self._standard(value)
        return -0.5 * (self.df + 1) * tj.log1p(z * z / self.df) - self._log_normalizer()

    def entropy(self):
        half = 0.5 * self.df
        return (half + 0.5) * (digamma(half + 0.5) - digamma(half)) + self._log_normalizer()

    @property
    def mean(self):
        return tj.where(self.df > 1, self.loc, math.nan)

    @property
    def variance(self):
        finite = tj.where(self.df > 2, self.df, 3.0)
        found = tj.where(self.df > 2, self.scale**2 * finite / (finite - 2), math.inf)
        return tj.where(self.df > 1, found, math.nan)


class VonMises(Distribution):
    """VonMises(loc, concentration): angles with a density in proportion to exp(concentration * cos(angle - loc))."""

    arg_constraints = parameters(loc=real, concentration=positive)
    support = real

    def __init__(self, loc, concentration, validate_args=None):
        super().__init__(validate_args, loc=loc, concentration=concentration)

    def sample(self, sample_shape=()):
        mean, shape = self.loc.detach().numpy(), self._shape(sample_shape)
        k = self.concentration.detach().numpy()
        return noise.drawn(lambda numbers: numbers.vonmises((mean + math.pi) % (2 * math.pi) - math.pi, k, shape), self.loc)

    def log_prob(self, value):
        k = self.concentration
        return k * (tj.cos(self._value(value) - self.loc) - 1) - math.log(2 * math.pi) - tj.log(i0e(k))

    @property
    def mean(self):
        """The mean direction."""
        return self.loc

    mode = mean

    @property
    def variance(self):
        """The circular variance."""
        return 1 - i1e(self.concentration) / i0e(self.concentration)
