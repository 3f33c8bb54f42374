"""Lorenz' equations, 1 000 Runge-Kutta steps, and the adjoint by hand."""

import numpy as np
from numba import njit


@njit
def lorenz(p):
    """The squared distance from the origin after 1 000 Runge-Kutta steps; p: initial state, sigma, rho, beta."""
    x, y, z, sg, rh, be = p[0], p[1], p[2], p[3], p[4], p[5]
    dt = 0.001
    for _ in range(1000):
        k1x = sg * (y - x)
        k1y = x * (rh - z) - y
        k1z = x * y - be * z
        xx = x + 0.5 * dt * k1x
        yy = y + 0.5 * dt * k1y
        zz = z + 0.5 * dt * k1z
        k2x = sg * (yy - xx)
        k2y = xx * (rh - zz) - yy
        k2z = xx * yy - be * zz
        xx = x + 0.5 * dt * k2x
        yy = y + 0.5 * dt * k2y
        zz = z + 0.5 * dt * k2z
        k3x = sg * (yy - xx)
        k3y = xx * (rh - zz) - yy
        k3z = xx * yy - be * zz
        xx = x + dt * k3x
        yy = y + dt * k3y
        zz = z + dt * k3z
        k4x = sg * (yy - xx)
        k4y = xx * (rh - zz) - yy
        k4z = xx * yy - be * zz
        x = x + dt / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        y = y + dt / 6.0 * (k1y + 2.0 * k2y + 2.0 * k3y + k4y)
        z = z + dt / 6.0 * (k1z + 2.0 * k2z + 2.0 * k3z + k4z)
    return x * x + y * y + z * z


@njit
def _slope_adjoint(x, y, z, sg, rh, be, ax, ay, az):
    """The adjoints that one slope (k) hands to its point and to the parameters."""
    gx = -sg * ax + (rh - z) * ay + y * az
    gy = sg * ax - ay + x * az
    gz = -x * ay - be * az
    return gx, gy, gz, ax * (y - x), ay * x, -az * z


@njit
def gradient_into(p, g):
    """The adjoint of ``lorenz``: states are stored on the way, slopes recomputed on the way back."""
    x, y, z, sg, rh, be = p[0], p[1], p[2], p[3], p[4], p[5]
    dt = 0.001
    steps = 1000
    states = np.empty((steps, 3))
    for k in range(steps):
        states[k, 0] = x
        states[k, 1] = y
        states[k, 2] = z
        k1x = sg * (y - x)
        k1y = x * (rh - z) - y
        k1z = x * y - be * z
        xx = x + 0.5 * dt * k1x
        yy = y + 0.5 * dt * k1y
        zz = z + 0.5 * dt * k1z
        k2x = sg * (yy - xx)
        k2y = xx * (rh - zz) - yy
        k2z = xx * yy - be * zz
        xx = x + 0.5 * dt * k2x
        yy = y + 0.5 * dt * k2y
        zz = z + 0.5 * dt * k2z
        k3x = sg * (yy - xx)
        k3y = xx * (rh - zz) - yy
        k3z = xx * yy - be * zz
        xx = x + dt * k3x
        yy = y + dt * k3y
        zz = z + dt * k3z
        k4x = sg * (yy - xx)
        k4y = xx * (rh - zz) - yy
        k4z = xx * yy - be * zz
        x = x + dt / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        y = y + dt / 6.0 * (k1y + 2.0 * k2y + 2.0 * k3y + k4y)
        z = z + dt / 6.0 * (k1z + 2.0 * k2z + 2.0 * k3z + k4z)
    value = x * x + y * y + z * z
    bx, by, bz, bs, br, bb = 2 * x, 2 * y, 2 * z, 0.0, 0.0, 0.0
    c = dt / 6.0
    for k in range(steps - 1, -1, -1):
        x, y, z = states[k, 0], states[k, 1], states[k, 2]
        k1x = sg * (y - x)
        k1y = x * (rh - z) - y
        k1z = x * y - be * z
        x2 = x + 0.5 * dt * k1x
        y2 = y + 0.5 * dt * k1y
        z2 = z + 0.5 * dt * k1z
        k2x = sg * (y2 - x2)
        k2y = x2 * (rh - z2) - y2
        k2z = x2 * y2 - be * z2
        x3 = x + 0.5 * dt * k2x
        y3 = y + 0.5 * dt * k2y
        z3 = z + 0.5 * dt * k2z
        k3x = sg * (y3 - x3)
        k3y = x3 * (rh - z3) - y3
        k3z = x3 * y3 - be * z3
        x4 = x + dt * k3x
        y4 = y + dt * k3y
        z4 = z + dt * k3z
        ax, ay, az = c * bx, c * by, c * bz
        gx, gy, gz, ds, dr, db = _slope_adjoint(x4, y4, z4, sg, rh, be, ax, ay, az)
        bs, br, bb = bs + ds, br + dr, bb + db
        nx, ny, nz = bx + gx, by + gy, bz + gz
        ax, ay, az = 2 * c * bx + dt * gx, 2 * c * by + dt * gy, 2 * c * bz + dt * gz
        gx, gy, gz, ds, dr, db = _slope_adjoint(x3, y3, z3, sg, rh, be, ax, ay, az)
        bs, br, bb = bs + ds, br + dr, bb + db
        nx, ny, nz = nx + gx, ny + gy, nz + gz
        ax, ay, az = 2 * c * bx + 0.5 * dt * gx, 2 * c * by + 0.5 * dt * gy, 2 * c * bz + 0.5 * dt * gz
        gx, gy, gz, ds, dr, db = _slope_adjoint(x2, y2, z2, sg, rh, be, ax, ay, az)
        bs, br, bb = bs + ds, br + dr, bb + db
        nx, ny, nz = nx + gx, ny + gy, nz + gz
        ax, ay, az = c * bx + 0.5 * dt * gx, c * by + 0.5 * dt * gy, c * bz + 0.5 * dt * gz
        gx, gy, gz, ds, dr, db = _slope_adjoint(x, y, z, sg, rh, be, ax, ay, az)
        bs, br, bb = bs + ds, br + dr, bb + db
        bx, by, bz = nx + gx, ny + gy, nz + gz
    g[0], g[1], g[2], g[3], g[4], g[5] = bx, by, bz, bs, br, bb
    return value


@njit
def value_and_gradient(p):
    g = np.empty_like(p)
    return gradient_into(p, g), g
