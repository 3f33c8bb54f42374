"""The price of a call option, its Greeks by hand."""

import math

import numpy as np
from numba import njit


@njit
def normal_cdf(x):
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))


@njit
def price(s, k, r, v, t):
    sq = v * math.sqrt(t)
    d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / sq
    d2 = d1 - sq
    return s * normal_cdf(d1) - k * math.exp(-r * t) * normal_cdf(d2)


@njit
def price_and_greeks(s, k, r, v, t):
    st = math.sqrt(t)
    sq = v * st
    d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / sq
    d2 = d1 - sq
    n1, n2, e = normal_cdf(d1), normal_cdf(d2), math.exp(-r * t)
    density = math.exp(-0.5 * d1 * d1) * 0.3989422804014327
    last = s * density * v / (2 * st) + r * k * e * n2
    return s * n1 - k * e * n2, (n1, -e * n2, k * t * e * n2, s * density * st, last)


@njit
def many(s, k, r, v, t):
    """The sum of the prices of many options, and five arrays of Greeks."""
    greeks = (np.empty_like(s), np.empty_like(s), np.empty_like(s), np.empty_like(s), np.empty_like(s))
    total = 0.0
    for i in range(s.size):
        value, (gs, gk, gr, gv, gt) = price_and_greeks(s[i], k[i], r[i], v[i], t[i])
        total += value
        greeks[0][i], greeks[1][i], greeks[2][i], greeks[3][i], greeks[4][i] = gs, gk, gr, gv, gt
    return total, greeks
