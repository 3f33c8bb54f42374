"""Eight schools by the No-U-Turn Sampler: trajectories that choose their own length, compiled together with the gradient.

The model of eight_schools.py (Rubin, 1981). The sampler is Hoffman and Gelman's (JMLR 15, 2014) as it is today: states drawn by
weight along the whole trajectory, turns told by the sum of the momenta (Betancourt, A conceptual introduction to Hamiltonian
Monte Carlo, 2017), trees without recursion (Phan, Pradhan and Jankowiak, Composable effects, 2019), the step's size and the
coordinates' scales learnt while warming up. Means are printed beside those of posteriordb (Magnusson and others, 2024).

    python examples/eight_schools_nuts.py
"""

import argparse
import math
import time

import numpy as np
from eight_schools import EFFECT, KNOWN, effective, gradient
from numba import njit

PUBLISHED = np.array([4.4105, 3.6021, 6.1505, 4.9396, 3.9059, 4.7960, 3.6144, 4.0511, 6.3172, 4.8840])
NAMES = ("mu", "tau", *(f"school {letter}" for letter in "ABCDEFGH"))


@njit
def turns(total, p, other, scale):
    """Whether a trajectory with these momenta at its ends, which add up to a total, comes back."""
    return np.sum(total * scale * p) <= 0 or np.sum(total * scale * other) <= 0


@njit
def grow(q, p, force, step, depth, start, scale, effect, known):
    """2**depth leapfrog steps on from an end of the trajectory, which moves; (log weight, a state of these drawn by weight,
    the sum of their momenta, whether they turned or diverged, the sum of their chances to be accepted, steps taken)."""
    weight, chosen, total = -np.inf, q.copy(), np.zeros(len(q))
    momenta, sums = np.zeros((depth + 1, len(q))), np.zeros((depth + 1, len(q)))
    chances = 0.0
    for n in range(2**depth):
        p -= 0.5 * step * force
        q += step * scale * p
        value = gradient.into(q, effect, known, force)
        p -= 0.5 * step * force
        gain = start - value - 0.5 * np.sum(scale * p * p)
        chances += math.exp(min(0.0, gain)) if gain > -1000 else 0.0
        if not gain > -1000:
            return weight, chosen, total, True, chances, n + 1
        both = max(weight, gain) + math.log1p(math.exp(-abs(weight - gain)))
        if math.log(np.random.random()) < gain - both:  # noqa: NPY002
            chosen[:] = q
        weight = both
        total += p
        # Binary digits tell which subtrees end here: at an even n one begins; at an odd one, one ends for each trailing 1.
        ending, ones = 0, 0
        while n >> ending & 1:
            ending += 1
        for digit in range(ending, depth):
            ones += n >> digit & 1
        if ending == 0:
            momenta[ones], sums[ones] = p, total
        for k in range(ones + ending - 1, ones - 1, -1):
            if turns(total - sums[k] + momenta[k], momenta[k], p, scale):
                return weight, chosen, total, True, chances, n + 1
    return weight, chosen, total, False, chances, 2**depth


@njit
def transition(q, value, force, step, scale, effect, known):
    """(where the trajectory's draw is, mean chance to be accepted, gradients taken) from a state with fresh momenta."""
    p = np.random.normal(0.0, 1.0, len(q)) / np.sqrt(scale)  # noqa: NPY002
    start = value + 0.5 * np.sum(scale * p * p)
    ends, momenta, forces = q + np.zeros((2, 1)), p + np.zeros((2, 1)), force + np.zeros((2, 1))
    chosen, weight, total = q.copy(), 0.0, p.copy()
    chances, taken = 0.0, 0
    for depth in range(10):
        side = np.random.randint(0, 2)  # noqa: NPY002
        signed = step if side else -step
        more = grow(ends[side], momenta[side], forces[side], signed, depth, start, scale, effect, known)
        chances, taken = chances + more[4], taken + more[5]
        if more[3]:
            break
        if math.log(np.random.random()) < more[0] - weight:  # noqa: NPY002
            chosen[:] = more[1]
        weight = max(weight, more[0]) + math.log1p(math.exp(-abs(weight - more[0])))
        total += more[2]
        if turns(total, momenta[0], momenta[1], scale):
            break
    return chosen, chances / taken, taken


@njit
def sample(q, count, warm, seed, effect, known):
    """(draws, the learnt step, gradients taken). The random numbers are Numba's, which stand under NumPy's old names."""
    np.random.seed(seed)  # noqa: NPY002
    q, draws, force, scale = q.copy(), np.empty((warm + count, len(q))), np.empty(len(q)), np.ones(len(q))
    step, averaged, distance, centre, since, gradients = 0.1, 0.0, 0.0, 0.0, 0, 0
    for i in range(warm + count):
        value = gradient.into(q, effect, known, force)
        q, chance, taken = transition(q, value, force, step, scale, effect, known)
        draws[i] = q
        gradients += taken + 1
        if i < warm:  # dual averaging for a mean chance of 0.8
            since += 1
            share = 1.0 / (since + 10.0)
            distance = (1 - share) * distance + share * (0.8 - chance)
            logarithm = centre - math.sqrt(since) / 0.05 * distance
            averaged += since**-0.75 * (logarithm - averaged)
            step = math.exp(averaged if i == warm - 1 else logarithm)
        if i == 3 * warm // 4:  # the variances of the half before
            for j in range(len(q)):
                scale[j] = np.var(draws[warm // 4 : i, j])
            centre, averaged, distance, since = averaged + math.log(10), 0.0, 0.0, 0
    return draws[warm:], step, gradients


def picture(path, draws):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axis = figure.subplots()
    axis.boxplot(draws.reshape(-1, 10)[::20, 2:], sym="", tick_labels=list("ABCDEFGH"), whis=(5, 95))
    axis.plot(range(1, 9), EFFECT, "o", label="observed")
    axis.set(ylabel="effect", title="Schools: median, half and nine tenths of the draws")
    axis.legend()
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the draws")
    parser.add_argument("--out", default="eight_schools_nuts.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    count = 2_000 if options.quick else 20_000
    sample(np.zeros(10), 1, 8, 0, EFFECT, KNOWN)  # compiles
    begin = time.perf_counter()
    chains = [sample(np.zeros(10), count, 1000, seed, EFFECT, KNOWN) for seed in range(4)]
    taken, gradients = time.perf_counter() - begin, sum(c[2] for c in chains)
    print(f"4 chains of {count} draws: {gradients} gradients in {taken:.2f} s, {1e6 * taken / gradients:.2f} us each")
    print(f"steps of {np.mean([c[1] for c in chains]):.2f}, {gradients / 4 / (count + 1000):.1f} gradients a draw")
    q = np.array([c[0] for c in chains])
    draws = np.concatenate([q[..., :1], np.exp(q[..., 1:2]), q[..., :1] + np.exp(q[..., 1:2]) * q[..., 2:]], -1)
    print(f"{'':8} {'mean':>7} {'deviation':>10} {'R-hat':>7} {'effective':>10} {'published mean':>15}")
    for name, x, published in zip(NAMES, np.moveaxis(draws, 2, 0), PUBLISHED, strict=True):
        rhat = math.sqrt((count - 1) / count + x.mean(1).var(ddof=1) / x.var(1, ddof=1).mean())
        print(f"{name:8} {x.mean():7.3f} {x.std():10.2f} {rhat:7.3f} {effective(x):10.0f} {published:15.3f}")
    if options.out:
        picture(options.out, draws)
    return draws


if __name__ == "__main__":
    main()
