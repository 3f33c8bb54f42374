"""Which elements there are, and where: unique ones, members, places in an order. Places have no derivatives."""

import math

import numpy as np

from tapejit.core import dtypes
from tapejit.core import tape as tapes
from tapejit.eager.creation import as_tensor, zeros
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import LOGICAL, where
from tapejit.eager.indexing import gather, getitem
from tapejit.eager.sorting import sort
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import dimension, reshape

isnan = LOGICAL["isnan"]


def _asked(values, inverse, counts, return_inverse, return_counts):
    found = [values]
    found += [from_array(inverse.astype(np.int64))] if return_inverse else []
    found += [from_array(counts.astype(np.int64))] if return_counts else []
    return found[0] if len(found) == 1 else tuple(found)


def unique(x: Tensor, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements in order, or slices along a dimension; each one's gradient goes to where it came first.

    Returns:
        The elements; with ``return_inverse`` and ``return_counts`` a tuple with the place of each element of x among them, and
        how often each occurs.
    """
    array = x.detach()._array()
    d = None if dim is None else dimension(dim, x.ndim)
    _, first, inverse, counts = np.unique(array, return_index=True, return_inverse=True, return_counts=True, axis=d)
    places = from_array(first.astype(np.int64))
    values = getitem(reshape(x, -1), (places,)) if d is None else getitem(x, (slice(None),) * d + (places,))
    return _asked(values, inverse.reshape(array.shape if d is None else -1), counts, return_inverse, return_counts)


def unique_consecutive(x: Tensor, return_inverse=False, return_counts=False, dim=None):
    """The elements, or slices along a dimension, that differ from the one before; the rest as ``unique``."""
    array = x.detach()._array()
    d = None if dim is None else dimension(dim, x.ndim)
    size = array.shape[d] if d is not None else 0
    line = array.reshape(-1) if d is None else np.moveaxis(array, d, 0).reshape(size, array.size // size if size else 0)
    changes = line[1:] != line[:-1]
    new = np.concatenate(([True] * min(len(line), 1), changes if changes.ndim == 1 else changes.any(1))).astype(bool)
    first = np.flatnonzero(new)
    places = from_array(first)
    values = getitem(reshape(x, -1), (places,)) if d is None else getitem(x, (slice(None),) * d + (places,))
    inverse = np.cumsum(new) - 1
    counts = np.diff(np.append(first, len(line)))
    return _asked(values, inverse.reshape(array.shape if d is None else -1), counts, return_inverse, return_counts)


def isin(elements, test_elements, *, assume_unique=False, invert=False) -> Tensor:
    """Whether each element is among the test elements: a bool tensor."""
    if tapes.current().recorder is not None:
        found = _among(as_tensor(elements).detach(), reshape(as_tensor(test_elements).detach(), -1))
        return ~found if invert else found
    first, second = (np.asarray(as_tensor(t).detach()._array()) for t in (elements, test_elements))
    return from_array(np.isin(first, second, assume_unique=assume_unique, invert=invert))


def _among(x, members):
    """``isin`` as comparisons with the element of the sorted members that stands where each would be put."""
    if not members.numel():
        return zeros(x.shape, dtype=dtypes.bool_)
    rows = sort(members)[0]
    places = searchsorted(rows, x).clamp(max=members.numel() - 1)
    return getitem(rows, (places.reshape(-1),)).reshape(x.shape) == x


def searchsorted(sorted_sequence: Tensor, input, *, out_int32=False, right=False, side=None, sorter=None) -> Tensor:
    """Where values would be put into sorted rows: one vector, or a row of the last dimension for each row of values.

    Args:
        right: after equal elements, not before them; ``side="right"`` says the same.
        sorter: the places that sort the rows.

    A recording notes no places but how they are found, for other values in later calls.
    """
    side = side or ("right" if right else "left")
    rows, values = as_tensor(sorted_sequence).detach(), as_tensor(input).detach()
    if rows.ndim > 1 and rows.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(f"searchsorted() needs as many rows of values, got shapes {rows.shape} and {values.shape}")
    if tapes.current().recorder is not None:
        found = _bisected(rows, values, side == "right", sorter)
        return found.to(dtypes.int32) if out_int32 else found
    rows, values = rows._array(), values._array()
    if sorter is not None:
        rows = np.take_along_axis(rows, sorter._array(), -1)
    if rows.ndim == 1:
        found = np.searchsorted(rows, values, side)
    else:
        found = np.empty(values.shape, np.int64)
        for k in np.ndindex(rows.shape[:-1]):
            found[k] = np.searchsorted(rows[k], values[k], side)
    return from_array(np.asarray(found), dtypes.int32 if out_int32 else dtypes.int64)


def _bisected(rows, values, after, sorter):
    """As ``searchsorted``, made of comparisons and gathered elements; NaN is larger than any number, as NumPy has it."""
    if sorter is not None:
        rows = gather(rows, -1, sorter)
    size = rows.shape[-1]
    found, step = zeros(values.shape, dtype=dtypes.int64), 1 << size.bit_length() >> 1
    while step:
        further = found + step
        places = further.clamp(max=size) - 1
        probed = getitem(rows, (places.reshape(-1),)).reshape(values.shape) if rows.ndim == 1 else gather(rows, -1, places)
        passed = probed <= values if after else probed < values
        if values.dtype.is_floating_point:
            passed = passed | (isnan(values) if after or not rows.dtype.is_floating_point else isnan(values) & ~isnan(probed))
        found = where(passed & (further <= size), further, found)
        step >>= 1
    return found


def bucketize(x, boundaries: Tensor, *, out_int32=False, right=False) -> Tensor:
    """The number of the stretch between sorted boundaries that each element lies in."""
    return searchsorted(boundaries, x, out_int32=out_int32, right=right)


def unravel_index(indices: Tensor, shape) -> tuple:
    """Flat indices as one index tensor per dimension of a shape."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if tapes.current().recorder is not None and not ((indices < 0) | (indices >= math.prod(shape))).any():
        found = []
        for n in reversed(shape):
            found.append(indices % n)
            indices = indices // n
        return tuple(found[::-1])
    return tuple(from_array(np.asarray(k)) for k in np.unravel_index(indices._array(), shape))


METHODS = "unique unique_consecutive isin".split()
FUNCTIONS_ONLY = "searchsorted bucketize unravel_index".split()
ALIASES = {}
