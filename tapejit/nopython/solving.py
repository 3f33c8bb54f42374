"""Linear algebra on active matrices: systems, determinants and decompositions, each with its rule (see ``matrixops``).

The formulas are those of ``spec.linalg``, where their sources stand; the forward ones are their transposes. On plain numbers
LAPACK's factors are kept (``factors``), and the rules are BLAS and triangular systems; one level up the same rules call
these functions again.

A symmetric matrix (``cholesky``, ``eigh``) gets a symmetric gradient, that of ``f((A + A.T) / 2)``.
"""

import numpy as np

from tapejit.nopython import factors
from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import typed
from tapejit.nopython.like import first_of
from tapejit.nopython.matrixops import matrix_op
from tapejit.nopython.scalars import primal
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import is_active_array

# Pieces: of plain matrices by LAPACK, of active ones by the functions below


def factored(a, b, singular):
    """What the functions below need of a matrix, for right sides like ``b``; LinAlgError if it may not be ``singular``."""
    raise NotImplementedError


@typed(factored)
def _factored(a, b, singular):
    if is_active_array(a) or is_active_array(b):
        return lambda a, b, singular: (a.copy(),)
    return lambda a, b, singular: factors.factored(a, singular)


def solve_factored(f, b, transposed):
    raise NotImplementedError


@typed(solve_factored)
def _solve_factored(f, b, transposed):
    if len(f) == 1:
        return lambda f, b, transposed: system_op(f[0].T.copy() if transposed else f[0], b)[0]
    return lambda f, b, transposed: factors.solve_factored(f[0], f[1], f[2], b, transposed)


def lower_solve(triangle, b, transposed):
    """The solution of ``L x = b`` or ``L.T x = b``."""
    raise NotImplementedError


@typed(lower_solve)
def _lower_solve(triangle, b, transposed):
    if is_active_array(triangle) or is_active_array(b):
        return lambda triangle, b, transposed: system_op(triangle.T.copy() if transposed else triangle, b)[0]
    return lambda triangle, b, transposed: factors.triangular_solve(triangle, b, 0, transposed)


def inverse_factored(f):
    """The inverse, from what ``factored`` gives."""
    raise NotImplementedError


@typed(inverse_factored)
def _inverse_factored(f):
    if len(f) == 1:
        return lambda f: inv_op(f[0])[0]
    return lambda f: factors.inverse(f[0], f[1], f[2])


def inverse(a):
    raise NotImplementedError


@typed(inverse)
def _inverse(a):
    if is_active_array(a):
        return lambda a: inv_op(a)[0]
    return lambda a: inverse_factored(factored(a, a, False))


def cofactor_matrix(f, a, det):
    """``det(A) A^-T``; of a plain singular matrix too."""
    raise NotImplementedError


@typed(cofactor_matrix)
def _cofactor_matrix(f, a, det):
    if len(f) == 1:
        return lambda f, a, det: inverse_factored(f).T * det

    def of_plain(f, a, det):
        if factors.determinant(f[0], f[1], f[2])[0] == 0.0:
            return factors.cofactors(a)
        return factors.solve_factored(f[0], f[1], f[2], np.eye(a.shape[0]) * det, 1)

    return of_plain


def log_determinant(f):
    """(log|det|, sign), from what ``factored`` gives."""
    raise NotImplementedError


@typed(log_determinant)
def _log_determinant(f):
    if len(f) == 1:
        return lambda f: slogdet_op(f[0])

    def of_plain(f):
        sign, logarithm = factors.determinant(f[0], f[1], f[2])
        return logarithm, sign

    return of_plain


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


def cholesky_adjoint(lower, g):
    raise NotImplementedError


@typed(cholesky_adjoint)
def _cholesky_adjoint(lower, g):
    if not is_active_array(lower) and not is_active_array(g):
        return lambda lower, g: factors.cholesky_adjoint(lower, g)

    def of_active(lower, g):
        inner = _half_lower(np.dot(lower.T, _half_lower(g, 1.0)), 0.5)
        right = lower_solve(lower, inner, 1)  # L^-T phi
        return _symmetric(lower_solve(lower, right.T.copy(), 1))

    return of_active


@active_function
def _half_lower(m, factor):
    """The lower triangle, its diagonal times a factor."""
    out = empty_like_element(m.shape, first_of(m))
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            out[i, j] = m[i, j] if j < i else (m[i, j] * factor if i == j else first_of(m))
    return out


@active_function
def _symmetric(m):
    out = empty_like_element(m.shape, first_of(m))
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            out[i, j] = (m[i, j] + m[j, i]) * 0.5
    return out


@active_function
def _skew(m):
    """``tril(m, -1) - tril(m, -1).T``"""
    out = empty_like_element(m.shape, first_of(m))
    for i in range(m.shape[0]):
        for j in range(m.shape[0]):
            out[i, j] = m[i, j] if j < i else (-m[j, i] if i < j else first_of(m))
    return out


@active_function
def _apart(values, moves, squares):
    """``1 / (v_j - v_i)``, or of the squares; where the values are equal 0, or NaN where ``moves`` tells them apart.

    Vectors of equal values are any basis of their space: a function of them has a derivative only if it does not depend on
    the choice, and then what is divided vanishes.
    """
    n = values.size
    out = empty_like_element((n, n), first_of(values))
    largest, scale = 0.0, 0.0
    for i in range(n):
        scale = max(scale, abs(primal(values[i])))
        for j in range(n):
            largest += abs(primal(moves[i, j]))
    for i in range(n):
        for j in range(n):
            difference = values[j] - values[i]
            if abs(primal(difference)) > 1e-13 * scale:
                if squares:
                    difference = difference * (values[i] + values[j])
                out[i, j] = 1.0 / difference
            else:
                told = i != j and abs(primal(moves[i, j])) + abs(primal(moves[j, i])) > 1e-10 * largest
                out[i, j] = first_of(values) + (np.nan if told else 0.0)
    return out


@active_function
def _with_diagonal(m, diagonal):
    """``m`` with something added to its diagonal, in place."""
    for k in range(diagonal.size):
        m[k, k] = m[k, k] + diagonal[k]
    return m


@active_function
def _diagonal(m):
    out = empty_like_element((m.shape[0],), first_of(m))
    for k in range(out.size):
        out[k] = m[k, k]
    return out


@active_function
def _inner_product(a, b):
    return np.sum(a * b)


# The ops


@active_function
def _system_forward(a, b):
    f = factored(a, b, False)
    x = solve_factored(f, b, 0)
    return (x,), (f, x)


@active_function
def _system_pullback(saved, cotangents):
    f, x = saved
    gb = solve_factored(f, cotangents[0], 1)
    return -np.dot(gb, x.T), gb


@active_function
def _system_pushforward(saved, tangents):
    f, x = saved
    da, db = tangents
    return (solve_factored(f, db - np.dot(da, x), 0),)


system_op = matrix_op("solve", 2, _system_forward, _system_pullback, _system_pushforward)


@active_function
def _inv_forward(a):
    v = inverse(a)
    return (v,), (v,)


@active_function
def _inv_pullback(saved, cotangents):
    t = saved[0].T.copy()
    return (-np.dot(np.dot(t, cotangents[0]), t),)


@active_function
def _inv_pushforward(saved, tangents):
    return (-np.dot(np.dot(saved[0], tangents[0]), saved[0]),)


inv_op = matrix_op("inv", 1, _inv_forward, _inv_pullback, _inv_pushforward)


@active_function
def _det_forward(a):
    f = factored(a, a, True)
    logarithm, sign = log_determinant(f)
    det = sign * np.exp(logarithm)
    return (det,), (f, a, det)


@active_function
def _det_pullback(saved, cotangents):
    return (cofactor_matrix(saved[0], saved[1], saved[2]) * cotangents[0],)


@active_function
def _det_pushforward(saved, tangents):
    return (_inner_product(cofactor_matrix(saved[0], saved[1], saved[2]), tangents[0]),)


det_op = matrix_op("det", 1, _det_forward, _det_pullback, _det_pushforward)


@active_function
def _slogdet_forward(a):
    f = factored(a, a, True)
    return log_determinant(f), (f,)


@active_function
def _slogdet_pullback(saved, cotangents):
    return (inverse_factored(saved[0]).T * cotangents[0],)


@active_function
def _slogdet_pushforward(saved, tangents):
    return _inner_product(inverse_factored(saved[0]).T, tangents[0]), 0.0


slogdet_op = matrix_op("slogdet", 1, _slogdet_forward, _slogdet_pullback, _slogdet_pushforward)


@active_function
def _cholesky_forward(a):
    (lower,) = decomposition(a, "cholesky")
    return (lower,), (lower,)


@active_function
def _cholesky_pullback(saved, cotangents):
    return (cholesky_adjoint(saved[0], cotangents[0]),)


@active_function
def _cholesky_pushforward(saved, tangents):
    lower = saved[0]
    inner = lower_solve(lower, _symmetric(tangents[0]), 0)
    inner = lower_solve(lower, inner.T.copy(), 0)
    return (np.dot(lower, _half_lower(inner, 0.5)),)


cholesky_op = matrix_op("cholesky", 1, _cholesky_forward, _cholesky_pullback, _cholesky_pushforward)


@active_function
def _eigh_forward(a):
    w, v = decomposition(a, "eigh")
    return (w, v), (w, v)


@active_function
def _eigh_pullback(saved, cotangents):
    w, v = saved
    gw, gv = cotangents
    inner = np.dot(v.T, gv)
    inner = (inner - inner.T) * 0.5 * _apart(w, inner, False)
    return (np.dot(np.dot(v, _with_diagonal(inner, gw)), v.T),)


@active_function
def _eigh_pushforward(saved, tangents):
    w, v = saved
    inner = np.dot(v.T, np.dot(_symmetric(tangents[0]), v))
    return _diagonal(inner), np.dot(v, inner * _apart(w, inner, False))


eigh_op = matrix_op("eigh", 1, _eigh_forward, _eigh_pullback, _eigh_pushforward)


@active_function
def _qr_forward(a):
    q, r = decomposition(a, "qr")
    return (q, r), (q, r)


@active_function
def _qr_pullback(saved, cotangents):
    q, r = saved
    gq, gr = cotangents
    inner = _half_lower(np.dot(r, gr.T) - np.dot(gq.T, q), 0.5)
    return (_over_upper(gq + np.dot(q, inner + inner.T), r, 1),)


@active_function
def _over_upper(b, upper, transposed):
    """``b R^-1``, or ``b R^-T``, for an upper triangle R."""
    return lower_solve(upper.T.copy(), b.T.copy(), transposed).T.copy()


@active_function
def _qr_pushforward(saved, tangents):
    q, r = saved
    x = _over_upper(tangents[0], r, 0)
    along = np.dot(q.T, x)
    turn = _skew(along)
    return x + np.dot(q, turn - along), np.dot(along - turn, r)


qr_op = matrix_op("qr", 1, _qr_forward, _qr_pullback, _qr_pushforward)


@active_function
def _svd_forward(a):
    u, s, vt = decomposition(a, "svd")
    return (u, s, vt), (u, s, vt)


@active_function
def _each_over(m, s, rows):
    """Rows, or columns, of a matrix over singular values, where 0 / 0 is 0."""
    out = empty_like_element(m.shape, first_of(m))
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            by = s[i] if rows else s[j]
            out[i, j] = first_of(m) if primal(m[i, j]) == 0.0 and primal(by) == 0.0 else m[i, j] / by
    return out


@active_function
def _svd_pullback(saved, cotangents):
    u, s, vt = saved
    gu, gs, gvt = cotangents
    k = s.size
    u_move, v_move = np.dot(u.T, gu), np.dot(vt, gvt.T)
    apart = _apart(s, np.abs(u_move) + np.abs(v_move), True)
    inner = ((u_move - u_move.T) * s + s.reshape((k, 1)) * (v_move - v_move.T)) * apart
    result = np.dot(np.dot(u, _with_diagonal(inner, gs)), vt)
    if u.shape[0] > k:
        result = result + np.dot(_each_over(gu - np.dot(u, u_move), s, False), vt)
    if vt.shape[1] > k:
        result = result + np.dot(u, _each_over(gvt - np.dot(v_move.T, vt), s, True))
    return (result,)


@active_function
def _svd_pushforward(saved, tangents):
    u, s, vt = saved
    k = s.size
    right = np.dot(tangents[0], vt.T)
    left = np.dot(u.T, tangents[0])
    inner = np.dot(left, vt.T)
    rows = s.reshape((k, 1))
    apart = _apart(s, np.abs(inner), True)
    du = np.dot(u, apart * (inner * s + rows * inner.T))
    dv = np.dot(apart * (rows * inner + inner.T * s), vt) * -1.0  # the factor's transpose is its negative
    if u.shape[0] > k:
        du = du + _each_over(right - np.dot(u, inner), s, False)
    if vt.shape[1] > k:
        dv = dv + _each_over(left - np.dot(inner, vt), s, True)
    return du, _diagonal(inner), dv


svd_op = matrix_op("svd", 1, _svd_forward, _svd_pullback, _svd_pushforward)


def pseudo_inverse(a, rcond):
    raise NotImplementedError


@typed(pseudo_inverse)
def _pseudo_inverse(a, rcond):
    if is_active_array(a):
        return lambda a, rcond: pinv_op(a, rcond)[0]
    return lambda a, rcond: factors.pinv(a, rcond)


@active_function
def _pinv_forward(a, rcond):
    p = pseudo_inverse(a, rcond)
    return (p,), (p, a)


@active_function
def _off(a, p):
    """``1 - A P``: what the range of A leaves out."""
    return np.eye(a.shape[0]) - np.dot(a, p)


@active_function
def _pinv_pullback(saved, cotangents):
    p, a = saved
    g = cotangents[0]
    pt, gt = p.T.copy(), g.T.copy()
    result = np.dot(np.dot(np.dot(pt, p), gt), _off(p, a)) + np.dot(_off(a, p), np.dot(gt, np.dot(p, pt)))
    return result - np.dot(pt, np.dot(g, pt)), 0.0


@active_function
def _pinv_pushforward(saved, tangents):
    p, a = saved
    d = tangents[0]
    dt, pt = d.T.copy(), p.T.copy()
    result = np.dot(np.dot(np.dot(p, pt), dt), _off(a, p)) + np.dot(_off(p, a), np.dot(dt, np.dot(pt, p)))
    return (result - np.dot(p, np.dot(d, p)),)


pinv_op = matrix_op("pinv", 2, _pinv_forward, _pinv_pullback, _pinv_pushforward)
