"""The transforms, with JAX's conventions: what they take and give, and that they compose."""

import numpy as np
import pytest

import tapejit as tj

POLICIES = ["now", "auto", "never"]


def cubic(x):
    return (x**3).sum()


def vector(x):
    return tj.stack([x[0] * x[1], x[1].sin(), x[0] ** 2 + x[2]])


@pytest.mark.parametrize("policy", POLICIES)
class TestPolicies:
    def calls(self, function, *args, times=3):
        results = [function(*args) for _ in range(times)]
        return results[-1]

    def test_grad_and_value_and_grad(self, policy):
        x = np.arange(1.0, 4.0)
        np.testing.assert_allclose(self.calls(tj.grad(cubic, compile=policy), x), 3 * x**2)
        value, gradient = self.calls(tj.value_and_grad(cubic, compile=policy), x)
        assert isinstance(value, float)
        assert value == (x**3).sum()
        np.testing.assert_allclose(gradient, 3 * x**2)

    def test_floats_tensors_and_trees(self, policy):
        assert self.calls(tj.grad(lambda a, b: a * b, (0, 1), compile=policy), 2.0, 5.0) == (5.0, 2.0)
        gradient = self.calls(tj.grad(cubic, compile=policy), tj.tensor([1.0, 2.0]))
        assert isinstance(gradient, tj.Tensor)
        assert gradient.tolist() == [3.0, 12.0]
        tree = {"a": np.ones(2), "b": [2.0, (np.full(2, 3.0),)]}
        found = self.calls(tj.grad(lambda p: (p["a"] * p["b"][1][0]).sum() * p["b"][0], compile=policy), tree)
        assert list(found) == ["a", "b"]
        np.testing.assert_allclose(found["a"], [6.0, 6.0])
        assert found["b"][0] == 6.0
        np.testing.assert_allclose(found["b"][1][0], [2.0, 2.0])

    def test_aux_keywords_and_static_arguments(self, policy):
        def f(x, power, *, scale=1.0):
            return (x**power).sum() * scale, {"twice": x * 2, "name": "aux"}

        g = tj.value_and_grad(f, has_aux=True, static_argnums=1, compile=policy)
        for power in (2, 3, 2):
            (value, aux), gradient = g(np.array([1.0, 2.0]), power, scale=0.5)
            assert value == 0.5 * (1 + 2.0**power)
            np.testing.assert_allclose(gradient, 0.5 * power * np.array([1.0, 2.0]) ** (power - 1))
            assert aux["name"] == "aux"
            np.testing.assert_allclose(aux["twice"], [2.0, 4.0])

    def test_jacobians_and_hessian(self, policy):
        x = np.array([1.0, 2.0, 3.0])
        true = np.array([[2.0, 1.0, 0.0], [0.0, np.cos(2.0), 0.0], [2.0, 0.0, 1.0]])
        for transform in (tj.jacrev, tj.jacfwd, tj.jacobian):
            np.testing.assert_allclose(self.calls(transform(vector, compile=policy), x), true, atol=1e-14)
        np.testing.assert_allclose(self.calls(tj.hessian(cubic, compile=policy), x), np.diag(6 * x))
        assert self.calls(tj.hessian(lambda a: a**3, compile=policy), 2.0) == 12.0

    def test_products(self, policy):
        x, v = np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 0.5])
        value, tangent = tj.jvp(vector, (x,), (v,), compile=policy)
        np.testing.assert_allclose(value, [2.0, np.sin(2.0), 4.0])
        np.testing.assert_allclose(tangent, [1.0, -np.cos(2.0), 2.5])
        value, pull = tj.vjp(vector, x, compile=policy)
        np.testing.assert_allclose(pull(np.array([1.0, 0.0, 2.0]))[0], [6.0, 1.0, 2.0])
        np.testing.assert_allclose(self.calls(tj.hvp(cubic, compile=policy), x, v), 6 * x * v)

    def test_composition(self, policy):
        f = tj.grad(tj.grad(lambda x: x**5), compile=policy)
        assert self.calls(f, 2.0) == 160.0
        third = tj.grad(tj.grad(tj.grad(lambda x: x**5)), compile=policy)
        assert self.calls(third, 2.0) == 240.0
        _value, tangent = tj.jvp(tj.grad(cubic), (np.ones(2),), (np.array([1.0, 2.0]),), compile=policy)
        np.testing.assert_allclose(tangent, [6.0, 12.0])

    def test_no_perturbation_confusion(self, policy):
        inner = tj.grad(lambda x: x * tj.grad(lambda y: x + y)(1.0), compile=policy)
        assert self.calls(inner, 1.0) == 1.0
        nested = tj.grad(lambda x: x * tj.grad(lambda y: x * y)(2.0), compile=policy)
        assert self.calls(nested, 3.0) == 6.0


def test_a_tensor_that_requires_grad_keeps_its_history():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    g = tj.value_and_grad(cubic)
    value, gradient = g(x)
    (value + gradient.sum()).backward()
    assert x.grad.tolist() == [9.0, 24.0]


def test_an_argument_that_does_not_matter_gets_zeros():
    assert tj.grad(lambda x, y: y * y, (0, 1))(1.0, 3.0) == (0.0, 6.0)
    np.testing.assert_array_equal(tj.grad(lambda x: tj.tensor(1.0))(np.ones(3)), np.zeros(3))


def test_scipy_takes_it_as_it_is():
    from scipy.optimize import minimize

    def f(x):
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    found = minimize(tj.value_and_grad(f), np.zeros(5), jac=True, method="BFGS")
    np.testing.assert_allclose(found.x, np.ones(5), atol=1e-4)


def test_errors():
    with pytest.raises(TypeError, match="scalar result"):
        tj.grad(lambda x: x)(np.ones(2))
    with pytest.raises(TypeError, match="argnums"):
        tj.grad(cubic, argnums=3)(np.ones(2))
    with pytest.raises(TypeError, match="takes a function"):
        tj.grad(3)
    with pytest.raises(ValueError, match="compile must be"):
        tj.grad(cubic, compile="often")
    with pytest.raises(TypeError, match="floating-point"):
        tj.grad(cubic)(np.ones(3, bool))


def test_jit_as_a_decorator_and_as_a_method():
    class Model:
        scale = 2.0

        @tj.jit
        def apply(self, x):
            return x * self.scale

    model = Model()
    for _ in range(3):
        np.testing.assert_allclose(model.apply(np.ones(2)), 2.0)
    model.scale = 5.0
    np.testing.assert_allclose(model.apply(np.ones(2)), 5.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(),
        lambda x: (x**3).sum(),
        lambda x: (x[::2] * x[1::2].exp()).sum(),
        lambda x: tj.exp(x).sum() * x.sum(),
        lambda x: (x[:3] * 2).sum(),
    ],
    ids=["Rosenbrock", "diagonal", "pairs", "dense", "linear"],
)
def test_sparse_and_dense_hessians_agree_with_eager(function):
    replayed, eager = tj.hessian(function, compile="now"), tj.hessian(function, compile="never")
    rng = np.random.default_rng(4)
    for _ in range(3):
        x = rng.standard_normal(12)
        np.testing.assert_allclose(replayed(x), eager(x), rtol=1e-9, atol=1e-10)


def test_a_jacobian_goes_by_columns_where_these_are_fewer():
    t = np.linspace(0.1, 2, 10_000)
    g = tj.jacobian(lambda b: b[0] * tj.exp(-b[1] * t) + b[2])
    e = np.exp(-2 * t)
    for _ in range(3):
        np.testing.assert_allclose(g(np.array([1.5, 2.0, 3.0])), np.stack([e, -1.5 * t * e, np.ones_like(t)], 1), rtol=1e-13)
    assert g.stats()["signatures"][0]["paths"][0]["records"] < 300
