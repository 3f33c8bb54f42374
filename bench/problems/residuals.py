"""The residuals of a decay in its three parameters: their Jacobian, and Gauss-Newton steps for many data sets, by hand."""

import math

import numpy as np
from numba import njit


@njit(error_model="numpy")
def jacobian(p, x):
    """The derivatives of ``a exp(-b x) + c - y`` in (a, b, c), one row for each place."""
    J = np.empty((x.size, 3))
    for i in range(x.size):
        e = math.exp(-p[1] * x[i])
        J[i, 0], J[i, 1], J[i, 2] = e, -p[0] * x[i] * e, 1.0
    return J


@njit(error_model="numpy")
def steps(ps, x, ys):
    """A Gauss-Newton step for each data set: the normal equations by Cholesky's factors, written out."""
    out = np.empty_like(ps)
    for k in range(ps.shape[0]):
        a, b, c = ps[k]
        h00 = h01 = h02 = h11 = h12 = g0 = g1 = g2 = 0.0
        for i in range(x.size):
            e = math.exp(-b * x[i])
            r, d = a * e + c - ys[k, i], -a * x[i] * e
            h00, h01, h02, h11, h12 = h00 + e * e, h01 + e * d, h02 + e, h11 + d * d, h12 + d
            g0, g1, g2 = g0 + e * r, g1 + d * r, g2 + r
        l00 = math.sqrt(h00)
        l10, l20 = h01 / l00, h02 / l00
        l11 = math.sqrt(h11 - l10 * l10)
        l21 = (h12 - l20 * l10) / l11
        l22 = math.sqrt(x.size - l20 * l20 - l21 * l21)
        z0 = g0 / l00
        z1 = (g1 - l10 * z0) / l11
        s2 = (g2 - l20 * z0 - l21 * z1) / l22 / l22
        s1 = (z1 - l21 * s2) / l11
        out[k, 0], out[k, 1], out[k, 2] = a - (z0 - l10 * s1 - l20 * s2) / l00, b - s1, c - s2
    return out
