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
WARM_UP = 250  # steps before the clock starts
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


class Training:
    """A network that is being trained with ``tp``, a module with tensors: tapejit, or PyTorch for comparison."""

    def __init__(self, tp, data):
        self.tp = tp
        train_pixels, test_pixels, train_labels, self.test_labels = data
        self.rng = np.random.default_rng(SEED)
        self.parameters = [tp.tensor(w, requires_grad=True) for w in initial_weights(self.rng)]
        self.x, self.labels, self.test = (tp.tensor(a) for a in (train_pixels, train_labels, test_pixels))
        self.rows = tp.arange(BATCH)
        self.steps = len(train_pixels) // BATCH
        self.losses, self.times = [], []

    def loss(self, batch):
        scores = logits(self.tp, self.x[batch], self.parameters)
        return -self.tp.log_softmax(scores, dim=1)[self.rows, self.labels[batch]].mean()

    def step(self, batch, rate):
        loss = self.loss(batch)
        loss.backward()
        with self.tp.no_grad():
            for p in self.parameters:
                p -= rate * p.grad
                p.grad.zero_()
        return loss.item()

    def prepare(self):
        """Steps that change nothing: what is compiled or loaded at first use, reclaiming included, is there afterwards."""
        for _ in range(WARM_UP):
            self.step(self.rows, 0.0)

    def epoch(self):
        order = self.rng.permutation(len(self.x))[: self.steps * BATCH]
        batches = [self.tp.tensor(chosen) for chosen in order.reshape(self.steps, BATCH)]
        start = time.perf_counter()
        for batch in batches:
            self.losses.append(self.step(batch, LEARNING_RATE))
        self.times.append((time.perf_counter() - start) / self.steps)

    def result(self):
        with self.tp.no_grad():
            guesses = logits(self.tp, self.test, self.parameters).argmax(dim=1).numpy()
        accuracy = float((guesses == self.test_labels).mean())
        return Result(self.losses, accuracy, 1e6 * statistics.median(self.times))


def train(libraries, data, epochs):
    """Train with each library, an epoch in turn, so that all meet the same machine; a Result by name."""
    trainings = [Training(tp, data) for tp in libraries]
    with tqdm(total=epochs * trainings[0].steps, desc="compiling (first run only)", unit="step") as bar:
        for training in trainings:
            training.prepare()
        bar.set_description("training")
        bar.reset()  # the clock starts here
        for _ in range(epochs):
            for training in trainings:
                training.epoch()
            bar.update(trainings[0].steps)
            bar.set_postfix(loss=f"{np.mean(trainings[0].losses[-trainings[0].steps :]):.4f}")
    return {training.tp.__name__: training.result() for training in trainings}


def plot_losses(results, path):
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (name, result), style in zip(results.items(), ("-", "--"), strict=False):
        axes.plot(result.losses, style, linewidth=0.8, label=name)
    axes.set(xlabel="step", ylabel="cross-entropy", yscale="log", title="Handwritten digits, MLP 64-64-10")
    axes.legend()
    figure.savefig(path, dpi=150)


def pytorch():
    """PyTorch with one thread, in a list; an empty list when it is not installed."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: nothing to compare with")
        return []
    torch.set_num_threads(1)
    return [torch]


def report(results):
    for name, result in results.items():
        print(f"{name}: test accuracy {result.accuracy:.4f}, {result.us_per_step:.0f} µs per step")
    if len(results) == 2:
        ours, theirs = results.values()
        apart = np.abs(np.subtract(ours.losses, theirs.losses)).max()
        print(f"largest difference between the two loss curves: {apart:.1e}")
        print(f"one step in PyTorch takes {theirs.us_per_step / ours.us_per_step:.1f} times as long")


def main():
    parser = argparse.ArgumentParser(description="Train an MLP on real handwritten digits.")
    parser.add_argument("--epochs", type=int, default=50, help="passes over the training digits (default 50)")
    parser.add_argument("--quick", action="store_true", help="3 epochs only")
    parser.add_argument("--compare", action="store_true", help="run the same loop in PyTorch in turns, if installed")
    parser.add_argument("--out", type=Path, default=Path("digits_mlp.png"), help="where the loss curve goes")
    arguments = parser.parse_args()
    epochs = 3 if arguments.quick else arguments.epochs

    with threadpool_limits(1):
        results = train([tj, *(pytorch() if arguments.compare else [])], load_data(), epochs)
    report(results)
    plot_losses(results, arguments.out)
    print(f"loss curve: {arguments.out}")


if __name__ == "__main__":
    main()
