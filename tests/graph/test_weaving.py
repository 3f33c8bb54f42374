"""Sums of strands: arrays that are filled at strides by the loops that work the strands out."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.eager.views import spread
from tapejit.graph import verify
from tapejit.graph.evaluate import evaluate
from tapejit.graph.node import Graph, Strands
from tapejit.graph.rewrite import weave_strands


def summed(strands, n):
    """The sum of strands, pairs of (tensor, step, start)."""
    total = 0.0
    for x, step, start in strands:
        total = total + spread(x.reshape(-1), (x.numel(),), (step,), start, (n,))
    return total


def expected(strands, n):
    found = np.zeros(n)
    for x, step, start in strands:
        found[start + step * np.arange(x.numel())] += x.numpy().reshape(-1)
    return found


def neighbours(x):
    return [(tj.sin(x) * 2, 3, 0), (tj.cos(x[1:]), 3, 1), (x[:-1] * 3, 3, 2)], 3 * len(x) - 2


def backwards(x):
    m = x[:30].reshape(5, 6)
    return [((m * 2).T, -2, 58), (m * m[0], 2, 1)], 60


def single(x):
    return [(x[3] * x[4], 1, 0), (tj.exp(x[:9]), 2, 1), (x[:8] * 0 + 7.0, 2, 2), (x[-1:], 1, 18)], 19


def constants(x):
    return [(tj.ones(10), 2, 0), (tj.zeros(10) + x[0], 2, 1)], 20


def apart(x):
    """One strand is summed up, another takes a product of matrices: each is there when the loop comes."""
    m = x[:36].reshape(6, 6)
    return [((m @ m).reshape(-1), 2, 0), (m.sum(0).expand(6, 6), 2, 1)], 72


@pytest.mark.parametrize("make", [neighbours, backwards, single, constants, apart])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_strands_are_put_where_they_belong(monkeypatch, make, dtype):
    monkeypatch.setattr(verify, "enabled", True)
    f = tj.jit(lambda x: summed(*make(x)), compile="now")
    g = tj.jit(lambda x: (summed(*make(x)) ** 2).sum(), compile="now")
    start = np.linspace(-1, 1.5, 40).astype(dtype)
    for x in (start, start**2, start):
        right = expected(*make(tj.tensor(x)))
        np.testing.assert_allclose(np.asarray(f(x)), right, rtol=1e-5 if dtype == np.float32 else 1e-14, atol=1e-7)
        np.testing.assert_allclose(float(g(x)), (right.astype(float) ** 2).sum(), rtol=1e-5)
    assert "weave" in f.lower()


def test_gradients_go_through_strands():
    g = tj.value_and_grad(lambda x: (summed(*neighbours(x)) ** 3).sum(), compile="now")
    x = np.linspace(-1, 1.5, 40)
    for _ in range(2):
        value, slope = g(x)
    e = np.random.default_rng(0).normal(size=40)
    step = 1e-6
    assert float(slope @ e) == pytest.approx((g(x + step * e)[0] - g(x - step * e)[0]) / (2 * step), rel=1e-7)
    assert value == pytest.approx((expected(*neighbours(tj.tensor(x))) ** 3).sum())


def strand(graph, x, step, start, n):
    return graph.spread(x, (step,), start, (n,))


def test_what_does_not_fill_the_whole_is_a_sum():
    graph = Graph()
    x, y = graph.input(0, (5,), "f8"), graph.input(1, (5,), "f8")
    whole = graph.elementwise("add", strand(graph, x, 2, 0, 10), strand(graph, y, 2, 1, 10))
    twice = graph.elementwise("add", strand(graph, x, 2, 0, 10), strand(graph, y, 2, 0, 10))
    gaps = graph.elementwise("add", strand(graph, x, 2, 0, 11), strand(graph, y, 2, 1, 11))
    beside = graph.elementwise("add", strand(graph, x, 1, 0, 10), strand(graph, y, 1, 5, 10))
    roots = weave_strands(graph, [whole, twice, gaps, beside])
    verify.check(graph, roots)
    assert [r.op for r in roots] == ["weave", "add", "add", "add"]
    arrays = np.arange(5.0), np.arange(5.0) + 10
    for r, before in zip(evaluate(graph, roots, arrays), evaluate(graph, [whole, twice, gaps, beside], arrays), strict=True):
        np.testing.assert_array_equal(r, before)


def test_a_part_that_is_read_elsewhere_stays():
    graph = Graph()
    x, y, z = (graph.input(k, (4,), "f8") for k in range(3))
    inner = graph.elementwise("add", strand(graph, x, 3, 0, 12), strand(graph, y, 3, 1, 12))
    whole = graph.elementwise("add", inner, strand(graph, z, 3, 2, 12))
    other = graph.elementwise("mul", inner, inner)
    roots = weave_strands(graph, [whole, other])
    assert [r.op for r in roots] == ["add", "mul"]
    assert weave_strands(graph, [whole])[0].op == "weave"


def test_strands_that_overlap_are_illegal():
    graph = Graph()
    x = graph.input(0, (4,), "f8")
    graph.node("weave", (x, x), Strands(((2, 0), (2, 0))), (8,), "f8")
    with pytest.raises(verify.Illegal, match="do not fill it"):
        verify.check(graph)
