"""Gradients called from compiled code, 1 000 times in a loop; and many of them on two threads."""

import importlib

import numpy as np

from bench.harness import Workload
from bench.workloads.black_scholes import ALL, OPTION
from bench.workloads.black_scholes import build as build_price
from bench.workloads.control_flow import POINT, scalar
from bench.workloads.control_flow import f as seed_function
from bench.workloads.eager import tiny
from bench.workloads.rosenbrock import point, rosenbrock, rosenbrock_loop

CALLS = 1_000  # as in bench.problems.inside
GROUP = "inside compiled code"


def inside(name):
    return Workload(f"{name}, inside njit", GROUP, tolerance=1e-8, per=CALLS, target=1.5)


def array_rows(n):
    work = inside(f"Rosenbrock n={n}")

    def entered(runner, f):
        x, g = point(n).copy(), np.empty(n)
        return lambda: (runner(f, x, g), g)

    @work.library("hand", "numba")
    def _():
        from bench.problems.inside import on_array
        from bench.problems.rosenbrock import gradient_into

        return entered(on_array, gradient_into)

    @work.library("tapejit", "tapejit", form="replayed, nopython_into")
    def _():
        import tapejit as tj
        from bench.problems.inside import on_array_pair

        function = tj.value_and_grad(rosenbrock, compile="now")
        function(point(n))
        return entered(on_array_pair, function.nopython_into)

    @work.library("tapejit nopython", "tapejit", form="nopython, into")
    def _():
        from bench.problems.inside import on_array
        from tapejit import nopython

        return entered(on_array, nopython.value_and_grad(rosenbrock_loop).into)


def number_rows(name, runner, hand, arguments, argnums, replay, loop):
    """Functions of numbers; ``hand()`` is the gradient, ``replay()`` is to be recorded, ``loop()`` for nopython."""
    work = inside(name)

    def entered(f):
        from bench.problems import inside as runners

        run = getattr(runners, runner)
        return lambda: run(f, *arguments)

    @work.library("hand", "numba")
    def _():
        return entered(hand())

    @work.library("tapejit", "tapejit", form="replayed, nopython")
    def _():
        import tapejit as tj

        function = tj.value_and_grad(replay(), argnums, compile="now")
        function(*arguments)
        return entered(function.nopython)

    @work.library("tapejit nopython", "tapejit", form="nopython")
    def _():
        from tapejit import nopython

        return entered(nopython.value_and_grad(loop(), argnums=argnums))


def problem(module, name):
    """From bench.problems, when it is asked for: its modules import Numba."""
    return lambda: getattr(importlib.import_module(f"bench.problems.{module}"), name)


def price():
    import tapejit as tj

    return build_price("tapejit", tj)


for _n in (100, 10_000):
    array_rows(_n)
number_rows("value-dependent while and if", "on_number", problem("control_flow", "f_and_slope"), (POINT,), 0,
            lambda: seed_function, lambda: scalar)  # fmt: skip
number_rows("BurTorch's tiny task", "on_pair", problem("tiny", "value_and_gradient"), (-41.0, 2.0), (0, 1),
            lambda: tiny, lambda: tiny)  # fmt: skip
number_rows("Black-Scholes, one option", "on_five", problem("black_scholes", "price_and_greeks"), OPTION, ALL,
            price, problem("black_scholes", "price"))  # fmt: skip


threads = Workload("Black-Scholes, 100 000 options one by one, prange", GROUP, threads=2, tolerance=1e-8)


def books():
    rng = np.random.default_rng(1)
    return np.array(OPTION) * rng.uniform(0.8, 1.2, size=(100_000, 5))


def spread(gradient):
    from bench.problems.prange import runner

    points = books()
    run, out, values = runner(gradient), np.empty_like(points), np.empty(len(points))

    def call():
        run(points, values, out)
        return values, out

    return call


@threads.library("hand", "numba")
def _():
    from bench.problems.black_scholes import price_and_greeks

    return spread(price_and_greeks)


@threads.library("tapejit nopython", "tapejit", form="nopython, dual numbers")
def _():
    from bench.problems.black_scholes import price
    from tapejit import nopython

    return spread(nopython.value_and_grad(price, argnums=ALL))


@threads.library("tapejit", "tapejit", form="nopython, tape")
def _():
    from bench.problems.black_scholes import price
    from tapejit import nopython

    return spread(nopython.value_and_grad(price, argnums=ALL, mode="tape"))
