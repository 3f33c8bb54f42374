"""Code in which many statements hang together is analysed in bounded time and depth."""

import numpy as np
import pytest

from tapejit import nopython


def repeated(lines, n, first):
    """A function with the same lines written n times."""
    body = "\n".join("    " + line for line in [*first, *lines * n, "return s"])
    namespace = {}
    exec(f"def f(x):\n{body}\n", namespace)
    return namespace["f"]


def geometric(x):
    y, s = x[1], 0.0
    for _ in range(9):
        d = x[0] * y
        y = y + d
        s = s + y
    return s


GROWTH = ["d = x[0] * y", "y = y + d", "s = s + y"]


@pytest.mark.parametrize("transform", [nopython.value_and_grad, nopython.hessian])
@pytest.mark.parametrize("f", [geometric, repeated(GROWTH, 9, ["y = x[1]", "s = 0.0"])])
def test_a_sum_of_what_is_carried_round_the_loop(f, transform):
    x = np.array([0.5, 2.0])
    powers = 1.5 ** np.arange(1, 10)
    value, gradient = transform(f)(x)[:2]
    assert value == pytest.approx(2.0 * powers.sum())
    assert gradient == pytest.approx([2.0 * (np.arange(1, 10) * powers / 1.5).sum(), powers.sum()])


def test_long_straight_code():
    f = repeated(
        ["i = (i + i) % 7 + i - i", "y = y + 0.01 * y", "s = s + x[i % 2] * y"],
        60,
        ["i, y, s = 1, x[1], 0.0"],
    )
    x = np.array([0.5, 2.0])
    value, gradient = nopython.value_and_grad(f)(x)
    assert value == pytest.approx(f(x))
    step = 1e-6
    for k in range(2):
        e = step * np.eye(2)[k]
        assert gradient[k] == pytest.approx((f(x + e) - f(x - e)) / (2 * step), rel=1e-6)
