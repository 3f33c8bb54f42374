"""The engine's functions as code that is made once: called by a user's own compiled code, in this process and the next."""

import os
import subprocess
import sys
import textwrap

import numpy as np
from numba import njit

from tapejit.edge import store
from tapejit.nopython.optimize.quasinewton import _largest, _update_dense

SCRIPT = """
    import numpy as np
    from numba import njit
    from tapejit.nopython.optimize.quasinewton import _update_dense

    @njit(cache=True)
    def use(a):
        H = np.eye(len(a))
        _update_dense(H, a, a, a.copy(), True)
        return H.sum()

    print(use(np.arange(1.0, 4.0)), sum(use.stats.cache_hits.values()))
"""


def run(folder):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(folder / "cache"), PYTHONPATH=str(store.PACKAGE.parent))
    result = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    value, hits = result.stdout.split()
    return float(value), int(hits)


def test_a_users_cached_function_finds_the_engines_code_again_or_is_compiled_again(tmp_path):
    assert run(tmp_path) == (3.0, 0)
    assert run(tmp_path) == (3.0, 1)
    for file in tmp_path.rglob("shared-*"):
        file.unlink()
    assert run(tmp_path) == (3.0, 0), "the engine's code is gone"
    assert run(tmp_path) == (3.0, 1)


def test_what_is_shared_is_called_by_all_that_is_compiled_later():
    @njit
    def first(H, a):
        _update_dense(H, a, a, a.copy(), True)
        return H.sum()

    @njit
    def second(H, a):
        _update_dense(H, a, a, a.copy(), True)
        return 2.0 * H.sum() + _largest(a)

    a = np.arange(1.0, 4.0)
    assert np.isclose(first(np.eye(3), a), 3.0)
    assert all(cres.library.settled for cres in _update_dense.overloads.values())
    assert np.isclose(second(np.eye(3), a), 9.0)
