"""Functions whose arguments the standard names otherwise than NumPy or PyTorch."""

from tapejit.eager import reductions
from tapejit.eager.dispatch import from_array
from tapejit.eager.functional import clamp
from tapejit.eager.numpytable import TABLE
from tapejit.eager.tensor import Tensor


def _bound(bound, x):
    """A bound in the dtype of what it bounds."""
    if bound is None or not isinstance(bound, Tensor):
        return bound
    return bound if bound.dtype is x.dtype else bound.to(x.dtype)


def clip(x, /, min=None, max=None):
    """The elements within bounds, numbers or tensors, None for none; of the dtype of ``x``."""
    if min is None and max is None:
        return x.clone()
    low, high = _bound(min, x), _bound(max, x)
    if not x.dtype.is_floating_point:  # whole numbers
        return from_array(x.numpy().clip(*(b.numpy() if isinstance(b, Tensor) else b for b in (low, high))), x.dtype)
    return clamp(x, low, high)


def conj(x, /):
    """The complex conjugate."""
    return x.conj()


def nonzero(x, /) -> tuple:
    """Where elements are not zero, one tensor of places per dimension.

    Raises:
        ValueError: for a tensor without dimensions.
    """
    if not x.ndim:
        raise ValueError("nonzero() takes a tensor of at least one dimension")
    return TABLE["nonzero"](x)


def vecdot(x1, x2, /, *, axis=-1):
    """The sums of conj(x1) * x2 along an axis."""
    return TABLE["linalg.vecdot"](x1, x2, axis=axis)


def trace(x, /, *, offset=0, dtype=None):
    """The sums of the diagonals of matrices."""
    found = TABLE["linalg.diagonal"](x, offset=offset)
    return reductions.sum(found, -1) if dtype is None else reductions.sum(found.to(dtype), -1)


def meshgrid(*arrays, indexing="xy") -> list:
    """The coordinates of a grid, a list."""
    return list(TABLE["meshgrid"](*arrays, indexing=indexing))


def broadcast_arrays(*arrays) -> list:
    """The tensors, all of one shape, a list."""
    return list(TABLE["broadcast_arrays"](*arrays))


LINALG = {"trace": trace, "vecdot": vecdot}
