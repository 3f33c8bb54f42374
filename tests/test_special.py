"""Special functions: values against SciPy's, derivatives of both orders, replayed, in nopython code, at special places."""

import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.special as scipy
from oracle import check_grad

import tapejit as tj
from tapejit import special
from tapejit.spec.table import OPS

FILES = ("tapejit.spec.special", "tapejit.spec.incomplete")
TABLE = [op for op in OPS if op.elementwise and op.code and op.value.__module__ in FILES]
TABLE = [op for op in TABLE if op.name == "_zeta" or not op.name.startswith("_")]
THERE = {
    "lgamma": scipy.gammaln, "digamma": scipy.psi, "sinc": np.sinc, "_zeta": scipy.zeta,
    "lambertw": lambda x: scipy.lambertw(x).real,
}  # fmt: skip
ILL_CONDITIONED = {"logit": 4e-15, "rel_entr": 4e-15, "ndtr": 4e-15, "log_ndtr": 1e-14, "voigt_profile": 4e-15}


def function_of(op):
    return special.zeta if op.name == "_zeta" else getattr(special, op.name, None) or getattr(tj, op.name)


def reference_of(op):
    return THERE.get(op.name) or getattr(scipy, op.name)


def drawn(op, *shape, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(*op.domain[j], shape) for j in range(op.arity)]


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_values(op):
    arrays = drawn(op, 400)
    expected = reference_of(op)(*arrays)
    found = function_of(op)(*map(tj.tensor, arrays)).numpy()
    np.testing.assert_allclose(found, expected, rtol=ILL_CONDITIONED.get(op.name, 2e-15))
    single = function_of(op)(*(tj.tensor(a, dtype=tj.float32) for a in arrays))
    assert single.dtype is tj.float32
    wide = reference_of(op)(*(a.astype(np.float32).astype(float) for a in arrays))
    np.testing.assert_allclose(single.numpy(), wide, rtol=4e-6, atol=1e-7 if op.name == "sinc" else 0)


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_derivatives(op):
    check_grad(function_of(op), *drawn(op, 4, seed=1), rtol=1e-5)


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_replayed(op):
    function = function_of(op)
    g = tj.value_and_grad(lambda *xs: function(*xs).sum(), op.arity - 1, compile="now")
    for seed in range(3):
        arrays = drawn(op, 7, seed=seed)
        tensors = [tj.tensor(a, requires_grad=j == op.arity - 1) for j, a in enumerate(arrays)]
        y = function(*tensors).sum()
        y.backward()
        value, gradient = g(*arrays)
        np.testing.assert_allclose(value, y.item(), rtol=1e-14)
        np.testing.assert_allclose(gradient, tensors[-1].grad.numpy(), rtol=1e-13, atol=1e-15)


ENDS = {
    "lgamma": [0.5, -0.5, -1.5, 0.0, -2.0, 171.0, 1e8, math.inf, math.nan],
    "digamma": [0.5, -0.5, 1e-10, 1e10, math.nan],
    "erfinv": [-1.0, 1.0, 0.0, 2.0, math.nan],
    "erfcx": [-30.0, 30.0, 1e300, math.nan],
    "ndtr": [-40.0, -10.0, 10.0, math.inf, -math.inf, math.nan],
    "log_ndtr": [-1e5, -40.0, -1.0, 40.0, math.nan],
    "ndtri": [0.0, 1.0, 1e-300, 0.5, math.nan],
    "logit": [0.0, 1.0, 0.5, -1.0, math.nan],
    "entr": [0.0, -1.0, math.inf, math.nan],
    "i0": [0.0, 700.0, -3.0, math.nan],
    "i1": [0.0, 700.0, -3.0, math.nan],
    "j1": [0.0, 1e3, -2.0, math.nan],
    "k0": [0.0, 700.0, math.nan],
    "sinc": [0.0, 1.0, -2.0, 1e-9, math.nan],
    "lambertw": [0.0, -0.3678, -0.3, 1e-300, 1e300, math.inf, math.nan],
}


@pytest.mark.parametrize("name", ENDS)
def test_special_places(name):
    x = np.array(ENDS[name])
    with np.errstate(all="ignore"):
        expected = THERE.get(name, getattr(scipy, name, None))(x)
    np.testing.assert_allclose(getattr(special, name)(tj.tensor(x)).numpy(), expected, rtol=4e-14, atol=4e-16)


def test_pairs_with_zero():
    x, y = np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, -1.0, math.nan, 0.0])
    for name in ("xlogy", "xlog1py", "rel_entr"):
        with np.errstate(all="ignore"):
            expected = getattr(scipy, name)(x, y)
        np.testing.assert_array_equal(getattr(special, name)(tj.tensor(x), tj.tensor(y)).numpy(), expected)
    p = tj.tensor([0.0, 0.5], requires_grad=True)
    special.xlogy(p, p).sum().backward()
    assert np.isfinite(p.grad.numpy()[1])


def test_slopes_at_zero():
    for name, slope in (("i1", 0.5), ("j1", 0.5), ("i0", 0.0), ("j0", 0.0), ("sinc", 0.0), ("i1e", 0.5)):
        x = tj.tensor(0.0, requires_grad=True)
        getattr(special, name)(x).backward()
        assert x.grad.item() == slope, name


def test_far_out_the_derivative_of_log_ndtr_is_exact():
    x = tj.tensor([-1e4, -50.0, 50.0], requires_grad=True)
    special.log_ndtr(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[:2], [1e4 + 1e-4, 50.01998402555], rtol=1e-8)
    assert x.grad[2].item() == 0.0


@pytest.mark.parametrize("n", range(5))
def test_polygamma(n):
    x = np.array([0.3, 1.7, 12.0, 300.0])
    np.testing.assert_allclose(special.polygamma(n, tj.tensor(x)).numpy(), scipy.polygamma(n, x), rtol=4e-15)
    np.testing.assert_allclose(tj.tensor(x).polygamma(n).numpy(), scipy.polygamma(n, x), rtol=4e-15)
    check_grad(lambda x: special.polygamma(n, x), x[:2], rtol=1e-5)


def test_composed():
    x = np.array([2.3, 4.1])
    np.testing.assert_allclose(special.multigammaln(tj.tensor(x), 3).numpy(), [scipy.multigammaln(v, 3) for v in x], rtol=1e-14)
    check_grad(lambda x: special.multigammaln(x, 3), x)
    np.testing.assert_allclose(tj.mvlgamma(tj.tensor(x), 2).numpy(), [scipy.multigammaln(v, 2) for v in x], rtol=1e-14)
    p, q = np.array([0.2, 0.8]), np.array([0.5, 0.5])
    np.testing.assert_allclose(special.kl_div(tj.tensor(p), tj.tensor(q)).numpy(), scipy.kl_div(p, q), rtol=1e-13)
    np.testing.assert_allclose(special.log_expit(tj.tensor([-800.0, 1.0])).numpy(), scipy.log_expit([-800.0, 1.0]))
    a, b = np.array([[1.0, 900.0, 2.0], [0.0, -3.0, 5.0]]), np.array([[0.5, 2.0, 0.0], [1.0, 1.0, 3.0]])
    for axis, keepdims in ((None, False), (0, False), (1, True)):
        found = special.logsumexp(tj.tensor(a), axis, tj.tensor(b), keepdims)
        np.testing.assert_allclose(found.numpy(), scipy.logsumexp(a, axis, b, keepdims), rtol=1e-14)
        np.testing.assert_allclose(special.logsumexp(tj.tensor(a), axis).numpy(), scipy.logsumexp(a, axis), rtol=1e-14)
    check_grad(lambda a, b: special.logsumexp(a, 1, b), a[1:], b[1:])
    assert special.zeta(tj.tensor(2.0)).item() == pytest.approx(math.pi**2 / 6, rel=1e-15)


def test_errors():
    with pytest.raises(ValueError, match="k = 0 and k = -1"):
        special.lambertw(tj.tensor(2.0), 1)
    with pytest.raises(ValueError, match="integers n >= 0"):
        special.polygamma(-1, tj.tensor(1.0))
    with pytest.raises(ValueError, match="integers d >= 1"):
        special.multigammaln(tj.tensor(1.0), 0)


def test_plain_names():
    x = tj.tensor([0.3, 0.6])
    for name in ("lgamma", "digamma", "erfinv", "logit", "i0", "sinc"):
        assert getattr(tj, name)(x).tolist() == getattr(x, name)().tolist()
    assert x.xlogy(x).tolist() == tj.xlogy(x, x).tolist()
    assert not hasattr(tj, "k0e")
    assert special.bessel_j0 is special.j0
    assert set(special.__all__) <= set(dir(special))


def test_code_from_disk_finds_scipy_in_a_new_process():
    script = (
        "import numpy as np, tapejit as tj\n"
        "x = tj.tensor([2.5, 3.5], requires_grad=True)\n"
        "tj.special.betaln(x, x + 1).sum().backward()\n"
        "g = tj.value_and_grad(lambda x: tj.lgamma(x).sum(), compile='now')\n"
        "print(x.grad.tolist(), [float(g(np.array([2.5, 3.5]))[0]) for _ in range(2)])\n"
    )
    assert said(script) == said(script)


def said(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_in_nopython_code():
    def f(x):
        return tj.lgamma(x[0]) * special.k0(x[1]) + special.betaln(x[0], x[1])

    x = np.array([2.5, 1.5])
    value, gradient = tj.nopython.value_and_grad(f)(x)
    t = tj.tensor(x, requires_grad=True)
    y = f(t)
    y.backward()
    np.testing.assert_allclose(value, y.item(), rtol=1e-14)
    np.testing.assert_allclose(gradient, t.grad.numpy(), rtol=1e-13)


VOIGT = [
    (1.0, 0.7, 0.3), (0.0, 1.0, 1.0), (5.0, 0.5, 0.1), (30.0, 0.5, 0.1), (1e3, 1.0, 1.0), (2.0, 1.0, 0.0), (9.0, 1.0, 1e-3),
    (8.0, 1.0, 2.0), (1.0, 2.0, -0.3),
]  # fmt: skip


@pytest.mark.parametrize("point", VOIGT)
def test_voigt_profile_against_forty_digits(point):
    mp = pytest.importorskip("mpmath")

    def exact(x, s, g):
        z = (mp.mpf(x) + 1j * mp.mpf(g)) / (mp.mpf(s) * mp.sqrt(2))
        return (mp.exp(-z * z) * mp.erfc(-1j * z)).real / (mp.mpf(s) * mp.sqrt(2 * mp.pi))

    with mp.workdps(40):
        value = float(exact(*point))
        first = [float(mp.diff(exact, point, tuple(int(j == k) for k in range(3)))) for j in range(3)]
        second = [float(mp.diff(exact, point, tuple(int(j == k) + int(k == 1) for k in range(3)))) for j in range(3)]
    xs = [tj.tensor(a, requires_grad=True) for a in point]
    y = special.voigt_profile(*xs)
    assert y.item() == pytest.approx(value, rel=4e-15)
    slopes = tj.autograd.grad(y, xs, create_graph=True)
    np.testing.assert_allclose([s.item() for s in slopes], first, rtol=1e-11, atol=1e-30)
    np.testing.assert_allclose([s.item() for s in tj.autograd.grad(slopes[1], xs)], second, rtol=1e-9, atol=1e-30)


def test_voigt_profile_at_its_ends():
    x, s, g = np.array([0.0, 1.0, 2.0, np.inf, np.nan, 0.0]), np.zeros(6), np.array([0.0, 0.0, 1.0, 1.0, 1.0, np.inf])
    np.testing.assert_allclose(special.voigt_profile(*map(tj.tensor, (x, s, g))).numpy()[:5], scipy.voigt_profile(x, s, g)[:5])
    check_grad(lambda x, g: special.voigt_profile(x, tj.tensor(0.0), g), np.array([0.5, -2.0]), np.array([1.0, 0.3]))
    y = tj.tensor(0.0, requires_grad=True)  # dV/dy = y d2V/dx2, which is that of Cauchy's density
    (slope,) = tj.autograd.grad(special.voigt_profile(tj.tensor(0.5), y, tj.tensor(1.0)), y, create_graph=True)
    slope.backward()
    assert slope.item() == 0.0
    assert y.grad.item() == pytest.approx(2 / math.pi * (3 * 0.25 - 1) / 1.25**3)


def test_voigt_profile_is_fitted_in_every_way():
    x = np.linspace(-4, 4, 60)
    target = scipy.voigt_profile(x - 0.3, 0.8, 0.4)

    def loss(p):
        return ((tj.special.voigt_profile(x - p[0], p[1], p[2]) - target) ** 2).sum()

    def loop(p):
        total = 0.0
        for k in range(x.size):
            total += (tj.special.voigt_profile(x[k] - p[0], p[1], p[2]) - target[k]) ** 2
        return total

    p = np.array([0.0, 1.0, 1.0])
    t = tj.tensor(p, requires_grad=True)
    loss(t).backward()
    np.testing.assert_allclose(tj.grad(loss)(p), t.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(tj.nopython.grad(loop)(p), t.grad.numpy(), rtol=1e-10)
