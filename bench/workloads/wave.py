"""The wave equation on a square of 64 x 64 points, 100 steps: the gradient in the field at the beginning."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

N, STEPS = 64, 100
work = Workload("wave equation, 64 x 64 points, 100 steps", "simulations", reference="PyTorch")


@cache
def start():
    return np.random.default_rng(0).standard_normal((N, N))


def ahead(pad, u, before):
    """The next field; the border stays at zero."""
    inner = u[1:-1, 1:-1]
    curvature = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * inner
    return pad(2.0 * inner - before[1:-1, 1:-1] + 0.1 * curvature)


def build(library, module):
    if library in ("tapejit", "torch"):

        def pad(x):
            return module.nn.functional.pad(x, (1, 1, 1, 1))
    else:

        def pad(x):
            return module.pad(x, 1)

    def simulate(u):
        before = u
        for _ in range(STEPS):
            before, u = u, ahead(pad, u, before)
        return module.sum(u * u)

    return simulate


peers.array_code(work, build, lambda: [start()], without=("JAX", "autograd"))  # autograd has no derivative of pad


@work.library("tapejit nopython", "tapejit", form="nopython, nested loops, into")
def _():
    from bench.problems.wave import wave
    from tapejit import nopython

    return peers.nopython_into(nopython.value_and_grad(wave), start())


@work.library("JAX", "jax", form="jit(value_and_grad) of lax.scan")
def _():
    import jax
    import jax.numpy as jnp

    def simulate(u):
        def body(state, _):
            before, u = state
            return (u, ahead(lambda x: jnp.pad(x, 1), u, before)), None

        u = jax.lax.scan(body, (u, u), None, length=STEPS)[0][1]
        return (u * u).sum()

    return peers.jax(simulate, [start()])
