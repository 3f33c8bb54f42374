"""Whole Jacobians and Hessians through products: no work on unit vectors, and the digits of other ways."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.graph.rewrite import reachable

RNG = np.random.default_rng(0)
ROWS, N = 60, 12
X, W, Y = RNG.normal(size=(ROWS, N)), RNG.normal(size=N) / 4, (RNG.random(ROWS) < 0.5).astype(float)


def by_probabilities(z, y):
    p = 1 / (1 + tj.exp(-z))
    return -(y * tj.log(p) + (1 - y) * tj.log(1 - p))


LOSSES = {
    "softplus": lambda z, y: tj.nn.functional.softplus(z) - y * z,
    "logaddexp": lambda z, y: tj.logaddexp(0.0, z) - y * z,
    "log1p": lambda z, y: tj.log1p(tj.exp(z)) - y * z,
    "sigmoid": lambda z, y: (1 - y) * z - tj.log(tj.sigmoid(z)),
    "probabilities": by_probabilities,
}
FORMS = {
    "X @ w": lambda w, X: X @ w,
    "w @ X.T": lambda w, X: w @ X.T,
    "a column": lambda w, X: (X @ w[:, None])[:, 0],
    "scaled": lambda w, X: X @ (-w * 2.0 / (1.0 + X[0] ** 2)),
    "an intercept": lambda w, X: X[:, 1:] @ w[1:] + w[0],
    "rows": lambda w, X: tj.stack([tj.dot(X[i], w) for i in range(ROWS)]),
    "twice": lambda w, X: X @ w + X[::-1].copy() @ (w + w),
}


def second(z):
    """The second derivative of the losses."""
    s = 1 / (1 + np.exp(-z))
    return s * (1 - s)


def products(g):
    frozen = g._last.latest().frozen
    return [x for x in reachable(frozen.graph.nodes, frozen.outputs) if x.op == "matmul" and x.shape == (N, N)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("compile", ["never", "now"])
def test_however_a_logistic_loss_is_written(loss, compile):
    expected = X.T @ (X * second(X @ W)[:, None]) + np.eye(N)
    g = tj.hessian(lambda w, X, y: LOSSES[loss](X @ w, y).sum() + 0.5 * (w * w).sum(), compile=compile)
    for _ in range(2):
        np.testing.assert_allclose(g(W, X, Y), expected, rtol=1e-12, atol=1e-13)
    if compile == "now":
        (product,) = products(g)
        assert any(a.op == "view" and a.attr.strides == (1, N) for a in product.args)  # X and d * X are read as they lie


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compile", ["never", "now"])
def test_however_the_product_is_written(form, compile):
    f = FORMS[form]
    matrix = tj.jacobian(f, mode="reverse", compile="never")(W, X)
    expected = matrix.T @ (matrix * second(tj.jit(f, compile="never")(W, X))[:, None])
    g = tj.hessian(lambda w, X: tj.nn.functional.softplus(f(w, X)).sum(), compile=compile)
    np.testing.assert_allclose(g(W, X), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(tj.jacobian(f, mode="forward", compile=compile)(W, X), matrix, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("steps", [1, 3, 120])  # the last one learns its rules
def test_recurrences(mode, steps):
    A, b = RNG.normal(size=(N, N)) / 3, RNG.normal(size=N)

    def f(x, A, b):
        for _ in range(steps):
            x = tj.tanh(A @ x + b)
        return x

    x, expected = W, np.eye(N)
    for _ in range(steps):
        x = np.tanh(A @ x + b)
        expected = (1 - x * x)[:, None] * (A @ expected)
    for compile in ("never", "now"):
        g = tj.jacobian(f, mode=mode, compile=compile)
        np.testing.assert_allclose(g(W, A, b), expected, rtol=1e-10, atol=1e-12)
        if compile == "now" and steps == 3:
            assert len(products(g)) == steps - 1  # none with unit vectors


@pytest.mark.parametrize("compile", ["never", "now"])
def test_missing_rows_and_infinite_factors_stay_where_they_are(compile):
    gaps = X.copy()
    gaps[3] = np.nan

    def slopes(w, X):
        z = X @ w
        return tj.where(tj.isnan(z), 0.0, tj.cosh(z))

    kept = np.delete(X, 3, 0)
    found = tj.jacobian(slopes, mode="forward", compile=compile)(W, gaps)
    assert not found[3].any()
    np.testing.assert_allclose(np.delete(found, 3, 0), np.sinh(kept @ W)[:, None] * kept)
    sparse = np.where(RNG.random((ROWS, N)) < 0.5, X, 0.0)
    sparse[5] = 0.0
    found = tj.jacobian(lambda w, X: tj.sqrt(X @ w), mode="forward", compile=compile)(np.abs(W), np.abs(sparse))
    assert not found[5].any()  # zero times an infinite slope


def test_a_gradient_through_a_hessian():
    curvature = lambda w: (tj.hessian(lambda v: tj.nn.functional.softplus(X @ v).sum())(w) ** 2).sum()  # noqa: E731
    found, step = tj.grad(curvature)(W), 1e-6
    expected = [(float(curvature(W + step * e)) - float(curvature(W - step * e))) / (2 * step) for e in np.eye(N)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_single_precision():
    g = tj.hessian(lambda w, X: tj.nn.functional.softplus(X @ w).sum(), compile="now")
    found = g(W.astype(np.float32), X.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, X.T @ (X * second(X @ W)[:, None]), rtol=1e-4, atol=1e-4)


def test_products_that_are_decided_by_stay_as_they_are():
    def f(x, A):
        y = (A.T * x) @ A
        return y * 2 if y[0, 0] > 0 else y - 1

    A = RNG.normal(size=(9, 9))
    g = tj.jit(f, compile="now")
    for x in (np.ones(9), -np.ones(9), np.linspace(-1, 1, 9)):
        np.testing.assert_array_equal(g(x, A), np.asarray(f(tj.tensor(x), tj.tensor(A))))


def test_large_products_by_blocks_of_rows():
    rows = 9001
    features, w = RNG.normal(size=(rows, 40)), RNG.normal(size=40) / 6
    g = tj.hessian(lambda w, X: tj.nn.functional.softplus(X @ w).sum(), compile="now")
    expected = features.T @ (features * second(features @ w)[:, None])
    for _ in range(2):
        np.testing.assert_allclose(g(w, features), expected, rtol=1e-11, atol=1e-10)
