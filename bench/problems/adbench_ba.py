"""ADBench's bundle adjustment: the residuals of all observations, and their sparse Jacobian as 2 x 15 blocks.

A camera is 11 numbers: rotation vector (3), centre (3), focal length, principal point (2), radial distortion (2). The
Jacobian's data lies as in ADBench's CSR matrix: per observation two rows of 15 (camera, point, weight), then a number for
each weight's own residual.
"""

import math

import numpy as np
from numba import njit

import tapejit as tj
from tapejit import nopython

FAST = dict(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def reference(cams, points, weights, feats, obs):
    """``(p, 2)`` reprojection errors and ``(p,)`` errors of the weights, in NumPy."""
    cam, x = cams[obs[:, 0]], points[obs[:, 1]] - cams[obs[:, 0], 3:6]
    theta = np.sqrt((cam[:, :3] ** 2).sum(1))[:, None]
    turned = x + np.cross(cam[:, :3], x)  # where there is no rotation to speak of
    some = theta[:, 0] != 0
    u, c, s = cam[some, :3] / theta[some], np.cos(theta[some]), np.sin(theta[some])
    along = (u * x[some]).sum(1, keepdims=True)
    turned[some] = x[some] * c + np.cross(u, x[some]) * s + u * along * (1 - c)
    p = turned[:, :2] / turned[:, 2:]
    rho = (p**2).sum(1)[:, None]
    p = p * (1 + cam[:, 9:10] * rho + cam[:, 10:11] * rho**2)
    return weights[:, None] * (p * cam[:, 6:7] + cam[:, 7:9] - feats), 1 - weights**2


def structure(obs, cameras, points):
    """``(indices, indptr)`` of the CSR Jacobian with ``2 p + p`` rows and ``11 cameras + 3 points + p`` columns."""
    count = len(obs)
    columns = np.concatenate(
        [
            11 * obs[:, :1] + np.arange(11),
            11 * cameras + 3 * obs[:, 1:] + np.arange(3),
            11 * cameras + 3 * points + np.arange(count)[:, None],
        ],
        axis=1,
    )
    indices = np.concatenate([np.repeat(columns, 2, axis=0).ravel(), columns[:, 14]])
    return indices, np.concatenate([np.arange(2 * count) * 15, 30 * count + np.arange(count + 1)])


@njit
def project(cam, x, w, feat):
    """The two residuals of an observation: what ``nopython`` differentiates."""
    x0, x1, x2 = x[0] - cam[3], x[1] - cam[4], x[2] - cam[5]
    r0, r1, r2 = cam[0], cam[1], cam[2]
    square = r0 * r0 + r1 * r1 + r2 * r2
    if square != 0.0:
        theta = math.sqrt(square)
        u0, u1, u2 = r0 / theta, r1 / theta, r2 / theta
        c, s = math.cos(theta), math.sin(theta)
        along = (u0 * x0 + u1 * x1 + u2 * x2) * (1.0 - c)
        y0 = x0 * c + (u1 * x2 - u2 * x1) * s + u0 * along
        y1 = x1 * c + (u2 * x0 - u0 * x2) * s + u1 * along
        y2 = x2 * c + (u0 * x1 - u1 * x0) * s + u2 * along
    else:
        y0 = x0 + r1 * x2 - r2 * x1
        y1 = x1 + r2 * x0 - r0 * x2
        y2 = x2 + r0 * x1 - r1 * x0
    p0, p1 = y0 / y2, y1 / y2
    rho = p0 * p0 + p1 * p1
    d = 1.0 + cam[9] * rho + cam[10] * rho * rho
    out = np.zeros(2)
    out[0] = w * (cam[6] * p0 * d + cam[7] - feat[0])
    out[1] = w * (cam[6] * p1 * d + cam[8] - feat[1])
    return out


block = nopython.jacobian(project, argnums=(0, 1, 2))


@njit
def by_nopython(cams, points, weights, feats, obs, errors, weight_errors, data):
    p = len(obs)
    blocks = data[: 30 * p].reshape((p, 2, 15))
    for k in range(p):
        value, (dcam, dx, dw) = block(cams[obs[k, 0]], points[obs[k, 1]], weights[k], feats[k])
        for i in range(2):
            errors[k, i] = value[i]
            for j in range(11):
                blocks[k, i, j] = dcam[i, j]
            for j in range(3):
                blocks[k, i, 11 + j] = dx[i, j]
            blocks[k, i, 14] = dw[i]
        weight_errors[k] = 1.0 - weights[k] * weights[k]
        data[30 * p + k] = -2.0 * weights[k]


@njit(**FAST)
def by_hand(cams, points, weights, feats, obs, errors, weight_errors, data):
    """The blocks from analytic derivatives. With a = sin(t) / t and b = (1 - cos(t)) / t**2 a rotation by r is

        y = cos(t) x + a (r cross x) + b (r . x) r,

    so for a row q of the projection's derivative in y, d(q . y)/dx = cos(t) q + a (q cross r) + b (q . r) r and
    d(q . y)/dr = (q . g) r + a (x cross q) + b ((r . x) q + (q . r) x), where g holds the derivatives of cos(t), a and b.
    """
    p = len(obs)
    for k in range(p):
        i, j, w = obs[k, 0], obs[k, 1], weights[k]
        r0, r1, r2 = cams[i, 0], cams[i, 1], cams[i, 2]
        f, k1, k2 = cams[i, 6], cams[i, 9], cams[i, 10]
        x0, x1, x2 = points[j, 0] - cams[i, 3], points[j, 1] - cams[i, 4], points[j, 2] - cams[i, 5]
        square = r0 * r0 + r1 * r1 + r2 * r2
        if square != 0.0:
            t = math.sqrt(square)
            c, inverse = math.cos(t), 1.0 / square
            a = math.sin(t) / t
            b = (1.0 - c) * inverse
            da, db, dc = (c - a) * inverse, (a - 2.0 * b) * inverse, -a
        else:
            c, a, b, da, db, dc = 1.0, 1.0, 0.0, 0.0, 0.0, 0.0
        v0, v1, v2 = r1 * x2 - r2 * x1, r2 * x0 - r0 * x2, r0 * x1 - r1 * x0
        rx = r0 * x0 + r1 * x1 + r2 * x2
        y0, y1, y2 = c * x0 + a * v0 + b * rx * r0, c * x1 + a * v1 + b * rx * r1, c * x2 + a * v2 + b * rx * r2
        g0, g1, g2 = dc * x0 + da * v0 + db * rx * r0, dc * x1 + da * v1 + db * rx * r1, dc * x2 + da * v2 + db * rx * r2
        z = 1.0 / y2
        p0, p1 = y0 * z, y1 * z
        rho = p0 * p0 + p1 * p1
        d, e = 1.0 + rho * (k1 + k2 * rho), 2.0 * (k1 + 2.0 * k2 * rho)
        e0, e1 = f * p0 * d + cams[i, 7] - feats[k, 0], f * p1 * d + cams[i, 8] - feats[k, 1]
        errors[k, 0], errors[k, 1] = w * e0, w * e1
        weight_errors[k] = 1.0 - w * w
        data[30 * p + k] = -2.0 * w
        wf = w * f
        cross = e * p0 * p1
        for row in range(2):
            pi = p1 if row else p0
            d0 = cross if row else d + e * p0 * p0
            d1 = d + e * p1 * p1 if row else cross
            s = wf * z
            q0, q1, q2 = s * d0, s * d1, -s * (d0 * p0 + d1 * p1)
            qr = b * (q0 * r0 + q1 * r1 + q2 * r2)
            qg = q0 * g0 + q1 * g1 + q2 * g2
            brx = b * rx
            at = (2 * k + row) * 15
            data[at] = qg * r0 + a * (x1 * q2 - x2 * q1) + brx * q0 + qr * x0
            data[at + 1] = qg * r1 + a * (x2 * q0 - x0 * q2) + brx * q1 + qr * x1
            data[at + 2] = qg * r2 + a * (x0 * q1 - x1 * q0) + brx * q2 + qr * x2
            m0 = c * q0 + a * (q1 * r2 - q2 * r1) + qr * r0
            m1 = c * q1 + a * (q2 * r0 - q0 * r2) + qr * r1
            m2 = c * q2 + a * (q0 * r1 - q1 * r0) + qr * r2
            data[at + 3], data[at + 4], data[at + 5] = -m0, -m1, -m2
            data[at + 6] = w * pi * d
            data[at + 7] = 0.0 if row else w
            data[at + 8] = w if row else 0.0
            data[at + 9] = wf * pi * rho
            data[at + 10] = wf * pi * rho * rho
            data[at + 11], data[at + 12], data[at + 13] = m0, m1, m2
            data[at + 14] = e1 if row else e0


def buffers(count):
    """Arrays for the results: errors ``(p, 2)``, errors of the weights ``(p,)``, and the Jacobian's data ``(31 p,)``."""
    return np.empty((count, 2)), np.empty(count), np.empty(31 * count)


BATCH = 136  # observations per call of a recorded function: columns that fit into the first-level cache, no power of two apart


def by_replay(residuals):
    """The function with the arguments of ``by_hand``: batches go through a recorded function, called from compiled code.

    ``residuals(params, feats, tj)`` gives the two residuals of a batch, ``params`` (15, n) and ``feats`` (2, n). Observations
    share nothing there, so the gradient of a sum of residuals holds a row of each block.
    """

    def rows(params, feats):
        def row(i):
            def total(params):
                errors = residuals(params, feats, tj)[i]
                return errors.sum(), errors

            return tj.grad(total, has_aux=True)(params)

        return row(0), row(1)

    recorded = tj.jit(rows, compile="now")
    recorded(np.ones((15, BATCH)), np.ones((2, BATCH)))
    into = recorded.nopython_into

    @njit
    def run(cams, points, weights, feats, obs, errors, weight_errors, data):
        p = len(obs)
        blocks = data[: 30 * p].reshape((p, 2, 15))
        params, pixels = np.empty((15, BATCH)), np.empty((2, BATCH))
        row0, row1 = np.empty((15, BATCH)), np.empty((15, BATCH))
        error0, error1 = np.empty(BATCH), np.empty(BATCH)
        for start in range(0, p, BATCH):
            for b in range(BATCH):
                k = min(start + b, p - 1)
                i, j = obs[k]
                for c in range(11):
                    params[c, b] = cams[i, c]
                for c in range(3):
                    params[11 + c, b] = points[j, c]
                params[14, b] = weights[k]
                pixels[0, b], pixels[1, b] = feats[k]
            into(params, pixels, row0, error0, row1, error1)
            for b in range(min(BATCH, p - start)):
                k = start + b
                errors[k, 0], errors[k, 1] = error0[b], error1[b]
                for c in range(15):
                    blocks[k, 0, c], blocks[k, 1, c] = row0[c, b], row1[c, b]
                weight_errors[k] = 1.0 - weights[k] * weights[k]
                data[30 * p + k] = -2.0 * weights[k]

    return run
