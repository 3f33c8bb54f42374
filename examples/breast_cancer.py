"""Logistic regression on real data, as scikit-learn does it: 569 tumours, 30 measurements of each, benign or malignant.

The loss is a line; the compiled gradient leads L-BFGS, and scikit-learn's own solver has the same answer. The Hessian at the
answer gives what scikit-learn does not: error bars of the weights (Laplace's approximation of their posterior, of which the
penalty is the prior).

    python examples/breast_cancer.py
"""

import argparse
import time

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import tapejit as tj


def loss(p, X, sign, penalty):
    """Minus the log likelihood, and the penalty on the weights, not on the offset."""
    margin = sign * (X @ p["weights"] + p["offset"])
    return tj.log1p(tj.exp(-margin)).sum() + 0.5 * penalty * (p["weights"] ** 2).sum()


def flat_loss(w, X, sign, penalty):
    return loss({"weights": w[1:], "offset": w[0]}, X, sign, penalty)


def data():
    found = load_breast_cancer()
    X = (found.data - found.data.mean(0)) / found.data.std(0)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], 2.0 * found.target[order] - 1, list(found.feature_names)


def milliseconds(call, times=5):
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return 1e3 * min(taken)


def picture(path, names, weights, deviations):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    order = np.argsort(np.abs(weights))[-12:]
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axes.errorbar(weights[order], np.arange(12), xerr=deviations[order], fmt="o", capsize=3)
    axes.axvline(0, color="0.7", lw=1)
    axes.set(yticks=np.arange(12), yticklabels=[names[k] for k in order], xlabel="weight and standard deviation")
    axes.set_title("What speaks for malignant (left) and benign (right)")
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="do not take times")
    parser.add_argument("--out", default="breast_cancer.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    X, sign, names = data()
    train, test = slice(0, 400), slice(400, None)
    args = X[train], sign[train], 1.0
    start = {"weights": np.zeros(X.shape[1]), "offset": 0.0}

    def ours():
        return tj.optimize.minimize(loss, start, args, method="L-BFGS-B", options=dict(gtol=1e-8, ftol=1e-15, maxcor=20))

    def theirs():
        return LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(X[train], sign[train])

    fit, other = ours(), theirs()
    weights, offset = np.asarray(fit.x["weights"]), float(fit.x["offset"])
    right = np.mean(sign[test] == np.sign(X[test] @ weights + offset))
    print(f"{'':14} {'loss':>12} {'test accuracy':>14}" + ("" if options.quick else f" {'ms a fit':>9}"))
    times = ["", ""] if options.quick else [f" {milliseconds(f):9.1f}" for f in (ours, theirs)]
    reached = loss({"weights": other.coef_[0], "offset": other.intercept_[0]}, *args)
    print(f"{'tapejit':14} {fit.fun:12.7f} {right:14.4f}{times[0]}")
    print(f"{'scikit-learn':14} {float(reached):12.7f} {other.score(X[test], sign[test]):14.4f}{times[1]}")
    difference = np.abs(weights - other.coef_[0]).max()
    print(f"largest difference of a weight: {difference:.1e}")

    covariance = np.linalg.inv(tj.hessian(flat_loss)(np.concatenate([[offset], weights]), *args))
    deviations = np.sqrt(np.diag(covariance))[1:]
    print("the weights that are farthest from zero, in standard deviations:")
    for k in np.argsort(-np.abs(weights / deviations))[:4]:
        print(f"  {names[k]:24} {weights[k]:6.2f} +- {deviations[k]:.2f}")
    if options.out:
        picture(options.out, names, weights, deviations)
    return difference


if __name__ == "__main__":
    main()
