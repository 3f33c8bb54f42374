"""Layers that draw random numbers beyond ``dropout``: with the mean and variance kept, with random slopes, of categories."""

import math

import tapejit as tj
from tapejit.nn.dense import Dropout, check_probability, dropped_channels
from tapejit.nn.module import Module

_SATURATED = -1.7580993408473766  # what selu tends to for large negative numbers


def dropout3d(input, p=0.5, training=True, inplace=False):
    """``dropout`` of whole channels of (..., channels, depth, height, width)."""
    return dropped_channels(input, p, training, 3)


def _alpha(input, p, training, shape):
    check_probability(p)
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0.0
    a = 1 / math.sqrt((1 - p) * (1 + p * _SATURATED**2))
    with tj.no_grad():
        kept = (tj.rand(*shape) >= p).to(input.dtype)
    return (input * kept + _SATURATED * (1 - kept)) * a - a * p * _SATURATED


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Elements are what ``selu`` tends to with probability p; all are moved so that a mean of 0 and a variance of 1 stay."""
    return _alpha(input, p, training, tuple(input.shape))


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """``alpha_dropout`` of whole channels of (batch, channels, ...)."""
    return _alpha(input, p, training, (*input.shape[:2], *(1,) * (input.ndim - 2)))


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """``leaky_relu`` with slopes drawn between two numbers, or with their mean when not training."""
    if lower > upper:
        raise RuntimeError(f"rrelu() draws between a lower and an upper bound, got {lower} and {upper}")
    if not training:
        return tj.where(input >= 0, input, input * ((lower + upper) / 2))
    with tj.no_grad():
        slopes = (tj.rand(*input.shape) * (upper - lower) + lower).to(input.dtype)
    return tj.where(input >= 0, input, input * slopes)


def gumbel_softmax(logits, tau=1.0, hard=False, eps=1e-10, dim=-1):
    """A softmax of logits with Gumbel noise, over ``tau``; ``hard``: ones at the largest, with the softmax's gradient."""
    with tj.no_grad():
        noise = -tj.log(-tj.log(tj.clamp(tj.rand(*logits.shape), min=1e-300))).to(logits.dtype)
    soft = tj.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    with tj.no_grad():
        ones = tj.zeros_like(soft).scatter(dim, soft.argmax(dim, keepdim=True), 1.0)
    return ones - soft.detach() + soft


class Dropout3d(Dropout):
    """Dropout of whole channels of (..., channels, depth, height, width)."""

    _function = staticmethod(dropout3d)


class AlphaDropout(Dropout):
    """See ``functional.alpha_dropout``."""

    _function = staticmethod(alpha_dropout)


class FeatureAlphaDropout(Dropout):
    """See ``functional.feature_alpha_dropout``."""

    _function = staticmethod(feature_alpha_dropout)


class RReLU(Module):
    """See ``functional.rrelu``."""

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__()
        self.lower, self.upper = lower, upper

    def forward(self, input):
        return rrelu(input, self.lower, self.upper, self.training)
