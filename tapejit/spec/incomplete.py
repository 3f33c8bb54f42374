"""The incomplete gamma and beta functions: entries as those of ``special``, with derivatives in their parameters too.

The derivatives in a parameter are functions of their own (``edge.specialmath``), up to the second: a third is NaN.
"""

import math

from tapejit.spec.elementwise import chain, log, log1p, where
from tapejit.spec.expr import m
from tapejit.spec.special import digamma, zeta
from tapejit.spec.table import elementwise

_A, _X, _SHARE = (0.5, 3.0), (0.2, 4.0), (0.1, 0.9)


def trigamma(x):
    """The derivative of the digamma function."""
    return zeta(2.0, x)


# The incomplete gamma functions


def _gamma_slope(x, y):
    """The derivative of log(gamma_density) in a, of a > 0 and x > 0."""
    return log(y) - digamma(x)


@elementwise(
    dx=lambda g, x, y, out: where(y > 0.0, chain(g, out * _gamma_slope(x, y)), 0.0),
    dy=lambda g, x, y, out: chain(g, out * ((x - 1.0) / y - 1.0)),
    name="_gamma_density",
    domain=(_A, _X),
)
def gamma_density(x, y):
    """The density y ** (x - 1) * exp(-y) / gamma(x)"""
    return m.gamma_density(x, y)


@elementwise(
    dx=lambda g, x, y: chain(g, gammainc_a(x, y)), dy=lambda g, x, y: chain(g, gamma_density(x, y)), domain=(_A, _X)
)
def gammainc(x, y):
    """The regularised lower incomplete gamma function: the integral of t ** (x - 1) * exp(-t) from 0 to y, over gamma(x)"""
    return m.gammainc(x, y)


@elementwise(
    dx=lambda g, x, y: -chain(g, gammainc_a(x, y)), dy=lambda g, x, y: -chain(g, gamma_density(x, y)), domain=(_A, _X)
)
def gammaincc(x, y):
    """The regularised upper incomplete gamma function, 1 - gammainc(x, y)"""
    return m.gammaincc(x, y)


def _of_density(slope):
    """A derivative of a density by that of its logarithm, 0 at the ends."""
    return lambda g, x, y: where(y > 0.0, chain(g, gamma_density(x, y) * slope(x, y)), 0.0)


@elementwise(
    dx=lambda g, x, y: chain(g, gammainc_aa(x, y)), dy=_of_density(_gamma_slope), name="_gammainc_a", domain=(_A, _X)
)
def gammainc_a(x, y):
    """The derivative of gammainc in its first operand"""
    return m.gammainc_a(x, y)


@elementwise(
    dx=lambda g: chain(g, math.nan),
    dy=_of_density(lambda x, y: _gamma_slope(x, y) * _gamma_slope(x, y) - trigamma(x)),
    name="_gammainc_aa",
    domain=(_A, _X),
)
def gammainc_aa(x, y):
    """The second derivative of gammainc in its first operand"""
    return m.gammainc_aa(x, y)


# The incomplete beta function


def _slope_a(x, y, z):
    return log(z) - digamma(x) + digamma(x + y)


def _slope_b(x, y, z):
    return log1p(-z) - digamma(y) + digamma(x + y)


def _inside(slope):
    """A derivative of a density by that of its logarithm, 0 at the ends."""
    return lambda g, x, y, z: where((z > 0.0) & (z < 1.0), chain(g, beta_density(x, y, z) * slope(x, y, z)), 0.0)


@elementwise(
    dx=_inside(_slope_a),
    dy=_inside(_slope_b),
    dz=lambda g, x, y, z, out: chain(g, out * ((x - 1.0) / z - (y - 1.0) / (1.0 - z))),
    name="_beta_density",
    domain=(_A, _A, _SHARE),
)
def beta_density(x, y, z):
    """The density z ** (x - 1) * (1 - z) ** (y - 1) / beta(x, y)"""
    return m.beta_density(x, y, z)


@elementwise(
    dx=lambda g, x, y, z: chain(g, betainc_a(x, y, z)),
    dy=lambda g, x, y, z: chain(g, betainc_b(x, y, z)),
    dz=lambda g, x, y, z: chain(g, beta_density(x, y, z)),
    domain=(_A, _A, _SHARE),
)
def betainc(x, y, z):
    """The regularised incomplete beta function: the integral of t ** (x - 1) * (1 - t) ** (y - 1) to z, over beta(x, y)"""
    return m.betainc(x, y, z)


@elementwise(
    dx=lambda g, x, y, z: chain(g, betainc_aa(x, y, z)),
    dy=lambda g, x, y, z: chain(g, betainc_ab(x, y, z)),
    dz=_inside(_slope_a),
    name="_betainc_a",
    domain=(_A, _A, _SHARE),
)
def betainc_a(x, y, z):
    """The derivative of betainc in its first operand"""
    return m.betainc_a(x, y, z)


@elementwise(
    dx=lambda g, x, y, z: chain(g, betainc_ab(x, y, z)),
    dy=lambda g, x, y, z: chain(g, betainc_bb(x, y, z)),
    dz=_inside(_slope_b),
    name="_betainc_b",
    domain=(_A, _A, _SHARE),
)
def betainc_b(x, y, z):
    """The derivative of betainc in its second operand"""
    return m.betainc_b(x, y, z)


_UNKNOWN = {"dx": lambda g: chain(g, math.nan), "dy": lambda g: chain(g, math.nan), "domain": (_A, _A, _SHARE)}


@elementwise(
    dz=_inside(lambda x, y, z: _slope_a(x, y, z) * _slope_a(x, y, z) + trigamma(x + y) - trigamma(x)),
    name="_betainc_aa",
    **_UNKNOWN,
)
def betainc_aa(x, y, z):
    """The second derivative of betainc in its first operand"""
    return m.betainc_aa(x, y, z)


@elementwise(
    dz=_inside(lambda x, y, z: _slope_a(x, y, z) * _slope_b(x, y, z) + trigamma(x + y)), name="_betainc_ab", **_UNKNOWN
)
def betainc_ab(x, y, z):
    """The derivative of betainc in its first and second operand"""
    return m.betainc_ab(x, y, z)


@elementwise(
    dz=_inside(lambda x, y, z: _slope_b(x, y, z) * _slope_b(x, y, z) + trigamma(x + y) - trigamma(y)),
    name="_betainc_bb",
    **_UNKNOWN,
)
def betainc_bb(x, y, z):
    """The second derivative of betainc in its second operand"""
    return m.betainc_bb(x, y, z)
