"""Ops along one dimension: running sums, softmax, orders."""

import math

from tapejit.core import dtypes
from tapejit.core.layout import layout_of
from tapejit.core.plans import Plan, cached
from tapejit.eager.dispatch import emit
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import contiguous, dimension, reshape


def floats_of(x: Tensor) -> Tensor:
    """A contiguous float tensor; integers become the default float type."""
    if not x._layout.dtype.is_floating_point:
        x = x.to(dtypes.get_default_dtype())
    return contiguous(x)


def _three(shape, d) -> tuple:
    """(outer, length, inner) of a dimension."""
    if not shape:
        return 1, 1, 1
    return math.prod(shape[:d]), shape[d], math.prod(shape[d + 1 :])


def _along_plan(layout, dim, keepdim):
    d = dimension(dim, layout.ndim)
    kept = tuple(1 if i == d else s for i, s in enumerate(layout.shape))
    if keepdim is None:
        out = layout
    else:
        out = layout_of(kept if keepdim else tuple(s for i, s in enumerate(layout.shape) if i != d), layout.dtype)
    return Plan(_three(layout.shape, d), out, shape=kept, dim=d)


def along_dim(op, x, dim, keepdim=None):
    """An op along a dimension; keepdim None for those that keep its length."""
    x = floats_of(x)
    if not x.ndim:
        dim = dimension(dim, 0)
        return along_dim(op, reshape(x, 1), 0, keepdim if keepdim is None else False).reshape(())
    layout = x._layout
    plan = cached(("along", layout, dim, keepdim), lambda: _along_plan(layout, dim, keepdim))
    return emit(op, plan.layout, x, plan=plan.address)
