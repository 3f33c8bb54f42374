"""Norms of vectors and matrices, of all orders."""

import math
from numbers import Number

from tapejit.eager import reductions
from tapejit.eager.linalg.checks import matrices
from tapejit.eager.linalg.decompositions import svdvals
from tapejit.eager.otherkinds import for_other_kinds, others
from tapejit.eager.tensor import Tensor


def _real(name, x, dtype):
    if x.__class__ in others:
        return x if dtype is None else x.to(dtype)
    if not isinstance(x, Tensor):
        raise TypeError(f"linalg.{name}() takes a tensor, got {type(x).__name__}: convert it with tapejit.tensor(...)")
    if dtype is not None:
        x = x.to(dtype)
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"linalg.{name}() needs a floating-point tensor, got {x.dtype}; use .to(tapejit.float64)")
    return x


@for_other_kinds
def vector_norm(x: Tensor, ord=2, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The norm of all elements, or over some dimensions, x seen as vectors; any number, inf and -inf are orders."""
    x = _real("vector_norm", x, dtype)
    if not isinstance(ord, Number):
        raise RuntimeError(f"linalg.vector_norm() takes a number as order, got {ord!r}")
    if isinstance(dim, (list, tuple)) and not len(dim):
        dim = None
    return reductions.norm(x, ord, dim, keepdim)


@for_other_kinds
def matrix_norm(A: Tensor, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None) -> Tensor:
    """The norm of matrices, which two dimensions hold.

    Args:
        ord: "fro", "nuc" (the sum of singular values), 2, -2 (the largest, the smallest one), 1, -1 (the largest, the
            smallest sum of a column's absolute values), inf, -inf (of a row's).

    Raises:
        RuntimeError: for another order, or other than two dimensions.
    """
    A = matrices("matrix_norm", _real("matrix_norm", A, dtype))
    if len(dim) != 2 or dim[0] % A.ndim == dim[1] % A.ndim:
        raise RuntimeError(f"linalg.matrix_norm() takes two different dimensions, got {tuple(dim)}")
    row, column = (d % A.ndim for d in dim)
    if ord == "fro":
        return reductions.norm(A, 2, (row, column), keepdim)
    rest = [d for d in range(A.ndim) if d not in (row, column)]
    M = A.permute(*rest, row, column)
    if ord in ("nuc", 2, -2):
        s = svdvals(M)
        result = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
    elif ord in (1, -1, math.inf, -math.inf):
        sums = M.abs().sum(-2 if abs(ord) == 1 else -1)
        result = sums.amax(-1) if ord > 0 else sums.amin(-1)
    else:
        raise RuntimeError(f"linalg.matrix_norm() has the orders 'fro', 'nuc', inf, 1, 2 and their negatives, got {ord!r}")
    if keepdim:
        for d in sorted((row, column)):
            result = result.unsqueeze(d)
    return result


def norm(A: Tensor, ord=None, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """``vector_norm`` or ``matrix_norm``: matrices where two dimensions are given, or where a matrix is and an order.

    Without an order it is the 2-norm of all elements (or over ``dim``).
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None:
        if isinstance(ord, str) or A.ndim == 2:
            if A.ndim != 2:
                raise RuntimeError(f"linalg.norm() of order {ord!r} takes a matrix, or dim=; got shape {A.shape}")
            return matrix_norm(A, ord, (0, 1), keepdim, dtype=dtype)
        if A.ndim != 1:
            raise RuntimeError(f"linalg.norm() with an order takes a vector, a matrix, or dim=; got shape {A.shape}")
        return vector_norm(A, ord, None, keepdim, dtype=dtype)
    if isinstance(dim, (tuple, list)) and len(dim) == 2:
        return matrix_norm(A, ord, tuple(dim), keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)
