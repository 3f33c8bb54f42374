"""Rosenbrock's function: vectorised at three sizes, and as a scalar loop."""

from functools import cache

import numpy as np

from bench.harness import Workload


@cache
def point(n):
    return np.random.default_rng(0).standard_normal(n)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rows(n):
    work = Workload(f"Rosenbrock n={n}", "array code")

    @work.library("hand", needs="numba")
    def _():
        from bench.problems.rosenbrock import value_and_gradient

        x = point(n)
        return lambda: value_and_gradient(x)

    @work.library("tapejit", needs="tapejit", form="value_and_grad")
    def _():
        import tapejit as tj

        g, x = tj.value_and_grad(rosenbrock, compile="now"), point(n)
        return lambda: g(x)


for n in (2, 100, 10_000):
    rows(n)
