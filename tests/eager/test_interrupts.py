"""An interrupt at any line of the tape's own code: afterwards every tensor has its value and history."""

import signal
import sys
import time

import pytest

import tapejit as tj
from tapejit.core import tape
from tapejit.eager import autograd, compiledsweep, tensorsweep, usergraph


class Stop(BaseException):
    pass


def world():
    """Tensors with known values on both sides of garbage, and graphs to be swept."""
    kept = []
    for i in range(60):
        x = tj.tensor([float(i), 1.0], requires_grad=True)
        _ = [tj.ones(2) * i for _ in range(3)]
        kept.append((i, x, x * x))
    return kept


def check(kept):
    for i, x, y in kept:
        assert x.tolist() == [float(i), 1.0]
        assert y.tolist() == [float(i) ** 2, 1.0]
        x.grad = None
        y.sum().backward(retain_graph=True)
        assert x.grad.tolist() == [2.0 * i, 2.0]


def interrupted_at(n, function, *modules):
    """Run a function, raising at the n-th line of some modules (the tape's); whether it came that far."""
    seen, files = 0, {module.__file__ for module in modules or (tape,)}

    def tracer(frame, event, arg):
        nonlocal seen
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            seen += 1
            if seen == n:
                raise Stop
        return tracer

    sys.settrace(tracer)
    try:
        function()
    except Stop:
        return True
    finally:
        sys.settrace(None)
    return seen >= n


def grow():
    t = tape.current()
    t._grow(int(t.header[tape.R.H_CAPACITY]))


STEPS = {"reclaim": lambda: tape.current().reclaim(), "look through": lambda: tape.current()._look_through(), "grow": grow}


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_at_every_line(step):
    check(world())
    tape.current().reclaim()
    n, came = 0, True
    while came:
        n += 1 if n < 90 else 61  # later lines are rounds of the same loop
        kept = world()
        came = interrupted_at(n, STEPS[step])
        assert not tape.current().lock._is_owned()  # else every other thread waits for ever
        check(kept)
        tape.current().reclaim()
        check(kept)
    assert n > 8


def plain(x):
    (x * x).sum().backward()


def retained(x):
    y = x * x
    y.retain_grad()
    y.sum().backward()


def hooked(x):
    handles = [x.register_hook(lambda g: g * 2), x.register_post_accumulate_grad_hook(lambda t: None)]
    try:
        y = x * x
        y.register_hook(lambda g: g / 2)
        y.sum().backward()
    finally:
        for handle in handles:
            handle.remove()


class Square(tj.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]


SWEEPS = {
    "hooks": hooked,
    "function": lambda x: Square.apply(x).sum().backward(),
    "backward": plain,
    "retain_grad": retained,
    "seeded": lambda x: (x * x).backward(tj.ones(2)),
    "inputs": lambda x: (x * x).sum().backward(inputs=[x]),
    "grad": lambda x: tj.autograd.grad((x * x).sum(), x),
    "create_graph": lambda x: (x * x).sum().backward(create_graph=True),
}


@pytest.mark.parametrize("sweep", SWEEPS)
def test_an_interrupt_at_every_line_of_a_sweep(sweep):
    SWEEPS[sweep](tj.ones(2, requires_grad=True))
    n, came = 0, True
    while came:
        n += 1
        x = tj.tensor([3.0, 1.0], requires_grad=True)
        came = interrupted_at(n, lambda x=x: SWEEPS[sweep](x), autograd, compiledsweep, tensorsweep, usergraph)
        assert not tape.main.adjoints[: len(tape.main)].any()
        before = 0.0 if x.grad is None else x.grad.detach().tolist()[0]
        plain(x)
        assert x.grad.detach().tolist()[0] == before + 6.0
        tape.current().reclaim()
        other = tj.tensor([2.0, 1.0], requires_grad=True)
        plain(other)
        assert other.grad.tolist() == [4.0, 2.0]
    assert n > 5


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
@pytest.mark.parametrize("seconds", [1.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_interrupts_at_random_times_while_reclaiming(seconds):
    def stop(*_):
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    kept = world()
    end, k = time.monotonic() + seconds, 0
    try:
        while time.monotonic() < end:
            k += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 + (k * 0.618 % 1) * 2e-3)
                while True:
                    _ = [tj.ones(2) * 2.0 for _ in range(20)]
                    tape.current().reclaim()
            except Stop:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            check(kept)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert k > 20
    check(kept)


def test_a_finalizer_that_computes_while_the_tape_reclaims():
    class Noisy:
        def __del__(self):
            (tj.ones(2) * 3).sum().item()
            tape.current().reclaim()

    import gc

    def callback(phase, info):
        tj.ones(1)

    gc.callbacks.append(callback)
    try:
        kept = world()
        for _ in range(20):
            cycle = [Noisy()]
            cycle.append(cycle)
            del cycle
            tape.current().reclaim()
            gc.collect()
        check(kept)
    finally:
        gc.callbacks.remove(callback)
