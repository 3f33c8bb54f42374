"""Largest and smallest numbers: wherever they stand, whatever stands beside them, along any dimension."""

import numpy as np
import pytest

import tapejit as tj

rng = np.random.default_rng(0)
LENGTHS = [1, 2, 3, 8, 9, 31, 1023, 1024, 1025, 3000]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("n", LENGTHS)
def test_wherever_it_stands(n, dtype):
    x = rng.normal(size=n).astype(dtype)
    for place in {0, 1, n // 2, n - 1} & set(range(n)):
        for value in (9.0, -9.0, np.inf, -np.inf, np.nan):
            y = x.copy()
            y[place] = value
            for name in ("amax", "amin"):
                found = getattr(tj, name)(tj.tensor(y)).numpy()
                assert np.array_equal(found, getattr(np, name)(y), equal_nan=True)
                assert found.dtype == dtype


@pytest.mark.parametrize("shape", [(3, 5), (1, 7), (7, 1), (2, 1500, 3), (40, 1200)])
def test_along_any_dimension(shape):
    x = rng.normal(size=shape)
    x.reshape(-1)[:: max(x.size // 4, 1)] = np.nan
    for dim in range(x.ndim):
        for name in ("amax", "amin"):
            expected = getattr(np, name)(x, axis=dim)
            assert np.array_equal(getattr(tj, name)(tj.tensor(x), dim).numpy(), expected, equal_nan=True)


def test_of_infinities_alone():
    assert tj.tensor([-np.inf, -np.inf]).amax().item() == -np.inf
    assert tj.tensor([np.inf] * 9).amin().item() == np.inf


@pytest.mark.parametrize("n", [3, 1025])
def test_softmax_and_logsumexp_of_rows_with_large_numbers(n):
    x = rng.normal(size=(4, n)) + np.array([[0.0], [800.0], [-800.0], [1e300]])
    m = x.max(1, keepdims=True)
    e = np.exp(x - m)
    np.testing.assert_allclose(tj.softmax(tj.tensor(x), 1).numpy(), e / e.sum(1, keepdims=True), rtol=1e-13)
    np.testing.assert_allclose(tj.logsumexp(tj.tensor(x), 1).numpy(), m[:, 0] + np.log(e.sum(1)), rtol=1e-14)
    x[1, n // 2] = np.nan
    assert np.isnan(tj.softmax(tj.tensor(x), 1).numpy()[1]).all()
