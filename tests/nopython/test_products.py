"""Products of vectors and matrices, which are recorded number by number while they are small."""

import numpy as np
import pytest
from finite_differences import differences

from tapejit import nopython
from tapejit.nopython.smallproducts import MOST


def chain(a, b, c, v):
    """Products in which the left, the right or both factors are differentiated, of every layout."""
    p = a @ b
    q = np.dot(c, p.T) + np.dot(p, c)
    r = np.ascontiguousarray(q[::2, ::-1]) @ q.T
    w = np.dot(p, v) + np.dot(v, q) + c @ (v @ p)
    return np.sum(r * r) * 0.1 + np.dot(w, np.sin(w)) + np.sum(q[:, 1:] @ w[1:] * v)


def constants(n):
    return np.cos(np.arange(n * n) * 1.3).reshape(n, n), np.linspace(-1.0, 1.0, n)


@pytest.mark.filterwarnings("ignore:.*faster on contiguous")
def test_products_agree_with_dual_numbers():
    assert MOST == 8**3, "sizes below and above"
    g, h = (nopython.value_and_grad(chain, argnums=(0, 1, 3), mode=mode) for mode in ("tape", "dual"))
    for n in (1, 2, 3, 5, 8, 9):
        c, v = constants(n)
        a, b = np.sin(np.arange(2.0 * n * n)).reshape(2, n, n)
        value, gradients = g(a, b, c, v)
        expected, exact = h(a, b, c, v)
        assert value == pytest.approx(expected, rel=1e-13)
        for own, other in zip(gradients, exact, strict=True):
            assert own == pytest.approx(other, rel=1e-11, abs=1e-11)


def test_products_of_nothing():
    def f(x):
        a = x[:0].copy().reshape(2, 0)
        return np.sum(a @ a.T + 1.0) * x[0]

    x = np.array([3.0, 4.0])
    assert nopython.grad(f, mode="tape")(x) == pytest.approx([4.0, 0.0])


def test_extents_that_do_not_fit_raise():
    def f(a, b):
        return np.sum(a @ b)

    with pytest.raises(ValueError, match="incompatible"):
        nopython.grad(f)(np.ones((2, 3)), np.ones((2, 3)))


@pytest.mark.slow
def test_second_derivatives_of_a_product():
    def f(x):
        a = x.reshape(2, 2)
        return np.sum(a @ a @ a)

    g = nopython.grad(f, mode="tape")

    def norm(x):
        return np.sum(g(x) ** 2)

    x = np.array([0.3, -0.7, 1.1, 0.4])
    assert nopython.grad(norm, mode="tape")(x) == pytest.approx(differences(norm, x), rel=1e-6)


def repeated(x, n):
    a = x.reshape(4, 4)
    p = np.eye(4)
    for _ in range(n):
        p = 0.5 * (a @ p)
    return np.sum(p)


def test_a_full_tape_raises():
    g = nopython.grad(repeated, mode="tape")
    x = np.eye(4).ravel()
    expected = g(x, 20)
    before = nopython.memory_limit()
    nopython.set_memory_limit(1 << 18)
    try:
        with pytest.raises(MemoryError):
            g(x, 1000)
        assert np.array_equal(g(x, 20), expected)
    finally:
        nopython.set_memory_limit(before)
