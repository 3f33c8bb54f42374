"""Densities and distribution functions against SciPy's, with derivatives; tapejit.scipy's names."""

import numpy as np
import pytest
import scipy.stats
from oracle import check_grad

import tapejit as tj
from tapejit.scipy import special, stats

CONTINUOUS = {
    "norm": (), "halfnorm": (), "lognorm": (0.7,), "expon": (), "laplace": (), "logistic": (), "cauchy": (), "uniform": (),
    "gamma": (2.3,), "invgamma": (2.3,), "chi2": (3.5,), "beta": (2.2, 1.4), "t": (4.5,), "weibull_min": (1.7,),
    "pareto": (2.6,), "rayleigh": (), "gumbel_r": (), "gumbel_l": (),
}  # fmt: skip
DISCRETE = {"poisson": (2.3,), "binom": (5, 0.3), "bernoulli": (0.3,), "nbinom": (2.5, 0.4), "geom": (0.3,)}
WITHOUT = {"gamma", "invgamma", "chi2", "beta", "t"}
POINTS = np.array([-3.0, -0.4, 0.0, 0.3, 0.8, 1.0, 1.7, 4.0])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name):
    own, theirs, shapes = getattr(stats, name), getattr(scipy.stats, name), CONTINUOUS[name]
    x = POINTS[POINTS != 0] if name in ("gamma", "chi2", "weibull_min", "rayleigh") else POINTS
    for loc, scale in ((0.0, 1.0), (0.5, 2.0)):
        at = loc + scale * x
        with np.errstate(all="ignore"):
            expected = theirs.logpdf(at, *shapes, loc=loc, scale=scale)
            below = theirs.logcdf(at, *shapes, loc=loc, scale=scale)
        inside = ~((name == "beta") & np.isin(x, (0.0, 1.0)))
        found = own.logpdf(tj.tensor(at), *shapes, loc=loc, scale=scale).numpy()
        np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(own.pdf(at, *shapes, loc, scale).numpy()[inside], np.exp(expected[inside]), rtol=1e-12)
        if name not in WITHOUT:
            np.testing.assert_allclose(own.logcdf(at, *shapes, loc=loc, scale=scale).numpy(), below, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_derivatives_in_all_parameters(name):
    own, shapes = getattr(stats, name), CONTINUOUS[name]
    x = np.array([1.3, 1.6]) if name == "pareto" else np.array([0.35, 0.7])
    parameters = [np.array(s) for s in (*shapes, 0.05, 1.1)]
    if name == "pareto":
        parameters[-1] = np.array(0.9)
    check_grad(lambda x, *p: own.logpdf(x, *p), x, *parameters, rtol=1e-5)
    if name not in WITHOUT:
        check_grad(lambda x, *p: own.logcdf(x, *p), x, *parameters, rtol=1e-5)


def test_outside_of_the_support_derivatives_are_zero():
    x = tj.tensor([-1.0, 2.0], requires_grad=True)
    y = stats.gamma.logpdf(x, 2.0)
    assert y[0].item() == -np.inf
    y[1].backward()
    assert x.grad[0].item() == 0.0
    assert np.isfinite(x.grad[1].item())


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name):
    own, theirs, shapes = getattr(stats, name), getattr(scipy.stats, name), DISCRETE[name]
    k = np.array([-1.0, 0.0, 1.0, 2.0, 5.0, 6.0, 1.5])
    with np.errstate(all="ignore"):
        expected = theirs.logpmf(k, *shapes)
    np.testing.assert_allclose(own.logpmf(tj.tensor(k), *shapes).numpy(), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(own.pmf(tj.tensor([1, 2]), *shapes).numpy(), theirs.pmf([1, 2], *shapes), rtol=1e-12, atol=1e-15)
    check_grad(lambda p: own.logpmf(tj.tensor([1.0]), *shapes[:-1], p), np.array(shapes[-1]), rtol=1e-5)


def test_multivariate_normal():
    x, mean = np.array([[0.3, -1.0, 2.0], [1.0, 0.0, 0.5]]), np.array([0.1, 0.2, 0.3])
    cov = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 1.5]])
    found = stats.multivariate_normal.logpdf(tj.tensor(x), tj.tensor(mean), tj.tensor(cov)).numpy()
    np.testing.assert_allclose(found, scipy.stats.multivariate_normal.logpdf(x, mean, cov), rtol=1e-12)
    one = stats.multivariate_normal.pdf(tj.tensor(x[0]), cov=2.0).item()  # times the identity
    assert one == pytest.approx(scipy.stats.multivariate_normal.pdf(x[0], cov=2 * np.eye(3)), rel=1e-12)
    check_grad(lambda x, m, c: stats.multivariate_normal.logpdf(x, m, (c + c.T) / 2), x, mean, cov)


def test_recorded():
    data = np.array([0.3, 1.2, -0.7])
    g = tj.value_and_grad(lambda p: -stats.t.logpdf(data, p[0].exp(), p[1], p[2].exp()).sum())
    for scale in (1.0, 0.5, 0.25):
        p = scale * np.array([1.0, 0.1, 0.2])
        assert g(p)[0] == pytest.approx(-scipy.stats.t.logpdf(data, np.exp(p[0]), p[1], np.exp(p[2])).sum(), rel=1e-12)


def test_names_and_errors():
    assert special.gammaln is tj.special.gammaln
    with pytest.raises(TypeError, match="needs the parameters a"):
        stats.gamma.logpdf(1.0)
    with pytest.raises(TypeError, match="takes the parameters a, loc, scale"):
        stats.gamma.logpdf(1.0, 2.0, mu=3.0)
    with pytest.raises(NotImplementedError, match="incomplete"):
        stats.t.logcdf(1.0, 2.0)
