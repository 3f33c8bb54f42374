"""Direct shooting: a cart with a pole under 100 forces, one Runge-Kutta step for each; the gradient in the forces."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

STEPS, DT = 100, 0.02
CART, POLE, LENGTH, GRAVITY = 1.0, 0.3, 0.5, 9.81
START = (0.0, 0.1, 0.0, 0.0)  # place, angle, speed, turning

work = Workload("cart and pole, 100 steps of shooting", "simulations", reference="PyTorch")


@cache
def forces():
    return np.random.default_rng(0).standard_normal(STEPS)


def step(module, state, force):
    """One Runge-Kutta step; over the numbers of any library."""

    def slope(place, angle, speed, turning):
        s, c = module.sin(angle), module.cos(angle)
        below = CART + POLE * (1 - c * c)
        straight = (LENGTH * POLE * s * turning * turning + force + POLE * GRAVITY * c * s) / below
        around = -(LENGTH * POLE * c * s * turning * turning + force * c + (CART + POLE) * GRAVITY * s) / (LENGTH * below)
        return speed, turning, straight, around

    def ahead(k, h):
        return [u + h * v for u, v in zip(state, k, strict=True)]

    k1 = slope(*state)
    k2 = slope(*ahead(k1, 0.5 * DT))
    k3 = slope(*ahead(k2, 0.5 * DT))
    k4 = slope(*ahead(k3, DT))
    return tuple(u + DT / 6 * (a + 2 * b + 2 * c + d) for u, a, b, c, d in zip(state, k1, k2, k3, k4, strict=True))


def cost(state):
    place, angle, speed, turning = state
    return place * place + 10.0 * angle * angle + 0.1 * (speed * speed + turning * turning)


def simulate(module, start):
    def f(u):
        state, total = start, 0.0
        for k in range(STEPS):
            total = total + 0.01 * u[k] * u[k] + DT * cost(state)
            state = step(module, state, u[k])
        return total + cost(state)

    return f


@work.library("tapejit", "tapejit", form=peers.REPLAY)
def _():
    import tapejit as tj

    return peers.replayed(tj.value_and_grad(simulate(tj, tuple(map(tj.tensor, START))), compile="now"), forces())


@work.library("tapejit into", "tapejit", form=peers.INTO)
def _():
    import tapejit as tj

    return peers.into(tj.value_and_grad(simulate(tj, tuple(map(tj.tensor, START))), compile="now"), forces())


@work.library("JAX", "jax", form="jit(value_and_grad) of lax.scan")
def _():
    import jax
    import jax.numpy as jnp

    def f(u):
        def body(carry, force):
            state, total = carry
            return (step(jnp, state, force), total + 0.01 * force * force + DT * cost(state)), None

        state, total = jax.lax.scan(body, (tuple(map(jnp.float64, START)), 0.0), u)[0]
        return total + cost(state)

    return peers.jax(f, [forces()])


@work.library("PyTorch", "torch", form=peers.TORCH, slow=True)
def _():
    import torch

    start = tuple(torch.tensor(v, dtype=torch.float64) for v in START)
    return peers.eager(torch, simulate(torch, start), [forces()])


@work.library("CasADi", "casadi", form="SX step, mapaccum, generated C, gcc -O3 -march=native, buffer()")
def _():
    import casadi as ca

    state, force = ca.SX.sym("x", 5), ca.SX.sym("u")
    before = ca.vertsplit(state)
    more = before[4] + 0.01 * force * force + DT * cost(before[:4])
    one = ca.Function("step", [state, force], [ca.vertcat(*step(ca, before[:4], force), more)])
    u = ca.MX.sym("u", STEPS)
    last = ca.vertsplit(one.mapaccum(STEPS)(ca.DM([*START, 0.0]), u.T)[:, -1])
    value = last[4] + cost(last[:4])
    return peers.casadi([u], [value, ca.gradient(value, u)], [forces()])
