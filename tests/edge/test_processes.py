"""Processes that are spawned, share a cache that is empty, or are killed while they compile: each computes what it should."""

import multiprocessing
import os
import random
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import tapejit as tj
from tapejit.edge import store

replayed = tj.value_and_grad(lambda x: (x * x).sum())


@tj.nopython.value_and_grad
def native(x):
    s = 0.0
    for i in range(len(x)):
        s += x[i] * x[i]
    return s


def work(k):
    """What is compiled and kept on disk, of every kind: eager, replayed, nopython."""
    x = tj.tensor([float(k), 2.0], requires_grad=True)
    (x * x).sum().backward()
    results = [x.grad.tolist()]
    for f in (replayed, replayed, replayed, native):
        value, gradient = f(np.array([float(k), 2.0]))
        results.append([value, *gradient.tolist()])
    return results


def right(k):
    return [[2.0 * k, 4.0]] + [[k * k + 4.0, 2.0 * k, 4.0]] * 4


ONE = """
    from test_processes import right, work

    assert work(3) == right(3)
    print("right")
"""
POOL = """
    import multiprocessing
    from test_processes import right, work

    if __name__ == "__main__":  # a worker that is spawned imports this file
        {first}
        with multiprocessing.get_context({method!r}).Pool(2, maxtasksperchild=2) as pool:
            found = pool.map(work, range(6), chunksize=1)
        assert found == [right(k) for k in range(6)], found
        print("right")
"""


def start(folder, script, **environment):
    """A process that runs a script, in which this file can be imported."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    paths = os.pathsep.join((os.path.dirname(os.path.abspath(__file__)), str(store.PACKAGE.parent)))
    environment = {**os.environ, "PYTHONPATH": paths, **environment}
    return subprocess.Popen([sys.executable, path], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check(process):
    out, err = process.communicate(timeout=600)
    assert (out.strip(), err, process.returncode) == ("right", "", 0), err


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("parent", ["new", "used"])
def test_the_workers_of_a_pool(tmp_path, method, parent):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    first = "work(7)" if parent == "used" else "pass"
    check(start(tmp_path, POOL.format(method=method, first=first)))


@pytest.mark.slow
def test_processes_on_one_empty_cache_and_some_are_killed(tmp_path):
    """Eight work at any time until twelve were killed while they compiled and wrote; the others, and the next, are right."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    draw = random.Random(0)
    working, killed, done = [start(tmp_path, ONE, **cache) for _ in range(8)], 0, 0
    while killed < 12:
        time.sleep(draw.uniform(0.5, 3.0))
        victim = working.pop(draw.randrange(len(working)))
        if victim.poll() is None:
            victim.kill()
            victim.communicate()
            killed += 1
        else:  # it was quicker
            check(victim)
            done += 1
        working.append(start(tmp_path, ONE, **cache))
    for process in working:
        check(process)
    check(start(tmp_path, ONE, **cache))
    left = [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.stat().st_size == 0]
    assert not left
