"""ADBench's Gaussian mixture: the log likelihood with a Wishart prior, as one function for several array libraries.

ADBench's sign of the prior is kept, so that its golden values hold. ``gradient`` order: alphas, means, icf.
"""

import math

import numpy as np
from numba import njit
from scipy.special import gammaln

import tapejit as tj
from tapejit.edge import vecmath

FAST = dict(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def constant(n, d, k, gamma, m):
    """What does not depend on the parameters: the normal density's factor, and k logarithms of the Wishart's."""
    freedom = d + m + 1
    log_gamma = 0.25 * d * (d - 1) * math.log(math.pi) + sum(gammaln(0.5 * (freedom + 1 - j)) for j in range(1, d + 1))
    wishart = freedom * d * (math.log(gamma) - 0.5 * math.log(2)) - log_gamma
    return -0.5 * n * d * math.log(2 * math.pi) - k * wishart


def triangle(d):
    """Rows and columns of the strictly lower triangle, column by column."""
    columns, rows = np.triu_indices(d, 1)
    return rows, columns


def reference(alphas, means, icf, x, gamma, m):
    """The objective in NumPy, component by component."""
    (n, d), k = x.shape, len(alphas)
    value, terms = constant(n, d, k, gamma, m), np.empty((n, k))
    for c in range(k):
        q = np.diag(np.exp(icf[c, :d]))
        terms[:, c] = alphas[c] + icf[c, :d].sum()
        q[triangle(d)] = icf[c, d:]
        terms[:, c] -= 0.5 * (((x - means[c]) @ q.T) ** 2).sum(1)
        value += 0.5 * gamma**2 * (q**2).sum() - m * icf[c, :d].sum()
    top = terms.max(1, keepdims=True)
    value += (top[:, 0] + np.log(np.exp(terms - top).sum(1))).sum()
    return value - n * (alphas.max() + math.log(np.exp(alphas - alphas.max()).sum()))


@njit(**FAST)
def _roots(means, icf, roots):
    """Every component's (Q | -Q mean) as d rows of ``roots`` (k d, d + 1): its product with (x | 1) is Q (x - mean)."""
    k, d = means.shape
    for c in range(k):
        q = roots[c * d : (c + 1) * d]
        q[:] = 0.0
        at = d
        for j in range(d):
            q[j, j] = math.exp(icf[c, j])
            for i in range(j + 1, d):
                q[i, j] = icf[c, at]
                at += 1
        for i in range(d):
            for j in range(i + 1):
                q[i, d] -= q[i, j] * means[c, j]


@njit(**FAST)
def _shares(y, base, w, norm):
    """From y (k, d, points) the logarithms of the likelihoods, ``norm``, and the components' shares, ``w`` (k, points)."""
    k, d, points = y.shape
    top = np.empty(points)
    for c in range(k):
        for b in range(points):
            w[c, b] = base[c]
        for j in range(d):
            for b in range(points):
                w[c, b] -= 0.5 * y[c, j, b] * y[c, j, b]
        if c == 0:
            for b in range(points):
                top[b] = w[c, b]
        else:
            for b in range(points):
                top[b] = max(top[b], w[c, b])
    for b in range(points):
        norm[b] = 0.0
    for c in range(k):
        for b in range(points):
            w[c, b] = vecmath.exp(w[c, b] - top[b])
        for b in range(points):
            norm[b] += w[c, b]
    for c in range(k):
        for b in range(points):
            w[c, b] /= norm[b]
    for b in range(points):
        norm[b] = top[b] + vecmath.log(norm[b])


def workspace(k, d, points):
    """What ``hand`` needs for a block of so many points."""
    return np.empty((k * d, points)), np.empty((k, points)), np.empty(points), np.ones((d + 1, points))


@njit(**FAST)
def hand(alphas, means, icf, x, gamma, m, fixed, work):
    """The objective and its gradient, derived by hand, for a block of points at a time: products by BLAS, the rest in loops.

    With y = Q (x - mean) and shares w, the likelihood's derivative in (Q | -Q mean) is -sum w y (x | 1); what belongs to the
    last column is taken on to both factors of it. ``fixed`` is ``constant``'s value, ``work`` a ``workspace``, which says how
    many points a block has.
    """
    (n, d), k = x.shape, len(alphas)
    roots, total, base = np.empty((k * d, d + 1)), np.zeros((k * d, d + 1)), np.empty(k)
    _roots(means, icf, roots)
    value = fixed
    for c in range(k):
        base[c] = alphas[c]
        for j in range(d):
            base[c] += icf[c, j]
    dalphas, dmeans, dicf = np.zeros(k), np.zeros((k, d)), np.zeros(icf.shape)
    y, w, norm, columns = work
    part, block = np.empty((k * d, d + 1)), len(norm)
    for start in range(0, n, block):
        points = min(block, n - start)
        if points < block:
            y, w, norm, columns = np.empty((k * d, points)), np.empty((k, points)), norm[:points], np.ones((d + 1, points))
        for b in range(points):
            for j in range(d):
                columns[j, b] = x[start + b, j]
        np.dot(roots, columns, out=y)
        cube = y.reshape((k, d, points))
        _shares(cube, base, w, norm)
        for b in range(points):
            value += norm[b]
        for c in range(k):
            for b in range(points):
                dalphas[c] += w[c, b]
            for j in range(d):
                for b in range(points):
                    cube[c, j, b] *= w[c, b]
        np.dot(y, columns.T, out=part)
        total += part
    top = alphas.max()
    norm_alphas = 0.0
    for c in range(k):
        norm_alphas += math.exp(alphas[c] - top)
    value -= n * (top + math.log(norm_alphas))
    for c in range(k):
        q, dq = roots[c * d : (c + 1) * d], total[c * d : (c + 1) * d]
        at = d
        for j in range(d):
            s = dalphas[c] - m
            value -= m * icf[c, j]
            for i in range(j, d):
                g = dq[i, d] * means[c, j] - dq[i, j] + gamma * gamma * q[i, j]
                dmeans[c, j] += q[i, j] * dq[i, d]
                value += 0.5 * gamma * gamma * q[i, j] * q[i, j]
                if i == j:
                    dicf[c, j] = s + g * q[j, j]
                else:
                    dicf[c, at] = g
                    at += 1
    for c in range(k):
        dalphas[c] -= n * math.exp(alphas[c] - top) / norm_alphas
    return value, (dalphas, dmeans, dicf)


def in_blocks(likelihood, alphas, means, icf, points, lower):
    """A function of these arguments, ``points`` as (blocks, size, d): the recorded likelihood of one block, summed over all."""
    fit = tj.value_and_grad(likelihood, (0, 1, 2), compile="now")
    fit(alphas, means, icf, points[0], lower)
    into = fit.nopython_into

    @njit
    def run(alphas, means, icf, points, lower):
        value = 0.0
        total = np.zeros_like(alphas), np.zeros_like(means), np.zeros_like(icf)
        part = np.empty_like(alphas), np.empty_like(means), np.empty_like(icf)
        for i in range(len(points)):
            value += into(alphas, means, icf, points[i], lower, part[0], part[1], part[2])[0]
            for k in range(len(alphas)):
                total[0][k] += part[0][k]
                for j in range(means.shape[1]):
                    total[1][k, j] += part[1][k, j]
                for j in range(icf.shape[1]):
                    total[2][k, j] += part[2][k, j]
        return value, total

    return run
