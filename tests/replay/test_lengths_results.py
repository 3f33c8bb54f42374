"""Gradients in arrays as long as the call, by one program for all lengths."""

import numpy as np
import pytest
from length_cases import SERIES, P, compare, name, programs, rows, series, two_arrays
from random_lengths import Function

import tapejit as tj
from tapejit.replay.lengths import OFTEN

LENGTHS = (50, 60, 73, 20, 8, 9, 11, 200, 1500, 0, 1, 2, 3, 7, 12, 61)


def squares(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + p[2] * y * y
    return a


def neighbours(p, ys):
    """Each element is read in three passes, the first ones and the last ones beside the loop too."""
    a = p[0] * ys[0] + ys[2] if len(ys) > 2 else p[0] * 1.0
    for i in range(1, len(ys) - 1):
        a = a * p[1] + ys[i - 1] * ys[i] * ys[i + 1]
    return a * ys[-1] * ys[-2] if len(ys) > 1 else a


def there_and_back(p, ys):
    """Two loops add to the gradient."""
    a = p[0]
    for y in ys:
        a = a * p[1] + tj.sin(y)
    for i in range(len(ys) - 1, -1, -1):
        a = a * p[2] + ys[i] * a
    return a


def of_all(make, argnums, lengths=LENGTHS):
    def grad(f):
        g, eager = (tj.value_and_grad(f, argnums=argnums, compile=policy) for policy in ("now", "never"))
        for n in lengths:
            args = make(n)
            (value, found), (same, expected) = g(*args), eager(*args)
            np.testing.assert_allclose(value, same, rtol=1e-8)
            for a, b in zip(found, expected, strict=True):
                assert (np.shape(a), np.asarray(a).dtype) == (np.shape(b), np.asarray(b).dtype)
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=f"length {n}")
        return g

    return grad


@pytest.mark.parametrize("f", [*SERIES, squares, neighbours, there_and_back], ids=name)
def test_gradients_in_series(f):
    g = of_all(lambda n: (P, series(n)), (0, 1))(f)
    assert programs(g)
    assert g.calls["recorded"] <= 3 + 6 or f is neighbours  # of which a program is for 34 and more


def test_gradients_in_rows():
    w = np.linspace(-1, 1, 6).reshape(3, 2)
    assert programs(of_all(lambda n: (w, series(n, 2)), (0, 1))(rows))
    assert programs(of_all(lambda n: (w, series(n, 2), series(n)), (0, 1, 2))(two_arrays))
    assert programs(compare(rows, lambda n: (w, series(n, 2)), LENGTHS, tj.grad, argnums=1))


def test_single_precision():
    make = lambda n: (P.astype(np.float32), series(n).astype(np.float32))  # noqa: E731
    g, eager = (tj.grad(squares, argnums=1, compile=policy) for policy in ("now", "never"))
    for n in (50, 60, 73, 20, 90):
        found, expected = g(*make(n)), eager(*make(n))
        assert found.dtype == expected.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert programs(g)


def test_an_array_that_happens_to_be_as_long():
    """The gradient in parameters of a fixed number, which one of the calls has, too."""

    def f(p, ys):
        a = p[0]
        for i, y in enumerate(ys):
            a = a * 0.5 + y * (p[i] if i < 60 else p[0])
        return a

    of_all(lambda n: (np.linspace(0, 1, 60), series(n)), (0, 1))(f)


def test_results_are_of_their_own_and_of_tensors():
    g = tj.grad(squares, argnums=1, compile="now")
    kept = {n: g(P, series(n)) for n in (50, 60, 73, 20, 61)}
    again = [g(P, series(61)) for _ in range(3)]
    again[0][:] = 0.0
    np.testing.assert_array_equal(again[1], kept[61])
    np.testing.assert_array_equal(again[2], kept[61])
    found = g(tj.tensor(P), tj.tensor(series(33)))
    assert isinstance(found, tj.Tensor)
    np.testing.assert_allclose(found.numpy(), g(P, series(33)))


def test_in_the_background_and_into():
    g, eager = tj.grad(squares, argnums=1), tj.grad(squares, argnums=1, compile="never")
    for n in (50, 60, 73, 80, 90):
        np.testing.assert_allclose(g(P, series(n)), eager(P, series(n)), rtol=1e-10)
    assert g.wait(60)
    recorded = g.calls["recorded"]
    for n in range(90, 120):
        out = np.empty(n)
        g.into(P, series(n), out)
        np.testing.assert_allclose(out, eager(P, series(n)), rtol=1e-10)
    assert g.calls["recorded"] == recorded
    assert g.compiled


@pytest.mark.parametrize("seed", range(0, 24, 3))
def test_random_functions(seed):
    lengths = 50, 57, 62, 75, 64, 66, 13, 8, 120, 3
    of_all(lambda n: (P, series(n), series(n, 2), n), (0, 1, 2), lengths)(Function(seed).function)


def test_a_length_that_comes_often_is_recorded_for_itself():
    g = tj.grad(squares, argnums=1, compile="now")
    for n in (50, 60, 73, 20, 80):
        g(P, series(n))
    assert g.calls["recorded"] == 3
    expected = g(P, series(80))
    for _ in range(OFTEN + 10):
        found = g(P, series(80))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert g.calls["recorded"] == 4
    np.testing.assert_allclose(g(P, series(80)), expected, rtol=1e-12)
    g(P, series(81))
    assert g.calls["recorded"] == 4


def test_there_is_no_nopython_code_of_results_as_long():
    g = tj.grad(squares, argnums=1, compile="now")
    for n in (50, 60, 73, 80):
        g(P, series(n))
    with pytest.raises(RuntimeError, match="as long as its arguments"):
        g.nopython  # noqa: B018
