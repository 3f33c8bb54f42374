"""Reductions of the elements where a mask is true, under the names of ``torch.masked``; no mask: of all of them."""

import math

from tapejit.core import dtypes
from tapejit.core.plans import broadcast_shapes
from tapejit.eager import reductions, sorting
from tapejit.eager.creation import full
from tapejit.eager.cumulative import cumprod as _cumprod
from tapejit.eager.functional import FUNCTIONS, where
from tapejit.eager.summaries import nanmedian
from tapejit.eager.tensor import Tensor
from tapejit.eager.ufuncs import fold_product


def _filled(x, mask, neutral):
    """x with a value where the mask is false."""
    if mask is None:
        return x
    if not isinstance(mask, Tensor) or mask.dtype is not dtypes.bool_:
        raise TypeError("a mask is a bool tensor that is broadcast to the input")
    if not x.dtype.is_floating_point:
        limits = None if math.isfinite(neutral) or x.dtype is dtypes.bool_ else dtypes.limits(x.dtype)
        neutral = (limits[1] if neutral > 0 else limits[0]) if limits else int(neutral)
        return where(mask.expand(x.shape), x, full((), neutral, dtype=x.dtype))
    return where(mask, x, neutral).expand(broadcast_shapes(x.shape, mask.shape))


def _cast(x, dtype):
    return x if dtype is None else x.to(dtype)


def _dims(x, dim):
    return tuple(range(x.ndim)) if dim is None else dim


def _count(x, dim, keepdim, mask):
    there = full(x.shape, 1.0, dtype=dtypes.float64)
    return reductions.sum(_filled(there, mask, 0.0), _dims(x, dim), keepdim)


def sum(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The sum; 0 of nothing."""
    return reductions.sum(_filled(_cast(input, dtype), mask, 0), _dims(input, dim), keepdim)


def prod(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The product; 1 of nothing."""
    return fold_product(_filled(_cast(input, dtype), mask, 1), _dims(input, dim), keepdim)


def cumsum(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Running sums."""
    return reductions.cumsum(_filled(_cast(input, dtype), mask, 0), dim)


def cumprod(input, dim, *, dtype=None, mask=None) -> Tensor:
    """Running products."""
    return _cumprod(_filled(_cast(input, dtype), mask, 1), dim)


def amax(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The largest element; -inf of nothing."""
    return reductions.amax(_filled(_cast(input, dtype), mask, -math.inf), _dims(input, dim), keepdim)


def amin(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The smallest element; inf of nothing."""
    return reductions.amin(_filled(_cast(input, dtype), mask, math.inf), _dims(input, dim), keepdim)


def argmax(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The place of the largest element."""
    return reductions.argmax(_filled(_cast(input, dtype), mask, -math.inf), dim, keepdim)


def argmin(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The place of the smallest element."""
    return reductions.argmin(_filled(_cast(input, dtype), mask, math.inf), dim, keepdim)


def mean(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The mean; NaN of nothing."""
    x = _cast(input, dtype)
    return sum(x, dim, keepdim=keepdim, mask=mask) / _count(x, dim, keepdim, mask).to(x.dtype)


def median(input, dim=-1, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The middle element, the lower one of two; NaN of nothing."""
    x = _cast(input, dtype)
    return nanmedian(_filled(x, mask, math.nan), dim, keepdim)[0] if mask is not None else sorting.median(x, dim, keepdim)[0]


def norm(input, ord=2.0, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The ord-norm."""
    neutral = math.inf if ord == -math.inf else 0.0
    return reductions.norm(_filled(_cast(input, dtype), mask, neutral), ord, _dims(input, dim), keepdim)


def var(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The variance with ``correction`` degrees of freedom less, by default 1."""
    x = _cast(input, dtype)
    correction = int(unbiased is not False) if correction is None else correction
    count = _count(x, dim, True, mask).to(x.dtype)
    centred = x - sum(x, dim, keepdim=True, mask=mask) / count
    total = sum(centred * centred, dim, keepdim=keepdim, mask=mask)
    return total / (_count(x, dim, keepdim, mask).to(x.dtype) - correction).clamp(min=0.0)


def std(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None) -> Tensor:
    """The square root of ``var``."""
    return var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask).sqrt()


def softmax(input, dim, *, dtype=None, mask=None) -> Tensor:
    """``softmax``, 0 where the mask is false."""
    return reductions.softmax(_filled(_cast(input, dtype), mask, -math.inf), dim)


def log_softmax(input, dim, *, dtype=None, mask=None) -> Tensor:
    """``log_softmax``, -inf where the mask is false."""
    return reductions.log_softmax(_filled(_cast(input, dtype), mask, -math.inf), dim)


def softmin(input, dim, *, dtype=None, mask=None) -> Tensor:
    """``softmax`` of the negative, 0 where the mask is false."""
    return reductions.softmax(-_filled(_cast(input, dtype), mask, math.inf), dim)


def logsumexp(input, dim=None, *, keepdim=False, dtype=None, mask=None) -> Tensor:
    """log of the sum of exponentials, over all dimensions by default; -inf of nothing."""
    dim = tuple(range(input.ndim)) if dim is None else dim
    return reductions.logsumexp(_filled(_cast(input, dtype), mask, -math.inf), dim, keepdim)


def logaddexp(input, other, *, dtype=None, input_mask=None, other_mask=None) -> Tensor:
    """``logaddexp``, each operand -inf where its mask is false."""
    first = _filled(_cast(input, dtype), input_mask, -math.inf)
    return FUNCTIONS["logaddexp"](first, _filled(_cast(other, dtype), other_mask, -math.inf))


def normalize(input, ord, dim, *, eps=1e-12, dtype=None, mask=None) -> Tensor:
    """The input divided by its norm along a dimension, or by eps where that is smaller."""
    x = _cast(input, dtype)
    length = norm(x, ord, dim, keepdim=True, mask=mask)
    return _filled(x, mask, 0.0) / length.clamp(min=eps)


