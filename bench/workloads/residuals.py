"""Least squares: the Jacobian of the residuals of a decay in its three parameters, and a step of 10 000 small fits."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

TRUE = np.array([2.0, 0.7, 0.5])
FITS, POINTS = 10_000, 20


@cache
def observations(m):
    """parameters, places, observations"""
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 4.0, m)
    return TRUE * 1.1, x, TRUE[0] * np.exp(-TRUE[1] * x) + TRUE[2] + 0.05 * rng.standard_normal(m)


@cache
def data_sets():
    """parameters and observations of each set, places of all"""
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 4.0, POINTS)
    ps = TRUE * rng.uniform(0.7, 1.3, (FITS, 3))
    ys = ps[:, :1] * np.exp(-ps[:, 1:2] * x) + ps[:, 2:] + 0.05 * rng.standard_normal((FITS, POINTS))
    return ps * rng.uniform(0.9, 1.1, (FITS, 3)), ys, x


def residuals(module):
    return lambda p, x, y: p[0] * module.exp(-p[1] * x) + p[2] - y


def jacobians(m):
    work = Workload(f"Jacobian of {m:,} residuals in 3 parameters".replace(",", " "), "many derivatives", target=1.3)

    @work.library("hand", "numba")
    def _():
        from bench.problems.residuals import jacobian

        p, x, _ = observations(m)
        return lambda: jacobian(p, x)

    @work.library("tapejit", "tapejit", form="jacobian")
    def _():
        import tapejit as tj

        return peers.replayed(tj.jacobian(residuals(tj), compile="now"), *observations(m))

    @work.library("tapejit into", "tapejit", form="jacobian, into")
    def _():
        import tapejit as tj

        g, arguments, out = tj.jacobian(residuals(tj), compile="now"), observations(m), np.empty((m, 3))
        g(*arguments)
        return lambda: g.into(*arguments, out)

    @work.library("JAX", "jax", form="jit(jacfwd), device arrays")
    def _():
        import jax
        import jax.numpy as jnp

        return peers.jax(residuals(jnp), observations(m), transform=jax.jacfwd)

    @work.library("PyTorch", "torch", form="func.jacfwd")
    def _():
        import torch

        function, arguments = torch.func.jacfwd(residuals(torch)), [torch.tensor(a) for a in observations(m)]
        return lambda: function(*arguments)

    @work.library("CasADi", "casadi", form="SX, map, generated C, gcc -O3 -march=native, buffer()")
    def _():
        import casadi as ca

        p, x, y = ca.SX.sym("p", 3), ca.SX.sym("x"), ca.SX.sym("y")
        one = ca.Function("f", [p, x, y], [ca.jacobian(residuals(ca)([p[0], p[1], p[2]], x, y), p).T])
        q, xs, ys = ca.MX.sym("p", 3), ca.MX.sym("x", 1, m), ca.MX.sym("y", 1, m)
        call = peers.casadi([q, xs, ys], [one.map(m)(ca.repmat(q, 1, m), xs, ys)], observations(m))
        return lambda: call()[0].T


for _m in (100, 10_000, 1_000_000):
    jacobians(_m)

fits = Workload("Gauss-Newton step of 10 000 fits, 3 parameters", "many derivatives", per=FITS, tolerance=1e-7)
fits.note = "Each of the fits has data of its own, 20 points; the time is that of one fit."


def step(jacobian, solve, residual):
    def function(p, y, x):
        r, J = residual(p, x, y), jacobian(p, x, y)
        return p - solve(J.T @ J, J.T @ r)

    return function


@fits.library("hand", "numba")
def _():
    from bench.problems.residuals import steps

    ps, ys, x = data_sets()
    return lambda: steps(ps, x, ys)


@fits.library("tapejit", "tapejit", form="vmap of a step with jacobian and solve")
def _():
    import tapejit as tj

    f = residuals(tj)
    g = tj.vmap(step(tj.jacobian(f), tj.linalg.solve, f), in_axes=(0, 0, None), compile="now")
    return peers.replayed(g, *data_sets())


@fits.library("JAX", "jax", form="jit(vmap) of a step with jacfwd and solve")
def _():
    import jax
    import jax.numpy as jnp

    f = residuals(jnp)
    one = step(jax.jacfwd(f), jnp.linalg.solve, f)
    return peers.jax(one, data_sets(), transform=lambda f, _: jax.vmap(f, in_axes=(0, 0, None)))


@fits.library("PyTorch", "torch", form="func.vmap of a step with func.jacfwd and solve")
def _():
    import torch

    f = residuals(torch)
    one = step(torch.func.jacfwd(f), torch.linalg.solve, f)
    function, arguments = torch.func.vmap(one, in_dims=(0, 0, None)), [torch.tensor(a) for a in data_sets()]
    return lambda: function(*arguments)
