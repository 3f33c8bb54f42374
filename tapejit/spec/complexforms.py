"""Eigenvalues of any square matrices, and determinants of complex ones: each derivative once, as a rule.

Complex operands and results are pairs, as in ``decomposing``, which has the sources too.
"""

from tapejit.spec import decomposing
from tapejit.spec.linalg import parts
from tapejit.spec.matrixwords import diagonal, equal_values, free
from tapejit.spec.table import joint
from tapejit.spec.vocabulary import ops

_read, _written, _rules = decomposing.COMPLEX.read, decomposing.COMPLEX.written, decomposing.COMPLEX.rules


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


cofactors = joint(
    "complex_cofactors",
    arity=2,
    needs=("y", "out"),
    rule=lambda r, g, x, y, z, out: (None, _written(*_rules.cofactors_pull((_read(out), _read(y)), (_read(g),)))),
    constant=(0,),
    reads=1,
)


determinant = joint(
    "complex_determinant",
    arity=2,
    needs=("y",),
    rule=lambda r, g, x, y, z, out: (None, _written(*_rules.determinant_pull((y,), (_read(g),)))),
    constant=(0,),
    reads=1,
    label="LinalgDet",
)
