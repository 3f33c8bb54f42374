"""Places and whole numbers that are others in every call: one recording answers them all."""

import numpy as np
import pytest

import tapejit as tj

F = tj.nn.functional
KNOTS = tj.linspace(-2, 2, 9)
ROWS = tj.tensor(np.random.default_rng(0).standard_normal((6, 4)))


def _assigned(x, k):
    z = x.clone()
    z[k % 6] = 2.0
    z[k % 3] = x[:1] * x
    return z * z


def _assigned_rows(x, k):
    z = ROWS * x[:, None]
    z[k % 6, k % 4] = x
    z[k % 2] = x[:, None].expand(6, 4)
    return z * z


FUNCTIONS = {
    "searchsorted": lambda x, k: tj.searchsorted(KNOTS, x) * x,
    "searchsorted, after equal ones": lambda x, k: tj.searchsorted(tj.arange(9), k, right=True) * x,
    "searchsorted, rows": lambda x, k: tj.searchsorted(ROWS.sort(1)[0], x[:, None])[:, 0] * x,
    "searchsorted, sorter": lambda x, k: tj.searchsorted(ROWS[0], x, sorter=ROWS[0].argsort()) * x,
    "bucketize": lambda x, k: tj.bucketize(x, KNOTS, right=True) * x,
    "digitize": lambda x, k: np.digitize(x, KNOTS) * x,
    "interp": lambda x, k: np.interp(x, KNOTS, KNOTS**2),
    "isin": lambda x, k: tj.isin(k, tj.tensor([1, 2, 7])) * x,
    "not in": lambda x, k: tj.isin(k, k[:2], invert=True) * x,
    "unravel_index": lambda x, k: tj.unravel_index(k, (3, 3))[1] * x,
    "one_hot": lambda x, k: F.one_hot(k, 9).sum(1) * x + F.one_hot(k, 9)[:, 3] * x,
    "bincount": lambda x, k: tj.bincount(k, minlength=9)[:6] * x,
    "bincount of weights": lambda x, k: tj.bincount(k, weights=x, minlength=9) ** 2,
    "cat": lambda x, k: tj.cat([k, k + 1])[3:9] * x,
    "stack": lambda x, k: tj.stack([k, k + 1])[1] * x,
    "pad": lambda x, k: F.pad(k, (1, 0))[:6] * x,
    "roll": lambda x, k: k.roll(1) * x,
    "cumsum": lambda x, k: k.cumsum(0) * x,
    "cumprod": lambda x, k: k.cumprod(0) * x,
    "prod": lambda x, k: k.prod() * x,
    "extremes": lambda x, k: (k.max() - k.min()) * x,
    "cummax": lambda x, k: k.cummax(0)[0] * x,
    "sort": lambda x, k: k.sort(descending=True)[0] * x,
    "argsort": lambda x, k: x[k.argsort()] * x,
    "gather of integers": lambda x, k: k.gather(0, k % 6) * x,
    "elements of integers": lambda x, k: k[k % 6] * x,
    "assignment": _assigned,
    "assignment in two dimensions": _assigned_rows,
    "scatter": lambda x, k: tj.zeros(9).scatter(0, k, x) ** 2,
    "index_fill": lambda x, k: x.index_fill(0, k % 6 - 3, 2.0) ** 2,
    "index_copy": lambda x, k: x.index_copy(0, k[:2] % 6, x[2:4] * x[0]) ** 2,
}


def recordings(g):
    return sum(len(s.paths.programs) for s in g._signatures.values())


def is_eager(g):
    return any(s.paths.eager is not None for s in g._signatures.values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_recording_answers_all_calls(name):
    def f(x, k):
        return FUNCTIONS[name](x, k).sum() + (x * x).sum()

    g = tj.value_and_grad(f, compile="now")
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, k = rng.standard_normal(6), rng.integers(0, 9, 6)
        value, gradient = g(x, k)
        t = tj.tensor(x, requires_grad=True)
        y = f(t, tj.tensor(k))
        y.backward()
        np.testing.assert_allclose(value, y.item(), rtol=1e-13)
        np.testing.assert_allclose(gradient, t.grad, rtol=1e-12, atol=1e-14)
    assert recordings(g) == 1
    assert not is_eager(g)


def test_nan_and_infinity_are_put_where_numpy_puts_them():
    rows = np.array([-np.inf, -1.0, -1.0, 0.0, 2.0, np.inf, np.nan, np.nan])
    values = np.array([np.nan, -np.inf, np.inf, -1.0, 0.0, 5.0, -3.0])
    for side in "left", "right":
        for size in range(len(rows) + 1):
            g = tj.jit(lambda r, v, side=side: tj.searchsorted(r, v, side=side), compile="now")
            for _ in range(2):
                np.testing.assert_array_equal(g(rows[:size], values), np.searchsorted(rows[:size], values, side))


def test_the_last_of_equal_places_is_written():
    g = tj.grad(lambda x, k: (tj.zeros(4).scatter(0, k, x) * tj.arange(1.0, 5.0)).sum(), compile="now")
    x = np.arange(1.0, 6.0)
    for k, want in (([0, 1, 0, 3, 1], [0, 0, 1, 4, 2]), ([2, 2, 2, 2, 2], [0, 0, 0, 0, 3]), ([3, 2, 1, 0, 0], [4, 3, 2, 0, 1])):
        np.testing.assert_array_equal(g(x, np.array(k)), want)
    assert recordings(g) == 1


def test_places_outside_are_refused_in_every_call():
    g = tj.jit(lambda x, k: tj.zeros(4).scatter(0, k, x), compile="now")
    x = np.ones(2)
    for good, bad in (([0, 1], [0, 4]), ([3, 2], [-1, 0])):
        np.testing.assert_array_equal(g(x, np.array(good)).sum(), 2.0)
        with pytest.raises(IndexError, match="scatter"):
            g(x, np.array(bad))
    counted = tj.jit(lambda k: tj.bincount(k, minlength=4), compile="now")
    np.testing.assert_array_equal(counted(np.array([1, 1, 3])), [0, 2, 0, 1])
    np.testing.assert_array_equal(counted(np.array([1, 5, 3])), [0, 1, 0, 1, 0, 1])
    with pytest.raises(RuntimeError, match="from 0 up"):
        counted(np.array([1, -1, 3]))


def test_integers_beyond_what_floats_hold_stay_exact():
    """Recorded with small ones, called with large ones."""
    g = tj.jit(lambda k: (tj.cat([k, k])[1:3], k.cumsum(0), k.argsort(), k.max()), compile="now")
    for k in ([3, 1], [2**60 + 1, 2**60], [-(2**62) - 1, -(2**62)], [5, 6]):
        k = np.array(k)
        for found, want in zip(g(k), (k[::-1], k.cumsum(), k.argsort(), k.max()), strict=True):
            np.testing.assert_array_equal(found, want)
