"""The on-disk cache: found by another process, and not found after the function or the engine has changed."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
    import numpy as np
    from numba import njit
    from tapejit import nopython
    {extra}

    FACTOR = {factor}

    @njit(cache=True)
    def f(x):
        s = 0.0
        for i in range(x.size):
            s += FACTOR * x[i] * x[i]
        return s

    g = nopython.value_and_grad(f)
    x = np.arange(3.0)
    gradient = g(x)[1]
    print(gradient[2], sum(g.stats.cache_hits.values()))
"""


def run(folder, factor=2.0, extra=""):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(factor=factor, extra=extra))
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(folder / "cache"), PYTHONPATH=str(ROOT))
    result = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    gradient, hits = result.stdout.split()
    return float(gradient), int(hits)


def test_another_process_loads_the_gradient(tmp_path):
    assert run(tmp_path) == (8.0, 0)
    assert run(tmp_path) == (8.0, 1)
    assert run(tmp_path, factor=5.0) == (20.0, 0), "a constant of the function has changed"
    changed = "from tapejit.edge import caching; caching.stamp = lambda folders: 'another engine'"
    assert run(tmp_path, factor=5.0, extra=changed) == (20.0, 0), "the engine has changed"


def test_fingerprint_follows_callees_and_globals():
    pytest.importorskip("numba")
    from numba import njit

    from tapejit.nopython.dispatcher import fingerprint

    def make(constant):
        @njit
        def callee(x):
            return x * constant

        def f(x):
            return callee(x) + 1.0

        return f

    assert fingerprint(make(2.0)) == fingerprint(make(2.0))
    assert fingerprint(make(2.0)) != fingerprint(make(3.0))
