"""A Kalman filter's parameters by maximum likelihood: the flow of the Nile at Aswan, 1871 to 1970.

The level of the river wanders, and each year's flow is the level and noise. The filter, a loop over the years, gives the
likelihood of the two variances; its gradient leads BFGS, its Hessian gives error bars. The result is in Durbin and Koopman,
Time Series Analysis by State Space Methods, 2nd edition, section 2.10: variances 15099 and 1469.1.

    python examples/nile.py
"""

import argparse

import numpy as np

import tapejit as tj

FLOW = np.array([
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
], dtype=float)  # fmt: skip
PUBLISHED = {"noise of a year": 15099.0, "wandering of the level": 1469.1}


def minus_log_likelihood(log_variances, flow):
    """The filter's one-step errors are independent; the first year starts the level, with an unknown variance."""
    noise, wander = tj.exp(log_variances[0]), tj.exp(log_variances[1])
    level, variance = flow[0], noise + wander
    total = 0.0
    for n in range(1, len(flow)):
        error, spread = flow[n] - level, variance + noise
        total = total + 0.5 * (tj.log(spread) + error * error / spread + np.log(2 * np.pi))
        gain = variance / spread
        level = level + gain * error
        variance = variance * (1 - gain) + wander
    return total


def levels(variances, flow):
    """The filtered level and its standard deviation, for the picture."""
    noise, wander = variances
    level, variance, rows = flow[0], noise + wander, [(flow[0], np.sqrt(noise))]
    for y in flow[1:]:
        gain = variance / (variance + noise)
        level, variance = level + gain * (y - level), variance * (1 - gain) + wander
        rows.append((level, np.sqrt(variance - wander)))
    return np.array(rows).T


def picture(path, variances):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    years = np.arange(1871, 1971)
    level, deviation = levels(variances, FLOW)
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    axes.plot(years, FLOW, ".", color="0.5", label="flow of the year")
    axes.plot(years, level, label="filtered level")
    axes.fill_between(years, level - 1.64 * deviation, level + 1.64 * deviation, alpha=0.25, label="90 %")
    axes.set(xlabel="year", ylabel="10$^8$ m$^3$", title="The Nile at Aswan")
    axes.legend()
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no error bars")
    parser.add_argument("--out", default="nile.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    fit = tj.optimize.minimize(minus_log_likelihood, np.log([10_000.0, 10_000.0]), (FLOW,), method="BFGS")
    variances = np.exp(fit.x)
    print(f"log likelihood {-fit.fun:.2f} after {fit.nfev} evaluations")
    errors = [np.nan, np.nan]
    if not options.quick:
        covariance = np.linalg.inv(tj.hessian(minus_log_likelihood)(fit.x, FLOW))
        errors = variances * np.sqrt(np.diag(covariance))
    print(f"{'variance':24} {'found':>9} {'deviation':>10} {'published':>10}")
    for (name, published), found, error in zip(PUBLISHED.items(), variances, errors, strict=True):
        print(f"{name:24} {found:9.1f} {error:10.1f} {published:10.1f}")
    if options.out:
        picture(options.out, variances)
    return variances


if __name__ == "__main__":
    main()
