"""Arrays put together of many parts, as sums of overlapping slices and stacks of a growing past are, with eager's results."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.compile import linker, schedule
from tapejit.edge import optimiser


def autocorrelation(x, lags=30):
    total = 0.0
    for k in range(lags):
        r = (x[: len(x) - k] * x[k:]).sum() / len(x)
        total = total + r * r * (1.0 + 0.1 * k)
    return total


def moving_windows(x, lags=12):
    """Blocks of a matrix that overlap in both dimensions, with a dense term among them."""
    a = x.reshape(10, -1)
    total = (a * a).sum()
    for k in range(lags):
        i, j = k % 3, k % 5
        total = total + tj.tanh(a[i : i + 6, j : j + 4] * (1.0 + 0.2 * k)).sum() * a[k % 10, k % 7]
    return total


def growing_past(x, steps=14):
    """Attention of each step to all before it."""
    h, past, total = x[:4] * 0.5, [], 0.0
    for t in range(steps):
        past.append(tj.sin(h + 0.1 * t))
        a = tj.stack(past)
        w = tj.exp(a @ h)
        h = tj.tanh((w / w.sum()) @ a + x[t : t + 4])
        total = total + (h * h).sum()
    return total


FUNCTIONS = [autocorrelation, moving_windows, growing_past]


@pytest.fixture(params=[1000, 20])
def longest(request, monkeypatch, planned_anew):
    monkeypatch.setattr(schedule, "LONGEST", request.param)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_as_eager(function, dtype, longest):
    x = np.random.default_rng(3).normal(size=100).astype(dtype)
    g = tj.value_and_grad(function, compile="now")
    leaf = tj.tensor(x, requires_grad=True)
    y = function(leaf)
    y.backward()
    bound = 1e-11 if dtype == "f8" else 2e-4
    for _ in range(2):
        value, slope = g(x)
        np.testing.assert_allclose(value, y.item(), rtol=bound)
        np.testing.assert_allclose(slope, leaf.grad.numpy(), rtol=bound, atol=bound)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_second_derivatives(function, longest):
    rng = np.random.default_rng(4)
    x, v = rng.normal(size=(2, 100))
    slope = tj.grad(function, compile="now")
    product = tj.grad(lambda x: (tj.grad(function)(x) * v).sum(), compile="now")
    product(x)
    step = 1e-6
    expected = (slope(x + step * v) - slope(x - step * v)) / (2 * step)
    np.testing.assert_allclose(product(x), expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


def test_autocorrelation_by_hand():
    x = np.random.default_rng(5).normal(size=80)
    expected, slope = 0.0, np.zeros(80)
    for k in range(30):
        r, factor = x[: 80 - k] @ x[k:] / 80, 1.0 + 0.1 * k
        expected += factor * r * r
        slope[: 80 - k] += 2 * factor * r * x[k:] / 80
        slope[k:] += 2 * factor * r * x[: 80 - k] / 80
    g = tj.value_and_grad(autocorrelation, compile="now")
    for _ in range(2):
        value, found = g(x)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(found, slope, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("function", [autocorrelation, growing_past])
def test_code_grows_with_the_parts_at_most(function, monkeypatch, planned_anew):
    """Not with their overlaps, nor with all parts of all stacks."""
    monkeypatch.setattr(linker, "found", lambda digest: None)
    lines, made = [], optimiser.object_code
    monkeypatch.setattr(optimiser, "object_code", lambda text, *rest: lines.append(text.count("\n")) or made(text, *rest))
    x = np.random.default_rng(6).normal(size=200)
    for count in (20, 40):
        tj.grad(lambda x, count=count: function(x, count), compile="now")(x)
    assert lines[1] < 2.1 * lines[0]
