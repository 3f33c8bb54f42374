"""``tj.func`` and ``tj.utils.checkpoint``: PyTorch's names and ways of calling."""

import numpy as np
import pytest

import tapejit as tj
from tapejit import nn

F = nn.functional


def test_functional_call_and_transforms():
    tj.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x, y = tj.randn(6, 3), tj.randn(6, 1)

    def loss(p, x, y):
        return F.mse_loss(tj.func.functional_call(net, p, x), y)

    parameters = {name: p.detach() for name, p in net.named_parameters()}
    step = tj.value_and_grad(loss)
    F.mse_loss(net(x), y).backward()
    for _ in range(4):
        value, gradients = step(parameters, x, y)
    np.testing.assert_allclose(float(value), F.mse_loss(net(x), y).item(), rtol=1e-12)
    for name, p in net.named_parameters():
        np.testing.assert_allclose(np.asarray(gradients[name]), p.grad.numpy(), rtol=1e-10, atol=1e-12)
    moved = {name: p + 0.1 for name, p in parameters.items()}
    assert float(step(moved, x, y)[0]) == pytest.approx(loss(moved, x, y).item(), rel=1e-12)
    assert all(p is not moved[name] for name, p in net.named_parameters())
    with pytest.raises(KeyError, match="odd"):
        tj.func.functional_call(net, {"odd": x}, x)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()


def test_an_ensemble_of_modules_is_one_batch():
    tj.manual_seed(2)
    models = [network() for _ in range(3)]
    parameters, buffers = tj.func.stack_module_state(models)
    assert parameters["0.weight"].shape == (3, 4, 3)
    assert parameters["0.weight"].requires_grad
    assert parameters["0.weight"].is_leaf
    assert not buffers["1.running_mean"].requires_grad
    x = tj.randn(5, 3)

    def call(p, b, x):
        return tj.func.functional_call(models[0], (p, b), x)

    together = tj.func.vmap(call, in_dims=(0, 0, None))(parameters, buffers, x)
    np.testing.assert_allclose(together.detach(), np.stack([m(x).detach() for m in models]), rtol=1e-12)
    together.sum().backward()
    for k, m in enumerate(models):
        m(x).sum().backward()
        for name, p in m.named_parameters():
            np.testing.assert_allclose(parameters[name].grad[k], p.grad, rtol=1e-11, atol=1e-12)


def test_frozen_parameters_stay_frozen_in_the_stack():
    models = [nn.Linear(2, 1) for _ in range(2)]
    for m in models:
        m.bias.requires_grad_(False)
    parameters, _ = tj.func.stack_module_state(models)
    assert parameters["weight"].requires_grad
    assert not parameters["bias"].requires_grad


def test_modules_that_differ_are_no_ensemble():
    with pytest.raises(RuntimeError, match="at least one"):
        tj.func.stack_module_state([])
    with pytest.raises(RuntimeError, match=r"Linear \(training=False\), Linear \(training=True\)"):
        tj.func.stack_module_state([nn.Linear(2, 1), nn.Linear(2, 1).eval()])
    with pytest.raises(ValueError, match=r"'weight' has different shapes.*\(1, 2\), \(1, 3\)"):
        tj.func.stack_module_state([nn.Linear(2, 1), nn.Linear(3, 1)])
    with pytest.raises(ValueError, match=r"\['bias', 'weight'\], another \['weight'\]"):
        tj.func.stack_module_state([nn.Linear(2, 1), nn.Linear(2, 1, bias=False)])


@pytest.mark.parametrize("vmap", [tj.vmap, tj.func.vmap])
def test_vmap_takes_pytorchs_names(vmap):
    x, w = np.arange(6.0).reshape(2, 3), np.array([1.0, -2.0])
    found = vmap(lambda a, b: a * b.sum(), in_dims=(1, None), out_dims=1)(x, w)
    np.testing.assert_array_equal(found, -x)
    np.testing.assert_array_equal(vmap(func=lambda a: 2 * a, in_dims=1, out_axes=1)(x), 2 * x)
    with pytest.raises(TypeError, match="in_axes and in_dims"):
        vmap(lambda a: a, in_axes=0, in_dims=0)


def test_linearize():
    def f(x, p):
        return {"a": tj.sin(x) * p["k"], "b": x.sum() ** 2}

    x, p = tj.tensor([0.3, -1.0]), {"k": tj.tensor(2.0)}
    value, push = tj.func.linearize(f, x, p)
    np.testing.assert_allclose(value["a"], np.sin(x) * 2, rtol=1e-15)
    for v, k in ([1.0, 0.0], 0.5), ([-0.2, 3.0], -1.0):
        found = push(tj.tensor(v), {"k": tj.tensor(k)})
        np.testing.assert_allclose(found["a"], np.cos(x) * np.array(v) * 2 + np.sin(x) * k, rtol=1e-14)
        np.testing.assert_allclose(found["b"], 2 * float(x.sum()) * sum(v), rtol=1e-14)


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_a_chain_in_segments(segments):
    tj.manual_seed(3)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    x = tj.randn(6, 3, requires_grad=True)
    results = []
    for run in net, lambda x: tj.utils.checkpoint.checkpoint_sequential(net, segments, x, use_reentrant=False):
        tj.manual_seed(4)  # the same units are dropped
        y = run(x).sum()
        results.append([y, *tj.autograd.grad(y, [x, *net.parameters()])])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a.detach(), b.detach())


def test_a_chain_has_no_more_segments_than_functions():
    with pytest.raises(ValueError, match="2 functions cannot be cut into 3 segments"):
        tj.utils.checkpoint.checkpoint_sequential([tj.sin, tj.cos], 3, tj.ones(2))
