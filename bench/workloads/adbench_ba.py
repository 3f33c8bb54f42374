"""ADBench's bundle adjustment: residuals and the sparse Jacobian's data, 2 x 15 numbers per observation."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Unavailable, Workload
from bench.problems import adbench_data

SIZES = ("ba1_n49_m7776_p31843", "ba4_n372_m47423_p204472")


@cache
def instance(name):
    if not adbench_data.available():
        raise Unavailable(adbench_data.MISSING)
    return adbench_data.load("ba", name)


def written(function, name):
    """A function that fills given buffers, called with buffers made once."""
    from bench.problems.adbench_ba import buffers

    bundle = instance(name)
    count = len(bundle.obs)
    errors, weight_errors, data = buffers(count)

    def call():
        function(*bundle, errors, weight_errors, data)
        return errors, weight_errors, data[: 30 * count], data[30 * count :]

    return call


def residuals(params, feat, m):
    """The two residuals of an observation, ``params`` (15,), ``feat`` (2,): over any library's arrays, of batches too."""
    r, centre, point, w = params[0:3], params[3:6], params[11:14], params[14]
    x = [point[k] - centre[k] for k in range(3)]
    square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2]
    still = square == 0
    theta = m.sqrt(m.where(still, m.ones_like(square), square))
    u = [r[k] / theta for k in range(3)]
    c, s = m.cos(theta), m.sin(theta)
    along = (u[0] * x[0] + u[1] * x[1] + u[2] * x[2]) * (1 - c)
    y = []
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        turned = x[k] * c + (u[i] * x[j] - u[j] * x[i]) * s + u[k] * along
        y.append(m.where(still, x[k] + r[i] * x[j] - r[j] * x[i], turned))
    p = y[0] / y[2], y[1] / y[2]
    rho = p[0] * p[0] + p[1] * p[1]
    d = 1 + params[9] * rho + params[10] * rho * rho
    return tuple(w * (params[6] * p[i] * d + params[7 + i] - feat[i]) for i in range(2))


def gathered(bundle):
    """``(p, 15)``: what each observation reads."""
    i, j = bundle.obs.T
    return np.concatenate([bundle.cams[i], bundle.points[j], bundle.weights[:, None]], axis=1)


def with_jax(name, form):
    import jax
    import jax.numpy as jnp

    bundle = instance(name)
    i, j = bundle.obs.T

    def one(params, feat):
        errors = jnp.stack(residuals(params, feat, jnp))
        return errors, errors

    def batch(cams, points, weights, feats):
        params = jnp.concatenate([cams[i], points[j], weights[:, None]], axis=1)
        if form == "columns":  # observations share nothing here, so the gradient of a sum holds a row of each
            columns = params.T
            pull = [jax.grad(lambda z, k=k: residuals(z, feats.T, jnp)[k].sum())(columns) for k in range(2)]
            errors, blocks = jnp.stack(residuals(columns, feats.T, jnp), 1), jnp.stack(pull).transpose(2, 0, 1)
        else:
            blocks, errors = jax.vmap(getattr(jax, form)(one, has_aux=True))(params, feats)
        return errors, 1 - weights**2, blocks, -2 * weights

    function = jax.jit(batch)
    inputs = [jnp.asarray(a) for a in bundle[:4]]
    return lambda: jax.block_until_ready(function(*inputs))


def rows(name):
    work = Workload(f"BA {name.split('_')[0]}", "ADBench", target=1.5, note=f"{name}; hand: a scalar loop over observations")

    @work.library("hand", "numba", form="analytic block per observation")
    def _():
        from bench.problems.adbench_ba import by_hand

        return written(by_hand, name)

    @work.library("tapejit", "tapejit", form="replay in batches, called from njit")
    def _():
        from bench.problems.adbench_ba import by_replay

        return written(by_replay(residuals), name)

    @work.library("tapejit nopython", "tapejit", form="nopython.jacobian per observation")
    def _():
        from bench.problems.adbench_ba import by_nopython

        return written(by_nopython, name)

    @work.library("JAX", "jax", form="jit(vmap(jacfwd))")
    def _():
        return with_jax(name, "jacfwd")

    @work.library("JAX reverse", "jax", form="jit(vmap(jacrev))")
    def _():
        return with_jax(name, "jacrev")

    @work.library("JAX columns", "jax", form="jit, two gradients of sums over columns")
    def _():
        return with_jax(name, "columns")

    @work.library("PyTorch", "torch", form="torch.func: vmap(jacfwd)")
    def _():
        import torch

        bundle = instance(name)
        cams, points, weights, feats = (torch.tensor(a) for a in bundle[:4])
        i, j = (torch.tensor(a) for a in bundle.obs.T.copy())

        def one(params, feat):
            errors = torch.stack(residuals(params, feat, torch))
            return errors, errors

        blocks_of = torch.func.vmap(torch.func.jacfwd(one, has_aux=True))

        def call():
            params = torch.cat([cams[i], points[j], weights[:, None]], 1)
            blocks, errors = blocks_of(params, feats)
            return errors, 1 - weights**2, blocks, -2 * weights

        return call

    @work.library("PyTorch columns", "torch", form="eager, two gradients of sums over columns")
    def _():
        import torch

        bundle = instance(name)
        cams, points, weights, feats = (torch.tensor(a) for a in bundle[:4])
        i, j = (torch.tensor(a) for a in bundle.obs.T.copy())
        pixels = feats.T.contiguous()

        def call():
            params = torch.cat([cams[i], points[j], weights[:, None]], 1).T.contiguous().requires_grad_()
            errors = residuals(params, pixels, torch)
            row0 = torch.autograd.grad(errors[0].sum(), params, retain_graph=True)[0]
            row1 = torch.autograd.grad(errors[1].sum(), params)[0]
            blocks = torch.stack((row0.T, row1.T), 1)
            return torch.stack(errors, 1).detach(), 1 - weights**2, blocks, -2 * weights

        return call

    @work.library("autograd", "autograd", form="two gradients of sums over columns")
    def _():
        import autograd.numpy as anp
        from autograd import make_vjp

        bundle = instance(name)
        pixels = bundle.feats.T.copy()
        errors_and_pull = make_vjp(lambda z: anp.stack(residuals(z, pixels, anp)))

        def call():
            pull, errors = errors_and_pull(gathered(bundle).T.copy())
            seeds = np.zeros((2, *errors.shape))
            seeds[0, 0], seeds[1, 1] = 1.0, 1.0
            blocks = np.stack([pull(seeds[0]).T, pull(seeds[1]).T], axis=1)
            return errors.T, 1 - bundle.weights**2, blocks, -2 * bundle.weights

        return call

    @work.library("CasADi", "casadi", form="SX block, mapped over the observations; " + peers.CASADI)
    def _():
        import casadi as ca

        bundle = instance(name)
        count = len(bundle.obs)
        params, feat = ca.SX.sym("params", 15), ca.SX.sym("feat", 2)
        errors = ca.vertcat(*residuals(ca.vertsplit(params), ca.vertsplit(feat), CasadiFunctions))
        transposed = ca.jacobian(errors, params).T  # CasADi stores by columns: a block's rows one after the other
        block = ca.Function("block", [params, feat], [errors, ca.densify(transposed)])
        p, f = ca.MX.sym("p", 15, count), ca.MX.sym("f", 2, count)
        run = peers.casadi([p, f], block.map(count)(p, f), [gathered(bundle).T, bundle.feats.T])
        buffers = run.__defaults__[0][2]

        def call():
            buffers[0][:] = gathered(bundle).ravel()
            errors, blocks = run()
            return errors.T, 1 - bundle.weights**2, blocks.T, -2 * bundle.weights

        return call


class CasadiFunctions:
    """CasADi's functions under NumPy's names."""

    def sqrt(x):
        return x.sqrt()

    def sin(x):
        return x.sin()

    def cos(x):
        return x.cos()

    def ones_like(x):
        return 1

    def where(condition, x, y):
        import casadi

        return casadi.if_else(condition, x, y)


for name in SIZES:
    rows(name)
