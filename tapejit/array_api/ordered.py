"""What the standard has keywords for that NumPy does not."""

from tapejit.eager import reductions, sorting
from tapejit.eager.creation import zeros
from tapejit.eager.indexing import cat, narrow


def sort(x, /, *, axis=-1, descending=False, stable=True):
    """The elements in order along an axis."""
    return sorting.sort(x, axis, descending, stable)[0] if x.ndim else x.clone()


def argsort(x, /, *, axis=-1, descending=False, stable=True):
    """Where the elements in order stand along an axis."""
    return sorting.sort(x, axis, descending, True)[1]


def cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False):
    """Running sums along an axis, which may be left out of a vector; with ``include_initial`` from 0 on.

    Raises:
        ValueError: without an axis, if there are several.
    """
    if axis is None:
        if x.ndim > 1:
            raise ValueError(f"cumulative_sum() needs an axis for shape {tuple(x.shape)}")
        axis = 0
    found = reductions.cumsum(x, axis, dtype=dtype)
    if not include_initial:
        return found
    axis %= x.ndim
    start = zeros(*x.shape[:axis], 1, *x.shape[axis + 1 :], dtype=found.dtype)
    return cat([start, narrow(found, axis, 0, x.shape[axis])], axis)
