"""Threads: each has a tape of its own; constants cross over, graphs do not."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import tape


def in_thread(function, *args):
    """The result of a function run in a new thread, or its exception raised here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result(timeout=60)


def train(seed, steps=300):
    """Least squares by gradient descent; the last weights and loss."""
    rng = np.random.default_rng(seed)
    x, w = tj.tensor(rng.normal(size=(8, 3))), tj.tensor(rng.normal(size=3), requires_grad=True)
    y = tj.tensor(rng.normal(size=8))
    for _ in range(steps):
        loss = ((tj.tanh(x @ w) - y) ** 2).mean()
        loss.backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    return w.tolist(), loss.item()


def test_threads_compute_what_one_thread_does():
    expected = [train(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(train, range(8)))
    assert found == expected


def test_many_threads_at_the_same_moment():
    barrier = threading.Barrier(6)

    def work(seed):
        barrier.wait(timeout=60)
        out = []
        for i in range(40):
            x = tj.tensor([seed + 1.0, i + 1.0], requires_grad=True)
            (tj.sin(x) * x).sum().backward()
            out.append(x.grad.tolist())
            if i % 7 == seed:
                tape.current().reclaim()
        return out

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(work, range(6)))
    for seed, rows in enumerate(found):
        for i, row in enumerate(rows):
            a = np.array([seed + 1.0, i + 1.0])
            np.testing.assert_allclose(row, np.cos(a) * a + np.sin(a), rtol=1e-14)


def test_each_thread_has_its_tape_and_a_finished_one_leaves_it_to_the_next():
    numbers = [in_thread(lambda: tape.current().number) for _ in range(20)]
    assert tape.main.number not in numbers
    assert len(set(numbers)) <= 2


def test_endless_threads_reuse_tapes():
    before = len(tape.tapes)
    for seed in range(30):
        in_thread(train, seed, 2)
    assert len(tape.tapes) <= before + 2


def test_a_constant_from_another_thread():
    x = tj.tensor([1.0, 2.0, 3.0])
    matrix = tj.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

    def work():
        w = tj.ones(3, requires_grad=True)
        (w * x).sum().backward()
        first = w.grad.tolist()
        (matrix.T[1] @ (matrix @ (w * 2 + x))).backward()
        return first, w.grad.tolist(), (x + 1).tolist(), x[1:].tolist(), tj.exp(x).sum().item()

    first, second, plus, view, total = in_thread(work)
    assert first == [1.0, 2.0, 3.0]
    assert second == [1.0 + 44.0, 2.0 + 58.0, 3.0 + 72.0]
    assert plus == [2.0, 3.0, 4.0]
    assert view == [2.0, 3.0]
    np.testing.assert_allclose(total, np.exp([1, 2, 3]).sum())
    assert x.tolist() == [1.0, 2.0, 3.0]


def test_a_detached_or_no_grad_tensor_from_another_thread():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    y = w * 3
    with tj.no_grad():
        z = w * 5

    def work():
        v = tj.ones(2, requires_grad=True)
        (v * y.detach() * z).sum().backward()
        return v.grad.tolist()

    assert in_thread(work) == [15.0, 60.0]
    y.sum().backward()  # the graph of this thread is untouched
    assert w.grad.tolist() == [3.0, 3.0]


def test_a_constant_outlives_its_tensor_in_the_other_thread():
    def make():
        return tj.tensor(np.arange(1_000.0)) * 2

    x = in_thread(make)
    w = tj.ones(1_000, requires_grad=True)
    out = (w * x).sum()
    del x
    tape.main.reclaim()
    in_thread(train, 0, 50)  # the tape that x was on is used again
    out.backward()
    np.testing.assert_array_equal(w.grad.numpy(), 2 * np.arange(1_000.0))


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x * 2,
        lambda x: x * x,
        lambda x: 1 - x,
        lambda x: x @ x,
        lambda x: x.sum(),
        lambda x: x[1:],
        lambda x: x.reshape(2, 1),
        lambda x: tj.tanh(x),
        lambda x: tj.cat((x, x)),
        lambda x: x.clone(),
        lambda x: tj.where(x > 0, x, x),
    ],
)
@pytest.mark.parametrize("make", [lambda w: w, lambda w: w * 3], ids=["leaf", "computed"])
def test_a_graph_stays_in_its_thread(use, make):
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    x = make(w)
    with pytest.raises(RuntimeError, match="thread"):
        in_thread(use, x)
    use(x).sum().backward()  # and is as it was
    assert w.grad is not None


def test_under_no_grad_a_leaf_may_be_read_anywhere():
    w = tj.tensor([1.0, 2.0], requires_grad=True)

    def work():
        with tj.no_grad():
            return (w * 2).tolist(), w.sum().item()

    assert in_thread(work) == ([2.0, 4.0], 3.0)


def test_backward_may_be_called_from_a_thread_that_the_graphs_own_waits_for():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    y = (w * w).sum()
    in_thread(lambda: y.backward(retain_graph=True))
    assert w.grad.tolist() == [2.0, 4.0]
    (g,) = in_thread(lambda: tj.autograd.grad(y, w, retain_graph=True))
    assert g.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="thread"):  # its records would be of two tapes
        in_thread(lambda: tj.autograd.grad(y, w, create_graph=True))
    y.backward()
    assert w.grad.tolist() == [4.0, 8.0]


def test_grad_mode_belongs_to_the_thread():
    with tj.no_grad():
        assert in_thread(tj.is_grad_enabled)
        assert not tj.is_grad_enabled()

    def leave_it_off():
        tj.set_grad_enabled(False)

    in_thread(leave_it_off)
    assert tj.is_grad_enabled()
    assert in_thread(tj.is_grad_enabled)


def test_values_may_be_read_and_printed_in_any_thread():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    assert in_thread(lambda: (y.tolist(), float(y.tolist()[0] + y.tolist()[1]), repr(y), y.shape)) == (
        [2.0, 4.0],
        6.0,
        repr(y),
        (2,),
    )


@pytest.fixture
def restless():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_a_shared_constant_while_its_own_thread_reclaims():
    """The records of one thread move while another thread reads a tensor of it."""
    stop = threading.Event()
    first = [tj.tensor(float(i)) for i in range(1_500)]
    x = tj.tensor([0.0, 1.0, 2.0, 3.0])
    others = [tj.tensor([9.0, 9.0, 9.0, float(i)]) for i in range(1_500)]
    wrong = []

    def read():
        w = tj.ones(4, requires_grad=True)
        while not stop.is_set() and not wrong:
            (w * x).sum().backward()
            if x.tolist() != [0.0, 1.0, 2.0, 3.0] or w.grad.tolist() != [0.0, 1.0, 2.0, 3.0]:
                wrong.append((x.tolist(), w.grad.tolist()))
            w.grad = None

    reader = threading.Thread(target=read)
    reader.start()
    try:
        while first and not wrong:
            del first[-10:]
            tape.main.reclaim()
    finally:
        stop.set()
        reader.join(timeout=60)
    assert not wrong
    assert len(others) == 1_500
