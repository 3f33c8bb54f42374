"""What users' own distributions are made with: ``torch.distributions.utils``' names."""

import functools

import tapejit as tj
from tapejit.distributions.base import as_tensors

__all__ = [
    "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits", "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]  # fmt: skip


def summed(x, count):
    """The sum over the last ``count`` dimensions."""
    return x.sum(tuple(range(-count, 0))) if count else x


def broadcast_all(*values):
    """Numbers, arrays and tensors as tensors of one shape.

    Raises:
        ValueError: for what is none of these.
    """
    for x in values:
        if not isinstance(x, (int, float, tj.Tensor)) and not hasattr(x, "__array__"):
            raise ValueError(f"broadcast_all takes numbers, arrays and tensors, got {type(x).__name__}")
    return tuple(tj.broadcast_tensors(*as_tensors(*values)))


class lazy_property:
    """Decorator of a method that is called once: an attribute of its name then holds the result."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)

    def __get__(self, instance, kind=None):
        if instance is None:
            return property(self.wrapped, doc=self.__doc__)
        with tj.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def clamp_probs(probs):
    """Probabilities, none nearer to 0 and 1 than the dtype's eps."""
    eps = tj.finfo(probs.dtype).eps
    return tj.clamp(probs, eps, 1 - eps)


def logits_to_probs(logits, is_binary=False):
    """Probabilities of log odds, or along the last dimension of logarithms up to a constant."""
    return tj.sigmoid(logits) if is_binary else tj.softmax(logits, -1)


def probs_to_logits(probs, is_binary=False):
    """The log odds, or the logarithms, of probabilities."""
    probs = clamp_probs(probs)
    return tj.log(probs) - tj.log1p(-probs) if is_binary else tj.log(probs)


def vec_to_tril_matrix(vec, diag=0):
    """Square matrices with the elements of vectors, row by row, up to a diagonal; zeros above.

    Raises:
        ValueError: if no matrix has as many elements there.
    """
    length = vec.shape[-1]
    shift = 1 + 2 * diag
    n = round((((shift**2 + 8 * length + 4 * abs(diag) * (diag + 1)) ** 0.5) - shift) / 2)
    rows, columns = tj.tril_indices(n, n, offset=diag)
    if rows.numel() != length:
        raise ValueError(f"no square matrix has {length} elements up to diagonal {diag}")
    flat = tj.zeros((*vec.shape[:-1], n * n), dtype=vec.dtype)
    at = (rows * n + columns).expand(vec.shape)
    return tj.scatter(flat, -1, at, vec).reshape(*vec.shape[:-1], n, n)


def tril_matrix_to_vec(mat, diag=0):
    """The elements of square matrices up to a diagonal, row by row.

    Raises:
        ValueError: for a diagonal outside of the matrix.
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}]")
    rows, columns = tj.tril_indices(n, n, offset=diag)
    return mat[..., rows, columns]
