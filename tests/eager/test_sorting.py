"""sort, argsort, topk and median: values, places, ties, NaN, integers, sizes; replay finds new orders by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapejit as tj

NAN = float("nan")
lines = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=9),
    elements=st.sampled_from([-2.0, -0.0, 0.0, 1.0, 1.5, 3.0, NAN, np.inf, -np.inf]),
)


@given(lines, st.data())
@settings(max_examples=150, deadline=None)
def test_order_is_numpys_stable_one(a, data):
    d = data.draw(st.integers(-a.ndim, a.ndim - 1))
    values, places = tj.tensor(a).sort(d)
    np.testing.assert_array_equal(places.numpy(), np.argsort(a, axis=d, kind="stable"))
    np.testing.assert_array_equal(values.numpy(), np.sort(a, axis=d))
    down = tj.tensor(a).argsort(d, descending=True).numpy()
    key = np.where(np.isnan(a), -np.inf, -a)  # NaN first, beside inf: those two are not told apart by this key
    np.testing.assert_array_equal(np.take_along_axis(key, down, d), np.sort(key, axis=d))


def test_descending_keeps_the_order_of_equals_and_begins_with_nan():
    assert tj.tensor([1.0, 2.0, NAN, 2.0, 1.0]).argsort(descending=True).tolist() == [2, 1, 3, 0, 4]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_long_lines(dtype):
    a = np.random.default_rng(0).integers(0, 50_000, 100_000).astype(dtype)
    np.testing.assert_array_equal(tj.tensor(a).argsort().numpy(), np.argsort(a, kind="stable"))
    assert tj.tensor(a).sort(descending=True).values.numpy().tolist() == np.sort(a)[::-1].tolist()
    assert tj.tensor(a).sort().values.numpy().dtype == dtype


def test_each_gradient_goes_to_where_the_value_came_from():
    x = tj.tensor([3.0, 1.0, 2.0, 1.0], requires_grad=True)
    (x.sort().values * tj.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert x.grad.tolist() == [1000.0, 1.0, 100.0, 10.0]


def test_topk_and_median_as_pytorch_has_them():
    x = tj.tensor([[5.0, 1.0, 4.0], [2.0, 9.0, 3.0]])
    values, indices = x.topk(2)
    assert (values.tolist(), indices.tolist()) == ([[5.0, 4.0], [9.0, 3.0]], [[0, 2], [1, 2]])
    assert x.topk(1, dim=0, largest=False).values.tolist() == [[2.0, 1.0, 3.0]]
    assert x.median().item() == 3.0  # the lower one of the two in the middle
    assert x.median(dim=1).indices.tolist() == [2, 2]
    assert tj.tensor([1.0, NAN, 2.0]).median().isnan()
    assert tj.tensor([4, 1, 3]).median().item() == 3
    assert x.topk(0).values.shape == (2, 0)


def test_complaints():
    with pytest.raises(RuntimeError, match="0 <= k <= 3"):
        tj.ones(3).topk(4)
    with pytest.raises(IndexError, match="no elements"):
        tj.ones(0).median()
    with pytest.raises(IndexError):
        tj.ones(3).sort(1)


def test_another_order_needs_no_other_recording():
    g = tj.value_and_grad(lambda x: (x.sort().values[-2:] * x.argsort()[:2]).sum())
    rng = np.random.default_rng(2)
    for _ in range(20):
        x = rng.normal(size=9)
        value, gradient = g(x)
        order = np.argsort(x)
        assert value == pytest.approx(x[order[-2:]] @ order[:2])
        expected = np.zeros(9)
        expected[order[-2:]] = order[:2]
        np.testing.assert_allclose(gradient, expected)
    assert g.stats()["calls"]["recorded"] == 1
