"""The instances of ADBench (github.com/microsoft/ADBench, MIT): where they are, and how they are read.

The files are not part of this repository. They are looked for in the folder that the environment variable ADBENCH_DATA
names, and in ``../shared/data/adbench`` beside the checkout.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(os.environ.get("ADBENCH_DATA") or Path(__file__).parents[3] / "shared/data/adbench")
MISSING = f"ADBench's data is not at {FOLDER}: set ADBENCH_DATA to the folder with gmm/, ba/ and lstm/"


class GMM(NamedTuple):
    """A Gaussian mixture with k components in d dimensions and n points.

    ``icf`` has a row per component: the logarithms of the diagonal of the square root Q of its precision, then the
    strictly lower triangle of Q, column by column.
    """

    alphas: np.ndarray  # (k,)
    means: np.ndarray  # (k, d)
    icf: np.ndarray  # (k, d * (d + 1) / 2)
    x: np.ndarray  # (n, d)
    gamma: float
    m: int


class BA(NamedTuple):
    """Bundle adjustment: n cameras of 11 numbers, m points, p observations with a weight and a pixel each."""

    cams: np.ndarray  # (n, 11): rotation vector (3), centre (3), focal length, principal point (2), distortion (2)
    points: np.ndarray  # (m, 3)
    weights: np.ndarray  # (p,)
    feats: np.ndarray  # (p, 2)
    obs: np.ndarray  # (p, 2) of int64: the camera and the point of each observation


class LSTM(NamedTuple):
    """l layers over c characters of b bits; the weights are diagonal."""

    main: np.ndarray  # (2 l, 4 b): rows of weights and biases in turn, columns forget | in | out | change
    extra: np.ndarray  # (3, b)
    state: np.ndarray  # (2 l, b): rows of hidden and cell state in turn
    sequence: np.ndarray  # (c, b) of zeros and ones


def available() -> bool:
    return FOLDER.is_dir()


def names(kind) -> list:
    """The instances of "gmm", "ba" or "lstm", small ones first; empty without the data."""
    found = sorted((FOLDER / kind).glob("*.txt"), key=lambda path: (path.stat().st_size, path.name))
    return [path.stem for path in found]


def load(kind, name):
    """The instance ``name`` of "gmm", "ba" or "lstm".

    Raises:
        FileNotFoundError: if the file is not there, with the places that were looked at.
    """
    path = FOLDER / kind / f"{name}.txt"
    if not path.is_file():
        raise FileNotFoundError(f"no file {path.name} for {kind}; {MISSING}")
    return {"gmm": parse_gmm, "ba": parse_ba, "lstm": parse_lstm}[kind](path.read_text())


class _Numbers:
    """The numbers of a file, taken in the shapes that its first line announces."""

    def __init__(self, text, header):
        words = text.split()
        self.header = [int(word) for word in words[:header]]
        self.numbers = np.array(words[header:], dtype=float)
        self.position = 0

    def take(self, *shape):
        size = int(np.prod(shape))
        part = self.numbers[self.position : self.position + size]
        if part.size < size:
            raise ValueError(f"the file ends {size - part.size} numbers too early for an array of shape {shape}")
        self.position += size
        return part.reshape(shape).copy()

    def rest(self):
        """How many numbers are left."""
        return self.numbers.size - self.position


def parse_gmm(text) -> GMM:
    """A mixture; a file with one point stands for as many copies of it as its first line says."""
    file = _Numbers(text, 3)
    d, k, n = file.header
    alphas, means, icf = file.take(k), file.take(k, d), file.take(k, d * (d + 1) // 2)
    rows = (file.rest() - 2) // d
    x = file.take(rows, d)
    gamma, m = file.take(2)
    return GMM(alphas, means, icf, np.repeat(x, n, axis=0) if rows == 1 else x, float(gamma), int(m))


def parse_ba(text) -> BA:
    """A bundle; the file holds one camera, point, weight and pixel, which are all there is (in as many copies)."""
    file = _Numbers(text, 3)
    n, m, p = file.header
    cam, point, weight, feat = file.take(11), file.take(3), file.take(1), file.take(2)
    obs = np.stack((np.arange(p) % n, np.arange(p) % m), axis=1)
    return BA(np.tile(cam, (n, 1)), np.tile(point, (m, 1)), np.repeat(weight, p), np.tile(feat, (p, 1)), obs)


def parse_lstm(text) -> LSTM:
    file = _Numbers(text, 3)
    l, c, b = file.header  # noqa: E741 - ADBench's names
    return LSTM(file.take(2 * l, 4 * b), file.take(3, b), file.take(2 * l, b), file.take(c, b))
