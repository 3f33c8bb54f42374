"""The heat equation solved by a neural network: its loss is the equation itself, by derivatives of the network in its inputs.

Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, J. Comput. Phys. 378, 2019: a network u(x, t) that makes
u_t - D u_xx small at points inside, and meets what is given at the start and at both ends. Derivatives in the inputs are taken
inside the loss, whose gradient in the weights leads L-BFGS. The exact solution, exp(-D pi^2 t) sin(pi x), says how good it is.

    python examples/heat_pinn.py
"""

import argparse
import time
from itertools import pairwise

import numpy as np

import tapejit as tj

DIFFUSIVITY = 0.1


def start_of(widths, rng):
    """Weights of fully connected layers (Glorot and Bengio, 2010)."""
    return [{"w": rng.normal(0, np.sqrt(2 / (m + n)), (m, n)), "b": np.zeros(n)} for m, n in pairwise(widths)]


def network(layers, x, t):
    """u at points, (points,)."""
    h = tj.stack([2 * x - 1, 2 * t - 1], 1)
    for layer in layers[:-1]:
        h = tj.tanh(h @ layer["w"] + layer["b"])
    return (h @ layers[-1]["w"] + layers[-1]["b"])[:, 0]


def residual(layers, x, t):
    """u_t - D u_xx at points; each point's u depends on its own x and t alone, so a sum has all derivatives."""
    u_t = tj.grad(lambda t: network(layers, x, t).sum())(t)
    u_xx = tj.grad(lambda x: tj.grad(lambda x: network(layers, x, t).sum())(x).sum())(x)
    return u_t - DIFFUSIVITY * u_xx


def loss(layers, inside, start, ends):
    begun = network(layers, start, 0.0 * start) - tj.sin(np.pi * start)
    left, right = network(layers, 0.0 * ends, ends), network(layers, 0.0 * ends + 1.0, ends)
    return (residual(layers, *inside) ** 2).mean() + (begun**2).mean() + (left**2 + right**2).mean()


def exact(x, t):
    return np.exp(-DIFFUSIVITY * np.pi**2 * t) * np.sin(np.pi * x)


def picture(path, x, t, u):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for k in range(0, len(t), len(t) // 4):
        left.plot(x, exact(x, t[k]), color="0.6", lw=3)
        left.plot(x, u[k], color="C0", lw=1)
    left.set(xlabel="x", ylabel="u", title="Network over exact solution, t = 0, 1/4, ..., 1")
    shown = right.pcolormesh(x, t, u - exact(x, t[:, None]), cmap="RdBu")
    figure.colorbar(shown, ax=right)
    right.set(xlabel="x", ylabel="t", title="Error")
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smaller network and fewer points and steps")
    parser.add_argument("--out", default="heat_pinn.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(0)
    width, points, steps = (12, 100, 150) if options.quick else (24, 400, 1500)
    layers = start_of((2, width, width, 1), rng)
    given = rng.uniform(size=(2, points)), np.linspace(0, 1, 50), np.linspace(0, 1, 50)
    x, t = np.linspace(0, 1, 101), np.linspace(0, 1, 101)
    grid = [a.ravel() for a in np.meshgrid(x, t)]

    print(f"{sum(a.size for layer in layers for a in layer.values())} weights, {points} points inside")
    print(f"{'steps':>6} {'loss':>9} {'largest error':>14} {'relative error':>15} {'seconds':>8}")
    solution = tj.jit(network)
    begin, done, errors = time.perf_counter(), 0, []
    for share in (0.1, 0.4, 0.5):
        fit = tj.optimize.minimize(
            loss, layers, given, method="L-BFGS-B",
            options=dict(maxiter=int(share * steps), maxfun=10 * steps, maxcor=50, ftol=0.0, gtol=1e-9),
        )  # fmt: skip
        layers, done = fit.x, done + fit.nit
        u = solution(layers, *grid)
        errors.append(np.linalg.norm(u - exact(*grid)) / np.linalg.norm(exact(*grid)))
        largest = np.abs(u - exact(*grid)).max()
        print(f"{done:6} {fit.fun:9.1e} {largest:14.1e} {errors[-1]:15.1e} {time.perf_counter() - begin:8.1f}")
    if options.out:
        picture(options.out, x, t, u.reshape(101, 101))
    return errors


if __name__ == "__main__":
    main()
