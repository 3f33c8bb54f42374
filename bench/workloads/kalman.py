"""A Kalman filter, states of 4, observations of 2, 500 times: the likelihood's gradient in 10 parameters."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

TIMES = 500
work = Workload("Kalman filter, state 4, 500 times", "simulations", reference="PyTorch", tolerance=1e-7)


@cache
def data():
    """logarithms of the 4 + 2 noises' variances and of 4 elements of the transition; observations"""
    rng = np.random.default_rng(0)
    return np.concatenate([np.full(4, -2.0), np.full(2, -1.0), np.full(4, -0.1)]), rng.standard_normal((TIMES, 2)).cumsum(0)


def model(module, theta, float64):
    """F, H, Q, R, the first mean and variance: places and speeds in a plane, both damped, with a drift between them."""
    e = module.exp(theta)
    zero, one = module.zeros((), **float64), module.ones((), **float64)
    F = module.stack([
        module.stack([one, zero, 0.1 * e[6], zero]),
        module.stack([zero, one, zero, 0.1 * e[7]]),
        module.stack([zero, zero, 0.9 * e[8], zero]),
        module.stack([zero, zero, zero, 0.9 * e[9]]),
    ])  # fmt: skip
    H = module.eye(4, **float64)[:2]
    return F, H, module.diag(e[:4]), module.diag(e[4:6]), module.zeros(4, **float64), 10.0 * module.eye(4, **float64)


def update(module, x, P, y, F, H, Q, R):
    """``(x, P, contribution to the likelihood)`` after one observation."""
    x, P = F @ x, F @ P @ F.T + Q
    S = H @ P @ H.T + R
    inverse = module.linalg.inv(S)
    v = y - H @ x
    K = P @ H.T @ inverse
    x, P = x + K @ v, P - K @ H @ P
    return x, P, 0.5 * (v @ (inverse @ v) + module.linalg.slogdet(S)[1])


def likelihood(module):
    def f(theta, ys):
        F, H, Q, R, x, P = model(module, theta, {"dtype": module.float64})
        total = 0.0
        for t in range(TIMES):
            x, P, more = update(module, x, P, ys[t], F, H, Q, R)
            total = total + more
        return total

    return f


@work.library("tapejit", "tapejit", form=peers.REPLAY)
def _():
    import tapejit as tj

    return peers.replayed(tj.value_and_grad(likelihood(tj), compile="now"), *data())


@work.library("tapejit into", "tapejit", form=peers.INTO)
def _():
    import tapejit as tj

    return peers.into(tj.value_and_grad(likelihood(tj), compile="now"), *data())


@work.library("JAX", "jax", form="jit(value_and_grad) of lax.scan")
def _():
    import jax
    import jax.numpy as jnp

    def f(theta, ys):
        F, H, Q, R, x, P = model(jnp, theta, {})

        def body(state, y):
            x, P, more = update(jnp, *state, y, F, H, Q, R)
            return (x, P), more

        return jax.lax.scan(body, (x, P), ys)[1].sum()

    return peers.jax(f, data())


@work.library("PyTorch", "torch", form=peers.TORCH, slow=True)
def _():
    import torch

    return peers.eager(torch, likelihood(torch), data())


@work.library("CasADi", "casadi", form="SX step, mapaccum, generated C, gcc -O3 -march=native, buffer()")
def _():
    import casadi as ca

    x, P, y, theta = ca.SX.sym("x", 4), ca.SX.sym("P", 4, 4), ca.SX.sym("y", 2), ca.SX.sym("t", 10)
    e = ca.exp(theta)
    F = ca.SX.eye(4)
    F[0, 2], F[1, 3], F[2, 2], F[3, 3] = 0.1 * e[6], 0.1 * e[7], 0.9 * e[8], 0.9 * e[9]
    H = ca.SX.eye(4)[:2, :]
    ahead, spread = F @ x, F @ P @ F.T + ca.diag(e[:4])
    S = H @ spread @ H.T + ca.diag(e[4:6])
    v, gain = y - H @ ahead, spread @ H.T @ ca.inv(S)
    more = 0.5 * (ca.dot(v, ca.inv(S) @ v) + ca.log(ca.det(S)))
    after = spread - gain @ H @ spread
    state = ca.vertcat(ca.vec(P), x, ca.SX.sym("total"))
    one = ca.Function("step", [state, y, theta], [ca.vertcat(ca.vec(after), ahead + gain @ v, state[-1] + more)])
    t, ys = ca.MX.sym("t", 10), ca.MX.sym("y", 2, TIMES)
    start = ca.DM.zeros(21)
    start[:16] = ca.vec(10.0 * ca.DM.eye(4))
    value = one.mapaccum(TIMES)(start, ys, ca.repmat(t, 1, TIMES))[-1, -1]
    theta0, observed = data()
    return peers.casadi([t, ys], [value, ca.gradient(value, t)], [theta0, observed.T])
