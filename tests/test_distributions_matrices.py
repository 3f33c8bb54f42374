"""Distributions of matrices and ratios, the transforms that constraints are met by, and what users' own are made with."""

import numpy as np
import pytest
import scipy.special
import scipy.stats as stats
from distribution_cases import CASES, DIVERGENCES, PYTORCH, C, S, V
from oracle import check_grad

import tapejit as tj
from tapejit import distributions as D
from tapejit.distributions import constraints as K

ROUGH = {("Pareto", "variance")}  # PyTorch has nan where it is infinite or fine


def made(name):
    kind, parameters, value = CASES[name]
    return getattr(D, kind)(*(tj.tensor(p) if isinstance(p, np.ndarray) else p for p in parameters)), value


@pytest.mark.parametrize("name", CASES)
def test_against_pytorch(name):
    own, value = made(name)
    for what, expected in PYTORCH[name].items():
        if (name, what) in ROUGH:
            continue
        found = own.log_prob(tj.tensor(value)) if what == "log_prob" else getattr(own, what)
        found = found() if callable(found) else found
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12, err_msg=what)


@pytest.mark.parametrize(("p", "q"), DIVERGENCES)
def test_divergences(p, q):
    np.testing.assert_allclose(D.kl_divergence(made(p)[0], made(q)[0]).numpy(), DIVERGENCES[p, q], rtol=1e-9)


@pytest.mark.parametrize("name", ["LKJ", "Wishart", "low rank", "Fisher", "Bernoulli", "Bernoulli near", "logistic", "Pareto"])
def test_derivatives(name):
    kind, parameters, value = CASES[name]
    first = [p for p in parameters if not isinstance(p, np.ndarray)]
    free = [p for p in parameters if isinstance(p, np.ndarray)]
    if name == "LKJ":  # the value must stay a factor of correlations
        free, value = free, tj.tensor(value)

    def log_prob(*args):
        d = getattr(D, kind)(*first, *args[: len(free)])
        x = args[-1] if len(args) > len(free) else value
        return d.log_prob(_symmetric(x) if name == "Wishart" else x)

    if name == "Wishart":
        free[1] = np.linalg.cholesky(free[1])
        kind_of = D.Wishart
        log_prob = lambda df, factor, x: kind_of(df, scale_tril=factor.tril()).log_prob(_symmetric(x))  # noqa: E731
    check_grad(log_prob, *free, *([] if name in ("LKJ", "logistic") else [value]), rtol=2e-5, atol=2e-6)
    if name not in ("LKJ", "logistic"):
        leaves = [tj.tensor(a, requires_grad=True) for a in (*free, value)]
        eager = tj.autograd.grad(log_prob(*leaves).sum(), leaves)
        g = tj.grad(lambda *args: log_prob(*args).sum(), argnums=tuple(range(len(leaves))))
        if name != "Bernoulli near":
            for found, expected in zip(g(*free, value), eager, strict=True):
                np.testing.assert_allclose(found, expected.numpy(), rtol=1e-11, atol=1e-13)


def _symmetric(x):
    return 0.5 * (x + x.mT)


@pytest.mark.parametrize("concentration", [0.6, 1.0, 3.0])
def test_samples_of_correlations(concentration):
    """Every correlation of n variables has a Beta distribution on (-1, 1), of concentration - 1 + n / 2."""
    tj.manual_seed(3)
    n = 4
    d = D.LKJCholesky(n, concentration)
    factors = d.sample((5000,))
    assert bool(d.support.check(factors).all())
    found = (factors @ factors.mT).numpy()
    shape = concentration - 1 + n / 2
    for i in range(n):
        for j in range(i):
            assert stats.kstest((found[:, i, j] + 1) / 2, stats.beta(shape, shape).cdf).statistic < 0.032


def test_the_density_of_factors_of_correlations_has_the_mass_one():
    """For two variables: the integral over the one free element r of the factor, whose diagonal is sqrt(1 - r^2)."""
    r, weights = np.polynomial.legendre.leggauss(200)
    factors = np.zeros((200, 2, 2))
    factors[:, 0, 0], factors[:, 1, 0], factors[:, 1, 1] = 1.0, r, np.sqrt(1 - r * r)
    for concentration in (1.5, 3.0):
        density = np.exp(D.LKJCholesky(2, concentration).log_prob(tj.tensor(factors)).numpy())
        assert weights @ density == pytest.approx(1.0, rel=1e-4)


def test_samples_of_covariances():
    tj.manual_seed(1)
    d = D.Wishart(6.5, tj.tensor(S))
    found = d.sample((8000,)).numpy()
    np.testing.assert_allclose(found.mean(0), d.mean.numpy(), atol=5 * np.sqrt(d.variance.numpy().max() / 8000))
    np.testing.assert_allclose(found.var(0), d.variance.numpy(), rtol=0.15)
    assert d.log_prob(tj.tensor(V)).item() == pytest.approx(stats.wishart(6.5, S).logpdf(V))
    assert d.entropy().item() == pytest.approx(stats.wishart(6.5, S).entropy())
    factor = tj.tensor(np.linalg.cholesky(S), requires_grad=True)
    D.Wishart(6.5, scale_tril=factor).rsample().sum().backward()
    assert bool((factor.grad.tril() != 0).any())
    low, _ = made("low rank")
    found = low.sample((20000,)).numpy()
    np.testing.assert_allclose(np.cov(found.T), low.covariance_matrix.numpy(), atol=0.07)


@pytest.mark.parametrize("matrix", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_a_covariance_is_given_in_three_ways(matrix):
    given = {"covariance_matrix": S, "precision_matrix": np.linalg.inv(S), "scale_tril": np.linalg.cholesky(S)}
    d = D.Wishart(5.0, **{matrix: tj.tensor(given[matrix])})
    for name, expected in given.items():
        np.testing.assert_allclose(getattr(d, name).numpy(), expected, atol=1e-12)
    assert d.log_prob(tj.tensor(V)).item() == pytest.approx(stats.wishart(5.0, S).logpdf(V))
    assert tuple(d.expand((2,)).sample((4,)).shape) == (4, 2, 3, 3)


@pytest.mark.parametrize("name", ["Fisher", "Pareto", "Bernoulli", "Bernoulli near"])
def test_samples_of_ratios(name):
    tj.manual_seed(2)
    d, _ = made(name)
    found = d.sample((6000,))
    assert bool(d.support.check(found).all())
    u = d.cdf(found).numpy()
    for k in range(3):
        assert stats.kstest(u[:, k], "uniform").statistic < 0.029


def test_tails_against_scipy():
    x = np.array([0.4, 0.9, 2.0])
    theirs = stats.genpareto(np.array([0.3, -0.2, 0.0]), loc=0.1, scale=1.5)
    c = tj.tensor([0.3, -0.2, 0.0], requires_grad=True)
    own = D.GeneralizedPareto(0.1, 1.5, c)
    np.testing.assert_allclose(own.log_prob(x).detach().numpy(), theirs.logpdf(x), rtol=1e-10)
    np.testing.assert_allclose(own.cdf(x).detach().numpy(), theirs.cdf(x), rtol=1e-10)
    np.testing.assert_allclose(own.icdf(tj.tensor([0.2, 0.5, 0.9])).detach().numpy(), theirs.ppf([0.2, 0.5, 0.9]), rtol=1e-10)
    np.testing.assert_allclose(own.variance.detach().numpy(), theirs.var(), rtol=1e-10)
    own.log_prob(x).sum().backward()
    steps = np.array([1e-5, 1e-5, 1e-3])  # at 0, where the formula is a series, by SciPy's on both sides
    more, less = (stats.genpareto(c.detach().numpy() + s * steps, loc=0.1, scale=1.5).logpdf(x) for s in (1, -1))
    np.testing.assert_allclose(c.grad.numpy(), (more - less) / (2 * steps), rtol=1e-5, atol=1e-6)
    ratio = stats.f(3.0, 6.0)
    np.testing.assert_allclose(D.FisherSnedecor(3.0, 6.0).cdf(tj.tensor(x)).numpy(), ratio.cdf(x), rtol=1e-11)


# Transforms to where a constraint holds

PLACES = {
    "real": (K.real, (3,)), "positive": (K.positive, (3,)), "nonnegative": (K.nonnegative, (3,)),
    "above": (K.greater_than(2.0), (3,)), "below": (K.less_than(-1.0), (3,)), "unit": (K.unit_interval, (3,)),
    "interval": (K.interval(-1.0, 3.0), (3,)), "half open": (K.half_open_interval(0.0, 2.0), (3,)),
    "vector": (K.real_vector, (3,)), "independent": (K.independent(K.positive, 1), (2, 3)), "simplex": (K.simplex, (4,)),
    "correlations": (K.corr_cholesky, (6,)), "cat": (K.cat([K.positive, K.real], -1, [1, 2]), (2, 3)),
    "stack": (K.stack([K.positive, K.real, K.unit_interval], -1), (2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_constraints_are_met(name):
    constraint, shape = PLACES[name]
    x = tj.tensor(np.random.default_rng(4).normal(size=shape))
    t = D.biject_to(constraint)
    y = t(x)
    assert bool(constraint.check(y).all())
    assert t.bijective
    assert tuple(t.forward_shape(x.shape)) == tuple(y.shape)
    assert tuple(t.inverse_shape(y.shape)) == tuple(x.shape)
    np.testing.assert_allclose(t.inv(y).numpy(), x.numpy(), rtol=1e-9, atol=1e-10)
    found = t.log_abs_det_jacobian(x, y)
    free = y[..., :-1] if name == "simplex" else y
    if name == "correlations":
        free = D.utils.tril_matrix_to_vec(y, -1)
        jacobian = tj.jacobian(lambda x: D.utils.tril_matrix_to_vec(t(x), -1))(x)
    else:
        jacobian = tj.jacobian(lambda x: t(x)[..., : free.shape[-1]])(x)
    n = x.numel()
    _, expected = np.linalg.slogdet(np.asarray(jacobian).reshape(n, n))
    np.testing.assert_allclose(found.sum().item(), expected, rtol=1e-9, atol=1e-12)
    check_grad(lambda x: t(x), x.numpy())


@pytest.mark.parametrize("constraint", [K.lower_cholesky, K.positive_definite, K.positive_semidefinite])
def test_matrices_are_met(constraint):
    x = tj.tensor(np.random.default_rng(4).normal(size=(2, 3, 3)))
    t = D.transform_to(constraint)
    y = t(x)
    assert bool(constraint.check(y).all())
    np.testing.assert_allclose(t(t.inv(y)).numpy(), y.numpy(), rtol=1e-10)
    check_grad(lambda x: t(x), x.numpy())
    with pytest.raises(NotImplementedError, match="no transform"):
        D.biject_to(constraint)


def test_constraints_of_ones_own():
    class Even(K.Constraint):
        def check(self, value):
            return value % 2 == 0

    for registry in (D.biject_to, D.transform_to):
        with pytest.raises(NotImplementedError, match="Even"):
            registry(Even())
        with pytest.raises(NotImplementedError, match="integers"):
            registry(K.integer_interval(0, 3))
        with pytest.raises(TypeError, match="constraint"):
            registry.register(int, None.__class__)

    @D.transform_to.register(Even)
    def make(constraint):
        return D.transforms.AffineTransform(0.0, 2.0)

    try:
        assert D.transform_to(Even())(tj.tensor(3.0)).item() == 6.0
    finally:
        del D.transform_to._makers[Even]


def test_a_model_is_fitted_without_constraints():
    """The most probable correlation and scales of data, from unconstrained numbers."""
    data = tj.tensor(np.random.default_rng(0).multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 2.0]], size=400))
    scales, factor = D.biject_to(K.independent(K.positive, 1)), D.biject_to(K.corr_cholesky)

    def loss(p):
        lower = scales(p[:2]).unsqueeze(-1) * factor(p[2:])
        return -D.MultivariateNormal(tj.zeros(2), scale_tril=lower, validate_args=False).log_prob(data).sum()

    best = tj.optimize.minimize(loss, np.zeros(3)).x
    lower = (scales(tj.tensor(best[:2])).unsqueeze(-1) * factor(tj.tensor(best[2:]))).numpy()
    np.testing.assert_allclose(lower @ lower.T, data.numpy().T @ data.numpy() / 400, rtol=1e-5)


def test_dependent_constraints():
    class Stretched(D.Distribution):
        arg_constraints = {"low": K.dependent, "high": K.dependent(event_dim=0)}  # noqa: RUF012  (read only)

        def __init__(self, low, high):
            self.low, self.high = D.utils.broadcast_all(low, high)
            self.batch_shape = self.low.shape

        @K.dependent_property(is_discrete=False, event_dim=0)
        def support(self):
            return K.interval(self.low, self.high)

    assert K.is_dependent(Stretched.support)
    assert Stretched.support.event_dim == 0
    assert not K.is_dependent(Stretched(1.0, 2.0).support)
    assert K.is_dependent(K.independent(K.dependent, 1))
    assert not K.is_dependent(K.real_vector)
    with pytest.raises(ValueError, match="depends"):
        K.dependent.check(tj.ones(2))


def test_helpers_of_ones_own_distributions():
    u = D.utils

    class Once:
        calls = 0

        @u.lazy_property
        def twice(self):
            """Two."""
            Once.calls += 1
            return 2

    x = Once()
    assert (x.twice, x.twice, Once.calls) == (2, 2, 1)
    a, b = u.broadcast_all(1, tj.ones(2, 1))
    assert a.shape == b.shape == (2, 1)
    with pytest.raises(ValueError, match="numbers"):
        u.broadcast_all("x", 1.0)
    p = tj.tensor([0.0, 0.3, 1.0])
    np.testing.assert_allclose(u.logits_to_probs(u.probs_to_logits(p, True), True).numpy(), p.numpy(), atol=1e-15)
    assert 0 < u.clamp_probs(p)[0].item() < 1e-15
    v = tj.arange(6.0)
    for diagonal in (0, -1):
        m = u.vec_to_tril_matrix(v, diagonal)
        assert u.tril_matrix_to_vec(m, diagonal).tolist() == v.tolist()
    assert m[2].tolist() == [1.0, 2.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="no square matrix"):
        u.vec_to_tril_matrix(tj.ones(5))


def test_transforms_are_compared_and_reshaped():
    T = D.transforms
    assert T.ExpTransform() == T.ExpTransform() != T.TanhTransform()
    assert T.AffineTransform(1.0, tj.tensor(2.0)) == T.AffineTransform(1.0, 2.0) != T.AffineTransform(1.0, 3.0)
    logs = [D.TransformedDistribution(D.Normal(0.0, s), [T.ExpTransform()]) for s in (1.0, 2.0)]
    expected = D.kl_divergence(D.Normal(0.0, 1.0), D.Normal(0.0, 2.0))
    assert D.kl_divergence(*logs).item() == expected.item()
    assert repr(logs[0].support) == "greater_than(0.0)"
    t = T.ReshapeTransform((6,), (2, 3))
    y = t(tj.arange(12.0).reshape(2, 6))
    assert tuple(y.shape) == (2, 2, 3)
    assert t.log_abs_det_jacobian(t.inv(y), y).tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="does not end"):
        t(tj.ones(5))
    uniform = T.CumulativeDistributionTransform(D.Normal(1.0, 2.0))
    x = tj.tensor([0.3, 2.0])
    np.testing.assert_allclose(uniform(x).numpy(), scipy.special.ndtr((x.numpy() - 1) / 2))
    np.testing.assert_allclose(uniform.inv(uniform(x)).numpy(), x.numpy())


def test_modules_have_pytorchs_places():
    from tapejit.distributions.constraint_registry import biject_to
    from tapejit.distributions.kl import kl_divergence
    from tapejit.distributions.lkj_cholesky import LKJCholesky
    from tapejit.distributions.utils import broadcast_all

    assert (biject_to, kl_divergence, LKJCholesky) == (D.biject_to, D.kl_divergence, D.LKJCholesky)
    assert broadcast_all is D.utils.broadcast_all


def test_what_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        D.LKJCholesky(1)
    with pytest.raises(ValueError, match="n - 1"):
        D.Wishart(1.5, tj.eye(3))
    with pytest.raises(ValueError, match="cov_factor"):
        D.LowRankMultivariateNormal(tj.zeros(3), tj.ones(2, 2), tj.ones(3))
    with pytest.raises(ValueError, match="corr_cholesky"):
        D.LKJCholesky(3).log_prob(tj.tensor(2 * C))
    with pytest.raises(ValueError, match="probs"):
        D.ContinuousBernoulli()
