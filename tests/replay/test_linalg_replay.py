"""Linear algebra replayed: the programs agree with eager, to second order, and errors come as from eager."""

import numpy as np
import pytest

import tapejit as tj
from tapejit import linalg


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def symmetric(x):
    return (x + x.mT) / 2


SQUARE = draw(3, 3) * 0.3 + np.diag([1.0, 2.0, 4.0])
FUNCTIONS = {
    "cholesky": lambda x: linalg.cholesky(x @ x.mT).sum(),
    "solve": lambda x: linalg.solve(x, x.mT[:, :2] ** 2).sum(),
    "triangular": lambda x: linalg.solve_triangular(x, x**2, upper=True, left=False).sum(),
    "inv": lambda x: (linalg.inv(x) ** 2).sum(),
    "det": lambda x: linalg.det(x) ** 2,
    "det 4": lambda x: linalg.det(tj.linalg.kron(x, tj.eye(2))),
    "slogdet": lambda x: linalg.slogdet(x).logabsdet,
    "lu": lambda x: (linalg.lu_factor(x).LU ** 2).sum(),
    "eigh": lambda x: (linalg.eigh(symmetric(x)).eigenvectors[0] ** 3).sum() ** 2,
    "eig": lambda x: (linalg.eig(x).eigenvectors[0].abs() ** 2).sum(),
    "svd": lambda x: (linalg.svd(x).U[0] ** 4).sum(),
    "qr": lambda x: (linalg.qr(x).Q ** 3).sum(),
    "pinv": lambda x: (linalg.pinv(x[:2]) ** 2).sum(),
    "matrix_exp": lambda x: linalg.matrix_exp(x).sum(),
    "nuc": lambda x: linalg.matrix_norm(x, "nuc"),
    "lstsq": lambda x: (linalg.lstsq(x[:, :2], x[:, 2:]).solution ** 2).sum(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_programs_agree_with_eager(name):
    f = FUNCTIONS[name]
    replayed, hessian = tj.value_and_grad(f), tj.hessian(f)
    for step in range(3):  # recorded, then run by the program
        a = SQUARE + 0.01 * step
        x = tj.tensor(a, requires_grad=True)
        value = f(x)
        (first,) = tj.autograd.grad(value, x, create_graph=True)
        second = np.array([[tj.autograd.grad(g, x, retain_graph=True)[0].numpy() for g in row] for row in first])
        got, gradient = replayed(a)
        np.testing.assert_allclose(got, value.item(), rtol=1e-11)
        np.testing.assert_allclose(gradient, first.detach().numpy(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(hessian(a), second, rtol=1e-7, atol=1e-7)
        assert replayed.wait()
        assert hessian.wait()
    assert replayed.calls["replayed"] == 2
    assert replayed.calls["eager"] == 0


def test_a_failure_inside_a_program_is_the_error_of_eager():
    f = tj.value_and_grad(lambda a: linalg.cholesky(a).sum() + linalg.inv(a[0]).sum())
    stack = np.stack([np.eye(2) * (k + 1) for k in range(4)])
    good = [f(stack)[0] for _ in range(3)]
    bad = stack.copy()
    bad[2, 1, 1] = -1
    for _ in range(3):
        with pytest.raises(np.linalg.LinAlgError, match=r"cholesky: matrix 2 of the batch is not positive definite.*order 2"):
            f(bad)
        np.testing.assert_allclose(f(stack)[0], good[0], rtol=1e-14)
    with pytest.raises(np.linalg.LinAlgError, match="cholesky"):
        f(-stack)


def test_a_failure_whose_result_nobody_uses_is_one_all_the_same():
    def f(a):
        linalg.inv(a)
        return a.sum()

    g = tj.value_and_grad(f)
    for _ in range(3):
        g(np.eye(2))
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        g(np.zeros((2, 2)))


def test_a_long_recording_is_interpreted_and_fails_as_eager():
    def f(a):
        x = a
        for _ in range(600):
            x = x + 0.001 * x.sin()
        return linalg.cholesky(x).sum()

    g = tj.value_and_grad(f)
    a = np.eye(3) + 0.1
    first = g(a)
    again = g(a)
    np.testing.assert_allclose(first[1], again[1], rtol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="cholesky"):
        g(-a)
    np.testing.assert_allclose(g(a)[1], first[1], rtol=1e-12)


def test_jacobians():
    def f(a, b):
        return linalg.solve(a, b)

    a, b = SQUARE, draw(3)
    forward, reverse = tj.jacfwd(f)(a, b), tj.jacrev(f)(a, b)
    inverse, x = np.linalg.inv(a), np.linalg.solve(a, b)
    expected = -inverse[:, :, None] * x[None, None, :]
    np.testing.assert_allclose(forward, expected, rtol=1e-10)
    np.testing.assert_allclose(reverse, expected, rtol=1e-10)


def likelihood(theta, x, y):
    """Minus the logarithm of a Gaussian process's marginal likelihood, but for a constant."""
    scale, length, slope, noise = (tj.exp(theta[k]) for k in range(4))
    d = (x.unsqueeze(1) - x.unsqueeze(0)) / length
    K = scale * tj.exp(-0.5 * d * d) + slope * x.unsqueeze(1) * x.unsqueeze(0) + noise * tj.eye(x.shape[0])
    L = linalg.cholesky(K)
    z = linalg.solve_triangular(L, y.unsqueeze(1), upper=False)
    return 0.5 * (z * z).sum() + L.diagonal().log().sum()


@pytest.mark.parametrize("n", [10, 130])
def test_gaussian_process(n):
    """d/dK = (K^-1 - K^-1 y y^T K^-1) / 2"""
    x = np.linspace(-2, 2, n)
    y = np.sin(x) + 0.1 * draw(n)
    theta = np.array([0.1, 0.2, -1.0, -1.0])
    g = tj.value_and_grad(likelihood)
    for _ in range(3):
        value, gradient = g(theta, x, y)
    scale, length, slope, noise = np.exp(theta)
    d = (x[:, None] - x) / length
    part = scale * np.exp(-0.5 * d * d)
    K = part + slope * np.outer(x, x) + noise * np.eye(n)
    inverse = np.linalg.inv(K)
    alpha = inverse @ y
    adjoint = (inverse - np.outer(alpha, alpha)) / 2
    expected = [(adjoint * m).sum() for m in (part, part * d * d, slope * np.outer(x, x), noise * np.eye(n))]
    np.testing.assert_allclose(value, 0.5 * y @ alpha + 0.5 * np.linalg.slogdet(K)[1], rtol=1e-11)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9)


CAPTURED = {
    "transposed": lambda w: w.T,
    "Fortran": np.asfortranarray,
    "reversed": lambda w: w[::-1, ::-1],
    "every other": lambda w: np.repeat(np.repeat(w, 2, 0), 2, 1)[::2, ::2],
}


@pytest.mark.parametrize("name", CAPTURED)
def test_products_with_captured_arrays_in_any_layout(name):
    w = CAPTURED[name](draw(3, 3))

    def f(x):
        return (x @ w).sum() * (w @ x).sum() + ((w @ x) ** 2).sum() + (x[0] @ w * x[1]).sum()

    x, v = draw(3, 3, seed=1), draw(3, 3, seed=2)
    replayed, eager = (tj.value_and_grad(f, compile=c) for c in ("now", "never"))
    for _ in range(2):
        np.testing.assert_allclose(replayed(x)[1], eager(x)[1], rtol=1e-12)
    np.testing.assert_allclose(tj.hvp(f, compile="now")(x, v), tj.hvp(f, compile="never")(x, v), rtol=1e-12)
