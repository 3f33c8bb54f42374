"""NumPy's functions that write into an array, on tensors: the tensor is changed in place, and the derivative knows."""

import numpy as np

from tapejit.eager import arithmetic, scattering
from tapejit.eager.asnumpy.shaping import resize
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import where as _where
from tapejit.eager.indexing import setitem
from tapejit.eager.ufuncs import tensor_of
from tapejit.eager.views import dimension


def _values(v, like):
    return tensor_of(v).to(like.dtype)


def fill_diagonal(a, val, wrap=False):
    if wrap or a.ndim < 2 or (a.ndim > 2 and len(set(a.shape)) > 1):
        raise TypeError("np.fill_diagonal() of tensors takes matrices, or equal dimensions, without wrap=")
    places = from_array(np.arange(min(a.shape)))
    values = _values(val, a)
    setitem(a, (places,) * a.ndim, values if not values.ndim else resize(values, places.shape))


def put_along_axis(arr, indices, values, axis=-1):
    indices = tensor_of(indices)
    if axis is None:
        setitem(arr, Ellipsis, scattering.put(arr, indices, _values(values, arr).expand(indices.shape)))
        return
    axis = dimension(axis, arr.ndim)
    shape = [1] * arr.ndim
    key = []
    for d, size in enumerate(arr.shape):
        shape[d] = -1
        key.append(indices if d == axis else from_array(np.arange(size).reshape(shape)))
        shape[d] = 1
    setitem(arr, tuple(key), _values(values, arr))


def put(a, ind, v, mode="raise"):
    if mode != "raise":
        raise TypeError("np.put() of tensors knows mode='raise' only")
    ind = tensor_of(ind)
    setitem(a, Ellipsis, scattering.put(a, ind, resize(_values(v, a), ind.shape)))


def putmask(a, mask, values):
    setitem(a, Ellipsis, _where(arithmetic.condition(tensor_of(mask)), resize(_values(values, a), a.shape), a))


def place(arr, mask, vals):
    mask = arithmetic.condition(tensor_of(mask))
    count = int(mask.sum())
    if count:
        setitem(arr, Ellipsis, scattering.masked_scatter(arr, mask.reshape(arr.shape), resize(_values(vals, arr), (count,))))
