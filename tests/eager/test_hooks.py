"""Hooks on tensors and leaves, and anomaly detection."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import tape
from tapejit.eager import hooks


def leaf(*values):
    return tj.tensor(list(values), requires_grad=True)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hook_sees_and_changes_the_whole_gradient(create_graph):
    x, seen = leaf(1.0, 2.0), []
    y = x * 2
    z = (y * y).sum() + y.sum()  # uses of y before and after the hook
    y.register_hook(lambda g: seen.append(g.detach()))
    y.register_hook(lambda g: g * 10)
    (z + 3 * y.sum()).backward(create_graph=create_graph)
    assert seen[0].tolist() == [8.0, 12.0]
    assert x.grad.tolist() == [160.0, 240.0]


def test_a_gradient_kept_by_a_hook_stays():
    x, seen = leaf(1.0, 2.0), []
    y = x * 2
    y.register_hook(seen.append)
    (y * y).sum().backward()
    for _ in range(100):
        (x * x).sum().backward()
    assert seen[0].tolist() == [4.0, 8.0]
    assert (seen[0] + 1).tolist() == [5.0, 9.0]


def test_hooks_of_leaves():
    x, after = leaf(1.0, 2.0), []
    x.register_hook(lambda g: g + 1)
    x.register_post_accumulate_grad_hook(lambda t: after.append(t.grad.tolist()))
    x.grad = tj.tensor([100.0, 100.0])
    (x * x).sum().backward()
    (x * x).sum().backward()
    assert after == [[103.0, 105.0], [106.0, 110.0]]
    assert x.grad.tolist() == [106.0, 110.0]
    (g,) = tj.autograd.grad((x * x).sum(), x)
    assert g.tolist() == [3.0, 5.0]
    assert len(after) == 2
    x.grad = None
    (x * x).sum().backward(inputs=[x])
    assert after[2:] == [[3.0, 5.0]]


def test_an_optimiser_in_the_backward_pass():
    w = leaf(1.0, -1.0)

    def step(t):
        with tj.no_grad():
            t -= 0.1 * t.grad
        t.grad = None

    w.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        (w * w).sum().backward()
    np.testing.assert_allclose(w.detach().numpy(), np.array([1.0, -1.0]) * 0.8**3)
    assert w.grad is None


def test_hooks_of_what_is_asked_for():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    for create_graph in (False, True):
        z = (y * y).sum()
        found = tj.autograd.grad(z, [y, x], create_graph=create_graph, retain_graph=True)
        assert [g.tolist() for g in found] == [[40.0, 80.0], [80.0, 160.0]]
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [40.0, 80.0]


def test_a_hook_that_is_differentiated():
    x = leaf(1.0, 2.0)
    y = x * x
    handle = y.register_hook(lambda g: g * g)
    (g,) = tj.autograd.grad((y * y).sum(), x, create_graph=True)  # (2 x^2)^2 * 2 x
    np.testing.assert_allclose(g.detach().numpy(), [8.0, 256.0])
    handle.remove()
    (h,) = tj.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h.numpy(), [40.0, 640.0])


def test_removing():
    x = leaf(1.0, 2.0)
    first = x.register_hook(lambda g: g * 2)
    with x.register_hook(lambda g: g * 3):
        (x * 1).sum().backward()
    first.remove()
    first.remove()
    (x * 1).sum().backward()
    assert x.grad.tolist() == [7.0, 7.0]


def test_the_hook_outlives_the_name():
    x, seen = leaf(1.0, 2.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    z = y.exp().sum()
    del y
    for _ in range(3000):
        _ = tj.ones(2) * 1
    tape.current().reclaim()
    (0 * z).backward()
    assert seen == [[0.0, 0.0]]
    del z
    tape.current().reclaim()
    assert len(hooks._known) < 20


def test_an_in_place_change_leaves_the_hook_with_the_value_it_was_for():
    x, seen = leaf(1.0, 2.0), []
    y = x * 1
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.mul_(5)
    y.sum().backward()
    assert seen == [[5.0, 5.0]]


def test_a_hook_that_raises_gives_the_sweep_up():
    def fail(g):
        raise ValueError("mine")

    x = leaf(1.0, 2.0)
    handle = x.register_hook(fail)
    y = x * x
    inner = y.register_hook(fail)
    for _ in range(2):
        with pytest.raises(ValueError, match="mine"):
            y.sum().backward(retain_graph=True)
        inner.remove()
    handle.remove()
    assert not tape.main.adjoints[: len(tape.main)].any()
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_a_sweep_inside_a_hook():
    x, inner = leaf(1.0, 2.0), leaf(3.0)
    total = (inner * inner).sum()
    y = x * x
    y.register_hook(lambda g: g * tj.autograd.grad(total, inner)[0])
    (y.sum() * x.sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), [5 + 3 * 6 * 2, 5 + 3 * 6 * 4])


def test_recorded():
    def f(x):
        y = x * x
        y.register_hook(lambda g: g * 3)
        return y.sum()

    g = tj.grad(f)
    for _ in range(3):
        np.testing.assert_allclose(g(np.array([1.0, 2.0])), [6.0, 12.0])


def test_prehook_of_a_node():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.grad_fn.register_prehook(lambda gradients: (gradients[0] * 5,))
    y.sum().backward()
    assert x.grad.tolist() == [10.0, 10.0]


def test_errors():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="requires_grad"):
        tj.ones(2).register_hook(print)
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 1).register_post_accumulate_grad_hook(print)
    with pytest.raises(TypeError, match="function"):
        x.register_hook(3)
    x.register_hook(lambda g: tj.ones(3))
    with pytest.raises(RuntimeError, match=r"shape \(2,\); got of shape \(3,\)"):
        (x * 1).sum().backward()


# Anomaly detection


def test_the_first_nan_is_named_with_its_line():
    x = leaf(-1.0, 2.0)
    with tj.autograd.detect_anomaly():
        y = x.sqrt()  # here
        with pytest.raises(RuntimeError, match=r"(?s)'SqrtBackward0' returned nan.*y = x\.sqrt\(\)  # here"):
            (y * 2).sum().backward()
    assert not tj.autograd.is_anomaly_enabled()
    (x * x).sum().backward()
    assert x.grad.tolist() == [-2.0, 4.0]


def test_without_nan_gradients_are_the_same_and_have_no_history():
    x = leaf(1.0, 2.0)
    with tj.autograd.set_detect_anomaly(True):
        assert tj.autograd.is_anomaly_enabled()
        for _ in range(3):
            (x.exp() * x).sum().backward()
        assert not x.grad.requires_grad
        got = x.grad.tolist()
        with tj.autograd.set_detect_anomaly(True, check_nan=False):
            (leaf(-1.0).sqrt() * 1).sum().backward()
        count = len(hooks._known)
        for _ in range(3000):
            y = x.exp()
        del y
        tape.current().reclaim()
        assert len(hooks._known) <= count + 2
    x.grad = None
    for _ in range(3):
        (x.exp() * x).sum().backward()
    np.testing.assert_allclose(got, x.grad.numpy(), rtol=1e-15)


def test_two_leaves_do_not_share_a_gradient_under_detection():
    x, y = leaf(1.0), leaf(2.0)
    with tj.autograd.detect_anomaly():
        (x + y).sum().backward()
    x.grad.zero_()
    assert y.grad.tolist() == [1.0]
