"""ADBench's Gaussian mixtures: value and gradient in all parameters, at the sizes of its data files."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Unavailable, Workload
from bench.problems import adbench_data

BLOCK = 128  # points at a time, for the hand version and for tapejit in batches: their k d numbers stay in a cache
SIZES = ("1k_d2_K5", "1k_d10_K5", "1k_d10_K25", "1k_d20_K50", "1k_d32_K100", "10k_d10_K25")


@cache
def instance(name):
    if not adbench_data.available():
        raise Unavailable(adbench_data.MISSING)
    return adbench_data.load("gmm", name)


def arguments(name):
    """Alphas, means, icf, the points, and a mask of the lower triangle."""
    g = instance(name)
    d = g.x.shape[1]
    return g.alphas, g.means, g.icf, g.x, np.tril(np.ones((d, d)))


def fixed(name):
    from bench.problems.adbench_gmm import constant

    g = instance(name)
    return constant(*g.x.shape, len(g.alphas), g.gamma, g.m)


def places(d):
    """Where each entry of a lower triangular matrix lies in a row of icf (0 above the diagonal)."""
    columns, rows = np.triu_indices(d, 1)
    at = np.zeros((d, d), dtype=np.int64)
    at[np.arange(d), np.arange(d)] = np.arange(d)
    at[rows, columns] = d + np.arange(rows.size)
    return at.ravel()


def likelihood(m, logsumexp):
    """The sum over the points of the logarithm of the mixture, without what depends on the number of points.

    One product for all components, and points in the last dimension: the form that is fastest in every library.
    """

    def of(alphas, means, icf, x, lower):
        (n, d), k = x.shape, means.shape[0]
        packed = m.concatenate((m.exp(icf[:, :d]), icf[:, d:]), 1)
        q = packed[:, places(d)].reshape((k, d, d)) * lower
        y = (q.reshape((k * d, d)) @ x.T).reshape((k, d, n)) - q @ means.reshape((k, d, 1))
        terms = (alphas + icf[:, :d].sum(1)).reshape((k, 1)) - 0.5 * (y * y).sum(1)
        return logsumexp(terms).sum()

    return of


def prior(m, logsumexp, n, gamma, freedom):
    def of(alphas, icf, d):
        entries = (m.exp(icf[:, :d]) ** 2).sum() + (icf[:, d:] ** 2).sum()
        return 0.5 * gamma**2 * entries - freedom * icf[:, :d].sum() - n * logsumexp(alphas.reshape((-1, 1))).sum()

    return of


def over_first(library, m):
    """The library's logsumexp over the first dimension."""
    if library == "jax":
        from jax.scipy.special import logsumexp

        return lambda t: logsumexp(t, 0)
    if library == "autograd":
        from autograd.scipy.special import logsumexp

        return lambda t: logsumexp(t, 0)
    if library == "tapejit":

        def logsumexp(t):
            top = t.amax(0).detach()
            return top + m.log(m.exp(t - top).sum(0))

        return logsumexp
    return lambda t: m.logsumexp(t, 0)


def objective(name):
    """``build`` for ``peers.array_code``."""

    def build(library, m):
        g, value = instance(name), fixed(name)
        logsumexp = over_first(library, m)
        fit = likelihood(m, logsumexp)
        wishart = prior(m, logsumexp, len(g.x), g.gamma, g.m)
        return lambda alphas, means, icf, x, lower: (
            fit(alphas, means, icf, x, lower) + wishart(alphas, icf, x.shape[1]) + value
        )

    return build


def rows(name):
    work = Workload(f"GMM {name}", "ADBench", target=2.0)
    peers.array_code(work, objective(name), lambda: arguments(name), wrt=(0, 1, 2))

    @work.library("tapejit blocks", "tapejit", form="replay of 125 points, called from njit")
    def _():
        import tapejit as tj
        from bench.problems.adbench_gmm import in_blocks

        g, value = instance(name), fixed(name)
        *parameters, x, lower = arguments(name)
        blocks = x.reshape((-1, 125, x.shape[1]))
        logsumexp = over_first("tapejit", tj)
        run = in_blocks(likelihood(tj, logsumexp), *parameters, blocks, lower)
        rest = tj.value_and_grad(prior(tj, logsumexp, len(x), g.gamma, g.m), (0, 1), compile="now")

        def call():
            fit, (dalphas, dmeans, dicf) = run(*parameters, blocks, lower)
            more, (alphas_more, icf_more) = rest(g.alphas, g.icf, x.shape[1])
            return fit + more + value, (dalphas + alphas_more, dmeans, dicf + icf_more)

        return call

    @work.library("hand", "numba", form="blocks of points, products by BLAS")
    def _():
        from bench.problems.adbench_gmm import hand, workspace

        g, value = instance(name), fixed(name)
        work = workspace(*g.means.shape, BLOCK)
        return lambda: hand(*g, value, work)


for name in SIZES:
    rows(name)
