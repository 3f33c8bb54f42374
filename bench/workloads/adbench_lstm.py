"""ADBench's LSTM: two layers of 14 diagonal cells over 1 024 characters, the loss and its 266 derivatives."""

from functools import cache

from bench import peers
from bench.harness import Unavailable, Workload
from bench.problems import adbench_data

NAME = "lstm_l2_c1024"

work = Workload("LSTM l2 c1024", "ADBench", target=3.0, note="the weights are diagonal; 1 023 steps in sequence")


@cache
def instance():
    if not adbench_data.available():
        raise Unavailable(adbench_data.MISSING)
    return adbench_data.load("lstm", NAME)


def step(m, sigmoid, weights, extra, states, now, following):
    """One character: the states after it, and what it adds to the total. ``weights``: ``(layers, 2, 4, b)``."""
    x, after = now * extra[0], []
    for (w, v), (hidden, cell) in zip(weights, states, strict=True):
        forget = sigmoid(x * w[0] + v[0])
        ingate = sigmoid(hidden * w[1] + v[1])
        outgate = sigmoid(x * w[2] + v[2])
        change = m.tanh(hidden * w[3] + v[3])
        cell = cell * forget + ingate * change
        x = outgate * m.tanh(cell)
        after.append((x, cell))
    y = x * extra[1] + extra[2]
    return after, m.sum(following * (y - m.log(2 + m.sum(m.exp(y)))))


def unrolled(m, sigmoid):
    """The loss as a Python loop over the characters."""

    def loss(main, extra, state, sequence):
        (c, b), layers = sequence.shape, state.shape[0] // 2
        weights = main.reshape((layers, 2, 4, b))
        states = [(state[2 * j], state[2 * j + 1]) for j in range(layers)]
        total = 0.0
        for t in range(c - 1):
            states, part = step(m, sigmoid, weights, extra, states, sequence[t], sequence[t + 1])
            total = total + part
        return -total / ((c - 1) * b)

    return loss


@work.library("hand", "numba", form="one reverse sweep, vectorised over the bits")
def _():
    from bench.problems.adbench_lstm import hand, workspace

    lstm = instance()
    work = workspace(lstm.state, lstm.sequence)
    return lambda: hand(*lstm, work)


@work.library("tapejit", "tapejit", form="replayed step and its adjoint, called from njit loops")
def _():
    from bench.problems.adbench_lstm import by_replay

    lstm = instance()
    run = by_replay(step, *lstm)
    return lambda: run(*lstm)


@work.library("tapejit nopython", "tapejit", form="nopython.value_and_grad of scalar loops")
def _():
    from bench.problems.adbench_lstm import gradient

    lstm = instance()
    return lambda: gradient(*lstm)


@work.library("tapejit eager", "tapejit", form=peers.EAGER)
def _():
    import tapejit as tj

    return peers.eager(tj, unrolled(tj, tj.sigmoid), instance(), (0, 1))


@work.library("JAX", "jax", form="jit(value_and_grad) of lax.scan")
def _():
    import jax
    import jax.numpy as jnp

    def loss(main, extra, state, sequence):
        (c, b), layers = sequence.shape, state.shape[0] // 2
        weights = main.reshape((layers, 2, 4, b))
        start = [(state[2 * j], state[2 * j + 1]) for j in range(layers)]

        def body(states, characters):
            return step(jnp, jax.nn.sigmoid, weights, extra, states, *characters)

        _, parts = jax.lax.scan(body, start, (sequence[:-1], sequence[1:]), unroll=4)
        return -parts.sum() / ((c - 1) * b)

    return peers.jax(loss, instance(), (0, 1))


@work.library("PyTorch", "torch", form=peers.TORCH, slow=True)
def _():
    import torch

    return peers.eager(torch, unrolled(torch, torch.sigmoid), instance(), (0, 1))


@work.library("autograd", "autograd", form=peers.AUTOGRAD, slow=True)
def _():
    import autograd.numpy as anp

    return peers.autograd(unrolled(anp, lambda x: 1 / (1 + anp.exp(-x))), instance(), (0, 1))


@work.library("CasADi", "casadi", form="SX step, mapaccum; generated C, gcc -O3 -march=native, buffer()")
def _():
    import casadi as ca

    lstm = instance()
    (c, b), layers = lstm.sequence.shape, len(lstm.state) // 2
    states, main, extra = ca.SX.sym("s", b, 2 * layers), ca.SX.sym("w", b, 8 * layers), ca.SX.sym("e", b, 3)
    now, following = ca.SX.sym("n", b), ca.SX.sym("f", b)
    columns = ca.horzsplit(main)
    weights = [(columns[8 * j : 8 * j + 4], columns[8 * j + 4 : 8 * j + 8]) for j in range(layers)]
    before = ca.horzsplit(states)
    pairs = [(before[2 * j], before[2 * j + 1]) for j in range(layers)]
    after, part = step(CasadiFunctions, lambda x: 1 / (1 + ca.exp(-x)), weights, ca.horzsplit(extra), pairs, now, following)
    flat = ca.vec(ca.horzcat(*(s for pair in after for s in pair)))
    one = ca.Function("one", [ca.vec(states), main, extra, now, following], [flat, part])
    many = one.mapaccum(c - 1)
    m, e, s = ca.MX.sym("m", b, 8 * layers), ca.MX.sym("e", b, 3), ca.MX.sym("s", b * 2 * layers)
    x = ca.MX.sym("x", b, c)
    _, parts = many(s, ca.repmat(m, 1, c - 1), ca.repmat(e, 1, c - 1), x[:, :-1], x[:, 1:])
    value = -ca.sum2(parts) / ((c - 1) * b)
    # A row of weights is four blocks of b numbers: in CasADi's order of columns they are b x 4 as they are.
    inputs = [lstm.main.reshape(-1, b).T, lstm.extra.T, lstm.state.ravel(), lstm.sequence.T]
    run = peers.casadi([m, e, s, x], [value, ca.gradient(value, m), ca.gradient(value, e)], inputs)

    def call():
        value, dmain, dextra = run()
        return value, dmain.T, dextra.T

    return call


class CasadiFunctions:
    """CasADi's functions under NumPy's names."""

    def tanh(x):
        return x.tanh()

    def log(x):
        return x.log()

    def exp(x):
        return x.exp()

    def sum(x):
        import casadi

        return casadi.sum1(x)
