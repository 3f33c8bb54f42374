"""Eigenvalues of any square matrices, and determinants of complex ones: each derivative once, as a rule.

Complex operands and results are pairs, as in ``decomposing``, which has the sources too.
"""

from tapejit.spec import decomposing
from tapejit.spec.linalg import parts, stated
from tapejit.spec.matrixwords import diagonal, equal_values, free
from tapejit.spec.table import joint
from tapejit.spec.vocabulary import ops

_KIND = decomposing.COMPLEX
_read, _written = _KIND.read, _KIND.written


def _eigen_adjoint(r, g, out):
    gw, gv = map(_read, parts(g, r.plan.results))
    w, v = map(_read, parts(out, r.plan.results))
    move = v.mH @ gv
    along = diagonal(move)
    inner = (move - (v.mH @ v) * along.real[..., None, :]) * _apart(w, move).conj()
    inner = inner + ops.complex_of(ops.diagonal_matrix(gw.real + free(along.imag, move)), ops.diagonal_matrix(gw.imag))
    return ops.complex_solve(v.mH, inner @ v.mH)


def _apart(values, moves):
    """``matrixwords.apart`` of complex values."""
    difference = values[..., None, :] - values[..., :, None]
    with ops.no_grad():
        equal, filling = equal_values(values.abs(), difference, moves)
    turned = ops.complex_of(ops.where(equal, 1.0, difference.real), ops.where(equal, 0.0, difference.imag)).reciprocal()
    return ops.complex_of(ops.where(equal, filling, turned.real), ops.where(equal, 0.0, turned.imag))


complex_eig = joint(
    "complex_eig",
    arity=1,
    needs=("out",),
    rule=lambda r, g, x, y, z, out: (_written(_eigen_adjoint(r, g, out)),),
    failure=decomposing.not_converged,
    label="LinalgEig",
)
eig = joint(
    "eig",
    arity=1,
    needs=("out",),
    rule=lambda r, g, x, y, z, out: (_eigen_adjoint(r, g, out).real,),
    failure=decomposing.not_converged,
    label="LinalgEig",
)


# Determinants: ``conj(det(A) A^-T)``, the conjugated cofactors, is the adjoint of A. Both are worked out by other means (x).

cofactors = stated(
    "complex_cofactors",
    _KIND.rules.cofactors_pull,
    saved=lambda r, x, y, z, out: (_KIND.read(out), _KIND.read(y)),
    carries=(1,),
    arity=2,
    kind=_KIND,
    needs=("y", "out"),
    reads=1,
)
determinant = stated(
    "complex_determinant",
    _KIND.rules.determinant_pull,
    saved=lambda r, x, y, z, out: (y,),
    carries=(1,),
    arity=2,
    kind=_KIND,
    needs=("y",),
    reads=1,
    label="LinalgDet",
)
