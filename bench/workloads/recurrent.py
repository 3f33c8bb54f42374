"""x = tanh(A x + b), 200 times, ten units: the gradient of the last state's sum in A and in the first x."""

import numpy as np

from bench import peers
from bench.harness import Workload

N, STEPS = 10, 200
_rng = np.random.default_rng(0)
DATA = (_rng.standard_normal((N, N)) * 0.3, _rng.standard_normal(N), _rng.standard_normal(N))

work = Workload("200 x tanh(A@x+b), n=10", "simulations", target=1.3)


@work.library("hand", "numba")
def _():
    from bench.problems.recurrent import value_and_gradient

    return lambda: value_and_gradient(*DATA)


def build(library, module):
    def last(a, x, b):
        for _ in range(STEPS):
            x = module.tanh(a @ x + b)
        return x.sum() if library != "autograd" else module.sum(x)

    return last


peers.array_code(work, build, lambda: DATA, (0, 1), without=("JAX",))


@work.library("JAX", "jax", form="jit(value_and_grad) of lax.scan")
def _():
    import jax
    import jax.numpy as jnp

    def last(a, x, b):  # a sum of products is a little faster than @ here
        return jax.lax.scan(lambda x, _: (jnp.tanh((a * x).sum(1) + b), None), x, None, length=STEPS)[0].sum()

    return peers.jax(last, DATA, (0, 1))


@work.library("CasADi", "casadi", form="MX unrolled, generated C (14 s), gcc -O3 -march=native, buffer()", slow=True)
def _():
    import casadi as ca

    a, start = ca.MX.sym("a", N, N), ca.MX.sym("x", N)
    x = start  # faster than mapaccum, and than scalars, which take gcc over a minute
    for _ in range(STEPS):
        x = ca.tanh(a @ x + DATA[2])
    value = ca.sum1(x)
    return peers.casadi([a, start], [value, ca.gradient(value, a), ca.gradient(value, start)], DATA[:2])


@work.library("ddx", "ddx", form=peers.DDX, slow=True)
def _():
    import ddx

    def model():
        a = [[ddx.var(f"a{i}_{j}") for j in range(N)] for i in range(N)]
        x = [ddx.var(f"x{i}") for i in range(N)]
        b = DATA[2]
        for _ in range(STEPS):
            x = [ddx.tanh(sum((a[i][j] * x[j] for j in range(N)), 0.0) + b[i]) for i in range(N)]
        return sum(x, 0.0)

    return peers.ddx(model, np.concatenate((DATA[0].ravel(), DATA[1])))
