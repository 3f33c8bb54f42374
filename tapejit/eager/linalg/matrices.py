"""Matrices made of vectors."""

from tapejit.eager import views
from tapejit.eager.tensor import Tensor, method
from tapejit.eager.views import dimension, permute, spread


@method
def diag_embed(x: Tensor, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """Matrices with the last dimension of x on a diagonal and zeros elsewhere, in dimensions ``dim1`` and ``dim2``.

    Raises:
        IndexError: if there is no such dimension.
    """
    k = x.shape[-1] + abs(offset)
    target = (*x.shape[:-1], k, k)
    steps, size = [], k * k
    for n in reversed(x.shape[:-1]):
        steps.append(size)
        size *= n
    strides = (*reversed(steps), k + 1)
    start = offset if offset >= 0 else -offset * k
    result = spread(x, tuple(x.shape), strides, start, target)
    first, second = dimension(dim1, x.ndim + 1), dimension(dim2, x.ndim + 1)
    if first == second:
        raise RuntimeError(f"diag_embed() takes two different dimensions, got {dim1} and {dim2}")
    if (first, second) == (x.ndim - 1, x.ndim):
        return result
    order = list(range(x.ndim - 1))
    for place, source in sorted(((first, x.ndim - 1), (second, x.ndim))):
        order.insert(place, source)
    return permute(result, *order)


def diagonal_matrix(x: Tensor) -> Tensor:
    """Matrices with the last dimension of x on the diagonal."""
    return diag_embed(x)


@method
def diag(x: Tensor, diagonal=0) -> Tensor:
    """The matrix with a vector on a diagonal, or the diagonal of a matrix.

    Raises:
        RuntimeError: for other than one or two dimensions.
    """
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    if x.ndim == 2:
        return views.diagonal(x, diagonal).clone()
    raise RuntimeError(f"diag() takes a vector or a matrix, got shape {x.shape}; use diagonal() or diag_embed()")


def diagonal(A: Tensor, *, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """The diagonals of matrices, a view."""
    return views.diagonal(A, offset, dim1, dim2)
