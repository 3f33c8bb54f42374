"""Machine code of programs is kept on disk and holds no address of the process that made it."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tapejit as tj
from tapejit.compile import linker, machine
from tapejit.edge import optimiser, store
from tapejit.replay import background


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty store that takes every program; what others left to be compiled is done before."""
    thread = background._compiler.queue.thread
    if thread is not None:
        thread.join()
    monkeypatch.setattr(store, "folder", lambda: str(tmp_path))
    monkeypatch.setattr(linker, "WORTH_KEEPING", -1.0)
    return tmp_path


@pytest.fixture
def made(monkeypatch):
    """The modules of programs that LLVM was given; those of the engine are compiled with options of their own."""
    texts, object_code = [], optimiser.object_code

    def counted(text, joins, **options):
        if not options:
            texts.append(text)
        return object_code(text, joins, **options)

    monkeypatch.setattr(optimiser, "object_code", counted)
    return texts


def forget():
    """As in a new process: no machine code is known."""
    linker._known.clear()
    linker._recent.clear()


def everything(captured):
    """A function with captured arrays, guards on numbers and bytes, kernels, scalars in chunks, and much workspace."""

    def f(x, m):
        y = (x * captured).sin()
        if y.sum() > 100:
            return y.sum()
        total = y[0]
        for _ in range(80):
            total = total + 0.01 * total * total.cos()
        rows = y[np.argsort((x > 1).numpy())]
        return total + (m @ m).sum() + tj.linalg.cholesky(m @ m.T + tj.eye(3)).sum() + (rows * y).cumsum(0).sum()

    return tj.value_and_grad(f, (0, 1), compile="now")


X, M = np.linspace(0.1, 2.0, 3000), np.arange(9.0).reshape(3, 3) / 7


def test_programs_are_found_again(folder, made):
    captured = np.linspace(1, 2, 3000)
    first = everything(captured)
    value, gradients = first(X, M)
    assert len(made) == 1
    assert len(list(folder.glob("program-*.obj"))) == 1
    forget()
    other = everything(captured + 0.5)
    other(X, M)
    assert len(made) == 1  # the code is the same, the addresses are not
    true = tj.value_and_grad(other.fun, (0, 1), compile="never")
    for x in (X, X * 0.9):
        for g, want in ((first, tj.value_and_grad(first.fun, (0, 1), compile="never")), (other, true)):
            got, wanted = g(x, M), want(x, M)
            assert got[0] == pytest.approx(wanted[0], rel=1e-12)
            for a, b in zip(got[1], wanted[1], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert first(X, M)[0] == pytest.approx(value, rel=1e-12)
    assert other.calls["replayed"] >= 1
    np.testing.assert_allclose(first(X, M)[1][0], gradients[0], rtol=1e-12)


def test_a_damaged_file_is_made_again(folder, made):
    f = lambda x: (x * x.exp()).sum()  # noqa: E731
    want = tj.value_and_grad(f, compile="now")(X)[0]
    (path,) = folder.glob("program-*.obj")
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1], whole[:200] + b"\x90" + whole[201:], b"x" * 5000):
        path.write_bytes(damaged)
        forget()
        before = len(made)
        g = tj.value_and_grad(f, compile="now")
        for _ in range(2):
            assert g(X)[0] == pytest.approx(want, rel=1e-13)
        assert len(made) == before + 1
        assert path.read_bytes()[-1000:] == whole[-1000:]


def test_what_compiles_quickly_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr(linker, "WORTH_KEEPING", 100.0)
    tj.value_and_grad(lambda x: (x * x.tanh()).sum(), compile="now")(X)
    assert not list(folder.glob("program-*"))


def test_the_files_used_last_stay(folder, monkeypatch):
    for k in range(10):
        store.write(f"program-{k}.obj", bytes(1000))
        os.utime(folder / f"program-{k}.obj", (k, k))
    store.write("kernel.obj", bytes(1000))
    os.utime(folder / "kernel.obj", (0, 0))
    store.touch("program-1.obj")
    monkeypatch.setattr(store, "_calls", iter([0, 1, 64]))
    store.bound("program-", 8000)
    left = sorted(p.name for p in folder.iterdir())
    assert left == ["kernel.obj", "program-1.obj", *(f"program-{k}.obj" for k in range(6, 10))]
    store.bound("program-", 1000)  # not looked at
    assert sorted(p.name for p in folder.iterdir()) == left
    store.bound("program-", 1000)
    assert sorted(p.name for p in folder.iterdir()) == ["kernel.obj"]


_SCRIPT = """
import numpy as np, tapejit as tj
from tapejit.edge import optimiser
made, object_code = [], optimiser.object_code
optimiser.object_code = lambda *a, **options: made.append(a) or object_code(*a, **options)
captured = np.ones(5)
def f(x):
    for k in range(30):
        x = tj.sin(x * captured) * 1.01 + 0.001 * k
    return (x * x).sum() if x.sum() > -100 else x.sum()
g = tj.value_and_grad(f, compile="now")
print(*[g(np.arange(5.0))[0] for _ in range(2)], len(made))
"""


def test_a_second_process_compiles_nothing():
    results = []
    for seed in ("1", "2", "3"):  # of the hashes of strings, which must not decide the order of anything
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        process = subprocess.run(
            [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=300, env=environment, check=True
        )
        results.append(process.stdout.split())
    assert [r[2] for r in results[1:]] == ["0", "0"]
    assert len({tuple(r[:2]) for r in results}) == 1


def test_a_known_structure_is_not_planned_again(folder, monkeypatch):
    """Loops, products, kernels with plans, guards on bytes, arrays outside: other addresses and contents, the same code."""
    plans, plan = [], machine.Planner.plan
    monkeypatch.setattr(machine.Planner, "plan", lambda self: plans.append(self) or plan(self))

    def program(captured, numbers):
        def f(x, m):
            rows = x[np.argsort((x > 0.7).numpy())]  # a guard on bytes
            total = (x * captured).sum() + (rows * x).cumsum(0).sum() + tj.linalg.cholesky(m @ m.T + tj.eye(3)).sum()
            state = m[0]
            for k in range(40):
                state = tj.tanh(m @ state) + numbers[k % 5] * x[k % 5]
            return total + (state * state).sum()

        return tj.value_and_grad(f, (0, 1), compile="now")

    x, m = np.linspace(0.1, 2.0, 5), np.arange(9.0).reshape(3, 3) / 7
    program(x + 1, 1 / x)(x, m)
    assert plans
    forget()
    plans.clear()
    captured = np.linspace(1.0, 2.0, 5)
    again = program(captured, 1 / x)
    compared = tj.value_and_grad(again.fun, (0, 1), compile="never")
    for point in (x, x * 1.01):
        got, want = again(point, m), compared(point, m)
        assert got[0] == pytest.approx(want[0], rel=1e-12)
        for a, b in zip(got[1], want[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
        captured *= 1.1  # read where it is
    assert not plans
    assert again.calls["replayed"] >= 1


@pytest.mark.parametrize(
    "other",
    [
        lambda x, c: (x * c[0] * 3.0).sum(),  # another constant
        lambda x, c: (x * c[0] * -0.0).sum(),
        lambda x, c: (x * c[0] * 0.0).sum(),
        lambda x, c: (x * c[0] * 2.0)[::2].sum(),  # another part
        lambda x, c: (x * c[0] * 2.0)[1::2].sum(),
        lambda x, c: (x * c[1] * 2.0).sum(),  # two arrays outside
        lambda x, c: (x * c[0] * c[1] * 2.0).sum(),
        lambda x, c: (x * c[0] * c[0] * 2.0).sum(),
        lambda x, c: (x * c[2] * 2.0).sum(),  # with other strides
        lambda x, c: (x * c[0] * 2.0).sum() if x.sum() > 0 else x.sum(),
        lambda x, c: (x * c[0] * 2.0).cumsum(0).sum(),
        lambda x, c: (x * c[0] * 2.0).cumsum(0)[2],
        lambda x, c: sum(x[k] * x[k + 1] * c[0][k] for k in range(15)),
        lambda x, c: sum(x[k] * x[k + 1] * c[0][k] for k in range(14)),
    ],
)
def test_what_differs_is_not_taken_for_what_is_known(folder, other):
    captured = [np.linspace(1, 2, 16), np.linspace(3, 5, 16), np.linspace(0, 1, 32)[::2]]
    both = [lambda x: (x * captured[0] * 2.0).sum(), lambda x: other(x, captured)]
    x = np.linspace(0.1, 2.0, 16)
    for f in (*both, *both):
        forget()
        got, want = tj.value_and_grad(f, compile="now")(x), tj.value_and_grad(f, compile="never")(x)
        assert got[0] == pytest.approx(want[0], rel=1e-13)
        np.testing.assert_allclose(got[1], want[1], rtol=1e-12, atol=1e-14)


def test_what_a_guard_expects_is_of_the_structure(folder):
    g = tj.jit(lambda x: float((1 / x.sum()).item()), compile="now")
    with np.errstate(all="ignore"):
        for v in [2.0, 0.0, np.inf, np.nan, 4.0] * 2:
            np.testing.assert_array_equal(g(np.array([v])), 1 / np.float64(v))


def test_a_structure_without_its_code_is_made_again(folder, made):
    f = lambda x: (x * x.sin()).sum()  # noqa: E731
    want = tj.value_and_grad(f, compile="now")(X)[0]
    for path in folder.glob("program-*.obj"):
        path.unlink()
    forget()
    assert tj.value_and_grad(f, compile="now")(X)[0] == pytest.approx(want, rel=1e-13)
    assert len(made) == 2
    assert len(list(folder.glob("program-*"))) == 2
