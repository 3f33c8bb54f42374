"""Second derivatives of Rosenbrock's function of 100 variables: a product with a vector, and the whole matrix."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload
from bench.workloads.rosenbrock import casadi_scalars, ddx_model, point, rosenbrock

N = 100
product = Workload("Hessian-vector product, Rosenbrock n=100", "second order", target=1.3)
matrix = Workload("Hessian, Rosenbrock n=100", "second order", note="The dense matrix; CasADi sparse: its nonzeros only.")


@cache
def direction():
    return np.random.default_rng(1).standard_normal(N)


def both(*registration, **options):
    """A preparation ``f(transform)`` for both workloads: it is told "product" or "matrix"."""

    def register(prepare):
        product.library(*registration, **options)(lambda: prepare("product"))
        matrix.library(*registration, **options)(lambda: prepare("matrix"))
        return prepare

    return register


@both("hand", "numba")
def _(what):
    from bench.problems import rosenbrock as problem

    x, v = point(N), direction()
    return (lambda: problem.hessian_product(x, v)) if what == "product" else (lambda: problem.hessian(x))


@both("tapejit", "tapejit", form="hvp, hessian")
def _(what):
    import tapejit as tj

    if what == "product":
        return peers.replayed(tj.hvp(rosenbrock, compile="now"), point(N), direction())
    return peers.replayed(tj.hessian(rosenbrock, compile="now"), point(N))


@both("tapejit into", "tapejit", form="the same, into")
def _(what):
    import tapejit as tj

    g = (tj.hvp if what == "product" else tj.hessian)(rosenbrock, compile="now")
    arguments = (point(N), direction()) if what == "product" else (point(N),)
    g(*arguments)
    out = np.empty(N if what == "product" else (N, N))
    return lambda: g.into(*arguments, out)


@matrix.library("tapejit sparse", "tapejit", form="sparse_hessian, into an earlier result")
def _():
    import tapejit as tj

    h, x = tj.sparse_hessian(rosenbrock, compile="now"), point(N)
    out = h(x)

    def call():
        return h.into(x, out)

    call.dense = out.toarray
    return call


@both("JAX", "jax", form="jit of jvp of grad; of hessian")
def _(what):
    import jax

    if what == "product":
        return peers.jax(
            lambda x, v: jax.jvp(jax.grad(rosenbrock), (x,), (v,))[1], [point(N), direction()], transform=lambda f, _: f
        )
    return peers.jax(rosenbrock, [point(N)], transform=jax.hessian)


@both("PyTorch", "torch", form="autograd.functional.vhp, hessian")
def _(what):
    import torch
    from torch.autograd import functional

    x, v = torch.tensor(point(N)), torch.tensor(direction())
    if what == "product":  # the Hessian is symmetric; the documentation says that vhp is the cheaper of the two
        return lambda: functional.vhp(rosenbrock, x, v)[1]
    return lambda: functional.hessian(rosenbrock, x, vectorize=True)


@both("CasADi", "casadi", form=peers.CASADI)
def _(what):
    if what == "product":
        return casadi_scalars(
            N,
            lambda ca, f, x, v: peers.casadi(
                [x, v], [ca.jtimes(ca.gradient(f, x), x, v, True)], [point(N), direction()]
            ),
        )
    return casadi_scalars(N, lambda ca, f, x, v: peers.casadi([x], [ca.densify(ca.hessian(f, x)[0])], [point(N)]))


@matrix.library("CasADi sparse", "casadi", form=peers.CASADI)
def _():
    return casadi_scalars(N, lambda ca, f, x, v: peers.casadi([x], [ca.hessian(f, x)[0]], [point(N)]))


@both("ddx", "ddx", form="compiled, buffer() or hvp()")
def _(what):
    import ddx

    equation = ddx.equation(ddx_model(N)).compile()
    x, v = np.array(point(N)), np.array(direction())
    if what == "product":
        return lambda: equation.hvp(v, x)[2]
    bound = equation.buffer(x, want=ddx.Want.HESSIAN)

    def call():
        bound()
        return bound.hessian

    return call


@both("heyoka", "heyoka", form="cfunc of diff_tensors, outputs= given")
def _(what):
    from itertools import pairwise

    import heyoka as hy

    from bench.harness import Unavailable
    from bench.workloads.rosenbrock import heyoka_variables

    x = heyoka_variables(N)
    f = hy.sum([100.0 * (b - a * a) ** 2.0 + (1.0 - a) ** 2.0 for a, b in pairwise(x)])
    gradient = hy.diff_tensors([f], x, 1).gradient
    if what == "matrix":
        raise Unavailable("its outputs are scalars: a dense matrix would be 10 000 of them")
    v = hy.make_vars(*[f"v{i:05d}" for i in range(N)])
    banded = [  # the derivative along v: each entry of the gradient depends on its neighbours
        hy.sum([hy.diff(gradient[i], x[j]) * v[j] for j in range(max(i - 1, 0), min(i + 2, N))]) for i in range(N)
    ]
    function = hy.cfunc(banded, [*x, *v])
    inputs, outputs = np.concatenate((point(N), direction())), np.empty(N)
    return lambda: function(inputs, outputs=outputs)


@both("autograd", "autograd", form="hessian_vector_product, hessian")
def _(what):
    import autograd

    if what == "product":
        function, x, v = autograd.hessian_vector_product(rosenbrock), point(N), direction()
        return lambda: function(x, v)
    function, x = autograd.hessian(rosenbrock), point(N)
    return lambda: function(x)
