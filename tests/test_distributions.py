"""Distributions: densities and entropies against SciPy, derivatives, samples by their moments, divergences by quadrature."""

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats as stats
from oracle import check_grad

import tapejit as tj
import tapejit.distributions.transforms as T
from tapejit import distributions as D

A, B = np.array([0.7, 1.6, 2.4]), np.array([1.3, 0.8, 2.9])
X = np.array([0.35, 0.55, 0.9])
K = np.array([0.0, 1.0, 3.0])
CASES = {  # our class, SciPy's distribution, parameters
    "Normal": (lambda a, b: stats.norm(a, b), (A - 1, B)),
    "Laplace": (lambda a, b: stats.laplace(a, b), (A - 1, B)),
    "Cauchy": (lambda a, b: stats.cauchy(a, b), (A - 1, B)),
    "Gumbel": (lambda a, b: stats.gumbel_r(a, b), (A - 1, B)),
    "StudentT": (lambda df, a, b: stats.t(df, a, b), (A + 2, A - 1, B)),
    "VonMises": (lambda a, b: stats.vonmises(b, a), (A - 1, B)),
    "Exponential": (lambda a: stats.expon(scale=1 / a), (A,)),
    "Gamma": (lambda a, b: stats.gamma(a, scale=1 / b), (A, B)),
    "Chi2": (lambda a: stats.chi2(a), (A,)),
    "InverseGamma": (lambda a, b: stats.invgamma(a, scale=b), (A + 2, B)),
    "LogNormal": (lambda a, b: stats.lognorm(b, scale=np.exp(a)), (A - 1, B)),
    "HalfNormal": (lambda a: stats.halfnorm(scale=a), (A,)),
    "HalfCauchy": (lambda a: stats.halfcauchy(scale=a), (A,)),
    "Weibull": (lambda a, b: stats.weibull_min(b, scale=a), (A, B)),
    "Pareto": (lambda a, b: stats.pareto(b, scale=a), (A / 10, B + 2)),
    "Uniform": (lambda a, b: stats.uniform(a, b - a), (A - 1.7, B + 0.5)),
    "Beta": (lambda a, b: stats.beta(a, b), (A, B)),
    "Bernoulli": (lambda p: stats.bernoulli(p), (X,)),
    "Geometric": (lambda p: stats.geom(p, loc=-1), (X,)),
    "Binomial": (lambda n, p: stats.binom(n, p), (np.full(3, 5.0), X)),
    "NegativeBinomial": (lambda r, p: stats.nbinom(r, 1 - p), (A, X)),
    "Poisson": (lambda a: stats.poisson(a), (A,)),
}
WITHOUT_ENTROPY = {"NegativeBinomial", "Poisson", "VonMises"}
CONSTANT = {"Binomial": {0}}  # the places of parameters that are no floats
DISCRETE = {"Bernoulli", "Geometric", "Binomial", "NegativeBinomial", "Poisson"}
REPARAMETRISED = [name for name in CASES if getattr(D, name).has_rsample]


def made(name, *parameters):
    return getattr(D, name)(*(tj.tensor(p) if isinstance(p, np.ndarray) else p for p in parameters))


def at(name):
    return np.minimum(K, 1) if name == "Bernoulli" else K if name in DISCRETE else X


@pytest.mark.parametrize("name", CASES)
def test_against_scipy(name):
    theirs, parameters = CASES[name]
    theirs, own, x = theirs(*parameters), made(name, *parameters), at(name)
    log_p = theirs.logpmf(x) if name in DISCRETE else theirs.logpdf(x)
    np.testing.assert_allclose(own.log_prob(tj.tensor(x)).numpy(), log_p, rtol=1e-11, atol=1e-13)
    if name != "VonMises":
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(own.mean.numpy(), theirs.mean(), rtol=1e-12)
            if name != "Cauchy":  # infinite for PyTorch, undefined for SciPy
                np.testing.assert_allclose(own.variance.numpy(), theirs.var(), rtol=1e-10)
        np.testing.assert_allclose(own.stddev.numpy(), np.sqrt(own.variance.numpy()))
    if name not in WITHOUT_ENTROPY:
        np.testing.assert_allclose(own.entropy().numpy(), theirs.entropy(), rtol=1e-9)
        np.testing.assert_allclose(own.perplexity().numpy(), np.exp(theirs.entropy()), rtol=1e-9)
    if name not in DISCRETE | {"VonMises", "StudentT"}:
        np.testing.assert_allclose(own.cdf(tj.tensor(x)).numpy(), theirs.cdf(x), rtol=1e-11)
    if type(own).icdf is not D.Distribution.icdf:
        np.testing.assert_allclose(own.icdf(tj.tensor(X)).numpy(), theirs.ppf(X), rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_the_density(name):
    _, parameters = CASES[name]
    constant = CONSTANT.get(name, set())
    free = [p for i, p in enumerate(parameters) if i not in constant]

    def log_prob(*args):
        args = list(args)
        x = tj.tensor(at(name)) if name in DISCRETE else args.pop()
        whole = [tj.tensor(p) if i in constant else args.pop(0) for i, p in enumerate(parameters)]
        return getattr(D, name)(*whole).log_prob(x)

    arrays = [*free, *([] if name in DISCRETE else [X])]
    check_grad(log_prob, *arrays, rtol=2e-5, atol=1e-6)
    g = tj.grad(lambda *args: log_prob(*args).sum(), argnums=tuple(range(len(arrays))))
    leaves = [tj.tensor(a, requires_grad=True) for a in arrays]
    eager = tj.autograd.grad(log_prob(*leaves).sum(), leaves, allow_unused=True)
    eager = [tj.zeros_like(x) if d is None else d for d, x in zip(eager, leaves, strict=True)]
    for _ in range(2):
        for found, expected in zip(g(*arrays), eager, strict=True):
            np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_samples(name):
    theirs, parameters = CASES[name]
    own, theirs = made(name, *parameters), theirs(*parameters)
    tj.manual_seed(5)
    found = own.sample((20000,))
    assert tuple(found.shape) == (20000, 3)
    assert not found.requires_grad
    assert bool(own.support.check(found).all())
    if name in DISCRETE:  # by the probability of each count
        values = found.numpy()
        for k in range(4):
            chance = theirs.pmf(k)
            error = np.sqrt(chance * (1 - chance) / 20000).max()
            np.testing.assert_allclose((values == k).mean(0), chance, atol=5 * error + 1e-12)
    else:  # by Kolmogorov and Smirnov's distance, whose 0.9999 quantile is 0.0157 here
        for k in range(3):
            cdf = getattr(D, name)(*(p[k] for p in parameters))
            if name in ("StudentT", "VonMises"):
                one = CASES[name][0](*(p[k] for p in parameters))
                u = one.cdf(found[:, k].numpy()) % 1
            else:
                u = cdf.cdf(found[:, k]).numpy()
            assert stats.kstest(u, "uniform").statistic < 0.0157


@pytest.mark.parametrize("name", REPARAMETRISED)
def test_samples_are_functions_of_the_parameters(name):
    _, parameters = CASES[name]

    def sample(*p):
        tj.manual_seed(2)
        return getattr(D, name)(*p).rsample((2,))

    if name in ("Gamma", "Chi2", "InverseGamma", "StudentT", "Beta"):
        leaves = [tj.tensor(p, requires_grad=True) for p in parameters]
        first = tj.autograd.grad(sample(*leaves).sum(), leaves, create_graph=True)
        assert all(np.isfinite(g.detach().numpy()).all() for g in first)
    else:
        check_grad(sample, *parameters, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("a", [0.05, 0.4, 1.0, 3.0, 60.0])
def test_gamma_samples_move_along_the_distribution_function(a):
    """z(a) with P(a, z) = u: first and second derivative by differences of SciPy's inverse."""
    leaf = tj.tensor(a, requires_grad=True)
    tj.manual_seed(1)
    z = D.Gamma(leaf, 1.0).rsample()
    first = tj.autograd.grad(z, leaf, create_graph=True)[0]
    second = tj.autograd.grad(first, leaf)[0]
    u, h = scipy.special.gammainc(a, z.item()), 1e-3 * a
    low, here, high = (scipy.special.gammaincinv(b, u) for b in (a - h, a, a + h))
    assert z.item() == pytest.approx(here, rel=1e-9)
    assert first.item() == pytest.approx((high - low) / (2 * h), rel=1e-4)
    assert second.item() == pytest.approx((high - 2 * here + low) / h**2, rel=1e-2)


def test_gradients_through_samples_are_the_means_derivatives():
    a, b = tj.tensor(1.5, requires_grad=True), tj.tensor(2.5, requires_grad=True)
    tj.manual_seed(0)
    found = tj.autograd.grad(D.Beta(a, b).rsample((20000,)).mean(), (a, b))
    np.testing.assert_allclose([g.item() for g in found], [2.5 / 16, -1.5 / 16], atol=3e-3)
    c = tj.tensor([0.5, 1.0, 2.0], requires_grad=True)
    found = tj.autograd.grad(D.Dirichlet(c).rsample((20000,))[:, 0].mean(), c)[0]
    np.testing.assert_allclose(found.numpy(), [3 / 3.5**2, -0.5 / 3.5**2, -0.5 / 3.5**2], atol=5e-3)


def test_choices():
    p = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    for d in (D.Categorical(tj.tensor(3 * p)), D.Categorical(logits=tj.tensor(np.log(p) + 1))):
        np.testing.assert_allclose(d.probs.numpy(), p)
        np.testing.assert_allclose(d.entropy().numpy(), [stats.entropy(row) for row in p])
        np.testing.assert_allclose(d.log_prob(tj.tensor([[2], [0]])).numpy(), np.log([[0.5, 0.1], [0.2, 0.6]]))
        assert d.mode.tolist() == [2, 0]
        assert d.enumerate_support().tolist() == [[0, 0], [1, 1], [2, 2]]
        tj.manual_seed(3)
        drawn = d.sample((20000,))
        assert drawn.dtype is tj.int64
        for k in range(3):
            np.testing.assert_allclose((drawn.numpy() == k).mean(0), p[:, k], atol=0.015)
    one = D.OneHotCategorical(tj.tensor(p))
    np.testing.assert_allclose(one.log_prob(tj.eye(3)[[2, 1]]).numpy(), np.log([0.5, 0.3]))
    assert tuple(one.sample((4,)).shape) == (4, 2, 3)
    assert (one.sample((4,)).sum(-1) == 1).all()
    assert one.mode.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    leaf = tj.tensor(p, requires_grad=True)
    drawn = D.OneHotCategoricalStraightThrough(leaf).rsample()
    assert set(drawn.detach().reshape(-1).tolist()) == {0.0, 1.0}
    assert tj.autograd.grad((drawn * tj.arange(3.0)).sum(), leaf)[0].abs().max() > 0.1
    many = D.Multinomial(4, tj.tensor(p))
    expected = [stats.multinomial.logpmf([1, 1, 2], 4, row) for row in p]
    np.testing.assert_allclose(many.log_prob(tj.tensor([1.0, 1.0, 2.0])).numpy(), expected)
    np.testing.assert_allclose(many.entropy().numpy(), [stats.multinomial.entropy(4, row) for row in p])
    assert (many.sample((5,)).sum(-1) == 4).all()
    check_grad(lambda q: D.Multinomial(4, q).entropy(), p)
    check_grad(lambda q: D.Categorical(logits=q).log_prob(tj.tensor([2, 0])), np.log(p))
    check_grad(lambda q: D.Categorical(q).entropy(), p)


def test_a_probability_of_zero_is_never_chosen():
    drawn = D.Categorical(tj.tensor([0.0, 0.5, 0.0, 0.5, 0.0])).sample((2000,))
    assert set(drawn.tolist()) == {1, 3}
    many = D.Multinomial(3, tj.tensor([0.5, 0.5, 0.0]))
    assert many.log_prob(tj.tensor([1.0, 2.0, 0.0])).item() == pytest.approx(np.log(3 / 8))


M = np.array([[2.0, 0.0, 0.0], [0.4, 1.5, 0.0], [-0.3, 0.2, 0.7]])
COV = M @ M.T


def test_normal_vectors():
    x, loc = np.array([[0.3, -0.2, 0.8], [1.0, 0.1, -0.4]]), np.array([0.1, 0.2, 0.3])
    expected = stats.multivariate_normal.logpdf(x, loc, COV)
    for given in ({"covariance_matrix": COV}, {"precision_matrix": np.linalg.inv(COV)}, {"scale_tril": M}):
        d = D.MultivariateNormal(tj.tensor(loc), **{name: tj.tensor(m) for name, m in given.items()})
        np.testing.assert_allclose(d.log_prob(tj.tensor(x)).numpy(), expected, rtol=1e-12)
        np.testing.assert_allclose(d.scale_tril.numpy(), M, atol=1e-12)
        np.testing.assert_allclose(d.covariance_matrix.numpy(), COV, atol=1e-12)
        np.testing.assert_allclose(d.precision_matrix.numpy(), np.linalg.inv(COV), atol=1e-12)
        np.testing.assert_allclose(d.variance.numpy(), np.diag(COV))
        np.testing.assert_allclose(d.entropy().item(), stats.multivariate_normal.entropy(loc, COV))
        tj.manual_seed(4)
        drawn = d.sample((20000,)).numpy()
        np.testing.assert_allclose(np.cov(drawn.T), COV, atol=0.12)
        np.testing.assert_allclose(drawn.mean(0), loc, atol=0.06)
    batch = D.MultivariateNormal(tj.tensor(loc), scale_tril=tj.tensor(np.stack([M, 2 * M])))
    assert (tuple(batch.batch_shape), tuple(batch.event_shape)) == ((2,), (3,))
    wide = [stats.multivariate_normal.logpdf(x[0], loc, COV), stats.multivariate_normal.logpdf(x[1], loc, 4 * COV)]
    np.testing.assert_allclose(batch.log_prob(tj.tensor(x)).numpy(), wide)
    assert tuple(batch.expand((4, 2)).sample((5,)).shape) == (5, 4, 2, 3)
    check_grad(lambda m, s, x: D.MultivariateNormal(m, s @ s.mT).log_prob(x), loc, M, x, rtol=1e-5)

    def sample(m, s):
        tj.manual_seed(1)
        return D.MultivariateNormal(m, scale_tril=s.tril()).rsample((2,))

    check_grad(sample, loc, M)


def test_dirichlet():
    a, x = np.array([0.7, 1.6, 2.4]), np.array([0.2, 0.3, 0.5])
    d = D.Dirichlet(tj.tensor(a))
    np.testing.assert_allclose(d.log_prob(tj.tensor(x)).item(), stats.dirichlet.logpdf(x, a))
    np.testing.assert_allclose(d.entropy().item(), stats.dirichlet.entropy(a))
    np.testing.assert_allclose(d.mean.numpy(), stats.dirichlet.mean(a))
    np.testing.assert_allclose(d.variance.numpy(), stats.dirichlet.var(a))
    np.testing.assert_allclose(d.mode.numpy(), [0, 0.6 / 2, 1.4 / 2])
    assert D.Dirichlet(tj.tensor([0.5, 0.7])).mode.tolist() == [0.0, 1.0]
    np.testing.assert_allclose(d.sample((20000,)).mean(0).numpy(), a / a.sum(), atol=0.01)
    check_grad(lambda a: D.Dirichlet(a).log_prob(tj.tensor(x)), a, rtol=1e-5)
    check_grad(lambda a: D.Dirichlet(a).entropy(), a, rtol=1e-5)


def test_kumaraswamy():
    d = D.Kumaraswamy(tj.tensor(A), tj.tensor(B))
    for k in range(3):
        one = D.Kumaraswamy(A[k], B[k])

        def density(x, one=one):
            return np.exp(one.log_prob(x).item())

        assert scipy.integrate.quad(density, 0, X[k])[0] == pytest.approx(d.cdf(tj.tensor(X))[k].item(), abs=1e-7)
        assert scipy.integrate.quad(lambda x, f=density: x * f(x), 0, 1)[0] == pytest.approx(d.mean[k].item(), rel=1e-6)
        square = (d.variance + d.mean**2)[k].item()
        assert scipy.integrate.quad(lambda x, f=density: x * x * f(x), 0, 1)[0] == pytest.approx(square, rel=1e-6)
        entropy = scipy.integrate.quad(lambda x, f=density: -f(x) * np.log(f(x)), 1e-12, 1 - 1e-12)[0]
        assert entropy == pytest.approx(d.entropy()[k].item(), abs=1e-6)
    np.testing.assert_allclose(d.icdf(d.cdf(tj.tensor(X))).numpy(), X)


def test_independent_mixture_and_transformed():
    base = D.Normal(tj.tensor(np.stack([A, B])), tj.ones(2, 3))
    d = D.Independent(base, 1)
    assert (tuple(d.batch_shape), tuple(d.event_shape)) == ((2,), (3,))
    np.testing.assert_allclose(d.log_prob(tj.tensor(X)).numpy(), base.log_prob(tj.tensor(X)).sum(-1).numpy())
    np.testing.assert_allclose(d.entropy().numpy(), base.entropy().sum(-1).numpy())
    assert tuple(d.expand((4, 2)).rsample((5,)).shape) == (5, 4, 2, 3)
    with pytest.raises(ValueError, match="reinterpreted"):
        D.Independent(base, 3)

    weights, means = np.array([0.3, 0.7]), np.array([-1.0, 2.0])
    mixture = D.MixtureSameFamily(D.Categorical(tj.tensor(weights)), D.Normal(tj.tensor(means), 0.5))
    density = weights @ stats.norm.pdf(0.4, means, 0.5)
    assert mixture.log_prob(0.4).item() == pytest.approx(np.log(density))
    assert mixture.cdf(0.4).item() == pytest.approx(weights @ stats.norm.cdf(0.4, means, 0.5))
    assert mixture.mean.item() == pytest.approx(weights @ means)
    assert mixture.variance.item() == pytest.approx(0.25 + weights @ means**2 - (weights @ means) ** 2)
    tj.manual_seed(6)
    drawn = mixture.sample((20000,))
    assert stats.kstest(mixture.cdf(drawn).numpy(), "uniform").statistic < 0.0157
    assert tuple(D.MixtureSameFamily(D.Categorical(tj.ones(2)), D.Independent(base, 1)).sample((4,)).shape) == (4, 3)
    with pytest.raises(ValueError, match="weights"):
        D.MixtureSameFamily(D.Categorical(tj.ones(3)), D.Independent(base, 1))

    parts = [T.AffineTransform(0.5, 2.0), T.TanhTransform(1)]
    squashed = D.TransformedDistribution(D.Normal(tj.tensor(A), tj.tensor(B)), parts)
    y = squashed.rsample()
    assert (y.abs() < 1).all()
    inner = (np.arctanh(X) - 0.5) / 2
    expected = stats.norm.logpdf(inner, A, B) - np.log(2) - np.log1p(-(X**2))
    np.testing.assert_allclose(squashed.log_prob(tj.tensor(X)).numpy(), expected, rtol=1e-11)
    np.testing.assert_allclose(squashed.cdf(tj.tensor(X)).numpy(), stats.norm.cdf(inner, A, B))
    np.testing.assert_allclose(squashed.icdf(squashed.cdf(tj.tensor(X))).numpy(), X)
    check_grad(
        lambda a, b, x: D.TransformedDistribution(D.Normal(a, b), [T.AffineTransform(0.5, 2.0), T.TanhTransform()]).log_prob(x),
        A, B, X, rtol=1e-5,
    )  # fmt: skip


TRANSFORMS = {
    "ExpTransform": T.ExpTransform(), "AffineTransform": T.AffineTransform(1.0, tj.tensor(-2.0)),
    "SigmoidTransform": T.SigmoidTransform(), "TanhTransform": T.TanhTransform(),
    "SoftplusTransform": T.SoftplusTransform(), "PowerTransform": T.PowerTransform(3.0),
    "Compose": T.ComposeTransform([T.ExpTransform(), T.PowerTransform(0.5), T.AffineTransform(1.0, 2.0)]),
    "Inverse": T.ExpTransform().inv, "IndependentTransform": T.IndependentTransform(T.ExpTransform(), 1),
    "StickBreakingTransform": T.StickBreakingTransform(),
    "ComposeWithVectors": T.ComposeTransform([T.StickBreakingTransform(), T.AffineTransform(0.0, 3.0, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    f = TRANSFORMS[name]
    x = tj.tensor(A)
    y = f(x)
    np.testing.assert_allclose(f.inv(y).numpy(), A, rtol=1e-10)
    assert f.forward_shape((3,)) == tuple(y.shape)
    assert f.inv.forward_shape(tuple(y.shape)) == (3,)
    jacobian = tj.jacobian(lambda x: f(x)[: 3])(A)
    if name.startswith(("Stick", "ComposeWith")):
        expected = np.linalg.slogdet(jacobian)[1]
        if name.startswith("ComposeWith"):  # PyTorch's counts the scale of all of the K numbers
            expected += np.log(3)
    else:
        logs = np.log(np.abs(np.diag(jacobian)))
        expected = logs.sum() if name == "IndependentTransform" else logs
    np.testing.assert_allclose(f.log_abs_det_jacobian(x, y).numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(f.inv.log_abs_det_jacobian(y, x).numpy(), -expected, rtol=1e-10)


def test_a_transform_remembers():
    f = T.TanhTransform(cache_size=1)
    x = tj.tensor([20.0, 30.0])
    assert f.inv(f(x)) is x
    assert T.TanhTransform().inv(tj.tanh(x)).tolist() == [np.inf, np.inf]


PAIRS = {
    "Normal": ((0.3, 1.2), (-0.4, 0.8)), "Laplace": ((0.3, 1.2), (-0.4, 0.8)), "Cauchy": ((0.3, 1.2), (-0.4, 0.8)),
    "Gumbel": ((0.3, 1.2), (-0.4, 0.9)), "LogNormal": ((0.3, 0.7), (-0.4, 0.8)), "Exponential": ((1.2,), (0.7,)),
    "Gamma": ((1.7, 1.2), (2.3, 0.7)), "Beta": ((1.7, 1.2), (2.3, 0.7)), "HalfNormal": ((1.2,), (0.7,)),
    "Pareto": ((1.2, 3.0), (0.8, 2.0)), "Uniform": ((-0.4, 1.2), (-1.0, 2.0)),
    "Bernoulli": ((0.3,), (0.6,)), "Binomial": ((4.0, 0.3), (4.0, 0.6)), "Geometric": ((0.3,), (0.6,)),
    "Poisson": ((1.2,), (2.3,)),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_divergences(name):
    p, q = (getattr(D, name)(*parameters, validate_args=False) for parameters in PAIRS[name])
    if name in DISCRETE:
        k = tj.arange(0.0, {"Bernoulli": 2.0, "Binomial": 5.0}.get(name, 90.0))
        expected = (tj.exp(p.log_prob(k)) * (p.log_prob(k) - q.log_prob(k))).sum().item()
    else:
        ends = {"Beta": (0, 1), "Uniform": PAIRS["Uniform"][0], "Pareto": (1.2, 2000)}
        low, high = ends.get(name, (0 if bool((p.support.check(tj.tensor(-1.0)) == 0).all()) else -400, 400))

        def integrand(x):
            return (tj.exp(p.log_prob(x)) * (p.log_prob(x) - q.log_prob(x))).item()

        cuts = [x for x in (-30, -3, 0, 3, 30) if low < x < high]
        expected = scipy.integrate.quad(integrand, low, high, points=cuts or None, limit=400)[0]
    assert D.kl_divergence(p, q).item() == pytest.approx(expected, abs=1e-2 if name == "Cauchy" else 1e-5)
    first = [np.array(x) for x in PAIRS[name][0]]
    free = first[1:] if name == "Binomial" else first

    def divergence(*parameters):
        whole = (4.0, *parameters) if name == "Binomial" else parameters
        return D.kl_divergence(getattr(D, name)(*whole), q)

    check_grad(divergence, *free, rtol=1e-5, atol=1e-6)


def test_divergences_of_vectors_and_of_different_kinds():
    p = D.MultivariateNormal(tj.tensor(A), tj.tensor(COV))
    q = D.MultivariateNormal(tj.zeros(3), tj.eye(3))
    expected = 0.5 * (np.trace(COV) + A @ A - 3 - np.linalg.slogdet(COV)[1])
    assert D.kl_divergence(p, q).item() == pytest.approx(expected)
    spread = D.Independent(D.Normal(tj.tensor(A), tj.tensor(B)), 1), D.Independent(D.Normal(tj.zeros(3), tj.ones(3)), 1)
    expected = (0.5 * (B**2 + A**2 - 1) - np.log(B)).sum()
    assert D.kl_divergence(*spread).item() == pytest.approx(expected)
    q = D.Normal(0.5, 1.5)
    ranges = {D.Exponential(1.3): (0, 40), D.Gamma(2.0, 1.3): (0, 40), D.Uniform(-1.0, 2.0): (-1, 2)}
    ranges[D.Laplace(0.2, 0.7)] = -30, 30
    for p, ends in ranges.items():

        def integrand(x, p=p):
            return (tj.exp(p.log_prob(x)) * (p.log_prob(x) - q.log_prob(x))).item()

        expected = scipy.integrate.quad(integrand, *ends, points=[0.2], limit=200)[0]
        assert D.kl_divergence(p, q).item() == pytest.approx(expected, abs=1e-6)
    a, b = D.Exponential(1.3), D.Gamma(2.0, 0.6)
    expected = scipy.integrate.quad(lambda x: (tj.exp(a.log_prob(x)) * (a.log_prob(x) - b.log_prob(x))).item(), 0, 50)[0]
    assert D.kl_divergence(a, b).item() == pytest.approx(expected, abs=1e-6)
    probs = np.array([0.2, 0.3, 0.5]), np.array([0.5, 0.3, 0.2])
    for kind in (D.Categorical, D.OneHotCategorical):
        assert D.kl_divergence(*(kind(tj.tensor(x)) for x in probs)).item() == pytest.approx(stats.entropy(*probs))
    c = D.Dirichlet(tj.tensor(A)), D.Dirichlet(tj.tensor(B))
    drawn = c[0].sample((200000,))
    expected = (c[0].log_prob(drawn) - c[1].log_prob(drawn)).mean().item()
    assert D.kl_divergence(*c).item() == pytest.approx(expected, abs=0.03)
    expected = D.kl_divergence(D.Gamma(1.5, 0.5), D.Gamma(2.0, 0.5)).item()
    assert D.kl_divergence(D.Chi2(3.0), D.Chi2(4.0)).item() == pytest.approx(expected)
    assert D.kl_divergence(D.Uniform(0.0, 3.0), D.Uniform(0.0, 2.0)).item() == np.inf
    assert D.kl_divergence(D.Bernoulli(0.5), D.Bernoulli(0.0)).item() == np.inf
    with pytest.raises(NotImplementedError, match="register_kl"):
        D.kl_divergence(D.Poisson(1.0), D.Normal(0.0, 1.0))


def test_a_divergence_of_ones_own():
    class Point(D.Normal):
        pass

    @D.register_kl(Point, D.Normal)
    def _(p, q):
        return tj.tensor(7.0)

    assert D.kl_divergence(Point(0.0, 1.0), D.Normal(0.0, 1.0)).item() == 7.0
    assert D.kl_divergence(Point(0.0, 1.0), Point(0.0, 1.0)).item() == 7.0
    assert D.kl_divergence(D.Normal(0.0, 1.0), Point(0.0, 1.0)).item() == 0.0


def test_relaxed_choices():
    tau, logits = 0.7, np.array([0.4, -0.3])
    d = D.RelaxedBernoulli(tau, logits=tj.tensor(logits))
    for k in range(2):
        one = D.RelaxedBernoulli(tau, logits=logits[k])
        whole = scipy.integrate.quad(lambda x, one=one: np.exp(one.log_prob(x).item()), 0, 1, limit=200)[0]
        assert whole == pytest.approx(1, abs=1e-6)
    tj.manual_seed(3)
    drawn = d.rsample((20000,)).numpy()
    np.testing.assert_allclose((drawn > 0.5).mean(0), 1 / (1 + np.exp(-logits)), atol=0.015)
    vector = D.RelaxedOneHotCategorical(tau, logits=tj.tensor(np.append(logits, 0.1)))
    drawn = vector.rsample((20000,))
    np.testing.assert_allclose(drawn.sum(-1).numpy(), 1.0)
    shares = np.bincount(drawn.argmax(-1).numpy(), minlength=3) / 20000
    np.testing.assert_allclose(shares, vector.probs.numpy(), atol=0.015)
    two = D.RelaxedOneHotCategorical(tau, logits=tj.tensor([0.3, 0.0]))  # of two choices it is the relaxed yes and no
    assert two.log_prob(tj.tensor([0.2, 0.8])).item() == pytest.approx(D.RelaxedBernoulli(tau, logits=0.3).log_prob(0.2).item())
    check_grad(lambda t, p, x: D.RelaxedBernoulli(t, logits=p).log_prob(x), np.array(tau), logits, X[:2])


def test_what_is_checked():
    with pytest.raises(ValueError, match="scale of Normal must satisfy the constraint greater_than"):
        D.Normal(0.0, -1.0)
    with pytest.raises(ValueError, match="loc"):
        D.Normal(np.nan, 1.0)
    with pytest.raises(ValueError, match="the value of Gamma"):
        D.Gamma(1.0, 1.0).log_prob(-1.0)
    with pytest.raises(ValueError, match="low >= high"):
        D.Uniform(1.0, 1.0)
    with pytest.raises(ValueError, match="one of probs, logits"):
        D.Bernoulli()
    with pytest.raises(ValueError, match="one of"):
        D.MultivariateNormal(tj.zeros(2), tj.eye(2), tj.eye(2))
    with pytest.raises(ValueError, match="positive_definite"):
        D.MultivariateNormal(tj.zeros(2), tj.tensor([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(ValueError, match="fit"):
        D.Normal(tj.zeros(3), 1.0).log_prob(tj.zeros(2))
    with pytest.raises(ValueError, match="at least 1 dimensions"):
        D.Dirichlet(1.0)
    with pytest.raises(NotImplementedError, match="differentiable"):
        D.Poisson(1.0).rsample()
    with pytest.raises(NotImplementedError, match="cdf"):
        D.StudentT(3.0).cdf(0.1)
    assert np.isnan(D.Normal(0.0, -1.0, validate_args=False).log_prob(1.0).item())
    assert D.Gamma(1.0, 1.0, validate_args=False).log_prob(-1.0).item() == 1.0
    assert D.Uniform(0.0, 1.0, validate_args=False).log_prob(2.0).item() == -np.inf
    D.Distribution.set_default_validate_args(False)
    try:
        assert np.isnan(D.Normal(0.0, -1.0).log_prob(1.0).item())
    finally:
        D.Distribution.set_default_validate_args(True)


def test_shapes_and_dtypes():
    d = D.Normal(tj.zeros(3, dtype=tj.float32), 1.0)
    assert d.scale.dtype is d.sample().dtype is d.log_prob(0.5).dtype is tj.float32
    assert d.sample((2,)).dtype is tj.float32
    assert tuple(D.Normal(0.0, 1.0).sample().shape) == ()
    assert tuple(D.Normal(tj.zeros(0), 1.0).log_prob(tj.zeros(2, 0)).shape) == (2, 0)
    assert tuple(D.Normal(tj.zeros(2, 1), tj.ones(3)).batch_shape) == (2, 3)
    assert tuple(D.Gamma(2.0, 3.0).expand((2, 3)).rsample((4,)).shape) == (4, 2, 3)
    assert repr(D.Normal(0.0, tj.ones(2))) == "Normal(loc: tensor of shape (2,), scale: tensor of shape (2,))"
    np.testing.assert_allclose(D.Normal(np.zeros(2), np.ones(2)).log_prob(np.ones(2)).numpy(), stats.norm.logpdf(np.ones(2)))
    seen = [tj.manual_seed(1) and D.Gamma(2.0, 1.0).sample().item() for _ in range(2)]
    assert seen[0] == seen[1]


def test_under_transforms():
    def loss(loc, scale, x):
        return -D.Normal(loc, scale).log_prob(x).mean()

    value, (a, b) = tj.value_and_grad(loss, argnums=(0, 1))(0.3, 1.2, X)
    assert value == pytest.approx(-stats.norm.logpdf(X, 0.3, 1.2).mean())
    assert a == pytest.approx(-((X - 0.3) / 1.44).mean())
    assert np.isfinite(b)
    with pytest.raises(ValueError, match="scale"):
        tj.value_and_grad(loss, argnums=(0, 1))(0.3, -1.2, X)
    each = tj.vmap(lambda m, x: D.Normal(m, 1.0, validate_args=False).log_prob(x))
    np.testing.assert_allclose(each(tj.tensor(A), tj.tensor(X)).numpy(), stats.norm.logpdf(X, A, 1.0))
    with pytest.raises(RuntimeError, match="random"):
        tj.grad(lambda m: D.Normal(m, 1.0).rsample())(0.5)
    assert tj.grad(lambda m: D.Normal(m, 1.0).rsample(), compile="never")(0.5) == 1.0
