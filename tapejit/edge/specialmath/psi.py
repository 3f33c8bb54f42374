"""The digamma and trigamma functions of positive numbers, and the remainder of Stirling's formula (DLMF 5.11, 5.15)."""

import math

from tapejit.edge.jit import inner

_FAR = 12.0  # from here on nine terms of the asymptotic series are exact to rounding
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)


@inner
def digamma(x):
    """The derivative of the logarithm of the gamma function, for x > 0."""
    total = 0.0
    while x < _FAR:
        total -= 1.0 / x
        x += 1.0
    return total + math.log(x) - log_less_digamma(x)


@inner
def log_less_digamma(x):
    """log(x) - digamma(x), without their difference, for x >= ``_FAR``."""
    square = 1.0 / (x * x)
    power, series = square, 0.5 / x
    for k in range(len(_BERNOULLI)):
        series += _BERNOULLI[k] / (2 * k + 2) * power
        power *= square
    return series


@inner
def trigamma(x):
    """The derivative of the digamma function, for x > 0."""
    total = 0.0
    while x < _FAR:
        total += 1.0 / (x * x)
        x += 1.0
    square = 1.0 / (x * x)
    power, series = square / x, 1.0 / x + 0.5 * square
    for k in range(len(_BERNOULLI)):
        series += _BERNOULLI[k] * power
        power *= square
    return total + series


@inner
def stirling(x):
    """log(gamma(x)) less (x - 1/2) log(x) - x + log(2 pi) / 2, for x >= ``_FAR``."""
    square = 1.0 / (x * x)
    power, series = 1.0 / x, 0.0
    for k in range(len(_BERNOULLI)):
        series += _BERNOULLI[k] / ((2 * k + 2) * (2 * k + 1)) * power
        power *= square
    return series
