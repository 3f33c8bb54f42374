"""Elements in order: sort, argsort, topk, median. NaN counts as larger than any number; equal elements keep their order.

The places are constants; the values are gathered from them, so each element's gradient goes to where it came from.
"""

import numpy as np

from tapejit.core import dtypes
from tapejit.eager.dispatch import from_array
from tapejit.eager.indexing import gather
from tapejit.eager.keywords import with_axis
from tapejit.eager.onedimension import along_dim
from tapejit.eager.places import in_floats
from tapejit.eager.reductions import ValuesIndices
from tapejit.eager.tensor import Tensor, method
from tapejit.eager.views import dimension
from tapejit.spec import structured as ops


@method
@with_axis
def argsort(x: Tensor, dim=-1, descending=False, stable=False) -> Tensor:
    """The places of the elements along a dimension in order, int64; always stable."""
    d = dimension(dim, x.ndim)
    if not x._layout.dtype.is_floating_point:
        found = in_floats(lambda x: argsort(x, d, descending), dtypes.int64, x)
        return _integers(x._array(), d, descending) if found is None else found
    op = ops.descending if descending else ops.ascending
    return along_dim(op, x.detach().to(dtypes.float64), d).to(dtypes.int64)


def _integers(array, d, descending):
    if not array.ndim:
        return from_array(np.zeros((), np.int64))
    return from_array(np.argsort(np.invert(array) if descending else array, axis=d, kind="stable"))


@method
@with_axis
def sort(x: Tensor, dim=-1, descending=False, stable=False) -> ValuesIndices:
    """The elements along a dimension in order: ``(values, indices)``, both of the shape of ``x``; always stable.

    Raises:
        IndexError: if there is no such dimension.
    """
    places = argsort(x, dim, descending)
    return ValuesIndices((gather(x, dimension(dim, x.ndim), places), places))


@method
@with_axis
def topk(x: Tensor, k: int, dim=-1, largest=True, sorted=True) -> ValuesIndices:
    """The k largest (or smallest) elements along a dimension, in order: ``(values, indices)``.

    Raises:
        RuntimeError: if the dimension has fewer than k elements.
    """
    d = dimension(dim, x.ndim)
    size = x.shape[d] if x.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk() needs 0 <= k <= {size}, the size of dimension {d}, got {k}")
    places = argsort(x, d, largest)
    places = places.narrow(d, 0, k) if x.ndim else places
    return ValuesIndices((gather(x, d, places), places))


@method
@with_axis
def median(x: Tensor, dim=None, keepdim=False):
    """The middle element, the lower one of two; along a dimension ``(values, indices)``. NaN if there is one.

    Raises:
        IndexError: if there are no elements.
    """
    if dim is None:
        return median(x.reshape(-1), 0)[0]
    d = dimension(dim, x.ndim)
    size = x.shape[d] if x.ndim else 1
    if not size:
        raise IndexError(f"median() over no elements has no value (shape {x.shape}, dim {dim})")
    if not x.ndim:
        return ValuesIndices((x.clone(), from_array(np.zeros((), np.int64))))
    places = argsort(x, d)
    middle, last = places.narrow(d, (size - 1) // 2, 1), places.narrow(d, size - 1, 1)
    found = gather(x, d, last).isnan()
    places = middle * (~found).to(dtypes.int64) + last * found.to(dtypes.int64)
    values = gather(x, d, places)
    return ValuesIndices((values, places) if keepdim else (values.squeeze(d), places.squeeze(d)))
