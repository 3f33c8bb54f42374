"""Linear algebra: a Gaussian process's marginal likelihood in four hyperparameters, and many small systems of equations."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload


@cache
def process(n):
    """hyperparameters (logarithms), places, observations"""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-3, 3, n))
    return np.array([0.1, 0.2, -1.0, -1.0]), x, np.sin(x) + 0.1 * rng.standard_normal(n)


@cache
def systems(count, n):
    """matrices, right-hand sides"""
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, n, n)) + n * np.eye(n), rng.standard_normal((count, n, 1))


def build_process(library, module):
    if library == "jax":
        from jax.scipy.linalg import solve_triangular

        def eye(n):
            return module.eye(n)

        def solve(lower, y):
            return solve_triangular(lower, y, lower=True)
    else:

        def eye(n):
            return module.eye(n, dtype=module.float64)

        def solve(lower, y):
            return module.linalg.solve_triangular(lower, y, upper=False)

    def likelihood(theta, x, y):
        a = module.exp(theta)
        d = x[:, None] - x[None, :]
        covariance = a[0] * module.exp(-0.5 * d * d / (a[1] * a[1])) + a[2] * x[:, None] * x[None, :] + a[3] * eye(x.shape[0])
        lower = module.linalg.cholesky(covariance)
        z = solve(lower, y[:, None])
        return 0.5 * (z * z).sum() + module.log(module.diagonal(lower)).sum()

    return likelihood


def build_systems(library, module):
    return lambda a, b: (module.linalg.solve(a, b) ** 2).sum()


for _n in (50, 200, 1000):
    _work = Workload(f"Gaussian process n={_n}", "array code", reference="PyTorch", tolerance=1e-6)
    peers.array_code(_work, build_process, lambda n=_n: process(n), without=("autograd",))

_work = Workload("10 000 systems 6x6", "array code", reference="PyTorch", tolerance=1e-8)
peers.array_code(_work, build_systems, lambda: systems(10_000, 6), wrt=(0, 1), without=("autograd",))
