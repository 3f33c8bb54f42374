"""Nobody waits for the compiler: calls run the recording until one thread in the background has made machine code of it."""

import gc
import os
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import tapejit as tj
from tapejit.replay import answers, background, interpreter, program

X = np.array([1.0, 2.0, 3.0])


def squares(shift=0.0):
    return tj.value_and_grad(lambda x: (x * x + shift).sum())


def check(g, x=X, shift=0.0):
    value, gradient = g(x)
    assert value == pytest.approx((x * x + shift).sum(), rel=1e-14)
    np.testing.assert_array_equal(gradient, 2 * x)


@pytest.fixture
def gate(monkeypatch):
    """Compiling waits for this event."""
    opened, compile = threading.Event(), program.Program._compile

    def gated(self):
        opened.wait(60)
        compile(self)

    monkeypatch.setattr(program.Program, "_compile", gated)
    yield opened
    opened.set()


def under_way(g):
    """Wait until the thread has begun with a program of ``g``."""
    deadline = time.monotonic() + 60
    while background._compiler.queue.current is not g._last.latest():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_calls_run_the_recording_until_the_program_is_there(gate):
    g = squares()
    assert not g.compiled
    assert not g.wait()  # nothing is recorded
    for k in range(5):
        check(g, X + k)
    assert not g.compiled
    assert not g.wait(timeout=0.01)
    assert g.calls == {"eager": 0, "recorded": 1, "interpreted": 4, "replayed": 0}
    gate.set()
    assert g.wait()
    assert g.compiled
    for k in range(3):
        check(g, X + k)
    assert g.calls == {"eager": 0, "recorded": 1, "interpreted": 4, "replayed": 3}


def test_a_recording_alone_is_not_compiled_unless_asked_for():
    g = squares()
    check(g)
    assert background._compiler.queue.current is not g._last.latest()
    assert g.wait()
    check(g)
    assert g.calls == {"eager": 0, "recorded": 1, "interpreted": 0, "replayed": 1}


def test_it_comes_by_itself():
    g = squares()
    deadline = time.monotonic() + 60
    while not g.compiled:
        check(g)
        assert time.monotonic() < deadline
    before = g.calls["replayed"]
    check(g)
    assert g.calls["replayed"] == before + 1


def test_every_path_is_waited_for():
    g = tj.grad(lambda x: x * x if x > 0 else 3 * x)
    assert (g(2.0), g(-2.0)) == (4.0, 3.0)
    assert g.wait()
    assert [p["compiled"] for p in g.stats()["signatures"][0]["paths"]] == [True, True]
    assert (g(2.0), g(-2.0), g.calls["replayed"]) == (4.0, 3.0, 2)


def test_large_recordings_are_compiled_once_they_have_cost_enough(monkeypatch):
    taken = []
    monkeypatch.setattr(background, "submit", lambda p, before: taken.append(p) or True)
    monkeypatch.setattr(answers, "SMALL", 0)
    monkeypatch.setattr(answers, "SECONDS_PER_RECORD", 1e6)
    g = squares()
    check(g)
    g._last.latest().frozen.look()
    for _ in range(3):
        check(g)
    assert not taken
    monkeypatch.setattr(answers, "SECONDS_PER_RECORD", 1e-9)
    check(g)
    assert taken == [g._last.latest()]


def test_a_recording_is_read_in_the_background(monkeypatch):
    monkeypatch.setattr(background, "submit", lambda p, before: True)
    monkeypatch.setattr(program, "SMALL", 1_000)
    ways = np.random.default_rng(0).random(600) < 0.5

    def f(x):
        for _ in range(1_000):  # a loop, of which little is left
            x = x + 1e-3 * tj.sin(x)
        for way in ways.tolist():
            x = tj.cos(x) if way else x * 0.9
        return x

    g = tj.value_and_grad(f)
    first, recorded = g(0.5), g._last.latest()
    assert recorded.frozen.left is None
    assert g(0.5) == first
    recorded.go_on()
    assert 1_000 < recorded.frozen.left < 4_000
    assert recorded.machine is None  # it is long, and has cost too little
    recorded.go_on()
    np.testing.assert_allclose(np.array(g(0.5)), np.array(first), rtol=1e-12)
    assert g.calls == {"eager": 0, "recorded": 1, "interpreted": 1, "replayed": 1}
    ways[3] ^= True
    assert g(0.5) != first
    assert g.calls["recorded"] == 2


def test_a_long_loop_is_compiled_by_what_is_left_of_it(monkeypatch):
    monkeypatch.setattr(background, "submit", lambda p, before: p.go_on() or True)
    g = tj.grad(_long_loop)
    first = g(0.5)
    assert g(0.5) == pytest.approx(first, rel=1e-12)
    assert g._last.latest().frozen.left < 200 < 20_000 < g._last.latest().frozen.records
    assert g.compiled


def _long_loop(x):
    for _ in range(5_000):
        x = x + 1e-4 * tj.sin(x)
    return x


@pytest.mark.parametrize(("compile", "kept"), [("auto", True), ("auto", False), ("now", False)])
def test_what_cannot_be_compiled_is_interpreted_with_one_warning(compile, kept, monkeypatch, planned_anew):
    monkeypatch.setattr(program.Planner, "plan", lambda self: 1 / 0)
    if compile == "auto" and not kept:  # there was no room for the recording
        can_run = iter([False, *[True] * 9])
        monkeypatch.setattr(interpreter.Interpreter, "can_run", lambda _: next(can_run))
    g = tj.value_and_grad(lambda x: (x * x).sum(), compile=compile)

    def use():
        check(g)
        assert not g.wait()
        for k in range(5):
            check(g, X + k)
        assert not g.wait()

    with pytest.warns(UserWarning, match="interpreted from now on.*ZeroDivisionError") as caught:
        use()
    assert len(caught) == 1
    assert not g.compiled
    assert g.calls["interpreted"] >= 4
    assert g.calls["eager"] == 0


def test_programs_that_nobody_has_any_more_are_not_compiled(gate):
    first, second = squares(), squares(1.0)
    check(first)
    check(first)
    under_way(first)
    check(second, shift=1.0)
    check(second, shift=1.0)
    assert len(background._compiler.queue.waiting) == 1
    dropped = []
    second._last.latest()._compile = lambda: dropped.append(1)
    del second
    gc.collect()
    gate.set()
    assert first.wait()
    deadline = time.monotonic() + 60
    while background._compiler.queue.thread is not None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert not dropped


def test_the_queue_is_bounded(gate, monkeypatch):
    monkeypatch.setattr(background, "MOST_WAITING", 1)
    functions = [squares(float(k)) for k in range(4)]
    for k, g in enumerate(functions):
        for _ in range(2):
            check(g, shift=k)
        if k == 0:
            under_way(g)
    assert len(background._compiler.queue.waiting) == 1
    gate.set()
    for k, g in enumerate(functions):
        assert g.wait()
        check(g, shift=k)
        assert g.calls["replayed"] == 1


def test_one_daemon_thread_that_ends(gate):
    limit = sys.getrecursionlimit()
    before = threading.active_count()
    functions = [squares(float(k)) for k in range(5)]
    for k, g in enumerate(functions):
        check(g, shift=k)
        check(g, shift=k)
    (thread,) = [t for t in threading.enumerate() if t.name == "tapejit compiles"]
    assert thread.daemon
    assert threading.active_count() == before + 1
    gate.set()
    thread.join(60)
    assert all(g.compiled for g in functions)
    assert threading.active_count() == before
    assert sys.getrecursionlimit() == limit


def test_long_chains_need_no_deep_stack():
    def chain(x):
        y = x
        for k in range(90):
            y = y * 1.01 + (0.001 * k) * x
        return (y * y).sum()

    g = tj.value_and_grad(chain, compile="now")
    true = tj.value_and_grad(chain, compile="never")(np.ones(200))
    for _ in range(2):
        np.testing.assert_allclose(g(np.ones(200))[1], true[1], rtol=1e-12)
    assert g.calls["replayed"] == 1


def test_threads_that_call_while_it_is_compiled():
    functions = [squares(float(k)) for k in range(6)]
    wrong, stop = [], threading.Event()

    def call():
        rng = np.random.default_rng(threading.get_ident())
        try:
            while not stop.is_set():
                k = int(rng.integers(len(functions)))
                check(functions[k], rng.standard_normal(3), k)
        except BaseException as why:
            wrong.append(why)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for t in threads:
        t.start()
    for g in functions:
        while not g._signatures:
            time.sleep(0.001)
        assert g.wait(60)
    stop.set()
    for t in threads:
        t.join(60)
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_has_a_thread_of_its_own(gate):
    g, waiting = squares(), squares(1.0)
    check(g)
    check(g)
    under_way(g)
    check(waiting, shift=1.0)
    check(waiting, shift=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            gate.set()
            check(g)
            assert g.wait(60)
            check(g)
            assert waiting.wait(60)
            check(waiting, shift=1.0)
            assert g.calls["replayed"] == 1
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    gate.set()
    assert g.wait()
    assert waiting.wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_fork_waits_while_numba_compiles_for_a_program(monkeypatch):
    inside, leave = threading.Event(), threading.Event()

    def prepare():
        inside.set()
        assert leave.wait(60)

    g = squares()
    monkeypatch.setattr(g, "prepare_door", prepare, raising=False)
    check(g)
    check(g)
    assert inside.wait(60)
    threading.Timer(0.2, leave.set).start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert leave.is_set()
            monkeypatch.undo()
            assert g.wait(60)
            check(g)
            check(squares(2.0), shift=2.0)
            status = 0
        finally:
            os._exit(status)
    assert leave.is_set()
    assert os.waitpid(pid, 0)[1] == 0
    assert g.wait(60)


_EXIT = """
import sys, threading, time
import numpy as np, tapejit as tj
from tapejit.edge import optimiser

def chain(x):
    for k in range({length}):
        x = tj.sin(x) * 1.01 + 0.001 * k
    return (x * x).sum()

reached = threading.Event()
unlocked = optimiser._unlocked
def seen(name, *args):
    if name == {stage!r}:
        reached.set()
    return unlocked(name, *args)
optimiser._unlocked = seen
g = tj.value_and_grad(chain)
for _ in range(3):
    g(np.ones(50))
assert reached.wait(250)
time.sleep({delay})
print("done", time.time())
"""


@pytest.mark.parametrize("stage", ["ParseAssembly", "RunNewModulePassManager", "TargetMachineEmitToMemory"])
def test_a_process_that_ends_meanwhile_ends_at_once_and_whole(stage):
    script = _EXIT.format(length=20, stage=f"LLVMPY_{stage}", delay=0.01)
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    end = time.time()
    assert process.returncode == 0, process.stderr
    assert not process.stderr
    said, when = process.stdout.split()
    assert said == "done"
    assert end - float(when) < 20


@pytest.mark.slow
def test_many_processes_end_while_a_program_is_compiled():
    rng = np.random.default_rng(0)
    for _ in range(60):
        script = _EXIT.format(length=int(rng.integers(5, 90)), stage="LLVMPY_ParseAssembly", delay=rng.uniform(0, 0.4))
        process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
        assert (process.returncode, process.stderr) == (0, "")
