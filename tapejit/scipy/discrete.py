"""Distributions of integers, with SciPy's parameters."""

import tapejit as tj
from tapejit.scipy.distribution import Discrete
from tapejit.special import betaln, gammaln, xlog1py, xlogy


def _counts(k, *shapes):
    return (k >= 0) & (k == tj.floor(k))


def _none(*shapes):
    return 0.0


def _choose(n, k):
    """The logarithm of n over k."""
    return -betaln(1 + n - k, 1 + k) - tj.log(n + 1)


poisson = Discrete("poisson", ("mu",), lambda k, mu: xlogy(k, mu) - gammaln(k + 1) - mu, _counts, _none)
binom = Discrete(
    "binom", ("n", "p"), lambda k, n, p: _choose(n, k) + xlogy(k, p) + xlog1py(n - k, -p),
    lambda k, n, p: _counts(k) & (k <= n), _none,
)  # fmt: skip
bernoulli = Discrete(
    "bernoulli", ("p",), lambda k, p: xlogy(k, p) + xlog1py(1 - k, -p), lambda k, p: (k == 0) | (k == 1), _none
)
nbinom = Discrete(
    "nbinom", ("n", "p"),
    lambda k, n, p: gammaln(n + k) - gammaln(k + 1) - gammaln(n) + n * tj.log(p) + xlog1py(k, -p), _counts, _none,
)  # fmt: skip
geom = Discrete(
    "geom", ("p",), lambda k, p: xlog1py(k - 1, -p) + tj.log(p), lambda k, p: _counts(k) & (k >= 1), lambda p: 1.0
)
