"""np.cbrt, np.logaddexp, math.lgamma and math.gamma of active numbers: Numba's values, with derivatives of their own."""

import math

import numpy as np
from numba.extending import overload

from tapejit.nopython.cache import helper, typed
from tapejit.nopython.custom import attach, attach_all
from tapejit.nopython.exchange import enter_form
from tapejit.nopython.statements import constant_like, inner
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import is_active, is_number, level, promote


@active_function
def _cube_root(x):
    y = np.cbrt(inner(x))
    return attach(constant_like(x, y), 1.0 / (3.0 * y * y), x)


enter_form(np.cbrt, lambda x: _cube_root if is_active(x) else None)


@active_function
def _log_of_sum(x, y):
    like = x * 0.0 + y * 0.0
    a, b = below(like, x), below(like, y)
    out = np.logaddexp(a, b)
    finite = math.isfinite(out)
    p = np.exp(a - out) if finite else 0.5 * (1.0 + np.sign(a - b) if a != b else 1.0)
    return attach_all(attach_all(constant_like(like, out), p, x), 1.0 - p, y)


def below(like, x):
    raise NotImplementedError


@typed(below)
def _below(like, x):
    return (lambda like, x: inner(x)) if level(x) == like.level else (lambda like, x: x)


def _of_two(x, y):
    fits = (is_active(x) or is_active(y)) and all(is_active(t) or is_number(t) for t in (x, y))
    return _log_of_sum if fits and promote(x, y, strict=False) is not None else None


enter_form(np.logaddexp, _of_two)

_BERNOULLI = tuple(
    b / math.factorial(2 * k)
    for k, b in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510), 1)
)
FAR = 16.0  # from here on the asymptotic series is exact to rounding


@helper
def polygamma_of_float(n, x):
    """The n-th derivative of the digamma function: the recurrence up to ``FAR``, then the series (DLMF 5.11.2, 5.15.8)."""
    if x <= 0.0 and x == math.floor(x):
        return math.nan if n == 0 else math.inf
    factorial = 1.0
    for k in range(2, n + 1):
        factorial *= k
    sign = -1.0 if n % 2 == 0 else 1.0  # (-1) ** (n + 1)
    total = 0.0
    while x < FAR:
        total += sign * factorial / x ** (n + 1)
        x += 1.0
    lead = -math.log(x) if n == 0 else factorial / n / x**n
    series = lead + 0.5 * factorial / x ** (n + 1)
    rising = 1.0  # (2k + n - 1)!
    for k in range(2, n + 2):
        rising *= k
    power = x ** (n + 2)
    for k in range(1, len(_BERNOULLI) + 1):
        series += _BERNOULLI[k - 1] * rising / power
        rising *= (2 * k + n) * (2 * k + n + 1)
        power *= x * x
    return total + sign * series


def polygamma(n, x):
    """The n-th derivative of the digamma function."""
    raise NotImplementedError


@overload(polygamma)
def _polygamma(n, x):
    if is_active(x):
        return lambda n, x: _active_polygamma(n, x)
    return lambda n, x: polygamma_of_float(n, float(x))


@active_function
def _active_polygamma(n, x):
    below = inner(x)
    return attach(constant_like(x, polygamma(n, below)), polygamma(n + 1, below), x)


@active_function
def _log_gamma(x):
    below = inner(x)
    return attach(constant_like(x, math.lgamma(below)), polygamma(0, below), x)


@active_function
def _gamma(x):
    below = inner(x)
    value = math.gamma(below)
    return attach(constant_like(x, value), value * polygamma(0, below), x)


enter_form(math.lgamma, lambda x: _log_gamma if is_active(x) else None)
enter_form(math.gamma, lambda x: _gamma if is_active(x) else None)
