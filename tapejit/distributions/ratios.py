"""Distributions of ratios and of tails: FisherSnedecor, GeneralizedPareto; and one between 0 and 1, ContinuousBernoulli."""

import math

import tapejit as tj
from tapejit.distributions import constraints, noise
from tapejit.distributions.base import Distribution, as_tensors, derived, one_of, parameters
from tapejit.distributions.constraints import positive, real, unit_interval
from tapejit.distributions.helping import clamp_probs, logits_to_probs, probs_to_logits
from tapejit.special import betainc, betaln, xlogy


class FisherSnedecor(Distribution):
    """FisherSnedecor(df1, df2): the ratio of two chi-square numbers, each over its degrees of freedom."""

    arg_constraints = parameters(df1=positive, df2=positive)
    support = positive
    has_rsample = True

    def __init__(self, df1, df2, validate_args=None):
        super().__init__(validate_args, df1=df1, df2=df2)

    def rsample(self, sample_shape=()):
        shape = self._shape(sample_shape)
        over, under = noise.gamma(shape, 0.5 * self.df1) / self.df1, noise.gamma(shape, 0.5 * self.df2) / self.df2
        return over / under

    def log_prob(self, value):
        x, a, b = self._value(value), 0.5 * self.df1, 0.5 * self.df2
        ratio = self.df1 / self.df2
        return xlogy(a, ratio) + xlogy(a - 1, x) - (a + b) * tj.log1p(ratio * x) - betaln(a, b)

    def cdf(self, value):
        x = self._value(value)
        return betainc(0.5 * self.df1, 0.5 * self.df2, self.df1 * x / (self.df1 * x + self.df2))

    @property
    def mean(self):
        free = tj.where(self.df2 > 2, self.df2, tj.nan)
        return free / (free - 2)

    @property
    def mode(self):
        free = tj.where(self.df1 > 2, self.df1, tj.nan)
        return (free - 2) / free * (self.df2 / (self.df2 + 2))

    @property
    def variance(self):
        free = tj.where(self.df2 > 4, self.df2, tj.nan)
        return 2 * free**2 * (self.df1 + free - 2) / (self.df1 * (free - 2) ** 2 * (free - 4))


class GeneralizedPareto(Distribution):
    """GeneralizedPareto(loc, scale, concentration): what lies beyond a threshold; exponential where the concentration is 0."""

    arg_constraints = parameters(loc=real, scale=positive, concentration=real)
    has_rsample = True

    def __init__(self, loc, scale, concentration, validate_args=None):
        super().__init__(validate_args, loc=loc, scale=scale, concentration=concentration)

    @property
    def support(self):
        """From loc on; where the concentration is negative, up to ``loc - scale / concentration``."""
        bent = self.concentration < 0
        end = tj.where(bent, self.loc - self.scale / tj.where(bent, self.concentration, -1.0), tj.inf)
        return constraints.interval(self.loc, end)

    def _time(self, value):
        """log(1 + c z) / c of the standardised value z, an exponential number."""
        z, c = (self._value(value) - self.loc) / self.scale, self.concentration
        small = (c.abs() * z).detach().abs() < 1e-5
        safe = tj.where(small, 1.0, c)
        return tj.where(small, z - c * z**2 / 2 + c**2 * z**3 / 3, tj.log1p(safe * z) / safe)

    def log_prob(self, value):
        return -tj.log(self.scale) - (1 + self.concentration) * self._time(value)

    def cdf(self, value):
        return -tj.expm1(-self._time(value))

    def icdf(self, value):
        (value,) = as_tensors(value, like=self.scale)
        return self._at(-tj.log1p(-value))

    def _at(self, time):
        c = self.concentration
        small = (c.abs() * time).detach().abs() < 1e-5
        safe = tj.where(small, 1.0, c)
        z = tj.where(small, time + c * time**2 / 2 + c**2 * time**3 / 6, tj.expm1(safe * time) / safe)
        return self.loc + self.scale * z

    def rsample(self, sample_shape=()):
        return self._at(noise.exponential(self._shape(sample_shape), self.scale))

    def entropy(self):
        return tj.log(self.scale) + self.concentration + 1

    @property
    def mean(self):
        c = self.concentration
        return tj.where(c < 1, self.loc + self.scale / (1 - tj.where(c < 1, c, 0.0)), tj.inf)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        c = self.concentration
        inner = tj.where(c < 0.5, c, 0.0)
        return tj.where(c < 0.5, self.scale**2 / ((1 - inner) ** 2 * (1 - 2 * inner)), tj.inf)


class ContinuousBernoulli(Distribution):
    """ContinuousBernoulli(probs=None, logits=None): numbers of [0, 1] with a density in proportion to p**x (1 - p)**(1 - x)
    (Loaiza-Ganem and Cunningham 2019).

    Args:
        probs, logits: p, or its log odds; one of them.
        lims: between these values of p, formulas are series around 1/2.
    """

    arg_constraints = parameters(probs=unit_interval, logits=real)
    support = unit_interval
    has_rsample = True

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        one_of("ContinuousBernoulli", probs=probs, logits=logits)
        self._lims = lims
        super().__init__(validate_args, probs=probs, logits=logits)

    def _options(self):
        return {"lims": self._lims}

    probs = derived(lambda self: clamp_probs(logits_to_probs(self.logits, is_binary=True)))
    logits = derived(lambda self: probs_to_logits(self.probs, is_binary=True))

    def _either(self, formula, series):
        """A formula of p where it is far enough from 1/2, a series in p - 1/2 else."""
        p = clamp_probs(self.probs)
        near = (p > self._lims[0]) & (p < self._lims[1])
        return tj.where(near, series(p - 0.5), formula(tj.where(near, 0.25, p)))

    def log_norm(self):
        """What ``log_prob`` adds, the same for all values."""

        def formula(p):
            return tj.log((tj.log1p(-p) - tj.log(p)).abs()) - tj.log((1 - 2 * p).abs())

        return self._either(formula, lambda d: math.log(2.0) + (4 / 3 + 104 / 45 * d * d) * d * d)

    def log_prob(self, value):
        x, odds = self._value(value), self.logits
        return x * odds - tj.softplus(odds) + self.log_norm()

    def cdf(self, value):
        x = self._value(value)
        return self._either(lambda p: (p**x * (1 - p) ** (1 - x) + p - 1) / (2 * p - 1), lambda d: x - 2 * d * x * (1 - x))

    def icdf(self, value):
        (u,) = as_tensors(value, like=self._like())

        def formula(p):
            return (tj.log1p(-p + u * (2 * p - 1)) - tj.log1p(-p)) / (tj.log(p) - tj.log1p(-p))

        return self._either(formula, lambda d: u + 2 * d * u * (1 - u))

    def rsample(self, sample_shape=()):
        return self.icdf(noise.uniform(self._shape(sample_shape), self._like()))

    def entropy(self):
        return tj.softplus(self.logits) - self.mean * self.logits - self.log_norm()

    @property
    def mean(self):
        def formula(p):
            return p / (2 * p - 1) + 1 / (tj.log1p(-p) - tj.log(p))

        return self._either(formula, lambda d: 0.5 + (1 / 3 + 16 / 45 * d * d) * d)

    @property
    def variance(self):
        def formula(p):
            return p * (p - 1) / (1 - 2 * p) ** 2 + 1 / (tj.log1p(-p) - tj.log(p)) ** 2

        return self._either(formula, lambda d: 1 / 12 - (1 / 15 - 128 / 945 * d * d) * d * d)
