"""Random tensors of standard distributions, from which the others are made."""

import numpy as np

import tapejit as tj
from tapejit.eager.dispatch import from_array
from tapejit.eager.random import drawing
from tapejit.special import gammainc, gammaln, xlogy


def drawn_array(draw):
    """What ``draw(generator)`` gives, as NumPy's numbers."""
    return np.asarray(draw(drawing()))


def drawn(draw, like):
    """What ``draw(generator)`` gives, as a tensor with another one's dtype."""
    return from_array(drawn_array(draw), like.dtype)


def normal(shape, like):
    """Standard normal numbers."""
    return drawn(lambda numbers: numbers.standard_normal(tuple(shape)), like)


def exponential(shape, like):
    """Exponential numbers of mean 1."""
    return drawn(lambda numbers: numbers.standard_exponential(tuple(shape)), like)


def uniform(shape, like):
    """Numbers strictly between 0 and 1."""
    info = tj.finfo(like.dtype)
    return tj.clamp(drawn(lambda numbers: numbers.random(tuple(shape)), like), info.tiny, 1 - info.eps / 2)


def gamma(shape, concentration):
    """Gamma numbers of rate 1, as differentiable functions of the concentration (broadcast to the shape).

    A number z stays where the distribution function has its value u as the concentration a changes: P(a, z) = u. Two steps of
    Newton's method from z, which are zero in value, have the first and second derivatives of that z(a) (Figurnov, Mohamed and
    Mnih 2018 derive the first).
    """
    a = concentration.expand(tuple(shape))
    z = drawn(lambda numbers: numbers.standard_gamma(a.detach().numpy()), a)
    z = tj.clamp(z, min=tj.finfo(a.dtype).tiny)
    if not (a.requires_grad and tj.is_grad_enabled()):
        return z
    level = gammainc(a.detach(), z)
    for _ in range(2):
        z = z - (gammainc(a, z) - level) * tj.exp(gammaln(a) + z - xlogy(a - 1, z))
    return z
