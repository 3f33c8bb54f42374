"""Transforms of parts, of shapes, and by a distribution's function."""

import math

import tapejit as tj
from tapejit.distributions import constraints
from tapejit.distributions.bijections import Transform
from tapejit.distributions.helping import summed

__all__ = ["CatTransform", "CumulativeDistributionTransform", "ReshapeTransform", "StackTransform"]


class ReshapeTransform(Transform):
    """ReshapeTransform(in_shape, out_shape): the last dimensions in another shape.

    Raises:
        ValueError: if the shapes have not the same number of elements.
    """

    _made_of = ("in_shape", "out_shape")
    domain = property(lambda self: constraints.independent(constraints.real, self.domain_dim))
    codomain = property(lambda self: constraints.independent(constraints.real, self.codomain_dim))

    def __init__(self, in_shape, out_shape, cache_size=0):
        super().__init__(cache_size)
        self.in_shape, self.out_shape = tj.Size(in_shape), tj.Size(out_shape)
        if math.prod(in_shape) != math.prod(out_shape):
            raise ValueError(f"in_shape {tuple(in_shape)} and out_shape {tuple(out_shape)} have different numbers of elements")
        self.domain_dim, self.codomain_dim = len(in_shape), len(out_shape)

    def _call(self, x):
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y):
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x, y):
        return tj.zeros(x.shape[: x.ndim - self.domain_dim], dtype=x.dtype)

    def forward_shape(self, shape):
        return _exchanged(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape):
        return _exchanged(shape, self.out_shape, self.in_shape)


def _exchanged(shape, old, new):
    cut = len(shape) - len(old)
    if cut < 0 or tuple(shape[cut:]) != tuple(old):
        raise ValueError(f"the shape {tuple(shape)} does not end with {tuple(old)}")
    return (*shape[:cut], *new)


class _OfParts(Transform):
    """Transforms of the parts of a dimension; a subclass gives ``_split(x)`` and ``_joined(parts, dim)``."""

    def __init__(self, tseq, dim=0, cache_size=0):
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.domain_dim = self.codomain_dim = max(t.domain_dim for t in self.transforms)
        if any(t.domain_dim != t.codomain_dim for t in self.transforms):
            raise ValueError("the parts of a dimension keep the dimensions of their events")

    _made_of = ("transforms", "dim")

    @property
    def bijective(self):
        """Whether all parts are."""
        return all(t.bijective for t in self.transforms)

    def _of_each(self, method, *args):
        return [getattr(t, method)(*xs) for t, *xs in zip(self.transforms, *map(self._split, args), strict=True)]

    def _call(self, x):
        return self._joined(self._of_each("__call__", x), self.dim)

    def _inverse(self, y):
        return self._joined(self._of_each("_back", y), self.dim)

    def log_abs_det_jacobian(self, x, y):
        found = self._of_each("log_abs_det_jacobian", x, y)
        found = [summed(d, self.domain_dim - t.domain_dim) for t, d in zip(self.transforms, found, strict=True)]
        dim = (self.dim if self.dim < 0 else self.dim - x.ndim) + self.domain_dim  # of what is left, from its end
        return self._joined(found, dim) if dim < 0 else sum(found[1:], found[0])


class CatTransform(_OfParts):
    """CatTransform(tseq, dim=0, lengths=None): one transform after another along a dimension, each of as many as
    ``lengths`` says."""

    def __init__(self, tseq, dim=0, lengths=None, cache_size=0):
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)

    _made_of = ("transforms", "dim", "lengths")

    @property
    def length(self):
        """How long the dimension is."""
        return sum(self.lengths)

    domain = property(lambda self: constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths))
    codomain = property(lambda self: constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths))

    def _split(self, x):
        return tj.split(x, self.lengths, self.dim)

    @staticmethod
    def _joined(parts, dim):
        return tj.cat(parts, dim)


class StackTransform(_OfParts):
    """StackTransform(tseq, dim=0): a transform for each place of a dimension."""

    domain = property(lambda self: constraints.stack([t.domain for t in self.transforms], self.dim))
    codomain = property(lambda self: constraints.stack([t.codomain for t in self.transforms], self.dim))

    def _split(self, x):
        return tj.unbind(x, self.dim)

    @staticmethod
    def _joined(parts, dim):
        return tj.stack(parts, dim)


class CumulativeDistributionTransform(Transform):
    """CumulativeDistributionTransform(distribution): numbers to their ``cdf``."""

    codomain = constraints.unit_interval
    _made_of = ("distribution",)

    def __init__(self, distribution, cache_size=0):
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self):
        """The distribution's support."""
        return self.distribution.support

    def _call(self, x):
        return self.distribution.cdf(x)

    def _inverse(self, y):
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x, y):
        return self.distribution.log_prob(x)
