"""Rosenbrock's function: vectorised at three sizes, as a scalar loop, and its second derivatives."""

from functools import cache
from itertools import pairwise

import numpy as np

from bench import peers
from bench.harness import Workload


@cache
def point(n):
    return np.random.default_rng(0).standard_normal(n)


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    return (100 * (b - a**2) ** 2 + (1 - a) ** 2).sum()


def rosenbrock_loop(x):
    total = 0.0
    for i in range(len(x) - 1):
        total = total + 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


def symbolic(x):
    """Over a list of scalars that know ``*`` only: no library has to see through a power."""
    total = None
    for a, b in pairwise(x):
        r, u = b - a * a, 1.0 - a
        term = 100.0 * r * r + u * u
        total = term if total is None else total + term
    return total


def casadi_scalars(n, outputs):
    import casadi as ca

    x, v = ca.SX.sym("x", n), ca.SX.sym("v", n)
    f = symbolic([x[i] for i in range(n)])
    return outputs(ca, f, x, v)


def ddx_model(n):
    import ddx

    return lambda: symbolic([ddx.var(f"x{i}") for i in range(n)])


def heyoka_variables(n):
    import heyoka as hy

    return [hy.expression(f"x{i:05d}") for i in range(n)]


def first_order(n):
    work = Workload(f"Rosenbrock n={n}", "array code", target=1.3)

    @work.library("hand", "numba")
    def _():
        from bench.problems.rosenbrock import value_and_gradient

        x = point(n)
        return lambda: value_and_gradient(x)

    peers.array_code(work, lambda library, module: rosenbrock, lambda: [point(n)])

    if n <= 100:

        @work.library("CasADi", "casadi", form=peers.CASADI)
        def _():
            return casadi_scalars(n, lambda ca, f, x, v: peers.casadi([x], [f, ca.gradient(f, x)], [point(n)]))

        @work.library("ddx", "ddx", form=peers.DDX)
        def _():
            return peers.ddx(ddx_model(n), point(n))

        @work.library("heyoka", "heyoka", form=peers.HEYOKA)
        def _():
            import heyoka as hy

            variables = heyoka_variables(n)
            terms = [100.0 * (b - a * a) ** 2.0 + (1.0 - a) ** 2.0 for a, b in pairwise(variables)]
            return peers.heyoka(hy.sum(terms), variables, point(n))

        @work.library("XAD", "xad", form=peers.XAD)
        def _():
            return peers.xad(symbolic, point(n))

    else:

        @work.library("CasADi", "casadi", form=peers.CASADI_MX)
        def _():
            import casadi as ca

            x = ca.MX.sym("x", n)
            r, u = x[1:] - x[:-1] * x[:-1], 1 - x[:-1]
            f = 100 * ca.dot(r, r) + ca.dot(u, u)
            return peers.casadi([x], [f, ca.gradient(f, x)], [point(n)], compiled=False)

        @work.library("ddx", "ddx", form=peers.DDX_VECTORS)
        def _():
            import ddx

            def model():  # no slices: two packed vectors of the same symbols
                x = [ddx.var(f"x{i}") for i in range(n)]
                a, b = ddx.pack(x[:-1]), ddx.pack(x[1:])
                r, u = b - a * a, 1.0 - a
                return 100.0 * ddx.dot(r, r) + ddx.dot(u, u)

            return peers.ddx(model, point(n), compiled=False)


for _n in (2, 100, 10_000):
    first_order(_n)


loop = Workload("Rosenbrock n=100, scalar loop", "scalar loops", target=1.3)


@loop.library("hand", "numba")
def _():
    from bench.problems.rosenbrock import value_and_gradient

    x = point(100)
    return lambda: value_and_gradient(x)


peers.array_code(loop, lambda library, module: rosenbrock_loop, lambda: [point(100)], without=("JAX",))


@loop.library("tapejit nopython", "tapejit", form=peers.NOPYTHON)
def _():
    from tapejit import nopython

    return peers.replayed(nopython.value_and_grad(rosenbrock_loop), point(100))


@loop.library("JAX", "jax", form="jit(value_and_grad) of lax.fori_loop")
def _():
    import jax

    def f(x):  # the fastest of seven forms: scans unrolled or not, the Python loop, this
        def step(i, total):
            return total + 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2

        return jax.lax.fori_loop(0, 99, step, 0.0)

    return peers.jax(f, [point(100)])


@loop.library("CasADi", "casadi", form=peers.CASADI)
def _():
    return casadi_scalars(100, lambda ca, f, x, v: peers.casadi([x], [f, ca.gradient(f, x)], [point(100)]))


@loop.library("ddx", "ddx", form=peers.DDX)
def _():
    return peers.ddx(ddx_model(100), point(100))


@loop.library("XAD", "xad", form=peers.XAD)
def _():
    return peers.xad(symbolic, point(100))
