"""NumPy's functions on tensors in many forms: values, gradients by finite differences, recorded as eager, elsewhere too."""

import numpy
import pytest
from numpy_forms import FORMS

import tapejit as tj


def differences(f, xs, step=1e-6):
    """The gradient by central differences."""
    gradients = []
    for i, x in enumerate(xs):
        g = numpy.zeros_like(x)
        for k in numpy.ndindex(x.shape):
            more, less = ([a.copy() for a in xs] for _ in range(2))
            more[i][k] += step
            less[i][k] -= step
            g[k] = (f(*more) - f(*less)) / (2 * step)
        gradients.append(g)
    return gradients


def eager_gradient(loss, xs):
    leaves = [tj.tensor(x, requires_grad=True) for x in xs]
    found = tj.autograd.grad(loss(*leaves), leaves, allow_unused=True)
    return [numpy.zeros_like(x) if g is None else g.numpy() for g, x in zip(found, xs, strict=True)]


@pytest.mark.parametrize("name", FORMS)
def test_a_form(name):
    form, *xs = FORMS[name]
    expected = numpy.asarray(form(numpy, *xs))
    weights = numpy.random.default_rng(1).normal(size=expected.shape)

    def loss(*operands):
        return (form(numpy, *operands) * weights).sum()

    value = form(numpy, *(tj.tensor(x, requires_grad=True) for x in xs))
    assert isinstance(value, tj.Tensor)
    assert tuple(value.shape) == expected.shape
    numpy.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-11, atol=1e-13)
    gradient = eager_gradient(loss, xs)
    for found, want in zip(gradient, differences(loss, xs), strict=True):
        numpy.testing.assert_allclose(found, want, rtol=1e-5, atol=2e-6)
    recorded = tj.value_and_grad(loss, argnums=tuple(range(len(xs))))
    for seed in range(4):
        at = [x * numpy.random.default_rng(seed).uniform(0.95 if x.ndim == 2 else 0.7, 1.2, x.shape) if seed else x for x in xs]
        for _ in range(1 + (not seed)):
            found, gradients = recorded(*at)
        assert float(found) == pytest.approx(float(loss(*at)), rel=1e-11, abs=1e-12, nan_ok=True)
        for g, want in zip(gradients, eager_gradient(loss, at), strict=True):
            numpy.testing.assert_allclose(g, want, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("call", "message"), [
    (lambda t: numpy.put(t, [0], 1.0, mode="clip"), "mode"),
    (lambda t: numpy.fill_diagonal(t, 1.0), "equal dimensions"),
    (lambda t: numpy.histogram(t, 3), "counts"),
    (lambda t: numpy.max(t, where=[True, False, True]), "initial"),
    (lambda t: numpy.piecewise(t, [t > 0], [1.0, 2.0, 3.0]), "functions are expected"),
    (lambda t: numpy.reshape(t, 3, order="K"), "orders"),
    (lambda t: numpy.squeeze(t, axis=0), "size one"),
    (lambda t: numpy.linalg.vecdot(t, t[:1]), "one length"),
    (lambda t: numpy.cumulative_sum(numpy.outer(t, t)), "axis"),
])  # fmt: skip
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call(2 * tj.tensor([0.5, 1.5, 2.5], requires_grad=True))


def test_a_leaf_is_not_written_into():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    for write in (lambda: numpy.put(x, [0], 1.0), lambda: numpy.putmask(x, x > 1, 0.0), lambda: numpy.place(x, x > 1, [0.0])):
        with pytest.raises(RuntimeError, match="leaf"):
            write()
