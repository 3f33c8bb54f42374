"""Distributions of counts."""

import tapejit as tj
from tapejit.distributions import constraints, noise
from tapejit.distributions.base import Distribution, derived, one_of, parameters
from tapejit.distributions.constraints import nonnegative, nonnegative_integer, real, unit_interval
from tapejit.special import gammaln, xlog1py, xlogy


def log_odds(probs):
    """The logarithm of p / (1 - p), with p kept from 0 and 1 by the dtype's precision."""
    eps = tj.finfo(probs.dtype).eps
    p = tj.clamp(probs, eps, 1 - eps)
    return tj.log(p) - tj.log1p(-p)


class _OfProbability(Distribution):
    """A distribution with a probability, given as such or as the logarithm of its odds."""

    arg_constraints = parameters(probs=unit_interval, logits=real)

    def __init__(self, validate_args, probs, logits, **parameters):
        one_of(type(self).__name__, probs=probs, logits=logits)
        super().__init__(validate_args, probs=probs, logits=logits, **parameters)

    @derived
    def probs(self):
        """The probability."""
        return tj.sigmoid(self.logits)

    @derived
    def logits(self):
        """log(p / (1 - p))"""
        return log_odds(self.probs)

    @property
    def param_shape(self):
        """The shape of the probabilities."""
        return self._like().shape


class Bernoulli(_OfProbability):
    """Bernoulli(probs=None, logits=None): 1 with a probability, else 0."""

    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(validate_args, probs, logits)

    def sample(self, sample_shape=()):
        p = self.probs.detach().numpy()
        return noise.drawn(lambda numbers: numbers.random(self._shape(sample_shape)) < p, self._like())

    def log_prob(self, value):
        x, logits = self._value(value), self.logits
        return x * logits - tj.softplus(logits)

    def entropy(self):
        logits = self.logits
        return tj.softplus(logits) - self.probs * logits

    def enumerate_support(self, expand=True):
        values = tj.arange(2.0, dtype=self._like().dtype).reshape(2, *[1] * len(self.batch_shape))
        return values.expand((2, *self.batch_shape)) if expand else values

    @property
    def mean(self):
        return self.probs

    @property
    def mode(self):
        p = self.probs
        return tj.where(p == 0.5, tj.nan, (p > 0.5).to(p.dtype))

    @property
    def variance(self):
        return self.probs * (1 - self.probs)


class Geometric(_OfProbability):
    """Geometric(probs=None, logits=None): the number of failures before the first success."""

    support = nonnegative_integer

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(validate_args, probs, logits)
        if self._validate_args and probs is not None and not bool((self.probs > 0).all()):
            raise ValueError("probs of Geometric must be above 0")

    def sample(self, sample_shape=()):
        p = self.probs.detach().numpy()
        return noise.drawn(lambda numbers: numbers.geometric(p, self._shape(sample_shape)) - 1, self._like())

    def log_prob(self, value):
        p = self.probs
        return xlog1py(self._value(value), -p) + tj.log(p)

    def entropy(self):
        logits = self.logits
        return (tj.softplus(logits) - self.probs * logits) / self.probs

    @property
    def mean(self):
        return 1 / self.probs - 1

    @property
    def mode(self):
        return tj.zeros_like(self.probs)

    @property
    def variance(self):
        return (1 / self.probs - 1) / self.probs


class Binomial(_OfProbability):
    """Binomial(total_count=1, probs=None, logits=None): the number of successes among ``total_count`` trials."""

    arg_constraints = parameters(total_count=nonnegative_integer, probs=unit_interval, logits=real)
    has_enumerate_support = True

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        super().__init__(validate_args, probs, logits, total_count=total_count)

    def _like(self):
        return self.probs if "probs" in self._given else self.logits

    @property
    def support(self):
        """Integers from 0 to the number of trials."""
        return constraints.integer_interval(0, self.total_count)

    def sample(self, sample_shape=()):
        n, p = self.total_count.detach().numpy().astype("int64"), self.probs.detach().numpy()
        return noise.drawn(lambda numbers: numbers.binomial(n, p, self._shape(sample_shape)), self._like())

    def log_prob(self, value):
        k, n, logits = self._value(value), self.total_count, self.logits
        choices = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
        return choices + k * logits - n * tj.softplus(logits)

    def enumerate_support(self, expand=True):
        total = int(self.total_count.max().item())
        if not bool((self.total_count == total).all()):
            raise NotImplementedError("Binomial.enumerate_support() needs one total_count for the whole batch")
        values = tj.arange(total + 1.0, dtype=self._like().dtype).reshape(-1, *[1] * len(self.batch_shape))
        return values.expand((-1, *self.batch_shape)) if expand else values

    def entropy(self):
        log_p = self.log_prob(self.enumerate_support(False))
        return -(tj.exp(log_p) * log_p).sum(0)

    @property
    def mean(self):
        return self.total_count * self.probs

    @property
    def mode(self):
        return tj.minimum(tj.floor((self.total_count + 1) * self.probs), self.total_count)

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)


class NegativeBinomial(_OfProbability):
    """NegativeBinomial(total_count, probs=None, logits=None): the number of successes before ``total_count`` failures."""

    arg_constraints = parameters(total_count=nonnegative, probs=constraints.half_open_interval(0.0, 1.0), logits=real)
    support = nonnegative_integer

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        super().__init__(validate_args, probs, logits, total_count=total_count)

    def _like(self):
        return self.probs if "probs" in self._given else self.logits

    def sample(self, sample_shape=()):
        r, odds = self.total_count.detach().numpy(), tj.exp(self.logits.detach()).numpy()
        shape = self._shape(sample_shape)
        return noise.drawn(lambda numbers: numbers.poisson(numbers.standard_gamma(r, shape) * odds), self._like())

    def log_prob(self, value):
        k, r, logits = self._value(value), self.total_count, self.logits
        some = (k + r) > 0
        choices = gammaln(tj.where(some, k + r, 1.0)) - gammaln(tj.where(some, r, 1.0)) - gammaln(k + 1)
        return choices + r * tj.logsigmoid(-logits) + k * tj.logsigmoid(logits)

    @property
    def mean(self):
        return self.total_count * tj.exp(self.logits)

    @property
    def mode(self):
        return tj.clamp(tj.floor((self.total_count - 1) * tj.exp(self.logits)), min=0.0)

    @property
    def variance(self):
        return self.mean / tj.sigmoid(-self.logits)


class Poisson(Distribution):
    """Poisson(rate): the number of events that come independently of each other, ``rate`` of them on average."""

    arg_constraints = parameters(rate=nonnegative)
    support = nonnegative_integer

    def __init__(self, rate, validate_args=None):
        super().__init__(validate_args, rate=rate)

    def sample(self, sample_shape=()):
        rate = self.rate.detach().numpy()
        return noise.drawn(lambda numbers: numbers.poisson(rate, self._shape(sample_shape)), self.rate)

    def log_prob(self, value):
        k = self._value(value)
        return xlogy(k, self.rate) - self.rate - gammaln(k + 1)

    @property
    def mean(self):
        return self.rate

    variance = mean

    @property
    def mode(self):
        return tj.floor(self.rate)
