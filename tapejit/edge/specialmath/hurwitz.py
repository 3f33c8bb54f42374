"""Hurwitz's zeta function for any sign of its second argument, and its derivatives in the first.

Euler and Maclaurin's formula (DLMF 25.11.5), differentiated term by term.
"""

import math

from tapejit.edge.jit import inner

_FAR = 12.0
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


@inner
def _derivative(s, q, order):
    """The derivative of the sum of (q + k) ** -s, of order 0, 1 or 2, for s > 1 and q > 0."""
    total = 0.0
    count = 0
    while q < max(_FAR, s) or count < 2:
        lead = -math.log(q)
        term = q**-s * (1.0 if order == 0 else lead if order == 1 else lead * lead)
        total += term
        q += 1.0
        count += 1
        if count > 2 and abs(term) < 1e-20 * abs(total):
            return total
    log, power, inverse = math.log(q), q**-s, 1.0 / (s - 1.0)
    # each term is a function of s times q ** -s: (t0, t1, t2) are its value and derivatives less that power
    t0, t1, t2 = inverse, -inverse * inverse, 2.0 * inverse**3
    sum0, sum1, sum2 = q * t0 + 0.5, q * t1, q * t2
    t0, t1, t2, scale = s, 1.0, 0.0, 1.0 / q
    for k in range(len(_BERNOULLI)):
        factor = _BERNOULLI[k] * scale / math.gamma(2.0 * k + 3.0)
        sum0 += factor * t0
        sum1 += factor * t1
        sum2 += factor * t2
        for shift in (2 * k + 1.0, 2 * k + 2.0):
            t0, t1, t2 = t0 * (s + shift), t1 * (s + shift) + t0, t2 * (s + shift) + 2.0 * t1
        scale /= q * q
    if order == 0:
        return total + power * sum0
    if order == 1:
        return total + power * (sum1 - log * sum0)
    return total + power * (sum2 - 2.0 * log * sum1 + log * log * sum0)


def hurwitz_zeta(s, q, _):
    """The function itself; where q < 0 there is a real one for integers s only."""
    if s != s or q != q or s < 1.0:
        return math.nan
    if s == 1.0 or (q <= 0.0 and q == math.floor(q)):
        return math.inf
    if s == math.inf and q >= 0.0:  # of the terms only the first counts
        return 1.0 if q == 1.0 else 0.0 if q > 1.0 else math.inf
    if q == math.inf:
        return 0.0
    if q < 0.0 and s != math.floor(s):
        return math.nan
    total = 0.0
    if q < -1000.0:  # the reflection of the terms below 0 in those above it would be exact, but so far out nothing is
        return math.nan
    while q < 0.0:
        total += q**-s
        q += 1.0
    return total + _derivative(s, q, 0)


def zeta_s(s, q, _):
    return _derivative(s, q, 1) if s > 1.0 and q > 0.0 and s < math.inf and q < math.inf else math.nan


def zeta_ss(s, q, _):
    return _derivative(s, q, 2) if s > 1.0 and q > 0.0 and s < math.inf and q < math.inf else math.nan
