"""Linear algebra: each derivative once, as a rule (see ``table.joint``); ``kernels`` has the kernels, by name.

Sources of the formulas: M. Giles, Collected matrix derivative results (2008); I. Murray, arXiv:1602.07527; G. Golub and
V. Pereyra (1973) for the pseudo-inverse. Every result of several parts is one block, which ``parts`` takes apart.

Symmetric matrices: a gradient is that of ``f((A + A.T) / 2)``, itself symmetric.
"""

import math

from tapejit.spec.table import joint
from tapejit.spec.vocabulary import ops


def parts(t, shapes):
    """The parts of a block, one after another, as views."""
    start, found = 0, []
    for shape in shapes:
        found.append(ops.strided_view(t, shape, ops.packed_strides(shape), start))
        start += math.prod(shape)
    return found


def symmetric(t):
    return (t + t.mT) * 0.5


def _half_diagonal(t):
    """The lower triangle, its diagonal halved."""
    return t.tril(-1) + ops.diagonal_matrix(t.diagonal(0, -2, -1) * 0.5)


# Triangular systems, Cholesky and LU


def _sum_to(t, like):
    """A matrix's adjoint, summed over the batch if the matrix is one for all."""
    return t if like is None else ops.sum_to(t, like.shape)


def _triangular_rule(r, g, x, y, z, out):
    *_, left, upper, transposed, unit, _ = r.plan.words.tolist()
    gx = ops.triangular(g, y, left, upper, not transposed, unit)
    if not r.wanted[1]:
        return gx, None
    one, other = (gx, out) if left else (out, gx)
    if transposed:
        one, other = other, one
    product = ops.matmul(one, other.mT) if left else ops.matmul(one.mT, other)
    gy = -_sum_to(product, y)
    gy = gy.triu(unit) if upper else gy.tril(-unit)
    return (gx if r.wanted[0] else None), gy


triangular = joint(
    "triangular",
    arity=2,
    needs=("y", "out"),
    rule=_triangular_rule,
    label="LinalgSolveTriangular",
)


def _cholesky_rule(r, g, x, y, z, out):
    return (ops.cholesky_adjoint(out, g),)


cholesky = joint(
    "cholesky",
    arity=1,
    needs=("out",),
    rule=_cholesky_rule,
    failure=lambda info: f"is not positive definite (its leading minor of order {info} is not positive)",
    label="LinalgCholeskyEx",
)


def _cholesky_adjoint_rule(r, g, x, y, z, out):
    """Of ``S = sym(L^-T phi(L^T G) L^-1)`` in L (x) and G (y)."""
    solve = ops.triangular
    s = symmetric(g)
    right = solve(s, x, False, False, True, False)  # s L^-T
    inner = _half_diagonal(solve(right, x, True, False, False, False))
    gl = (ops.matmul(y.tril(), inner.mT) - 2 * ops.matmul(out, right)).tril() if r.wanted[0] else None
    return gl, (ops.matmul(x, inner) if r.wanted[1] else None)


cholesky_adjoint = joint(
    "cholesky_adjoint",
    arity=2,
    needs=("x", "y", "out"),
    rule=_cholesky_adjoint_rule,
)


permutation = joint(
    "permutation",
    arity=1,
    needs=(),
    rule=lambda r, g, x, y, z, out: (None,),
    constant=(0,),
)


def _solve_rule(r, g, x, y, z, out):
    """Of ``A X = B`` (or ``A^T X = B``): x is B, y the factors, z is A. Both adjoints come from one solve."""
    transposed = bool(r.plan.words[3])
    gx = ops.solve_factored(g, y, z, r.plan.results, not transposed)
    if not r.wanted[2]:
        return gx, None, None
    one, other = (out, gx) if transposed else (gx, out)
    gz = -ops.matmul(one, other.mT)
    return (gx if r.wanted[0] else None), None, ops.sum_to(gz, r.plan.results)


solve = joint(
    "solve",
    arity=3,
    needs=("y", "out"),
    rule=_solve_rule,
    constant=(1,),
    reads=2,
    label="LinalgSolveEx",
)


def _inverse_rule(r, g, x, y, z, out):
    t = out.mT
    return None, -ops.matmul(ops.matmul(t, g), t)


inverse = joint(
    "inverse",
    arity=2,
    needs=("out",),
    rule=_inverse_rule,
    constant=(0,),
    reads=1,
    label="LinalgInvEx",
)


def _determinant_rule(r, g, x, y, z, out):
    """x: the factors, y: A; the results are the sign and log|det|."""
    shapes = r.plan.results
    glog = parts(g, shapes)[1]
    gy = ops.inverse_factored(x, y, r.plan.shape).mT
    return None, glog[..., None, None] * gy


log_determinant = joint(
    "log_determinant",
    arity=2,
    needs=("x",),
    rule=_determinant_rule,
    constant=(0,),
    reads=1,
    label="LinalgSlogdet",
)


def _cofactors_rule(r, g, x, y, z, out):
    """Of ``C = det(A) A^-T``; x: C as worked out, y: A. Not for singular A: there 0 / 0, which is NaN."""
    det = ops.determinant_from_cofactors(y, out)
    gt = g.mT
    inner = (g * out).sum((-2, -1), keepdim=True) * out - ops.matmul(ops.matmul(out, gt), out)
    return None, inner / det[..., None, None]


cofactors = joint(
    "cofactors",
    arity=2,
    needs=("y", "out"),
    rule=_cofactors_rule,
    constant=(0,),
    reads=1,
)


def _determinant_rule_exact(r, g, x, y, z, out):
    """x: det A as worked out, y: A. The cofactors hold for singular matrices too."""
    return None, g[..., None, None] * ops.cofactor_matrix(y)


determinant = joint(
    "determinant",
    arity=2,
    needs=("y",),
    rule=_determinant_rule_exact,
    constant=(0,),
    reads=1,
    label="LinalgDet",
)


# Functions of a matrix


def _pinv_rule(r, g, x, y, z, out):
    """Golub and Pereyra; x: the pseudo-inverse as worked out, y: A. Right while the rank stays what it is."""
    p, a = out, y
    gt, pt = g.mT, out.mT
    ggt = ops.matmul(pt, ops.matmul(g, pt))
    result = -ggt
    result = result + ops.matmul(ops.matmul(pt, ops.matmul(p, gt)), _complement(a, p))
    result = result + ops.matmul(_complement(a, p, left=True), ops.matmul(gt, ops.matmul(p, pt)))
    return None, result


def _complement(a, p, left=False):
    product = ops.matmul(a, p) if left else ops.matmul(p, a)
    return ops.eye(product.shape[-1], dtype=a.dtype) - product


pinv = joint(
    "pinv",
    arity=2,
    needs=("y", "out"),
    rule=_pinv_rule,
    constant=(0,),
    reads=1,
    label="LinalgPinv",
)


def _exponential_rule(r, g, x, y, z, out):
    """The exponential of ``[[A^T, G], [0, A^T]]`` has the adjoint as its upper right block."""
    n = x.shape[-1]
    t = x.mT
    zero = ops.zeros(t.shape, dtype=t.dtype)
    whole = ops.cat((ops.cat((t, g), -1), ops.cat((zero, t), -1)), -2)
    return (ops.matrix_exp(whole)[..., :n, n:],)


matrix_exp = joint(
    "matrix_exp",
    arity=1,
    needs=("x",),
    rule=_exponential_rule,
    label="LinalgMatrixExp",
)
