"""Distributions made of others: independent ones together, mixtures, transformed ones."""

import tapejit as tj
from tapejit.distributions import constraints
from tapejit.distributions.base import Distribution
from tapejit.distributions.bijections import ComposeTransform, StickBreakingTransform, Transform
from tapejit.distributions.choices import Categorical
from tapejit.distributions.helping import summed
from tapejit.distributions.unbounded import Normal


class _Made(Distribution):
    """A distribution that has others in place of parameters."""

    def __init__(self, batch_shape, validate_args):
        if validate_args is not None:
            self._validate_args = validate_args
        self._given, self.batch_shape = (), tj.Size(batch_shape)

    def _like(self):
        return None


class Independent(_Made):
    """Independent(base, k): the last k dimensions of the batch become part of one event.

    Raises:
        ValueError: if the batch has fewer.
    """

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        shape, k = base_distribution.batch_shape, reinterpreted_batch_ndims
        if k > len(shape):
            raise ValueError(f"reinterpreted_batch_ndims is {k}, the batch has the shape {tuple(shape)}")
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, k
        super().__init__(shape[: len(shape) - k], validate_args)

    @property
    def event_shape(self):
        """The shape of one sample."""
        shape, k = self.base_dist.batch_shape, self.reinterpreted_batch_ndims
        return tj.Size((*shape[len(shape) - k :], *self.base_dist.event_shape))

    @property
    def has_rsample(self):
        """Whether samples are differentiable functions of the parameters."""
        return self.base_dist.has_rsample

    @property
    def support(self):
        """Where samples lie."""
        return constraints.independent(self.base_dist.support, self.reinterpreted_batch_ndims)

    def expand(self, batch_shape):
        tail = self.base_dist.batch_shape[len(self.batch_shape) :]
        return Independent(self.base_dist.expand((*batch_shape, *tail)), self.reinterpreted_batch_ndims)

    def sample(self, sample_shape=()):
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value):
        return summed(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self):
        return summed(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    @property
    def mean(self):
        return self.base_dist.mean

    @property
    def mode(self):
        return self.base_dist.mode

    @property
    def variance(self):
        return self.base_dist.variance

    def __repr__(self):
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamily(_Made):
    """MixtureSameFamily(mixture, components): the last dimension of the components' batch is chosen by a ``Categorical``.

    Raises:
        ValueError: if the shapes do not fit.
    """

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        mixture, parts = mixture_distribution, component_distribution
        if not isinstance(mixture, Categorical):
            raise ValueError(f"the mixture is a Categorical, got {type(mixture).__name__}")
        if not parts.batch_shape or parts.batch_shape[-1] != mixture.param_shape[-1]:
            raise ValueError(f"{mixture.param_shape[-1]} weights, and components of the batch {tuple(parts.batch_shape)}")
        self.mixture_distribution, self.component_distribution = mixture, parts
        super().__init__(tj.broadcast_shapes(mixture.batch_shape, parts.batch_shape[:-1]), validate_args)

    @property
    def event_shape(self):
        """The shape of one sample."""
        return self.component_distribution.event_shape

    @property
    def support(self):
        """Where samples lie."""
        return self.component_distribution.support

    def expand(self, batch_shape):
        mixture, parts = self.mixture_distribution, self.component_distribution
        return MixtureSameFamily(mixture.expand(batch_shape), parts.expand((*batch_shape, parts.batch_shape[-1])))

    def _spread(self, value):
        """A value with a dimension of components before its event."""
        value = self._value(value)
        return value.unsqueeze(value.ndim - len(self.event_shape))

    def _weights(self):
        p = self.mixture_distribution.probs
        return p.reshape(*p.shape, *[1] * len(self.event_shape)), -1 - len(self.event_shape)

    def log_prob(self, value):
        found = self.component_distribution.log_prob(self._spread(value))
        return tj.logsumexp(found + tj.log_softmax(self.mixture_distribution.logits, -1), -1)

    def cdf(self, value):
        return (self.component_distribution.cdf(self._spread(value)) * self.mixture_distribution.probs).sum(-1)

    def sample(self, sample_shape=()):
        with tj.no_grad():
            chosen = self.mixture_distribution.expand(self.batch_shape).sample(sample_shape)
            found = self.component_distribution.sample(sample_shape)
            tail = len(self.event_shape)
            shape = (*sample_shape, *self.batch_shape, self.component_distribution.batch_shape[-1], *self.event_shape)
            at = chosen.reshape(*chosen.shape, *[1] * (tail + 1)).expand((*chosen.shape, 1, *self.event_shape))
            return tj.gather(found.expand(shape), -1 - tail, at).squeeze(-1 - tail)

    @property
    def mean(self):
        weights, dim = self._weights()
        return (weights * self.component_distribution.mean).sum(dim)

    @property
    def variance(self):
        weights, dim = self._weights()
        within = (weights * self.component_distribution.variance).sum(dim)
        gaps = self.component_distribution.mean - self.mean.unsqueeze(dim)
        return within + (weights * gaps**2).sum(dim)

    def __repr__(self):
        return f"MixtureSameFamily({self.mixture_distribution}, {self.component_distribution})"


class TransformedDistribution(_Made):
    """TransformedDistribution(base, transforms): the distribution of a sample of the base after some transforms."""

    def __init__(self, base_distribution, transforms, validate_args=None):
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        self._whole = ComposeTransform(self.transforms)
        events = max(len(base_distribution.event_shape), self._whole.domain_dim)
        more = events - len(base_distribution.event_shape)
        self.base_dist = Independent(base_distribution, more) if more > 0 else base_distribution
        shape = self._whole.forward_shape((*self.base_dist.batch_shape, *self.base_dist.event_shape))
        self._event_dim = events + self._whole.codomain_dim - self._whole.domain_dim
        self._event = tj.Size(shape[len(shape) - self._event_dim :])
        super().__init__(shape[: len(shape) - self._event_dim], validate_args)

    @property
    def event_shape(self):
        """The shape of one sample."""
        return self._event

    @property
    def has_rsample(self):
        """Whether samples are differentiable functions of the parameters."""
        return self.base_dist.has_rsample

    @property
    def support(self):
        """Where samples lie."""
        if not self.transforms:
            return self.base_dist.support
        found = self.transforms[-1].codomain
        more = self._event_dim - found.event_dim
        return constraints.independent(found, more) if more > 0 else found

    def expand(self, batch_shape):
        return TransformedDistribution(self.base_dist.expand(batch_shape), self.transforms)

    def sample(self, sample_shape=()):
        with tj.no_grad():
            return self._whole(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()):
        return self._whole(self.base_dist.rsample(sample_shape))

    def log_prob(self, value):
        y, total, events = self._value(value), 0.0, self._event_dim
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            events += transform.domain_dim - transform.codomain_dim
            total = total - summed(transform.log_abs_det_jacobian(x, y), events - transform.domain_dim)
            y = x
        return total + summed(self.base_dist.log_prob(y), events - len(self.base_dist.event_shape))

    def _monotone(self, value):
        """(the value before the transforms, whether they rise)"""
        sign = self._whole.sign
        return self._whole.inv(self._value(value)), sign

    def cdf(self, value):
        x, sign = self._monotone(value)
        return 0.5 + sign * (self.base_dist.cdf(x) - 0.5)

    def icdf(self, value):
        return self._whole(self.base_dist.icdf(0.5 + self._whole.sign * (value - 0.5)))

    def __repr__(self):
        return f"TransformedDistribution({self.base_dist}, {self.transforms})"


class LogisticNormal(TransformedDistribution):
    """LogisticNormal(loc, scale): n + 1 probabilities, broken off a stick by the sigmoids of n normal numbers.

    Args:
        loc, scale: means and standard deviations: (..., n).
    """

    def __init__(self, loc, scale, validate_args=None):
        base = Normal(loc, scale, validate_args)
        super().__init__(base if base.batch_shape else base.expand((1,)), StickBreakingTransform(), validate_args)

    @property
    def loc(self):
        """The means."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self):
        """The standard deviations."""
        return self.base_dist.base_dist.scale

    def expand(self, batch_shape):
        shape = (*batch_shape, *self.base_dist.event_shape)
        return LogisticNormal(self.loc.expand(shape), self.scale.expand(shape))
