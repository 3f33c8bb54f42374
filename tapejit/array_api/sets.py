"""The different elements of a tensor; values have no derivative here, ``tj.unique`` says why."""

from typing import NamedTuple

import numpy as np

from tapejit.eager.dispatch import from_array
from tapejit.eager.tensor import Tensor


class UniqueAll(NamedTuple):
    """What ``unique_all`` gives."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What ``unique_counts`` gives."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What ``unique_inverse`` gives."""

    values: Tensor
    inverse_indices: Tensor


def _of(function, x):
    return [from_array(np.asarray(part)) for part in function(x.numpy())]


def unique_all(x, /) -> UniqueAll:
    """The different elements, where each stands first, which of them every element is, and how often it occurs."""
    return UniqueAll(*_of(np.unique_all, x))


def unique_counts(x, /) -> UniqueCounts:
    """The different elements, and how often each occurs."""
    return UniqueCounts(*_of(np.unique_counts, x))


def unique_inverse(x, /) -> UniqueInverse:
    """The different elements, and which of them every element is."""
    return UniqueInverse(*_of(np.unique_inverse, x))


def unique_values(x, /) -> Tensor:
    """The different elements."""
    return from_array(np.unique_values(x.numpy()))
