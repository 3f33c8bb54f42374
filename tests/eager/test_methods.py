"""Transforms of methods, callable objects and partials; as decorators with arguments; pickled."""

import dataclasses
import functools
import pickle

import numpy as np
import pytest

import tapejit as tj

X = np.array([1.0, 2.0])


class Model:
    k = 3.0

    def __init__(self, a):
        self.a = a

    @tj.value_and_grad
    def loss(self, x):
        return (self.a * self.k * x * x).sum()

    @tj.grad(argnums=1)
    def second(self, x, w):
        return (x * w * w * self.a).sum()

    @tj.grad(argnums="w")
    def named(self, x, w):
        return (x * w * w * self.a).sum()

    @tj.hessian
    def curvature(self, x):
        return (self.a * x**3).sum()

    @tj.jacrev
    def rows(self, x):
        return self.a * x**2

    @tj.jit
    def scaled(self, x):
        return self.a * x

    @tj.hvp
    def product(self, x, v):
        return (self.a * x**3).sum()

    @tj.jit
    @tj.grad
    def nested(self, x):
        return (self.a * x**2).sum()

    @staticmethod
    @tj.grad
    def static(x):
        return (x**2).sum()

    @tj.grad
    @staticmethod
    def static_inside(x):
        return (x**2).sum()

    @classmethod
    @tj.grad
    def of_class(cls, x):
        return (cls.k * x**2).sum()

    @tj.grad
    @classmethod
    def of_class_inside(cls, x):
        return (cls.k * x**2).sum()

    def __call__(self, x):
        return (self.a * x**2).sum()


Model.product = tj.hvp(lambda self, x: (self.a * x**3).sum())

CALLS = {
    "value_and_grad": (lambda m: m.loss(X)[1], 12 * X),
    "unbound": (lambda m: Model.loss(m, X)[1], 12 * X),
    "argnums": (lambda m: m.second(X, X), 4 * X**2),
    "argnums by name": (lambda m: m.named(X, X), 4 * X**2),
    "argnums by name, passed by name": (lambda m: m.named(x=X, w=X), 4 * X**2),
    "hessian": (lambda m: m.curvature(X), np.diag(12 * X)),
    "jacrev": (lambda m: m.rows(X), np.diag(4 * X)),
    "jit": (lambda m: m.scaled(X), 2 * X),
    "hvp": (lambda m: m.product(X, X), 12 * X**2),
    "nested": (lambda m: m.nested(X), 4 * X),
    "staticmethod": (lambda m: m.static(X), 2 * X),
    "staticmethod of the class": (lambda m: Model.static(X), 2 * X),
    "staticmethod inside": (lambda m: m.static_inside(X), 2 * X),
    "classmethod": (lambda m: m.of_class(X), 6 * X),
    "classmethod of the class": (lambda m: Model.of_class(X), 6 * X),
    "classmethod inside": (lambda m: m.of_class_inside(X), 6 * X),
    "callable object": (lambda m: tj.grad(m)(X), 4 * X),
    "bound method": (lambda m: tj.grad(m.__call__)(X), 4 * X),
    "partial": (lambda m: tj.grad(functools.partial(lambda k, x: (k * x * x).sum(), 2.0))(X), 4 * X),
    "into": (lambda m: m.loss.into(X, np.empty(2))[1], 12 * X),
    "pickled object": (lambda m: pickle.loads(pickle.dumps(m)).loss(X)[1], 12 * X),
    "pickled method": (lambda m: pickle.loads(pickle.dumps(m.loss))(X)[1], 12 * X),
}


@pytest.mark.parametrize("name", CALLS)
def test_argument_0_is_the_first_after_self(name):
    call, expected = CALLS[name]
    model = Model(2.0)
    for _ in range(4):
        np.testing.assert_allclose(call(model), expected)


def test_attributes_of_each_object_are_its_own_and_are_watched():
    one, two = Model(1.0), Model(2.0)
    for _ in range(4):
        assert one.loss(X)[0] == 15.0
        assert two.loss(X)[0] == 30.0
    two.a = 4.0
    two.k = 1.0
    assert (one.loss(X)[0], two.loss(X)[0]) == (15.0, 20.0)


@dataclasses.dataclass
class Equal:
    a: float

    @tj.grad
    def slope(self, x):
        return (self.a * x * x).sum()


def test_objects_that_compare_equal_are_still_two():
    one, two = Equal(1.0), Equal(1.0)
    for _ in range(4):
        one.slope(X), two.slope(X)
    two.a = 7.0
    np.testing.assert_allclose(one.slope(X), 2 * X)
    np.testing.assert_allclose(two.slope(X), 14 * X)
    one.a = 9.0
    np.testing.assert_allclose(one.slope(X), 18 * X)


def test_an_unhashable_object_is_an_argument():
    f = tj.grad(lambda x, config: (config.a * x * x).sum())
    config = Equal(2.0)
    for _ in range(4):
        np.testing.assert_allclose(f(X, config), 4 * X)


@tj.value_and_grad
def decorated(x):
    return (x * x).sum()


def product(x, w):
    return (x * w * w).sum()


def test_decorated_functions_are_pickled_by_name_and_others_by_what_they_are_made_of():
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    for made in (tj.grad(product, 1), tj.grad(product, "w"), tj.grad(product, argnums=1)):
        np.testing.assert_allclose(pickle.loads(pickle.dumps(made))(X, X), 2 * X**2)


def test_arguments_are_chosen_by_name():
    np.testing.assert_allclose(tj.grad(product, "w")(X, w=X), 2 * X**2)
    np.testing.assert_allclose(tj.grad(product, ("w", "x"))(X, X)[1], X**2)
    with pytest.raises(TypeError, match=r"argnums='q'.*x, w"):
        tj.grad(product, "q")
    with pytest.raises(TypeError, match="positional"):
        tj.grad(product, 2)(X, X)


def test_transpose_takes_an_order_of_all_dimensions_as_numpys_method_does():
    x = np.arange(12.0).reshape(2, 3, 2)
    t = tj.tensor(x, requires_grad=True)
    assert np.array_equal(t.transpose(2, 0, 1).detach().numpy(), x.transpose(2, 0, 1))
    assert np.array_equal(t.transpose(0, 1).detach().numpy(), x.swapaxes(0, 1))
    (t.transpose(2, 0, 1)[1] ** 2).sum().backward()
    expected = np.zeros_like(x)
    expected[:, :, 1] = 2 * x[:, :, 1]
    assert np.array_equal(t.grad.numpy(), expected)


def test_take_takes_lists_and_arrays_of_places():
    x = np.array([0.5, 1.5, 2.5])
    t = tj.tensor(x)
    assert np.array_equal(t.take([0, -1]).numpy(), x.take([0, -1]))
    assert np.array_equal(t.take(np.array([[0], [2]])).numpy(), x.take([[0], [2]]))
    assert t.take([]).shape == (0,)


def test_divmod():
    x = np.array([-0.7, 0.4, 2.3])
    for f in (lambda x: divmod(x, 0.3), lambda x: divmod(2.0, x)):
        for found, expected in zip(f(tj.tensor(x)), f(x), strict=True):
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(tj.grad(lambda x: divmod(2.0, x)[1].sum())(x), -(2.0 // x))


def test_floor_division_is_the_quotient_without_the_remainder():
    pairs = [(1.0, 0.1), (6.0, 0.1), (-1.0, 0.1), (-1.0, -0.1), (0.7, -0.1), (0.3, 0.1), (-0.0, 1.0), (1e17, 3.0)]
    pairs += [(1.0, np.inf), (-1.0, np.inf), (np.inf, 1.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 0.0), (5.0, -2.0), (2.0, 0.4)]
    x, y = np.array(pairs).T
    with np.errstate(all="ignore"):
        expected = x // y
    for found in (
        tj.tensor(x) // tj.tensor(y),
        tj.div(tj.tensor(x), tj.tensor(y), rounding_mode="floor"),
        tj.jit(lambda x, y: x // y, compile="now")(tj.tensor(x), tj.tensor(y)),
    ):
        assert np.array_equal(found.numpy(), expected, equal_nan=True)
        assert np.array_equal(np.signbit(found.numpy()), np.signbit(expected))
    assert (1.0 // tj.tensor(0.1)).item() == 9.0
    t = tj.tensor(0.1, requires_grad=True)
    (1.0 % t).backward()
    assert t.grad.item() == -9.0
