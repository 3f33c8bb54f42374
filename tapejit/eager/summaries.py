"""Summaries of many elements: sums that pass over NaN, moments together, quantiles, counts and covariances."""

import math

import numpy as np

from tapejit.core import dtypes
from tapejit.core import tape as tapes
from tapejit.eager.creation import ones
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import where
from tapejit.eager.indexing import gather, narrow, stack
from tapejit.eager.keywords import with_axis
from tapejit.eager.linalg.multiply import matmul
from tapejit.eager.places import scatter_add_flat
from tapejit.eager.reductions import ValuesIndices, amax, amin, mean, norm, std, sum, var
from tapejit.eager.sorting import argsort, sort
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import clone, dimension, permute, reshape


class Extremes(tuple):
    """What ``aminmax`` gives: ``min`` and ``max``."""

    __slots__ = ()
    min = property(lambda self: self[0])
    max = property(lambda self: self[1])


@with_axis
def nansum(x: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum of the elements that are not NaN."""
    x = x if dtype is None else x.to(dtype)
    return sum(where(x != x, 0.0, x) if x.dtype.is_floating_point else x, dim, keepdim)


@with_axis
def nanmean(x: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The mean of the elements that are not NaN."""
    x = x if dtype is None else x.to(dtype)
    there = x == x
    return nansum(x, dim, keepdim) / sum(there.to(x.dtype), dim, keepdim)


@with_axis
def count_nonzero(x: Tensor, dim=None) -> Tensor:
    """How many elements are not 0: int64."""
    return sum(x if x.dtype is dtypes.bool_ else x != 0, dim)


@with_axis
def var_mean(x: Tensor, dim=None, unbiased=None, *, correction=1, keepdim=False) -> tuple:
    """(``var``, ``mean``)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return var(x, dim, keepdim, correction=correction, unbiased=unbiased), mean(x, dim, keepdim)


@with_axis
def std_mean(x: Tensor, dim=None, unbiased=None, *, correction=1, keepdim=False) -> tuple:
    """(``std``, ``mean``)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return std(x, dim, keepdim, correction=correction, unbiased=unbiased), mean(x, dim, keepdim)


@with_axis
def aminmax(x: Tensor, *, dim=None, keepdim=False) -> Extremes:
    """The smallest and the largest element: ``(min, max)``; equal ones share the gradient evenly."""
    return Extremes((amin(x, dim, keepdim), amax(x, dim, keepdim)))


# By order


@with_axis
def kthvalue(x: Tensor, k: int, dim=-1, keepdim=False) -> ValuesIndices:
    """The k-th smallest element along a dimension, counted from 1: ``(values, indices)``.

    Raises:
        RuntimeError: if there are fewer than k.
    """
    d = dimension(dim, x.ndim)
    size = x.shape[d] if x.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue() needs 1 <= k <= {size}, got {k}")
    if not x.ndim:
        return ValuesIndices((clone(x), from_array(np.zeros((), np.int64))))
    places = narrow(argsort(x, d), d, k - 1, 1)
    values = gather(x, d, places)
    return ValuesIndices((values, places) if keepdim else (values.squeeze(d), places.squeeze(d)))


@with_axis
def msort(x: Tensor) -> Tensor:
    """The elements in order along the first dimension."""
    return sort(x, 0)[0] if x.ndim else clone(x)


@with_axis
def nanmedian(x: Tensor, dim=None, keepdim=False):
    """The middle one of the elements that are not NaN, the lower one of two; along a dimension ``(values, indices)``."""
    if dim is None:
        return nanmedian(reshape(x, -1), 0)[0]
    d = dimension(dim, x.ndim)
    if not x.ndim:
        return ValuesIndices((clone(x), from_array(np.zeros((), np.int64))))
    order = argsort(x, d)
    count = sum(x == x, d, keepdim=True)
    middle = ((count - 1).to(dtypes.float64) / 2).floor().clamp(min=0.0).to(dtypes.int64)
    places = gather(order, d, middle)
    values = gather(x, d, places)
    return ValuesIndices((values, places) if keepdim else (values.squeeze(d), places.squeeze(d)))


@with_axis
def mode(x: Tensor, dim=-1, keepdim=False) -> ValuesIndices:
    """The commonest element along a dimension, the smallest of equally common ones: ``(values, indices)``."""
    d = dimension(dim, x.ndim)
    if not x.ndim:
        return ValuesIndices((clone(x), from_array(np.zeros((), np.int64))))

    def place(line):
        _, inverse, counts = np.unique(line, return_inverse=True, return_counts=True)
        return np.flatnonzero(inverse == counts.argmax())[-1] if line.size else 0

    places = from_array(np.expand_dims(np.apply_along_axis(place, d, x.detach()._array()), d).astype(np.int64))
    values = gather(x, d, places)
    return ValuesIndices((values, places) if keepdim else (values.squeeze(d), places.squeeze(d)))


_ROUNDING = ("lower", "higher", "nearest")


@with_axis
def quantile(x: Tensor, q, dim=None, keepdim=False, *, interpolation="linear") -> Tensor:
    """The value below which a share q of the elements lies; several shares stand along a new first dimension. NaN if one is.

    Args:
        q: a number, or a vector, from 0 to 1.
        interpolation: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".

    Raises:
        RuntimeError: for q or an interpolation that there is not, or no elements.
    """
    return _quantile(x, q, dim, keepdim, interpolation, False)


@with_axis
def nanquantile(x: Tensor, q, dim=None, keepdim=False, *, interpolation="linear") -> Tensor:
    """``quantile`` of the elements that are not NaN."""
    return _quantile(x, q, dim, keepdim, interpolation, True)


def _quantile(x, q, dim, keepdim, interpolation, without_nan):
    shares = np.asarray(q.detach()._array() if isinstance(q, Tensor) else q, dtype=np.float64)
    if shares.ndim > 1 or not ((shares >= 0) & (shares <= 1)).all() or interpolation not in (*_ROUNDING, "linear", "midpoint"):
        raise RuntimeError(f"quantile() takes shares from 0 to 1 and a known interpolation, got {q!r} and {interpolation!r}")
    shape = (1,) * x.ndim if dim is None else tuple(1 if k == dimension(dim, x.ndim) else s for k, s in enumerate(x.shape))
    line = reshape(x, -1) if dim is None else _last(x, dimension(dim, x.ndim)) if x.ndim else reshape(x, 1)
    if not line.shape[-1]:
        raise RuntimeError(f"quantile() over no elements has no value (shape {x.shape}, dim {dim})")
    ordered = sort(line, -1)[0]
    count = sum((line == line).to(x.dtype), -1, keepdim=True)
    nothing = (count == 0) if without_nan else (count != line.shape[-1])
    top = (count - 1).clamp(min=0.0) if without_nan else count * 0 + (line.shape[-1] - 1)
    found = []
    given = list(q.reshape(-1)) if isinstance(q, Tensor) else np.atleast_1d(shares).tolist()
    for share in given:
        value = where(nothing, math.nan, _between(ordered, top * share, interpolation)).squeeze(-1)
        found.append(reshape(value, shape) if keepdim else value)
    return stack(found, 0) if shares.ndim else found[0]


def _last(x, d):
    """The dimension moved to the end."""
    return permute(x, (*(k for k in range(x.ndim) if k != d), d))


def _between(ordered, place, interpolation):
    """The value at a place, counted from 0, between elements."""
    low, high = place.floor(), place.ceil()
    if interpolation in _ROUNDING:
        chosen = {"lower": low, "higher": high, "nearest": place.round()}[interpolation]
        return gather(ordered, -1, chosen.to(dtypes.int64))
    below, above = (gather(ordered, -1, k.to(dtypes.int64)) for k in (low, high))
    weight = 0.5 * (high - low) if interpolation == "midpoint" else place - low
    return below + where(weight == 0, 0.0, (above - below) * weight)


# Second moments


def cov(x: Tensor, *, correction=1, fweights=None, aweights=None) -> Tensor:
    """The covariances of variables, whose observations are the rows of x: a matrix, a number for one variable.

    Args:
        correction: what is taken off the number of observations.
        fweights: how often each observation counts, integers.
        aweights: the weight of each observation.

    Raises:
        RuntimeError: for more than two dimensions, and for weights that are not one for each observation.
    """
    if x.ndim > 2:
        raise RuntimeError(f"cov() takes a vector or a matrix, got shape {x.shape}")
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is not None and (w.ndim > 1 or w.numel() != (x.shape[-1] if x.ndim else 1)):
            raise RuntimeError(f"cov() of shape {tuple(x.shape)} needs {name} for each observation, got shape {tuple(w.shape)}")
        if w is not None and (w._memory() < 0).any():
            raise RuntimeError(f"cov() takes weights of at least 0 as {name}")
    if fweights is not None and fweights.dtype.is_floating_point:
        raise RuntimeError(f"cov() takes whole numbers as fweights, got {fweights.dtype}")
    x = x if x.dtype.is_floating_point else x.to(dtypes.get_default_dtype())
    rows = reshape(x, (1, x.numel())) if x.ndim < 2 else x
    weights = None
    for w in (fweights, aweights):
        if w is not None:
            weights = w.to(x.dtype) if weights is None else weights * w.to(x.dtype)
    if weights is None:
        total, mu = float(rows.shape[1]), mean(rows, 1, keepdim=True)
    else:
        total = sum(weights)
        mu = sum(rows * weights, 1, keepdim=True) / total
    norm_factor = total - correction
    if aweights is not None and correction:
        norm_factor = total - correction * sum(weights * aweights.to(x.dtype)) / total
    centred = rows - mu
    right = centred if weights is None else centred * weights
    result = matmul(right, centred.mT)
    result = result / (norm_factor.clamp(min=0.0) if isinstance(norm_factor, Tensor) else max(norm_factor, 0.0))
    return result.squeeze() if result.numel() == 1 else result


def corrcoef(x: Tensor) -> Tensor:
    """The correlation coefficients of variables, whose observations are the rows of x."""
    c = cov(x)
    if not c.ndim:
        return c / c
    scale = c.diagonal().sqrt()
    return (c / scale.unsqueeze(1) / scale.unsqueeze(0)).clamp(-1.0, 1.0)


# Lengths


def dist(x: Tensor, other: Tensor, p=2) -> Tensor:
    """The p-norm of x - other."""
    return norm(x - other, p)


def renorm(x: Tensor, p, dim: int, maxnorm) -> Tensor:
    """The slices along a dimension, those with a p-norm above ``maxnorm`` scaled down to it."""
    if x.ndim < 2 or p <= 0 or maxnorm < 0:
        raise RuntimeError(
            f"renorm() takes 2 dimensions or more, p above 0 and maxnorm of at least 0, got shape {tuple(x.shape)}, {p} "
            f"and {maxnorm}"
        )
    d = dimension(dim, x.ndim)
    length = norm(x, p, tuple(k for k in range(x.ndim) if k != d), keepdim=True)
    long = length > maxnorm
    return x * where(long, maxnorm / (where(long, length, 1.0) + 1e-7), 1.0)


# Counts


def bincount(x: Tensor, weights=None, minlength=0) -> Tensor:
    """How often each whole number from 0 up occurs, or the sum of its weights.

    Raises:
        RuntimeError: unless x is a vector of integers that are not negative.
    """
    if x.ndim != 1 or x.dtype.is_floating_point or (x < 0).any():
        raise RuntimeError(f"bincount() takes a vector of integers from 0 up, got shape {x.shape} of {x.dtype}")
    if weights is not None and not weights.dtype.is_floating_point:
        weights = weights.to(dtypes.float64)
    kind = dtypes.int64 if weights is None else weights.dtype
    if tapes.current().recorder is None and (weights is None or not weights.requires_grad):
        return from_array(np.bincount(x._array(), None if weights is None else weights._array(), minlength), kind)
    size = minlength if minlength and not (x >= minlength).any() else int(x._array().max(initial=-1)) + 1
    counted = ones(x.shape, dtype=dtypes.float64) if weights is None else weights
    places = x.to(dtypes.int64).clamp(0, size - 1)  # in a later call, too, whose numbers are looked at beside this
    return scatter_add_flat(counted, places, (size,)).to(kind)


def histc(x: Tensor, bins=100, min=0, max=0) -> Tensor:
    """How many elements fall into each of so many bins of one width from min to max (of the elements, if both are 0)."""
    counted = x.detach()._array()
    if min == max == 0 and counted.size:
        min, max = float(counted.min()), float(counted.max())
    if min == max:
        min, max = min - 1, max + 1
    return from_array(np.histogram(counted, bins, (min, max))[0], x.dtype)


def histogram(x: Tensor, bins, *, range=None, weight=None, density=False) -> tuple:
    """(counts, edges) of the elements in so many bins, or between the edges given."""
    edges = bins._array() if isinstance(bins, Tensor) else bins
    given = None if weight is None else np.ravel(weight._array())
    counts, edges = np.histogram(np.ravel(x.detach()._array()), edges, range, density=density, weights=given)
    return from_array(counts, x.dtype), from_array(edges, x.dtype)


METHODS = """nansum nanmean count_nonzero aminmax kthvalue msort nanmedian mode quantile nanquantile cov corrcoef dist renorm
    bincount histc histogram""".split()
FUNCTIONS_ONLY = "var_mean std_mean".split()
ALIASES = {}
