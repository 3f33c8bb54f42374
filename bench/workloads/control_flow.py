"""A loop and a branch that depend on the value: ``f(a)`` doubles until a norm is reached, and a sign decides."""

from bench import peers
from bench.harness import Workload

POINT = -0.37
OTHERS = (0.3, -2.0, 1.1, -0.01, 5.0, 0.0007, -0.5, 2.5)  # each takes another number of doublings
MOST = 24  # doublings; the libraries without value-dependent loops compute all and choose


def f(a):
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


def scalar(a):
    b = a * 2
    while abs(b) < 1000:
        b = b * 2
    return b if b > 0 else 100 * b


same = Workload("value-dependent while and if", "scalar loops")


@same.library("hand", "numba")
def _():
    from bench.problems.control_flow import f_and_slope

    return lambda: f_and_slope(POINT)


peers.array_code(same, lambda library, module: f, lambda: [POINT], without=("JAX", "autograd", "tapejit into"))


@same.library("tapejit nopython", "tapejit", form=peers.NOPYTHON)
def _():
    from tapejit import nopython

    return peers.replayed(nopython.value_and_grad(scalar), POINT)


@same.library("JAX", "jax", form=f"jit, fori_loop of {MOST} masked steps: while has no reverse mode")
def _():
    import jax
    import jax.numpy as jnp

    def bounded(a):
        b = jax.lax.fori_loop(0, MOST, lambda i, b: jnp.where(abs(b) < 1000, b * 2, b), a * 2, unroll=True)
        return jnp.where(b > 0, b, 100 * b)

    return peers.jax(bounded, [POINT])


@same.library("CasADi", "casadi", form=f"{peers.CASADI}, {MOST} masked steps")
def _():
    import casadi as ca

    a = ca.SX.sym("a")
    b = 2 * a
    for _ in range(MOST):
        b = ca.if_else(ca.fabs(b) < 1000, 2 * b, b)
    y = ca.if_else(b > 0, b, 100 * b)
    return peers.casadi([a], [y, ca.gradient(y, a)], [[POINT]])


@same.library("ddx", "ddx", form=f"{peers.DDX}, {MOST} masked steps")
def _():
    import ddx

    def model():
        b = ddx.var("a") * 2
        for _ in range(MOST):
            b = ddx.select(ddx.abs(b) < 1000.0, b * 2.0, b)
        return ddx.select(b > 0.0, b, b * 100.0)

    return peers.ddx(model, [POINT])


@same.library("autograd", "autograd", form=peers.AUTOGRAD)
def _():
    return peers.autograd(scalar, [POINT])


@same.library("XAD", "xad", form=peers.XAD)
def _():
    return peers.xad(lambda inputs: scalar(inputs[0]), [POINT])


def cycle(call):
    """One call for each of the points; results in one list."""
    return lambda: [call(a) for a in OTHERS]


other = Workload("value-dependent while and if, another path each call", "scalar loops", per=len(OTHERS))


@other.library("hand", "numba")
def _():
    from bench.problems.control_flow import f_and_slope

    return cycle(f_and_slope)


@other.library("tapejit", "tapejit", form=peers.REPLAY)
def _():
    import tapejit as tj

    return cycle(tj.value_and_grad(f, compile="now"))


@other.library("tapejit nopython", "tapejit", form=peers.NOPYTHON)
def _():
    from tapejit import nopython

    return cycle(nopython.value_and_grad(scalar))


@other.library("autograd", "autograd", form=peers.AUTOGRAD)
def _():
    from autograd import value_and_grad

    return cycle(value_and_grad(scalar))


@other.library("PyTorch", "torch", form=peers.TORCH)
def _():
    import torch

    def call(a):
        x = torch.tensor(a, dtype=torch.float64, requires_grad=True)
        y = f(x)
        y.backward()
        return y, x.grad

    return cycle(call)
