"""Distributions of positive numbers."""

import math

import tapejit as tj
from tapejit.distributions import constraints, noise
from tapejit.distributions.base import Distribution, parameters
from tapejit.distributions.constraints import nonnegative, positive, real
from tapejit.distributions.unbounded import EULER
from tapejit.special import digamma, gammainc, gammaincc, gammaln, ndtr, ndtri, xlogy

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Exponential(Distribution):
    """Exponential(rate): the time to the next event, of which there are ``rate`` in a unit of time."""

    arg_constraints = parameters(rate=positive)
    support = nonnegative
    has_rsample = True

    def __init__(self, rate, validate_args=None):
        super().__init__(validate_args, rate=rate)

    def rsample(self, sample_shape=()):
        return noise.exponential(self._shape(sample_shape), self.rate) / self.rate

    def log_prob(self, value):
        return tj.log(self.rate) - self.rate * self._value(value)

    def cdf(self, value):
        return -tj.expm1(-self.rate * self._value(value))

    def icdf(self, value):
        return -tj.log1p(-value) / self.rate

    def entropy(self):
        return 1 - tj.log(self.rate)

    @property
    def mean(self):
        return 1 / self.rate

    stddev = mean

    @property
    def mode(self):
        return tj.zeros_like(self.rate)

    @property
    def variance(self):
        return self.rate**-2


class Gamma(Distribution):
    """Gamma(concentration, rate): the density is in proportion to ``x ** (concentration - 1) * exp(-rate * x)``."""

    arg_constraints = parameters(concentration=positive, rate=positive)
    support = nonnegative
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        super().__init__(validate_args, concentration=concentration, rate=rate)

    def rsample(self, sample_shape=()):
        return noise.gamma(self._shape(sample_shape), self.concentration) / self.rate

    def log_prob(self, value):
        x, a, b = self._value(value), self.concentration, self.rate
        return a * tj.log(b) + xlogy(a - 1, x) - b * x - gammaln(a)

    def cdf(self, value):
        return gammainc(self.concentration, self.rate * self._value(value))

    def entropy(self):
        a = self.concentration
        return a - tj.log(self.rate) + gammaln(a) + (1 - a) * digamma(a)

    @property
    def mean(self):
        return self.concentration / self.rate

    @property
    def mode(self):
        return tj.clamp((self.concentration - 1) / self.rate, min=0)

    @property
    def variance(self):
        return self.concentration / self.rate**2


class Chi2(Gamma):
    """Chi2(df): the sum of the squares of df standard normal numbers."""

    arg_constraints = parameters(df=positive)

    def __init__(self, df, validate_args=None):
        Distribution.__init__(self, validate_args, df=df)

    @property
    def concentration(self):
        """Of the gamma distribution that it is."""
        return 0.5 * self.df

    @property
    def rate(self):
        """Of the gamma distribution that it is."""
        return tj.full_like(self.df, 0.5)


class InverseGamma(Distribution):
    """InverseGamma(concentration, rate): the distribution of 1 / x for x of ``Gamma(concentration, rate)``."""

    arg_constraints = parameters(concentration=positive, rate=positive)
    support = positive
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        super().__init__(validate_args, concentration=concentration, rate=rate)

    def rsample(self, sample_shape=()):
        return self.rate / noise.gamma(self._shape(sample_shape), self.concentration)

    def log_prob(self, value):
        x, a, b = self._value(value), self.concentration, self.rate
        return a * tj.log(b) - (a + 1) * tj.log(x) - b / x - gammaln(a)

    def cdf(self, value):
        return gammaincc(self.concentration, self.rate / self._value(value))

    def entropy(self):
        a = self.concentration
        return a + tj.log(self.rate) + gammaln(a) - (1 + a) * digamma(a)

    @property
    def mean(self):
        a = self.concentration
        return tj.where(a > 1, self.rate / (tj.where(a > 1, a, 2.0) - 1), math.inf)

    @property
    def mode(self):
        return self.rate / (self.concentration + 1)

    @property
    def variance(self):
        finite = tj.where(self.concentration > 2, self.concentration, 3.0)
        return tj.where(self.concentration > 2, self.rate**2 / ((finite - 1) ** 2 * (finite - 2)), math.inf)


class LogNormal(Distribution):
    """LogNormal(loc, scale): the distribution of exp(x) for x of ``Normal(loc, scale)``."""

    arg_constraints = parameters(loc=real, scale=positive)
    support = positive
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        super().__init__(validate_args, loc=loc, scale=scale)

    def _standard(self, value):
        y = tj.log(self._value(value))
        return (y - self.loc) / self.scale, y

    def rsample(self, sample_shape=()):
        return tj.exp(self.loc + self.scale * noise.normal(self._shape(sample_shape), self.loc))

    def log_prob(self, value):
        z, y = self._standard(value)
        return -0.5 * z * z - tj.log(self.scale) - y - _HALF_LOG_2PI

    def cdf(self, value):
        return ndtr(self._standard(value)[0])

    def icdf(self, value):
        return tj.exp(self.loc + self.scale * ndtri(value))

    def entropy(self):
        return 0.5 + _HALF_LOG_2PI + tj.log(self.scale) + self.loc

    @property
    def mean(self):
        return tj.exp(self.loc + 0.5 * self.scale**2)

    @property
    def mode(self):
        return tj.exp(self.loc - self.scale**2)

    @property
    def variance(self):
        return tj.expm1(self.scale**2) * tj.exp(2 * self.loc + self.scale**2)


class HalfNormal(Distribution):
    """HalfNormal(scale): the distribution of \\|x\\| for x of ``Normal(0, scale)``."""

    arg_constraints = parameters(scale=positive)
    support = nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args=None):
        super().__init__(validate_args, scale=scale)

    def rsample(self, sample_shape=()):
        return self.scale * noise.normal(self._shape(sample_shape), self.scale).abs()

    def log_prob(self, value):
        x = self._value(value)
        z = x / self.scale
        return tj.where(x >= 0, 0.5 * math.log(2 / math.pi) - 0.5 * z * z - tj.log(self.scale), -math.inf)

    def cdf(self, value):
        return tj.erf(self._value(value) / (self.scale * math.sqrt(2)))

    def icdf(self, value):
        return self.scale * ndtri(0.5 * value + 0.5)

    def entropy(self):
        return 0.5 + 0.5 * math.log(math.pi / 2) + tj.log(self.scale)

    @property
    def mean(self):
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def mode(self):
        return tj.zeros_like(self.scale)

    @property
    def variance(self):
        return self.scale**2 * (1 - 2 / math.pi)


class HalfCauchy(Distribution):
    """HalfCauchy(scale): the distribution of \\|x\\| for x of ``Cauchy(0, scale)``; it has no mean."""

    arg_constraints = parameters(scale=positive)
    support = nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args=None):
        super().__init__(validate_args, scale=scale)

    def rsample(self, sample_shape=()):
        return self.scale * tj.tan(math.pi / 2 * noise.uniform(self._shape(sample_shape), self.scale))

    def log_prob(self, value):
        x = self._value(value)
        z = x / self.scale
        return tj.where(x >= 0, math.log(2 / math.pi) - tj.log(self.scale) - tj.log1p(z * z), -math.inf)

    def cdf(self, value):
        return 2 / math.pi * tj.atan(self._value(value) / self.scale)

    def icdf(self, value):
        return self.scale * tj.tan(math.pi / 2 * value)

    def entropy(self):
        return math.log(2 * math.pi) + tj.log(self.scale)

    @property
    def mean(self):
        return tj.full_like(self.scale, math.inf)

    variance = mean

    @property
    def mode(self):
        return tj.zeros_like(self.scale)


class Weibull(Distribution):
    """Weibull(scale, concentration): the distribution function is ``1 - exp(-(x / scale) ** concentration)``."""

    arg_constraints = parameters(scale=positive, concentration=positive)
    support = positive
    has_rsample = True

    def __init__(self, scale, concentration, validate_args=None):
        super().__init__(validate_args, scale=scale, concentration=concentration)

    def rsample(self, sample_shape=()):
        return self.icdf_of_exponential(noise.exponential(self._shape(sample_shape), self.scale))

    def icdf_of_exponential(self, e):
        """The value that goes with one of the exponential distribution of mean 1."""
        return self.scale * e ** (1 / self.concentration)

    def log_prob(self, value):
        k, log_z = self.concentration, tj.log(self._value(value) / self.scale)
        return tj.log(k / self.scale) + (k - 1) * log_z - tj.exp(k * log_z)

    def cdf(self, value):
        return -tj.expm1(-((self._value(value) / self.scale) ** self.concentration))

    def icdf(self, value):
        return self.icdf_of_exponential(-tj.log1p(-value))

    def entropy(self):
        return EULER * (1 - 1 / self.concentration) + tj.log(self.scale / self.concentration) + 1

    def _moment(self, k):
        return tj.exp(gammaln(1 + k / self.concentration))

    @property
    def mean(self):
        return self.scale * self._moment(1)

    @property
    def mode(self):
        k = self.concentration
        above = tj.where(k > 1, k, 2.0)
        return tj.where(k > 1, self.scale * ((above - 1) / above) ** (1 / above), 0.0)

    @property
    def variance(self):
        return self.scale**2 * (self._moment(2) - self._moment(1) ** 2)


class Pareto(Distribution):
    """Pareto(scale, alpha): numbers from scale on, larger than x with the probability ``(scale / x) ** alpha``."""

    arg_constraints = parameters(scale=positive, alpha=positive)
    has_rsample = True

    def __init__(self, scale, alpha, validate_args=None):
        super().__init__(validate_args, scale=scale, alpha=alpha)

    @property
    def support(self):
        """Numbers from scale on."""
        return constraints.greater_than_eq(self.scale)

    def rsample(self, sample_shape=()):
        return self.scale * tj.exp(noise.exponential(self._shape(sample_shape), self.scale) / self.alpha)

    def log_prob(self, value):
        x = self._value(value)
        return tj.log(self.alpha) + self.alpha * tj.log(self.scale) - (self.alpha + 1) * tj.log(x)

    def cdf(self, value):
        return -tj.expm1(self.alpha * tj.log(self.scale / self._value(value)))

    def icdf(self, value):
        return self.scale * tj.exp(-tj.log1p(-value) / self.alpha)

    def entropy(self):
        return tj.log(self.scale / self.alpha) + 1 + 1 / self.alpha

    @property
    def mean(self):
        a = tj.where(self.alpha > 1, self.alpha, 2.0)
        return tj.where(self.alpha > 1, self.scale * a / (a - 1), math.inf)

    @property
    def mode(self):
        return self.scale

    @property
    def variance(self):
        a = tj.where(self.alpha > 2, self.alpha, 3.0)
        return tj.where(self.alpha > 2, self.scale**2 * a / ((a - 1) ** 2 * (a - 2)), math.inf)
