"""Eight schools by Hamiltonian Monte Carlo: a sampler's loop and the gradient that leads it in one compiled function.

Rubin's data, Estimation in parallel randomized experiments, 1981: the effect of coaching in eight schools, and how well each
is known. The schools' effects are mu + tau * eta (the form without a funnel). The step's size is learnt by dual averaging
(Hoffman and Gelman, The No-U-Turn Sampler, JMLR 15, 2014, section 3.2), the number of steps is drawn anew each time. Means
are printed beside those of posteriordb (eight_schools_noncentered; Magnusson and others, 2024).

    python examples/eight_schools.py
"""

import argparse
import math
import time

import numpy as np
from numba import njit

from tapejit import nopython

EFFECT = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
KNOWN = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
PUBLISHED = {"mu": 4.4, "tau": 3.6}


def energy(q, effect, known):
    """Minus the log density: mu ~ normal(0, 5), tau ~ half Cauchy(0, 5), eta ~ normal(0, 1); q: mu, log tau, eta."""
    mu, tau = q[0], math.exp(q[1])
    total = 0.5 * (mu / 5) ** 2 + math.log(1 + (tau / 5) ** 2) - q[1]
    for k in range(len(effect)):
        eta = q[2 + k]
        total += 0.5 * eta**2 + 0.5 * ((effect[k] - mu - tau * eta) / known[k]) ** 2
    return total


gradient = nopython.value_and_grad(energy)


@njit
def sample(q, count, warm, seed, effect, known):
    """(draws after warming up, share of accepted proposals, the learnt step, gradients taken), by leapfrog steps.

    The random numbers are Numba's, which stand under NumPy's old names.
    """
    np.random.seed(seed)  # noqa: NPY002
    n = len(q)
    draws = np.empty((count, n))
    q, slope, trial, force = q.copy(), np.empty(n), np.empty(n), np.empty(n)
    value = gradient.into(q, effect, known, slope)
    step, averaged, distance, centre = 0.1, 0.0, 0.0, math.log(1.0)
    accepted, gradients = 0.0, 1
    for i in range(warm + count):
        momentum = np.random.normal(0.0, 1.0, n)  # noqa: NPY002
        before = value + 0.5 * np.sum(momentum**2)
        trial[:], force[:] = q, slope
        reached = value
        for _ in range(np.random.randint(1, 33)):  # noqa: NPY002
            momentum -= 0.5 * step * force
            trial += step * momentum
            reached = gradient.into(trial, effect, known, force)
            momentum -= 0.5 * step * force
            gradients += 1
        gain = before - reached - 0.5 * np.sum(momentum**2)
        chance = math.exp(min(0.0, gain)) if math.isfinite(gain) else 0.0
        if np.random.random() < chance:  # noqa: NPY002
            q[:], slope[:] = trial, force
            value = reached
        if i < warm:  # the step with which nine proposals of ten are accepted
            share = 1.0 / (i + 11.0)
            distance = (1 - share) * distance + share * (0.9 - chance)
            logarithm = centre - math.sqrt(i + 1.0) / 0.05 * distance
            weight = (i + 1.0) ** -0.75
            averaged = weight * logarithm + (1 - weight) * averaged
            step = math.exp(averaged if i == warm - 1 else logarithm)
        else:
            accepted += chance / count
            draws[i - warm] = q
    return draws, accepted, step, gradients


def effective(chains):
    """Independent draws that the chains are worth, (chains, draws): by autocorrelations up to the first negative pair."""
    c, n = chains.shape
    z = chains - chains.mean()
    spectrum = np.fft.rfft(z, 2 * n, axis=1)
    rho = np.fft.irfft(spectrum * spectrum.conj(), axis=1)[:, :n].mean(0)
    pairs = (rho / rho[0])[: n // 2 * 2].reshape(-1, 2).sum(1)
    stop = np.argmax(pairs < 0) if (pairs < 0).any() else len(pairs)
    return c * n / max(2 * pairs[:stop].sum() - 1, 1e-3)


def picture(path, draws):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    schools = draws[:, :1] + np.exp(draws[:, 1:2]) * draws[:, 2:]
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
    left.plot(draws[:, 0], draws[:, 1], ".", ms=1, alpha=0.3)
    left.set(xlabel="mu", ylabel="log tau", title="Draws")
    right.errorbar(EFFECT, np.arange(8) + 0.15, xerr=KNOWN, fmt="o", color="0.6", label="observed")
    right.errorbar(schools.mean(0), np.arange(8) - 0.15, xerr=schools.std(0), fmt="o", label="posterior")
    right.set(yticks=range(8), yticklabels="ABCDEFGH", xlabel="effect", title="Schools")
    right.legend(loc="center right")
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the draws")
    parser.add_argument("--out", default="eight_schools.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    count = 2_000 if options.quick else 20_000
    sample(np.zeros(10), 1, 1, 0, EFFECT, KNOWN)  # compiles
    begin = time.perf_counter()
    chains = [sample(np.zeros(10), count, 1000, seed, EFFECT, KNOWN) for seed in range(4)]
    taken = time.perf_counter() - begin
    gradients = sum(c[3] for c in chains)
    each = 1e6 * taken / gradients
    print(f"4 chains of {count} draws: {gradients} gradients in {taken:.2f} s, sampler included: {each:.2f} us each")
    print(f"accepted {np.mean([c[1] for c in chains]):.2f}, steps of {np.mean([c[2] for c in chains]):.2f}")
    draws = np.array([c[0] for c in chains])
    print(f"{'':4} {'mean':>7} {'deviation':>10} {'R-hat':>7} {'effective':>10} {'published mean':>15}")
    for (name, published), x in zip(PUBLISHED.items(), (draws[..., 0], np.exp(draws[..., 1])), strict=True):
        within = x.var(1, ddof=1).mean()
        rhat = math.sqrt((count - 1) / count + x.mean(1).var(ddof=1) / within)
        print(f"{name:4} {x.mean():7.2f} {x.std():10.2f} {rhat:7.3f} {effective(x):10.0f} {published:15.1f}")
    if options.out:
        picture(options.out, draws.reshape(-1, 10)[::20])
    return draws


if __name__ == "__main__":
    main()
