"""An equilibrium of 50 unknowns and its gradient in 50 parameters: by the implicit function theorem, and by differentiating
the iterations that find it, as people write them: the map repeated until it stands still, or Newton steps with Jacobians by
automatic differentiation. All three are found to the same tolerance and checked against the same numbers.
"""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

N, TOLERANCE = 50, 1e-10
REPEATED, STEPS = 240, 6  # for those that cannot stop by themselves: what the others take until they stop


@cache
def data():
    """a, A, B: the map contracts by 0.9 each time it is applied."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, N, N)) / np.sqrt(N)
    return rng.standard_normal(N), A, B * (0.9 / np.abs(np.linalg.eigvals(B)).max())


def reference():
    from bench.problems.equilibrium import value_and_gradient

    return value_and_gradient(*data())


NOTE = "Solved and differentiated in each call."
implicit = Workload("equilibrium of 50, implicit", "array code", tolerance=1e-7, note=NOTE)
repeated = Workload("equilibrium of 50, iterations unrolled", "array code", reference, tolerance=1e-7, note=NOTE)
newton = Workload("equilibrium of 50, Newton unrolled", "array code", reference, tolerance=1e-7, note=NOTE)


@implicit.library("hand", "numba", form="Newton's method, one transposed system")
def _():
    from bench.problems.equilibrium import value_and_gradient

    return lambda: value_and_gradient(*data())


def image(tanh):
    return lambda x, a, A, B: B @ x + a - 0.1 * tanh(A @ x)


def until_still(module, start):
    """The sum of squares of the point where the map stands still, by repeating it until it does."""
    mapped = image(module.tanh)

    def value(a, A, B):
        x = start
        while True:
            before, x = x, mapped(x, a, A, B)
            if (x - before).detach().abs().max() < TOLERANCE:
                return (x * x).sum()

    return value


def by_newton(module, start, jacobian):
    """The same by Newton steps with the library's Jacobian."""
    mapped = image(module.tanh)

    def gap(x, *given):
        return x - mapped(x, *given)

    slopes = jacobian(gap)

    def value(a, A, B):
        x = start
        while True:
            step = module.linalg.solve(slopes(x, a, A, B), gap(x, a, A, B))
            x = x - step
            if step.detach().abs().max() < TOLERANCE:
                return (x * x).sum()

    return value


@implicit.library("tapejit", "tapejit", form="implicit.fixed_point")
def _():
    import tapejit as tj

    mapped = image(tj.tanh)

    def value(a, A, B):
        x = tj.implicit.fixed_point(mapped, np.zeros(N), a, A, B, tol=TOLERANCE, order=1)
        return (x * x).sum()

    return peers.replayed(tj.value_and_grad(value, compile="now"), *data())


@repeated.library("tapejit", "tapejit", form=peers.REPLAY)
def _():
    import tapejit as tj

    return peers.replayed(tj.value_and_grad(until_still(tj, tj.zeros(N)), compile="now"), *data())


@newton.library("tapejit", "tapejit", form="value_and_grad, jacobian")
def _():
    import tapejit as tj

    return peers.replayed(tj.value_and_grad(by_newton(tj, tj.zeros(N), tj.jacobian), compile="now"), *data())


@repeated.library("PyTorch", "torch", form=peers.TORCH)
def _():
    import torch

    return peers.eager(torch, until_still(torch, torch.zeros(N, dtype=torch.float64)), data())


@newton.library("PyTorch", "torch", form="eager, backward(), func.jacrev")
def _():
    import torch

    return peers.eager(torch, by_newton(torch, torch.zeros(N, dtype=torch.float64), torch.func.jacrev), data())


@implicit.library("JAX", "jax", form="jit(value_and_grad), lax.custom_root")
def _():
    import jax
    import jax.numpy as jnp

    mapped = image(jnp.tanh)

    def solve(gap, start):
        def advance(state):
            x, _ = state
            step = jnp.linalg.solve(jax.jacfwd(gap)(x), gap(x))
            return x - step, jnp.abs(step).max()

        return jax.lax.while_loop(lambda state: state[1] > TOLERANCE, advance, (start, jnp.inf))[0]

    def tangent(linear, y):
        return jnp.linalg.solve(jax.jacfwd(linear)(y), y)

    def value(a, A, B):
        x = jax.lax.custom_root(lambda x: x - mapped(x, a, A, B), jnp.zeros(N), solve, tangent)
        return (x * x).sum()

    return peers.jax(value, data())


@repeated.library("JAX", "jax", form=f"jit(value_and_grad) of lax.scan, {REPEATED} times")
def _():
    import jax
    import jax.numpy as jnp

    mapped = image(jnp.tanh)

    def value(a, A, B):
        x = jax.lax.scan(lambda x, _: (mapped(x, a, A, B), None), jnp.zeros(N), None, length=REPEATED)[0]
        return (x * x).sum()

    return peers.jax(value, data())


@newton.library("JAX", "jax", form=f"jit(value_and_grad) of lax.scan, jacfwd, {STEPS} times")
def _():
    import jax
    import jax.numpy as jnp

    mapped = image(jnp.tanh)

    def value(a, A, B):
        def gap(x):
            return x - mapped(x, a, A, B)

        x = jax.lax.scan(
            lambda x, _: (x - jnp.linalg.solve(jax.jacfwd(gap)(x), gap(x)), None), jnp.zeros(N), None, length=STEPS
        )[0]
        return (x * x).sum()

    return peers.jax(value, data())
