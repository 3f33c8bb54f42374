"""Gaussian process regression with learnt hyperparameters: the progress of diabetes in 442 patients (Efron and others, 2004).

The marginal likelihood of Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equation 2.30, is four lines
with a Cholesky factor; its gradient in the twelve hyperparameters (a length for every measurement, the signal's size, the
noise) is nobody's work. scikit-learn, which has the derivatives by hand, does the same from the same start.

    python examples/gaussian_process.py
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

import tapejit as tj

MEASURED = ("age", "sex", "body mass", "blood pressure", "total cholesterol", "LDL", "HDL", "cholesterol / HDL",
            "triglycerides", "glucose")  # fmt: skip


def covariance(theta, A, B):
    """theta: the logarithms of the signal's variance, the noise's variance, and the lengths."""
    lengths = tj.exp(theta[2:])
    A, B = A / lengths, B / lengths
    distance = (A * A).sum(1).reshape(-1, 1) + (B * B).sum(1) - 2 * A @ B.T
    return tj.exp(theta[0] - 0.5 * distance)


def minus_log_likelihood(theta, X, y):
    n = y.shape[0]
    L = tj.linalg.cholesky(covariance(theta, X, X) + tj.exp(theta[1]) * np.eye(n))
    white = tj.linalg.solve_triangular(L, y.reshape(n, 1), upper=False)
    return 0.5 * (white * white).sum() + tj.log(tj.diagonal(L)).sum() + 0.5 * n * np.log(2 * np.pi)


def predict(theta, X, y, new):
    """(mean, standard deviation) of new observations."""
    K = covariance(theta, X, X).numpy() + np.exp(theta[1]) * np.eye(len(y))
    k = covariance(theta, new, X).numpy()
    mean = k @ np.linalg.solve(K, y)
    return mean, np.sqrt(np.exp(theta[0]) + np.exp(theta[1]) - (k * np.linalg.solve(K, k.T).T).sum(1))


def picture(path, theta, y, mean, deviation):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2), layout="constrained")
    order = np.argsort(-theta[2:])
    left.barh([MEASURED[k] for k in order], np.exp(-theta[2:][order]))
    left.set(xlabel="1 / length", title="What the answer depends on")
    right.errorbar(mean, y, xerr=deviation, fmt=".", alpha=0.5, lw=0.7)
    right.axline((0, 0), slope=1, color="0.5", lw=1)
    right.set(xlabel="predicted", ylabel="measured", title="Patients not seen")
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="60 patients in place of 300")
    parser.add_argument("--out", default="gaussian_process.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    found = load_diabetes()
    order = np.random.default_rng(0).permutation(len(found.target))
    X = found.data[order] / found.data.std(0)
    y = (found.target[order] - found.target.mean()) / found.target.std()
    count = 60 if options.quick else 300
    train, test = (X[:count], y[:count]), (X[300:], y[300:])
    start, limits = np.zeros(12), [(-10.0, 8.0)] * 12
    start[2:] = 1.0

    tj.optimize.minimize(minus_log_likelihood, start, train, options=dict(maxiter=1))  # compiles
    begin = time.perf_counter()
    fit = tj.optimize.minimize(minus_log_likelihood, start, train, method="L-BFGS-B", bounds=limits)
    ours = time.perf_counter() - begin
    ends = (np.exp(-10), np.exp(8))
    kernel = ConstantKernel(1.0, ends) * RBF(np.full(10, np.e), ends) + WhiteKernel(1.0, ends)
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lengths at their limits
        other = GaussianProcessRegressor(kernel, alpha=0.0).fit(*train)
    theirs = time.perf_counter() - begin
    mean, deviation = predict(fit.x, *train, test[0])
    error = np.sqrt(np.mean((mean - test[1]) ** 2))
    other_error = np.sqrt(np.mean((other.predict(test[0]) - test[1]) ** 2))
    print(f"{count} patients, {len(test[1])} not seen; 12 hyperparameters")
    print(f"{'':13} {'log likelihood':>15} {'error':>7} {'seconds':>8}")
    print(f"{'tapejit':13} {-fit.fun:15.4f} {error:7.4f} {ours:8.2f}")
    print(f"{'scikit-learn':13} {other.log_marginal_likelihood_value_:15.4f} {other_error:7.4f} {theirs:8.2f}")
    print("matter most: " + ", ".join(MEASURED[k] for k in np.argsort(fit.x[2:])[:4]))
    if options.out:
        picture(options.out, fit.x, test[1], mean, deviation)
    return -fit.fun, other.log_marginal_likelihood_value_


if __name__ == "__main__":
    main()
