"""Gradients in nopython mode against hand-derived ones, all called from compiled code, in one interleaved run.

    python bench/bench_nopython.py [name ...]

Times are the best of several rounds in which the contenders take turns; ratios come from the same run. A gradient is
checked against the hand-derived one before it is timed.
"""

import os
import subprocess
import sys
import tempfile
import time

import nopython_problems as problems
import numpy as np
from numba import njit, prange

from tapejit import nopython

ROUNDS = 15


@njit
def repeat_value(f, n, x):
    total = 0.0
    x0 = x[0]
    for k in range(n):  # the input changes, or the call would leave the loop
        x[0] = x0 * (1.0 + 1e-14 * k)
        total += f(x)
    x[0] = x0
    return total


@njit
def repeat_gradient(f, n, x, g):
    total = 0.0
    x0 = x[0]
    for k in range(n):
        x[0] = x0 * (1.0 + 1e-14 * k)
        total += f(x, g)
    x[0] = x0
    return total


@njit
def repeat_number(f, n, a):
    total = 0.0
    for k in range(n):
        value, slope = f(a * (1.0 + 1e-14 * k))
        total += value + slope
    return total


@njit
def repeat_numbers(f, n, s, k, r, v, t):
    total = 0.0
    for i in range(n):
        value, slopes = f(s * (1.0 + 1e-14 * i), k, r, v, t)
        total += value + slopes[0] + slopes[1] + slopes[2] + slopes[3] + slopes[4]
    return total


def numbers():
    """Functions of plain numbers: mode "auto" takes dual numbers."""
    p = problems
    for name, f, hand, args, runner in (
        ("f(a), a number", p.control_flow_number, p.control_flow_number_hand, (-0.37,), repeat_number),
        ("black-scholes(5)", p.black_scholes_scalars, p.black_scholes_numbers_hand, (100.0, 110.0, 0.03, 0.2, 1.5),
         repeat_numbers),
    ):  # fmt: skip
        g = nopython.value_and_grad(f, argnums=0 if len(args) == 1 else tuple(range(len(args))))
        assert np.allclose(np.hstack(g(*args)), np.hstack(hand(*args)))
        best = best_times({"hand": (runner, hand, *args), "auto": (runner, g, *args)})
        print(f"{name:20s} hand {best['hand'] * 1e9:.1f} ns, gradient {best['auto'] * 1e9:.1f} ns,"
              f" {best['auto'] / best['hand']:.2f}x", flush=True)  # fmt: skip


def once(runner, *args):
    start = time.perf_counter()
    runner(*args)
    return time.perf_counter() - start


def best_times(contenders, seconds=0.01):
    """{name: best time of one call} for {name: (runner, function, *arguments)}, taking turns."""
    loops = {}
    for name, (runner, f, *args) in contenders.items():
        runner(f, 1, *args)
        n = 1
        while True:
            elapsed = min(once(runner, f, n, *args) for _ in range(3))  # one may be interrupted
            if elapsed > seconds / 4:
                break
            n *= 2
        loops[name] = max(1, int(n * seconds / elapsed))
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(ROUNDS):
        for name, (runner, f, *args) in contenders.items():
            best[name] = min(best[name], once(runner, f, loops[name], *args) / loops[name])
    return best


def cases():
    rng = np.random.default_rng(0)
    p = problems
    yield "rosenbrock 100", p.rosenbrock, p.rosenbrock_hand, rng.normal(size=100)
    yield "rosenbrock 10000", p.rosenbrock, p.rosenbrock_hand, rng.normal(size=10_000)
    yield "lorenz 1000 steps", p.lorenz, p.lorenz_hand, np.array([1.0, 2.0, 3.0, 10.0, 28.0, 8 / 3])
    yield "while and if", p.control_flow, p.control_flow_hand, np.array([-0.37])
    yield "black-scholes", p.black_scholes, p.black_scholes_hand, np.array([100.0, 110.0, 0.03, 0.2, 1.5])
    yield "heat 200x100", p.heat, p.heat_hand, rng.normal(size=200)


def main(selected):
    print(f"{'problem':20s} {'primal us':>10s} {'hand us':>9s} {'tape us':>9s} {'dual us':>9s}"
          f" {'tape/hand':>10s} {'tape/primal':>12s} {'dual/hand':>10s} {'first s':>8s}")  # fmt: skip
    for name, f, hand, x in cases():
        if selected and not any(word in name for word in selected):
            continue
        start = time.perf_counter()
        nopython.value_and_grad(f, mode="tape")(x)
        first = time.perf_counter() - start
        tape = nopython.value_and_grad(f, mode="tape").into
        g, expected = np.empty_like(x), np.empty_like(x)
        tape(x, g)
        hand(x, expected)
        assert np.allclose(g, expected, rtol=1e-9, atol=1e-9 * abs(expected).max()), name
        contenders = {
            "primal": (repeat_value, f, x),
            "hand": (repeat_gradient, hand, x, g),
            "tape": (repeat_gradient, tape, x, g),
        }
        if x.size <= 8:
            dual = nopython.value_and_grad(f, mode="dual").into
            dual(x, g)
            assert np.allclose(g, expected, rtol=1e-9), name
            contenders["dual"] = (repeat_gradient, dual, x, g)
        best = best_times(contenders)
        dual_time = best.get("dual", float("nan"))
        print(f"{name:20s} {best['primal'] * 1e6:10.3f} {best['hand'] * 1e6:9.3f} {best['tape'] * 1e6:9.3f}"
              f" {dual_time * 1e6:9.3f} {best['tape'] / best['hand']:10.2f} {best['tape'] / best['primal']:12.2f}"
              f" {dual_time / best['hand']:10.2f} {first:8.2f}", flush=True)  # fmt: skip
    if not selected or "numbers" in selected:
        numbers()
    if not selected or "prange" in selected:
        threads()
    if not selected or "first" in selected:
        first_calls()


_black_scholes_gradient = nopython.value_and_grad(problems.black_scholes, mode="tape").into


def _many(points, gradients, values):
    for k in prange(points.shape[0]):
        values[k] = _black_scholes_gradient(points[k], gradients[k])


def threads(n=10_000):
    """``n`` independent gradients in a serial loop and in prange."""
    serial, parallel = njit(_many), njit(parallel=True)(_many)
    rng = np.random.default_rng(1)
    points = np.array([100.0, 110.0, 0.03, 0.2, 1.5]) * rng.uniform(0.8, 1.2, size=(n, 5))
    gradients, values = np.empty_like(points), np.empty(n)
    best = {serial: float("inf"), parallel: float("inf")}
    for _ in range(20):
        for run in best:
            start = time.perf_counter()
            run(points, gradients, values)
            best[run] = min(best[run], time.perf_counter() - start)
    print(f"prange over {n} gradients: {best[serial] / best[parallel]:.2f}x one thread")


@njit(cache=True)
def trivial(x):
    return x[0] + 1.0


def first_call(what):
    """Run in a process of its own: the seconds of the first calls of ``trivial`` and of Lorenz gradients."""
    x = np.array([1.0, 2.0, 3.0, 10.0, 28.0, 8 / 3])
    f = njit(cache=what == "loaded")(problems.lorenz.py_func)
    gradient = nopython.value_and_grad(f, mode="tape")
    print(once(trivial, x), once(gradient, x))


def first_calls():
    """The first Lorenz gradient of a process; Numba's own start, which any jitted function pays, stands beside it."""
    rounds = (("compiled", "engine compiled too"), ("compiled", "engine cached"), ("loaded", ""),
              ("loaded", "loaded from the cache"))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, NUMBA_CACHE_DIR=folder)
        for what, label in rounds:
            command = [sys.executable, __file__, "first_call", what]
            output = [
                subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
                for _ in range(3 if label in ("engine cached", "loaded from the cache") else 1)
            ]
            if label:
                trivial_time, time_ = np.min([[float(t) for t in line.split()] for line in output], axis=0)
                print(f"first Lorenz gradient, {label}: {time_:.3f} s after {trivial_time:.3f} s for a trivial"
                      " jitted function", flush=True)  # fmt: skip


if __name__ == "__main__" and sys.argv[1:2] == ["first_call"]:
    first_call(sys.argv[2])
elif __name__ == "__main__":
    main(sys.argv[1:])
