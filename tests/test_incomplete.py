"""Incomplete gamma and beta functions, zeta and Lambert's function: derivatives in every argument, in all three ways in."""

import math

import mpmath
import numpy as np
import pytest
import scipy.special as scipy
from oracle import check_grad

import tapejit as tj
from tapejit import special
from tapejit.spec.table import BY_NAME, FUNCTIONS


def lower_gamma(a, x):
    return mpmath.gammainc(a, 0, x, regularized=True)


def lower_beta(a, b, x):
    return mpmath.betainc(a, b, 0, x, regularized=True)


def upper_beta(a, b, x):
    return mpmath.betainc(b, a, 0, 1 - x, regularized=True)


def gamma_slope(a, x, order):
    """The derivative in a, with as many digits as it takes, on the side where it does not vanish in rounding."""
    if x > a + 1:
        return -mpmath.diff(lambda t: mpmath.gammainc(t, x, mpmath.inf, regularized=True), a, order)
    return mpmath.diff(lambda t: lower_gamma(t, x), a, order)


def beta_slope(a, b, x, orders):
    low = x * (b + 1) <= (1 - x) * (a + 1)
    found = mpmath.diff(lambda s, t: (lower_beta if low else upper_beta)(s, t, x), (a, b), orders)
    return found if low else -found


GAMMA = [(a, x) for a in (1e-3, 0.3, 1.0, 12.3, 100.0) for x in (1e-12, 0.01, 0.56, 3.0, 12.0, 100.0, 130.0)]
BETA = [(a, b, x) for a in (0.01, 1.0, 13.0) for b in (0.2, 2.5, 60.0) for x in (1e-9, 0.05, 0.5, 0.97)]
ZETA = [(s, q) for s in (1.001, 2.0, 7.5, 30.0) for q in (1e-3, 1.0, 11.0, 100.0)]
EXACT = {
    "_gammainc_a": (GAMMA, lambda a, x: gamma_slope(a, x, 1)),
    "_gammainc_aa": (GAMMA, lambda a, x: gamma_slope(a, x, 2)),
    "_gamma_density": (GAMMA, lambda a, x: x ** (a - 1) * mpmath.exp(-x) / mpmath.gamma(a)),
    "_betainc_a": (BETA, lambda a, b, x: beta_slope(a, b, x, (1, 0))),
    "_betainc_b": (BETA, lambda a, b, x: beta_slope(a, b, x, (0, 1))),
    "_betainc_aa": (BETA, lambda a, b, x: beta_slope(a, b, x, (2, 0))),
    "_betainc_ab": (BETA, lambda a, b, x: beta_slope(a, b, x, (1, 1))),
    "_betainc_bb": (BETA, lambda a, b, x: beta_slope(a, b, x, (0, 2))),
    "_beta_density": (BETA, lambda a, b, x: x ** (a - 1) * (1 - x) ** (b - 1) / mpmath.beta(a, b)),
    "_zeta_s": (ZETA, lambda s, q: mpmath.zeta(s, q, 1)),
    "_zeta_ss": (ZETA, lambda s, q: mpmath.zeta(s, q, 2)),
}


@pytest.mark.parametrize("name", EXACT)
def test_derivatives_in_parameters_have_ten_digits(name):
    points, exact = EXACT[name]
    found = FUNCTIONS[name](*map(tj.tensor, map(list, zip(*points, strict=True)))).tolist()
    with mpmath.workdps(60):
        for value, point in zip(found, points, strict=True):
            expected = exact(*map(mpmath.mpf, point))
            assert abs(value - expected) <= 1e-10 * abs(expected) + 1e-290, (point, value, expected)


def test_large_parameters():
    with mpmath.workdps(60):
        for a, x in ((1e4, 9.9e3), (1e4, 1e4), (1e4, 1.03e4)):
            found = FUNCTIONS["_gammainc_a"](tj.tensor(a), tj.tensor(x)).item()
            assert found == pytest.approx(float(gamma_slope(mpmath.mpf(a), mpmath.mpf(x), 1)), rel=1e-10)


@pytest.mark.parametrize("name", ["gammainc", "gammaincc", "betainc"])
def test_at_the_ends(name):
    ends = {"betainc": ([0.5, 1.0, 3.0, 3.0], [2.0, 1.0, 0.5, 2.0], [0.0, 1.0, 1.0, math.nan])}
    arrays = [np.array(a) for a in ends.get(name, ([0.5, 1.0, 3.0, 2.0], [0.0, 0.0, math.inf, math.nan]))]
    tensors = [tj.tensor(a, requires_grad=True) for a in arrays]
    y = getattr(special, name)(*tensors)
    np.testing.assert_array_equal(y.detach().numpy(), getattr(scipy, name)(*arrays))
    y.sum().backward()
    for t in tensors[:-1]:
        np.testing.assert_array_equal(t.grad.numpy()[:3], [0.0, 0.0, 0.0])


def test_the_slope_in_the_last_argument_at_the_ends():
    a, x = tj.tensor([0.5, 1.0, 3.0]), tj.zeros(3, requires_grad=True)
    special.gammainc(a, x).sum().backward()
    assert x.grad.tolist() == [math.inf, 1.0, 0.0]
    z = tj.tensor([0.0, 0.0, 1.0, 1.0], requires_grad=True)
    special.betainc(tj.tensor([1.0, 3.0, 2.0, 2.0]), tj.tensor([4.0, 2.0, 1.0, 3.0]), z).sum().backward()
    assert z.grad.tolist() == [4.0, 0.0, 2.0, 0.0]


def test_outside_of_their_domain_they_are_nan():
    a = tj.tensor([-1.0, 2.0], requires_grad=True)
    special.gammainc(a, tj.tensor([1.0, -1.0])).sum().backward()
    assert np.isnan(a.grad.numpy()).all()


def test_lower_branch_of_lambert():
    x = np.array([-0.3678, -0.36, -0.2, -1e-3, -1e-100])
    np.testing.assert_allclose(special.lambertw(tj.tensor(x), -1).numpy(), scipy.lambertw(x, -1).real, rtol=2e-15)
    check_grad(lambda x: special.lambertw(x, -1), x[2:3], rtol=1e-5)
    assert special.lambertw(tj.tensor([-0.0, -1 / math.e]), -1).tolist() == [-math.inf, -1.0]
    assert np.isnan(special.lambertw(tj.tensor([1.0, -1.0]), -1).numpy()).all()
    with mpmath.workdps(40):
        near = [-0.36787944117, -0.3678794, -0.367]
        for k in (0, -1):
            found = special.lambertw(tj.tensor(near), k).tolist()
            np.testing.assert_allclose(found, [float(mpmath.lambertw(mpmath.mpf(x), k).real) for x in near], rtol=1e-14)


def test_gamma_functions_of_negative_numbers():
    x = np.array([-0.3, -3.7, -20.5, -7.25] * 5 + [2.5])
    np.testing.assert_allclose(special.zeta(3.0, tj.tensor(x)).numpy(), 0.5 * -scipy.polygamma(2, x), rtol=5e-12)
    np.testing.assert_allclose(special.polygamma(1, tj.tensor(x)).numpy(), trigamma(x), rtol=1e-12)
    check_grad(tj.digamma, x[:4], rtol=1e-5)
    check_grad(tj.lgamma, x[:4], rtol=1e-5)
    check_grad(lambda x: special.polygamma(2, x), x[:4], rtol=1e-5)


def trigamma(x):
    """By reflection, DLMF 5.15.6."""
    return np.where(x < 0, math.pi**2 / np.sin(math.pi * x) ** 2 - scipy.polygamma(1, 1 - x), scipy.polygamma(1, np.abs(x)))


def test_in_nopython_code():
    def f(p):
        mixed = special.gammainc(p[0], p[1]) * special.lambertw(p[1]) + special.zeta(p[0] + 1.0, p[1])
        return special.betainc(p[0], p[1], p[2]) + mixed

    def of_arrays(p):
        return special.betainc(p, p + 1.0, p / 4.0).sum() + special.gammaincc(p, 2.0).sum()

    p = np.array([1.2, 2.3, 0.4])
    for function in (f, of_arrays):
        value, gradient = tj.nopython.value_and_grad(function)(p)
        t = tj.tensor(p, requires_grad=True)
        y = function(t)
        y.backward()
        np.testing.assert_allclose(value, y.item(), rtol=1e-14)
        np.testing.assert_allclose(gradient, t.grad.numpy(), rtol=1e-12)
        np.testing.assert_allclose(tj.nopython.hessian(function)(p)[-1], tj.hessian(function)(p), rtol=1e-11, atol=1e-13)


def test_replayed_to_the_second_order():
    def f(p):
        mixed = special.gammainc(p[0], p[1]) * special.lambertw(p[1]) + special.zeta(p[1], p[0])
        return special.betainc(p[0], p[1], p[2]) + mixed

    h = tj.hessian(f, compile="now")
    for p in (np.array([1.2, 2.3, 0.4]), np.array([3.0, 1.5, 0.8])):
        t = tj.tensor(p, requires_grad=True)
        (g,) = tj.autograd.grad(f(t), t, create_graph=True)
        rows = [tj.autograd.grad(g[k], t, retain_graph=True)[0].numpy() for k in range(3)]
        np.testing.assert_allclose(np.asarray(h(p)), rows, rtol=1e-11)


def test_logit_with_eps():
    x = tj.tensor([-0.5, 0.1, 0.3, 1.5], requires_grad=True)
    y = tj.logit(x, eps=0.2)
    np.testing.assert_allclose(y.detach().numpy(), scipy.logit([0.2, 0.2, 0.3, 0.8]), rtol=1e-15)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.0, 0.0, 1 / 0.21, 0.0], rtol=1e-14)
    assert x.logit(0.2).tolist() == special.logit(x, 0.2).tolist() == y.tolist()
    assert math.isnan(tj.logit(tj.tensor(1.5)).item())


def test_names():
    a, x = tj.tensor([0.5, 2.0]), tj.tensor([1.0, 3.0])
    assert tj.igamma(a, x).tolist() == a.igamma(x).tolist() == special.gammainc(a, x).tolist()
    assert tj.igammac(a, x).tolist() == a.igammac(x).tolist() == scipy.gammaincc(a, x).tolist()
    assert {op.op for name, op in primitives()} <= {*BY_NAME, "_hurwitz_zeta"}


def primitives():
    from tapejit.spec.primitives import OWN, PRIMITIVES

    return [(name, PRIMITIVES[name]) for name in OWN]


def test_constants_are_folded_by_the_same_functions():
    f = tj.value_and_grad(lambda x: (x * special.gammainc(tj.tensor([0.5]), tj.tensor([1.0])) * special.lambertw(1.0)).sum())
    expected = scipy.gammainc(0.5, 1.0) * scipy.lambertw(1.0).real
    assert [f(np.ones(1))[1].item() for _ in range(3)] == pytest.approx([expected] * 3, rel=1e-15)
