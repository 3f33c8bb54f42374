"""A function of a user's in every way in, its gradients checked against central differences."""

import numpy as np
import pytest

import tapejit as tj


def slopes(f, *arguments, step=1e-6):
    """Central differences of a function of NumPy arrays and floats with a number as result."""
    found = []
    for k, a in enumerate(arguments):
        a = np.asarray(a, dtype=float)
        slope = np.empty(a.shape)
        for i in np.ndindex(a.shape):
            ends = []
            for sign in (1, -1):
                moved = a.copy()
                moved[i] += sign * step
                ends.append(float(f(*arguments[:k], moved if a.ndim else float(moved), *arguments[k + 1 :])))
            slope[i] = (ends[0] - ends[1]) / (2 * step)
        found.append(slope)
    return found


def plain(f):
    """f with plain numbers in and out, run eagerly, for the differences."""
    return lambda *a: f(*(tj.as_tensor(np.asarray(x, dtype=float)) for x in a)).item()


def every_way(f, *arguments, rtol=1e-6, atol=1e-7):
    """The gradient of f eagerly and recorded, equal to each other and to differences; returned as arrays."""
    everything = tuple(range(len(arguments)))
    tensors = [tj.tensor(np.asarray(a, dtype=float), requires_grad=True) for a in arguments]
    value = f(*tensors)
    value.backward()
    eager = [t.grad.numpy() for t in tensors]
    for expected, got in zip(slopes(plain(f), *arguments), eager, strict=True):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)
    for way in ("auto", "now"):
        g = tj.value_and_grad(f, argnums=everything, compile=way)
        for _ in range(4):
            again, recorded = g(*arguments)
            assert again == pytest.approx(value.item(), rel=1e-12)
            for expected, got in zip(eager, recorded, strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    return eager
