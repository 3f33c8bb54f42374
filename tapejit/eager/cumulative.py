"""Running results along a dimension, differences and integrals, under PyTorch's names.

Running products and the like are worked out by doubling: after pass k each element holds the result of the 2**k elements up to
it. That takes log2(n) passes of elementwise ops, whose derivatives are exact also where factors are zero.
"""

import numpy as np

from tapejit.core import dtypes
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import FUNCTIONS, where
from tapejit.eager.indexing import cat, gather, narrow
from tapejit.eager.keywords import with_axis
from tapejit.eager.places import in_floats
from tapejit.eager.reductions import ValuesIndices, cumsum
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import clone, dimension


def _doubled(x, d, combine):
    """``combine(earlier, later)`` of every stretch that begins at the front; both are tuples of tensors."""
    size, step = x[0].shape[d], 1
    while step < size:
        earlier = [narrow(t, d, 0, size - step) for t in x]
        later = [narrow(t, d, step, size - step) for t in x]
        x = [cat((narrow(t, d, 0, step), c), d) for t, c in zip(x, combine(earlier, later), strict=True)]
        step *= 2
    return x


@with_axis
def cumprod(x: Tensor, dim: int, *, dtype=None) -> Tensor:
    """Running products along a dimension. Integers and bools multiply to int64."""
    x = x if dtype is None else x.to(dtype)
    d = dimension(dim, x.ndim)
    if not x.dtype.is_floating_point:
        if not x.ndim:
            return x.to(dtypes.int64)
        found = in_floats(lambda x: cumprod(x, d), dtypes.int64, x)
        return from_array(np.cumprod(x._array(), axis=d, dtype=np.int64)) if found is None else found
    return _doubled([x], d, lambda a, b: [a[0] * b[0]])[0] if x.ndim and x.shape[d] > 1 else clone(x)


@with_axis
def logcumsumexp(x: Tensor, dim: int) -> Tensor:
    """log of the running sums of exp(x) along a dimension, without overflow."""
    d = dimension(dim, x.ndim)
    add = FUNCTIONS["logaddexp"]
    return _doubled([x], d, lambda a, b: [add(a[0], b[0])])[0] if x.ndim and x.shape[d] > 1 else clone(x)


def _running(x, dim, larger):
    """The running extreme and its place: the last of equal ones, NaN before any number."""
    d = dimension(dim, x.ndim)
    if not x.ndim:
        return ValuesIndices((clone(x), from_array(np.zeros((), np.int64))))
    line = np.arange(x.shape[d], dtype=np.float64).reshape([-1 if k == d else 1 for k in range(x.ndim)])
    places = from_array(np.ascontiguousarray(np.broadcast_to(line, tuple(x.shape))))

    def combine(earlier, later):
        stays = larger(earlier[0], later[0])
        if x.dtype.is_floating_point:
            stays = (stays | (earlier[0] != earlier[0])) & (later[0] == later[0])
        return [where(stays, a, b) for a, b in zip(earlier, later, strict=True)]

    places = _doubled([x.detach(), places], d, combine)[1].to(dtypes.int64)
    return ValuesIndices((gather(x, d, places), places))


@with_axis
def cummax(x: Tensor, dim: int) -> ValuesIndices:
    """The largest elements so far along a dimension, and their places: ``(values, indices)``, the last of equal ones."""
    return _running(x, dim, lambda a, b: a > b)


@with_axis
def cummin(x: Tensor, dim: int) -> ValuesIndices:
    """The smallest elements so far along a dimension, and their places: ``(values, indices)``, the last of equal ones."""
    return _running(x, dim, lambda a, b: a < b)


def _neighbours(x, d):
    n = x.shape[d]
    return narrow(x, d, 0, max(n - 1, 0)), narrow(x, d, min(1, n), max(n - 1, 0))


@with_axis
def diff(x: Tensor, n=1, dim=-1, prepend=None, append=None) -> Tensor:
    """The n-th differences of neighbours along a dimension; ``prepend`` and ``append`` are joined to x first.

    Raises:
        RuntimeError: for a tensor without dimensions, or negative n.
    """
    if not x.ndim or n < 0:
        raise RuntimeError(f"diff() needs a dimension and n >= 0, got shape {x.shape} and n = {n}")
    if not n:
        return clone(x)
    d = dimension(dim, x.ndim)
    parts = [p for p in (prepend, x, append) if p is not None]
    x = cat(parts, d) if len(parts) > 1 else x
    for _ in range(n):
        before, after = _neighbours(x, d)
        x = before ^ after if x.dtype is dtypes.bool_ else after - before
    return x


def gradient(x: Tensor, *, spacing=1, dim=None, edge_order=1) -> tuple:
    """The slopes of sampled values by central differences, one-sided at the ends: one tensor per dimension.

    Args:
        spacing: the distance of samples, one for each dimension, or the coordinates along each as vectors.
        edge_order: 1 or 2, the order of the differences at the ends.

    Raises:
        RuntimeError: for a dimension with too few samples, or one that is named twice.
    """
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    dims = [dimension(d, x.ndim) for d in dims]
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"gradient() takes each dimension once, got {dim}")
    many = isinstance(spacing, (tuple, list))
    spacing = 1 if spacing is None else spacing
    spacings = list(spacing) if many else [spacing] * len(dims)
    if len(spacings) != len(dims):
        raise RuntimeError(f"gradient() needs a spacing for each of {len(dims)} dimensions, got {len(spacings)}")
    return tuple(_slope(x, d, h, edge_order) for d, h in zip(dims, spacings, strict=True))


def _slope(x, d, h, edge_order):
    n = x.shape[d]
    if n < edge_order + 1 or edge_order not in (1, 2):
        raise RuntimeError(f"gradient() of edge_order {edge_order} needs {edge_order + 1} samples in dimension {d}, it has {n}")
    x = x if x.dtype.is_floating_point else x.to(dtypes.get_default_dtype())
    before, after = _neighbours(x, d)
    rise = after - before
    if isinstance(h, Tensor) and h.ndim:
        left, right = _neighbours(h, 0)
        steps = (right - left).to(x.dtype).reshape([-1 if k == d else 1 for k in range(x.ndim)])
        slopes = rise / steps
        left, right = _neighbours(steps, d)
        first, second = _neighbours(slopes, d)
        inner = (right * first + left * second) / (left + right)
        ratio = lambda k: narrow(steps, d, k, 1)  # noqa: E731
    else:
        slopes = rise / h
        first, second = _neighbours(slopes, d)
        inner = (first + second) / 2
        ratio = lambda k: 1.0  # noqa: E731
    return cat((_edge(slopes, d, 0, 1, ratio, edge_order), inner, _edge(slopes, d, n - 2, n - 3, ratio, edge_order)), d)


def _edge(slopes, d, at, beside, step, edge_order):
    """The slope at an end: that of the last two samples, or the parabola's through the last three."""
    last = narrow(slopes, d, at, 1)
    if edge_order == 1:
        return last
    return last + (last - narrow(slopes, d, beside, 1)) * (step(at) / (step(at) + step(beside)))


def _trapezoids(y, x, dx, dim):
    d = dimension(dim, y.ndim)
    left, right = _neighbours(y, d)
    if x is None:
        return (left + right) * (dx / 2.0 if not isinstance(dx, Tensor) else dx / 2), d
    steps = x.reshape([-1 if k == d else 1 for k in range(y.ndim)]) if x.ndim == 1 else x
    along = d if x.ndim == 1 else d - y.ndim
    before, after = _neighbours(steps, along % steps.ndim)
    return (left + right) * (after - before) / 2, d


@with_axis
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx=1.0, dim=-1) -> Tensor:
    """The integral of sampled values by the trapezoidal rule: at places x, or ``dx`` apart."""
    areas, d = _trapezoids(y, x, dx, dim)
    return areas.sum(d - y.ndim)


@with_axis
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx=1.0, dim=-1) -> Tensor:
    """The running integral of sampled values by the trapezoidal rule: at places x, or ``dx`` apart."""
    areas, d = _trapezoids(y, x, dx, dim)
    return cumsum(areas, d - y.ndim)


ALIASES = {"trapz": trapezoid}
METHODS = "cumprod logcumsumexp cummax cummin diff".split()
FUNCTIONS_ONLY = "gradient trapezoid cumulative_trapezoid".split()
