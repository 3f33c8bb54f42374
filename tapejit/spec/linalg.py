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


def _lu_rule(r, g, x, y, z, out):
    """Of ``A = P L U``, A square: ``P L^-T (tril(L^T gL, -1) + triu(gU U^T)) U^-T``."""
    shapes = r.plan.results
    solve = ops.triangular
    gf = parts(g, shapes)[0]
    lu, pivots, _ = parts(out, shapes)
    inner = ops.matmul(_unit_lower(lu).mT, gf.tril(-1)).tril(-1) + ops.matmul(gf.triu(), lu.triu().mT).triu()
    inner = solve(inner, lu, True, False, True, True)
    inner = solve(inner, lu, False, True, True, False)
    return (ops.matmul(ops.permutation_matrix(pivots), inner),)


def _unit_lower(lu):
    return lu.tril(-1) + ops.eye(lu.shape[-1], dtype=lu.dtype)


lu = joint(
    "lu",
    arity=1,
    needs=("out",),
    rule=_lu_rule,
    failure=lambda info: f"is singular (pivot {info} is zero)",
    label="LinalgLuFactorEx",
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


# Decompositions


def _apart(values, moves):
    """1 / (v_j - v_i); for equal values 0, NaN where the vectors' adjoints ``moves`` tell them apart.

    Vectors of equal values are any basis of their space: a function of them has a derivative only if it does not
    depend on the choice, and then what is divided vanishes.
    """
    difference = values[..., None, :] - values[..., :, None]
    with ops.no_grad():
        eps = 1e-13 if values.dtype is ops.float64 else 1e-5
        scale = values.abs().amax(-1, keepdim=True)[..., None] if values.shape[-1] else 1.0
        equal = difference.abs() <= eps * scale
        diagonal = ops.eye(values.shape[-1], dtype=values.dtype) > 0
        strength = moves.abs()
        largest = strength.sum((-2, -1), keepdim=True)
        told = strength + strength.mT > (1e-10 if values.dtype is ops.float64 else 1e-4) * largest
        filling = ops.where(told & ~diagonal, math.nan, ops.zeros(strength.shape, dtype=values.dtype))
    return ops.where(equal, filling, 1.0 / ops.where(equal, 1.0, difference))


def _eigh_rule(r, g, x, y, z, out):
    gw, gv = parts(g, r.plan.results)
    w, v = parts(out, r.plan.results)
    inner = ops.matmul(v.mT, gv)
    inner = 0.5 * (inner - inner.mT) * _apart(w, inner) + ops.diagonal_matrix(gw)
    return (ops.matmul(ops.matmul(v, inner), v.mT),)


def _not_converged(info):
    return f"did not converge (LAPACK's info {info}); it may hold NaN or inf"


eigh = joint(
    "eigh",
    arity=1,
    needs=("out",),
    rule=_eigh_rule,
    failure=_not_converged,
    label="LinalgEigh",
)


def _svd_rule(r, g, x, y, z, out):
    """Townsend's formula, with the parts of U and V outside of the other's range."""
    m, n = r.plan.words[:2].tolist()
    gu, gs, gvh = parts(g, r.plan.results)
    u, s, vh = parts(out, r.plan.results)
    k = min(m, n)
    u, gu, vh, gvh = u[..., :k], gu[..., :k], vh[..., :k, :], gvh[..., :k, :]  # the rest of full matrices is any basis
    u_move, v_move = ops.matmul(u.mT, gu), ops.matmul(vh, gvh.mT)
    row, column = s[..., None, :], s[..., :, None]
    apart = _apart(s, u_move.detach().abs() + v_move.detach().abs()) / _nonzero(row + column)
    inner = ((u_move - u_move.mT) * row + column * (v_move - v_move.mT)) * apart + ops.diagonal_matrix(gs)
    result = ops.matmul(ops.matmul(u, inner), vh)
    if m > k:
        outside = _over(gu - ops.matmul(u, u_move), row)
        result = result + ops.matmul(outside, vh)
    if n > k:
        outside = _over(gvh - ops.matmul(v_move.mT, vh), column)
        result = result + ops.matmul(u, outside)
    return (result,)


def _nonzero(t):
    return ops.where(t == 0, 1.0, t)


def _over(t, s):
    """t / s, where both are 0 0."""
    return ops.where((t == 0) & (s == 0), 0.0, t / ops.where((t == 0) & (s == 0), 1.0, s))


svd = joint(
    "svd",
    arity=1,
    needs=("out",),
    rule=_svd_rule,
    failure=_not_converged,
    label="LinalgSvd",
)


def _qr_rule(r, g, x, y, z, out):
    """Walter, Lehmann and Lamour (2012); a wide matrix is its square part and what is multiplied by Q.T."""
    m, n = r.plan.words[:2].tolist()
    gq, gr = parts(g, r.plan.results)
    q, upper = parts(out, r.plan.results)
    if m >= n:
        return (_qr_square(gq, gr, q, upper),)
    rest, grest = upper[..., m:], gr[..., m:]
    gq = gq + ops.matmul(ops.matmul(q, rest), grest.mT)
    left = _qr_square(gq, gr[..., :m], q, upper[..., :m])
    return (ops.cat((left, ops.matmul(q, grest)), -1),)


def _qr_square(gq, gr, q, upper):
    inner = (ops.matmul(gr, upper.mT) - ops.matmul(q.mT, gq)).triu()
    inner = inner + inner.triu(1).mT
    return ops.triangular(gq + ops.matmul(q, inner), upper, False, True, True, False)


qr = joint("qr", arity=1, needs=("out",), rule=_qr_rule, label="LinalgQr")


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


def _undefined_rule(r, g, x, y, z, out):
    if bool((g != 0).any()):
        raise RuntimeError(
            "the full matrices of svd() and qr() have no derivative: beyond the reduced ones they are any basis; use "
            "full_matrices=False, or mode='reduced'"
        )
    return None, None


undefined = joint(
    "undefined", arity=2, needs=(), rule=_undefined_rule, constant=(0,), reads=1, label="Linalg"
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
