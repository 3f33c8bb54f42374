"""Linear algebra on active matrices: systems, determinants and decompositions as ops (see ``matrixops``).

Their derivatives are the statements of ``spec.matrixrules``, compiled with the words below and those of ``arraywords``. Of
plain matrices the words are LAPACK's, whose factors are kept (``factors``); one level up they are these ops again.
"""

import numpy as np

from tapejit.nopython import arraywords, factors
from tapejit.nopython.cache import typed
from tapejit.nopython.matrixops import matrix_op
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import is_active_array
from tapejit.spec import matrixrules, matrixwords

# Words


def factored(a, b, singular):
    """What the words below need of a matrix, for right sides like ``b``; LinAlgError if it may not be ``singular``."""
    raise NotImplementedError


@typed(factored)
def _factored(a, b, singular):
    if is_active_array(a) or is_active_array(b):
        return lambda a, b, singular: (a.copy(),)
    return lambda a, b, singular: factors.factored(a, singular)


def turned(t):
    raise NotImplementedError


@typed(turned, inline="always")
def _turned(t):
    """BLAS reads plain matrices as they lie; an active one is copied by the product, whose code is one for each layout."""
    return (lambda t: t.T.copy()) if is_active_array(t) else (lambda t: t.T)


def solved(f, b, transposed):
    raise NotImplementedError


@typed(solved)
def _solved(f, b, transposed):
    if len(f) == 1:
        return lambda f, b, transposed: system_op(f[0].T.copy() if transposed else f[0], b)[0]
    return lambda f, b, transposed: factors.solve_factored(f[0], f[1], f[2], b, int(transposed))


def triangular(b, t, left, upper, transposed, unit):
    raise NotImplementedError


@typed(triangular)
def _triangular(b, t, left, upper, transposed, unit):
    """Of matrices whose other triangle is zero; diagonals are not ones."""
    if not is_active_array(t) and not is_active_array(b):
        return lambda b, t, left, upper, transposed, unit: factors.triangular_solve(
            t, b, int(left), int(upper), int(transposed)
        )

    def of_active(b, t, left, upper, transposed, unit):
        matrix = t.T.copy() if transposed == left else t
        return system_op(matrix, b)[0] if left else system_op(matrix, b.T.copy())[0].T.copy()

    return of_active


def inverted(f):
    raise NotImplementedError


@typed(inverted)
def _inverted(f):
    if len(f) == 1:
        return lambda f: inv_op(f[0])[0]
    return lambda f: factors.inverse(f[0], f[1], f[2])


def inverse(a):
    raise NotImplementedError


@typed(inverse)
def _inverse(a):
    if is_active_array(a):
        return lambda a: inv_op(a)[0]
    return lambda a: inverted(factored(a, a, False))


def cofactors(saved):
    """``det(A) A^-T``, from what is factored, A and det A; of a plain singular matrix too."""
    raise NotImplementedError


@typed(cofactors)
def _cofactors(saved):
    if len(saved[0]) == 1:
        return lambda saved: inverted(saved[0]).T * saved[2]

    def of_plain(saved):
        f, a, det = saved
        if factors.determinant(f[0], f[1], f[2])[0] == 0.0:
            return factors.cofactors(a)
        return factors.solve_factored(f[0], f[1], f[2], np.eye(a.shape[0]) * det, 1)

    return of_plain


def log_determinant(f):
    """(sign, log|det|), from what ``factored`` gives."""
    raise NotImplementedError


@typed(log_determinant)
def _log_determinant(f):
    if len(f) == 1:
        return lambda f: slogdet_op(f[0])
    return lambda f: factors.determinant(f[0], f[1], f[2])


def decomposition(a, kind):
    """The parts of a decomposition, one of the names below."""
    raise NotImplementedError


@typed(decomposition, prefer_literal=True)
def _decomposition(a, kind):
    name = kind.literal_value
    if not is_active_array(a):
        plain = {
            "cholesky": factors.cholesky_factor,
            "eigh": factors.eigh,
            "qr": factors.qr,
            "svd": factors.svd,
        }[name]
        return (lambda a, kind: (plain(a),)) if name == "cholesky" else (lambda a, kind: plain(a))
    active = {"cholesky": cholesky_op, "eigh": eigh_op, "qr": qr_op, "svd": svd_op}[name]
    return lambda a, kind: active(a)


def pseudo_inverse(a, rcond):
    raise NotImplementedError


@typed(pseudo_inverse)
def _pseudo_inverse(a, rcond):
    if is_active_array(a):
        return lambda a, rcond: pinv_op(a, rcond)[0]
    return lambda a, rcond: factors.pinv(a, rcond)


def cholesky_adjoint(lower, g):
    raise NotImplementedError


@typed(cholesky_adjoint)
def _cholesky_adjoint(lower, g):
    if is_active_array(lower) or is_active_array(g):
        return lambda lower, g: cholesky_adjoint_stated(lower, g)
    return lambda lower, g: factors.cholesky_adjoint(lower, g)


_WORDS = {name: w for name, w in {**vars(arraywords), **globals()}.items() if name in vars(matrixwords)}


def compiled(statements=matrixrules.STATEMENTS):
    """Statements as functions of arrays in compiled code."""
    return matrixrules.bound({**_WORDS, "__name__": __name__}, active_function, statements)


rules = compiled()
cholesky_adjoint_stated = rules.cholesky_adjoint_stated


# The ops: what each saves


@active_function
def _system_forward(a, b):
    f = factored(a, b, False)
    x = solved(f, b, False)
    return (x,), (f, x, False)


@active_function
def _inv_forward(a):
    v = inverse(a)
    return (v,), (v,)


@active_function
def _det_forward(a):
    f = factored(a, a, True)
    sign, logarithm = log_determinant(f)
    det = sign * np.exp(logarithm)
    return (det,), (f, a, det)


@active_function
def _slogdet_forward(a):
    f = factored(a, a, True)
    return log_determinant(f), f


@active_function
def _cholesky_forward(a):
    parts = decomposition(a, "cholesky")
    return parts, parts


@active_function
def _eigh_forward(a):
    parts = decomposition(a, "eigh")
    return parts, parts


@active_function
def _qr_forward(a):
    parts = decomposition(a, "qr")
    return parts, parts


@active_function
def _svd_forward(a):
    parts = decomposition(a, "svd")
    return parts, parts


@active_function
def _pinv_forward(a, rcond):
    p = pseudo_inverse(a, rcond)
    return (p,), (p, a)


system_op = matrix_op("solve", 2, _system_forward, rules.solve_pull, rules.solve_push)
inv_op = matrix_op("inv", 1, _inv_forward, rules.inverse_pull, rules.inverse_push)
det_op = matrix_op("det", 1, _det_forward, rules.determinant_pull, rules.determinant_push)
slogdet_op = matrix_op("slogdet", 1, _slogdet_forward, rules.log_determinant_pull, rules.log_determinant_push)
cholesky_op = matrix_op("cholesky", 1, _cholesky_forward, rules.cholesky_pull, rules.cholesky_push)
eigh_op = matrix_op("eigh", 1, _eigh_forward, rules.eigh_pull, rules.eigh_push)
qr_op = matrix_op("qr", 1, _qr_forward, rules.qr_pull, rules.qr_push)
svd_op = matrix_op("svd", 1, _svd_forward, rules.svd_pull, rules.svd_push)
pinv_op = matrix_op("pinv", 2, _pinv_forward, rules.pinv_pull, rules.pinv_push)
