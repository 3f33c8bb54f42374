"""Derivatives in ``a`` and ``b`` of the regularised incomplete beta function I_x(a, b).

As for the gamma function: the factors log(t) - psi(a) + psi(a + b) and log(1 - t) - psi(b) + psi(a + b) below the integral of
the density change their sign once, and the integral is taken over the side of x where they do not. The end of the interval
is moved one step of the recurrence away: I_x(a, b) = I_x(a + 1, b) + x ** a (1 - x) ** b / (a B(a, b)) (DLMF 8.17.20).
"""

import math

from tapejit.edge.jit import inner
from tapejit.edge.specialmath.halfline import NODES, SMALL, WEIGHTS
from tapejit.edge.specialmath.psi import _FAR, digamma, stirling, trigamma


@inner
def _one_large(a, b):
    """log(gamma(a + b) / gamma(a)) for a >= ``_FAR``, without their difference."""
    return (a - 0.5) * math.log1p(b / a) + b * (math.log(a + b) - 1.0) + stirling(a + b) - stirling(a)


@inner
def scaled_density(a, b, x, y):
    """x ** a y ** b / B(a, b) with y = 1 - x, to a few ulp for large a and b too."""
    if a >= _FAR and b >= _FAR:
        off = a * y - b * x
        if abs(off) < 0.5 * min(a, b):
            exponent = a * math.log1p(-off / a) + b * math.log1p(off / b)
        else:
            exponent = a * math.log(x * (1.0 + b / a)) + b * math.log(y * (1.0 + a / b))
        corrections = stirling(a + b) - stirling(a) - stirling(b)
        return math.sqrt(a / (a + b) * b / (2.0 * math.pi)) * math.exp(exponent + corrections)
    exponent = a * log_of(x, y) + b * log_of(y, x)
    if a >= _FAR:
        return math.exp(exponent + _one_large(a, b) - math.lgamma(b))
    if b >= _FAR:
        return math.exp(exponent + _one_large(b, a) - math.lgamma(a))
    return math.exp(exponent + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))


@inner
def log_of(x, y):
    """log(x), by its complement y where that is the smaller one."""
    return math.log(x) if x < 0.5 else math.log1p(-y)


@inner
def _factor(i, j, u, v, constant):
    """The derivative of the density of order i in a and j in b, over it; u and v are the first derivatives of its logarithm."""
    if i + j == 1:
        return u if i == 1 else v
    return (u * v if i == 1 else u * u if i == 2 else v * v) + constant


@inner
def _curvature(i, j, a, b):
    """The second derivative of the logarithm of the density."""
    if i + j == 1:
        return 0.0
    return trigamma(a + b) - (0.0 if i == 1 else trigamma(a) if i == 2 else trigamma(b))


@inner
def _below(a, b, x, y, i, j):
    """The derivative of I_x(a, b), integrated over t = x exp(-s)."""
    slope = (b - 1.0) * (x / y) - a
    scale = 1.0 / (abs(slope) + math.sqrt(abs(b - 1.0) * x) / y)
    joint = digamma(a + b)
    u, v, total = log_of(x, y) - digamma(a) + joint, log_of(y, x) - digamma(b) + joint, 0.0
    constant = _curvature(i, j, a, b)
    for k in range(len(NODES)):
        s = NODES[k] * scale
        rest = math.log1p(-x / y * math.expm1(-s))  # log((1 - t) / (1 - x))
        exponent = (b - 1.0) * rest - a * s
        if exponent < SMALL:
            break
        total += WEIGHTS[k] * math.exp(exponent) * _factor(i, j, u - s, v + rest, constant)
    return scaled_density(a, b, x, y) / y * scale * total


@inner
def _stepped(a, b, x, y, i, j):
    """The derivative of I_x(a, b) by the recurrence."""
    joint = digamma(a + b)
    u, v = log_of(x, y) - digamma(a + 1.0) + joint, log_of(y, x) - digamma(b) + joint
    constant = trigamma(a + b) - (0.0 if i == 1 else trigamma(a + 1.0) if i == 2 else trigamma(b))
    factor = _factor(i, j, u, v, constant)
    return _below(a + 1.0, b, x, y, i, j) + scaled_density(a, b, x, y) / a * factor


@inner
def _derivative(a, b, x, i, j):
    if not (a > 0.0 and b > 0.0 and 0.0 <= x <= 1.0):
        return math.nan
    if x == 0.0 or x == 1.0:
        return 0.0
    y = 1.0 - x
    if b == 1.0 and i == 2:  # a plain power; close to x = 1 the integral would be a difference
        return log_of(x, y) * log_of(x, y) * x**a
    if a == 1.0 and j == 2:
        return -log_of(y, x) * log_of(y, x) * y**b
    if j == 0:
        low = log_of(x, y) <= digamma(a + 1.0) - digamma(a + b + 1.0)
    elif i == 0:
        low = log_of(y, x) >= digamma(b + 1.0) - digamma(a + b + 1.0)
    else:
        low = x * (b + 1.0) <= y * (a + 1.0)
    return _stepped(a, b, x, y, i, j) if low else -_stepped(b, a, y, x, j, i)


def betainc_a(a, b, x, _):
    return _derivative(a, b, x, 1, 0)


def betainc_b(a, b, x, _):
    return _derivative(a, b, x, 0, 1)


def betainc_aa(a, b, x, _):
    return _derivative(a, b, x, 2, 0)


def betainc_ab(a, b, x, _):
    return _derivative(a, b, x, 1, 1)


def betainc_bb(a, b, x, _):
    return _derivative(a, b, x, 0, 2)


def beta_density(a, b, x, _):
    """x ** (a - 1) (1 - x) ** (b - 1) / B(a, b)."""
    if not (a > 0.0 and b > 0.0 and 0.0 <= x <= 1.0):
        return math.nan
    if x == 0.0:
        return math.inf if a < 1.0 else b if a == 1.0 else 0.0
    if x == 1.0:
        return math.inf if b < 1.0 else a if b == 1.0 else 0.0
    y = 1.0 - x
    return scaled_density(a, b, x, y) / x / y
