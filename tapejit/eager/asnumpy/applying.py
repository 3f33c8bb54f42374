"""NumPy's functions that call functions, and its histogram of differentiable weights, on tensors."""

import numpy as np

from tapejit.eager import arithmetic, summaries
from tapejit.eager.asnumpy.shaping import expand_dims, stack
from tapejit.eager.creation import zeros_like
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import where as _where
from tapejit.eager.grad_mode import is_grad_enabled
from tapejit.eager.scattering import masked_scatter
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import tensor_of
from tapejit.eager.views import dimension


def piecewise(x, condlist, funclist, *args, **kw):
    conditions = list(condlist) if isinstance(condlist, (list, tuple)) else [condlist]
    if np.ndim(conditions[0]) == 0 and x.ndim:
        conditions = [conditions]
    conditions = [arithmetic.condition(tensor_of(c)).expand(x.shape) for c in conditions]
    if len(funclist) == len(conditions) + 1:
        rest = conditions[0]
        for c in conditions[1:]:
            rest = rest | c
        conditions.append(~rest)
    if len(funclist) != len(conditions):
        raise ValueError(f"with {len(conditions)} condition(s), either {len(conditions)} or one more functions are expected")
    result = zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            result = _where(condition, tensor_of(function).to(x.dtype), result)
        elif x.ndim == 0:
            result = _where(condition, function(x, *args, **kw), result)
        else:
            chosen = x[condition]
            if chosen.numel():
                found = tensor_of(function(chosen, *args, **kw)).to(x.dtype)
                result = masked_scatter(result, condition, found.expand(chosen.shape))
    return result


def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    arr = tensor_of(arr)
    axis = dimension(axis, arr.ndim)
    rows = arr.movedim(axis, -1)
    shape = tuple(rows.shape[:-1])
    if 0 in shape:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    found = stack([tensor_of(func1d(rows[k], *args, **kwargs)) for k in np.ndindex(shape)])
    parts = found.shape[1:]
    found = found.reshape((*shape, *parts))
    places = range(len(shape), len(shape) + len(parts))
    return found.movedim(tuple(places), tuple(axis + k for k in range(len(parts)))) if parts else found


def apply_over_axes(func, a, axes):
    for axis in (axes,) if isinstance(axes, int) else axes:
        axis = dimension(axis, a.ndim)
        found = func(a, axis)
        a = found if found.ndim == a.ndim else expand_dims(found, axis)
    return a


def histogram(a, bins=10, range=None, density=None, weights=None):
    if isinstance(a, Tensor) and a.requires_grad and is_grad_enabled():
        raise TypeError("np.histogram() of differentiated values: counts have no derivative; that of the weights is there")
    numbers = np.ravel(a._array() if isinstance(a, Tensor) else np.asarray(a))
    weights = None if weights is None else tensor_of(weights)
    edges = np.histogram_bin_edges(numbers, bins, range)
    n = len(edges) - 1
    places = np.searchsorted(edges, numbers, "right") - 1
    places[numbers == edges[-1]] = n - 1
    inside = (places >= 0) & (places < n)
    chosen = from_array(np.flatnonzero(inside))
    counts = summaries.bincount(
        from_array(places[inside]), None if weights is None else weights.reshape(-1)[chosen], minlength=n
    )
    if density:
        counts = counts / (counts.sum() * from_array(np.diff(edges)))
    return counts, from_array(edges)
