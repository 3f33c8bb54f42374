"""checkpoint: the same gradients with less kept."""

import gc

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import record as R
from tapejit.core import tape as tapes

X = np.random.default_rng(0).normal(size=(4, 3))


def block(x, w):
    return tj.tanh(x @ w) * tj.sin(x).sum(), {"extra": (x * w[0]).exp()}


def test_gradients_are_those_without_it():
    grads = []
    for run in (block, tj.checkpoint(block), lambda x, w: tj.checkpoint(block, x, w)):
        x, w = tj.tensor(X, requires_grad=True), tj.tensor(np.eye(3) + 0.1, requires_grad=True)
        y, more = run(x, w)
        ((y * y).sum() + more["extra"].sum()).backward()
        grads.append((x.grad.numpy(), w.grad.numpy()))
    for mine in grads[1:]:
        for a, b in zip(mine, grads[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_tensors_closed_over_have_gradients():
    def gradients(run):
        w = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
        v = w * 2.0
        x = tj.tensor(X, requires_grad=True)
        run(lambda x: (tj.sin(x * v) * w).sum(), x).backward()
        return w.grad.numpy(), x.grad.numpy()

    for mine, true in zip(gradients(tj.checkpoint), gradients(lambda f, x: f(x)), strict=True):
        np.testing.assert_allclose(mine, true, rtol=1e-14)


@pytest.mark.parametrize("policy", ["never", "now"])
def test_second_derivatives_and_nesting(policy):
    def f(x):
        return tj.checkpoint(lambda y: (tj.checkpoint(tj.sin, y * y) * y).sum(), tj.checkpoint(tj.exp, x))

    def plain(x):
        y = tj.exp(x)
        return (tj.sin(y * y) * y).sum()

    g, h = tj.value_and_grad(f, compile=policy), tj.hvp(f, compile=policy)
    for _ in range(2):
        np.testing.assert_allclose(g(X)[1], tj.grad(plain, compile="never")(X), rtol=1e-12)
        np.testing.assert_allclose(h(X, X), tj.hvp(plain, compile="never")(X, X), rtol=1e-12)


def test_random_numbers_are_drawn_again():
    tj.manual_seed(5)
    x = tj.tensor(X, requires_grad=True)
    masks = []

    def drop(x):
        masks.append(tj.rand(*x.shape) > 0.5)
        return (x * masks[-1]).sum()

    tj.checkpoint(drop, x).backward()
    assert len(masks) == 2
    assert masks[0].tolist() == masks[1].tolist()
    np.testing.assert_array_equal(x.grad.numpy(), masks[0].numpy())


def test_memory_between_forward_and_backward():
    def many(x):
        for _ in range(50):
            x = tj.sin(x)
        return x

    held = []
    for run in (lambda f, x: f(x), tj.checkpoint):
        x = tj.tensor(np.ones(10_000), requires_grad=True)
        gc.collect()
        tapes.main.reclaim()
        before = int(tapes.main.header[R.H_BYTES])
        y = run(many, x).sum()
        tapes.main.reclaim()
        held.append(int(tapes.main.header[R.H_BYTES]) - before)
        y.backward()
    assert held[1] < held[0] / 10


def test_an_argument_changed_in_place_is_an_error():
    x = tj.tensor(X, requires_grad=True)
    y = x * 1.0
    z = tj.checkpoint(tj.sin, y).sum()
    with tj.no_grad():
        y += 1.0
    with pytest.raises(RuntimeError, match="inplace"):
        z.backward()


def test_without_gradients_it_is_the_function():
    with tj.no_grad():
        assert not tj.checkpoint(tj.sin, tj.tensor(X, requires_grad=True)).requires_grad
    np.testing.assert_array_equal(tj.checkpoint(tj.sin, tj.tensor(X)).numpy(), np.sin(X))
    with pytest.raises(TypeError, match="function"):
        tj.checkpoint(3)


def test_arguments_may_be_arrays():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    tj.checkpoint(lambda x, a, z: (x * a * z.real).sum(), x, np.array([3.0, 4.0]), np.array([2.0 + 1j, 1.0])).backward()
    assert x.grad.tolist() == [6.0, 4.0]
