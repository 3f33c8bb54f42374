"""ADBench's Gaussian mixtures: value and gradient in all parameters, at the sizes of its data files."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Unavailable, Workload
from bench.problems import adbench_data

BLOCK = 128  # points at a time, for the hand version and for tapejit in batches: their k d numbers stay in a cache
CASADI_SIZES = ("1k_d2_K5", "1k_d10_K5", "1k_d10_K25")  # a point is 14 000 operations there, and C takes 17 s to compile
LARGE = ("1k_d32_K100", "10k_d10_K25")  # n k d numbers, 20 MB and more, do not fit into a cache
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


def with_casadi(name):
    """The gradient of one point's likelihood as scalar expressions, mapped over the points and summed."""
    import casadi as ca

    g = instance(name)
    (n, d), k, columns = g.x.shape, len(g.alphas), g.icf.shape[1]
    alphas, means, icf, x = ca.SX.sym("a", k), ca.SX.sym("m", d, k), ca.SX.sym("q", columns, k), ca.SX.sym("x", d)
    at = places(d).reshape(d, d)
    terms = []
    for c in range(k):
        z = [x[j] - means[j, c] for j in range(d)]
        y = [ca.exp(icf[i, c]) * z[i] + sum(icf[int(at[i, j]), c] * z[j] for j in range(i)) for i in range(d)]
        terms.append(alphas[c] + ca.sum1(icf[:d, c]) - 0.5 * sum(v * v for v in y))
    value = ca.logsumexp(ca.vertcat(*terms))
    gradients = [ca.densify(ca.gradient(value, p)) for p in (alphas, means, icf)]
    point = ca.Function("point", [alphas, means, icf, x], [value, *gradients])
    points = point.map("points", "serial", n, [0, 1, 2], [0, 1, 2, 3])
    a, m, q, x = ca.MX.sym("a", k), ca.MX.sym("m", d, k), ca.MX.sym("q", columns, k), ca.MX.sym("x", d, n)
    fit, da, dm, dq = points(a, m, q, x)
    entries = ca.sumsqr(ca.exp(q[:d, :])) + ca.sumsqr(q[d:, :])
    rest = 0.5 * g.gamma**2 * entries - g.m * ca.sum1(ca.sum2(q[:d, :])) - n * ca.logsumexp(a)
    outputs = [fit + rest + fixed(name), da + ca.gradient(rest, a), dm, dq + ca.gradient(rest, q)]
    run = peers.casadi([a, m, q, x], outputs, [g.alphas, g.means.T, g.icf.T, g.x.T])

    def call():
        value, dalphas, dmeans, dicf = run()
        return value, dalphas, dmeans.T, dicf.T

    return call


def blocks(name):
    """The likelihood of 125 points recorded, summed over all in compiled code: what lies between stays in a cache."""
    import tapejit as tj
    from bench.problems.adbench_gmm import in_blocks

    g, value = instance(name), fixed(name)
    *parameters, x, lower = arguments(name)
    points = x.reshape((-1, 125, x.shape[1]))
    logsumexp = over_first("tapejit", tj)
    run = in_blocks(likelihood(tj, logsumexp), *parameters, points, lower)
    rest = tj.value_and_grad(prior(tj, logsumexp, len(x), g.gamma, g.m), (0, 1), compile="now")

    def call():
        fit, (dalphas, dmeans, dicf) = run(*parameters, points, lower)
        more, (alphas_more, icf_more) = rest(g.alphas, g.icf, x.shape[1])
        return fit + more + value, (dalphas + alphas_more, dmeans, dicf + icf_more)

    return call


def rows(name):
    work = Workload(f"GMM {name}", "ADBench", target=2.0)
    peers.array_code(work, objective(name), lambda: arguments(name), wrt=(0, 1, 2))

    if name in LARGE:

        @work.library("tapejit blocks", "tapejit", form="replay of 125 points, called from njit")
        def _():
            return blocks(name)

    if name in CASADI_SIZES:

        @work.library("CasADi", "casadi", form="a point, mapped and summed; " + peers.CASADI, slow=True)
        def _():
            return with_casadi(name)

    @work.library("hand", "numba", form="blocks of points, products by BLAS")
    def _():
        from bench.problems.adbench_gmm import hand, workspace

        g, value = instance(name), fixed(name)
        work = workspace(*g.means.shape, BLOCK)
        return lambda: hand(*g, value, work)


for name in SIZES:
    rows(name)
