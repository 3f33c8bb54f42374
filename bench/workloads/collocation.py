"""Optimal control of a cart with a pole by direct collocation: the sparse Jacobian of the steps, the Hessian of the Lagrangian.

The equations are Kelly's (SIAM Review 59, 2017, section 6), by trapezoids; states and forces at all times are one vector.
"""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

CART, POLE, LENGTH, GRAVITY = 1.0, 0.3, 0.5, 9.81
DURATION = 2.0


def steps(module, z, n):
    """What the trapezoids are wrong by; over the vectors of any library."""
    place, angle, speed, turning, force = (z[k * n : (k + 1) * n] for k in range(5))
    s, c = module.sin(angle), module.cos(angle)
    below = CART + POLE * (1 - c * c)
    straight = (LENGTH * POLE * s * turning * turning + force + POLE * GRAVITY * c * s) / below
    around = -(LENGTH * POLE * c * s * turning * turning + force * c + (CART + POLE) * GRAVITY * s) / (LENGTH * below)
    h = DURATION / (n - 1)
    pairs = (place, speed), (angle, turning), (speed, straight), (turning, around)
    return [value[1:] - value[:-1] - 0.5 * h * (slope[1:] + slope[:-1]) for value, slope in pairs]


@cache
def point(n):
    """states and forces, multipliers"""
    rng = np.random.default_rng(0)
    return rng.standard_normal(5 * n), rng.standard_normal(4 * (n - 1))


def of_tapejit(n):
    import tapejit as tj

    def constraints(z):
        return tj.cat(steps(tj, z, n))

    def lagrangian(z, multipliers):
        force = z[4 * n :]
        return (force * force).sum() + (multipliers * constraints(z)).sum()

    return tj, constraints, lagrangian


def of_casadi(n):
    import casadi as ca

    z, multipliers = ca.SX.sym("z", 5 * n), ca.SX.sym("m", 4 * (n - 1))
    constraints = ca.vertcat(*steps(ca, z, n))
    return ca, z, multipliers, constraints, ca.sumsqr(z[4 * n :]) + ca.dot(multipliers, constraints)


def probed(matrix):
    """A sparse matrix by its products with a vector from either side, for the comparison."""
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal(matrix.shape[0]), rng.standard_normal(matrix.shape[1])
    return matrix @ right, matrix.T @ left


def by_casadi(n, order, compiled):
    """CasADi's Jacobian (order 1) or Hessian (order 2)."""
    ca, z, multipliers, constraints, lagrangian = of_casadi(n)
    if order == 1:
        call = peers.casadi([z], [ca.jacobian(constraints, z)], point(n)[:1], compiled)
    else:
        call = peers.casadi([z, multipliers], [ca.hessian(lagrangian, z)[0]], point(n), compiled)
    call.dense = lambda: probed(call.sparse())
    return call


def interpreted(n, order):
    """The numbers that the others are to give."""
    call = by_casadi(n, order, compiled=False)
    call()
    return call.dense()


def by_tapejit(n, order):
    """``(function, arguments)``"""
    tj, constraints, lagrangian = of_tapejit(n)
    if order == 1:
        return tj.sparse_jacobian(constraints, compile="now"), point(n)[:1]
    return tj.sparse_hessian(lagrangian, compile="now"), point(n)


def collocation(n, order):
    name = ("Jacobian", "Hessian")[order - 1]
    work = Workload(
        f"{name} of collocation, {5 * n} variables",
        "many derivatives",
        reference=lambda: interpreted(n, order),
        note="Sparse: the time is that of its nonzeros.",
    )

    @work.library("tapejit", "tapejit", form=f"sparse_{name.lower()}")
    def _():
        g, arguments = by_tapejit(n, order)
        last = [g(*arguments)]

        def call():
            last[0] = g(*arguments)

        call.dense = lambda: probed(last[0])
        return call

    @work.library("tapejit into", "tapejit", form=f"sparse_{name.lower()}, into an earlier result")
    def _():
        g, arguments = by_tapejit(n, order)
        out = g(*arguments)

        def call():
            g.into(*arguments, out)

        call.dense = lambda: probed(out)
        return call

    @work.library("CasADi", "casadi", form=peers.CASADI, slow=n > 100)
    def _():
        return by_casadi(n, order, compiled=True)


for _n in (100, 1000):
    for _order in (1, 2):
        collocation(_n, _order)
