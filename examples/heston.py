"""Heston's model calibrated to option prices: Fourier cosine prices of complex tensors, least squares with the exact Jacobian.

The prices are those of the COS method of Fang and Oosterlee, A novel pricing method for European options based on
Fourier-cosine series expansions, SIAM J. Sci. Comput. 31, 2008, for their parameters (section 5.2), whose two published
reference prices are met to 1e-7. From a start far away, the five parameters are found again; SciPy by itself, with differences
in place of the Jacobian, does the same with more evaluations.

    python examples/heston.py
"""

import argparse

import numpy as np
from scipy.optimize import brentq, least_squares
from scipy.stats import norm

import tapejit as tj

NAMES = ("speed of return", "volatility of variance", "mean variance", "variance now", "correlation")
PAPER = np.array([1.5768, 0.5751, 0.0398, 0.0175, -0.5711])
START = np.array([3.0, 0.3, 0.09, 0.06, 0.0])
LOW, HIGH = np.array([0.1, 0.05, 1e-3, 1e-3, -0.95]), np.array([10.0, 2.0, 0.5, 0.5, 0.95])
PUBLISHED = {1.0: 5.785155450, 10.0: 22.318945791}  # of calls at the money, spot 100, no interest
SPOT, TERMS, WIDTH = 100.0, 256, 4.0  # logarithms of prices up to 20 deviations of 20 % a year


def characteristic(p, u, T):
    """E[exp(i u log(S_T / S_0))] without interest, in the form of Albrecher and others (2007), which has no jumps."""
    speed, volatility, mean, now, correlation = p
    drift = speed - correlation * volatility * 1j * u
    D = tj.sqrt(drift * drift + volatility**2 * (u * u + 1j * u))
    G = (drift - D) / (drift + D)
    fade = tj.exp(-D * T)
    first = now / volatility**2 * (1 - fade) / (1 - G * fade) * (drift - D)
    second = speed * mean / volatility**2 * ((drift - D) * T - 2 * tj.log((1 - G * fade) / (1 - G)))
    return tj.exp(first + second)


def calls(p, T, strikes, terms=TERMS):
    """Prices of calls, (strikes,), by put-call parity from puts, whose payoff is bounded."""
    a, b = -WIDTH * T**0.5, WIDTH * T**0.5
    k = np.arange(terms)
    u = k * np.pi / (b - a)
    phi = characteristic(p, u, T)
    # The cosine coefficients of (1 - exp(y)) below y = 0 (equations 22 and 23 there).
    grow = (np.cos(u * -a) - np.exp(a) + u * np.sin(u * -a)) / (1 + u * u)
    flat = np.where(k == 0, -a, np.sin(u * -a) / np.where(k == 0, 1.0, u))
    weights = 2 / (b - a) * (flat - grow) * np.where(k == 0, 0.5, 1.0)
    shift = u * (np.log(SPOT / strikes)[:, None] - a)
    puts = strikes * ((phi.real * np.cos(shift) - phi.imag * np.sin(shift)) @ weights)
    return puts + SPOT - strikes


def prices(p, maturities, strikes):
    return tj.cat([calls(p, T, strikes) for T in maturities])


def implied(price, T, strike):
    """Black and Scholes's volatility of a call."""

    def excess(v):
        d = np.log(SPOT / strike) / (v * T**0.5) + 0.5 * v * T**0.5
        return SPOT * norm.cdf(d) - strike * norm.cdf(d - v * T**0.5) - price

    return brentq(excess, 1e-3, 3.0)


def picture(path, strikes, maturities, seen, fitted, begun):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for i, T in enumerate(maturities):
        rows = [[100 * implied(c, T, K) for c, K in zip(x[i], strikes, strict=True)] for x in (seen, fitted, begun)]
        axes.plot(strikes, rows[0], "o", ms=4, color=f"C{i}")
        axes.plot(strikes, rows[1], color=f"C{i}", label=f"{T:g} years")
        axes.plot(strikes, rows[2], color=f"C{i}", ls=":", lw=0.8)
    axes.set(xlabel="strike", ylabel="implied volatility, %", title="Prices, the fit, and the start (dotted)")
    axes.legend()
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one maturity less, and nothing compared")
    parser.add_argument("--out", default="heston.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    maturities = (0.5, 1.0) if options.quick else (0.5, 1.0, 2.0)
    strikes = np.linspace(80.0, 120.0, 9)
    checked = [float(calls(PAPER, T, np.array([SPOT]))[0]) for T in PUBLISHED]
    for (T, price), found in zip(PUBLISHED.items(), checked, strict=True):
        print(f"call of {T:4.0f} years: {found:.9f}, published {price:.9f}")
    market = prices(PAPER, maturities, strikes).numpy()

    def errors(p):
        return prices(p, maturities, strikes) - market

    limits = dict(bounds=(LOW, HIGH), x_scale=HIGH, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    fit = tj.optimize.least_squares(errors, START, **limits)
    print(f"{fit.nfev} evaluations and {fit.njev} Jacobians; largest error of a price {np.abs(fit.fun).max():.1e}")
    print(f"{'':22} {'start':>8} {'found':>9} {'published':>10}")
    for name, x, found, published in zip(NAMES, START, fit.x, PAPER, strict=True):
        print(f"{name:22} {x:8.4f} {found:9.5f} {published:10.4f}")
    if not options.quick:
        compiled, counted = tj.jit(errors), []
        other = least_squares(lambda p: counted.append(1) or compiled(p), START, **limits)
        off = np.abs(other.x / fit.x - 1).max()
        print(f"by differences: {len(counted)} evaluations, {off:.0e} from there")
    if options.out:
        grids = [np.reshape(x, (len(maturities), -1)) for x in (market, fit.fun + market, prices(START, maturities, strikes))]
        picture(options.out, strikes, maturities, *grids)
    return checked, fit.x


if __name__ == "__main__":
    main()
