"""Lorenz' equations: 1 000 Runge-Kutta steps, derivatives of the last state's square in three states and three parameters."""

import numpy as np

from bench import peers
from bench.harness import Workload

POINT = np.array([1.0, 2.0, 3.0, 10.0, 28.0, 8 / 3])  # state; sigma, rho, beta
STEPS, DT = 1_000, 0.001

work = Workload("Lorenz, 1 000 RK4 steps, 6 gradients", "simulations", tolerance=1e-8, target=3.0)


def step(x, y, z, sigma, rho, beta):
    """One Runge-Kutta step; over the numbers of any library."""

    def slope(x, y, z):
        return sigma * (y - x), x * (rho - z) - y, x * y - beta * z

    def ahead(k, h):
        return x + h * k[0], y + h * k[1], z + h * k[2]

    k1 = slope(x, y, z)
    k2 = slope(*ahead(k1, 0.5 * DT))
    k3 = slope(*ahead(k2, 0.5 * DT))
    k4 = slope(*ahead(k3, DT))
    return tuple(u + DT / 6 * (a + 2 * b + 2 * c + d) for u, a, b, c, d in zip((x, y, z), k1, k2, k3, k4, strict=True))


def simulate(p):
    state, parameters = (p[0], p[1], p[2]), (p[3], p[4], p[5])
    for _ in range(STEPS):
        state = step(*state, *parameters)
    x, y, z = state
    return x * x + y * y + z * z


@work.library("hand", "numba")
def _():
    from bench.problems.lorenz import value_and_gradient

    return lambda: value_and_gradient(POINT)


@work.library("tapejit", "tapejit", form="nopython")
def _():
    from bench.problems.lorenz import lorenz
    from tapejit import nopython

    return peers.replayed(nopython.value_and_grad(lorenz), POINT)


@work.library("tapejit into", "tapejit", form="nopython, dual numbers, into")
def _():
    from bench.problems.lorenz import lorenz
    from tapejit import nopython

    return peers.nopython_into(nopython.value_and_grad(lorenz, mode="dual"), POINT)


@work.library("tapejit eager", "tapejit", form=peers.EAGER, slow=True)
def _():
    import tapejit as tj

    return peers.eager(tj, simulate, [POINT])


@work.library("JAX", "jax", form="jit(value_and_grad) of lax.scan with checkpoint")
def _():
    import jax

    def scanned(p):  # the fastest of seven forms: reverse or forward, unrolled or not, with or without checkpoint
        def body(state, _):
            return jax.checkpoint(step)(*state, *p[3:]), None

        x, y, z = jax.lax.scan(body, (p[0], p[1], p[2]), None, length=STEPS)[0]
        return x * x + y * y + z * z

    return peers.jax(scanned, [POINT])


@work.library("PyTorch", "torch", form=peers.TORCH, slow=True)
def _():
    import torch

    return peers.eager(torch, simulate, [POINT])


@work.library("CasADi", "casadi", form="SX step, mapaccum, generated C, gcc -O3 -march=native, buffer()")
def _():
    import casadi as ca

    state, parameters = ca.SX.sym("x", 3), ca.SX.sym("p", 3)
    one = ca.Function("step", [state, parameters], [ca.vertcat(*step(*ca.vertsplit(state), *ca.vertsplit(parameters)))])
    p = ca.MX.sym("p", 6)
    last = one.mapaccum(STEPS)(p[:3], ca.repmat(p[3:], 1, STEPS))[:, -1]
    value = ca.sumsqr(last)
    return peers.casadi([p], [value, ca.gradient(value, p)], [POINT])


@work.library("ddx", "ddx", form="compiled (36 s), buffer()", slow=True)
def _():
    import ddx

    return peers.ddx(lambda: simulate([ddx.var(f"p{i}") for i in range(6)]), POINT)


@work.library("heyoka", "heyoka", form="taylor_adaptive of the variational equations: its own, adaptive method")
def _():
    import heyoka as hy

    x, y, z = hy.make_vars("x", "y", "z")
    sigma, rho, beta = hy.par[0], hy.par[1], hy.par[2]
    system = [(x, sigma * (y - x)), (y, x * (rho - z) - y), (z, x * y - beta * z)]
    variational = hy.var_ode_sys(system, [x, y, z, sigma, rho, beta], order=1)
    integrator = hy.taylor_adaptive(variational, POINT[:3].tolist(), pars=POINT[3:].tolist(), compact_mode=False)
    start = np.array(integrator.state)
    tangents = integrator.get_vslice(order=1)

    def call():
        integrator.time = 0.0
        integrator.state[:] = start
        integrator.propagate_until(STEPS * DT)
        last = integrator.state[:3]
        return last @ last, 2 * last @ integrator.state[tangents].reshape(3, 6)

    return call


@work.library("autograd", "autograd", form=peers.AUTOGRAD, slow=True)
def _():
    return peers.autograd(simulate, [POINT])


@work.library("XAD", "xad", form=peers.XAD)
def _():
    return peers.xad(simulate, POINT)
