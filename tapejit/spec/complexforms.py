"""Linear algebra of complex matrices, and the eigenvalues of real ones: each derivative once, as a rule.

A complex operand or result is one of pairs along a last dimension of 2 (``kernels.complexspectral``); a rule reads it as a
complex tensor and writes its formula with adjoints in PyTorch's convention, dL/dRe + i dL/dIm. What depends on the phase of
an eigenvector or singular vector, which nothing determines, has no derivative: it is NaN.

Sources of the formulas: those of ``linalg``; Ch. Boeddeker et al., arXiv:1701.00392; Z.-Q. Wan and S.-X. Zhang,
arXiv:1909.02659 (the phases in the singular vectors' derivative).
"""

import math

from tapejit.spec import linalg
from tapejit.spec.linalg import parts
from tapejit.spec.table import joint
from tapejit.spec.vocabulary import ops


def _read(t):
    """A complex tensor of pairs."""
    return ops.complex_of_pairs(t)


def _written(z):
    return ops.pairs_of_complex(z)


def _diagonal(z):
    return z.diagonal(0, -2, -1)


def _tiny(t, double, single):
    return double if t.dtype is ops.float64 else single


def _free(phase, moves):
    """Zeros, and NaN where what the vectors' adjoints ask for depends on their phases: ``phase`` should vanish.

    What is left of adjoints that cancel is no such question, so that a size by itself counts too (PyTorch's is 1e-2).
    """
    with ops.no_grad():
        largest = moves.abs().sum((-2, -1), keepdim=False)[..., None]
        told = phase.abs() > _tiny(phase, 1e-7, 1e-2) * (largest + _tiny(phase, 1e-2, 1e-1))
        return ops.where(told, math.nan, ops.zeros(phase.shape, dtype=phase.dtype))


def _eigh_rule(r, g, x, y, z, out):
    gw, gv = parts(g, r.plan.results)
    w, v = parts(out, r.plan.results)
    v, gv = _read(v), _read(gv)
    move = v.mH @ gv
    inner = (move - move.mH) * 0.5 * linalg._apart(w, move)
    inner = inner + ops.diagonal_matrix(gw + _free(_diagonal(move).imag, move))
    return (_written(v @ inner @ v.mH),)


eigh = joint(
    "complex_eigh",
    arity=1,
    needs=("out",),
    rule=_eigh_rule,
    failure=linalg._not_converged,
    label="LinalgEigh",
)


def _svd_rule(r, g, x, y, z, out):
    m, n = r.plan.words[:2].tolist()
    gu, gs, gvh = parts(g, r.plan.results)
    u, s, vh = parts(out, r.plan.results)
    k = min(m, n)
    u, gu, vh, gvh = _read(u)[..., :k], _read(gu)[..., :k], _read(vh)[..., :k, :], _read(gvh)[..., :k, :]
    u_move, v_move = u.mH @ gu, vh @ gvh.mH
    row, column = s[..., None, :], s[..., :, None]
    apart = linalg._apart(s, u_move.detach().abs() + v_move.detach().abs()) / linalg._nonzero(row + column)
    inner = ((u_move - u_move.mH) * row + (v_move - v_move.mH) * column) * apart
    phase = _diagonal(u_move).imag  # and that of V is its opposite: U diag(p) and V diag(p) are singular vectors as well
    free = _free(phase + _diagonal(v_move).imag, u_move.abs() + v_move.abs())
    inner = inner + ops.complex_of(ops.diagonal_matrix(gs + free), ops.diagonal_matrix(linalg._over(phase, s)))
    result = u @ inner @ vh
    if m > k:
        result = result + _scaled(gu - u @ u_move, row) @ vh
    if n > k:
        result = result + u @ _scaled(gvh - v_move.mH @ vh, column)
    return (_written(result),)


def _scaled(z, s):
    return ops.complex_of(linalg._over(z.real, s), linalg._over(z.imag, s))


svd = joint(
    "complex_svd",
    arity=1,
    needs=("out",),
    rule=_svd_rule,
    failure=linalg._not_converged,
    label="LinalgSvd",
)


def _qr_rule(r, g, x, y, z, out):
    """As the real one; the diagonal of R is real by LAPACK's choice, so that only its real part moves."""
    m, n = r.plan.words[:2].tolist()
    gq, gr = map(_read, parts(g, r.plan.results))
    q, upper = map(_read, parts(out, r.plan.results))
    if m >= n:
        return (_written(_qr_square(gq, gr, q, upper)),)
    rest, grest = upper[..., m:], gr[..., m:]
    gq = gq + (q @ rest) @ grest.mH
    left = _qr_square(gq, gr[..., :m], q, upper[..., :m])
    return (_written(ops.complex_cat((left, q @ grest), -1)),)


def _qr_square(gq, gr, q, upper):
    inner = (gr @ upper.mH - q.mH @ gq).triu()
    above = inner.triu(1)
    inner = above + above.mH + ops.diagonal_matrix(_diagonal(inner).real)
    return ops.complex_triangular(gq + q @ inner, upper.mH, False, False, False)


qr = joint("complex_qr", arity=1, needs=("out",), rule=_qr_rule, label="LinalgQr")


def _eigen_adjoint(r, g, out):
    gw, gv = map(_read, parts(g, r.plan.results))
    w, v = map(_read, parts(out, r.plan.results))
    move = v.mH @ gv
    along = _diagonal(move)
    inner = (move - (v.mH @ v) * along.real[..., None, :]) * _complex_apart(w, move).conj()
    inner = inner + ops.complex_of(ops.diagonal_matrix(gw.real + _free(along.imag, move)), ops.diagonal_matrix(gw.imag))
    return ops.complex_solve(v.mH, inner @ v.mH)


def _complex_apart(values, moves):
    """1 / (v_j - v_i); for equal values 0, NaN where the vectors' adjoints tell them apart (as ``linalg._apart``)."""
    difference = values[..., None, :] - values[..., :, None]
    with ops.no_grad():
        size = values.abs()
        scale = size.amax(-1, keepdim=True)[..., None] if size.shape[-1] else 1.0
        equal = difference.abs() <= _tiny(size, 1e-13, 1e-5) * scale
        diagonal = ops.eye(size.shape[-1], dtype=size.dtype) > 0
        strength = moves.abs()
        told = strength + strength.mT > _tiny(size, 1e-10, 1e-4) * strength.sum((-2, -1), keepdim=True)
        filling = ops.where(equal & told & ~diagonal, math.nan, ops.zeros(strength.shape, dtype=size.dtype))
    turned = ops.complex_of(ops.where(equal, 1.0, difference.real), ops.where(equal, 0.0, difference.imag)).reciprocal()
    return ops.complex_of(ops.where(equal, filling, turned.real), ops.where(equal, 0.0, turned.imag))


complex_eig = joint(
    "complex_eig",
    arity=1,
    needs=("out",),
    rule=lambda r, g, x, y, z, out: (_written(_eigen_adjoint(r, g, out)),),
    failure=linalg._not_converged,
    label="LinalgEig",
)
eig = joint(
    "eig",
    arity=1,
    needs=("out",),
    rule=lambda r, g, x, y, z, out: (_eigen_adjoint(r, g, out).real,),
    failure=linalg._not_converged,
    label="LinalgEig",
)


def _lu_rule(r, g, x, y, z, out):
    """Of ``A = P L U``, A square: ``P L^-H (tril(L^H gL, -1) + triu(gU U^H)) U^-H``."""
    shapes = r.plan.results
    gf = _read(parts(g, shapes)[0])
    lu, pivots, _ = parts(out, shapes)
    lu = _read(lu)
    lower = lu.tril(-1) + ops.eye(lu.shape[-1], dtype=pivots.dtype)
    inner = (lower.mH @ gf.tril(-1)).tril(-1) + (gf.triu() @ lu.triu().mH).triu()
    inner = ops.complex_triangular(inner, lu.mH, True, True, True)
    inner = ops.complex_triangular(inner, lu.mH, False, False, False)
    return (_written(ops.permutation_matrix(pivots) @ inner),)


lu = joint(
    "complex_lu",
    arity=1,
    needs=("out",),
    rule=_lu_rule,
    failure=lambda info: f"is singular (pivot {info} is zero)",
    label="LinalgLuFactorEx",
)


# Determinants: ``conj(det(A) A^-T)``, the conjugated cofactors, is the adjoint of A. Both are worked out by other means (x).


def _cofactors_rule(r, g, x, y, z, out):
    """Not for singular A: there 0 / 0, which is NaN."""
    g, k, a = _read(g), _read(out), _read(y)
    det = (a[..., 0, :] * k[..., 0, :].conj()).sum(-1)
    inner = k * (g.conj() * k).sum((-2, -1), keepdim=True) - k @ g.mH @ k
    return None, _written(inner / det.conj()[..., None, None])


cofactors = joint(
    "complex_cofactors",
    arity=2,
    needs=("y", "out"),
    rule=_cofactors_rule,
    constant=(0,),
    reads=1,
)


def _determinant_rule(r, g, x, y, z, out):
    return None, _written(ops.complex_cofactor_matrix(y) * _read(g)[..., None, None])


determinant = joint(
    "complex_determinant",
    arity=2,
    needs=("y",),
    rule=_determinant_rule,
    constant=(0,),
    reads=1,
    label="LinalgDet",
)
