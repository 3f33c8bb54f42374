"""An index outside of an active array raises; a number from memory that was never written is not followed by the sweep.

Each case runs in a process of its own, as what goes wrong here ends it.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from numba import njit
from tapejit import nopython as nt

@njit
def one(x, k):
    return x[0] * x[k]

@njit
def one_of_a_row(x, k):
    a = x.reshape(2, 20)
    return x[0] * a[1, k]

@njit
def constant(x, k):
    return x[0] * x[100_000]

@njit
def row_of_a_matrix(x, k):
    a = x.reshape(2, 20)
    return x[0] * a[7][0]

@njit
def picked(x, k):
    return x[0] * x[np.array([0, k])].sum()

@njit
def written(x, k):
    y = np.zeros(2)
    y[k] = x[0]
    return y[0] + x[1]

@njit
def added(x, k):
    y = np.zeros(2)
    y[k] += x[0]
    return y[0] + x[1]

@njit
def long_loop(x, k):
    s = 0.0
    for i in range(k):
        s += x[i] * x[i]
    return s

@njit
def long_stores(x, k):
    y = np.zeros(30)
    for i in range(k):
        y[i] = 2.0 * x[0]
    return y[0]

@njit
def before_the_first(x, k):
    s = 0.0
    for i in range(x.size):
        s += x[i - k] * x[i]
    return s

@njit
def never_written(x, k):
    y = np.empty(1000)
    s = y[k] * x[0]
    for i in range(y.size):
        s += y[i] * y[i]
    return s + y[3] + x[0] * x[1]

@njit
def returned_at_once(x, k):
    y = np.empty(1000)
    return y[k]

x = np.linspace(1.0, 2.0, 40)
"""

OUTSIDE = [
    ("one", 41),
    ("one", -41),
    ("one_of_a_row", 20),
    ("constant", 0),
    ("row_of_a_matrix", 0),
    ("picked", 60),
    ("picked", -50),
    ("written", 5),
    ("written", 1 << 20),
    ("added", 2),
    ("long_loop", 200),
    ("long_loop", 1 << 24),
    ("long_stores", 31),
    ("long_stores", 1 << 24),
    ("before_the_first", 50),
]


def run(text):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM + text], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, (result.returncode, result.stderr[-2000:])
    return result.stdout


def test_an_index_out_of_range_raises_and_leaves_the_tape_as_it_was():
    text = f"""
for name, k in {OUTSIDE!r}:
    g = nt.value_and_grad(globals()[name])
    try:
        print(name, k, g(x, k))
    except IndexError:
        pass
    if name not in ("constant", "row_of_a_matrix"):
        assert np.isfinite(g(x, 1)[1]).all()
value, gradient = nt.value_and_grad(one)(x, -1)
assert value == 2.0 and gradient[0] == 2.0 and gradient[-1] == 1.0 and not gradient[1:-1].any()
"""
    assert run(text) == ""


def test_dual_numbers_are_checked_too():
    text = """
for f, k in ((one, 41), (written, 5)):
    try:
        print(nt.hessian(f)(x, k))
    except IndexError:
        pass
"""
    assert run(text) == ""


@pytest.mark.parametrize("name", ["never_written", "returned_at_once"])
def test_numbers_from_memory_never_written_are_not_followed(name):
    """The heap is filled with large odd numbers first, which the array then finds in its memory."""
    text = f"""
g = nt.value_and_grad({name})
nt.value_and_grad(one)(x, 1)

@njit
def soil(k):
    return np.full(2000, k)

for k in (-(1 << 62) + 1, (1 << 31) - 1, 1 << 30, -5, 1 << 20):
    for _ in range(3):
        soil(np.int64(k))
        g(x, 7)
    value, gradient = nt.value_and_grad(one)(x, 1)
    assert gradient[1] == x[0] and gradient[0] == x[1] and not gradient[2:].any()
"""
    assert run(text) == ""
