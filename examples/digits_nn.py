"""Handwritten digits by a network of layers, with an optimiser and a loader: as in PyTorch, and with a recorded training step.

1 797 digits of 8x8 pixels (Alpaydin and Kaynak, 1998; a part of scikit-learn). The same network is trained from the same
weights on the same batches, once with ``backward()`` and once by ``value_and_grad`` of the module as a function of its
parameters: they end at the same weights. scikit-learn's network of that size, trained as long, is beside them.

    python examples/digits_nn.py
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import tapejit as tj
from tapejit import nn

BATCH, RATE = 32, 0.003


def network():
    tj.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def batches(x, y):
    tj.manual_seed(1)
    given = tj.utils.data.TensorDataset(tj.tensor(x), tj.tensor(y))
    return tj.utils.data.DataLoader(given, batch_size=BATCH, shuffle=True, drop_last=True)


def eager_step(net):
    """The loss of a batch, gradients left in ``.grad``: as in PyTorch."""

    def step(x, labels):
        loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        return loss.item()

    return step


def recorded_step(net):
    """The same as machine code: the module is a function of its parameters."""
    parameters = dict(net.named_parameters())

    @tj.value_and_grad
    def gradient(parameters, x, labels):
        return nn.functional.cross_entropy(tj.func.functional_call(net, parameters, x), labels)

    def step(x, labels):
        loss, slopes = gradient({name: p.detach() for name, p in parameters.items()}, x, labels)
        for name, p in parameters.items():
            p.grad = slopes[name]
        return loss.item()

    return step


def train(make_step, x, y, epochs):
    """(network, losses, microseconds for a batch in the median epoch)"""
    net, losses, times = network(), [], []
    optimiser = tj.optim.Adam(net.parameters(), lr=RATE)
    step, loader = make_step(net), batches(x, y)
    for _ in range(epochs):
        begin = time.perf_counter()
        for a, labels in loader:
            optimiser.zero_grad()
            losses.append(step(a, labels))
            optimiser.step()
        times.append((time.perf_counter() - begin) / len(loader))
    return net, losses, 1e6 * np.median(times)


def guesses(net, x):
    with tj.no_grad():
        return net(tj.tensor(x)).argmax(1).numpy()


def picture(path, losses, x, labels, guessed):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axis = left.subplots()
    for (name, values), style in zip(losses.items(), ("-", "--"), strict=True):
        axis.plot(np.convolve(values, np.ones(44) / 44, "valid"), style, lw=1, label=name)
    axis.set(xlabel="batch", ylabel="cross-entropy, mean of an epoch", yscale="log")
    axis.legend()
    panels = right.subplots(2, 4).flat
    [axis.set_axis_off() for axis in panels]
    for axis, k in zip(right.axes, np.flatnonzero(guessed != labels), strict=False):
        axis.imshow(x[k].reshape(8, 8), cmap="gray_r")
        axis.set_title(f"{labels[k]} read as {guessed[k]}", fontsize=7)
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 epochs only")
    parser.add_argument("--out", default="digits_nn.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)
    epochs = 3 if options.quick else 30

    digits = load_digits()
    parts = train_test_split(digits.data / 16, digits.target, test_size=0.2, stratify=digits.target, random_state=0)
    x, x_test, y, y_test = parts
    print(f"{epochs} epochs of {len(x) // BATCH} batches\n{'':14} {'test accuracy':>13} {'us a batch':>11}")
    networks, losses = {}, {}
    for name, make_step in (("backward()", eager_step), ("recorded", recorded_step)):
        networks[name], losses[name], each = train(make_step, x, y, epochs)
        print(f"{name:14} {(guesses(networks[name], x_test) == y_test).mean():13.4f} {each:11.0f}")
    begin = time.perf_counter()
    with warnings.catch_warnings(action="ignore"):  # that it could go on
        other = MLPClassifier(64, batch_size=BATCH, learning_rate_init=RATE, max_iter=epochs, alpha=0.0, random_state=0)
        other.fit(x, y)
    each = 1e6 * (time.perf_counter() - begin) / len(x) * BATCH / epochs
    print(f"{'scikit-learn':14} {other.score(x_test, y_test):13.4f} {each:11.0f}")
    weights = [np.concatenate([p.detach().numpy().ravel() for p in net.parameters()]) for net in networks.values()]
    apart = np.abs(weights[0] - weights[1]).max()
    print(f"largest difference of a weight between the two ways: {apart:.0e}")
    guessed = guesses(networks["recorded"], x_test)
    if options.out:
        picture(options.out, losses, x_test, y_test, guessed)
    return (guessed == y_test).mean(), other.score(x_test, y_test), apart


if __name__ == "__main__":
    main()
