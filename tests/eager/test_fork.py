"""A forked child computes what its parent would, whichever thread forked and whatever the others were doing."""

import os
import sys
import threading
import time

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import tape

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

replayed = tj.value_and_grad(lambda x: (x * x).sum())


@tj.nopython.value_and_grad
def native(x):
    s = 0.0
    for i in range(len(x)):
        s += x[i] * x[i]
    return s


def work():
    """A little of everything; what must come out is known."""
    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for _ in range(3):
        (x * x).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0, 18.0]
    with tj.no_grad():
        x -= 0.5 * x.grad
    assert x.tolist() == [-2.0, -4.0, -6.0]
    for _ in range(4):
        value, gradient = replayed(np.array([1.0, 2.0]))
        assert (value, gradient.tolist()) == (5.0, [2.0, 4.0])
        value, gradient = native(np.array([1.0, 2.0]))
        assert (value, gradient.tolist()) == (5.0, [2.0, 4.0])
    tj.nopython.free_memory()  # reserved per thread; a system that counts reservations would refuse the fork
    tape.current().reclaim()
    assert (tj.exp(tj.zeros(3)) + 1).tolist() == [2.0, 2.0, 2.0]


def forked(function):
    """Whether the function ran to its end in a forked child, in time."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException as e:
            print(repr(e), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


def in_thread(function):
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join(timeout=120)
    return result[0]


@pytest.fixture(scope="module", autouse=True)
def _known():
    work()


def test_fork_from_the_main_thread():
    assert forked(work)


def test_fork_from_a_thread_that_never_used_tapejit():
    assert in_thread(lambda: forked(work))


def test_fork_from_a_thread_with_a_tape():
    def used():
        work()
        return forked(work)

    assert in_thread(used)


def test_a_forked_child_may_fork():
    assert in_thread(lambda: forked(lambda: (work(), in_thread(lambda: forked(work)) or os._exit(2))))


def test_the_child_goes_on_with_the_parents_tensors():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    y = (w * w).sum()

    def use():
        y.backward()
        assert w.grad.tolist() == [2.0, 4.0]
        (w * 3).sum().backward()
        assert w.grad.tolist() == [5.0, 7.0]

    assert forked(use)
    assert in_thread(lambda: forked(use))
    assert w.grad is None


def test_fork_while_other_threads_hold_locks_and_record():
    """The main thread stands inside a recorded function while another one forks."""
    answers = []

    def f(x):
        answers.append(in_thread(lambda: forked(work)))
        return (x * x).sum()

    value, _ = tj.value_and_grad(f)(np.ones(2))
    assert answers == [True]
    assert value == 2.0


def _square(k):
    x = tj.tensor(float(k), requires_grad=True)
    (x * x).backward()
    return x.grad.item()


def test_a_pool_that_forks_its_workers_from_a_thread():
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        assert pool.map_async(_square, range(8), chunksize=1).get(timeout=120) == [2.0 * k for k in range(8)]


@pytest.mark.slow
def test_forks_while_threads_compute():
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            work()

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        assert all(in_thread(lambda: forked(work)) and forked(work) for _ in range(25))
    finally:
        stop.set()
        for t in threads:
            t.join(timeout=60)
