"""Reductions and functions along a dimension. ``dim`` counts from the front, or from the back if negative."""

import functools
import math

import numpy as np

from tapejit.core import dtypes
from tapejit.core.layout import layout_of, packed_strides
from tapejit.core.plans import Plan, cached, known, sum_plan
from tapejit.core.refusals import OutOfRange
from tapejit.eager.dispatch import constant, emit_reduction, from_array, noted
from tapejit.eager.functional import FUNCTIONS, where
from tapejit.eager.indexing import cat, gather
from tapejit.eager.keywords import with_axis
from tapejit.eager.onedimension import along_dim, floats_of
from tapejit.eager.places import in_floats
from tapejit.eager.tensor import Tensor, method
from tapejit.eager.views import dimension, reshape
from tapejit.spec import structured as ops


def _dims(dim, ndim) -> tuple:
    """The reduced dimensions in order, each counted from the front; all of them for None or ()."""
    if dim is None or dim == () or dim == []:
        return tuple(range(ndim))
    if not isinstance(dim, (tuple, list)):
        return (dimension(dim, ndim),)[:ndim]
    dims = tuple(sorted(dimension(d, ndim) for d in dim))
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"a dimension appears twice in dim={dim}")
    return dims


def _reduction_plan(layout, dim, keepdim) -> Plan:
    """How a contiguous tensor maps to its sum: steps of 0 along what is reduced; ``imm`` words are the kernel's."""
    dims = _dims(dim, layout.ndim)
    kept = tuple(1 if d in dims else s for d, s in enumerate(layout.shape))
    steps = tuple(0 if d in dims else s for d, s in enumerate(packed_strides(kept)))
    shape = kept if keepdim else tuple(s for d, s in enumerate(layout.shape) if d not in dims)
    return sum_plan(layout.shape, steps, layout_of(shape, layout.dtype))


def _reduce(op, x, dim, keepdim, scaled=False):
    if isinstance(dim, list):
        dim = tuple(dim)
    layout = x._layout
    plan = known(("reduce", layout, dim, keepdim))
    if plan is None:
        x = floats_of(x)
        layout = x._layout
        plan = cached(("reduce", layout, dim, keepdim), lambda: _reduction_plan(layout, dim, keepdim))
    imm = (plan.layout.n / layout.n if layout.n else math.nan) if scaled else 1.0
    return emit_reduction(op, x, plan, imm)


@method
@with_axis
def sum(x: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum over all elements, or over some dimensions. Integers and bools sum to int64."""
    if dtype is not None:
        x = x.to(dtype)
    if not x._layout.dtype.is_floating_point:
        axis = None if dim is None else _dims(dim, x.ndim)
        total = functools.partial(np.sum, axis=axis, keepdims=keepdim, dtype=np.int64)
        found = noted("sum", lambda x: from_array(total(x._array())), x, parameters=(axis, keepdim))
        return found if dtype is None else found.to(dtype)
    return _reduce(ops.sum if dim is None else ops.sum_dim, x, dim, keepdim)


@method
@with_axis
def mean(x: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The arithmetic mean.

    Raises:
        RuntimeError: for an integer or bool tensor; convert it first.
    """
    if dtype is not None:
        x = x.to(dtype)
    if not x._layout.dtype.is_floating_point:
        raise RuntimeError(f"mean() needs a floating-point tensor, got {x.dtype}; use x.to(tapejit.float64).mean()")
    return _reduce(ops.mean if dim is None else ops.mean_dim, x, dim, keepdim, scaled=True)


def _centred(x, dim, correction, unbiased):
    """What var and std share: the dimensions, the deviations from the mean, and the number to divide by (NaN below 1)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = 1 if unbiased else 0
    if correction is None:
        correction = 1
    x = floats_of(x)
    n = math.prod(x.shape[d] for d in _dims(dim, x.ndim)) - correction
    return dim, x - mean(x, dim, keepdim=True), n if n > 0 else math.nan


@method
@with_axis
def var(x: Tensor, dim=None, keepdim=False, *, correction=1, unbiased=None) -> Tensor:
    """The variance with ``correction`` degrees of freedom less (1, or 0 for ``unbiased=False``)."""
    dim, centred, n = _centred(x, dim, correction, unbiased)
    return sum(centred * centred, dim, keepdim) / n


@method
@with_axis
def std(x: Tensor, dim=None, keepdim=False, *, correction=1, unbiased=None) -> Tensor:
    """The square root of ``var``, with derivative 0 where all elements are equal."""
    dim, centred, n = _centred(x, dim, correction, unbiased)
    return _reduce(ops.norm, centred, dim, keepdim) / math.sqrt(n)


@with_axis
def norm(x: Tensor, p=2, dim=None, keepdim=False) -> Tensor:
    """The p-norm of the elements (p may be inf, -inf or 0); the 2-norm has derivative 0 at 0.

    Raises:
        ValueError: for an order that is not a number ("fro" is taken as 2).
    """
    if not x._layout.dtype.is_floating_point:
        raise RuntimeError(f"norm() needs a floating-point tensor, got {x.dtype}; use x.to(tapejit.float64).norm()")
    x = floats_of(x)
    if p is None or p == "fro":
        p = 2
    if isinstance(p, str):
        raise ValueError(f"norm() takes a number, inf or 'fro' as p, got {p!r}")
    if p == 2:
        return _reduce(ops.norm, x, dim, keepdim)
    if p == math.inf:
        return amax(x.abs(), dim, keepdim)
    if p == -math.inf:
        return amin(x.abs(), dim, keepdim)
    if p == 1:
        return sum(x.abs(), dim, keepdim)
    if p == 0:
        return sum(where(x != x, 1.0, x.sign().abs()), dim, keepdim)  # with a history, and a derivative of 0
    size, p = x.abs(), float(p)
    if p < 1:  # an element that is 0 has no derivative there, and 0 is taken
        absent = size == 0
        powers = where(absent, 0.0 if p > 0 else math.inf, where(absent, 1.0, size) ** p)
    else:
        powers = size**p
    total = sum(powers, dim, keepdim)
    zero = total == 0  # there the root has no derivative; 0 is taken, as for the 2-norm
    return where(zero, 0.0, where(zero, 1.0, total) ** (1.0 / p))


@method
@with_axis
def prod(x: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The product over all elements or one dimension, as a tree of products: exact derivatives also where factors are 0."""
    if dtype is not None:
        x = x.to(dtype)
    if not x._layout.dtype.is_floating_point:
        found = in_floats(lambda x: prod(x, dim, keepdim), dtypes.int64, x)
        return from_array(np.prod(x._array(), axis=dim, keepdims=keepdim, dtype=np.int64)) if found is None else found
    d = 0 if dim is None else dimension(dim, x.ndim)
    if dim is None:
        whole = prod(reshape(x, -1), 0)
        return reshape(whole, (1,) * x.ndim) if keepdim else whole
    if not x.ndim:
        return x.clone()
    if not x.shape[d]:
        shape = tuple(1 if i == d else s for i, s in enumerate(x.shape))
        x = sum(x, d, keepdim=True) + constant(1.0, layout_of(shape, x.dtype))
    x = x.transpose(0, d)
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        pairs = x[:half] * x[half : 2 * half]
        x = pairs if 2 * half == x.shape[0] else cat((pairs, x[2 * half :]))
    x = x.transpose(0, d)
    return x if keepdim else x.squeeze(d)


# Along one dimension


@method
@with_axis
def cumsum(x: Tensor, dim: int, *, dtype=None) -> Tensor:
    """Running sums along a dimension. Integers and bools sum to int64."""
    if dtype is not None:
        x = x.to(dtype)
    if not x._layout.dtype.is_floating_point:
        found = in_floats(lambda x: cumsum(x, dim), dtypes.int64, x)
        return from_array(np.cumsum(x._array(), axis=dim, dtype=np.int64)) if found is None else found
    return along_dim(ops.cumsum, x, dim)


@method
@with_axis
def softmax(x: Tensor, dim: int, *, dtype=None) -> Tensor:
    """exp(x) / sum(exp(x)) along a dimension."""
    return along_dim(ops.softmax, x if dtype is None else x.to(dtype), dim)


@method
@with_axis
def log_softmax(x: Tensor, dim: int, *, dtype=None) -> Tensor:
    """log(softmax(x)) along a dimension, without overflow."""
    return along_dim(ops.log_softmax, x if dtype is None else x.to(dtype), dim)


def _merged(x, dim, keepdim, op):
    """A reduction over several dimensions through one over a single, merged dimension."""
    dims = _dims(dim, x.ndim)
    if len(dims) == 1:
        return along_dim(op, x, dims[0], keepdim)
    rest = tuple(d for d in range(x.ndim) if d not in dims)
    flat = x.permute(*rest, *dims).reshape(*(x.shape[d] for d in rest), math.prod(x.shape[d] for d in dims))
    out = along_dim(op, flat, -1, False)
    return reshape(out, tuple(1 if d in dims else s for d, s in enumerate(x.shape))) if keepdim else out


@method
@with_axis
def logsumexp(x: Tensor, dim, keepdim=False) -> Tensor:
    """log(sum(exp(x))) over dimensions, without overflow."""
    return _merged(x, dim, keepdim, ops.logsumexp)


def _check_not_empty(x, dim, name):
    if math.prod(x.shape[d] for d in _dims(dim, x.ndim)) == 0:
        raise OutOfRange(f"{name}() over no elements has no value (shape {x.shape}, dim {dim})")


def _extreme(op, numpy_function, x, dim, keepdim, name):
    _check_not_empty(x, dim, name)
    if not x._layout.dtype.is_floating_point:
        found = in_floats(lambda x: _merged(x, dim, keepdim, op), x.dtype, x)
        if found is not None:
            return found
        return from_array(numpy_function(x._array(), axis=_dims(dim, x.ndim), keepdims=keepdim))
    return _merged(x, dim, keepdim, op)


@method
@with_axis
def amax(x: Tensor, dim=None, keepdim=False) -> Tensor:
    """The largest element; equal ones share the gradient evenly."""
    return _extreme(ops.amax, np.max, x, dim, keepdim, "amax")


@method
@with_axis
def amin(x: Tensor, dim=None, keepdim=False) -> Tensor:
    """The smallest element; equal ones share the gradient evenly."""
    return _extreme(ops.amin, np.min, x, dim, keepdim, "amin")


class ValuesIndices(tuple):
    """What ``max`` and ``min`` along a dimension give: ``values`` and ``indices``."""

    __slots__ = ()

    @property
    def values(self):
        return self[0]

    @property
    def indices(self):
        return self[1]

    def __getattr__(self, name):
        raise AttributeError(f"this is (values, indices), as PyTorch gives them, without {name!r}: take .values, or amax()")

    def __getitem__(self, key):
        if isinstance(key, (tuple, list, Tensor, np.ndarray)) or key is None:
            raise TypeError("this is (values, indices), as PyTorch gives them: index .values, or take amax(), amin()")
        return tuple.__getitem__(self, key)

    def __repr__(self):
        return f"(values={self[0]!r},\nindices={self[1]!r})"


def _select(x, dim, keepdim, pick, name):
    """The elements that ``pick`` chooses along a dimension, with their indices; only they get the gradient."""
    d = dimension(dim, x.ndim)
    _check_not_empty(x, d, name)
    indices = _arg(pick, x, d if x.ndim else None, True, name)
    values = gather(x, d, indices)
    if not keepdim and x.ndim:
        values, indices = values.squeeze(d), indices.squeeze(d)
    return ValuesIndices((values, indices))


@method
@with_axis
def max(x: Tensor, dim=None, keepdim=False):
    """The largest element (ties share the gradient), or with a dimension ``(values, indices)``; with a tensor, ``maximum``."""
    if isinstance(dim, Tensor):
        return FUNCTIONS["maximum"](x, dim)
    return amax(x) if dim is None else _select(x, dim, keepdim, np.argmax, "max")


@method
@with_axis
def min(x: Tensor, dim=None, keepdim=False):
    """The smallest element (ties share the gradient), or with a dimension ``(values, indices)``; with a tensor, ``minimum``."""
    if isinstance(dim, Tensor):
        return FUNCTIONS["minimum"](x, dim)
    return amin(x) if dim is None else _select(x, dim, keepdim, np.argmin, "min")


def _arg(pick, x, dim, keepdim, name):
    _check_not_empty(x, dim, name)
    keepdim = keepdim and x.ndim > 0
    return noted(
        pick.__name__, lambda x: from_array(pick(x._array(), axis=dim, keepdims=keepdim)), x, parameters=(dim, keepdim)
    )


@method
@with_axis
def argmax(x: Tensor, dim=None, keepdim=False) -> Tensor:
    """The index of the largest element, in the flattened tensor or along a dimension; the first of equals."""
    return _arg(np.argmax, x, dim, keepdim, "argmax")


@method
@with_axis
def argmin(x: Tensor, dim=None, keepdim=False) -> Tensor:
    """The index of the smallest element, in the flattened tensor or along a dimension; the first of equals."""
    return _arg(np.argmin, x, dim, keepdim, "argmin")


@method
@with_axis
def any(x: Tensor, dim=None, keepdim=False) -> Tensor:
    """Whether some element is not zero."""
    return noted("any", lambda x: from_array(np.any(x._array(), axis=dim, keepdims=keepdim)), x, parameters=(dim, keepdim))


@method
@with_axis
def all(x: Tensor, dim=None, keepdim=False) -> Tensor:
    """Whether no element is zero."""
    return noted("all", lambda x: from_array(np.all(x._array(), axis=dim, keepdims=keepdim)), x, parameters=(dim, keepdim))
