"""What can go wrong when the engine is first used: an interrupt, an interpreter or a Numba that does not fit."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

import tapejit as tj
from tapejit.core import engine
from tapejit.edge import collecting, cpython, selftest, signals, store
from tapejit.spec import table


def python(code, **environment):
    environment = dict(os.environ, PYTHONPATH=str(store.PACKAGE.parent), **environment)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=False
    )


def test_an_interrupt_waits_for_the_end_of_the_block():
    done = []

    def work():
        with signals.deferred():
            signal.raise_signal(signal.SIGINT)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_the_block_comes_through():
    with pytest.raises(ValueError, match="mine"), signals.deferred():
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_is_collected_until_the_last_thread_has_left():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with collecting.paused():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    assert gc.isenabled()
    with collecting.paused():
        thread.start()
        assert inside.wait(10)
        assert not gc.isenabled()
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_a_collector_that_the_user_has_switched_off_stays_so():
    gc.disable()
    try:
        with collecting.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_collection_begins_again_after_an_error():
    with pytest.raises(ValueError, match="mine"), collecting.paused():
        raise ValueError("mine")
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_forked_inside_collects():
    with collecting.paused():
        child = os.fork()
        if not child:
            with collecting.paused():
                quiet = not gc.isenabled()
            os._exit(not (quiet and gc.isenabled()))
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no interval timer")
@pytest.mark.parametrize("delay", [0.02, 0.1, 0.3, 0.8])
def test_an_interrupt_of_the_first_load_breaks_nothing(delay):
    result = python(
        f"""
        import signal
        import tapejit as tj

        def interrupt(number, frame):
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, {delay})

        def gradient():
            x = tj.tensor([1.0, 2.0], requires_grad=True)
            (x * x).sum().backward()
            return x.grad.tolist()

        try:
            gradient()
        except KeyboardInterrupt:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(gradient())
        """
    )
    assert result.stdout.strip() == "[2.0, 4.0]", result.stderr


def test_numba_told_not_to_compile_is_one_clear_error():
    result = python("import tapejit", NUMBA_DISABLE_JIT="1")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("ImportError")
    assert "NUMBA_DISABLE_JIT" in result.stderr.splitlines()[-1]


def test_a_free_threaded_interpreter_is_refused(monkeypatch):
    monkeypatch.setattr(cpython.sysconfig, "get_config_var", lambda name: 1 if name == "Py_GIL_DISABLED" else None)
    with pytest.raises(ImportError, match="free-threaded"):
        selftest.at_import()


def test_a_numba_without_a_part_is_one_clear_error(monkeypatch):
    def gone(name):
        raise ImportError(f"no {name}")

    monkeypatch.setattr(selftest.importlib, "import_module", gone)
    with pytest.raises(ImportError, match="was tried with Numba"):
        selftest.at_import()


def test_another_library_may_declare_the_same_c_functions():
    result = python(
        """
        import ctypes, numpy as np, tapejit as tj
        ctypes.pythonapi.Py_DecRef.argtypes = [ctypes.py_object]
        ctypes.pythonapi.PyType_Modified.argtypes = [ctypes.c_int]
        ctypes.pythonapi.PyType_FromSpec.restype = ctypes.c_int
        x = np.arange(3.0)
        for k in range(40):
            g = tj.value_and_grad(lambda x, k=k: (k * x * x).sum(), compile="now")
            for _ in range(4):
                value, gradient = g(x)
            assert gradient.tolist() == (2.0 * k * x).tolist()
        ctypes.pythonapi.Py_DecRef.argtypes = None
        print("done")
        """
    )
    assert result.stdout.strip() == "done", result.stderr


def test_references_are_counted_beside_the_list_itself():
    one, two = object(), object()
    listed = [object(), one, two]
    also = [two]
    assert (cpython.references_beside(listed) == [0, 1, 2]).all()
    assert also == [two]


@pytest.fixture
def entered():
    """An op entered at run time, and taken out again."""
    op = table.elementwise(dx=lambda g, x, out: g * 3.0 * x * x, name="cube_of_tests")(lambda x: x * x * x)
    yield op
    table.OPS.remove(op)
    del table.BY_NAME[op.name]
    engine.kernel_table[op.code * 8 : op.code * 8 + 8] = 0


def test_an_op_entered_after_import_runs_and_differentiates(entered):
    x = tj.tensor([1.0, 2.0, -3.0], requires_grad=True)
    y = entered(x)
    y.sum().backward()
    assert y.tolist() == [1.0, 8.0, -27.0]
    assert x.grad.tolist() == [3.0, 12.0, 27.0]


def test_a_table_that_is_full_says_so(entered, monkeypatch):
    monkeypatch.setattr(engine, "_MAX_OPS", entered.code)
    with pytest.raises(RuntimeError, match="cube_of_tests"):
        engine.set_traits(entered)
