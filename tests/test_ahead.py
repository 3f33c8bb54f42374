"""Compiling ahead: ``tapejit warm``."""

import os
import subprocess
import sys

import pytest

import tapejit as tj
from tapejit import ahead
from tapejit.__main__ import main
from tapejit.core import engine
from tapejit.edge import store


def test_progress_counts_every_piece(monkeypatch):
    compiled, seen = [], []
    monkeypatch.setattr(ahead, "_core", lambda: [("one", lambda: compiled.append(1))])
    monkeypatch.setattr(ahead, "_kernels", lambda codes: [("two", lambda: compiled.append(2)) for _ in codes])
    monkeypatch.setattr(ahead, "_doors", lambda: [])
    assert tj.warm(("float64", "float32"), progress=lambda *step: seen.append(step)) == 3
    assert compiled == [1, 2, 2]
    assert seen == [(0, 3, "one"), (1, 3, "two"), (2, 3, "two"), (3, 3, "")]


def test_what_cannot_be_compiled_ahead_is_said(monkeypatch, capsys):
    with pytest.raises(ValueError, match="float16"):
        tj.warm(["float16"])
    monkeypatch.setattr(store, "folder", lambda: None)
    with pytest.raises(RuntimeError, match="NUMBA_CACHE_DIR"):
        tj.warm()
    with pytest.raises(SystemExit):
        main(["cool"])
    assert "warm" in capsys.readouterr().err


def test_every_core_function_and_kernel_is_a_piece():
    names = [name for name, _ in ahead._core()]
    assert {"unary", "run", "forward", "reclaim"} <= set(names)
    missing = [name for name, _ in ahead._kernels([0, 1])]
    compiled = sum(engine.kernel_table != 0)
    assert {"atan2", "matmul"} <= set(missing) or compiled


@pytest.mark.slow
def test_after_warming_nothing_is_compiled(tmp_path):
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(tmp_path), PYTHONPATH=str(store.PACKAGE.parent))
    warm = [sys.executable, "-m", "tapejit", "warm"]
    first = subprocess.run(warm, env=environment, capture_output=True, text=True, check=True)
    assert "compiling" in first.stderr
    files = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    gradient = (
        "import tapejit as tj; x = tj.arange(3.0, requires_grad=True); (x.sin() * x.exp() / (1 + x)).sum().backward(); "
        "print(x.grad.shape, (tj.ones(2, 2) @ tj.ones(2)).tolist())"
    )
    subprocess.run([sys.executable, "-c", gradient], env=environment, check=True)
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == files
