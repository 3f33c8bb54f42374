"""The Kullback-Leibler divergence of two distributions, by their classes."""

import math

import tapejit as tj
from tapejit.distributions.bounded import Beta, Uniform
from tapejit.distributions.choices import Categorical, OneHotCategorical
from tapejit.distributions.composed import Independent, TransformedDistribution
from tapejit.distributions.counts import Bernoulli, Binomial, Geometric, Poisson
from tapejit.distributions.covariances import LowRankMultivariateNormal, Wishart
from tapejit.distributions.helping import summed
from tapejit.distributions.positives import Exponential, Gamma, HalfNormal, LogNormal, Pareto
from tapejit.distributions.ratios import ContinuousBernoulli
from tapejit.distributions.unbounded import EULER, Cauchy, Gumbel, Laplace, Normal
from tapejit.distributions.vectors import (
    Dirichlet,
    MultivariateNormal,
    half_log_det,
    trace_of_ratio,
    whitened,
)
from tapejit.special import betaln, digamma, gammaln, xlogy

_RULES = {}


def register_kl(type_p, type_q):
    """Decorator: the function gives the divergence of objects of two classes (and those derived from them)."""

    def enter(function):
        _RULES[type_p, type_q] = function
        return function

    return enter


def kl_divergence(p, q):
    """The mean of ``p.log_prob(x) - q.log_prob(x)`` for x of p, a number for each of the batch.

    Raises:
        NotImplementedError: if there is no formula for the two classes.
    """
    for a in type(p).__mro__:
        for b in type(q).__mro__:
            if (a, b) in _RULES:
                return _RULES[a, b](p, q)
    raise NotImplementedError(f"no formula for the divergence of {type(p).__name__} and {type(q).__name__}: see register_kl")


@register_kl(Normal, Normal)
@register_kl(LogNormal, LogNormal)
def _normals(p, q):
    ratio, gap = (p.scale / q.scale) ** 2, ((p.loc - q.loc) / q.scale) ** 2
    return 0.5 * (ratio + gap - 1 - tj.log(ratio))


@register_kl(HalfNormal, HalfNormal)
def _half_normals(p, q):
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio - 1 - tj.log(ratio))


@register_kl(MultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _vectors(p, q):
    ours, theirs = p.scale_tril, q.scale_tril
    gap = whitened(theirs, q.loc - p.loc)
    spread = trace_of_ratio(theirs, ours) + (gap * gap).sum(-1) - p.event_shape[0]
    return half_log_det(theirs) - half_log_det(ours) + 0.5 * spread


@register_kl(Wishart, Wishart)
def _wisharts(p, q):
    n = p.event_shape[-1]
    trace = trace_of_ratio(q.scale_tril, p.scale_tril)
    return q.log_norm() - 0.5 * (q.df - n - 1) * p.mean_log_det() + 0.5 * p.df * trace - p.entropy()


@register_kl(Laplace, Laplace)
def _laplaces(p, q):
    ratio, gap = p.scale / q.scale, (p.loc - q.loc).abs()
    return -tj.log(ratio) + gap / q.scale + ratio * tj.exp(-gap / p.scale) - 1


@register_kl(Cauchy, Cauchy)
def _cauchys(p, q):
    return tj.log(((p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2) / (4 * p.scale * q.scale))


@register_kl(Gumbel, Gumbel)
def _gumbels(p, q):
    ratio, shift = p.scale / q.scale, q.loc / q.scale - p.loc / q.scale
    return -tj.log(ratio) - shift + ratio * EULER + tj.exp(shift + gammaln(1 + ratio)) - (1 + EULER)


@register_kl(Exponential, Exponential)
def _exponentials(p, q):
    ratio = q.rate / p.rate
    return ratio - 1 - tj.log(ratio)


@register_kl(Gamma, Gamma)
def _gammas(p, q):
    a, b, c, d = p.concentration, p.rate, q.concentration, q.rate
    return c * tj.log(b / d) + gammaln(c) - gammaln(a) + (a - c) * digamma(a) + (d - b) * (a / b)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p, q):
    return _gammas(_as_gamma(p), q)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p, q):
    return _gammas(p, _as_gamma(q))


def _as_gamma(p):
    return Gamma(tj.ones_like(p.rate), p.rate, validate_args=False)


@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Uniform, Normal)
@register_kl(Laplace, Normal)
@register_kl(Beta, Normal)
@register_kl(Gumbel, Normal)
@register_kl(ContinuousBernoulli, Normal)
def _moments_of_normal(p, q):
    mean = 0.5 * ((p.variance + (p.mean - q.loc) ** 2) / q.scale**2 + math.log(2 * math.pi)) + tj.log(q.scale)
    return mean - p.entropy()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoullis(p, q):
    return -p.entropy() - p.mean * q.logits + tj.softplus(q.logits) - q.log_norm()


@register_kl(Beta, Beta)
def _betas(p, q):
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    change = (a - c) * digamma(a) + (b - d) * digamma(b) + (c + d - a - b) * digamma(a + b)
    return betaln(c, d) - betaln(a, b) + change


@register_kl(Dirichlet, Dirichlet)
def _dirichlets(p, q):
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    mean_logs = digamma(a) - digamma(total).unsqueeze(-1)
    norms = gammaln(total) - gammaln(b.sum(-1)) + (gammaln(b) - gammaln(a)).sum(-1)
    return norms + ((a - b) * mean_logs).sum(-1)


@register_kl(Uniform, Uniform)
def _uniforms(p, q):
    found = tj.log((q.high - q.low) / (p.high - p.low))
    return tj.where((q.low > p.low) | (q.high < p.high), math.inf, found)


@register_kl(Pareto, Pareto)
def _paretos(p, q):
    ratio = q.alpha / p.alpha
    found = q.alpha * tj.log(p.scale / q.scale) - tj.log(ratio) + ratio - 1
    return tj.where(p.scale < q.scale, math.inf, found)


@register_kl(Bernoulli, Bernoulli)
def _bernoullis(p, q):
    """By log odds, so that nothing is lost near 0 and 1."""
    odds, others, chance = p.logits, q.logits, p.probs
    found = chance * (tj.softplus(-others) - tj.softplus(-odds)) + (1 - chance) * (tj.softplus(others) - tj.softplus(odds))
    impossible = ((q.probs == 0) & (chance > 0)) | ((q.probs == 1) & (chance < 1))
    return tj.where(impossible, math.inf, found)


@register_kl(Binomial, Binomial)
def _binomials(p, q):
    found = p.total_count * _bernoullis(p, q)
    return tj.where(p.total_count > q.total_count, math.inf, found)


@register_kl(Geometric, Geometric)
def _geometrics(p, q):
    return -p.entropy() - tj.log1p(-q.probs) / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poissons(p, q):
    return xlogy(p.rate, p.rate) - xlogy(p.rate, q.rate) - (p.rate - q.rate)


@register_kl(Categorical, Categorical)
@register_kl(OneHotCategorical, OneHotCategorical)
def _categoricals(p, q):
    chance = p.probs
    terms = chance * (p.logits - q.logits)
    terms = tj.where(chance == 0, 0.0, tj.where(q.probs == 0, math.inf, terms))
    return terms.sum(-1)


@register_kl(Independent, Independent)
def _independents(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("the divergence of Independent distributions with other numbers of dimensions")
    return summed(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p, q):
    if p.transforms != q.transforms:
        raise NotImplementedError("the divergence of distributions after other transforms")
    return kl_divergence(p.base_dist, q.base_dist)
