"""Eager kernels of many elements are shared by threads: the same digits for any number of them."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import rows

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
