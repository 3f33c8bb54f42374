"""ADBench's LSTM: a sequence of diagonal cells; its loss and the gradient in all 8 l b + 3 b parameters.

ADBench's formula, with the 2 inside of the logarithm that it has there.
"""

import itertools
import math

import numpy as np
from numba import njit

import tapejit as tj
from tapejit import nopython
from tapejit.edge import vecmath


def reference(main, extra, state, sequence):
    """The loss in NumPy, as written in ADBench."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    b = sequence.shape[1]
    state = state.copy()
    total = 0.0
    for now, following in itertools.pairwise(sequence):
        x = now * extra[0]
        for layer in range(len(state) // 2):
            weight, bias = main[2 * layer].reshape(4, b), main[2 * layer + 1].reshape(4, b)
            hidden, cell = state[2 * layer], state[2 * layer + 1]
            forget = sigmoid(x * weight[0] + bias[0])
            ingate = sigmoid(hidden * weight[1] + bias[1])
            outgate = sigmoid(x * weight[2] + bias[2])
            change = np.tanh(hidden * weight[3] + bias[3])
            cell[:] = cell * forget + ingate * change
            hidden[:] = outgate * np.tanh(cell)
            x = hidden
        y = x * extra[1] + extra[2]
        total += (following * (y - np.log(2 + np.exp(y).sum()))).sum()
    return -total / ((len(sequence) - 1) * b)


@njit
def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


@njit
def loss(main, extra, state, sequence):
    """The same as loops over bits: what ``nopython.value_and_grad`` differentiates."""
    c, b = sequence.shape
    layers = state.shape[0] // 2
    hidden = np.zeros((layers, b))
    cell = np.zeros((layers, b))
    for layer in range(layers):
        for i in range(b):
            hidden[layer, i] = state[2 * layer, i]
            cell[layer, i] = state[2 * layer + 1, i]
    y = np.zeros(b)
    total = 0.0
    for t in range(c - 1):
        for i in range(b):
            x = sequence[t, i] * extra[0, i]
            for layer in range(layers):
                w, v = main[2 * layer], main[2 * layer + 1]
                h = hidden[layer, i]
                forget = sigmoid(x * w[i] + v[i])
                ingate = sigmoid(h * w[b + i] + v[b + i])
                outgate = sigmoid(x * w[2 * b + i] + v[2 * b + i])
                change = math.tanh(h * w[3 * b + i] + v[3 * b + i])
                s = cell[layer, i] * forget + ingate * change
                x = outgate * math.tanh(s)
                cell[layer, i] = s
                hidden[layer, i] = x
            y[i] = x * extra[1, i] + extra[2, i]
        norm = 2.0
        for i in range(b):
            norm += math.exp(y[i])
        norm = math.log(norm)
        for i in range(b):
            total += sequence[t + 1, i] * (y[i] - norm)
    return -total / ((c - 1) * b)


gradient = nopython.value_and_grad(loss, argnums=(0, 1))


FAST = dict(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def workspace(state, sequence):
    """What ``hand`` remembers of every step, made once: fresh memory costs more than the arithmetic."""
    (c, b), layers = sequence.shape, len(state) // 2
    bits, steps = (b + 7) // 8 * 8, c - 1
    states, gates = [(c, layers + 1, bits), (c, layers, bits)], [(steps, layers, width * bits) for width in (3, 1, 1)]
    return tuple(np.zeros(shape) for shape in (*states, *gates, (steps, b)))


@njit(**FAST)
def hand(main, extra, state, sequence, work):
    """The loss and its gradient, derived by hand: one reverse sweep over stored gates, in vectors of whole layers.

    Bits are padded to a multiple of 8, so that vectors have no remainder. Every loop over bits is short and counts from 0 in
    the last dimension: only so does LLVM vectorise it. ``work`` is a ``workspace``; the shares in it are exp(y) over the norm,
    times the number of bits that follow.
    """
    c, b = sequence.shape
    layers = state.shape[0] // 2
    bits = (b + 7) // 8 * 8
    steps = c - 1
    w, v = np.zeros((layers, 4, bits)), np.zeros((layers, 4, bits))
    hidden, cell, flat, change, bent, share = work
    gate = flat.reshape((steps, layers, 3, bits))  # flat: the gates forget | in | out
    for layer in range(layers):
        for k in range(4):
            for i in range(b):
                w[layer, k, i] = main[2 * layer, k * b + i]
                v[layer, k, i] = main[2 * layer + 1, k * b + i]
        for i in range(b):
            hidden[0, layer + 1, i] = state[2 * layer, i]
            cell[0, layer, i] = state[2 * layer + 1, i]
    for t in range(steps):  # hidden[t + 1, 0] is what goes into the lowest layer at t
        for i in range(b):
            hidden[t + 1, 0, i] = sequence[t, i] * extra[0, i]
    total = 0.0
    for t in range(steps):
        for j in range(layers):
            for i in range(bits):
                gate[t, j, 0, i] = hidden[t + 1, j, i] * w[j, 0, i] + v[j, 0, i]
            for i in range(bits):
                gate[t, j, 1, i] = hidden[t, j + 1, i] * w[j, 1, i] + v[j, 1, i]
            for i in range(bits):
                gate[t, j, 2, i] = hidden[t + 1, j, i] * w[j, 2, i] + v[j, 2, i]
            for i in range(3 * bits):
                flat[t, j, i] = 1.0 / (1.0 + vecmath.exp(-flat[t, j, i]))
            for i in range(bits):
                change[t, j, i] = vecmath.tanh(hidden[t, j + 1, i] * w[j, 3, i] + v[j, 3, i])
            for i in range(bits):
                s = cell[t, j, i] * gate[t, j, 0, i] + gate[t, j, 1, i] * change[t, j, i]
                cell[t + 1, j, i] = s
            for i in range(bits):
                bent[t, j, i] = vecmath.tanh(cell[t + 1, j, i])
            for i in range(bits):
                hidden[t + 1, j + 1, i] = gate[t, j, 2, i] * bent[t, j, i]
        for i in range(b):
            share[t, i] = vecmath.exp(hidden[t + 1, layers, i] * extra[1, i] + extra[2, i])
        norm, ones = 2.0, 0.0
        for i in range(b):
            norm += share[t, i]
        for i in range(b):
            total += sequence[t + 1, i] * (hidden[t + 1, layers, i] * extra[1, i] + extra[2, i])
            ones += sequence[t + 1, i]
        total -= ones * math.log(norm)
        for i in range(b):
            share[t, i] *= ones / norm
    scale = -1.0 / (steps * b)
    dw, dv = np.zeros((layers, 4, bits)), np.zeros((layers, 4, bits))
    dextra = np.zeros((3, b))
    dh, ds = np.zeros((layers, bits)), np.zeros((layers, bits))
    dx, dz = np.zeros(bits), np.empty((4, bits))
    for r in range(steps):
        t = steps - 1 - r
        for i in range(b):
            dx[i] = scale * (sequence[t + 1, i] - share[t, i])
        for i in range(b):
            dextra[1, i] += dx[i] * hidden[t + 1, layers, i]
        for i in range(b):
            dextra[2, i] += dx[i]
        for i in range(b):
            dx[i] *= extra[1, i]
        for q in range(layers):
            j = layers - 1 - q
            for i in range(bits):
                dh[j, i] += dx[i]
            for i in range(bits):
                u = gate[t, j, 2, i]
                dz[2, i] = dh[j, i] * bent[t, j, i] * u * (1.0 - u)
            for i in range(bits):
                ds[j, i] += dh[j, i] * gate[t, j, 2, i] * (1.0 - bent[t, j, i] * bent[t, j, i])
            for i in range(bits):
                f = gate[t, j, 0, i]
                dz[0, i] = ds[j, i] * cell[t, j, i] * f * (1.0 - f)
            for i in range(bits):
                n = gate[t, j, 1, i]
                dz[1, i] = ds[j, i] * change[t, j, i] * n * (1.0 - n)
            for i in range(bits):
                dz[3, i] = ds[j, i] * gate[t, j, 1, i] * (1.0 - change[t, j, i] * change[t, j, i])
            for i in range(bits):
                ds[j, i] *= gate[t, j, 0, i]
            for i in range(bits):
                dw[j, 0, i] += dz[0, i] * hidden[t + 1, j, i]
            for i in range(bits):
                dw[j, 1, i] += dz[1, i] * hidden[t, j + 1, i]
            for i in range(bits):
                dw[j, 2, i] += dz[2, i] * hidden[t + 1, j, i]
            for i in range(bits):
                dw[j, 3, i] += dz[3, i] * hidden[t, j + 1, i]
            for k in range(4):
                for i in range(bits):
                    dv[j, k, i] += dz[k, i]
            for i in range(bits):
                dx[i] = dz[0, i] * w[j, 0, i] + dz[2, i] * w[j, 2, i]
            for i in range(bits):
                dh[j, i] = dz[1, i] * w[j, 1, i] + dz[3, i] * w[j, 3, i]
        for i in range(b):
            dextra[0, i] += dx[i] * sequence[t, i]
    dmain = np.empty_like(main)
    for layer in range(layers):
        for k in range(4):
            for i in range(b):
                dmain[2 * layer, k * b + i] = dw[layer, k, i]
                dmain[2 * layer + 1, k * b + i] = dv[layer, k, i]
    return scale * total, (dmain, dextra)


def by_replay(step, main, extra, state, sequence):
    """A function of all but ``step``, which is recorded together with its adjoint; the loops over the characters are compiled.

    ``step(tj, sigmoid, weights, extra, states, now, following)`` gives the pairs of states after a character, and what it adds
    to the total; ``weights`` (layers, 2, 4, b).
    """
    layers, b = len(state) // 2, sequence.shape[1]

    def forward(main, extra, state, now, following):
        states = [(state[2 * j], state[2 * j + 1]) for j in range(layers)]
        after, part = step(tj, tj.sigmoid, main.reshape(layers, 2, 4, b), extra, states, now, following)
        return tj.stack([s for pair in after for s in pair]), part

    def pulled(main, extra, state, now, following, dstate, dpart):
        """A number whose gradient is the product of the step's Jacobian with the adjoints of its results."""
        after, part = forward(main, extra, state, now, following)
        return (after * dstate).sum() + part * dpart

    forward_step, backward_step = tj.jit(forward, compile="now"), tj.grad(pulled, (0, 1, 2), compile="now")
    forward_step(main, extra, state, sequence[0], sequence[1])
    backward_step(main, extra, state, sequence[0], sequence[1], state, 1.0)
    ahead, back = forward_step.nopython_into, backward_step.nopython_into

    @njit
    def run(main, extra, state, sequence):
        steps, b = len(sequence) - 1, sequence.shape[1]
        states = np.empty((steps + 1, *state.shape))
        states[0] = state
        total = 0.0
        for t in range(steps):
            total += ahead(main, extra, states[t], sequence[t], sequence[t + 1], states[t + 1])[1]
        scale = -1.0 / (steps * b)
        dmain, dextra, dstate = np.zeros_like(main), np.zeros_like(extra), np.zeros_like(state)
        part_main, part_extra, before = np.empty_like(main), np.empty_like(extra), np.empty_like(state)
        for t in range(steps - 1, -1, -1):
            back(main, extra, states[t], sequence[t], sequence[t + 1], dstate, scale, part_main, part_extra, before)
            dmain += part_main
            dextra += part_extra
            dstate[:] = before
        return scale * total, (dmain, dextra)

    return run
