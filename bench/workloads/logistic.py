"""Logistic regression: the mean loss and its gradient in the weights."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload


@cache
def data(n, d):
    """weights, features, labels 0 or 1"""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((n, d)), rng.standard_normal(d) / np.sqrt(d)
    return w, x, (rng.random(n) > 0.5).astype(float)


def build(library, module):
    if library == "jax":
        from jax.nn import softplus
    elif library == "torch":
        from torch.nn.functional import softplus
    elif library == "autograd":

        def softplus(z):
            return module.logaddexp(0.0, z)
    else:
        softplus = module.softplus

    def loss(w, x, y):
        z = x @ w
        return (softplus(z) - y * z).mean()

    if library == "autograd":
        return lambda w, x, y: module.mean(softplus(x @ w) - y * (x @ w))
    return loss


def rows(n, d, name):
    work = Workload(f"logistic regression {name}", "array code", tolerance=1e-8)

    @work.library("hand", "numba")
    def _():
        from bench.problems.logistic import value_and_gradient

        w, x, y = data(n, d)
        return lambda: value_and_gradient(w, x, y)

    peers.array_code(work, build, lambda: data(n, d))

    @work.library("CasADi", "casadi", form=peers.CASADI_MX)
    def _():
        import casadi as ca

        w, x, y = ca.MX.sym("w", d), ca.MX.sym("x", n, d), ca.MX.sym("y", n)
        z = x @ w
        loss = ca.sum1(ca.log1p(ca.exp(-ca.fabs(z))) + ca.fmax(z, 0) - y * z) / n
        return peers.casadi([w, x, y], [loss, ca.gradient(loss, w)], data(n, d), compiled=False)

    @work.library("ddx", "ddx", form=peers.DDX_VECTORS)
    def _():
        import ddx

        w, x, y = data(n, d)

        def model():
            matrix = ddx.mat_constant(n, d, x.ravel(order="F").tolist())
            labels = ddx.vec_constant(y.tolist())
            z = matrix @ ddx.vec("w", d)
            return ddx.sum(ddx.log(1.0 + ddx.exp(-ddx.abs(z))) + ddx.max(z, 0.0) - labels * z) * (1.0 / n)

        return peers.ddx(model, w, compiled=False)


rows(1_000, 20, "1 000 x 20")
rows(100_000, 50, "100 000 x 50")
