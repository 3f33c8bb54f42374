"""Cost and memory against size: Rosenbrock's function, a long scalar recurrence, and independent gradients on threads.

A library's sizes are measured one after the other in a process of its own, ``python -m bench.scaling OUT KIND LIBRARY MOST``.
What is fitted is the slope of log time over log size, over the sizes from a thousand on: 1 is linear. Bytes per element or
per record are the slope of the memory's peak between the two largest sizes.
"""

import gc
import importlib
import json
import math
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from bench import measure, peers

SIZES = [10**k for k in range(1, 8)]
RECORDS = [10**k for k in range(2, 8)]
LIMIT = 100.0  # seconds: a size is left out if ten times the one before would take longer


# --- Rosenbrock's function: n variables --------------------------------------------------------------------------------


def rosenbrock(library, n):
    from bench.workloads.rosenbrock import rosenbrock as f

    x = np.random.default_rng(0).standard_normal(n)
    if library == "hand":
        from bench.problems.rosenbrock import value_and_gradient

        return lambda: value_and_gradient(x)
    if library == "tapejit":
        import tapejit as tj

        return peers.replayed(tj.value_and_grad(f, compile="now"), x)
    if library == "tapejit eager":
        import tapejit as tj

        return peers.eager(tj, f, [x])
    if library == "tapejit nopython":
        from bench.workloads.rosenbrock import rosenbrock_loop
        from tapejit import nopython

        return peers.replayed(nopython.value_and_grad(rosenbrock_loop), x)
    if library == "JAX":
        return peers.jax(f, [x])
    if library == "PyTorch":
        import torch

        return peers.eager(torch, f, [x])
    return peers.autograd(f, [x])


# --- a scalar recurrence, six records a step ------------------------------------------------------------------------------


def iterate(x, n):
    """``n`` operations on two coupled numbers; the derivative of their sum stays near one."""
    y = 0.5 * x
    for _ in range(n // 6):
        x = x - 1e-8 * (y * y)
        y = y + 1e-8 * (x * x)
    return x + y


def recurrence(library, n):
    if library == "tapejit nopython":
        from tapejit import nopython

        g = nopython.value_and_grad(iterate, mode="tape")
        return lambda: g(0.3, n)
    if library == "tapejit":
        import tapejit as tj

        g = tj.value_and_grad(lambda x: iterate(x, n), compile="now")
        return lambda: g(0.3)
    if library == "tapejit eager":
        import tapejit as tj

        return peers.eager(tj, lambda x: iterate(x, n), [0.3])
    import torch

    return peers.eager(torch, lambda x: iterate(x, n), [0.3])


# --- independent gradients on threads ----------------------------------------------------------------------------------


def threads(library, n):
    """100 000 gradients of Black and Scholes' formula in ``prange``; ``n`` is the number of threads."""
    import numba

    from bench.workloads.inside import threads as work

    numba.set_num_threads(n)
    return work.libraries[library].prepare()


KINDS = {
    "Rosenbrock": (rosenbrock, SIZES, ("hand", "tapejit", "tapejit eager", "tapejit nopython", "JAX", "PyTorch", "autograd")),
    "recurrence": (recurrence, RECORDS, ("tapejit", "tapejit eager", "tapejit nopython", "PyTorch")),
    "threads": (threads, [1, 2], ("hand", "tapejit nopython")),
}
NEEDS = {"hand": "numba", "JAX": "jax", "PyTorch": "torch", "autograd": "autograd"}
MOST = {("recurrence", "tapejit"): 10_000, ("recurrence", "PyTorch"): 100_000}  # compiling, and patience, end there


def sweep(kind, library, largest):
    """``{size: {"first", "seconds", "memory"}}``: seconds of the first and of a later call, the rise of the memory's peak."""
    from bench.harness import Library

    build, sizes, _ = KINDS[kind]
    allowed = max(sizes) if kind == "threads" else 1
    measure.pin(allowed)
    needs = NEEDS.get(library, "tapejit")
    importlib.import_module(needs)
    measure.settle(Library(library, None, (needs,)), allowed)
    gc.collect()
    base = measure.reset_peak()
    found = {}
    for size in sizes:
        if size > min(largest, MOST.get((kind, library), math.inf)):
            break
        try:
            found[str(size)] = point(build, library, size, base)
        except Exception as problem:
            found[str(size)] = {"failed": f"{type(problem).__name__}: {problem}"[:200]}
            break
        if 10 * (found[str(size)]["first"] + found[str(size)]["seconds"]) > LIMIT:
            break
    return found


def point(build, library, size, base):
    measure.reset_peak()
    start = time.perf_counter()
    call = build(library, size)
    call()
    first = time.perf_counter() - start
    if first < 1:
        call()  # what is made at the second call only
    once = measure.batch(call, 1)[0]
    memory = max(measure.peak() - base, 0)
    times = [once]
    if once < 1:
        count = max(1, math.ceil(measure.BATCH / once))
        times += [measure.batch(call, count)[0] / count for _ in range(max(3, min(15, int(0.5 / (count * once)))))]
    return {"first": first, "seconds": statistics.median(times), "memory": memory}


def collect(kinds=tuple(KINDS), largest=math.inf):
    """``{kind: {library: {size: point}}}``, each library from a process of its own."""
    from bench.collect import spawn
    from bench.harness import installed

    found = {}
    for kind in kinds:
        _, sizes, libraries = KINDS[kind]
        for library in libraries:
            if not installed(NEEDS.get(library, "tapejit")):
                continue
            allowed = max(sizes) if kind == "threads" else 1
            points = spawn(allowed, "bench.scaling", kind, library, largest)
            found.setdefault(kind, {})[library] = {"all": points} if "failed" in points else points
            print(f"scaling: {kind}, {library}", file=sys.stderr, flush=True)
    return found


def exponent(points, lowest=1_000):
    """The slope of log time over log size by least squares, or None with fewer than two points."""
    chosen = [(int(n), p["seconds"]) for n, p in points.items() if "seconds" in p and int(n) >= lowest]
    if len(chosen) < 2:
        return None
    x, y = np.log(np.array(chosen, dtype=float)).T
    return float(np.polyfit(x, y, 1)[0])


def bytes_each(points):
    """Bytes of memory per element: the rise between the two largest sizes over their difference."""
    chosen = [(int(n), p["memory"]) for n, p in points.items() if "memory" in p]
    if len(chosen) < 2:
        return None
    (n0, m0), (n1, m1) = chosen[-2:]
    return (m1 - m0) / (n1 - n0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    out, kind, library, largest = sys.argv[1:]
    Path(out).write_text(json.dumps(sweep(kind, library, float(largest))))
