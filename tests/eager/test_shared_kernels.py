"""Eager kernels of many elements are shared by threads: the same digits for any number of them."""

import math

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import rows, sums

rng = np.random.default_rng(0)
MANY = rows.FEWEST * rows.PART


@pytest.fixture(autouse=True)
def one_thread_again():
    yield
    tj.set_num_threads(1)


def chain(x, y):
    """Unary, binary and scalar kernels, conditions, in-place changes."""
    z = tj.exp(x) * y + tj.sin(x) / 2 - 3 / (1 + x * x)
    z = tj.where(z > 0, z, 2 * z)
    with tj.no_grad():
        w = z.detach().clone()
        w += 1.5
        w *= z
    return (z * w).sum()


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize(
    "shapes",
    [[(MANY,), (MANY,)], [(MANY + 77,), ()], [(MANY // 1000 + 1, 1000), (1000,)], [(MANY // 7, 7), (MANY // 7, 1)]],
)
def test_results_do_not_depend_on_the_number_of_threads(shapes, dtype):
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    found = []
    for count in (1, 2, 3):
        tj.set_num_threads(count)
        leaves = [tj.tensor(x, requires_grad=True) for x in arrays]
        value = chain(*leaves)
        value.backward()
        found.append([value.item(), *(leaf.grad.numpy().tobytes() for leaf in leaves)])
    assert found[0] == found[1] == found[2]


def test_strided_operands_are_shared_too():
    x = rng.normal(size=(MANY // 500 + 3, 1000))
    found = []
    for count in (1, 2):
        tj.set_num_threads(count)
        leaf = tj.tensor(x, requires_grad=True)
        (tj.exp(leaf[:, ::2]) * leaf.T[1::2].T).sum().backward()
        found.append(leaf.grad.numpy())
    assert np.array_equal(*found)
    expected = np.zeros_like(x)
    expected[:, ::2] = np.exp(x[:, ::2]) * x[:, 1::2]
    expected[:, 1::2] = np.exp(x[:, ::2])
    np.testing.assert_allclose(found[0], expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("n", [sums.MANY, sums.MANY + 1, 5 * sums.MANY - 3])
def test_sums_of_very_many_are_the_same_and_accurate(n, dtype):
    x = (rng.normal(size=n) * 10.0 ** rng.integers(-3, 4, n)).astype(dtype)
    found = []
    for count in (1, 2, 3, 1):
        tj.set_num_threads(count)
        leaf = tj.tensor(x, requires_grad=True)
        total = leaf.sum()
        total.backward()
        assert (leaf.grad.numpy() == 1).all()
        found.append((total.item(), tj.tensor(x).mean().item(), tj.tensor(x.reshape(1, -1)).sum().item()))
    assert found[0] == found[1] == found[2] == found[3]
    exact = math.fsum(x.astype("f8"))
    rough = 1e-15 if dtype == "f8" else 6e-8
    assert abs(found[0][0] - exact) <= rough * np.abs(x.astype("f8")).sum() / 100 + rough * abs(exact)
    assert found[0][2] == found[0][0]


def test_a_decision_on_a_sum_of_very_many_is_eagers():
    x = rng.normal(size=sums.MANY + 5)
    threshold = tj.tensor(x).sum().item()
    g = tj.jit(lambda x: x.sum() * 2 if x.sum() <= threshold else x.sum() * 0, compile="now")
    for count in (1, 2, 1):
        tj.set_num_threads(count)
        assert float(g(x)) == pytest.approx(2 * threshold)


def test_very_many_that_are_not_finite():
    x = np.ones(sums.MANY)
    for value in (np.inf, -np.inf, np.nan):
        x[12345] = value
        assert np.array_equal(tj.tensor(x).sum().numpy(), x.sum(), equal_nan=True)


def test_a_batch_of_one_that_sums_very_many():
    x = rng.normal(size=(1, sums.MANY + 9))
    found = tj.vmap(lambda row: row.sum() + row.mean())(x)
    np.testing.assert_allclose(np.asarray(found), x.sum(1) + x.mean(1), rtol=1e-10)
