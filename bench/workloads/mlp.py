"""Perceptrons with one hidden layer: a small one for regression, one of the size of handwritten digits."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

PARAMETERS = (0, 1, 2, 3)


@cache
def small_data():
    rng = np.random.default_rng(0)
    parameters = [rng.standard_normal(s) / np.sqrt(s[0]) for s in ((10, 32), (32,), (32, 1), (1,))]
    return *parameters, rng.standard_normal((32, 10)), rng.standard_normal((32, 1))


@cache
def digits_data():
    rng = np.random.default_rng(0)
    parameters = [rng.standard_normal(s) / np.sqrt(s[0]) for s in ((784, 128), (128,), (128, 10), (10,))]
    return *parameters, rng.standard_normal((128, 784)), np.eye(10)[rng.integers(0, 10, 128)]


def build_small(library, module):
    def loss(w1, b1, w2, b2, x, t):
        return ((module.tanh(x @ w1 + b1) @ w2 + b2 - t) ** 2).mean()

    if library == "autograd":
        return lambda w1, b1, w2, b2, x, t: module.mean((module.tanh(x @ w1 + b1) @ w2 + b2 - t) ** 2)
    return loss


def build_digits(library, module):
    if library == "jax":
        from jax.nn import log_softmax, relu
    elif library == "autograd":
        from autograd.scipy.special import logsumexp

        def relu(z):
            return module.maximum(z, 0.0)

        def log_softmax(z, axis):
            return z - logsumexp(z, axis=axis, keepdims=True)
    else:
        relu, log_softmax = module.relu, module.log_softmax

    def loss(w1, b1, w2, b2, x, labels):
        scores = log_softmax(relu(x @ w1 + b1) @ w2 + b2, 1)
        product = scores * labels
        return -(module.sum(product) if library == "autograd" else product.sum()) / x.shape[0]

    return loss


small = Workload("MLP 10-32-1 tanh, batch 32", "array code", tolerance=1e-8)
digits = Workload("MLP 784-128-10 relu, softmax, batch 128", "array code", tolerance=1e-8)


@small.library("hand", "numba")
def _():
    from bench.problems.mlp import tanh_gradient

    arguments = small_data()
    return lambda: tanh_gradient(*arguments)


@digits.library("hand", "numba")
def _():
    from bench.problems.mlp import softmax_gradient

    arguments = digits_data()
    return lambda: softmax_gradient(*arguments)


peers.array_code(small, build_small, small_data, PARAMETERS)
peers.array_code(digits, build_digits, digits_data, PARAMETERS)


def casadi_symbols(ca, arguments):
    return [ca.MX.sym(f"a{j}", *(a.shape if a.ndim == 2 else (1, a.size))) for j, a in enumerate(arguments)]


def casadi_call(ca, symbols, loss, arguments, compiled):
    """CasADi stores by columns: the gradients are handed back by rows, as the others have them, without a copy."""
    arrays = [a.reshape(1, -1) if a.ndim == 1 else a for a in arguments]
    gradients = [ca.gradient(loss, s) for s in symbols[:4]]
    return peers.casadi(symbols, [loss, *gradients], arrays, compiled)


def rows_of(ca, v, n):
    return ca.repmat(v, n, 1)


@small.library("CasADi", "casadi", form="MX, generated C, gcc -O3 -march=native, buffer()")
def _():
    import casadi as ca

    symbols = casadi_symbols(ca, small_data())
    w1, b1, w2, b2, x, t = symbols
    error = ca.tanh(x @ w1 + rows_of(ca, b1, 32)) @ w2 + rows_of(ca, b2, 32) - t
    return casadi_call(ca, symbols, ca.sumsqr(error) / 32, small_data(), compiled=True)


@digits.library("CasADi", "casadi", form=peers.CASADI_MX)
def _():
    import casadi as ca

    symbols = casadi_symbols(ca, digits_data())
    w1, b1, w2, b2, x, labels = symbols
    scores = ca.fmax(x @ w1 + rows_of(ca, b1, 128), 0) @ w2 + rows_of(ca, b2, 128)
    top = ca.mmax(scores)  # one bound for all rows: the shift cancels
    totals = top + ca.log(ca.sum2(ca.exp(scores - top)))
    loss = -ca.sum1(ca.sum2(labels * (scores - ca.repmat(totals, 1, 10)))) / 128
    return casadi_call(ca, symbols, loss, digits_data(), compiled=False)


@small.library("ddx", "ddx", form="one example compiled, a batch of them; the weights are spread over it at each call")
def _():
    import ddx

    w1, b1, w2, b2, x, t = small_data()
    weights = np.concatenate((w1.ravel(), b1, w2.ravel(), b2))

    def model():
        w = [ddx.var(f"w{j}") for j in range(weights.size)]
        inputs, target = [ddx.param(f"x{j}") for j in range(10)], ddx.param("t")
        total = w[384]
        for k in range(32):
            z = w[320 + k]
            for j in range(10):
                z = z + inputs[j] * w[32 * j + k]
            total = total + ddx.tanh(z) * w[352 + k]
        return (total - target) * (total - target)

    equation = ddx.equation(model).compile(points=32)
    point = np.concatenate((np.repeat(weights[:, None], 32, 1), x.T, t.T))
    bound = equation.buffer(point)

    def call():
        bound.x[: weights.size] = weights[:, None]
        bound()
        return bound.value.mean(), bound.jacobian.mean(1)

    return call
