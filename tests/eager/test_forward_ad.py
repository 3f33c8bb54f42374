"""autograd.forward_ad: duals, levels, derivatives of derivatives; and the names of autograd.graph."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.autograd import forward_ad as fw

P, T = np.array([0.3, -1.2, 2.0]), np.array([1.0, 0.5, -2.0])


def f(x):
    y = x.clone()
    y[0] = 2.0
    return tj.stack([(x * x).sum() * tj.sin(x), tj.softmax(x, 0), tj.linalg.norm(x) * y])


def test_the_tangent_is_the_product_with_the_jacobian():
    with fw.dual_level():
        value, tangent = fw.unpack_dual(f(fw.make_dual(tj.tensor(P), tj.tensor(T))))
    expected, derivative = tj.jvp(f, (P,), (T,))
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(tangent.numpy(), derivative, rtol=1e-13)
    assert not value.requires_grad
    assert not tangent.requires_grad


def test_several_duals_and_constants():
    a, b, c = tj.tensor(P), tj.tensor(T), tj.tensor([1.0, 2.0, 3.0])
    with fw.dual_level():
        x, y = fw.make_dual(a, tj.ones(3)), fw.make_dual(b, 2.0 * tj.ones(3))
        np.testing.assert_allclose(fw.unpack_dual(x * y + c).tangent.numpy(), T + 2 * P)
        assert fw.unpack_dual(c).tangent is None
        assert fw.unpack_dual(c * 2).tangent is None
        assert fw.unpack_dual(x).tangent.tolist() == [1.0, 1.0, 1.0]
        assert fw.unpack_dual(a).tangent is None
    assert not a.requires_grad


def test_the_dual_shares_the_memory_of_its_primal():
    a = tj.tensor(P)
    with fw.dual_level():
        assert fw.make_dual(a, tj.ones(3)).data_ptr() == a.data_ptr()


def test_reverse_over_forward():
    p = tj.tensor(P, requires_grad=True)
    with fw.dual_level():
        value, tangent = fw.unpack_dual((fw.make_dual(p, tj.tensor(T)) ** 3).sum())
    (g,) = tj.autograd.grad(tangent, p, retain_graph=True)
    np.testing.assert_allclose(g.numpy(), 6 * P * T)
    (g,) = tj.autograd.grad(value, p)
    np.testing.assert_allclose(g.numpy(), 3 * P**2)


def test_functions_whose_backward_the_user_states():
    class Square(tj.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    with fw.dual_level():
        y = Square.apply(fw.make_dual(tj.tensor(P), tj.tensor(T))) + 1
        np.testing.assert_allclose(fw.unpack_dual(y).tangent.numpy(), 2 * P * T)


def test_levels():
    with pytest.raises(RuntimeError, match="outside of a dual level"):
        fw.make_dual(tj.ones(2), tj.ones(2))
    with pytest.raises(RuntimeError, match="outside of a dual level"):
        fw.exit_dual_level()
    level = fw.enter_dual_level()
    x = fw.make_dual(tj.ones(2), tj.ones(2), level=level)
    with pytest.raises(RuntimeError, match="does not nest"):
        fw.enter_dual_level()
    fw.exit_dual_level()
    assert fw.unpack_dual(x).tangent is None
    with pytest.raises(ZeroDivisionError), fw.dual_level():
        raise ZeroDivisionError
    with fw.dual_level() as level:
        assert level == 0


def test_wrong_tangents():
    with fw.dual_level():
        whole = tj.arange(2)
        for primal, tangent in ((tj.ones(2), tj.ones(3)), (tj.ones(2), tj.ones(2, dtype=tj.float32)), (whole, whole)):
            with pytest.raises(ValueError, match="make_dual"):
                fw.make_dual(primal, tangent)


def test_names_of_the_graph():
    with pytest.raises(NotImplementedError, match="checkpoint"):
        tj.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x)
    x = tj.ones(2, requires_grad=True)
    with tj.autograd.graph.save_on_cpu():
        (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_variable():
    a = tj.ones(2)
    x = tj.autograd.Variable(a, requires_grad=True)
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert x.data_ptr() == a.data_ptr()
    assert not tj.autograd.Variable(a).requires_grad
