"""autograd.Function: values, derivatives of both orders, in every way in; what it keeps and lets go; errors."""

import gc
import weakref

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj
from tapejit.autograd import Function, once_differentiable


class Cube(Function):
    """Its derivative reads the argument."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


class Exp(Function):
    """Its derivative reads the result; in the newer form, with setup_context."""

    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return y * g


class Many(Function):
    """Six arguments, one of them no tensor, and two results; each derivative reads the other arguments."""

    @staticmethod
    def forward(ctx, a, b, n, c, d, e):
        ctx.n = n
        ctx.save_for_backward(a, b, c, d, e)
        return a * b * n, c * d + e

    @staticmethod
    def backward(ctx, g, h):
        a, b, c, d, _ = ctx.saved_tensors
        return g * b * ctx.n, g * a * ctx.n, None, h * d, h * c, h


class Sibling(Function):
    """The derivative of one result reads the other one."""

    @staticmethod
    def forward(ctx, x):
        y = x.sin()
        z = x.cos()
        ctx.save_for_backward(y, z)
        return y, z

    @staticmethod
    def backward(ctx, g, h):
        y, z = ctx.saved_tensors
        return g * z - h * y


X = np.array([0.3, -1.2, 2.0])


@pytest.mark.parametrize("function", [Cube, Exp])
def test_derivatives(function):
    check_grad(lambda x: function.apply(x), X)
    check_grad(lambda x: function.apply(x * 2) * x, X.astype(np.float32))
    check_grad(lambda x: function.apply(x.T).sum(0), np.arange(6.0).reshape(2, 3) / 5)


def test_more_arguments_than_a_record_has():
    arrays = [np.array(v) for v in (2.0, 3.0, 4.0, 5.0, 6.0)]
    check_grad(lambda a, b, c, d, e: Many.apply(a, b, 3, c, d, e)[0] * Many.apply(a, b, 2, c, d, e)[1], *arrays)
    a, b, c, d, e = (tj.tensor(v, requires_grad=True) for v in arrays)
    _, second = Many.apply(a, b, 3, c, d, e)
    found = tj.autograd.grad(second, [a, c, d, e], allow_unused=True)
    assert [g.item() for g in found] == [0.0, 5.0, 4.0, 1.0]


def test_a_saved_sibling_that_gets_no_gradient_is_differentiated_too():
    check_grad(lambda x: Sibling.apply(x)[0], X)
    check_grad(lambda x: Sibling.apply(x)[1], X)


@pytest.mark.parametrize("compile", ["now", "auto"])
@pytest.mark.parametrize("transform", [tj.grad, tj.hessian, tj.jacobian], ids=["grad", "hessian", "jacobian"])
def test_recorded_and_replayed(transform, compile):
    def with_functions(x):
        return (Cube.apply(x) * Exp.apply(-x)).sum()

    def plain(x):
        return (x**3 * (-x).exp()).sum()

    g, expected = transform(with_functions, compile=compile), transform(plain)
    for scale in (1.0, 0.5, -0.3, 0.2):
        np.testing.assert_allclose(g(scale * X), expected(scale * X), rtol=1e-12)
    calls = g.stats()["calls"]
    assert (calls["recorded"], calls["eager"]) == (1, 0)
    assert compile == "auto" or calls["replayed"] >= 3


def test_needs_input_grad_and_none():
    asked = []

    class Product(Function):
        @staticmethod
        def forward(ctx, x, y):
            asked.append(ctx.needs_input_grad)
            return x * y

        @staticmethod
        def backward(ctx, g):
            return g, None

    x, y = tj.ones(2, requires_grad=True), tj.ones(2)
    Product.apply(x, y).sum().backward()
    assert asked == [(True, False)]
    assert x.grad.tolist() == [1.0, 1.0]
    assert not Product.apply(y, y).requires_grad
    with tj.no_grad():
        assert not Product.apply(x, y).requires_grad


def test_results_without_gradient():
    class Sorted(Function):
        @staticmethod
        def forward(ctx, x):
            y, places = x.sort()
            mask = y > 0
            ctx.mark_non_differentiable(mask)
            ctx.save_for_backward(places)
            return y, places, y.clone(), "text"

        @staticmethod
        def backward(ctx, g, g_places, g_copy, g_text):
            assert g_places is None
            assert g_text is None
            assert g_copy.tolist() == [0.0, 0.0, 0.0]
            (places,) = ctx.saved_tensors
            return g[places.argsort()]

    x = tj.tensor([3.0, 1.0, 2.0], requires_grad=True)
    y, places, copy, text = Sorted.apply(x)
    assert y.requires_grad
    assert copy.requires_grad
    assert not places.requires_grad
    assert text == "text"
    (y * tj.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]


def test_gradients_that_did_not_arrive_can_be_none():
    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, g, h):
            assert h is None
            return g

    x = tj.ones(2, requires_grad=True)
    Two.apply(x)[0].sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_changed_in_place():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    leaf = tj.ones(3, requires_grad=True)
    x = leaf * 1
    y = Double.apply(x)
    assert y is x
    assert x.tolist() == [2.0, 2.0, 2.0]
    (x * x).sum().backward()
    assert leaf.grad.tolist() == [8.0, 8.0, 8.0]
    with pytest.raises(RuntimeError, match="leaf tensor"):
        Double.apply(leaf)


def test_a_result_may_be_changed_in_place_afterwards():
    x = tj.tensor(X, requires_grad=True)
    y = Cube.apply(x)
    y += 1
    y[0] = 5.0
    (y * y).sum().backward()
    expected = 2 * (X**3 + 1) * 3 * X * X
    expected[0] = 0
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12)


def test_a_saved_tensor_changed_in_place_is_an_error():
    x = tj.ones(3, requires_grad=True)
    z = x * 1
    y = Cube.apply(z)
    z += 1
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()
    plain = tj.ones(2, requires_grad=True)
    (plain * 2).sum().backward()
    assert plain.grad.tolist() == [2.0, 2.0]


def test_a_graph_built_in_forward_and_swept_in_backward():
    class Inner(Function):
        @staticmethod
        def forward(ctx, x):
            with tj.enable_grad():
                ctx.x = x.detach().requires_grad_()
                ctx.y = (ctx.x**3).sum()
            return ctx.y.detach()

        @staticmethod
        def backward(ctx, g):
            (d,) = tj.autograd.grad(ctx.y, ctx.x)
            return d * g

    x, w = tj.tensor(X, requires_grad=True), tj.tensor(2.0, requires_grad=True)
    (Inner.apply(x * w) * w * x.sum()).backward()
    a, b = tj.tensor(X, requires_grad=True), tj.tensor(2.0, requires_grad=True)
    (((a * b) ** 3).sum() * b * a.sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), a.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(w.grad.numpy(), b.grad.numpy(), rtol=1e-12)


def test_gradients_kept_by_the_user_stay():
    kept = []

    class Keep(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            kept.append(g)
            return g

    x = tj.tensor(X, requires_grad=True)
    (Keep.apply(x * 2) * tj.tensor([1.0, 2.0, 3.0])).sum().backward()
    for _ in range(100):
        (x * x).sum().backward()
    assert kept[0].tolist() == [1.0, 2.0, 3.0]


def test_the_graph_is_freed():
    x = tj.tensor(X, requires_grad=True)
    y = Cube.apply(x)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()
    y = Cube.apply(x)
    y.sum().backward(retain_graph=True)
    y.sum().backward()


class _Witness:
    """Something whose end can be seen."""


@pytest.mark.parametrize("with_backward", [False, True])
def test_what_is_kept_goes_when_the_record_goes(with_backward):
    class Own(Exp):
        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output)
            ctx.witness = _Witness()
            seen.append(weakref.ref(ctx.witness))

    seen = []
    x = tj.tensor(X, requires_grad=True)
    for _ in range(50):
        y = Own.apply(x)
        if with_backward:
            y.sum().backward()
    del y
    from tapejit.core import tape

    tape.current().reclaim()
    gc.collect()
    assert sum(s() is not None for s in seen) == 0


def test_nodes():
    x = tj.tensor(X, requires_grad=True)
    y = Cube.apply(x)
    assert y.grad_fn.name() == "CubeBackward"
    assert "grad_fn=<CubeBackward>" in repr(y)
    ((node, _),) = y.grad_fn.next_functions
    assert node.name() == "AccumulateGrad"
    assert node.variable is x
    z = (2 * x) * y.sum()
    (first, _), (second, _) = z.grad_fn.next_functions
    assert (first.name(), second.name()) == ("MulBackward0", "SumBackward0")
    assert second.next_functions[0][0] == y.grad_fn
    assert first.next_functions == ((None, 0), (node, 0)) or first.next_functions == ((node, 0), (None, 0))
    assert x.grad_fn is None
    many = [tj.tensor(float(i), requires_grad=True) for i in range(5)]
    node = Many.apply(many[0], many[1], 3, *many[2:])[1].grad_fn
    assert [n.variable for n, _ in node.next_functions] == many


def test_once_differentiable():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return 2 * ctx.saved_tensors[0] * g

    x = tj.tensor(X, requires_grad=True)
    Once.apply(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * X)
    (g,) = tj.autograd.grad((Once.apply(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        tj.autograd.grad(g.sum(), x)


def bad(gradients):
    class Bad(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return gradients

    return Bad


@pytest.mark.parametrize(
    ("gradients", "error", "words"),
    [
        ((None,), RuntimeError, "1 gradients, but forward has 2 arguments"),
        ((tj.ones(2), None), RuntimeError, r"shape \(2,\) for input 0, which has shape \(3,\)"),
        ((1.0, None), TypeError, "must be a tensor or None, got float"),
    ],
)
def test_gradients_that_do_not_fit(gradients, error, words):
    x = tj.ones(3, requires_grad=True)
    with pytest.raises(error, match=words):
        bad(gradients).apply(x, tj.ones(3)).sum().backward()
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_used_wrongly():
    with pytest.raises(TypeError, match="apply"):
        Cube()
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(tj.ones(2))

    class Saves(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x

    with pytest.raises(TypeError, match="save_for_backward"):
        Saves.apply(tj.ones(2))


def _leaf(x):
    return (x * x).detach().requires_grad_()


def _detached_in_place(x):
    y = x * x
    y.detach_()
    return y


def _no_leaf_again(x):
    return _leaf(x).requires_grad_(False)


@pytest.mark.parametrize("made", [_leaf, _detached_in_place, _no_leaf_again])
def test_a_recording_knows_the_value_of_what_was_detached(made):
    def f(x):
        return (made(x) * x).sum()

    replayed, eager = (tj.value_and_grad(f, compile=c) for c in ("now", "never"))
    for x in (np.array([0.3, 0.5]), np.array([0.1, 0.9]), np.array([0.3, 0.5])):
        np.testing.assert_array_equal(replayed(x)[1], eager(x)[1])
