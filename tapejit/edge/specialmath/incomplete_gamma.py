"""Derivatives in ``a`` of the regularised incomplete gamma function P(a, x).

P(a, x) is the integral of the density t ** (a - 1) exp(-t) / gamma(a) from 0 to x. Its derivative in a has the factor
log(t) - psi(a) below the integral, which changes its sign once: the integral is taken over the side of x where it does not, so
nothing cancels. Below that place P(a, x) = P(a + 1, x) + x ** a exp(-x) / gamma(a + 1) (DLMF 8.8.5), so that a >= 1 there.
"""

import math

from tapejit.edge.jit import inner
from tapejit.edge.specialmath.halfline import NODES, SMALL, WEIGHTS
from tapejit.edge.specialmath.psi import _FAR, digamma, log_less_digamma, stirling, trigamma


@inner
def scaled_density(a, x):
    """x ** a exp(-x) / gamma(a), to a few ulp for large a too."""
    if a >= _FAR:
        off = (x - a) / a
        exponent = a * (math.log1p(off) - off) if abs(off) < 0.5 else a * math.log(x / a) - (x - a)
        return math.sqrt(a / (2.0 * math.pi)) * math.exp(exponent - stirling(a))
    return math.exp(a * math.log(x) - x - math.lgamma(a))


@inner
def log_ratio(a, x):
    """log(x) - psi(a)."""
    if a >= _FAR and abs(x - a) < 0.5 * a:
        return math.log1p((x - a) / a) + log_less_digamma(a)
    return math.log(x) - digamma(a)


@inner
def _factor(order, y, spread):
    """The derivative of the density in a over the density; y is log(t) - psi(a), spread the trigamma function."""
    return y if order == 1 else y * y - spread


@inner
def _below(a, x, order):
    """The derivative of P(a, x), integrated over t = x exp(-s)."""
    scale = 1.0 / (abs(a - x) + math.sqrt(x))
    y, spread, total = log_ratio(a, x), trigamma(a), 0.0
    for k in range(len(NODES)):
        s = NODES[k] * scale
        exponent = -a * s - x * math.expm1(-s)
        if exponent < SMALL:
            break
        total += WEIGHTS[k] * math.exp(exponent) * _factor(order, y - s, spread)
    return scaled_density(a, x) * scale * total


@inner
def _above(a, x, order):
    """The derivative of 1 - P(a, x), integrated over t = x exp(s)."""
    scale = 1.0 / (abs(x - a) + math.sqrt(x))
    y, spread, total = log_ratio(a, x), trigamma(a), 0.0
    for k in range(len(NODES)):
        s = NODES[k] * scale
        exponent = a * s - x * math.expm1(s)
        if exponent < SMALL:
            break
        total += WEIGHTS[k] * math.exp(exponent) * _factor(order, y + s, spread)
    return scaled_density(a, x) * scale * total


@inner
def _derivative(a, x, order):
    if not (a > 0.0 and x >= 0.0 and a < math.inf):
        return math.nan
    if x == 0.0 or x == math.inf:
        return 0.0
    y = log_ratio(a + 1.0, x)
    if y <= 0.0:
        return _below(a + 1.0, x, order) + scaled_density(a + 1.0, x) / x * _factor(order, y, trigamma(a + 1.0))
    return -_above(a, x, order)


def gammainc_a(a, x, _):
    return _derivative(a, x, 1)


def gammainc_aa(a, x, _):
    return _derivative(a, x, 2)


def gamma_density(a, x, _):
    """x ** (a - 1) exp(-x) / gamma(a)."""
    if not (a > 0.0 and x >= 0.0):
        return math.nan
    if x == 0.0:
        return math.inf if a < 1.0 else 1.0 if a == 1.0 else 0.0
    if x == math.inf or a == math.inf:
        return 0.0
    return scaled_density(a, x) / x
