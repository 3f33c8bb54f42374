"""Strided views as lists of flat positions."""

import numpy as np


def positions(shape, strides, start):
    """The flat positions that a strided view reads, in the view's order."""
    total = np.full(shape, start, dtype=np.int64)
    for d, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        total += (np.arange(size) * stride).reshape([-1 if k == d else 1 for k in range(len(shape))])
    return total.reshape(-1)


def differ(places, n) -> bool:
    """Whether none of the positions, among ``n``, is there twice."""
    met = np.zeros(n, dtype=bool)
    met[places] = True
    return np.count_nonzero(met) == len(places)
