"""Train a small network on 1 797 real handwritten digits with tensors and a plain update loop.

    python examples/digits_mlp.py                 # 50 epochs: accuracy, time per step, loss curve
    python examples/digits_mlp.py --compare       # the same loop in PyTorch too, and the ratio of the times
    python examples/digits_mlp.py --quick         # a few epochs only

Needs scikit-learn (its digits are part of the package), matplotlib and tqdm: pip install ".[examples]".
"""

import argparse
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import tapejit as tj

LAYERS = (64, 64, 10)
BATCH = 32
LEARNING_RATE = 0.3
SEED = 0


class Result(NamedTuple):
    losses: list[float]  # one per step
    accuracy: float  # on the held-out digits
    us_per_step: float  # median over the epochs


def load_data():
    """Pixels as float64 in [0, 1] and labels: training pixels, test pixels, training labels, test labels."""
    digits = load_digits()
    pixels = digits.data / 16.0
    return train_test_split(pixels, digits.target, test_size=0.2, stratify=digits.target, random_state=SEED)


def initial_weights(rng):
    """Weights and biases of each layer as NumPy arrays, scaled for relu."""
    weights = []
    for fan_in, fan_out in pairwise(LAYERS):
        weights += [rng.normal(size=(fan_in, fan_out)) * np.sqrt(2 / fan_in), np.zeros(fan_out)]
    return weights


def logits(tp, x, parameters):
    w1, b1, w2, b2 = parameters
    return tp.relu(x @ w1 + b1) @ w2 + b2


def train(tp, data, epochs):
    """Train with ``tp``, a module with tensors: tapejit, or PyTorch for comparison."""
    train_pixels, test_pixels, train_labels, test_labels = data
    rng = np.random.default_rng(SEED)
    parameters = [tp.tensor(w, requires_grad=True) for w in initial_weights(rng)]
    x, labels = tp.tensor(train_pixels), tp.tensor(train_labels)
    rows = tp.arange(BATCH)
    steps = len(train_pixels) // BATCH

    losses, times = [], []
    with tqdm(total=epochs * steps, desc=tp.__name__, unit="step") as bar:
        for _ in range(epochs):
            order = rng.permutation(len(train_pixels))[: steps * BATCH]
            batches = [tp.tensor(chosen) for chosen in order.reshape(steps, BATCH)]
            start = time.perf_counter()
            for batch in batches:
                scores = logits(tp, x[batch], parameters)
                loss = -tp.log_softmax(scores, dim=1)[rows, labels[batch]].mean()
                loss.backward()
                with tp.no_grad():
                    for p in parameters:
                        p -= LEARNING_RATE * p.grad
                        p.grad.zero_()
                losses.append(loss.item())
            times.append((time.perf_counter() - start) / steps)
            bar.update(steps)
            bar.set_postfix(loss=f"{np.mean(losses[-steps:]):.4f}")

    with tp.no_grad():
        guesses = logits(tp, tp.tensor(test_pixels), parameters).argmax(dim=1).numpy()
    return Result(losses, float((guesses == test_labels).mean()), 1e6 * statistics.median(times))


def plot_losses(results, path):
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (name, result), style in zip(results.items(), ("-", "--"), strict=False):
        axes.plot(result.losses, style, linewidth=0.8, label=name)
    axes.set(xlabel="step", ylabel="cross-entropy", yscale="log", title="Handwritten digits, MLP 64-64-10")
    axes.legend()
    figure.savefig(path, dpi=150)


def report(name, result):
    print(f"{name}: test accuracy {result.accuracy:.4f}, {result.us_per_step:.0f} µs per step")


def compare(data, epochs, ours):
    """The same loop in PyTorch with one thread; None when PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: nothing to compare with")
        return None
    torch.set_num_threads(1)
    theirs = train(torch, data, epochs)
    report("torch", theirs)
    apart = np.abs(np.subtract(ours.losses, theirs.losses)).max()
    print(f"largest difference between the two loss curves: {apart:.1e}")
    print(f"one step in PyTorch takes {theirs.us_per_step / ours.us_per_step:.1f} times as long")
    return theirs


def main():
    parser = argparse.ArgumentParser(description="Train an MLP on real handwritten digits.")
    parser.add_argument("--epochs", type=int, default=50, help="passes over the training digits (default 50)")
    parser.add_argument("--quick", action="store_true", help="3 epochs only")
    parser.add_argument("--compare", action="store_true", help="run the same loop in PyTorch, if installed")
    parser.add_argument("--out", type=Path, default=Path("digits_mlp.png"), help="where the loss curve goes")
    arguments = parser.parse_args()
    epochs = 3 if arguments.quick else arguments.epochs

    data = load_data()
    results = {}
    with threadpool_limits(1):
        results["tapejit"] = train(tj, data, epochs)
        report("tapejit", results["tapejit"])
        if arguments.compare and (theirs := compare(data, epochs, results["tapejit"])):
            results["torch"] = theirs
    plot_losses(results, arguments.out)
    print(f"loss curve: {arguments.out}")


if __name__ == "__main__":
    main()
