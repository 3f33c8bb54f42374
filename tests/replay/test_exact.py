"""Static values that are equal but not the same, captured arrays that only NumPy reads, and results that cannot be written."""

import numpy as np
import pytest

import tapejit as tj


def test_equal_static_values_of_other_types_or_signs():
    def f(x, s):
        return x.sum() * (1 / s[0] if s[0] else np.copysign(3, s[0])) + (5 if type(s[0]) is float else 0)

    g = tj.value_and_grad(f, static_argnums=1, compile="now")
    for s in [(1,), (1.0,), (True,), (0.0,), (-0.0,)] * 3:
        assert g(np.ones(2), s)[0] == f(np.ones(2), s)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f2", "<c16"])
@pytest.mark.parametrize("view", [lambda a: a[::2], lambda a: a.reshape(3, 4).T, lambda a: a[::-1], lambda a: a])
def test_arrays_that_only_numpy_reads(view, dtype):
    whole = np.arange(12).astype(dtype)
    part = view(whole)
    g = tj.value_and_grad(lambda x: (x * float(np.sum(part).real)).sum(), compile="now")
    for _ in range(3):
        for _ in range(3):
            assert g(np.ones(2))[0] == 2 * float(np.sum(part).real)
        whole += 1


@pytest.mark.parametrize(("out", "says"), [(np.zeros(3, int), "cut off"), (np.ma.zeros(3), "masked")])
def test_into_refuses(out, says):
    g = tj.grad(lambda x: (x * x).sum(), compile="now")
    for _ in range(2):
        with pytest.raises(TypeError, match=says):
            g.into(np.ones(3), out)
        g(np.ones(3))
    assert not np.any(out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("of", [np.float32, np.float64])
@pytest.mark.parametrize("compile", ["never", "now", "auto"])
def test_into_needs_arrays_for_the_gradients_alone(dtype, of, compile):
    """The value is returned, in the function's own dtype; the arrays' dtypes are the caller's."""
    g = tj.value_and_grad(lambda x, y: (x * x * y).sum(), (0, 1), compile=compile)
    x, y = np.arange(3, dtype=dtype), np.array([1, 2, 4], dtype)
    for k in range(1, 5):
        outs = np.full(3, np.nan, of), np.full(3, np.nan, of)
        value, found = g.into(k * x, y, outs)
        assert (float(value), np.asarray(value).dtype) == (18.0 * k * k, dtype)
        assert all(a is b for a, b in zip(found, outs, strict=True))
        assert (outs[0].tolist(), outs[1].tolist()) == ([0.0, 4.0 * k, 16.0 * k], [0.0, k * k, 4.0 * k * k])


@pytest.mark.parametrize("x", [True, np.True_, np.array(True), np.array([True, False])], ids=repr)
@pytest.mark.parametrize("compile", ["never", "now", "auto"])
def test_truth_values_are_no_arguments_to_differentiate(x, compile):
    f = tj.value_and_grad(lambda x: x * 2.0, compile=compile)
    for _ in range(3):
        with pytest.raises(TypeError, match="bool"):
            f(x)
        assert f(3.0) == (6.0, 2.0)  # compiled for a number, which a truth value must not take for its own
