"""NumPy's products and linear algebra, on tensors."""

from tapejit.eager import arranging, contraction, linalg, reductions
from tapejit.eager.arranging import movedim
from tapejit.eager.indexing import narrow
from tapejit.eager.indexing import tril as lower
from tapejit.eager.indexing import triu as upper
from tapejit.eager.ufuncs import promoted, tensor_of
from tapejit.eager.views import diagonal as _diagonal
from tapejit.eager.views import flip


def dot(a, b):
    a, b = promoted(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    return contraction.tensordot(a, b, ((-1,), (-2 if b.ndim > 1 else 0,)))


def outer(a, b):
    a, b = promoted(a, b)
    return linalg.outer(a.reshape(-1), b.reshape(-1))


def vdot(a, b):
    a, b = promoted(a, b)
    return linalg.dot(a.reshape(-1), b.reshape(-1))


def inner(a, b):
    return contraction.inner(*promoted(a, b))


def tensordot(a, b, axes=2):
    return contraction.tensordot(*promoted(a, b), axes)


def kron(a, b):
    return linalg.kron(*promoted(a, b))


def cross(a, b, axis=-1):
    a, b = (movedim(x, axis, -1) for x in promoted(a, b))
    ndim = max(a.ndim, b.ndim)
    a, b = (x.reshape((*(1,) * (ndim - x.ndim), *x.shape)) for x in (a, b))
    return movedim(linalg.cross(a, b), -1, axis)


def einsum(*operands, optimize=False):
    if isinstance(operands[0], str):
        return contraction.einsum(operands[0], *promoted(*operands[1:]))
    return contraction.einsum(*[tensor_of(x) if k % 2 == 0 and k < len(operands) - 1 else x for k, x in enumerate(operands)])


def trace(a, offset=0, axis1=0, axis2=1):
    return reductions.sum(_diagonal(a, offset, axis1, axis2), -1)


def tril(m, k=0):
    return lower(_rows(m), k)


def triu(m, k=0):
    return upper(_rows(m), k)


def _rows(m):
    """A vector as the square matrix with it in each row."""
    return m if m.ndim != 1 else m.expand(m.numel(), m.numel())


def vander(x, N=None, increasing=False):
    powers = linalg.vander(x, N)
    return powers if increasing else flip(powers, -1)


def convolve(a, v, mode="full"):
    a, v = promoted(a, v)
    a, v = (v, a) if v.numel() > a.numel() else (a, v)
    n = v.numel()
    windows = arranging.unfold(arranging.constant_pad_nd(a, (n - 1, n - 1)), 0, n, 1)
    found = linalg.matmul(windows, flip(v, 0))
    if mode == "full":
        return found
    if mode == "same":
        return narrow(found, 0, (n - 1) // 2, a.numel())
    if mode == "valid":
        return narrow(found, 0, n - 1, a.numel() - n + 1)
    raise ValueError(f"np.convolve() knows the modes full, same and valid, got {mode!r}")


def correlate(a, v, mode="valid"):
    a, v = promoted(a, v)
    if v.numel() > a.numel():
        return flip(convolve(v, flip(a, 0), mode), 0)
    return convolve(a, flip(v, 0), mode)


def solve(a, b):
    a, b = promoted(a, b)
    return linalg.solve(a, b.unsqueeze(-1)).squeeze(-1) if b.ndim == 1 else linalg.solve(a, b)


def cholesky(a, upper=False):
    return linalg.cholesky(a).mT if upper else linalg.cholesky(a)


def eig(a):
    """NumPy's types: real where every eigenvalue is."""
    values, vectors = linalg.eig(a)
    return linalg.Eigen(values.real, vectors.real) if _all_real(values) else linalg.Eigen(values, vectors)


def eigvals(a):
    values = linalg.eigvals(a)
    return values.real if _all_real(values) else values


def _all_real(z):
    return bool((z.imag == 0).all())


def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    return linalg.svd(a, full_matrices) if compute_uv else linalg.svdvals(a)


def pinv(a, rcond=None, hermitian=False, rtol=None):
    return linalg.pinv(a, rtol=rcond if rtol is None else rtol, hermitian=hermitian)


def lstsq(a, b, rcond=None):
    a, b = promoted(a, b)
    found = linalg.lstsq(a, b, rcond=rcond, driver="gelsd")
    rows = b.ndim == 1 and found.residuals.ndim == 0
    return found.solution, found.residuals.reshape(1) if rows else found.residuals, found.rank, found.singular_values


def matrix_rank(A, tol=None, hermitian=False, rtol=None):
    return linalg.matrix_rank(A, atol=tol, rtol=rtol, hermitian=hermitian)


def multi_dot(arrays):
    return linalg.multi_dot(promoted(*arrays))


def matrix_trace(x, offset=0):
    return trace(x, offset, -2, -1)


def matmul(x1, x2):
    return linalg.matmul(*promoted(x1, x2))


def vecdot(x1, x2, axis=-1):
    x1, x2 = promoted(x1, x2)
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot() takes vectors of one length, got shapes {tuple(x1.shape)} and {tuple(x2.shape)}")
    return reductions.sum(x1 * x2, axis, dtype=None if x1.dtype.is_floating_point else x1.dtype)


def tensorsolve(a, b, axes=None):
    return linalg.tensorsolve(*promoted(a, b), axes)
