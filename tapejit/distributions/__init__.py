"""Distributions of random numbers under ``torch.distributions``' names: densities, samples, entropies, divergences.

    d = tapejit.distributions.Normal(mean, std)
    d.log_prob(x)               # differentiable in x and the parameters, to any order
    d.rsample((100,))           # samples that are differentiable functions of the parameters
"""

from tapejit.distributions import constraints, helping, transforms
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
from tapejit.distributions.composed import (
    Independent,
    LogisticNormal,
    MixtureSameFamily,
    TransformedDistribution,
)
from tapejit.distributions.constraining import ConstraintRegistry, biject_to, transform_to
from tapejit.distributions.counts import Bernoulli, Binomial, Geometric, NegativeBinomial, Poisson
from tapejit.distributions.covariances import LKJCholesky, LowRankMultivariateNormal, Wishart
from tapejit.distributions.divergences import kl_divergence, register_kl
from tapejit.distributions.factorings import (
    CorrCholeskyTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
)
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
from tapejit.distributions.ratios import ContinuousBernoulli, FisherSnedecor, GeneralizedPareto
from tapejit.distributions.rearranging import (
    CatTransform,
    CumulativeDistributionTransform,
    ReshapeTransform,
    StackTransform,
)
from tapejit.distributions.relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from tapejit.distributions.unbounded import Cauchy, Gumbel, Laplace, Normal, StudentT, VonMises
from tapejit.distributions.vectors import Dirichlet, MultivariateNormal
from tapejit.edge.namesakes import enter as _enter

__all__ = [
    "AbsTransform", "AffineTransform", "Bernoulli", "Beta", "Binomial", "CatTransform", "Categorical", "Cauchy", "Chi2",
    "ComposeTransform", "ConstraintRegistry", "ContinuousBernoulli", "CorrCholeskyTransform",
    "CumulativeDistributionTransform", "Dirichlet", "Distribution", "ExpTransform", "Exponential", "FisherSnedecor",
    "Gamma", "GeneralizedPareto", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent", "IndependentTransform",
    "InverseGamma", "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal", "LowRankMultivariateNormal",
    "LowerCholeskyTransform", "MixtureSameFamily", "Multinomial", "MultivariateNormal", "NegativeBinomial", "Normal",
    "OneHotCategorical", "OneHotCategoricalStraightThrough", "Pareto", "Poisson", "PositiveDefiniteTransform",
    "PowerTransform", "RelaxedBernoulli", "RelaxedOneHotCategorical", "ReshapeTransform", "SigmoidTransform",
    "SoftmaxTransform", "SoftplusTransform", "StackTransform", "StickBreakingTransform", "StudentT", "TanhTransform",
    "Transform", "TransformedDistribution", "Uniform", "VonMises", "Weibull", "Wishart", "biject_to", "constraints",
    "identity_transform", "kl_divergence", "register_kl", "transform_to", "transforms",
]  # fmt: skip

_PLACES = """
    bernoulli: Bernoulli; beta: Beta; binomial: Binomial; categorical: Categorical; cauchy: Cauchy; chi2: Chi2
    constraint_registry: ConstraintRegistry biject_to transform_to; continuous_bernoulli: ContinuousBernoulli
    dirichlet: Dirichlet; distribution: Distribution; exponential: Exponential; fishersnedecor: FisherSnedecor
    gamma: Gamma; generalized_pareto: GeneralizedPareto; geometric: Geometric; gumbel: Gumbel; half_cauchy: HalfCauchy
    half_normal: HalfNormal; independent: Independent; inverse_gamma: InverseGamma; kl: kl_divergence register_kl
    kumaraswamy: Kumaraswamy; laplace: Laplace; lkj_cholesky: LKJCholesky; log_normal: LogNormal
    logistic_normal: LogisticNormal; lowrank_multivariate_normal: LowRankMultivariateNormal
    mixture_same_family: MixtureSameFamily; multinomial: Multinomial; multivariate_normal: MultivariateNormal
    negative_binomial: NegativeBinomial; normal: Normal; pareto: Pareto; poisson: Poisson; studentT: StudentT
    one_hot_categorical: OneHotCategorical OneHotCategoricalStraightThrough; relaxed_bernoulli: RelaxedBernoulli
    relaxed_categorical: RelaxedOneHotCategorical; transformed_distribution: TransformedDistribution; uniform: Uniform
    von_mises: VonMises; weibull: Weibull; wishart: Wishart
"""
_table = {}
for _place in _PLACES.replace("\n", ";").split(";"):
    _name, _, _names = _place.partition(":")
    if _names:
        _table[_name.strip()] = {n: globals()[n] for n in _names.split()}
_table["utils"] = {n: getattr(helping, n) for n in helping.__all__} | {"_sum_rightmost": helping.summed}
_enter(__name__, _table)
del helping
