"""A function that changes an argument in which it is differentiated: the gradient would be that of what the argument became."""

import numpy as np
import pytest

import tapejit as tj

X = np.array([0.3, -0.2, 0.7])


def item(x):
    x[0] = 3.0
    return (x * x).sum()


def whole(x):
    x *= 2
    return (x * x).sum()


def part(x):
    y = x[0]
    y += x[1]  # x[0] is a view, as in PyTorch
    return y * x[0]


def slices(x):
    x[1:] += 1.0
    return x.sum()


def masked(x):
    x[x > 0] = 0.0
    return (x * x).sum()


def viewed(x):
    x.view(3, 1).add_(1.0)
    return (x * x).sum()


CHANGING = [item, whole, part, slices, masked, viewed]
TRANSFORMS = {
    "value_and_grad": lambda f: tj.value_and_grad(f)(X),
    "never compiled": lambda f: tj.grad(f, compile="never")(X),
    "of tensors": lambda f: tj.grad(f)(tj.tensor(X)),
    "hessian": lambda f: tj.hessian(f)(X),
    "jvp": lambda f: tj.jvp(f, (X,), (X,)),
    "vjp": lambda f: tj.vjp(f, X)[1](1.0),
    "jacobian": lambda f: tj.jacobian(f)(X),
}


@pytest.mark.parametrize("f", CHANGING, ids=lambda f: f.__name__)
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.filterwarnings("ignore:.*an argument is changed in place")  # vjp works the value out first
def test_is_refused_at_the_line(f, transform):
    before = X.copy()
    with pytest.raises(RuntimeError, match=r"changed in place.*x\.clone\(\).*test_changed_arguments\.py"):
        TRANSFORMS[transform](f)
    assert np.array_equal(before, X)


def test_copies_other_arguments_and_constants_may_change():
    def f(x, y):
        z = x.clone()
        z[0] *= 2.0
        y += 1.0
        w = x.detach()
        w = w * 1.0
        w[1] = 5.0
        return (z * z).sum() + (x * y * w).sum()

    with pytest.warns(UserWarning, match="an argument is changed in place"):
        gradient = tj.grad(f)(X, np.ones(3))
    np.testing.assert_allclose(gradient, 2 * X * [4, 1, 1] + 2 * np.array([X[0], 5.0, X[2]]))


def test_the_function_itself_may_change_its_argument():
    with pytest.warns(UserWarning, match="an argument is changed in place"):
        assert tj.jit(whole)(X) == pytest.approx(4 * (X**2).sum())


def test_outside_of_transforms_everything_is_as_before():
    with pytest.raises(RuntimeError, match="differentiated"):
        tj.grad(whole)(X)
    t = tj.tensor(X, requires_grad=True) * 1.0
    t *= 2.0
    assert t.sum().item() == pytest.approx(2 * X.sum())
