"""scan and its relatives: JAX's results on tensors, eagerly and recorded, with gradients."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.graph import periods, reroll

W = np.random.default_rng(0).normal(size=(3, 3)) * 0.5
X = np.random.default_rng(1).normal(size=(20, 3)) * 0.3


def step(carry, x):
    new = tj.tanh(carry @ W + x)
    return new, {"sum": new.sum(), "square": new * new}


def test_scan_gives_the_last_carry_and_stacked_results():
    carry, ys = tj.scan(step, tj.tensor(X[0]), X)
    c = X[0]
    for t in range(len(X)):
        c = np.tanh(c @ W + X[t])
        np.testing.assert_allclose(ys["square"][t].numpy(), c * c, rtol=1e-12)
    np.testing.assert_allclose(carry.numpy(), c, rtol=1e-12)
    assert ys["sum"].shape == (20,)


def test_scan_from_the_end():
    carry, ys = tj.scan(lambda c, x: (c + x, c), 0.0, np.arange(4.0), reverse=True)
    assert carry.item() == 6.0
    assert ys.tolist() == [6.0, 5.0, 3.0, 0.0]


def test_scan_without_slices_or_results():
    carry, ys = tj.scan(lambda c, x: (c * 2.0, None), tj.tensor(1.0), length=5)
    assert carry.item() == 32.0
    assert ys is None


def test_a_scan_of_nothing_has_empty_results():
    carry, ys = tj.scan(step, tj.tensor(X[0]), X[:0])
    assert carry.tolist() == X[0].tolist()
    assert ys["square"].shape == (0, 3)


def loss(x, chunk):
    carry, ys = tj.scan(step, x[0], x, checkpoint=chunk)
    return (carry * carry).sum() + (ys["sum"] ** 2).sum()


@pytest.mark.parametrize("chunk", [None, 3, 20, "sqrt"])
def test_gradients_of_scan(chunk, monkeypatch):
    monkeypatch.setattr(reroll, "FEWEST", 20)
    monkeypatch.setattr(periods, "SAVED", 10)
    plain = tj.value_and_grad(lambda x: loss(x, None), compile="never")(X)
    for policy in ("never", "now"):
        g = tj.value_and_grad(lambda x: loss(x, chunk), compile=policy)
        for _ in range(2):
            value, gradient = g(X)
            np.testing.assert_allclose(value, plain[0], rtol=1e-12)
            np.testing.assert_allclose(gradient, plain[1], rtol=1e-11)
        product = tj.hvp(lambda x: loss(x, chunk), compile=policy)
        product(X, X)
        np.testing.assert_allclose(product(X, X), tj.hvp(lambda x: loss(x, None), compile="never")(X, X), rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: tj.scan(step, tj.tensor(X[0])), ValueError, "length"),
        (lambda: tj.scan(step, tj.tensor(X[0]), X, length=3), ValueError, r"\[3, 20\]"),
        (lambda: tj.scan(lambda c, x: c, 0.0, X), TypeError, "pair"),
        (lambda: tj.scan(lambda c, x: ((c, c), x), 0.0, X), TypeError, "structure"),
        (lambda: tj.scan(step, tj.tensor(X[0]), X, checkpoint="all"), ValueError, "'all'"),
        (lambda: tj.map(lambda x: x, 1.0), ValueError, "first dimension"),
        (lambda: tj.associative_scan(lambda a, b: a + b, X, axis=2), ValueError, "dimension 2"),
    ],
)
def test_errors_say_what_was_expected(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_for_and_while_and_cond():
    assert tj.fori_loop(0, 5, lambda i, v: v + i, 1.0) == 11.0
    x = tj.tensor(1.5, requires_grad=True)
    y = tj.while_loop(lambda v: v < 100, lambda v: v * x, x)
    y.backward()
    n = int(np.ceil(np.log(100) / np.log(1.5)))
    np.testing.assert_allclose(x.grad.item(), n * 1.5 ** (n - 1), rtol=1e-12)
    assert tj.cond(x > 1, tj.sin, tj.cos, x).item() == np.sin(1.5)
    assert tj.cond(x < 1, tj.sin, tj.cos, x).item() == np.cos(1.5)


def test_map_stacks_what_a_function_gives():
    np.testing.assert_allclose(tj.map(lambda r: r.sum() * r, X).numpy(), X.sum(1, keepdims=True) * X, rtol=1e-12)
    pair = tj.map(lambda p: (p[0] + p[1].sum(), p[1]), (X[:, 0], X))
    np.testing.assert_allclose(pair[0].numpy(), X[:, 0] + X.sum(1), rtol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 13])
def test_associative_scan(n, reverse):
    x = np.random.default_rng(n).uniform(0.5, 1.5, size=(2, n))
    found = tj.associative_scan(lambda a, b: a * b, x, reverse=reverse, axis=1).numpy()
    wanted = np.cumprod(x[:, ::-1], 1)[:, ::-1] if reverse else np.cumprod(x, 1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_an_associative_scan_of_a_linear_recurrence():
    a, b = np.random.default_rng(3).uniform(0.1, 0.9, size=(2, 11))

    def run(a, b):
        return tj.associative_scan(lambda p, q: (p[0] * q[0], p[1] * q[0] + q[1]), (a, b))[1].sum()

    def loop(a, b):
        y, total = 0.0, 0.0
        for t in range(11):
            y = y * a[t] + b[t]
            total = total + y
        return total

    for mine, true in zip(*(tj.grad(f, argnums=(0, 1), compile="now")(a, b) for f in (run, loop)), strict=True):
        np.testing.assert_allclose(mine, true, rtol=1e-12)
