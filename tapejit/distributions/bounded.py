"""Distributions of numbers between two bounds."""

import tapejit as tj
from tapejit.distributions import constraints, noise
from tapejit.distributions.base import Distribution, as_tensors, parameters
from tapejit.distributions.constraints import positive, unit_interval
from tapejit.special import betainc, betaln, digamma, xlog1py, xlogy


class Uniform(Distribution):
    """Uniform(low, high): all numbers of [low, high) alike."""

    arg_constraints = parameters(low=constraints.real, high=constraints.real)
    has_rsample = True

    def __init__(self, low, high, validate_args=None):
        super().__init__(validate_args, low=low, high=high)
        if self._validate_args and not bool((self.low < self.high).all()):
            raise ValueError("Uniform is not defined where low >= high")

    @property
    def support(self):
        """Numbers from low to high."""
        return constraints.interval(self.low, self.high)

    def rsample(self, sample_shape=()):
        u = noise.drawn(lambda numbers: numbers.random(self._shape(sample_shape)), self.low)
        return self.low + u * (self.high - self.low)

    def log_prob(self, value):
        x = self._value(value)
        return tj.where((x >= self.low) & (x < self.high), -tj.log(self.high - self.low), -tj.inf)

    def cdf(self, value):
        return tj.clamp((self._value(value) - self.low) / (self.high - self.low), 0.0, 1.0)

    def icdf(self, value):
        return self.low + value * (self.high - self.low)

    def entropy(self):
        return tj.log(self.high - self.low)

    @property
    def mean(self):
        return 0.5 * (self.low + self.high)

    @property
    def mode(self):
        return tj.full_like(self.low, tj.nan)

    @property
    def variance(self):
        return (self.high - self.low) ** 2 / 12


class Beta(Distribution):
    """Beta(concentration1, concentration0): the density is in proportion to ``x ** (c1 - 1) * (1 - x) ** (c0 - 1)``."""

    arg_constraints = parameters(concentration1=positive, concentration0=positive)
    support = unit_interval
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        super().__init__(validate_args, concentration1=concentration1, concentration0=concentration0)

    def rsample(self, sample_shape=()):
        shape = self._shape(sample_shape)
        x, y = noise.gamma(shape, self.concentration1), noise.gamma(shape, self.concentration0)
        return x / (x + y)

    def log_prob(self, value):
        x, a, b = self._value(value), self.concentration1, self.concentration0
        return xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b)

    def cdf(self, value):
        return betainc(self.concentration1, self.concentration0, self._value(value))

    def entropy(self):
        a, b = self.concentration1, self.concentration0
        return betaln(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)

    @property
    def mean(self):
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self):
        a, b = self.concentration1, self.concentration0
        over = tj.clamp(a - 1, min=0), tj.clamp(b - 1, min=0)
        total = over[0] + over[1]
        inside = over[0] / tj.where(total > 0, total, 1.0)
        return tj.where((a < 1) & (b < 1), (a >= b).to(a.dtype), tj.where(total > 0, inside, tj.nan))

    @property
    def variance(self):
        a, b = self.concentration1, self.concentration0
        return a * b / ((a + b) ** 2 * (a + b + 1))


class Kumaraswamy(Distribution):
    """Kumaraswamy(concentration1, concentration0): the distribution function is ``1 - (1 - x ** c1) ** c0``."""

    arg_constraints = parameters(concentration1=positive, concentration0=positive)
    support = unit_interval
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        super().__init__(validate_args, concentration1=concentration1, concentration0=concentration0)

    def rsample(self, sample_shape=()):
        return self.icdf(noise.uniform(self._shape(sample_shape), self.concentration1))

    def log_prob(self, value):
        x, a, b = self._value(value), self.concentration1, self.concentration0
        return tj.log(a * b) + xlogy(a - 1, x) + xlog1py(b - 1, -(x**a))

    def cdf(self, value):
        x = self._value(value)
        return -tj.expm1(xlog1py(self.concentration0, -(x**self.concentration1)))

    def icdf(self, value):
        (value,) = as_tensors(value, like=self.concentration1)
        return (-tj.expm1(tj.log1p(-value) / self.concentration0)) ** (1 / self.concentration1)

    def entropy(self):
        a, b = 1 / self.concentration1, 1 / self.concentration0
        harmonic = digamma(self.concentration0 + 1) - digamma(tj.ones_like(b))
        return (1 - b) + (1 - a) * harmonic + tj.log(a) + tj.log(b)

    def _moment(self, n):
        b = self.concentration0
        return b * tj.exp(betaln(1 + n / self.concentration1, b))

    @property
    def mean(self):
        return self._moment(1)

    @property
    def mode(self):
        a, b = self.concentration1, self.concentration0
        inside = (a >= 1) & (b >= 1) & ((a > 1) | (b > 1))
        a, b = tj.where(inside, a, 2.0), tj.where(inside, b, 2.0)
        return tj.where(inside, ((a - 1) / (a * b - 1)) ** (1 / a), tj.nan)

    @property
    def variance(self):
        return self._moment(2) - self._moment(1) ** 2
