"""Reclaiming at whatever moment: what is alive stays right, what is not is given back."""

import random

import numpy as np
import pytest
from heaps import check_heap, reclaim, scribble

import tapejit as tj
from tapejit.core import record as R
from tapejit.core import tape

# --- reclaim in the middle ----------------------------------------------------------------------------------------------


def test_reclaim_between_forward_and_backward():
    x = tj.tensor([0.3, 0.7], requires_grad=True)
    y = tj.sin(x * x).exp().sum()
    reclaim()
    scribble()
    y.backward()
    a = np.array([0.3, 0.7])
    np.testing.assert_allclose(x.grad.numpy(), np.exp(np.sin(a * a)) * np.cos(a * a) * 2 * a, rtol=1e-13)


def test_reclaim_with_retained_graphs_and_several_alive():
    x = tj.tensor([0.3, 0.7], requires_grad=True)
    shared = x.exp()
    first, second = (shared * x).sum(), (shared * shared).sum()
    reclaim()
    first.backward(retain_graph=True)
    scribble()
    second.backward(retain_graph=True)
    del shared
    scribble()
    first.backward()
    a = np.array([0.3, 0.7])
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(a) * (1 + a) + 2 * np.exp(2 * a), rtol=1e-13)
    with pytest.raises(RuntimeError, match="retain_graph"):
        second.backward()


WAYS = {
    "grad": lambda y, x: tj.autograd.grad(y, x),
    "allow_unused": lambda y, x: tj.autograd.grad(y, x, allow_unused=True),
    "create_graph": lambda y, x: tj.autograd.grad(y, x, create_graph=True),
    "backward": lambda y, x: [y.backward(inputs=[x]), x.grad][1:],
}


@pytest.mark.parametrize("reclaims", [0, 1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_a_freed_part_counts_where_it_leads_to_an_input(way, reclaims):
    x = tj.tensor([0.3, 0.7], requires_grad=True)
    w = tj.tensor([1.0, 1.0], requires_grad=True)
    h = tj.tanh(x)
    h.sum().backward()
    only, both, other = (h * h).sum(), (h * h).sum() + (x * 2).sum(), (h * w).sum()
    for _ in range(reclaims):
        tape.main.reclaim()
    for y in (only, both):
        with pytest.raises(RuntimeError, match="retain_graph"):
            WAYS[way](y, x)
    with pytest.raises(RuntimeError, match="retain_graph"):  # a limit: PyTorch knows that it does not lead to w
        WAYS[way](other, w)


def test_reclaim_keeps_what_backward_did_not_reach():
    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * x
    (x * y.detach()).sum().backward()
    scribble()
    assert x.grad.tolist() == [1.0, 4.0, 9.0]
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_reclaim_before_a_second_derivative():
    x = tj.tensor([0.3, 0.7], requires_grad=True)
    (g,) = tj.autograd.grad((x**3).sum(), x, create_graph=True)
    scribble()
    g.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * np.array([0.3, 0.7]), rtol=1e-14)


def test_reclaim_keeps_the_memory_of_in_place_changes():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    view = y[1:]
    y.add_(1.0)
    y[0] = 5.0
    scribble()
    assert view.tolist() == [7.0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 3.0]
    z = x * 2
    saved = z.exp()
    z += 1.0  # exp saved its result, not z
    scribble()
    x.grad = None
    saved.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([2.0, 4.0]))


def test_an_error_about_a_changed_value_survives_a_reclaim():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    z = y * y
    y.add_(1.0)
    scribble()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_gradients_and_retained_ones_survive_a_reclaim():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.retain_grad()
    scribble()
    (y * y).sum().backward()
    scribble()
    assert x.grad.tolist() == [18.0, 36.0]
    assert y.grad.tolist() == [6.0, 12.0]
    (x * 2).sum().backward()  # into the gradient that is there
    assert x.grad.tolist() == [20.0, 38.0]


@pytest.fixture
def full_tape():
    """Leaves room for so many records; what a reclaim would free comes first, if anything."""

    def fill(room, reclaimable):
        tape.main.reclaim()
        tape.main._grow(max(tape.CAPACITY, 8 * len(tape.main)))
        junk = [tj.tensor(0.0) for _ in range(3 * len(tape.main))] if reclaimable else []
        tape.main.header[R.H_CAPACITY] = tape.main.header[R.H_ROOM] = len(tape.main) + room
        del junk

    yield fill
    tape.main._grow(max(tape.CAPACITY, 2 * len(tape.main)))


@pytest.mark.parametrize("reclaimable", [True, False], ids=["reclaims", "grows"])
@pytest.mark.parametrize("room", [*range(12), 15, 20, 25, 30])
def test_every_kind_of_call_on_a_full_tape(full_tape, room, reclaimable):
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    w = tj.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)

    def fill():
        full_tape(room, reclaimable)

    def check(function, expected):
        fill()
        np.testing.assert_allclose(function().detach().numpy(), expected, rtol=1e-13)

    check(lambda: x * x, [1.0, 4.0])
    check(lambda: x + 1, [2.0, 3.0])
    check(lambda: 1 - x, [0.0, -1.0])
    check(lambda: tj.square(x), [1.0, 4.0])
    check(lambda: x * w, [[1.0, 4.0], [3.0, 8.0]])
    check(lambda: w @ x, [5.0, 11.0])
    check(lambda: w.T, [[1.0, 3.0], [2.0, 4.0]])
    check(lambda: w[1], [3.0, 4.0])
    check(lambda: w[tj.tensor([1, 0])], [[3.0, 4.0], [1.0, 2.0]])
    check(lambda: tj.cat((x, x)), [1.0, 2.0, 1.0, 2.0])
    check(lambda: tj.zeros(2), [0.0, 0.0])
    check(lambda: tj.tensor(2.0), 2.0)
    check(lambda: x.var(), 0.5)
    check(lambda: tj.autograd.grad((x * x).sum(), x)[0], [2.0, 4.0])
    check(lambda: tj.autograd.grad((x * x).sum(), x, create_graph=True)[0], [2.0, 4.0])
    check(lambda: tj.autograd.grad(((w @ x) ** 2).sum(), (x, w), create_graph=True)[0], [76.0, 108.0])
    for options in ({}, {"create_graph": True}):
        fill()
        y, steps = x, []
        for _ in range(6):
            y = y * 2.0
            steps.append(y)
        out = y.sum()
        fill()
        found = tj.autograd.grad(out, steps, **options)
        assert [g.tolist() for g in found] == [[2.0**k] * 2 for k in (5, 4, 3, 2, 1, 0)]
    y = x * 1
    fill()
    y += x
    fill()
    y[0] = x[1]
    fill()
    (y * w).sum().backward()
    assert x.grad.tolist() == [0.0, 16.0]
    assert w.grad.tolist() == [[2.0, 4.0], [2.0, 4.0]]


@pytest.mark.parametrize("reclaimable", [True, False], ids=["reclaims", "grows"])
@pytest.mark.parametrize("room", range(40))
def test_a_second_derivative_on_a_full_tape(full_tape, room, reclaimable):
    """Records move while their rules are being run."""

    def f(x, w):
        y = x * 1
        y[1:] = w[0, :1]
        return (tj.cat((y, w[1] @ w)) * tj.tensor([1.0, 2.0, 0.3, 0.4])).exp().sum()

    x = tj.tensor([0.1, 0.2], requires_grad=True)
    w = tj.tensor([[0.3, 0.4], [0.5, 0.6]], requires_grad=True)
    expected = tj.autograd.grad(f(x, w), (x, w))
    out = f(x, w)
    full_tape(room, reclaimable)
    for g, e in zip(tj.autograd.grad(out, (x, w), create_graph=True), expected, strict=True):
        np.testing.assert_allclose(g.detach().numpy(), e.numpy(), rtol=1e-13)


# --- random programs ----------------------------------------------------------------------------------------------------


class Program:
    """A random program over a few tensors; the same seed gives the same program, with or without reclaims."""

    def __init__(self, seed, reclaims):
        self.choice = random.Random(seed)
        self.moment = random.Random(seed + 1) if reclaims else None
        self.leaves = [tj.tensor([0.3, -0.7, 1.1, 0.4], requires_grad=True), tj.tensor(0.9, requires_grad=True)]
        self.constant = tj.tensor([1.0, 2.0, -1.0, 0.5])
        self.alive = list(self.leaves)
        self.results = []

    def pick(self):
        return self.choice.choice(self.alive)

    def step(self):
        x, y = self.pick(), self.pick()
        action = self.choice.randrange(16)
        if action < 5:
            out = (x + y, x * y, x - 0.5 * y, tj.tanh(x), tj.maximum(x, y))[action]
        elif action == 5:
            out = tj.sin(x).sum()
        elif action == 6:
            out = x.reshape(-1)[:1] * y
        elif action == 7:
            out = tj.cat((x.reshape(-1), y.reshape(-1), self.constant))[:4]
        elif action == 8:
            out = x.detach() * y
        elif action == 9:
            out = x.expand(2, *x.shape).mean(0)
        elif action == 10:
            out = x * self.constant[1:3].sum()
        elif action == 11:
            out = x.exp().log_softmax(0) if x.ndim else x.sigmoid()
        elif action == 12:
            out = tj.tanh(x * 1.0)
            out.mul_(0.5)
        elif action == 13:
            out = x.clone()
            out.reshape(-1)[0] = 0.25 if self.choice.random() < 0.5 else y.sum()
        else:
            return self.drop() if action == 14 else self.differentiate()
        self.alive.append(tj.tanh(out))
        return None

    def drop(self):
        if len(self.alive) > 4:
            self.alive.pop(self.choice.randrange(2, len(self.alive)))

    def differentiate(self):
        y = self.pick()
        total = y.sum()
        retain = self.choice.random() < 0.7
        way = self.choice.randrange(3)
        try:
            if way == 0:
                total.backward(retain_graph=retain)
                self.results.append([None if x.grad is None else x.grad.tolist() for x in self.leaves])
            elif way == 1:
                found = tj.autograd.grad(total, self.leaves, retain_graph=retain, allow_unused=True)
                self.results.append([None if g is None else g.tolist() for g in found])
            else:
                (g, _) = tj.autograd.grad(total, self.leaves, create_graph=True, allow_unused=True)
                if g is not None:
                    self.alive.append(tj.tanh(g))
        except RuntimeError as error:
            self.results.append(str(error).split(" (")[0])

    def run(self, steps):
        for _ in range(steps):
            self.step()
            if len(self.alive) > 24:
                self.alive = self.leaves + self.alive[-10:]
            if self.moment is not None and self.moment.random() < 0.3:
                tape.main.reclaim()
                check_heap()
                if self.moment.random() < 0.1:
                    scribble()
        self.results.append([t.tolist() for t in self.alive])
        return self.results


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_with_and_without_reclaims(seed):
    assert Program(seed, reclaims=True).run(80) == Program(seed, reclaims=False).run(80)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_200))
def test_many_random_programs(seed):
    assert Program(seed, reclaims=True).run(150) == Program(seed, reclaims=False).run(150)


@pytest.mark.parametrize("missing", [1, 2])
def test_an_interrupt_between_record_and_handle_does_no_harm(missing):
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    kept = x * 2
    for _ in range(missing):
        _ = kept + 1.0
    count = len(tape.main)
    tape.main.handles[count - missing : count] = [None] * missing  # as if Ctrl-C had come before the handles were noted
    y = kept * x
    z = (y * kept).sum()
    z.backward(retain_graph=True)
    assert x.grad.tolist() == [12.0, 48.0]
    tape.main.reclaim()
    check_heap()
    (g,) = tj.autograd.grad(z, x, create_graph=True)
    assert g.tolist() == [12.0, 48.0]
    kept.add_(1.0)
    assert kept.tolist() == [3.0, 5.0]
