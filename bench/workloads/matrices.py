"""Dense matrices of derivatives: Jacobians of 200 outputs in 200 inputs, and a Hessian over 2 000 rows of data."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

N, STEPS = 200, 5
ROWS, FEATURES = 2_000, 50

network = Workload("Jacobian 200x200 of tanh(A@x+b), 5 times", "many derivatives", reference="PyTorch")
hessian = Workload("Hessian of logistic regression, 2 000 x 50", "many derivatives", reference="PyTorch")


@cache
def weights():
    """x, A, b"""
    rng = np.random.default_rng(0)
    return rng.standard_normal(N), rng.standard_normal((N, N)) / np.sqrt(N), rng.standard_normal(N)


@cache
def regression():
    """parameters, features, labels"""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, FEATURES))
    w = rng.standard_normal(FEATURES) / 5
    return w, X, (rng.random(ROWS) < 1 / (1 + np.exp(-X @ w))).astype(np.float64)


def build_network(module):
    def f(x, A, b):
        for _ in range(STEPS):
            x = module.tanh(A @ x + b)
        return x

    return f


def build_loss(module, softplus):
    def loss(w, X, y):
        z = X @ w
        return (softplus(z) - y * z).mean() + 0.5 * (w * w).sum()

    return loss


def dense(work, data, build, transform):
    """Register tapejit, JAX, PyTorch and autograd; ``build(library)`` gives the function, ``transform`` the matrix's name."""

    @work.library("tapejit", "tapejit", form=transform)
    def _():
        import tapejit as tj

        return peers.replayed(getattr(tj, transform)(build("tapejit"), compile="now"), *data())

    @work.library("tapejit into", "tapejit", form=f"{transform}, into")
    def _():
        import tapejit as tj

        return written(getattr(tj, transform)(build("tapejit"), compile="now"), data())

    @work.library("JAX", "jax", form="the fastest of jit(jacfwd), jit(jacrev)" if transform == "jacobian" else "jit(hessian)")
    def _():
        import jax

        return peers.jax(build("jax"), data(), transform=jax.jacrev if transform == "jacobian" else jax.hessian)

    @work.library("PyTorch", "torch", form=f"func.{'jacrev' if transform == 'jacobian' else 'hessian'}")
    def _():
        import torch

        name = "jacrev" if transform == "jacobian" else "hessian"
        function, arguments = getattr(torch.func, name)(build("torch")), [torch.tensor(a) for a in data()]
        return lambda: function(*arguments)

    @work.library("autograd", "autograd", form=transform, slow=True)
    def _():
        import autograd

        function = getattr(autograd, transform)(build("autograd"))
        return lambda: function(*data())


def written(g, arguments):
    """The form that writes the matrix into a given array."""
    out = np.empty_like(g(*arguments))
    return lambda: g.into(*arguments, out)


def of_network(library):
    import importlib

    return build_network(importlib.import_module({"jax": "jax.numpy", "autograd": "autograd.numpy"}.get(library, library)))


def of_loss(library):
    if library == "tapejit":
        import tapejit as tj

        return build_loss(tj, tj.nn.functional.softplus)
    if library == "jax":
        import jax

        return build_loss(jax.numpy, jax.nn.softplus)
    if library == "torch":
        import torch

        return build_loss(torch, torch.nn.functional.softplus)
    import autograd.numpy as anp

    return build_loss(anp, lambda z: anp.logaddexp(0.0, z))


dense(network, weights, of_network, "jacobian")
dense(hessian, regression, of_loss, "hessian")


@network.library("CasADi", "casadi", form=peers.CASADI_MX)
def _():
    import casadi as ca

    x, A, b = ca.MX.sym("x", N), ca.MX.sym("A", N, N), ca.MX.sym("b", N)
    y = x
    for _ in range(STEPS):
        y = ca.tanh(A @ y + b)
    return peers.casadi([x, A, b], [ca.jacobian(y, x)], weights(), compiled=False)


@hessian.library("CasADi", "casadi", form=peers.CASADI_MX)
def _():
    import casadi as ca

    w, X, y = ca.MX.sym("w", FEATURES), ca.MX.sym("X", ROWS, FEATURES), ca.MX.sym("y", ROWS)
    z = X @ w
    loss = ca.sum1(ca.log1p(ca.exp(z)) - y * z) / ROWS + 0.5 * ca.sumsqr(w)
    return peers.casadi([w, X, y], [ca.hessian(loss, w)[0]], regression(), compiled=False)


def recurrence(state, x):
    """One step of a nonlinear filter; over the numbers of any library."""
    return 0.9 * state + 0.1 * x * (1.0 - state * state)


def signal():
    return (weights()[0],)


def by_hand():
    """The recurrence's Jacobian, row by row from the row before."""
    J, state = np.zeros((N, N)), 0.0
    for i, x in enumerate(signal()[0]):
        if i:
            J[i] = J[i - 1] * (0.9 - 0.2 * x * state)
        J[i, i] = 0.1 * (1.0 - state * state)
        state = recurrence(state, x)
    return J


scan = Workload("Jacobian 200x200 of a scalar recurrence", "many derivatives", reference=by_hand)


def looped(module):
    def f(x):
        state, states = 0.0, []
        for i in range(N):
            state = recurrence(state, x[i])
            states.append(state)
        return module.stack(states)

    return f


@scan.library("tapejit", "tapejit", form="jacobian of the Python loop")
def _():
    import tapejit as tj

    return peers.replayed(tj.jacobian(looped(tj), compile="now"), *signal())


@scan.library("tapejit into", "tapejit", form="jacobian of the Python loop, into")
def _():
    import tapejit as tj

    return written(tj.jacobian(looped(tj), compile="now"), signal())


@scan.library("JAX", "jax", form="jit(jacfwd) of lax.scan")
def _():
    import jax

    def f(x):
        def body(state, x):
            state = recurrence(state, x)
            return state, state

        return jax.lax.scan(body, 0.0, x)[1]

    return peers.jax(f, signal(), transform=jax.jacfwd)


@scan.library("CasADi", "casadi", form="SX, interpreted, buffer(): its C code takes two minutes to compile")
def _():
    import casadi as ca

    x, state, states = ca.SX.sym("x", N), 0.0, []
    for i in range(N):
        state = recurrence(state, x[i])
        states.append(state)
    return peers.casadi([x], [ca.densify(ca.jacobian(ca.vertcat(*states), x))], signal(), compiled=False)


@scan.library("PyTorch", "torch", form="func.jacfwd", slow=True)
def _():
    import torch

    function, x = torch.func.jacfwd(looped(torch)), torch.tensor(signal()[0])
    return lambda: function(x)
