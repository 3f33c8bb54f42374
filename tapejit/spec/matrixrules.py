"""Linear algebra: the derivatives of each function, stated once for all ways in.

Of a function of matrices, ``pull`` takes the adjoints of its results to those of its operands, and ``push`` the tangents of its
operands to those of its results; each is the other's transpose. Both are given what the function saved, and answer a tuple.
They are written in operators and a few words for matrices. As they stand these mean tensors (``matrixwords``): the table's
entries call them (``linalg``, ``decomposing``), of which the eager way in and recordings are made. ``bound`` gives the same
code other words: those of complex tensors, and those of arrays in compiled code (``nopython.solving``). So a statement uses
what all of them understand: positional arguments, tuples, shapes from behind.

Sources of the formulas: M. Giles, Collected matrix derivative results (2008); I. Murray, arXiv:1602.07527; S. Walter,
L. Lehmann and R. Lamour, On evaluating higher-order derivatives of the QR decomposition (2012); J. Townsend, Differentiating
the singular value decomposition (2016); G. Golub and V. Pereyra (1973) for the pseudo-inverse.

Symmetric matrices: a gradient is that of ``f((A + A.T) / 2)``, itself symmetric.
"""

from types import FunctionType, SimpleNamespace

from tapejit.spec.matrixwords import (
    apart,
    cholesky_adjoint,
    cofactors,
    complement,
    determinant_by_cofactors,
    diagonal,
    diagonal_matrix,
    eigenvalue_part,
    exponential_slope,
    half_lower,
    inner_product,
    inverted,
    mirrored,
    over,
    scaled,
    singular_value_part,
    solved,
    squares_apart,
    strength,
    strictly_lower,
    summed,
    triangular,
    turned,
)


def symmetric(t):
    return (t + turned(t)) * 0.5


# Systems: what is saved is what solves them, X, and whether it is of ``A.T X = B``


def solve_pull(saved, cotangents):
    """Both adjoints, A's and B's, from one solve."""
    f, x, transposed = saved
    gb = solved(f, cotangents[0], not transposed)
    return -(x @ turned(gb) if transposed else gb @ turned(x)), gb


def solve_push(saved, tangents):
    f, x, transposed = saved
    da, db = tangents
    return (solved(f, db - (turned(da) @ x if transposed else da @ x), transposed),)


def triangular_pull(saved, cotangents):
    """Of ``op(T) X = B`` or ``X op(T) = B`` in B and T, which may be one for a batch."""
    t, x, left, upper, transposed, unit = saved
    gb = triangular(cotangents[0], t, left, upper, not transposed, unit)
    one, other = (gb, x) if bool(left) != bool(transposed) else (x, gb)
    gt = -summed(one @ turned(other) if left else turned(one) @ other, t)
    return gb, gt.triu(unit) if upper else gt.tril(-unit)


def triangular_push(saved, tangents):
    t, x, left, upper, transposed, unit = saved
    db, dt = tangents
    moved = dt.triu(unit) if upper else dt.tril(-unit)
    moved = turned(moved) if transposed else moved
    return (triangular(db - (moved @ x if left else x @ moved), t, left, upper, transposed, unit),)


def inverse_pull(saved, cotangents):
    t = turned(saved[0])
    return (-(t @ cotangents[0] @ t),)


def inverse_push(saved, tangents):
    return (-(saved[0] @ tangents[0] @ saved[0]),)


# Determinants: sign and logarithm from factors, or the number itself, whose cofactors hold for singular matrices too


def log_determinant_pull(saved, cotangents):
    return (scaled(turned(inverted(saved)), cotangents[1]),)


def log_determinant_push(saved, tangents):
    moved = inner_product(turned(inverted(saved)), tangents[0])
    return moved * 0.0, moved


def determinant_pull(saved, cotangents):
    return (scaled(cofactors(saved), cotangents[0]),)


def determinant_push(saved, tangents):
    return (inner_product(cofactors(saved), tangents[0]),)


def cofactors_pull(saved, cotangents):
    """Of ``C = det(A) A^-T``, from C and A. Not for singular A: there 0 / 0, which is NaN."""
    c, a = saved
    g = cotangents[0]
    inner = scaled(c, inner_product(g, c)) - c @ turned(g) @ c
    return (inner / determinant_by_cofactors(a, c),)


# Cholesky's factor: its adjoint has a kernel, of which ``cholesky_adjoint_stated`` says what it computes


def cholesky_pull(saved, cotangents):
    return (cholesky_adjoint(saved[0], cotangents[0]),)


def cholesky_push(saved, tangents):
    lower = saved[0]
    left = triangular(symmetric(tangents[0]), lower, True, False, False, False)
    return (lower @ half_lower(triangular(left, lower, False, False, True, False)),)


def cholesky_adjoint_stated(lower, g):
    """``sym(L^-T phi(L^T G) L^-1)``"""
    inner = half_lower(turned(lower) @ (strictly_lower(g) + diagonal_matrix(diagonal(g))))
    left = triangular(inner, lower, True, False, True, False)
    return symmetric(triangular(left, lower, False, False, False, False))


def cholesky_adjoint_pull(saved, cotangents):
    """Of ``S = sym(L^-T phi(L^T G) L^-1)`` in L and G."""
    lower, g, s = saved
    right = triangular(symmetric(cotangents[0]), lower, False, False, True, False)
    inner = half_lower(triangular(right, lower, True, False, False, False))
    return (g.tril() @ turned(inner) - 2 * (s @ right)).tril(), lower @ inner


# Functions of a matrix


def matrix_exp_pull(saved, cotangents):
    return (exponential_slope(turned(saved[0]), cotangents[0]),)


def matrix_exp_push(saved, tangents):
    return (exponential_slope(saved[0], tangents[0]),)


# Decompositions


def eigh_pull(saved, cotangents):
    w, v = saved
    gw, gv = cotangents
    move = turned(v) @ gv
    inner = (move - turned(move)) * 0.5 * apart(w, move) + eigenvalue_part(gw, move)
    return (v @ inner @ turned(v),)


def eigh_push(saved, tangents):
    w, v = saved
    inner = turned(v) @ symmetric(tangents[0]) @ v
    return diagonal(inner), v @ (inner * apart(w, inner))


def svd_pull(saved, cotangents):
    """Townsend's formula, with the parts of U and V outside of the other's range."""
    u, s, vh = saved
    gu, gs, gvh = cotangents
    k = s.shape[-1]
    u_move, v_move = turned(u) @ gu, vh @ turned(gvh)
    row, column = s[..., None, :], s[..., :, None]
    between = squares_apart(s, strength(u_move) + strength(v_move))
    inner = ((u_move - turned(u_move)) * row + (v_move - turned(v_move)) * column) * between
    inner = inner + singular_value_part(gs, u_move, v_move, s)
    result = u @ inner @ vh
    if u.shape[-2] > k:
        result = result + over(gu - u @ u_move, row) @ vh
    if vh.shape[-1] > k:
        result = result + u @ over(gvh - turned(v_move) @ vh, column)
    return (result,)


def svd_push(saved, tangents):
    u, s, vh = saved
    k = s.shape[-1]
    right, left = tangents[0] @ turned(vh), turned(u) @ tangents[0]
    inner = left @ turned(vh)
    row, column = s[..., None, :], s[..., :, None]
    between = squares_apart(s, strength(inner))
    du = u @ (between * (inner * row + column * turned(inner)))
    dv = -((between * (column * inner + turned(inner) * row)) @ vh)  # the factor's transpose is its negative
    if u.shape[-2] > k:
        du = du + over(right - u @ inner, row)
    if vh.shape[-1] > k:
        dv = dv + over(left - inner @ vh, column)
    return du, diagonal(inner), dv


def qr_pull(saved, cotangents):
    """Of as many rows as columns, or more; R is square."""
    q, r = saved
    gq, gr = cotangents
    inner = mirrored(gr @ turned(r) - turned(q) @ gq)
    return (triangular(gq + q @ inner, r, False, True, True, False),)


def qr_push(saved, tangents):
    q, r = saved
    x = triangular(tangents[0], r, False, True, False, False)
    along = turned(q) @ x
    lower = strictly_lower(along)
    turn = lower - turned(lower)
    return x + q @ (turn - along), (along - turn) @ r


def lu_pull(saved, cotangents):
    """Of ``A = P L U``, A square, from both factors in one matrix, the identity and P."""
    lu, identity, p = saved
    g = cotangents[0]
    lower = lu.tril(-1) + identity
    inner = (turned(lower) @ g.tril(-1)).tril(-1) + (g.triu() @ turned(lu.triu())).triu()
    inner = triangular(inner, lu, True, False, True, True)
    return (p @ triangular(inner, lu, False, True, True, False),)


def pinv_pull(saved, cotangents):
    """From the pseudo-inverse and A. Right while the rank stays what it is."""
    p, a = saved
    g = cotangents[0]
    pt, gt = turned(p), turned(g)
    result = -(pt @ (g @ pt))
    result = result + (pt @ (p @ gt)) @ complement(p @ a)
    return (result + complement(a @ p) @ (gt @ (p @ pt)),)


def pinv_push(saved, tangents):
    p, a = saved
    d = tangents[0]
    pt, dt = turned(p), turned(d)
    result = (p @ (pt @ dt)) @ complement(a @ p) + complement(p @ a) @ (dt @ (pt @ p))
    return (result - p @ (d @ p),)


STATEMENTS = {name: f for name, f in globals().items() if isinstance(f, FunctionType) and f.__module__ == __name__}


def bound(words, each=lambda f: f, statements=STATEMENTS):
    """The statements in other words, as a namespace.

    Args:
        words: name -> what a word means, where it is another thing than for tensors; ``__name__`` is the name of the module.
        each: what makes the functions of their copies, such as a decorator that compiles.
        statements: name -> function, those of this file or others like them.
    """
    scope = {**globals(), **words}
    for name, f in statements.items():
        scope[name] = each(FunctionType(f.__code__, scope, name))
    return SimpleNamespace(**{name: scope[name] for name in statements})
