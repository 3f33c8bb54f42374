"""One compiled call for a group of parameters: the same steps as by tensors, whatever the parameters are."""

import threading

import numpy as np
import pytest
from optim_problem import OPTIMISERS, run

import tapejit as tj
from tapejit import optim
from tapejit.optim import grouped

STATED_ONCE = [name for name in OPTIMISERS if not name.startswith("LBFGS")]


@pytest.fixture
def calls(monkeypatch):
    """What the compiled calls answered, and how many tensors each had."""
    seen = []

    def counted(name, rule, dtype, width, tensors, numbers):
        done = together(name, rule, dtype, width, tensors, numbers)
        seen.append((done, len(tensors) // width))
        return done

    together = grouped.update_together
    monkeypatch.setattr(grouped, "update_together", counted)
    return seen


@pytest.mark.parametrize("name", STATED_ONCE)
def test_compiled_and_by_tensors(name, monkeypatch, calls):
    compiled, _ = run(tj, name, steps=60)
    assert all(done for done, _ in calls)
    monkeypatch.setattr(grouped, "update_together", lambda *args: False)
    plain, _ = run(tj, name, steps=60)
    np.testing.assert_allclose(compiled, plain, rtol=1e-12, atol=1e-13)


def parameters(shapes, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    found = [tj.tensor(rng.normal(size=shape).astype(dtype), requires_grad=True) for shape in shapes]
    for p in found:
        p.grad = tj.tensor(rng.normal(size=p.shape).astype(dtype))
    return found


@pytest.mark.parametrize("make", [optim.Adam, lambda p: optim.SGD(p, momentum=0.9)])
def test_a_group_is_one_call(make, calls):
    shapes = [(3,), (2, 4), (), (5, 1), (0,)] * 4
    ps = parameters(shapes)
    old = [p.detach().clone() for p in ps]
    o = make(ps)
    for _ in range(3):
        o.step()
    assert calls == [(True, len(ps))] * 3
    for p, before in zip(ps, old, strict=True):
        alone = before.clone().requires_grad_()
        alone.grad = p.grad
        one = make([alone])
        for _ in range(3):
            one.step()
        assert p.tolist() == alone.tolist()


def test_mixed_dtypes_and_missing_gradients(calls):
    double, single = parameters([(3,), (2,)]), parameters([(4,)], np.float32)
    double[1].grad = None
    o = optim.Adam([*double, *single], lr=0.1)
    kept = double[1].tolist()
    o.step()
    assert sorted(calls) == [(True, 1), (True, 1)]
    assert double[1].tolist() == kept
    assert double[1] not in o.state
    assert single[0].dtype is o.state[single[0]]["exp_avg"].dtype is tj.float32
    double[1].grad = tj.ones(2)  # its first step is the others' second
    o.step()
    np.testing.assert_allclose(double[1].numpy(force=True), np.array(kept) - 0.1, rtol=1e-6)
    assert [o.state[p]["step"] for p in double] == [2, 1]


def test_tensors_that_the_kernel_does_not_take(calls):
    array = np.arange(6.0).reshape(2, 3)
    theirs = tj.from_numpy(array).requires_grad_()
    turned = tj.arange(6.0).reshape(2, 3).T.requires_grad_()
    plain = tj.arange(6.0).reshape(3, 2).requires_grad_()
    reference = [tj.tensor(p.tolist(), requires_grad=True) for p in (theirs, turned, plain)]
    for ps in ([theirs, turned, plain], reference):
        for p in ps:
            p.grad = tj.ones_like(p)
        o = optim.SGD(ps, lr=0.5, momentum=0.9)
        o.step()
        o.step()
    assert [done for done, _ in calls] == [False, False, True, True]
    for p, r in zip((theirs, turned, plain), reference, strict=True):
        np.testing.assert_allclose(p.tolist(), r.tolist(), rtol=1e-15)
    assert array.tolist() == theirs.tolist()


def test_in_another_thread():
    ps = parameters([(3,), (2, 2)])
    others = [p.detach().clone().requires_grad_() for p in ps]
    for p, other in zip(ps, others, strict=True):
        other.grad = p.grad.clone()
    o = optim.Adam(ps, lr=0.1)
    thread = threading.Thread(target=lambda: [o.step() for _ in range(3)])
    thread.start()
    thread.join()
    here = optim.Adam(others, lr=0.1)
    for _ in range(3):
        here.step()
    for p, other in zip(ps, others, strict=True):
        np.testing.assert_allclose(p.tolist(), other.tolist(), rtol=1e-13)


def test_a_saved_value_that_a_step_changes_is_noticed():
    (w,) = parameters([(3,)])
    loss = (w * w).sum()
    version = w._version
    optim.SGD([w], lr=0.1).step()
    assert w._version == version + 1
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        loss.backward()


def test_schedules_and_new_groups_make_no_new_kernels(calls, monkeypatch):
    (w,) = parameters([(3,)])
    o = optim.Adam([w], lr=0.1)
    o.step()
    schedule = optim.lr_scheduler.ExponentialLR(o, 0.5)
    monkeypatch.setattr("tapejit.kernels.stepping._write", None)
    for _ in range(4):
        o.step()
        schedule.step()
    (c,) = parameters([(2, 2)], seed=1)
    o.add_param_group({"params": [c], "lr": 0.01, "betas": (0.5, 0.9)})
    o.step()
    assert [done for done, _ in calls] == [True] * 7


def test_what_a_step_leaves_alone():
    ps = parameters([(3,), (2, 2)])
    places = [p.data_ptr() for p in ps]
    o = optim.AdamW(ps)
    o.step()
    moments = [o.state[p]["exp_avg"] for p in ps]
    kept = [p.grad.tolist() for p in ps]
    o.step()
    assert [p.data_ptr() for p in ps] == places
    assert [o.state[p]["exp_avg"] for p in ps] == moments
    assert [p.grad.tolist() for p in ps] == kept
    assert all(p.is_leaf and p.requires_grad and not m.requires_grad for p, m in zip(ps, moments, strict=True))


def test_ways_of_pytorch_are_taken():
    (w,) = parameters([(3,)])
    for ways in ({"foreach": True}, {"fused": True}, {"foreach": False, "fused": None}):
        optim.SGD([w], **ways).step()
    optim.NAdam([w], foreach=True, capturable=False).step()
    with pytest.raises(RuntimeError, match="cannot be `True` together"):
        optim.Adam([w], foreach=True, fused=True)
    with pytest.raises(ValueError, match="differentiable"):
        optim.Adam([w], differentiable=True)
    with pytest.raises(TypeError, match="fusd"):
        optim.Adam([w], fusd=True)


def test_an_optimiser_of_ones_own():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr, "maximize": True})

        def update(self, p, g, state, group):
            state["steps"] = state.get("steps", 0) + 1
            p -= group["lr"] * g.sign()

    w = tj.zeros(3, requires_grad=True)
    w.grad = tj.tensor([1.0, -2.0, 0.0])
    o = Signs([w], lr=0.5)
    o.step()
    assert w.tolist() == [0.5, -0.5, 0.0]
    assert o.state[w] == {"steps": 1}


def test_steps_inside_a_recorded_function():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    o = optim.Adam([w], lr=0.1)

    @tj.jit
    def step(x):
        o.zero_grad()
        loss = ((w - x) ** 2).sum()
        loss.backward()
        o.step()
        return loss

    x = tj.zeros(2)
    losses = [step(x).item() for _ in range(6)]
    other = tj.tensor([1.0, 2.0], requires_grad=True)
    o = optim.Adam([other], lr=0.1)
    for expected in losses:
        o.zero_grad()
        loss = (other**2).sum()
        assert loss.item() == pytest.approx(expected, rel=1e-13)
        loss.backward()
        o.step()


def test_counts_that_are_tensors_and_missing_buffers():
    """What a state dict made from PyTorch's holds."""
    ps = parameters([(3,)])
    o = optim.Adam(ps, lr=0.1)
    o.step()
    saved = o.state_dict()
    saved["state"][0]["step"] = tj.tensor(1.0)
    again = [ps[0].detach().clone().requires_grad_()]
    again[0].grad = ps[0].grad
    other = optim.Adam(again, lr=tj.tensor(0.1))
    other.load_state_dict(saved)
    for optimiser in (o, other):
        optimiser.step()
    assert again[0].tolist() == ps[0].tolist()
    momentum = optim.SGD(ps, momentum=0.9)
    momentum.load_state_dict({**momentum.state_dict(), "state": {0: {"momentum_buffer": None}}})
    momentum.step()
    assert momentum.state[ps[0]]["momentum_buffer"].tolist() == ps[0].grad.tolist()
