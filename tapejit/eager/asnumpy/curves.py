"""NumPy's differences, integrals, interpolation and grids, on tensors."""

import math

import numpy as np

from tapejit.eager import arranging, cumulative, reductions
from tapejit.eager.asnumpy.moments import floats
from tapejit.eager.dispatch import from_array
from tapejit.eager.finding import searchsorted
from tapejit.eager.functional import where as _where
from tapejit.eager.indexing import cat, getitem, narrow
from tapejit.eager.ufuncs import promoted, tensor_of
from tapejit.eager.views import dimension


def diff(a, n=1, axis=-1, prepend=None, append=None):
    ends = [None if e is None else tensor_of(e).to(a.dtype) for e in (prepend, append)]
    axis = dimension(axis, a.ndim)
    one = tuple(1 if d == axis else s for d, s in enumerate(a.shape))
    return cumulative.diff(a, n, axis, *(e if e is None or e.ndim else e.expand(one) for e in ends))


def ediff1d(ary, to_end=None, to_begin=None):
    middle = cumulative.diff(ary.reshape(-1))
    ends = [None if e is None else tensor_of(e).to(middle.dtype).reshape(-1) for e in (to_begin, to_end)]
    return cat([part for part in (ends[0], middle, ends[1]) if part is not None])


def gradient(f, *varargs, axis=None, edge_order=1):
    axes = list(range(f.ndim)) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    spacing = [v if isinstance(v, (int, float)) else tensor_of(v) for v in varargs] or [1.0]
    spacing = spacing * len(axes) if len(spacing) == 1 else spacing
    found = cumulative.gradient(f, spacing=spacing, dim=axes, edge_order=edge_order)
    return found[0] if len(axes) == 1 else found


def trapezoid(y, x=None, dx=1.0, axis=-1):
    return cumulative.trapezoid(y, None if x is None else tensor_of(x), dx=dx, dim=axis)


def interp(x, xp, fp, left=None, right=None, period=None):
    if period is not None:
        raise TypeError("np.interp(period=...) of tensors: take the remainder of x first")
    x, xp, fp = promoted(x, xp, fp)
    high = searchsorted(xp, x, right=True).clamp(1, max(xp.numel() - 1, 1))
    low = high - 1
    x0, x1, y0, y1 = (_elements(t, k) for t, k in ((xp, low), (xp, high), (fp, low), (fp, high)))
    found = y0 + (y1 - y0) * ((x - x0) / (x1 - x0))
    found = _where(x < xp[0], fp[0] if left is None else left, found)
    return _where(x > xp[-1], fp[-1] if right is None else right, found)


def _elements(t, places):
    """Elements of a vector, in the shape of the places."""
    return getitem(t, (places.reshape(-1),)).reshape(places.shape)


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    start, stop = promoted(start, stop)
    start, stop = floats(start), floats(stop)
    share = from_array(np.linspace(0.0, 1.0, num, endpoint), start.dtype)
    shape = np.broadcast_shapes(start.shape, stop.shape)
    share = share.reshape((num, *(1,) * len(shape)))
    found = start * (1 - share) + stop * share
    found = arranging.movedim(found, 0, axis) if axis else found
    found = found if dtype is None else found.to(dtype)
    return (found, (stop - start) / max(num - bool(endpoint), 1)) if retstep else found


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    return base ** linspace(start, stop, num, endpoint, dtype=dtype, axis=axis)


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    return linspace(tensor_of(start).log(), tensor_of(stop).log(), num, endpoint, dtype=dtype, axis=axis).exp()


def unwrap(p, discont=None, axis=-1, period=2 * math.pi):
    steps = cumulative.diff(p, 1, axis)
    jumps = steps - (steps + period / 2).remainder(period) + period / 2
    jumps = _where((steps.remainder(period) == period / 2) & (steps > 0), jumps - period, jumps)
    jumps = _where(steps.abs() < max(discont or 0.0, period / 2), 0.0, jumps)
    n, d = p.shape[axis], dimension(axis, p.ndim)
    moved = narrow(p, d, 1, n - 1) - reductions.cumsum(jumps.detach(), d)
    return cat((narrow(p, d, 0, 1), moved), d)


def polyval(p, x):
    result = p[0] * 0
    x = tensor_of(x)
    for k in range(p.numel()):
        result = result * x + p[k]
    return result
