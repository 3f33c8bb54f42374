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
