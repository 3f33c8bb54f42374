"""The problems of the nopython benchmark: each function, and its gradient derived by hand."""

import math

import numpy as np
from numba import njit


@njit
def rosenbrock(x):
    s = 0.0
    for i in range(len(x) - 1):
        s += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return s


@njit
def rosenbrock_hand(x, g):
    s = 0.0
    for i in range(len(x)):
        g[i] = 0.0
    for i in range(len(x) - 1):
        a = x[i + 1] - x[i] * x[i]
        b = 1.0 - x[i]
        s += 100.0 * a * a + b * b
        g[i + 1] += 200.0 * a
        g[i] += -400.0 * a * x[i] - 2.0 * b
    return s


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
def lorenz_hand(p, g):
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
def control_flow(q):
    """A value-dependent loop and branch."""
    b = q[0] * 2
    while abs(b) < 1000:
        b = b * 2
    return b if b > 0 else 100 * b


@njit
def control_flow_hand(q, g):
    b = q[0] * 2
    s = 2.0
    while abs(b) < 1000:
        b = b * 2
        s = s * 2
    if b > 0:
        g[0] = s
        return b
    g[0] = 100 * s
    return 100 * b


@njit
def control_flow_number(a):
    b = a * 2
    while abs(b) < 1000:
        b = b * 2
    return b if b > 0 else 100 * b


@njit
def control_flow_number_hand(a):
    b = a * 2
    s = 2.0
    while abs(b) < 1000:
        b = b * 2
        s = s * 2
    return (b, s) if b > 0 else (100 * b, 100 * s)


@njit
def black_scholes_numbers_hand(s, k, r, v, t):
    st = math.sqrt(t)
    sq = v * st
    d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / sq
    d2 = d1 - sq
    n1, n2, e = normal_cdf(d1), normal_cdf(d2), math.exp(-r * t)
    density = math.exp(-0.5 * d1 * d1) * 0.3989422804014327
    last = s * density * v / (2 * st) + r * k * e * n2
    return s * n1 - k * e * n2, (n1, -e * n2, k * t * e * n2, s * density * st, last)


@njit
def normal_cdf(x):
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))


@njit
def black_scholes(p):
    """The price of a call; p: spot, strike, rate, volatility, time."""
    s, k, r, v, t = p[0], p[1], p[2], p[3], p[4]
    sq = v * math.sqrt(t)
    d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / sq
    d2 = d1 - sq
    return s * normal_cdf(d1) - k * math.exp(-r * t) * normal_cdf(d2)


@njit
def black_scholes_scalars(s, k, r, v, t):
    sq = v * math.sqrt(t)
    d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / sq
    d2 = d1 - sq
    return s * normal_cdf(d1) - k * math.exp(-r * t) * normal_cdf(d2)


@njit
def black_scholes_hand(p, g):
    s, k, r, v, t = p[0], p[1], p[2], p[3], p[4]
    st = math.sqrt(t)
    sq = v * st
    d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / sq
    d2 = d1 - sq
    n1, n2, e = normal_cdf(d1), normal_cdf(d2), math.exp(-r * t)
    density = math.exp(-0.5 * d1 * d1) * 0.3989422804014327
    g[0] = n1
    g[1] = -e * n2
    g[2] = k * t * e * n2
    g[3] = s * density * st
    g[4] = s * density * v / (2 * st) + r * k * e * n2
    return s * n1 - k * e * n2


@njit
def heat(u0):
    """Explicit heat equation with a cubic sink: 100 steps; the sum of squares at the end."""
    n = u0.size
    u = u0.copy()
    w = np.zeros(n)
    for _ in range(100):
        for i in range(1, n - 1):
            w[i] = u[i] + 0.1 * (u[i - 1] - 2.0 * u[i] + u[i + 1]) - 0.01 * u[i] ** 3
        for i in range(1, n - 1):
            u[i] = w[i]
    s = 0.0
    for i in range(n):
        s += u[i] * u[i]
    return s


@njit
def heat_hand(u0, g):
    n = u0.size
    steps = 100
    states = np.empty((steps + 1, n))
    states[0, :] = u0
    for t in range(steps):
        u, w = states[t], states[t + 1]
        w[0] = u[0]
        w[n - 1] = u[n - 1]
        for i in range(1, n - 1):
            w[i] = u[i] + 0.1 * (u[i - 1] - 2.0 * u[i] + u[i + 1]) - 0.01 * u[i] ** 3
    last = states[steps]
    s = 0.0
    for i in range(n):
        s += last[i] * last[i]
        g[i] = 2.0 * last[i]
    b = np.empty(n)
    for t in range(steps - 1, -1, -1):
        u = states[t]
        for i in range(n):
            b[i] = g[i]
        for i in range(2, n - 2):
            g[i] = b[i] * (0.8 - 0.03 * u[i] * u[i]) + 0.1 * (b[i - 1] + b[i + 1])
        for i in (1, n - 2):
            g[i] = b[i] * (0.8 - 0.03 * u[i] * u[i])
            g[i] += 0.1 * (b[i + 1] if i == 1 else b[i - 1])
        g[0] = b[0] + 0.1 * b[1]
        g[n - 1] = b[n - 1] + 0.1 * b[n - 2]
    return s
