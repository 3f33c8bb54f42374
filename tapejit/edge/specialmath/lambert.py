"""The real branches of Lambert's function: w exp(w) = x (Corless and others, 1996, Adv. Comput. Math. 5, 329)."""

import math

from tapejit.edge.jit import inner

_BRANCH = 1.0 / math.e
_REST = -1.2428753672788614e-17  # 1 / e less its nearest double


@inner
def _refined(w, x):
    """Halley's steps from a start near the solution."""
    for _ in range(40):
        e = math.exp(w)
        miss = w * e - x
        if w == -1.0 or miss == 0.0:
            break
        step = miss / (e * (w + 1.0) - (w + 2.0) * miss / (2.0 * w + 2.0))
        w -= step
        if abs(step) <= 1e-16 * abs(w):
            break
    return w


@inner
def _logarithmic(w, x):
    """Newton's steps for w + log(w / x) = 0, where exp(w) would leave the range of numbers."""
    for _ in range(40):
        step = w * (w + math.log(w / x)) / (w + 1.0)
        w -= step
        if abs(step) <= 1e-16 * abs(w):
            break
    return w


@inner
def _near_branch(p):
    """The series of w at -1/e in p = sqrt(2 (e x + 1)), with its sign for the branch."""
    coefficients = (
        -1.0, 1.0, -1 / 3, 11 / 72, -43 / 540, 769 / 17280, -221 / 8505, 680863 / 43545600, -1963 / 204120,
        226287557 / 37623398400,
    )  # fmt: skip
    total = 0.0
    for k in range(len(coefficients) - 1, -1, -1):
        total = total * p + coefficients[k]
    return total


def lambertw(x, _):
    """The branch of w >= -1, for x >= -1/e."""
    above = x + _BRANCH + _REST
    if not above >= 0.0:
        return -1.0 if x == -_BRANCH else math.nan
    if x == 0.0 or x == math.inf:
        return x
    p = math.sqrt(2.0 * math.e * above)
    if p < 0.02:
        return _near_branch(p)
    if p < 1.5:
        return _refined(_near_branch(p) if p < 0.7 else math.log1p(x) if x > 0.0 else p - 1.0 - p * p / 3.0, x)
    w = math.log1p(x)
    if x > 3.0:
        w = math.log(x) - math.log(math.log(x))
        return _logarithmic(w, x)
    return _refined(w, x)


def lambertw_lower(x, _):
    """The branch of w <= -1, for -1/e <= x < 0."""
    above = x + _BRANCH + _REST
    if x == 0.0:
        return -math.inf
    if not above >= 0.0 or not x < 0.0:
        return -1.0 if x == -_BRANCH else math.nan
    p = math.sqrt(2.0 * math.e * above)
    if p < 0.02:
        return _near_branch(-p)
    size = math.log(-x)
    return _logarithmic(_near_branch(-p) if p < 0.7 else size - math.log(-size), x)
