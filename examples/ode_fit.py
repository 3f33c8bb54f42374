"""Fit an ODE's parameters to data, the optimiser's loop included in compiled code.

A predator-prey model is integrated with Runge-Kutta steps; the squared distance to noisy observations is minimised with
Adam over the logarithms of the four parameters and the initial state. The gradient of the simulation is a Numba
function like any other, so the whole fit is one compiled call.

    python examples/ode_fit.py
"""

import math
import time

import numpy as np
from numba import njit

from tapejit import nopython

STEPS = 20  # Runge-Kutta steps between observations
DT = 0.02


@njit
def slope(prey, predators, p):
    return p[0] * prey - p[1] * prey * predators, p[2] * prey * predators - p[3] * predators


@njit
def advance(prey, predators, p):
    """One Runge-Kutta step."""
    a1, b1 = slope(prey, predators, p)
    a2, b2 = slope(prey + 0.5 * DT * a1, predators + 0.5 * DT * b1, p)
    a3, b3 = slope(prey + 0.5 * DT * a2, predators + 0.5 * DT * b2, p)
    a4, b4 = slope(prey + DT * a3, predators + DT * b3, p)
    return prey + DT / 6 * (a1 + 2 * a2 + 2 * a3 + a4), predators + DT / 6 * (b1 + 2 * b2 + 2 * b3 + b4)


def loss(theta, observed):
    """Mean squared distance of the logarithms; theta: logarithms of four rates and of the initial state."""
    p = np.empty(4)
    for k in range(4):
        p[k] = math.exp(theta[k])
    prey, predators = math.exp(theta[4]), math.exp(theta[5])
    total = 0.0
    for n in range(observed.shape[0]):
        total += (math.log(prey) - observed[n, 0]) ** 2 + (math.log(predators) - observed[n, 1]) ** 2
        for _ in range(STEPS):
            prey, predators = advance(prey, predators, p)
    return total / observed.shape[0]


gradient = nopython.value_and_grad(loss)


@njit
def fit(theta, observed, iterations, rate):
    """Adam, compiled together with the gradient it follows."""
    theta = theta.copy()
    slope_ = np.empty_like(theta)
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    value = 0.0
    for n in range(1, iterations + 1):
        value = gradient.into(theta, observed, slope_)
        for k in range(theta.size):
            first[k] = 0.9 * first[k] + 0.1 * slope_[k]
            second[k] = 0.999 * second[k] + 0.001 * slope_[k] ** 2
            theta[k] -= rate * (first[k] / (1 - 0.9**n)) / (math.sqrt(second[k] / (1 - 0.999**n)) + 1e-8)
    return theta, value


def simulate(theta, count):
    p = np.exp(theta[:4])
    state = tuple(np.exp(theta[4:]))
    rows = []
    for _ in range(count):
        rows.append(state)
        for _ in range(STEPS):
            state = advance(*state, p)
    return np.array(rows)


def main():
    truth = np.log(np.array([1.1, 0.4, 0.1, 0.4, 10.0, 5.0]))
    rng = np.random.default_rng(0)
    observed = np.log(simulate(truth, 40)) + 0.02 * rng.normal(size=(40, 2))
    start = truth + 0.15 * rng.normal(size=6)

    print("compiling (first run only) ...", flush=True)
    begin = time.perf_counter()
    fit(start, observed, 1, 0.01)
    compiled = time.perf_counter()
    found, value = fit(start, observed, 2000, 0.01)
    done = time.perf_counter()
    print(
        f"compiled in {compiled - begin:.1f} s; 2000 gradients of {40 * STEPS} steps in {done - compiled:.2f} s"
    )
    print(f"loss {loss(start, observed):.4f} -> {value:.6f}")
    for name, exact, fitted in zip(
        ("growth", "predation", "conversion", "death", "prey", "predators"), truth, found, strict=True
    ):
        print(f"{name:11s} true {math.exp(exact):7.3f}   fitted {math.exp(fitted):7.3f}")
    assert np.allclose(np.exp(found), np.exp(truth), rtol=0.05), "the fit has missed the parameters"


if __name__ == "__main__":
    main()
