"""Recordings that run again from their tape until they are worth compiling."""

import gc
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from random_array_programs import Program

import tapejit as tj
from tapejit.replay import background, interpreter


@pytest.fixture(autouse=True)
def never_compiled(monkeypatch):
    monkeypatch.setattr(background, "submit", lambda *_: True)


def long_loop(x):
    for k in range(40):
        x = tj.sin(x) * 1.01 + 0.001 * k
    return (x * x).sum()


def test_calls_run_from_the_tape_and_are_counted():
    g, eager = tj.value_and_grad(long_loop), tj.value_and_grad(long_loop, compile="never")
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.standard_normal(6)
        for a, b in zip(g(x), eager(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)
    assert g.calls == {"eager": 0, "recorded": 1, "interpreted": 4, "replayed": 0}


def test_results_belong_to_the_caller():
    g = tj.grad(long_loop)
    x = np.linspace(-1, 1, 6)
    first = g(x)
    second = g(x)
    kept = second.copy()
    g(2 * x)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(second, kept)


def test_guards_lead_to_other_paths():
    def f(a):
        while a < 50:
            a = a * 2
        return a if a < 80 else 10 * a

    g, eager = tj.value_and_grad(f), tj.value_and_grad(f, compile="never")
    for a in [0.7, 3.0, 60.0, 45.0, 90.0] * 3:
        assert g(a) == eager(a)
    assert g.calls["interpreted"] >= 9
    assert g.calls["eager"] == 0


def test_captured_arrays_are_read_again():
    weights, t = np.ones(6), tj.ones(6)
    g = tj.grad(lambda x: (x * weights * t).sum() + (x * tj.tensor(weights)).sum())
    x = np.ones(6)
    for k in range(4):
        weights[:] = k
        t.fill_(k + 1.0)
        np.testing.assert_array_equal(g(x), np.full(6, k * (k + 1.0) + k))
    assert g.calls["interpreted"] == 3


def _held_bytes():
    return sum(interpreter._held.values())


def test_kept_tapes_are_given_back():
    gc.collect()
    before = _held_bytes()
    g = tj.grad(long_loop)
    g(np.ones(6))
    assert _held_bytes() > before
    del g
    gc.collect()
    assert _held_bytes() == before


def test_what_numpy_works_out_is_worked_out_again():
    g, eager = (tj.grad(lambda x: (x.argmax() + 1.0) * tj.where(x > 0.1, x, 2.0).sum(), compile=c) for c in ("auto", "never"))
    rng = np.random.default_rng(1)
    for _ in range(6):
        x = rng.standard_normal(5)
        np.testing.assert_allclose(g(x), eager(x))
    assert g.calls["eager"] == 0
    assert g.calls["interpreted"] == 5


def test_integer_indices_are_for_compiled_code():
    f = lambda x, k: (x[k] * x.sum()).sum()  # noqa: E731
    g, eager = (tj.grad(f, compile=c) for c in ("auto", "never"))
    rng = np.random.default_rng(2)
    for _ in range(4):
        x, k = rng.standard_normal(5), rng.integers(0, 5, 3)
        np.testing.assert_allclose(g(x, k), eager(x, k))
    assert g.calls == {"eager": 3, "recorded": 1, "interpreted": 0, "replayed": 0}


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed):
    program = Program(seed)
    g, eager = (tj.value_and_grad(program.function, (0, 1), compile=c) for c in ("auto", "never"))
    for _ in range(3):
        x, y = program.arguments()
        mine, true = g(x, y), eager(x, y)
        np.testing.assert_allclose(mine[0], true[0], rtol=1e-11, err_msg=program.source)
        for a, b in zip(mine[1], true[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=program.source)


def test_guards_on_values_that_were_dropped():
    def f(x):
        for _ in range(50):
            x = x + 0.01 * tj.sin(x)
            if x <= 0:
                return x
        return x

    g, eager = (tj.value_and_grad(f, compile=c) for c in ("auto", "never"))
    for x in (0.5, 0.7, -1.0, 0.5):
        assert g(x) == eager(x)
    assert g.calls["interpreted"] == 2


def test_arrays_whose_tensors_were_dropped_are_read_again():
    x = np.linspace(1, 2, 20)
    g = tj.jacrev(lambda b: b[0] * (b[1] + x) ** (-1 / b[2]) - x)
    b = np.array([1.0, 2.0, 3.0])
    first = g(b)
    np.testing.assert_array_equal(g(b), first)
    x[:] += 0.5
    np.testing.assert_allclose(g(b), tj.jacrev(lambda b: b[0] * (b[1] + x) ** (-1 / b[2]) - x, compile="never")(b), rtol=1e-13)
    assert g.calls["interpreted"] == 2


def _steps(c):
    u = tj.zeros((6, 6)) + c
    for _ in range(4):
        w = 2 * u - 0.1
        w[1:-1, 1:-1] = w[1:-1, 1:-1] + 0.1 * c * (u[2:, 1:-1] + u[:-2, 1:-1] - 2 * u[1:-1, 1:-1])
        w[0] = 0.0
        u = w
    return (u * u).sum()


def _written_over(x):
    y = tj.zeros(4)
    part = y[1:]
    y[0] = x[0] * x[1]
    part.mul_(x[1:])
    part += x[1:]
    y.exp_()
    return (y * x).sum() + part.sum()


def _looked_at_before(x):
    y = x * 2
    if y[0] > 3:
        y[0] = x[1] - 10.0
    if y[0] > 3:
        return y.sum()
    return (y * y * x).sum()


def _products_in_place(x):
    y = (x * 1.0).reshape(2, 2)
    y.copy_(y.clone() @ y.clone().T)
    y[0] = y[1]
    y[:, 1] = y[0]
    return (y * y).sum()


@pytest.mark.parametrize("f", [_steps, _written_over, _looked_at_before, _products_in_place])
def test_in_place_changes_run_from_the_tape(f):
    g, eager, now = (tj.value_and_grad(f, compile=c) for c in ("auto", "never", "now"))
    rng = np.random.default_rng(3)
    for k in range(7):
        x = rng.standard_normal(()).item() if f is _steps else np.roll([0.5, 2.5, -1.0, 1.5], k)
        mine, true, compiled = g(x), eager(x), now(x)
        np.testing.assert_array_equal(mine[0], true[0])
        np.testing.assert_array_equal(mine[1], true[1])
        np.testing.assert_allclose(compiled[0], true[0], rtol=1e-12)
        np.testing.assert_allclose(compiled[1], true[1], rtol=1e-12)
    assert g.calls["eager"] == now.calls["eager"] == 0
    assert g.calls["interpreted"] >= 3


def test_in_place_changes_of_what_detach_shares_are_refused():
    def f(x):
        y = x * 1.0
        d = y.detach()
        y.add_(1.0)
        return (d * y).sum()

    g = tj.value_and_grad(f)
    x = np.array([1.0, 2.0, 3.0])
    with pytest.warns(UserWarning, match=r"detach\(\) made shares.*test_interpreter"):
        g(x)
    for _ in range(3):
        value, gradient = g(x)
        assert value == 29.0
        assert gradient.tolist() == [2.0, 3.0, 4.0]


def test_a_dropped_recording_gives_its_memory_back():
    """In a process of its own: how much a process holds depends on what ran before."""
    code = """
        import gc
        import numpy as np, tapejit as tj

        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096

        def record(k):
            def f(x):
                for _ in range(1000):
                    x = x * 1.0001 + k
                return x.sum()

            g = tj.value_and_grad(f, compile="auto")
            g(np.ones(1000))  # some 16 MB of values
            g.wait(60)
            g(np.ones(1000))

        sizes = []
        for k in range(6):
            record(k)
            gc.collect()
            sizes.append(resident())
        print((sizes[-1] - sizes[1]) / 1e6)
        """
    output = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True).stdout
    assert float(output) < 20
