"""Programs as newcomers write them, each in every way in that applies, with the right numbers.

Array programs run eagerly (``backward``), recorded (``tj.value_and_grad``, several calls, so that the compiled program answers
too) and are checked against central differences; loops over numbers run in nopython mode too.
"""

import math

import numpy as np
import pytest
import scipy.optimize
from every_way import every_way, slopes

import tapejit as tj
from tapejit import nopython

rng = np.random.default_rng(1)


# --- fits -----------------------------------------------------------------------------------------------------------------


def test_curve_fit_with_an_exact_jacobian():
    t = np.linspace(0, 4, 30)
    data = 2.5 * np.exp(-1.3 * t) + 0.5

    def residuals(p):
        return p[0] * tj.exp(-p[1] * tj.as_tensor(t)) + p[2] - data

    jacobian = tj.jacobian(residuals)
    fit = scipy.optimize.least_squares(tj.jit(residuals), np.array([1.0, 1.0, 0.0]), jac=jacobian)
    np.testing.assert_allclose(fit.x, [2.5, 1.3, 0.5], rtol=1e-8)
    exact = np.stack([np.exp(-1.3 * t), -2.5 * t * np.exp(-1.3 * t), np.ones(30)], axis=1)
    np.testing.assert_allclose(jacobian(np.array([2.5, 1.3, 0.5])), exact, rtol=1e-10, atol=1e-12)


def test_logistic_regression_with_l_bfgs():
    x = rng.normal(size=(200, 5))
    y = (x @ np.array([1.0, -2.0, 0.5, 0.0, 3.0]) + rng.normal(size=200) > 0).astype(float)

    def loss(w):
        z = tj.as_tensor(x) @ w
        return (tj.log1p(tj.exp(-abs(z))) + tj.relu(z) - y * z).mean() + 0.01 * (w * w).sum()

    every_way(loss, rng.normal(size=5))
    found = scipy.optimize.minimize(tj.value_and_grad(loss), np.zeros(5), jac=True, method="L-BFGS-B")
    assert found.success
    p = 1 / (1 + np.exp(-x @ found.x))
    np.testing.assert_allclose(x.T @ (p - y) / 200 + 0.02 * found.x, 0, atol=1e-4)


def test_softmax_regression():
    x, labels = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)

    def loss(w, b):
        scores = tj.as_tensor(x) @ w + b
        return -tj.log_softmax(scores, dim=1)[range(40), labels].mean()

    w, b = every_way(loss, 0.1 * rng.normal(size=(6, 3)), np.zeros(3))
    np.testing.assert_allclose(b.sum(), 0, atol=1e-12)
    assert w.shape == (6, 3)


def test_adam_by_hand():
    target = np.array([1.0, -2.0, 0.5])

    def train(p, steps=400, rate=0.05):
        m, v = tj.zeros(3), tj.zeros(3)
        for n in range(1, steps + 1):
            loss = ((p - target) ** 2).sum()
            loss.backward()
            with tj.no_grad():
                m = 0.9 * m + 0.1 * p.grad
                v = 0.999 * v + 0.001 * p.grad**2
                p -= rate * (m / (1 - 0.9**n)) / (tj.sqrt(v / (1 - 0.999**n)) + 1e-8)
                p.grad.zero_()
        return p

    np.testing.assert_allclose(train(tj.zeros(3, requires_grad=True)).detach().numpy(), target, atol=1e-3)


def test_newton_with_the_hessian():
    def f(x):
        return (x[0] - 1) ** 4 + (x[1] + 2) ** 2 * (1 + x[0] ** 2)

    gradient, hessian = tj.grad(f), tj.hessian(f)
    x = np.array([0.2, 0.3])
    for _ in range(60):
        x = x - np.linalg.solve(hessian(x) + 1e-9 * np.eye(2), gradient(x))
    np.testing.assert_allclose(x, [1.0, -2.0], atol=1e-4)


# --- finance --------------------------------------------------------------------------------------------------------------


def test_heston_monte_carlo_greeks():
    normals = rng.normal(size=(2, 16, 500))

    def price(s0, v0, kappa, theta, sigma, rho):
        s = tj.log(s0) * tj.ones(500)
        v = v0 * tj.ones(500)
        dt = 1.0 / 16
        for a, b in zip(normals[0], normals[1], strict=True):
            root = tj.sqrt(tj.clamp(v, min=1e-8) * dt)
            s = s - 0.5 * v * dt + root * a
            v = v + kappa * (theta - v) * dt + sigma * root * (rho * a + tj.sqrt(1 - rho * rho) * b)
        return tj.relu(s.exp() - 100.0).mean()

    delta, *_ = every_way(price, 100.0, 0.04, 1.5, 0.04, 0.3, -0.7, rtol=1e-4, atol=1e-4)
    assert 0.4 < delta < 0.8


def test_black_scholes_in_plain_math_says_what_to_use():
    def call(s, k, t):
        d = (math.log(s / k) + 0.02 * t) / (0.2 * math.sqrt(t))
        return s * 0.5 * (1 + math.erf(d / math.sqrt(2.0)))

    with pytest.raises(Exception, match=r"tj\.log|tapejit\.log"):
        tj.value_and_grad(call, argnums=(0, 2))(100.0, 95.0, 0.5)
    value, (delta, theta) = nopython.value_and_grad(call, argnums=(0, 2))(100.0, 95.0, 0.5)
    expected = slopes(lambda s, t: call(s, 95.0, t), 100.0, 0.5)
    assert value == pytest.approx(call(100.0, 95.0, 0.5))
    np.testing.assert_allclose([delta, theta], expected, rtol=1e-6)


def test_american_put_on_a_tree():
    steps = 40

    def put(s, sigma):
        dt = 1.0 / steps
        up = tj.exp(sigma * math.sqrt(dt))
        p = (math.exp(0.05 * dt) - 1 / up) / (up - 1 / up)
        prices = s * up ** (2 * tj.arange(steps + 1.0) - steps)
        values = tj.relu(100 - prices)
        for _ in range(steps):
            prices = prices[:-1] * up
            values = math.exp(-0.05 * dt) * (p * values[1:] + (1 - p) * values[:-1])
            values = tj.maximum(values, 100 - prices)
        return values[0]

    delta, vega = every_way(put, 98.3, 0.21, rtol=1e-5)
    assert -1 < delta < 0 < vega


def test_conditional_value_at_risk_by_sorting():
    returns = rng.normal(size=(300, 4))

    def cvar(w):
        losses = -(tj.as_tensor(returns) @ (w / w.sum()))
        return losses.sort()[0][-15:].mean()

    every_way(cvar, np.array([0.3, 0.2, 0.4, 0.1]))


def test_wealth_path_in_nopython():
    def wealth(p, shocks):
        w = 1.0
        for k in range(len(shocks)):
            w = w * (1.0 + p[0] * (0.05 + 0.2 * shocks[k])) - p[1] * w
            if w < 0.1:
                w = 0.1
        return -math.log(w)

    shocks, p = rng.normal(size=60), np.array([0.5, 0.01])
    value, gradient = nopython.value_and_grad(wealth)(p, shocks)
    assert value == pytest.approx(wealth(p, shocks))
    np.testing.assert_allclose(gradient, slopes(lambda q: wealth(q, shocks), p)[0], rtol=1e-6)


# --- dynamics -------------------------------------------------------------------------------------------------------------


def test_sir_epidemic():
    def cases(p):
        s, i = 0.99 + 0 * p[0], 0.01 + 0 * p[0]
        total = 0.0
        for _ in range(50):
            new = p[0] * s * i
            s, i = s - new, i + new - p[1] * i
            total = total + new
        return total

    (gradient,) = every_way(cases, np.array([0.4, 0.1]))

    def loop(p):
        s, i, total = 0.99, 0.01, 0.0
        for _ in range(50):
            new = p[0] * s * i
            s, i = s - new, i + new - p[1] * i
            total += new
        return total

    for mode in ("tape", "dual", "auto"):
        np.testing.assert_allclose(nopython.grad(loop, mode=mode)(np.array([0.4, 0.1])), gradient, rtol=1e-10)


def test_pendulum_with_an_event():
    def time_of_crossing(angle, length):
        speed = 0.0 * angle
        t = 0.0
        dt = 0.01
        while angle > 0:
            speed = speed - 9.81 / length * tj.sin(angle) * dt
            angle = angle + speed * dt
            t += dt
        return t - angle / speed

    every_way(time_of_crossing, 0.7, 1.3, rtol=1e-4)

    def loop(angle, length):
        speed, t = 0.0, 0.0
        while angle > 0:
            speed -= 9.81 / length * math.sin(angle) * 0.01
            angle += speed * 0.01
            t += 0.01
        return t - angle / speed

    value, gradient = nopython.value_and_grad(loop, argnums=(0, 1))(0.7, 1.3)
    assert value == pytest.approx(loop(0.7, 1.3))
    np.testing.assert_allclose(gradient, slopes(loop, 0.7, 1.3), rtol=1e-4)


def test_kalman_filter():
    observed = np.cumsum(rng.normal(size=20)) + rng.normal(size=20)
    transition = np.array([[1.0, 1.0], [0.0, 1.0]])

    def likelihood(q, r):
        x, cov = tj.zeros(2), 10.0 * tj.eye(2)
        a = tj.as_tensor(transition)
        total = 0.0
        for z in observed:
            x = a @ x
            cov = a @ cov @ a.T + tj.exp(q) * tj.eye(2)
            s = cov[0, 0] + tj.exp(r)
            gain = cov[:, 0] / s
            error = z - x[0]
            total = total + 0.5 * (tj.log(s) + error * error / s)
            x = x + gain * error
            cov = cov - gain[:, None] * cov[0][None, :]
        return total

    every_way(likelihood, -1.0, 0.3, rtol=1e-5)


def test_ewma_volatility_in_nopython():
    def loss(p, r):
        v = p[1]
        total = 0.0
        for k in range(r.shape[0]):
            total += math.log(v) + r[k] ** 2 / v
            v = p[0] * v + (1 - p[0]) * r[k] ** 2
        return total

    r, p = 0.01 * rng.normal(size=100), np.array([0.94, 1e-4])
    value, gradient = nopython.value_and_grad(loss)(p, r)
    assert value == pytest.approx(loss(p, r))
    reference = slopes(lambda q: loss(q, r), p, step=1e-9)[0]
    np.testing.assert_allclose(gradient, reference, rtol=1e-4)


# --- matrices -------------------------------------------------------------------------------------------------------------


def test_gaussian_process():
    x = np.linspace(0, 3, 12)
    y = np.sin(2 * x)
    apart = (x[:, None] - x[None, :]) ** 2

    def gp(theta):
        k = tj.exp(theta[0]) * tj.exp(-apart / (2 * tj.exp(theta[1]))) + tj.exp(theta[2]) * tj.eye(12)
        factor = tj.linalg.cholesky(k)
        alpha = tj.linalg.solve(k, tj.as_tensor(y))
        return 0.5 * (alpha * y).sum() + tj.log(tj.diagonal(factor)).sum()

    every_way(gp, np.array([0.1, -0.5, -2.0]), rtol=1e-5)

    def compiled(theta):
        k = math.exp(theta[0]) * np.exp(-apart / (2 * math.exp(theta[1]))) + math.exp(theta[2]) * np.eye(12)
        factor = np.linalg.cholesky(k)
        alpha = np.linalg.solve(k, y)
        return 0.5 * np.sum(alpha * y) + np.sum(np.log(np.diag(factor)))

    theta = np.array([0.1, -0.5, -2.0])
    value, gradient = nopython.value_and_grad(compiled)(theta)
    assert value == pytest.approx(compiled(theta))
    np.testing.assert_allclose(gradient, slopes(compiled, theta)[0], rtol=1e-5)


def test_power_iteration():
    def eigenvalue(a):
        a = (a + a.T) / 2
        v = tj.ones(4)
        for _ in range(60):
            v = a @ v
            v = v / v.norm()
        return v @ (a @ v)

    m = np.diag([5.0, 2.0, 1.0, 0.5]) + 0.3 * rng.normal(size=(4, 4))
    (gradient,) = every_way(eigenvalue, m, rtol=1e-5, atol=1e-6)
    v = np.linalg.eigh((m + m.T) / 2)[1][:, -1]
    np.testing.assert_allclose(gradient, np.outer(v, v), atol=1e-8)


def test_sinkhorn_distance():
    cost = (np.arange(6.0)[:, None] - np.arange(6.0)) ** 2 / 10
    b = np.full(6, 1 / 6)

    def distance(logits):
        a = tj.softmax(logits, dim=0)
        kernel = tj.exp(-tj.as_tensor(cost) / 0.5)
        u = tj.ones(6)
        for _ in range(30):
            v = b / (kernel.T @ u)
            u = a / (kernel @ v)
        return (u[:, None] * kernel * v * cost).sum()

    every_way(distance, rng.normal(size=6), rtol=1e-5)


def test_convolution_by_slicing():
    signal = rng.normal(size=50)

    def energy(kernel):
        s = tj.as_tensor(signal)
        out = sum(kernel[k] * s[k : 46 + k] for k in range(5))
        return (out[::2] ** 2).sum() + (out[::-1] * signal[:46]).sum()

    every_way(energy, rng.normal(size=5))


def test_implicit_root():
    """x with x**3 + a x = b by Newton, then one more step through which the derivative flows."""

    def root(a, b):
        x = tj.tensor(1.0)
        while abs(x**3 + a * x - b) > 1e-12:
            x = (x - (x**3 + a * x - b) / (3 * x**2 + a)).detach()
        x = x.detach()
        return x - (x**3 + a * x - b) / (3 * x**2 + a).detach()

    a, b = 2.0, 5.0
    ta, tb = tj.tensor(a, requires_grad=True), tj.tensor(b, requires_grad=True)
    x = root(ta, tb)
    x.backward()
    slope = 3 * x.item() ** 2 + a
    assert ta.grad.item() == pytest.approx(-x.item() / slope)
    assert tb.grad.item() == pytest.approx(1 / slope)
    g = tj.value_and_grad(root, (0, 1))
    for b in (5.0, 5.0, 5.0, 20.0, 0.1, 5.0):
        value, (da, db) = g(a, b)
        assert value**3 + a * value == pytest.approx(b)
        assert (da, db) == pytest.approx((-value / (3 * value**2 + a), 1 / (3 * value**2 + a)))


# --- sampling -------------------------------------------------------------------------------------------------------------


def test_hamiltonian_monte_carlo():
    precision = np.array([[2.0, 0.6], [0.6, 1.0]])

    def energy(q):
        return 0.5 * q @ (tj.as_tensor(precision) @ q)

    g = tj.value_and_grad(energy)
    draw = np.random.default_rng(3)
    q, samples = np.zeros(2), []
    for _ in range(3000):
        p = draw.normal(size=2)
        u, slope = g(q)
        before, new = u + 0.5 * p @ p, q
        for _ in range(8):
            p = p - 0.1 * slope
            new = new + 0.2 * p
            u, slope = g(new)
            p = p - 0.1 * slope
        if draw.random() < math.exp(min(0.0, before - u - 0.5 * p @ p)):
            q = new
        samples.append(q)
    np.testing.assert_allclose(np.cov(np.array(samples).T), np.linalg.inv(precision), atol=0.15)
