"""Averages of series that are warped in time: soft-DTW barycentres, by a gradient through dynamic programming.

Cuturi and Blondel, Soft-DTW: a Differentiable Loss Function for Time-Series, ICML 2017: the smoothed cost of the best alignment
is two nested loops; its gradient, their algorithm 2, is here worked out by nobody, and theirs is the reference. The series are
cylinders, bells and funnels, by the recipe of Saito (1994), as in the UCR archive: a shape of random onset, length and height.

    python examples/soft_dtw.py
"""

import argparse
import math
import time

import numpy as np
from numba import njit

from tapejit import nopython

LENGTH = 128
FAR = 1e10  # the cost of what no alignment may do


def series(kind, count, rng):
    """Series of one kind, (count, LENGTH), of mean 0 and deviation 1."""
    t = np.arange(1, LENGTH + 1)
    found = np.empty((count, LENGTH))
    for k in range(count):
        a = rng.integers(16, 33)
        b = a + rng.integers(32, 97)
        shape = {"cylinder": 1.0, "bell": (t - a) / (b - a), "funnel": (b - t) / (b - a)}[kind]
        found[k] = (6 + rng.normal()) * ((a <= t) & (t <= b)) * shape + rng.normal(size=LENGTH)
    return (found - found.mean(1, keepdims=True)) / found.std(1, keepdims=True)


@njit(cache=True)
def softmin(a, b, c, gamma):
    least = min(a, b, c)
    total = math.exp((least - a) / gamma) + math.exp((least - b) / gamma) + math.exp((least - c) / gamma)
    return least - gamma * math.log(total)


@njit(cache=True)
def mean_cost(z, data, gamma):
    """The mean over the series of the smoothed cost of aligning z with them (algorithm 1)."""
    n, m = len(z), data.shape[1]
    total = 0.0
    for k in range(len(data)):
        row = np.full(m + 1, FAR)
        row[0] = 0.0
        for i in range(n):
            above = row
            row = np.full(m + 1, FAR)
            for j in range(m):
                row[j + 1] = (z[i] - data[k, j]) ** 2 + softmin(above[j], above[j + 1], row[j], gamma)
        total += row[m]
    return total / len(data)


@njit(cache=True)
def gradient_by_hand(z, data, gamma):
    """The gradient in z by the recursion of Cuturi and Blondel's algorithm 2."""
    n, m = len(z), data.shape[1]
    gradient = np.zeros(n)
    for k in range(len(data)):
        R, E, D = np.full((n + 2, m + 2), FAR), np.zeros((n + 2, m + 2)), np.zeros((n + 2, m + 2))
        R[0, 0] = 0.0
        for i in range(1, n + 1):
            for j in range(1, m + 1):
                D[i, j] = (z[i - 1] - data[k, j - 1]) ** 2
                R[i, j] = D[i, j] + softmin(R[i - 1, j - 1], R[i - 1, j], R[i, j - 1], gamma)
        R[:, m + 1] = R[n + 1, :] = -FAR
        R[n + 1, m + 1], E[n + 1, m + 1] = R[n, m], 1.0
        for i in range(n, 0, -1):
            for j in range(m, 0, -1):
                E[i, j] = (
                    E[i + 1, j] * math.exp((R[i + 1, j] - R[i, j] - D[i + 1, j]) / gamma)
                    + E[i, j + 1] * math.exp((R[i, j + 1] - R[i, j] - D[i, j + 1]) / gamma)
                    + E[i + 1, j + 1] * math.exp((R[i + 1, j + 1] - R[i, j] - D[i + 1, j + 1]) / gamma)
                )
                gradient[i - 1] += 2 * (z[i - 1] - data[k, j - 1]) * E[i, j] / len(data)
    return gradient


def picture(path, found):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(8, 2.6), layout="constrained", sharey=True)
    for ax, (kind, (data, mean, barycentre)) in zip(axes, found.items(), strict=True):
        ax.plot(data.T, color="0.8", lw=0.6)
        ax.plot(mean, color="C0", ls="--", label="mean")
        ax.plot(barycentre, color="C3", label="barycentre")
        ax.set(title=kind, xlabel="time")
    axes[0].legend(loc="upper right")
    figure.savefig(path, dpi=80)


def milliseconds(f, *args):
    """The processor's time of a call."""
    begin = time.process_time()
    for _ in range(5):
        f(*args)
    return 200 * (time.process_time() - begin)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 series of a kind in place of 10, 20 steps")
    parser.add_argument("--out", default="soft_dtw.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    count, gamma, rng = 3 if options.quick else 10, 1.0, np.random.default_rng(0)
    gradient = nopython.value_and_grad(mean_cost)
    solve = nopython.optimize.lbfgs(mean_cost, gtol=1e-4, maxiter=20 if options.quick else 300)
    found, differences = {}, []
    print(f"{count} series of {LENGTH} points of a kind, gamma {gamma:g}")
    print(f"{'':9} {'cost of the mean':>17} {'barycentre':>11} {'gradients':>10} {'off theirs':>11} {'ms':>6} {'theirs':>7}")
    for kind in ("cylinder", "bell", "funnel"):
        data = series(kind, count, rng)
        mean = data.mean(0)
        barycentre, cost, _, gradients = solve(mean, data, gamma)
        before, slope = gradient(mean, data, gamma)
        differences.append(np.abs(slope - gradient_by_hand(mean, data, gamma)).max())
        ours, theirs = milliseconds(gradient, mean, data, gamma), milliseconds(gradient_by_hand, mean, data, gamma)
        found[kind] = data, mean, barycentre
        print(f"{kind:9} {before:17.4f} {cost:11.4f} {gradients:10} {differences[-1]:11.1e} {ours:6.2f} {theirs:7.2f}")
    if options.out:
        picture(options.out, found)
    return found, differences


if __name__ == "__main__":
    main()
