"""Machine code of programs is kept on disk and holds no address of the process that made it."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tapejit as tj
from tapejit.compile import linker
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
    assert len(list(folder.glob("program-*"))) == 1
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
    (path,) = folder.glob("program-*")
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
optimiser.object_code = lambda *a: made.append(a) or object_code(*a)
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
