"""Logarithms of densities and distribution functions, under ``scipy.stats``' names and parameters."""

from tapejit.scipy.continuous import (
    beta,
    cauchy,
    chi2,
    expon,
    gamma,
    gumbel_l,
    gumbel_r,
    halfnorm,
    invgamma,
    laplace,
    logistic,
    lognorm,
    norm,
    pareto,
    rayleigh,
    t,
    uniform,
    weibull_min,
)
from tapejit.scipy.discrete import bernoulli, binom, geom, nbinom, poisson
from tapejit.scipy.stats import multivariate_normal

__all__ = [
    "bernoulli", "beta", "binom", "cauchy", "chi2", "expon", "gamma", "geom", "gumbel_l", "gumbel_r", "halfnorm", "invgamma",
    "laplace", "logistic", "lognorm", "multivariate_normal", "nbinom", "norm", "pareto", "poisson", "rayleigh", "t", "uniform",
    "weibull_min",
]  # fmt: skip
