"""Orthogonal polynomials against SciPy's, their derivatives, and zeta at infinity."""

import math

import numpy as np
import pytest
import scipy.special
from oracle import check_grad

import tapejit as tj
from tapejit import special

X = np.array([[-0.9, -0.3, 0.0, 0.4, 1.0], [0.2, 0.7, -1.3, 1.6, -1.0]])
N = np.array([[0, 1, 2, 5, 9], [3, 4, 6, 7, 1]])


def _of_angle(function, x, n):
    t = np.arccos(x.astype(complex))
    return np.real(function((n + 0.5) * t) / function(t / 2))


SCIPY = {
    "chebyshev_polynomial_t": lambda x, n: scipy.special.eval_chebyt(n, x),
    "chebyshev_polynomial_u": lambda x, n: scipy.special.eval_chebyu(n, x),
    "chebyshev_polynomial_v": lambda x, n: _of_angle(np.cos, x, n),
    "chebyshev_polynomial_w": lambda x, n: _of_angle(np.sin, x, n),
    "hermite_polynomial_h": lambda x, n: scipy.special.eval_hermite(n, x),
    "hermite_polynomial_he": lambda x, n: scipy.special.eval_hermitenorm(n, x),
    "laguerre_polynomial_l": lambda x, n: scipy.special.eval_laguerre(n, x),
    "legendre_polynomial_p": lambda x, n: scipy.special.eval_legendre(n, x),
}


@pytest.mark.parametrize("name", SCIPY)
def test_polynomials(name):
    own = getattr(special, name)
    x = np.where(np.abs(X) == 1, 0.5 * X, X) if name[-1] in "vw" else X
    expected = SCIPY[name](x, N)
    np.testing.assert_allclose(own(tj.tensor(x), N).numpy(), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(own(tj.tensor(x), tj.tensor(N.astype(float))).numpy(), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(own(tj.tensor(x), 5).numpy(), SCIPY[name](x, 5), rtol=1e-11, atol=1e-12)
    assert own(tj.tensor(0.3), -1).item() == 0.0
    check_grad(lambda x: own(x, N), x)
    f = tj.jit(lambda x: own(x, 4))
    np.testing.assert_allclose(f(x), SCIPY[name](x, 4), rtol=1e-11, atol=1e-12)
    if name.startswith("chebyshev"):
        shifted = getattr(special, f"shifted_{name}")
        np.testing.assert_allclose(shifted(tj.tensor((x + 1) / 2), N).numpy(), expected, rtol=1e-10, atol=1e-11)


def test_spherical_bessel():
    x = np.array([0.0, 0.1, 3.0])
    np.testing.assert_allclose(special.spherical_bessel_j0(tj.tensor(x)).numpy(), scipy.special.spherical_jn(0, x), rtol=1e-14)


def test_zeta_where_it_is_not_finite():
    s, q = np.meshgrid([1.0, 1.5, 2.0, 50.0], [-2.5, -1.0, 0.0, 0.5, 1.0, 30.0, math.inf], indexing="ij")
    np.testing.assert_allclose(special.zeta(tj.tensor(s), tj.tensor(q)).numpy(), scipy.special.zeta(s, q), rtol=1e-12)
    q = tj.tensor([0.5, 1.0, 1.5, 7.0])
    assert special.zeta(math.inf, q).tolist() == [math.inf, 1.0, 0.0, 0.0]
    assert math.isnan(special.zeta(2.0, tj.tensor(math.nan)).item())
