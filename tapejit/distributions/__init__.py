"""Distributions of random numbers under ``torch.distributions``' names: densities, samples, entropies, divergences.

    d = tapejit.distributions.Normal(mean, std)
    d.log_prob(x)               # differentiable in x and the parameters, to any order
    d.rsample((100,))           # samples that are differentiable functions of the parameters
"""

from tapejit.distributions import constraints, transforms
from tapejit.distributions.base import Distribution
from tapejit.distributions.bijections import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    IndependentTransform,
    PowerTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    identity_transform,
)
from tapejit.distributions.bounded import Beta, Kumaraswamy, Uniform
from tapejit.distributions.choices import (
    Categorical,
    Multinomial,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from tapejit.distributions.composed import Independent, MixtureSameFamily, TransformedDistribution
from tapejit.distributions.counts import Bernoulli, Binomial, Geometric, NegativeBinomial, Poisson
from tapejit.distributions.divergences import kl_divergence, register_kl
from tapejit.distributions.positives import (
    Chi2,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    LogNormal,
    Pareto,
    Weibull,
)
from tapejit.distributions.relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from tapejit.distributions.unbounded import Cauchy, Gumbel, Laplace, Normal, StudentT, VonMises
from tapejit.distributions.vectors import Dirichlet, MultivariateNormal

__all__ = [
    "AbsTransform", "AffineTransform", "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ComposeTransform",
    "Dirichlet", "Distribution", "ExpTransform", "Exponential", "Gamma", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal",
    "Independent", "IndependentTransform", "InverseGamma", "Kumaraswamy", "Laplace", "LogNormal", "MixtureSameFamily",
    "Multinomial", "MultivariateNormal", "NegativeBinomial", "Normal", "OneHotCategorical",
    "OneHotCategoricalStraightThrough", "Pareto", "Poisson", "PowerTransform", "RelaxedBernoulli",
    "RelaxedOneHotCategorical", "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StickBreakingTransform",
    "StudentT", "TanhTransform", "Transform", "TransformedDistribution", "Uniform", "VonMises", "Weibull", "constraints",
    "identity_transform", "kl_divergence", "register_kl", "transforms",
]  # fmt: skip
