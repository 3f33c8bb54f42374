"""custom_vjp and custom_jvp, autograd.functional, tj.func, gradcheck, inference_mode."""

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj
from tapejit.autograd import functional, gradcheck, gradgradcheck

X = np.array([0.3, -1.2, 2.0])


@tj.custom_vjp
def log1pexp(x):
    return tj.log(1 + tj.exp(x))


log1pexp.defvjp(lambda x: (log1pexp(x), x), lambda x, g: (g * tj.sigmoid(x),))


@tj.custom_jvp
def sine(x):
    return tj.sin(x)


@sine.defjvp
def _sine_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return sine(x), tj.cos(x) * t


@tj.custom_jvp
def product(x, y):
    return x * y


product.defjvps(lambda t, out, x, y: t * y, lambda t, out, x, y: t * x)


@pytest.mark.parametrize(
    ("custom", "plain"),
    [
        (log1pexp, lambda x: tj.log(1 + tj.exp(x))),
        (sine, tj.sin),
        (lambda x: product(x, 2 * x), lambda x: 2 * x * x),
    ],
)
def test_custom_rules(custom, plain):
    check_grad(custom, X)
    for transform in (tj.grad, tj.hessian):
        g, expected = transform(lambda x: custom(x * x).sum()), transform(lambda x: plain(x * x).sum())
        for scale in (1.0, 0.5, 0.25):
            np.testing.assert_allclose(g(scale * X), expected(scale * X), rtol=1e-12)


def test_the_rule_is_what_counts():
    @tj.custom_vjp
    def f(x):
        return x * 1

    f.defvjp(lambda x: (f(x), None), lambda _, g: (100 * g,))
    np.testing.assert_allclose(tj.grad(lambda x: f(x).sum())(X), [100.0] * 3)

    @tj.custom_jvp
    def g(x):
        return x * 1

    g.defjvp(lambda primals, tangents: (g(*primals), 7 * tangents[0]))
    np.testing.assert_allclose(tj.grad(lambda x: g(x).sum())(X), [7.0] * 3)
    assert g(tj.ones(2)).tolist() == [1.0, 1.0]


def test_second_derivatives_go_through_residuals_that_were_computed():
    @tj.custom_vjp
    def f(x):
        return tj.exp(x)

    def fwd(x):
        y = tj.exp(x)
        return y, y

    f.defvjp(fwd, lambda y, g: (g * y,))
    check_grad(f, X)


def test_trees_and_fixed_arguments():
    @tj.custom_vjp
    def f(p, x):
        return {"out": p["w"] * x + p["b"]}

    def bwd(residuals, g):
        _, x = residuals
        g = g["out"]
        return {"w": (g * x).sum(), "b": g.sum()}, None

    f.defvjp(lambda p, x: (f(p, x), (p, x)), bwd)
    p = {"w": tj.tensor(2.0, requires_grad=True), "b": tj.tensor(1.0, requires_grad=True)}
    f(p, tj.tensor(X))["out"].sum().backward()
    np.testing.assert_allclose([p["w"].grad.item(), p["b"].grad.item()], [X.sum(), 3.0])

    def power(n, x):
        return x**n

    h = tj.custom_vjp(power, nondiff_argnums=(0,))
    h.defvjp(lambda n, x: (x**n, x), lambda n, x, g: (g * n * x ** (n - 1),))
    np.testing.assert_allclose(tj.grad(lambda x: h(3, x).sum())(X), 3 * X**2)
    assert h(n=2, x=3.0) == 9.0


def test_custom_rules_used_wrongly():
    with pytest.raises(AttributeError, match="defvjp"):
        tj.grad(lambda x: tj.custom_vjp(lambda x: x * 1)(x).sum())(X)
    with pytest.raises(AttributeError, match="defjvp"):
        tj.grad(lambda x: tj.custom_jvp(lambda x: x * 1)(x).sum())(X)
    f = tj.custom_vjp(lambda x, y: x * y)
    f.defvjp(lambda x, y: (x * y, None), lambda _, g: (g,))
    with pytest.raises(TypeError, match="2 entries"):
        f(tj.tensor(X, requires_grad=True), tj.ones(3)).sum().backward()


# autograd.functional


def quadratic(x, y):
    return (x * x * y).sum()


def vector(x, y):
    return x * y, x.sum() * y


A, B = np.array([1.0, 2.0]), np.array([3.0, -1.0])


def tensors():
    return tj.tensor(A), tj.tensor(B)


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobian(strategy):
    found = functional.jacobian(vector, tensors(), strategy=strategy)
    np.testing.assert_allclose(found[0][0].numpy(), np.diag(B))
    np.testing.assert_allclose(found[0][1].numpy(), np.diag(A))
    np.testing.assert_allclose(found[1][0].numpy(), np.outer(B, [1, 1]))
    np.testing.assert_allclose(found[1][1].numpy(), 3 * np.eye(2))
    single = functional.jacobian(lambda x: x.exp().sum(), tj.tensor(A), strategy=strategy)
    np.testing.assert_allclose(single.numpy(), np.exp(A))
    assert not single.requires_grad


def test_hessian_and_products():
    found = functional.hessian(quadratic, tensors())
    np.testing.assert_allclose(found[0][0].numpy(), np.diag(2 * B))
    np.testing.assert_allclose(found[0][1].numpy(), np.diag(2 * A))
    np.testing.assert_allclose(found[1][1].numpy(), np.zeros((2, 2)))
    v = tj.tensor([1.0, 2.0]), tj.tensor([0.5, 0.0])
    full = np.block([[np.diag(2 * B), np.diag(2 * A)], [np.diag(2 * A), np.zeros((2, 2))]])
    expected = full @ np.array([1.0, 2.0, 0.5, 0.0])
    for product in (functional.vhp, functional.hvp):
        y, (first, second) = product(quadratic, tensors(), v)
        assert y.item() == quadratic(*tensors()).item()
        np.testing.assert_allclose(np.concatenate([first.numpy(), second.numpy()]), expected)
    np.testing.assert_allclose(functional.hessian(lambda x: (x**3).sum(), tj.tensor(A)).numpy(), np.diag(6 * A))


def test_vjp_and_jvp():
    v = tj.tensor([1.0, 2.0]), tj.tensor([0.5, 0.0])
    (_, second), (g, h) = functional.vjp(vector, tensors(), v)
    assert second.tolist() == [9.0, -3.0]
    np.testing.assert_allclose(g.numpy(), [1 * 3 + 1.5, -2 + 1.5])
    np.testing.assert_allclose(h.numpy(), [1 + 1.5, 4.0])
    _, (s, t) = functional.jvp(vector, tensors(), v)
    np.testing.assert_allclose(s.numpy(), [3 + 0.5, -2.0])
    np.testing.assert_allclose(t.numpy(), [3 * 3 + 1.5, -3.0])
    y, g = functional.vjp(lambda x: x.sum(), tj.tensor(A))
    assert (y.item(), g.tolist()) == (3.0, [1.0, 1.0])


def test_create_graph_and_strict():
    x = tj.tensor(A, requires_grad=True)
    found = functional.jacobian(lambda x: (x**3).sum(), x, create_graph=True)
    found.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * A)
    assert functional.jacobian(lambda x, y: x * 1, tensors())[1].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(RuntimeError, match="strict"):
        functional.jacobian(lambda x, y: x * 1, tensors(), strict=True)
    with pytest.raises(RuntimeError, match="left out"):
        functional.vjp(lambda x: x * 1, tj.tensor(A))
    with pytest.raises(TypeError, match="inputs must be"):
        functional.jacobian(lambda x: x, 3.0)


# tj.func


def test_func():
    def f(x):
        return (x**3).sum()

    x = tj.tensor(A)
    g, value = tj.func.grad_and_value(f)(x)
    np.testing.assert_allclose(g.numpy(), 3 * A**2)
    assert value.item() == 9.0
    g, (value, aux) = tj.func.grad_and_value(lambda x: (f(x), x * 2), has_aux=True)(x)
    assert aux.tolist() == [2.0, 4.0]
    y, pull = tj.func.vjp(lambda x: x * x, x)
    np.testing.assert_allclose(pull(tj.ones(2))[0].numpy(), 2 * A)
    y, pull, aux = tj.func.vjp(lambda x: (x * x, x + 1), x, has_aux=True)
    assert (y.tolist(), aux.tolist(), pull(tj.ones(2))[0].tolist()) == ([1.0, 4.0], [2.0, 3.0], [2.0, 4.0])
    y, t, aux = tj.func.jvp(lambda x: (x * x, x + 1), (x,), (tj.ones(2),), has_aux=True)
    assert (t.tolist(), aux.tolist()) == ([2.0, 4.0], [2.0, 3.0])
    for jacobian in (tj.func.jacrev, tj.func.jacfwd):
        np.testing.assert_allclose(jacobian(lambda x: x * x)(x).numpy(), np.diag(2 * A))
    np.testing.assert_allclose(tj.func.hessian(f)(x).numpy(), np.diag(6 * A))
    np.testing.assert_allclose(tj.func.vmap(tj.func.grad(lambda x: x**3))(x).numpy(), 3 * A**2)


# gradcheck


def test_gradcheck():
    x, y = tj.tensor(A, requires_grad=True), tj.tensor(B, requires_grad=True)
    assert gradcheck(lambda x, y: (x * y.exp(), x.sum()), (x, y))
    assert gradgradcheck(lambda x, y: (x * y.exp(), x.sum() ** 2), (x, y))

    class Wrong(tj.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 3 * ctx.saved_tensors[0] * g

    with pytest.raises(tj.autograd.GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"):
        gradcheck(Wrong.apply, x)
    assert not gradcheck(Wrong.apply, x, raise_exception=False)

    class WrongTwice(Wrong):
        @staticmethod
        def backward(ctx, g):
            return 2 * ctx.saved_tensors[0].detach() * g

    assert gradcheck(WrongTwice.apply, x)
    assert not gradgradcheck(WrongTwice.apply, x, raise_exception=False)
    with pytest.raises(ValueError, match="requires_grad"):
        gradcheck(tj.sin, tj.ones(2))


def test_inference_mode():
    x = tj.ones(2, requires_grad=True)
    with tj.inference_mode():
        assert tj.is_inference_mode_enabled()
        assert not (x * 2).requires_grad
        with tj.inference_mode(False):
            assert (x * 2).requires_grad

    @tj.inference_mode
    def f(x):
        return x * 2

    @tj.inference_mode()
    def g(x):
        return x * 2

    assert not f(x).requires_grad
    assert not g(x).requires_grad
    assert not tj.is_inference_mode_enabled()
