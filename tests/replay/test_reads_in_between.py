"""What Python runs by itself while a function is recorded, at times of its own, is not taken for a part of the function."""

import gc
import signal

import numpy as np
import pytest
from numba import njit
from numba.extending import overload

import tapejit as tj

ticks = 0


def tick():
    global ticks
    ticks += 1


def steps(x):
    for _ in range(40):
        x = x + 0.01 * tj.sin(x)
    return x.sum()


def recorded_once(f):
    """Whether every call of the recorded function after the first replays it."""
    g = tj.value_and_grad(f)
    for _ in range(4):
        g(np.ones(2))
    return (g.calls["recorded"], g.calls["eager"]) == (1, 0)


def test_a_callback_of_the_garbage_collector():
    before, threshold = ticks, gc.get_threshold()

    def callback(phase, info):
        global ticks
        ticks += 1
        tick()

    gc.callbacks.append(callback)
    gc.set_threshold(10, 2, 2)  # collections come at any line
    try:
        assert recorded_once(steps)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(callback)
    assert ticks > before + 2


@pytest.mark.parametrize("raises", [False, True])
def test_a_handler_of_a_signal(raises):
    class Counter:
        seen = 0

        def handle(self, number, frame):
            self.seen += 1
            tick()
            if raises:
                raise KeyboardInterrupt

    scale = [2.0]

    def interrupted(x):
        try:
            signal.raise_signal(signal.SIGUSR1)
            x = 1.0 * x
        except KeyboardInterrupt:
            x = x * 1.0
        return (x * scale[0]).sum()

    counter = Counter()
    before = signal.signal(signal.SIGUSR1, counter.handle)
    try:
        assert recorded_once(interrupted)
        g = tj.grad(interrupted)
        assert [g(np.ones(1)).tolist() for _ in range(3)] == [[2.0]] * 3
        scale[0] = 3.0  # what the function itself reads afterwards is watched as ever
        assert g(np.ones(1)).tolist() == [3.0]
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert counter.seen


def test_a_finalizer():
    class Resource:
        def __del__(self):
            global ticks
            ticks += 1
            tick()

    def using(x):
        Resource()
        return (x * x).sum()

    before = ticks
    assert recorded_once(using)
    assert ticks > before


outside = iter([1.0, 2.0])


def unlike_itself(x):
    raise NotImplementedError


@overload(unlike_itself)
def _typed(x):
    hash(outside)  # as Numba's messages look at the terminal when they are coloured
    return lambda x: x * 3.0


def test_what_a_compiler_reads():
    thrice = njit(lambda x: unlike_itself(x))
    g = tj.grad(lambda x: x * thrice(2.0))
    assert g(1.0) == g(2.0) == 6.0
