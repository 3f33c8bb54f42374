"""A heat equation with a cubic sink, 200 points, 100 explicit steps: the gradient in the initial state."""

import numpy as np

from bench import peers
from bench.harness import Workload

N, STEPS = 200, 100
START = np.random.default_rng(0).normal(size=N)

work = Workload("heat equation, 200 points, 100 steps", "simulations")


def change(u):
    """What a step adds to the inner points."""
    return 0.1 * (u[:-2] - 2.0 * u[1:-1] + u[2:]) - 0.01 * u[1:-1] ** 3


@work.library("hand", "numba")
def _():
    from bench.problems.heat import value_and_gradient

    return lambda: value_and_gradient(START)


def build(library, module):
    """Array code; the borders stay as they are."""
    join = {"tapejit": "cat", "torch": "cat"}.get(library, "concatenate")

    def simulate(u):
        for _ in range(STEPS):
            u = getattr(module, join)((u[:1], u[1:-1] + change(u), u[-1:]))
        return (u * u).sum() if library != "autograd" else module.sum(u * u)

    return simulate


peers.array_code(work, build, lambda: [START], without=("JAX",))


@work.library("tapejit nopython", "tapejit", form="nopython, into")
def _():
    from bench.problems.heat import heat
    from tapejit import nopython

    return peers.nopython_into(nopython.value_and_grad(heat), START)


@work.library("JAX", "jax", form="jit(value_and_grad) of lax.scan")
def _():
    import jax
    import jax.numpy as jnp

    def simulate(u):  # pad is the fastest of pad, concatenate and at[]; checkpoint and unrolling are slower
        u = jax.lax.scan(lambda u, _: (u + jnp.pad(change(u), 1), None), u, None, length=STEPS)[0]
        return (u * u).sum()

    return peers.jax(simulate, [START])


@work.library("CasADi", "casadi", form="SX step, mapaccum, generated C, gcc -O3 -march=native, buffer()")
def _():
    import casadi as ca

    u = ca.SX.sym("u", N)
    inner = u[1:-1] + 0.1 * (u[:-2] - 2 * u[1:-1] + u[2:]) - 0.01 * u[1:-1] * u[1:-1] * u[1:-1]
    one = ca.Function("step", [u], [ca.vertcat(u[0], inner, u[-1])])
    start = ca.MX.sym("u", N)
    value = ca.sumsqr(one.mapaccum(STEPS)(start)[:, -1])
    return peers.casadi([start], [value, ca.gradient(value, start)], [START])
