"""Continuous relaxations of choices: the concrete distribution (Maddison and others 2016; Jang and others 2016)."""

import math

import tapejit as tj
from tapejit.distributions import noise
from tapejit.distributions.choices import _OfChoices
from tapejit.distributions.constraints import simplex, unit_interval
from tapejit.distributions.counts import _OfProbability


class RelaxedBernoulli(_OfProbability):
    """RelaxedBernoulli(temperature, probs=None, logits=None): numbers between 0 and 1, the nearer to them the colder."""

    support = unit_interval
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = tj.as_tensor(temperature)
        super().__init__(validate_args, probs, logits)

    def _options(self):
        return {"temperature": self.temperature}

    def rsample(self, sample_shape=()):
        u = noise.uniform(self._shape(sample_shape), self._like())
        return tj.sigmoid((tj.log(u) - tj.log1p(-u) + self.logits) / self.temperature)

    def log_prob(self, value):
        x = self._value(value)
        y = tj.log(x) - tj.log1p(-x)  # of which the density is logistic
        gap = self.logits - self.temperature * y
        return tj.log(self.temperature) + gap - 2 * tj.softplus(gap) - tj.log(x) - tj.log1p(-x)


class RelaxedOneHotCategorical(_OfChoices):
    """RelaxedOneHotCategorical(temperature, probs=None, logits=None): vectors of
    K probabilities, the nearer to a choice the colder."""

    support = simplex
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = tj.as_tensor(temperature)
        super().__init__(probs, logits, validate_args)

    def _options(self):
        return {"temperature": self.temperature}

    @property
    def event_shape(self):
        """(K,)"""
        return tj.Size((self._count,))

    def rsample(self, sample_shape=()):
        gumbel = -tj.log(noise.exponential(self._shape(sample_shape), self._like()))
        return tj.softmax((self.logits + gumbel) / self.temperature, -1)

    def log_prob(self, value):
        log_x, k = tj.log(self._value(value)), self._count
        score = self.logits - self.temperature * log_x
        scale = math.lgamma(k) + (k - 1) * tj.log(self.temperature)
        return (score - tj.logsumexp(score, -1, keepdim=True)).sum(-1) + scale - log_x.sum(-1)
