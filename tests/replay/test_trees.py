"""What arguments and results may be made of: named tuples, dataclasses, attrs classes, registered classes, pandas columns."""

import collections
import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

import tapejit as tj

POLICIES = pytest.mark.parametrize("policy", ["now", "auto", "never"])
Pair = collections.namedtuple("Pair", "weight bias")


class Named(NamedTuple):
    weight: np.ndarray
    bias: float


@dataclasses.dataclass
class Parameters:
    weight: np.ndarray
    bias: float
    name: str = "layer"

    def apply(self, x):
        return x @ self.weight + self.bias


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    weight: np.ndarray
    bias: float


@dataclasses.dataclass
class Nested:
    first: Parameters
    rest: list


class Plain:
    def __init__(self, weight, bias, label):
        self.weight, self.bias, self.label = weight, bias, label


tj.register_pytree_node(Plain, lambda p: ((p.weight, p.bias), p.label), lambda label, parts: Plain(*parts, label))

W, X = np.array([1.0, -2.0, 0.5]), np.arange(6.0).reshape(2, 3)


def loss(p, x=X):
    return ((x @ p.weight + p.bias) ** 2).sum()


def expected(w, b):
    r = X @ w + b
    return (r**2).sum(), 2 * X.T @ r, 2 * r.sum()


@POLICIES
@pytest.mark.parametrize("make", [Pair, Named, Parameters, Frozen, lambda w, b: Plain(w, b, "p")])
def test_gradients_keep_the_class(make, policy):
    g = tj.value_and_grad(loss, compile=policy)
    for scale in (1.0, 1.0, 2.0, 3.0):
        p = make(W * scale, 0.5)
        value, gradient = g(p)
        total, weight, bias = expected(W * scale, 0.5)
        assert type(gradient) is type(p)
        assert value == pytest.approx(total, rel=1e-13)
        np.testing.assert_allclose(gradient.weight, weight, rtol=1e-13)
        assert gradient.bias == pytest.approx(bias, rel=1e-13)
        assert p.bias == 0.5
    assert getattr(gradient, "name", "layer") == "layer"
    assert getattr(gradient, "label", "p") == "p"


def test_attrs_classes():
    attr = pytest.importorskip("attr")
    kind = attr.make_class("Kind", ["weight", "bias"])
    _, gradient = tj.value_and_grad(loss)(kind(W, 0.5))
    assert type(gradient) is kind
    np.testing.assert_allclose(gradient.weight, expected(W, 0.5)[1], rtol=1e-13)


@POLICIES
def test_nested_and_static_fields(policy):
    def f(n):
        return (n.first.apply(X) ** 2).sum() * (2.0 if n.first.name == "layer" else 1.0) + n.rest[0]["a"].sum()

    g = tj.grad(f, compile=policy)
    for name in ("layer", "other", "layer"):
        found = g(Nested(Parameters(W, 0.5, name), [{"a": W}]))
        np.testing.assert_allclose(found.first.weight, expected(W, 0.5)[1] * (2 if name == "layer" else 1), rtol=1e-13)
        assert found.rest[0]["a"].tolist() == [1.0, 1.0, 1.0]
        assert found.first.name == name


@POLICIES
def test_results(policy):
    f = tj.jit(lambda p: (Parameters(p.weight * 2, p.bias), Pair(p.bias, p.weight)), compile=policy)
    for _ in range(3):
        first, second = f(Frozen(W, 0.5))
        assert type(first) is Parameters
        assert type(second) is Pair
        np.testing.assert_array_equal(first.weight, 2 * W)
        np.testing.assert_array_equal(second.bias, W)


def test_a_class_is_registered_once():
    with pytest.raises(ValueError, match="already"):
        tj.register_pytree_node(Plain, None, None)


@POLICIES
def test_columns_of_pandas_as_arguments(policy):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"x": [1.0, 2.0, 3.0], "n": [1, 2, 3]})
    g = tj.value_and_grad(lambda x, n: (x * x * n).sum(), compile=policy)
    for _ in range(3):
        value, gradient = g(table["x"], table["n"])
        assert value == 36.0
        np.testing.assert_array_equal(gradient, [2.0, 8.0, 18.0])
    np.testing.assert_array_equal(tj.grad(lambda t: (t**2).sum(), compile=policy)(table), 2 * table.to_numpy())
    with pytest.raises(TypeError, match="numbers"):
        g(pd.Series(["a"]), 1.0)


@POLICIES
def test_integers_in_differentiated_places_count_as_floats(policy):
    g = tj.value_and_grad(lambda x: (x**3).sum(), compile=policy)
    for _ in range(3):
        value, gradient = g(np.array([1, 2, 3]))
        assert value == 36.0
        np.testing.assert_array_equal(gradient, [3.0, 12.0, 27.0])
    np.testing.assert_array_equal(tj.hessian(lambda x: (x**3).sum(), compile=policy)(np.array([1, 2])), np.diag([6.0, 12.0]))
    assert tj.grad(lambda p: p["n"] ** 2, compile=policy)({"n": np.array(3)})["n"] == 6.0
