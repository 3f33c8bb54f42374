"""One eager gradient: build the graph, sweep it, have the gradients. tapejit and PyTorch on the same problems.

    python bench/bench_eager.py                 a table: interleaved rounds, medians, ratios
    python bench/bench_eager.py chain mlp       the rows whose names contain one of the words
    python -m pytest bench/bench_eager.py       the same under pytest-benchmark, peers side by side

Each problem is written once, over the module ``T`` (``tapejit`` or ``torch``), float64, one thread; before anything is
timed, the gradients of both are compared with each other, or with closed forms where PyTorch is absent. A round times both
libraries one after the other; the ratio is the median of the rounds' ratios, so that a slow moment of the machine
falls on both.
"""

import argparse
import contextlib
import gc
import importlib
import os
import statistics
import time

import numpy as np
import pytest

LIBRARIES = ("tapejit", "torch")


@contextlib.contextmanager
def one_thread():
    """One thread for PyTorch and, if threadpoolctl is there, for BLAS (else set OPENBLAS_NUM_THREADS=1 yourself)."""
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
            print("threadpoolctl is not installed and OPENBLAS_NUM_THREADS is not 1: BLAS may use several threads")
        yield
        return
    import scipy.linalg  # noqa: F401 - its BLAS must be loaded to be limited

    with threadpool_limits(1, user_api="blas"):
        yield


# --- problems: each takes a module and gives a function without arguments that returns the gradients ---------------------


def leaf(T, array):
    return T.tensor(array, dtype=T.float64, requires_grad=True)


def gradients(leaves):
    """The gradients, taken away from the leaves."""
    found = [x.grad for x in leaves]
    for x in leaves:
        x.grad = None
    return found


def chain(T):
    """1 000 times z = z * y on 4-element tensors."""
    x, y = leaf(T, [1.0, 2.0, 3.0, 4.0]), leaf(T, [0.999, 1.0, 1.001, 1.002])
    seed = T.ones(4, dtype=T.float64)

    def run():
        z = x
        for _ in range(1_000):
            z = z * y
        z.backward(seed)
        return gradients((x, y))

    return run


def tiny(T):
    """BurTorch's tiny task, build and backward once."""

    def run():
        a = T.tensor(-41.0, dtype=T.float64, requires_grad=True)
        b = T.tensor(2.0, dtype=T.float64, requires_grad=True)
        c = a + b
        d = a * b + b**3
        e = c - d
        f = e**2
        g = f / 2
        g.backward()
        return [a.grad, b.grad]

    return run


def rosenbrock(n):
    def problem(T):
        x = leaf(T, np.linspace(-1.0, 2.0, n))

        def run():
            a, b = x[:-1], x[1:]
            (100 * (b - a**2) ** 2 + (1 - a) ** 2).sum().backward()
            return gradients((x,))

        return run

    problem.__doc__ = f"Rosenbrock's function of {n} variables, vectorised."
    return problem


def mlp_small(T):
    """MLP 10-32-1, tanh, mean squared error, batch 32."""
    rng = np.random.default_rng(0)
    x, y = (T.tensor(rng.normal(size=(32, n)), dtype=T.float64) for n in (10, 1))
    weights = [leaf(T, rng.normal(size=s) / np.sqrt(s[0])) for s in ((10, 32), (32,), (32, 1), (1,))]

    def run():
        w1, b1, w2, b2 = weights
        ((T.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).mean().backward()
        return gradients(weights)

    return run


def mlp_large(T):
    """MLP 784-128-10, relu, softmax cross-entropy, batch 128."""
    rng = np.random.default_rng(0)
    x = T.tensor(rng.normal(size=(128, 784)), dtype=T.float64)
    labels, rows = T.tensor(rng.integers(0, 10, 128)), T.arange(128)
    weights = [leaf(T, rng.normal(size=s) / np.sqrt(s[0])) for s in ((784, 128), (128,), (128, 10), (10,))]

    def run():
        w1, b1, w2, b2 = weights
        scores = (T.relu(x @ w1 + b1) @ w2 + b2).log_softmax(1)
        (-scores[rows, labels].mean()).backward()
        return gradients(weights)

    return run


def logistic(n, features):
    def problem(T):
        rng = np.random.default_rng(0)
        x = T.tensor(rng.normal(size=(n, features)), dtype=T.float64)
        y = T.tensor(np.sign(rng.normal(size=n)), dtype=T.float64)
        w = leaf(T, rng.normal(size=features) / np.sqrt(features))

        def run():
            softplus(T)(-y * (x @ w)).mean().backward()
            return gradients((w,))

        return run

    problem.__doc__ = f"Logistic regression, {n} x {features}."
    return problem


def softplus(T):
    return T.nn.functional.softplus if T.__name__ == "torch" else T.softplus


# name: (problem, calls per timing, times faster than PyTorch that we want)
CASES = {
    "chain of 1 000 products, 4 elements": (chain, 5, 10),
    "BurTorch's tiny task": (tiny, 500, 10),
    "Rosenbrock n=100": (rosenbrock(100), 200, 5),
    "MLP 10-32-1, batch 32": (mlp_small, 200, 5),
    "logistic regression 1 000 x 20": (logistic(1_000, 20), 200, None),
    "Rosenbrock n=10 000": (rosenbrock(10_000), 50, 1),
    "MLP 784-128-10, batch 128": (mlp_large, 10, 1),
    "logistic regression 100 000 x 50": (logistic(100_000, 50), 3, 1),
}


# --- closed forms, for when there is no PyTorch to compare with ---------------------------------------------------------

KNOWN = {
    "BurTorch's tiny task": [-35.0, 1050.0],
    "chain of 1 000 products, 4 elements": [
        np.array([0.999, 1.0, 1.001, 1.002]) ** 1_000,
        np.array([1.0, 2.0, 3.0, 4.0]) * 1_000 * np.array([0.999, 1.0, 1.001, 1.002]) ** 999,
    ],
}


def check(name, found, expected=None):
    expected = KNOWN.get(name) if expected is None else expected
    for g, e in zip(found, expected or found, strict=True):
        np.testing.assert_allclose(np.asarray(g), np.asarray(e), rtol=1e-9, atol=1e-12, err_msg=name)


def available():
    return [name for name in LIBRARIES if importlib.util.find_spec(name)]


# --- pytest-benchmark -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", CASES)
def test_eager_gradient(benchmark, name, library):
    T = pytest.importorskip(library, reason=f"{library} is not installed: nothing to compare with")
    problem, calls, _ = CASES[name]
    run = problem(T)
    expected = None
    if library == "tapejit" and "torch" in available():
        expected = [g.numpy() for g in problem(importlib.import_module("torch"))()]
    check(name, run(), expected)
    benchmark.group = name
    benchmark.pedantic(run, rounds=20, iterations=max(calls // 10, 1), warmup_rounds=2)


# --- the table --------------------------------------------------------------------------------------------------------


def seconds_per_call(run, calls):
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def measure(name, rounds, libraries):
    """{library: median seconds}, and the median of the rounds' ratios to tapejit."""
    problem, calls, _ = CASES[name]
    runs = {library: problem(importlib.import_module(library)) for library in libraries}
    first = {library: run() for library, run in runs.items()}
    check(name, first["tapejit"], first.get("torch"))
    for run in runs.values():
        seconds_per_call(run, calls)
    times = {library: [] for library in libraries}
    gc.collect()
    for _ in range(rounds):
        for library, run in runs.items():
            times[library].append(seconds_per_call(run, calls))
    medians = {library: statistics.median(t) for library, t in times.items()}
    peer = next((library for library in libraries if library != "tapejit"), None)
    ratio = peer and statistics.median(p / t for p, t in zip(times[peer], times["tapejit"], strict=True))
    return medians, ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="rows whose names contain one of these")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    libraries = available()
    if "torch" not in libraries:
        print("PyTorch is not installed: tapejit's own times only")
    names = [n for n in CASES if not arguments.words or any(w.lower() in n.lower() for w in arguments.words)]
    print(f"| one eager gradient, float64, one thread | {' | '.join(f'{m} µs' for m in libraries)} | times faster | wanted |")
    print("|---|" + "---|" * (len(libraries) + 2))
    with one_thread():
        for name in names:
            medians, ratio = measure(name, arguments.rounds, libraries)
            cells = " | ".join(f"{medians[m] * 1e6:,.2f}" for m in libraries)
            wanted = CASES[name][2]
            print(f"| {name} | {cells} | {f'{ratio:.2f}' if ratio else '-'} | {wanted or '-'} |", flush=True)


if __name__ == "__main__":
    main()
