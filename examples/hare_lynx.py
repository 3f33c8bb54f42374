"""Hares and lynxes: an ordinary differential equation fitted to twenty-one years of real counts, with Laplace's error bars.

The data are pelts, in thousands, taken by the Hudson's Bay Company from 1900 to 1920 (Howard, Modeling basics, 2009). Rates
and start of Lotka's and Volterra's equations are found by maximum posterior, with the priors of Carpenter, Predator-prey
population dynamics, Stan case studies 2018, whose posterior means are printed beside. The loop is plain Numba: its gradient
leads a compiled BFGS, its Hessian at the end is the inverse of the covariance (Laplace's approximation).

    python examples/hare_lynx.py
"""

import argparse
import math

import numpy as np
from numba import njit

from tapejit import nopython

HARE = np.array([30.0, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22.0, 25.4, 27.1, 40.3, 57.0, 76.6, 52.3, 19.5, 11.2, 7.6,
                 14.6, 16.2, 24.7])  # fmt: skip
LYNX = np.array([4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4, 8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7,
                 10.1, 8.6])  # fmt: skip
NAMES = ("births of hares", "predation", "deaths of lynxes", "births of lynxes", "hares in 1900", "lynxes in 1900",
         "noise of hares", "noise of lynxes")  # fmt: skip
PUBLISHED = np.array([0.55, 0.028, 0.80, 0.024, 34.0, 5.9, 0.25, 0.25])  # posterior means
MEDIAN = np.array([1.0, 0.05, 1.0, 0.05, 10.0, 10.0, math.exp(-1), math.exp(-1)])  # priors; normal ones for the rates
SPREAD = np.array([0.5, 0.05, 0.5, 0.05, 1.0, 1.0, 1.0, 1.0])
STEPS = 20  # Runge-Kutta steps a year


@njit
def year(hare, lynx, p):
    """(hares, lynxes) a year later, by Runge and Kutta's steps."""
    h = 1.0 / STEPS
    for _ in range(STEPS):
        a1, b1 = hare * (p[0] - p[1] * lynx), lynx * (p[3] * hare - p[2])
        x, y = hare + 0.5 * h * a1, lynx + 0.5 * h * b1
        a2, b2 = x * (p[0] - p[1] * y), y * (p[3] * x - p[2])
        x, y = hare + 0.5 * h * a2, lynx + 0.5 * h * b2
        a3, b3 = x * (p[0] - p[1] * y), y * (p[3] * x - p[2])
        x, y = hare + h * a3, lynx + h * b3
        a4, b4 = x * (p[0] - p[1] * y), y * (p[3] * x - p[2])
        hare += h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        lynx += h / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
    return hare, lynx


def energy(theta, hares, lynxes):
    """Minus the logarithm of the posterior density, theta the logarithms of the parameters."""
    p = np.exp(theta)
    total = 0.0
    for k in range(4):
        total += 0.5 * ((p[k] - MEDIAN[k]) / SPREAD[k]) ** 2
    for k in range(4, 8):
        total += 0.5 * ((theta[k] - math.log(MEDIAN[k])) / SPREAD[k]) ** 2
    hare, lynx = p[4], p[5]
    for n in range(len(hares)):
        if n > 0:
            hare, lynx = year(hare, lynx, p)
        total += 0.5 * ((math.log(hares[n]) - math.log(hare)) / p[6]) ** 2 + theta[6]
        total += 0.5 * ((math.log(lynxes[n]) - math.log(lynx)) / p[7]) ** 2 + theta[7]
    return total


def picture(path, draws):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    paths = []
    for theta in draws:
        state, p = tuple(np.exp(theta[4:6])), np.exp(theta)
        rows = [state]
        for _ in HARE[1:]:
            rows.append(year(*rows[-1], p))
        paths.append(rows)
    low, middle, high = np.quantile(paths, [0.05, 0.5, 0.95], axis=0)
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for k, (name, pelts) in enumerate((("hares", HARE), ("lynxes", LYNX))):
        axes.plot(range(1900, 1921), pelts, "o", ms=4, color=f"C{k}", label=name)
        axes.plot(range(1900, 1921), middle[:, k], color=f"C{k}")
        axes.fill_between(range(1900, 1921), low[:, k], high[:, k], color=f"C{k}", alpha=0.2)
    axes.set(ylabel="thousand pelts", xticks=range(1900, 1921, 5), title="Fit, and 90 % of Laplace's approximation")
    axes.legend()
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no Hessian, so no error bars")
    parser.add_argument("--out", default="hare_lynx.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    start = np.log([0.5, 0.02, 0.9, 0.03, 30.0, 4.0, 0.3, 0.3])
    solve = nopython.optimize.bfgs(energy, gtol=1e-5)
    theta, value, status, evaluations = solve(start, HARE, LYNX)
    print(f"energy {value:.4f} after {evaluations} gradients of {20 * STEPS} steps (status {status})")
    covariance = np.full((8, 8), np.nan)
    if not options.quick:
        covariance = np.linalg.inv(nopython.hessian(energy)(theta, HARE, LYNX)[-1])
    deviations = np.sqrt(np.diag(covariance))
    found = np.exp(theta)
    print(f"{'':17} {'found':>8} {'deviation':>10} {'published mean':>15}")
    for name, x, d, published in zip(NAMES, found, found * deviations, PUBLISHED, strict=True):
        print(f"{name:17} {x:8.4f} {d:10.4f} {published:15.3f}")
    if options.out and not options.quick:
        picture(options.out, np.random.default_rng(0).multivariate_normal(theta, covariance, size=200))
    return found


if __name__ == "__main__":
    main()
