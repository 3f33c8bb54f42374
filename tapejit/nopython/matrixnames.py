"""NumPy's linear algebra of active matrices: which op each of its functions is (see ``solving``), and what is made of them."""

import numpy as np
from numba.core import types

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import typed
from tapejit.nopython.exchange import flag, replaces
from tapejit.nopython.like import first_of
from tapejit.nopython.scalars import primal
from tapejit.nopython.solving import (
    cholesky_op,
    det_op,
    eigh_op,
    inverse,
    pinv_op,
    qr_op,
    slogdet_op,
    svd_op,
    system_op,
)
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import is_active_array


def _is_matrix(ty):
    return isinstance(ty, types.Array) and ty.ndim == 2


def _is_active_matrix(ty):
    return _is_matrix(ty) and is_active_array(ty)


@active_function
def _solve_vector(a, b):
    (x,) = system_op(a, b.reshape((b.size, 1)))
    return x.ravel()


@active_function
def _solve_matrix(a, b):
    (x,) = system_op(a, b)
    return x


@replaces(np.linalg.solve)
def _solve(a, b):
    fits = _is_matrix(a) and isinstance(b, types.Array) and (is_active_array(a) or is_active_array(b))
    return {1: _solve_vector, 2: _solve_matrix}.get(b.ndim) if fits else None


def _of_matrix(function):
    """Decorator: the form of a function of one matrix is the function that it decorates."""

    def enter(dispatcher):
        @replaces(function)
        def form(a):
            return dispatcher if _is_active_matrix(a) else None

        return dispatcher

    return enter


@_of_matrix(np.linalg.inv)
@active_function
def _inv(a):
    return inverse(a)


@_of_matrix(np.linalg.det)
@active_function
def _det(a):
    (det,) = det_op(a)
    return det


@_of_matrix(np.linalg.slogdet)
@active_function
def _slogdet(a):
    sign, logarithm = slogdet_op(a)
    return primal(sign), logarithm


@_of_matrix(np.linalg.cholesky)
@active_function
def _cholesky(a):
    (lower,) = cholesky_op(a)
    return lower


@_of_matrix(np.linalg.eigh)
@active_function
def _eigh(a):
    return eigh_op(a)


@_of_matrix(np.linalg.eigvalsh)
@active_function
def _eigvalsh(a):
    return eigh_op(a)[0]


@_of_matrix(np.linalg.qr)
@active_function
def _qr(a):
    m, n = a.shape
    if m >= n:
        return qr_op(a)
    q, square = qr_op(a[:, :m].copy())
    r = empty_like_element((m, n), first_of(square))
    r[:, :m] = square
    r[:, m:] = np.dot(q.T, a[:, m:].copy())
    return q, r


@active_function
def _svd_reduced(a):
    return svd_op(a)


@active_function
def _svd_full(a):
    if a.shape[0] != a.shape[1]:
        raise ValueError(
            "svd() of a matrix that is not square is differentiated with full_matrices=False only"
        )
    return svd_op(a)


@replaces(np.linalg.svd)
def _svd(a, full_matrices=True):
    if not _is_active_matrix(a):
        return None
    if flag(full_matrices) is False:
        return lambda a, full_matrices=True: _svd_reduced(a)
    return lambda a, full_matrices=True: _svd_full(a) if full_matrices else _svd_reduced(a)


@active_function
def _pinv_of(a, rcond):
    return pinv_op(a, rcond)[0]


@replaces(np.linalg.pinv)
def _pinv(a, rcond=1e-15):
    return (lambda a, rcond=1e-15: _pinv_of(a, rcond)) if _is_active_matrix(a) else None


@active_function
def _least_squares(a, b, rcond):
    """NumPy's four results: the solution, the residuals' squares, the rank and the singular values."""
    m, n = a.shape
    s = svd_op(a)[1]
    small = rcond if rcond >= 0.0 else 2.220446049250313e-16 * max(m, n)
    rank = 0
    for k in range(s.size):
        rank += primal(s[k]) > small * primal(s[0])
    x = np.dot(pinv_op(a, small)[0], b)
    rest = b - np.dot(a, x)
    return x, _squares(rest, rank == n and m > n), rank, s


def _squares(rest, wanted):
    """The squares of residuals, summed over each column; nothing where NumPy gives nothing."""
    raise NotImplementedError


@typed(_squares)
def _squares_typed(rest, wanted):
    if rest.ndim == 1:
        return lambda rest, wanted: np.sum(rest * rest, axis=0, keepdims=True)[: 1 if wanted else 0]
    return lambda rest, wanted: np.sum(rest * rest, axis=0)[: rest.shape[1] if wanted else 0]


@replaces(np.linalg.lstsq)
def _lstsq(a, b, rcond=-1.0):
    if (
        _is_matrix(a)
        and isinstance(b, types.Array)
        and b.ndim <= 2
        and (is_active_array(a) or is_active_array(b))
    ):
        return lambda a, b, rcond=-1.0: _least_squares(a, b, rcond)
    return None


@active_function
def _power(a, n):
    if a.shape[0] != a.shape[1]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square.")
    base = inverse(a) if n < 0 else a + 0.0
    n = abs(n)
    result = empty_like_element(a.shape, first_of(a))
    for i in range(a.shape[0]):
        for j in range(a.shape[0]):
            result[i, j] = 1.0 if i == j else 0.0
    while n > 0:
        if n & 1:
            result = np.dot(result, base)
        n >>= 1
        if n > 0:
            base = np.dot(base, base)
    return result


@replaces(np.linalg.matrix_power)
def _matrix_power(a, n):
    return _power if _is_active_matrix(a) and isinstance(n, types.Integer) else None


@active_function
def _kron_of(a, b):
    m, n = b.shape
    out = empty_like_element((a.shape[0] * m, a.shape[1] * n), first_of(a) * first_of(b))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i // m, j // n] * b[i % m, j % n]
    return out


@replaces(np.kron)
def _kron(a, b):
    return (
        _kron_of if _is_matrix(a) and _is_matrix(b) and (is_active_array(a) or is_active_array(b)) else None
    )
