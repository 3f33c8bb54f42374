"""Checkpoints: the same derivatives, by calls that run again; memory; nesting; what is refused."""

import math

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

from tapejit import nopython

LIMIT = 1 << 20


def step(u, p):
    w = u.copy()
    for i in range(1, len(u) - 1):
        w[i] = u[i] + p * (u[i - 1] - 2 * u[i] + u[i + 1]) * math.sin(u[i])
    return w


def marching(step):
    step = step if hasattr(step, "py_func") else njit(step)

    def loss(u, p, n):
        for _ in range(n):
            u = step(u, p)
        return np.sum(u * u)

    return loss


U = np.linspace(0, 1, 40) ** 2


@pytest.mark.parametrize("keep", ["inputs", "jacobian", "auto"])
def test_gradients_are_the_same(keep):
    expected = nopython.value_and_grad(marching(step), (0, 1), mode="tape")(U, 0.3, 5)
    for mode in ("tape", "dual"):
        found = nopython.value_and_grad(marching(nopython.checkpoint(step, keep=keep)), (0, 1), mode=mode)(
            U, 0.3, 5
        )
        assert found[0] == expected[0]
        assert found[1][0] == pytest.approx(expected[1][0], rel=1e-11)
        assert found[1][1] == pytest.approx(expected[1][1], rel=1e-11)


def limited(f, *args):
    before = nopython.memory_limit()
    nopython.set_memory_limit(LIMIT)
    try:
        return f(*args)
    finally:
        nopython.set_memory_limit(before)
        nopython.free_memory()


def test_memory_is_bounded():
    """700 steps of 40 points pass a limit of one megabyte; their inputs alone do not."""
    plain = nopython.grad(marching(step), mode="tape")
    short = nopython.grad(marching(nopython.checkpoint(step)), mode="tape")
    expected = plain(U, 0.01, 700)
    with pytest.raises(MemoryError):
        limited(plain, U, 0.01, 700)
    assert limited(short, U, 0.01, 700) == pytest.approx(expected, rel=1e-10)


@pytest.mark.slow
def test_checkpoints_nest():
    """Blocks of steps, each a checkpoint of checkpoints: memory like the square root of the number of steps."""
    inner = nopython.checkpoint(step)

    def block(u, p, n):
        for _ in range(n):
            u = inner(u, p)
        return u

    outer = nopython.checkpoint(block)

    def loss(u, p, blocks, n):
        for _ in range(blocks):
            u = outer(u, p, n)
        return np.sum(u * u)

    expected = nopython.grad(marching(step), (0, 1), mode="tape")(U, 1e-4, 20_000)
    short = nopython.grad(marching(inner), (0, 1), mode="tape")
    with pytest.raises(MemoryError):
        limited(short, U, 1e-4, 20_000)
    found = limited(nopython.grad(loss, (0, 1), mode="tape"), U, 1e-4, 100, 200)
    assert found[0] == pytest.approx(expected[0], rel=1e-9)
    assert found[1] == pytest.approx(expected[1], rel=1e-9)


def test_a_replay_that_does_not_fit():
    """The record fits, what it stands for does not: MemoryError out of the sweep, and nothing is left behind."""

    def long(x, n):
        s = 0.0
        for k in range(n):
            s = s * 0.5 + x[0] * x[1] * (k % 7)
        return s, s * x[0]

    short = nopython.checkpoint(long)
    g = nopython.grad(lambda x, n: short(x, n)[0] * short(x, n)[1], mode="tape")
    x = np.array([0.5, 2.0])
    expected = g(x, 1_000)
    for _ in range(2):
        with pytest.raises(MemoryError):
            limited(g, x, 1_000_000)
        assert limited(g, x, 1_000) == pytest.approx(expected)


def mixed(state, data, k, scale):
    """Tuples, integers, passive arrays, several results."""
    a, (b, c) = state
    out = np.zeros((2, a.size))
    for i in range(a.size):
        out[0, i] = a[i] * b * data[i, k]
        out[1, i] = math.exp(-a[i] * c) * scale
    return out, b * c + a[0], k + 1, 2.5


def through(mixed):
    mixed = mixed if hasattr(mixed, "py_func") else njit(mixed)

    def loss(a, b, c, data, work):
        k = 0
        s = 0.0
        for j in range(3):
            work[:, :] = data + j
            out, number, k, constant = mixed((a, (b, c)), work, k, 0.5 * b)
            a = out[0] + out[1] * number
            s += number * constant
        return s + np.sum(a)

    return loss


def test_arguments_and_results_of_every_kind():
    args = np.linspace(0.1, 1.0, 7), 0.7, 1.3, np.cos(np.arange(28.0)).reshape(7, 4), np.zeros((7, 4))
    expected = nopython.value_and_grad(through(mixed), (0, 1, 2), mode="tape")(*args)
    found = nopython.value_and_grad(through(nopython.checkpoint(mixed)), (0, 1, 2), mode="tape")(*args)
    assert found[0] == pytest.approx(expected[0], rel=1e-14)
    for one, other in zip(found[1], expected[1], strict=True):
        assert one == pytest.approx(other, rel=1e-11)
    plain = njit(through(mixed))
    assert found[1][0] == pytest.approx(differences(lambda a: plain(a, *args[1:]), args[0]), rel=1e-6)


@pytest.mark.slow
def test_second_derivatives():
    short, plain = marching(nopython.checkpoint(step)), marching(step)
    u = U[::4]
    expected = nopython.hessian(plain)(u, 0.3, 3)
    found = nopython.hessian(short)(u, 0.3, 3)
    assert found[2] == pytest.approx(expected[2], rel=1e-10, abs=1e-11)
    v = np.cos(np.arange(10.0))
    assert nopython.hvp(short)(u, 0.3, 3, v) == pytest.approx(expected[2] @ v, rel=1e-9, abs=1e-10)
    g = nopython.grad(short, mode="tape")
    norm = nopython.grad(lambda u, p, n: np.sum(g(u, p, n) ** 2), mode="tape")
    assert norm(u, 0.3, 3) == pytest.approx(2 * expected[2] @ expected[1], rel=1e-9)


def test_a_jacobian_over_checkpoints():
    inner = nopython.checkpoint(step)

    def march(u, p):
        for _ in range(4):
            u = inner(u, p)
        return u

    plain = njit(step)

    def reference(u, p):
        for _ in range(4):
            u = plain(u, p)
        return u

    u = U[::4]
    assert nopython.jacobian(march)(u, 0.3)[1] == pytest.approx(
        nopython.jacobian(reference)(u, 0.3)[1], rel=1e-11
    )


def energy(x, k):
    s = 0.0
    for i in range(x.size):
        s += math.sin(k * x[i]) * x[i]
    return s


def newton(a, b):
    y = a
    for _ in range(6):
        y = 0.5 * (y + a / y) + 0.01 * b
    return y


def chained(first, second):
    def loss(x, k):
        a = first(x, k)
        return a * second(a * a + 1.0, k) + second(k, 2.0)

    return loss


@pytest.mark.parametrize("keep", ["auto", "inputs"])
def test_steps_that_return_a_number(keep):
    plain = chained(njit(energy), njit(newton))
    short = chained(nopython.checkpoint(energy, keep=keep), nopython.checkpoint(newton, keep=keep))
    x = np.linspace(0.1, 1.0, 5)
    value, expected = nopython.value_and_grad(plain, (0, 1))(x, 0.7)
    for mode in ("tape", "dual"):
        found, slopes = nopython.value_and_grad(short, (0, 1), mode=mode)(x, 0.7)
        assert found == value
        assert slopes[0] == pytest.approx(expected[0], rel=1e-12)
        assert slopes[1] == pytest.approx(expected[1], rel=1e-12)
    assert nopython.hessian(short)(x, 0.7)[2] == pytest.approx(nopython.hessian(plain)(x, 0.7)[2], rel=1e-10)


@pytest.mark.parametrize("keep", ["auto", "inputs"])
def test_in_some_arguments(keep):
    """What ``argnums`` leaves out is held constant, as the caller of ``checkpoint`` asked."""
    step = nopython.checkpoint(newton, argnums=0, keep=keep)
    found = nopython.grad(lambda a, b: 3.0 * step(a, b), (0, 1), mode="tape")(0.7, 2.0)
    expected = nopython.grad(njit(newton))(0.7, 2.0)
    assert found == pytest.approx((3.0 * expected, 0.0), rel=1e-12)


def test_a_step_that_changes_its_argument_is_refused():
    def in_place(u):
        u[0] = u[1] * 2.0
        return u

    short = nopython.checkpoint(in_place)
    g = nopython.grad(lambda u: np.sum(short(u * u)), mode="tape")
    for _ in range(2):
        with pytest.raises(ValueError, match="leave its arguments"):
            g(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="keep"):
        nopython.checkpoint(in_place, keep="everything")
    with pytest.raises(ValueError, match="argnums"):
        nopython.checkpoint(in_place, argnums=2)


def test_an_exception_in_a_checkpoint():
    def fails(u):
        if u[0] > 1.0:
            raise ValueError("too large")
        return u * u

    short = nopython.checkpoint(fails)
    g = nopython.grad(lambda u: np.sum(short(short(u))), mode="tape")
    for _ in range(2):
        with pytest.raises(ValueError, match="too large"):
            g(np.array([2.0, 2.0]))
        assert g(np.array([0.5, 2.0])) == pytest.approx(np.array([0.5, 32.0]))
