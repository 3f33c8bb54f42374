"""Results of replayed functions that can be differentiated further: they read, or are called with, what requires gradients."""

import warnings

import numpy as np
import pytest

import tapejit as tj
from tapejit.replay import histories


def network():
    tj.manual_seed(3)
    return tj.nn.Sequential(tj.nn.Linear(4, 6), tj.nn.Tanh(), tj.nn.Linear(6, 2))


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return tj.tensor(rng.normal(size=(5, 4))), tj.tensor(rng.normal(size=(5, 2)))


def gradients(loss, tensors):
    for t in tensors:
        t.grad = None
    loss.backward()
    return [t.grad.numpy().copy() for t in tensors]


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def of_loss(net, compile="now"):
    def loss(x, y):
        return tj.nn.functional.mse_loss(net(x), y)

    return loss, tj.jit(loss, compile=compile)


def test_a_loss_leads_back_to_the_parameters_that_it_read():
    net = network()
    loss, step = of_loss(net)
    parameters = list(net.parameters())
    for k in range(4):
        x, y = batch(k)
        assert step(x, y).item() == pytest.approx(loss(x, y).item(), rel=1e-13)
        same(gradients(step(x, y), parameters), gradients(loss(x, y), parameters))
    assert step.calls["eager"] == 0
    assert step.compiled


def test_training_goes_as_it_does_eagerly():
    ends = []
    for wrapped in (False, True):
        net = network()
        loss, step = of_loss(net)
        optimizer = tj.optim.Adam(net.parameters(), lr=0.05)
        for k in range(20):
            optimizer.zero_grad()
            (step if wrapped else loss)(*batch(k)).backward()
            optimizer.step()
        ends.append([p.detach().numpy().copy() for p in net.parameters()])
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_a_model_s_output_leads_back_through_what_follows():
    net = network()
    compiled = tj.jit(net, compile="now")
    x, y = batch()
    for seed in range(3):
        x, y = batch(seed)
        found = gradients(((compiled(x) - y) ** 3).sum(), list(net.parameters()))
        same(found, gradients(((net(x) - y) ** 3).sum(), list(net.parameters())))


def test_arguments_and_captured_tensors_at_once():
    w = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    a = tj.tensor([0.5, -1.0, 2.0], requires_grad=True)

    def f(x, y):
        return {"both": tj.sin(x * w), "one": x.sum() * y, "none": (y * 2).detach(), "count": 3}

    g = tj.jit(f, compile="now")
    y = tj.tensor(2.0)
    for _ in range(3):
        kinds = []
        for function in (f, g):
            r = function(a, y)
            assert r["count"] == 3
            assert not r["none"].requires_grad
            kinds.append(gradients((r["both"] ** 2).sum() + r["one"], [a, w]))
        same(kinds[1], kinds[0])


def test_derivatives_of_derivatives():
    w = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for f in (lambda x: (tj.exp(x * w) * w).sum(), lambda x: tj.exp(x * w) * w):
        g = tj.jit(f, compile="now")
        x = tj.tensor([0.1, 0.2, 0.3])
        for _ in range(2):
            seconds = []
            for function in (f, g):
                (first,) = tj.autograd.grad((function(x) ** 2).sum(), w, create_graph=True)
                (second,) = tj.autograd.grad((first**2).sum(), w)
                seconds.append(second.numpy())
            np.testing.assert_allclose(seconds[1], seconds[0], rtol=1e-12)


def test_a_graph_can_be_kept_and_is_gone_otherwise():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    g = tj.jit(lambda x: (x * w * w).sum(), compile="now")
    r = g(np.ones(2))
    r.backward(retain_graph=True)
    r.backward()
    np.testing.assert_allclose(w.grad.numpy(), 4 * w.detach().numpy())
    with pytest.raises(RuntimeError, match=r"second time|freed"):
        r.backward()


def test_what_was_changed_in_between_is_refused():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    data = np.array([1.0, 2.0])
    g = tj.jit(lambda x: x * w * w, compile="now")
    r = g(data)
    with tj.no_grad():
        w.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        r.sum().backward()
    r = g(data)
    data[0] = 7.0
    with pytest.raises(RuntimeError, match="has changed since"):
        r.sum().backward()


def test_nothing_has_a_history_under_no_grad():
    net = network()
    step = of_loss(net)[1]
    x, y = batch()
    for _ in range(2):
        with tj.no_grad():
            assert not step(x, y).requires_grad
        assert step(x, y).requires_grad


@pytest.mark.parametrize("policy", ["now", "auto"])
@pytest.mark.parametrize("argument", [np.ones(3), tj.ones(3)], ids=["array", "tensor"])
def test_a_captured_tensor_begins_to_require_a_gradient(policy, argument):
    w, v = tj.ones(3), tj.tensor([2.0, 3.0, 4.0], requires_grad=True)
    g = tj.jit(lambda x: (x * w).sum(), compile=policy)
    for _ in range(4):
        assert float(g(argument)) == 3.0
    g.wait()
    g(argument), g(argument)
    w.requires_grad_()
    g(argument).backward()
    np.testing.assert_array_equal(w.grad.numpy(), 1.0)
    w.requires_grad_(False)
    assert not isinstance(g(argument), tj.Tensor) or not g(argument).requires_grad
    w.mul_(v)
    g(argument).backward()
    np.testing.assert_array_equal(v.grad.numpy(), 1.0)
    w.detach_()
    assert float(g(argument)) == 9.0
    assert not getattr(g(argument), "requires_grad", False)


def test_a_frozen_parameter_gets_no_gradient():
    net = network()
    loss, step = of_loss(net)
    x, y = batch()
    step(x, y).backward()
    net[0].weight.requires_grad_(False)
    net.zero_grad()
    step(x, y).backward()
    assert net[0].weight.grad is None
    rest = [p for p in net.parameters() if p.requires_grad]
    same(gradients(step(x, y), rest), gradients(loss(x, y), rest))


def test_decisions_lead_to_their_paths():
    w = tj.tensor([1.0, 2.0], requires_grad=True)

    def f(x):
        y = x * w
        return (y**2).sum() if y.sum() > 0 else (y**3).sum()

    g = tj.jit(f, compile="now")
    for x in (np.array([1.0, 1.0]), np.array([-1.0, -1.0]), np.array([2.0, 1.0])):
        same(gradients(g(x), [w]), gradients(f(x), [w]))


def test_a_gradient_of_a_function_that_reads_parameters_can_be_differentiated():
    net = network()
    f = tj.grad(lambda x: (net(x) ** 2).sum(), compile="now")
    expected = tj.func.grad(lambda x: (net(x) ** 2).sum(), compile="never")
    x, _ = batch()
    for _ in range(2):
        same(gradients((f(x) ** 2).sum(), list(net.parameters())), gradients((expected(x) ** 2).sum(), list(net.parameters())))


def test_random_numbers_and_buffers_stay_eager():
    net = tj.nn.Sequential(tj.nn.Linear(4, 4), tj.nn.Dropout(0.5), tj.nn.BatchNorm1d(4))
    step = tj.jit(lambda x: (net(x) ** 2).sum(), compile="now")
    x, _ = batch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [step(x) for _ in range(4)]
    assert len({r.item() for r in found}) > 1
    found[-1].backward()
    assert net[0].weight.grad is not None


def test_short_calls_stay_eager_and_long_ones_do_not(monkeypatch):
    net = network()
    step = of_loss(net, "auto")[1]
    for limit, eager in ((1e9, True), (0.0, False)):
        monkeypatch.setattr(histories, "WORTH", limit)
        for k in range(6):
            step(*batch(k)).backward()
        step.wait()
        before = step.calls["eager"]
        step(*batch()).backward()
        assert (step.calls["eager"] > before) is eager


def test_methods_and_names():
    class Model:
        def __init__(self):
            self.w = tj.tensor([1.0, 2.0], requires_grad=True)

        @tj.jit
        def loss(self, x, *, scale=1.0):
            return (x * self.w**2).sum() * scale

    one, other = Model(), Model()
    for model, scale in ((one, 2.0), (other, 3.0), (one, 2.0)):
        found = gradients(model.loss(np.ones(2), scale=scale), [model.w])
        np.testing.assert_allclose(found[0], 2 * scale * model.w.detach().numpy())


def test_tensors_that_are_or_come_from_one_another():
    """Derivatives of all orders are eager's: one tensor twice, an argument that is captured too, or came from what is."""
    w = tj.tensor([0.5, -1.5], requires_grad=True)

    def square(a, b):
        return (a**2 * b).sum()

    def captured(a):
        return (a**2 * w).sum()

    def step(h):
        return tj.tanh(h * w) + h**2

    cases = [
        (square, lambda f: f(w, w)),
        (square, lambda f: f(w, 2.0 * w)),
        (captured, lambda f: f(w)),
        (captured, lambda f: f(3.0 * w)),
        (step, lambda f: (step_of(f, 3) ** 2).sum()),
    ]

    def step_of(f, count):
        h = tj.ones(2)
        for _ in range(count):
            h = f(h)
        return h

    for function, use in cases:
        found = []
        for f in (function, tj.jit(function, compile="now")):
            for _ in range(2):
                (first,) = tj.autograd.grad(use(f), w, create_graph=True)
                (second,) = tj.autograd.grad((first**2).sum(), w, create_graph=True)
                (third,) = tj.autograd.grad((second * w).sum(), w)
            (plain,) = tj.autograd.grad(use(f), w)
            found.append([t.detach().numpy() for t in (plain, first, second, third)])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-11)
