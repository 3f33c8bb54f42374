"""NumPy's functions that choose, order and clip elements, on tensors."""

import numpy as np

from tapejit.eager import arithmetic, arranging, sorting
from tapejit.eager.asnumpy.shaping import concatenate
from tapejit.eager.dispatch import from_array
from tapejit.eager.finding import searchsorted
from tapejit.eager.functional import where as _where
from tapejit.eager.indexing import getitem, index_select, setitem, take_along_dim
from tapejit.eager.ufuncs import tensor_of
from tapejit.eager.views import clone, dimension


def where(condition, x=None, y=None):
    condition = arithmetic.condition(condition)
    return _where(condition) if x is None and y is None else _where(condition, x, y)


def select(condlist, choicelist, default=0):
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = where(tensor_of(condition), tensor_of(choice), result)
    return result


def take(a, indices, axis=None):
    indices = tensor_of(indices)
    if axis is None:
        a, axis = a.reshape(-1), 0
    return getitem(a, (slice(None),) * dimension(axis, a.ndim) + (indices if indices.ndim else int(indices),))


def take_along_axis(arr, indices, axis=-1):
    return take_along_dim(arr, tensor_of(indices), axis)


def compress(condition, a, axis=None):
    chosen = from_array(np.flatnonzero(tensor_of(condition)._array()))
    return index_select(a.reshape(-1) if axis is None else a, 0 if axis is None else axis, chosen)


def extract(condition, arr):
    return compress(tensor_of(condition).reshape(-1), arr)


def sort(a, axis=-1):
    return sorting.sort(a.reshape(-1) if axis is None else a, 0 if axis is None else axis)[0]


def argsort(a, axis=-1):
    return sorting.argsort(a.reshape(-1) if axis is None else a, 0 if axis is None else axis)


def lexsort(keys, axis=-1):
    order = None
    for key in map(tensor_of, keys):
        within = sorting.argsort(key if order is None else take_along_dim(key, order, axis), axis, stable=True)
        order = within if order is None else take_along_dim(order, within, axis)
    return order


def partition(a, kth, axis=-1):
    return sort(a, axis)


def argpartition(a, kth, axis=-1):
    return argsort(a, axis)


def nonzero(a):
    return arranging.nonzero(a, as_tuple=True)


def flatnonzero(a):
    return arranging.nonzero(a.reshape(-1), as_tuple=True)[0]


def copyto(dst, src, where=True):
    setitem(dst, Ellipsis, tensor_of(src) if where is True else _where(arithmetic.condition(tensor_of(where)), src, dst))


def clip(a, a_min=None, a_max=None, min=None, max=None):
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return clone(a) if low is None and high is None else a.clamp(low, high)


def digitize(x, bins, right=False):
    edges = bins.detach()._array()
    if edges.size > 1 and edges[0] > edges[-1]:
        return from_array(np.asarray(np.digitize(x.detach()._array(), edges, right)))
    np.digitize(np.zeros(0), edges)  # refuses those in no order
    return searchsorted(bins, x, right=not right)


def choose(a, choices):
    options = concatenate([x[None] for x in arranging.broadcast_tensors(a, *map(tensor_of, choices))][1:])
    return take_along_dim(options, a.expand(options.shape[1:])[None], 0)[0]
