"""Code of users' functions on disk: what another process finds, and what it must not take for the same."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = """
    import json, sys
    import numpy as np
    from numba import njit
    from numba.extending import overload, register_jitable
    from tapejit import nopython

    FACTOR = float(sys.argv[1])
    late = 1.0
    TABLE = np.arange(3.0) * FACTOR

    @njit
    def helper(x):
        return FACTOR * x

    @register_jitable
    def jitable(x):
        return FACTOR * x

    def makes(constant):
        def closure(x):
            return np.sum(x * x) * constant
        return closure

    def plain(x):
        s = 0.0
        for i in range(x.size):
            s += FACTOR * x[i] * x[i]
        return s

    def of_a_table(x):
        return np.sum(TABLE * x)

    def by_helper(x):
        return helper(x[1]) * x[2]

    def by_jitable(x):
        return jitable(x[1]) * x[2]

    def read_late(x):
        return np.sum(x * x) * late

    @njit(cache=True)
    def itself(x, n):
        return x[0] * FACTOR if n == 0 else itself(x, n - 1) * x[1]
"""
USE = """
    x = np.array([1.0, 2.0, 3.0])
    found = {}
    for f in (plain, of_a_table, by_helper, by_jitable, makes(FACTOR), read_late):
        g = nopython.value_and_grad(njit(cache=True)(f))
        late = FACTOR
        found[f.__name__] = g(x)[1].tolist(), sum(g.stats.cache_hits.values())
    print(json.dumps(found))
"""


def run(folder, script, *arguments):
    place = folder / "script.py"
    place.write_text("\n".join(textwrap.dedent(part) for part in script))
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(folder / "cache"), PYTHONPATH=str(ROOT))
    command = [sys.executable, place, *map(str, arguments)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_code_is_kept_as_long_as_it_is_the_same(tmp_path):
    x = np.array([1.0, 2.0, 3.0])
    for times, factor in enumerate((2.0, 2.0, 3.0)):
        found = run(tmp_path, (FUNCTIONS, USE), factor)
        kept = int(times == 1)
        expected = {
            "plain": (2 * factor * x, kept),
            "of_a_table": (factor * np.arange(3.0), kept),
            "by_helper": (factor * np.array([0.0, 3.0, 2.0]), kept),
            "by_jitable": (factor * np.array([0.0, 3.0, 2.0]), 0),
            "closure": (2 * factor * x, kept),
            "read_late": (2 * factor * x, kept),
        }
        assert found.keys() == expected.keys()
        for name, (gradient, hits) in expected.items():
            assert found[name] == [gradient.tolist(), hits], (name, times)


OVERLOADED = """
    def stub(x):
        pass

    @overload(stub)
    def of_stub(x):
        return lambda x: FACTOR * x

    def with_stub(x):
        return np.sum(x) + np.sum(x) * 0.0

    g = nopython.value_and_grad(njit(cache=True)(with_stub))
    hits = g(np.ones(3))[1].tolist(), sum(g.stats.cache_hits.values())
    print(json.dumps(hits))
"""


@pytest.mark.slow
def test_what_others_teach_numba_counts(tmp_path):
    """An overload may be called anywhere, so that its code is part of everybody's."""
    assert [run(tmp_path, (FUNCTIONS, OVERLOADED), factor)[1] for factor in (2.0, 2.0, 3.0)] == [0, 1, 0]


SIZES = """
    def squares(x):
        s = 0.0
        for i in range(x.size):
            s += x[i] * x[i]
        return s

    j = nopython.jacobian(njit(cache=True)(lambda x: x * x))
    n = int(sys.argv[1])
    value = j(np.ones(n))[1].trace()
    print(json.dumps((value, sum(j.stats.cache_hits.values()))))
"""


@pytest.mark.slow
def test_a_form_for_few_numbers_is_not_taken_for_many(tmp_path):
    assert [run(tmp_path, (FUNCTIONS, SIZES), n) for n in (2, 2, 60, 60)] == [[4.0, 0], [4.0, 1], [120.0, 0], [120.0, 1]]


MADE = """
    def hunt(y, t, p):
        return np.array([p[0] * y[0] - p[1] * y[0] * y[1], y[0] * y[1] - y[1]])

    solve = nopython.implicit.odeint(hunt, adjoint=sys.argv[2])

    def loss(y, t, p):
        return (solve(y, t, p) ** 2).sum()

    g = nopython.value_and_grad(njit(cache=True)(loss), argnums=2)
    gradient = g(np.array([1.0, 0.5]), np.linspace(0.0, 1.0, 3), np.array([1.0, 0.5]))[1]
    print(json.dumps((gradient.tolist(), sum(g.stats.cache_hits.values()))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("adjoint", ["discrete", "continuous"])
def test_functions_made_of_a_users_are_kept(tmp_path, adjoint):
    (first, none), (second, hits) = (run(tmp_path, (FUNCTIONS, MADE), 1.0, adjoint) for _ in range(2))
    assert (none, hits) == (0, 1)
    assert first == second


RECURSIVE = """
    @njit(cache=True)
    def calls(x):
        return itself(x, 2)

    print(json.dumps(nopython.value_and_grad(calls)(np.array([2.0, 3.0]))[1].tolist()))
"""


@pytest.mark.slow
def test_functions_that_call_themselves(tmp_path):
    """They ask for themselves by name, which must be known in the other process too."""
    for _ in range(2):
        assert run(tmp_path, (FUNCTIONS, RECURSIVE), 1.0) == [9.0, 12.0]
