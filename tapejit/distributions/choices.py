"""Distributions of one choice among several, and of the counts of many such."""

import math

import tapejit as tj
from tapejit.distributions import constraints, noise
from tapejit.distributions.base import Distribution, derived, one_of, parameters
from tapejit.distributions.constraints import real_vector, simplex
from tapejit.special import gammaln, xlog1py, xlogy


class _OfChoices(Distribution):
    """A distribution with a vector of probabilities, given up to a factor, or their logarithms up to a constant."""

    arg_constraints = parameters(probs=simplex, logits=real_vector)

    def __init__(self, probs, logits, validate_args):
        one_of(type(self).__name__, probs=probs, logits=logits)
        if probs is not None:
            probs = tj.as_tensor(probs)
            probs = probs / probs.sum(-1, keepdim=True)
        else:
            logits = tj.as_tensor(logits)
            if logits.ndim:
                logits = logits - tj.logsumexp(logits, -1, keepdim=True)
        super().__init__(validate_args, probs=probs, logits=logits)

    @derived
    def probs(self):
        """The probabilities, which sum up to one."""
        return tj.softmax(self.logits, -1)

    @derived
    def logits(self):
        """The logarithms of the probabilities."""
        eps = tj.finfo(self.probs.dtype).eps
        return tj.log(tj.clamp(self.probs, eps, 1 - eps))

    @property
    def param_shape(self):
        """The shape of the probabilities."""
        return self._like().shape

    @property
    def _count(self):
        return self._like().shape[-1]

    def _entropy(self):
        p, logits = self.probs, self.logits
        return -(p * tj.clamp(logits, min=tj.finfo(logits.dtype).min)).sum(-1)

    def _draw(self, sample_shape):
        """Numbers of choices, as an array of int64: (*sample_shape, *batch_shape)."""
        p = self.probs.detach().numpy()
        edges = p.cumsum(-1) / p.sum(-1, keepdims=True)
        edges[..., -1] = 1.0
        shape = (*sample_shape, *self.batch_shape, 1)
        return noise.drawn_array(lambda numbers: (numbers.random(shape) >= edges).sum(-1))


class Categorical(_OfChoices):
    """Categorical(probs=None, logits=None): one of the numbers from 0 to K - 1, with K probabilities in proportion to probs."""

    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(probs, logits, validate_args)

    @property
    def support(self):
        """Integers from 0 to K - 1."""
        return constraints.integer_interval(0, self._count - 1)

    def sample(self, sample_shape=()):
        return tj.as_tensor(self._draw(sample_shape))

    def log_prob(self, value):
        k = self._value(value).long()
        shape = tj.broadcast_shapes(k.shape, self.batch_shape)
        logits = self.logits.expand((*shape, self._count))
        return tj.gather(logits, -1, k.expand(shape).unsqueeze(-1)).squeeze(-1)

    def entropy(self):
        return self._entropy()

    def enumerate_support(self, expand=True):
        values = tj.arange(self._count).reshape(-1, *[1] * len(self.batch_shape))
        return values.expand((-1, *self.batch_shape)) if expand else values

    @property
    def mean(self):
        """Not a number: the choices have no order."""
        return tj.full(self.batch_shape, math.nan, dtype=self._like().dtype)

    variance = mean

    @property
    def mode(self):
        return self._like().argmax(-1)


class OneHotCategorical(_OfChoices):
    """OneHotCategorical(probs=None, logits=None): a vector with a one at the choice and zeros elsewhere."""

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(probs, logits, validate_args)

    @property
    def event_shape(self):
        """(K,)"""
        return tj.Size((self._count,))

    def sample(self, sample_shape=()):
        places = self._draw(sample_shape)[..., None]
        return noise.drawn(lambda _: places == range(self._count), self._like())

    def log_prob(self, value):
        x = self._value(value)
        return tj.where(x > 0, self.logits, 0.0).sum(-1)

    def entropy(self):
        return self._entropy()

    def enumerate_support(self, expand=True):
        n = self._count
        values = tj.eye(n, dtype=self._like().dtype).reshape(n, *[1] * len(self.batch_shape), n)
        return values.expand((n, *self.batch_shape, n)) if expand else values

    @property
    def mean(self):
        return self.probs

    @property
    def mode(self):
        return tj.nn.functional.one_hot(self._like().argmax(-1), self._count).to(self._like().dtype)

    @property
    def variance(self):
        return self.probs * (1 - self.probs)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """OneHotCategorical whose samples have the probabilities' derivatives (Bengio and others 2013)."""

    has_rsample = True

    def rsample(self, sample_shape=()):
        p = self.probs
        return self.sample(sample_shape) + (p - p.detach())


class Multinomial(_OfChoices):
    """Multinomial(total_count=1, probs=None, logits=None): how often each of K is chosen, among ``total_count`` choices."""

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError("Multinomial takes one int as total_count")
        self.total_count = total_count
        super().__init__(probs, logits, validate_args)

    def _options(self):
        return {"total_count": self.total_count}

    @property
    def support(self):
        """Vectors of counts."""
        return constraints.multinomial(self.total_count)

    @property
    def event_shape(self):
        """(K,)"""
        return tj.Size((self._count,))

    def sample(self, sample_shape=()):
        p = self.probs.detach().numpy().astype("float64")
        p = p / p.sum(-1, keepdims=True)
        size = (*sample_shape, *self.batch_shape)
        return noise.drawn(lambda numbers: numbers.multinomial(self.total_count, p, size), self._like())

    def log_prob(self, value):
        x = self._value(value)
        logits = self.logits
        seen = tj.where((x == 0) & (logits == -math.inf), 0.0, x * tj.clamp(logits, min=tj.finfo(logits.dtype).min))
        return gammaln(x.sum(-1) + 1) - gammaln(x + 1).sum(-1) + seen.sum(-1)

    def entropy(self):
        n, p = self.total_count, self.probs
        k = tj.arange(1.0, n + 1, dtype=p.dtype).reshape(-1, *[1] * p.ndim)
        log_p = gammaln(k.new_tensor(n + 1.0)) - gammaln(k + 1) - gammaln(n - k + 1) + xlogy(k, p) + xlog1py(n - k, -p)
        return n * self._entropy() - math.lgamma(n + 1) + (tj.exp(log_p) * gammaln(k + 1)).sum((0, -1))

    @property
    def mean(self):
        return self.total_count * self.probs

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)
