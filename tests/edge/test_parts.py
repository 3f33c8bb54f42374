"""The engine's functions as code that is made once: called by a user's own compiled code, in this process and the next."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
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


NESTED = """
    import numpy as np
    from numba import njit
    from tapejit import nopython

    @nopython.grad
    def inner(y, a):
        return np.sum(np.linalg.inv(np.outer(y, y) + np.eye(2) * a))

    @nopython.value_and_grad
    def outer(a):
        return np.sum(inner(np.array([1.0, 2.0]), a))

    print(*outer(2.0))
"""


def run(folder, source=SCRIPT):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(source))
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(folder / "cache"), PYTHONPATH=str(store.PACKAGE.parent))
    result = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    value, other = result.stdout.split()
    return float(value), float(other)


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


@pytest.mark.slow
def test_a_gradient_inside_of_a_gradient_finds_what_is_called_by_its_name(tmp_path):
    def value(a):  # the sum of the derivatives of sum((y y^T + a)^-1)
        y = np.array([1.0, 2.0])
        inverse = np.linalg.inv(np.outer(y, y) + np.eye(2) * a)
        m = -(inverse.T @ np.ones((2, 2)) @ inverse.T)
        return np.sum((m + m.T) @ y)

    for _ in range(2):  # compiled, then from the folder of code
        found, slope = run(tmp_path, NESTED)
        assert np.isclose(found, value(2.0))
        assert np.isclose(slope, (value(2.0 + 1e-6) - value(2.0 - 1e-6)) / 2e-6, rtol=1e-6)
