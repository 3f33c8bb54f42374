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


LINEAR_ALGEBRA = """
    import numpy as np
    from numba import njit
    from tapejit import nopython

    @njit(cache=True)
    def f(x):
        a = x[:9].reshape((3, 3))
        logarithm = np.sum(np.log(np.diag(np.linalg.cholesky(a @ a.T))))
        return np.sum(np.linalg.solve(a, x[9:])) + np.linalg.det(a) + np.sum(np.linalg.inv(a)) + logarithm

    x = np.array([2.0, 0.3, -0.4, 0.5, 1.7, 0.2, -0.1, 0.6, 2.4, 1.0, -0.5, 0.8])
    g = nopython.value_and_grad(f)
    gradient = g(x)[1]
    a, b = x[:9].reshape(3, 3), x[9:]
    v, one = np.linalg.inv(a), np.ones(3)
    expected = v.T * (1 + np.linalg.det(a)) - np.outer(v.T @ one, v @ b) - np.outer(v.T @ one, v @ one)
    error = np.abs(gradient - np.append(expected.ravel(), v.T @ one)).max()
    print(error < 1e-12, sum(g.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_another_process_loads_linear_algebra(tmp_path):
    """What is loaded calls LAPACK by names that have to be known before."""
    script = tmp_path / "algebra.py"
    script.write_text(textwrap.dedent(LINEAR_ALGEBRA))
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(tmp_path / "cache"), PYTHONPATH=str(ROOT))
    for hits in range(2):
        result = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
        assert (result.stdout.split(), result.returncode) == (["True", str(hits)], 0), result.stderr


def test_fingerprint_follows_callees_and_globals():
    pytest.importorskip("numba")
    from numba import njit

    from tapejit.nopython.fingerprint import fingerprint

    def make(constant):
        @njit
        def callee(x):
            return x * constant

        def f(x):
            return callee(x) + 1.0

        return f

    assert fingerprint(make(2.0)) == fingerprint(make(2.0))
    assert fingerprint(make(2.0)) != fingerprint(make(3.0))
