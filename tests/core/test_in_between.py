"""Code that Python runs in between and that computes with tensors itself: callbacks of the collector, handlers, tracers."""

import gc
import os
import signal
import sys
import threading
import time

import pytest

import tapejit as tj
from tapejit.core import tape

ENGINE = os.path.dirname(os.path.dirname(tape.__file__)) + os.sep


def kept_tensors(n=60):
    """Tensors with known values, between others that nobody holds."""
    kept = []
    for i in range(n):
        x = tj.tensor([float(i), 1.0], requires_grad=True)
        _ = [tj.ones(2) * i for _ in range(3)]
        kept.append((i, x, x * x))
    return kept


def check(kept):
    for i, x, y in kept:
        assert x.tolist() == [float(i), 1.0]
        assert y.tolist() == [float(i) ** 2, 1.0]
        if y.requires_grad:  # what is computed while a sweep runs a rule has no history
            x.grad = None
            y.sum().backward(retain_graph=True)
            assert x.grad.tolist() == [2.0 * i, 2.0]


def meddle():
    """Operations, dropped and kept, and requests to move records; what is kept, as ``kept_tensors`` gives it."""
    x = tj.ones(2) * 3
    tape.current().reclaim()
    assert (x * 2).tolist() == [6.0, 6.0]
    kept = kept_tensors(3)
    tape.current().reclaim()
    return kept


def arithmetic():
    x = tj.tensor([3.0, 1.0], requires_grad=True)
    y = tj.exp(x) * 2.0 + x / x - 1.0
    z = x.reshape(2, 1) @ tj.ones(1, 2)
    assert z.tolist() == [[3.0, 3.0], [1.0, 1.0]]
    assert (x[1:] + tj.zeros(1)).tolist() == [1.0]
    return y


def in_place():
    x = tj.tensor([3.0, 1.0], requires_grad=True) * 1.0
    x.mul_(2.0)
    x[0] = 5.0
    assert x.tolist() == [5.0, 2.0]


def shared():
    import numpy as np

    a = np.array([1.0, 2.0])
    assert (tj.from_numpy(a) * tj.as_tensor(a)).tolist() == [1.0, 4.0]


def swept():
    x = tj.tensor([3.0, 1.0], requires_grad=True)
    y = x * x
    y.retain_grad()
    y.sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([6.0, 2.0], [1.0, 1.0])
    y = x * x
    y.backward(tj.ones(2))
    assert x.grad.tolist() == [12.0, 4.0]
    (g,) = tj.autograd.grad((x * x * x).sum(), x, create_graph=True)
    (h,) = tj.autograd.grad(g.sum(), x)
    assert (g.tolist(), h.tolist()) == ([27.0, 3.0], [18.0, 6.0])
    a = tj.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
    tj.linalg.eigh(a).eigenvalues.sum().backward()
    assert tj.allclose(a.grad, tj.eye(2))


STEPS = {
    "arithmetic": arithmetic,
    "in place": in_place,
    "shared memory": shared,
    "reclaim": lambda: tape.current().reclaim(),
    "look through": lambda: tape.current()._look_through(),
    "grow": lambda: tape.current()._grow(tape.current().words[tape.R.H_CAPACITY]),
    "swept": swept,
}


def meddled_at(n, function):
    """Run a function, with other work at the n-th line of the package; what that made, None if the line did not come."""
    seen, made = 0, None

    def tracer(frame, event, arg):
        nonlocal seen, made
        if not frame.f_code.co_filename.startswith(ENGINE):
            return None
        if event == "line":
            seen += 1
            if seen == n:
                made = meddle()
        return tracer

    sys.settrace(tracer)
    try:
        function()
    finally:
        sys.settrace(None)
    return made


@pytest.mark.parametrize("step", STEPS)
def test_other_work_at_every_line(step):
    STEPS[step]()
    meddle()
    n, made = 0, []
    while made is not None:
        n += 1 if n < 250 else 37
        kept = kept_tensors(12)
        made = meddled_at(n, STEPS[step])
        check(kept + (made or []))
        tape.current().reclaim()
        check(kept + (made or []))
    assert n > 5


def test_a_callback_of_the_collector_that_computes():
    def callback(phase, info):
        meddle()

    threshold = gc.get_threshold()
    kept = kept_tensors()
    gc.callbacks.append(callback)
    gc.set_threshold(3)
    try:
        for i in range(300):
            x = tj.tensor([float(i), 1.0], requires_grad=True)
            kept[i % 60] = (i, x, x * x)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(callback)
    check(kept)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_a_handler_that_calls_backward():
    """Between a sweep and the moment when its gradients are shown, too."""
    mine, calls, refused = tj.tensor([2.0, 1.0], requires_grad=True), 0, []

    def handler(number, frame):
        nonlocal calls
        try:
            (mine * mine).sum().backward()
            calls += 1
        except RuntimeError as error:
            refused.append(str(error))

    before = signal.signal(signal.SIGALRM, handler)
    end, i = time.monotonic() + 2.0, 0
    try:
        while time.monotonic() < end or calls <= 20:  # the machine may be busy
            i += 1
            if i % 10 == 0:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + (i * 0.618 % 1) * 2e-4)
            x = tj.tensor([float(i), 1.0], requires_grad=True)
            (x * x).sum().backward()
            assert x.grad.tolist() == [2.0 * i, 2.0]
            (g,) = tj.autograd.grad((x * x).sum(), x)
            assert g.tolist() == [2.0 * i, 2.0]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert calls > 20
    assert all("interrupted another backward" in why or "does not require grad" in why for why in refused)
    assert mine.grad.tolist() == [4.0 * calls, 2.0 * calls]
    assert not tape.main.adjoints[: len(tape.main)].any()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
@pytest.mark.parametrize("seconds", [1.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_a_handler_that_computes(seconds):
    mine, calls = tj.tensor([2.0, 1.0], requires_grad=True), 0

    def handler(number, frame):
        nonlocal calls
        calls += 1
        meddle()
        assert (mine * float(number)).tolist() == [2.0 * number, float(number)]

    before = signal.signal(signal.SIGALRM, handler)
    kept, end = kept_tensors(), time.monotonic() + seconds
    try:
        i = 0
        while time.monotonic() < end or calls <= 100:  # the machine may be busy
            i += 1
            if i % 30 == 0:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + (i * 0.618 % 1) * 3e-4)
            x = tj.tensor([float(i), 1.0], requires_grad=True)
            kept[i % 60] = (i, x, x * x)
            assert kept[i * 7 % 60][2].tolist()[0] == float(kept[i * 7 % 60][0]) ** 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert calls > 100
    check(kept)


def test_a_backward_in_another_thread_leaves_the_tensors_of_this_one_alone():
    """A thread may run between the moment when a record is made here and that when its Tensor is."""
    stop, failures = threading.Event(), []

    def work():
        while not stop.is_set():
            try:
                x = tj.tensor([3.0, 1.0], requires_grad=True)
                (x * x).sum().backward()
                assert x.grad.tolist() == [6.0, 2.0]
            except BaseException as error:
                failures.append(error)
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        kept = kept_tensors()
        end, i = time.monotonic() + 2.0, 0
        while time.monotonic() < end and not failures:
            i += 1
            x = tj.tensor([float(i), 1.0])
            kept[i % 60] = (i, x, x * x)
            if i % 100 == 0:
                assert all(x.tolist()[0] == i and y.tolist()[0] == i * i for i, x, y in kept)
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        for t in threads:
            t.join(timeout=60)
    assert not failures
    assert all(x.tolist()[0] == i and y.tolist()[0] == i * i for i, x, y in kept)
