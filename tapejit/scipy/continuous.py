"""Continuous distributions, with SciPy's parameters."""

import math

import tapejit as tj
from tapejit.scipy.distribution import Continuous
from tapejit.special import betaln, gammaln, log_ndtr, xlog1py, xlogy

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _positive(z, *shapes):
    return z > 0


def _not_negative(z, *shapes):
    return z >= 0


def _one(*shapes):
    return 1.0


def _log1mexp(x):
    """log(1 - exp(-x)) for x > 0; Maechler 2012."""
    small = x < math.log(2)
    near, far = tj.where(small, x, 1.0), tj.where(small, 1.0, x)
    return tj.where(small, tj.log(-tj.expm1(-near)), tj.log1p(-tj.exp(-far)))


def _laplace_logcdf(z):
    left = z < 0
    return tj.where(left, z - math.log(2), tj.log1p(-0.5 * tj.exp(-tj.where(left, 0.0, z))))


norm = Continuous("norm", (), lambda z: -0.5 * z * z - _HALF_LOG_2PI, log_distribution=log_ndtr)
halfnorm = Continuous(
    "halfnorm", (), lambda z: 0.5 * math.log(2 / math.pi) - 0.5 * z * z, _not_negative, _one,
    lambda z: tj.log(tj.erf(math.sqrt(0.5) * z)),
)  # fmt: skip
lognorm = Continuous(
    "lognorm", ("s",), lambda z, s: -0.5 * (tj.log(z) / s) ** 2 - tj.log(s * z) - _HALF_LOG_2PI, _positive, _one,
    lambda z, s: log_ndtr(tj.log(z) / s),
)  # fmt: skip
expon = Continuous("expon", (), lambda z: -z, _not_negative, _one, _log1mexp)
laplace = Continuous("laplace", (), lambda z: -z.abs() - math.log(2), log_distribution=_laplace_logcdf)
logistic = Continuous("logistic", (), lambda z: -z - 2 * tj.softplus(-z), log_distribution=tj.logsigmoid)
cauchy = Continuous(
    "cauchy", (), lambda z: -tj.log1p(z * z) - math.log(math.pi),
    log_distribution=lambda z: tj.log(tj.atan2(tj.ones_like(z), -z)) - math.log(math.pi),
)  # fmt: skip
uniform = Continuous(
    "uniform", (), lambda z: 0 * z, lambda z: (z >= 0) & (z <= 1), lambda: 0.5, tj.log, lambda z: z > 1
)  # fmt: skip
gamma = Continuous("gamma", ("a",), lambda z, a: xlogy(a - 1, z) - z - gammaln(a), _positive, _one)
invgamma = Continuous("invgamma", ("a",), lambda z, a: -(a + 1) * tj.log(z) - gammaln(a) - 1 / z, _positive, _one)
chi2 = Continuous(
    "chi2", ("df",), lambda z, df: xlogy(0.5 * df - 1, z) - 0.5 * z - gammaln(0.5 * df) - 0.5 * math.log(2) * df,
    _positive, _one,
)  # fmt: skip
beta = Continuous(
    "beta", ("a", "b"), lambda z, a, b: xlogy(a - 1, z) + xlog1py(b - 1, -z) - betaln(a, b),
    lambda z, a, b: (z > 0) & (z < 1), lambda a, b: 0.5,
)  # fmt: skip
t = Continuous(
    "t", ("df",),
    lambda z, df: -0.5 * (df + 1) * tj.log1p(z * z / df) - betaln(0.5 * df, tj.full_like(df, 0.5)) - 0.5 * tj.log(df),
)  # fmt: skip
weibull_min = Continuous(
    "weibull_min", ("c",), lambda z, c: tj.log(c) + xlogy(c - 1, z) - z**c, _positive, _one, lambda z, c: _log1mexp(z**c)
)
pareto = Continuous(
    "pareto", ("b",), lambda z, b: tj.log(b) - (b + 1) * tj.log(z), lambda z, b: z >= 1, lambda b: 2.0,
    lambda z, b: _log1mexp(b * tj.log(z)),
)  # fmt: skip
rayleigh = Continuous(
    "rayleigh", (), lambda z: tj.log(z) - 0.5 * z * z, _positive, _one, lambda z: _log1mexp(0.5 * z * z)
)  # fmt: skip
gumbel_r = Continuous("gumbel_r", (), lambda z: -z - tj.exp(-z), log_distribution=lambda z: -tj.exp(-z))
gumbel_l = Continuous("gumbel_l", (), lambda z: z - tj.exp(z), log_distribution=lambda z: _log1mexp(tj.exp(z)))
