"""The words of ``matrixrules`` for tensors: batches of matrices, real and complex ones.

Complex tensors have adjoints in PyTorch's convention, dL/dRe + i dL/dIm. What depends on the phase of an eigenvector or
singular vector, which nothing determines, has no derivative: it is NaN. Real vectors have a sign alone. For the phases in the
singular vectors' derivative see Z.-Q. Wan and S.-X. Zhang, arXiv:1909.02659; for the complex rules Ch. Boeddeker et al.,
arXiv:1701.00392.
"""

import math

from tapejit.spec.vocabulary import ops


def turned(t):
    """The transposed matrix, of a complex one its conjugate."""
    return t.mT


def triangular(b, t, left, upper, transposed, unit):
    """X with ``op(T) X = B`` or ``X op(T) = B``; of T a triangle is read."""
    return ops.triangular(b, t, left, upper, transposed, unit)


def solved(f, b, transposed):
    """X with ``A X = B`` or ``A.T X = B``; ``f``: factors, A (which carries the gradient, or is None), its shape."""
    factors, a, shape = f
    return ops.solve_factored(b, factors, a, shape, bool(transposed))


def inverted(f):
    return ops.inverse_factored(*f)


def cofactors(saved):
    """``det(A) A^-T``, of a singular matrix too."""
    return ops.cofactor_matrix(saved[0])


def determinant_by_cofactors(a, c):
    return ops.determinant_from_cofactors(a, c)[..., None, None]


def cholesky_adjoint(lower, g):
    return ops.cholesky_adjoint(lower, g)


def diagonal(t):
    return t.diagonal(0, -2, -1)


def diagonal_matrix(t):
    return ops.diagonal_matrix(t)


def strictly_lower(t):
    return t.tril(-1)


def half_lower(t):
    """The lower triangle, its diagonal halved."""
    return t.tril(-1) + diagonal_matrix(diagonal(t) * 0.5)


def mirrored(t):
    """The symmetric matrix of an upper triangle."""
    return t.triu() + t.triu(1).mT


def complement(t):
    """What a projection leaves out."""
    return ops.eye(t.shape[-1], dtype=t.dtype) - t


def summed(t, like):
    """What a batch gives to a matrix that is one for all of it."""
    return ops.sum_to(t, like.shape)


def scaled(t, number):
    return number[..., None, None] * t


def inner_product(a, b):
    return (a * b).sum((-2, -1))


def strength(t):
    """The sizes of what moves, as numbers without a history."""
    return t.detach().abs()


def over(t, s):
    """t / s, where both are 0 0."""
    return ops.where((t == 0) & (s == 0), 0.0, t / ops.where((t == 0) & (s == 0), 1.0, s))


def eigenvalue_part(gw, move):
    """What the adjoints of eigenvalues put on the diagonal."""
    return diagonal_matrix(gw)


def singular_value_part(gs, u_move, v_move, s):
    return diagonal_matrix(gs)


def exponential_slope(t, moved):
    """Along ``moved``: the upper right block of the exponential of ``[[T, D], [0, T]]``."""
    n = t.shape[-1]
    zero = ops.zeros(t.shape, dtype=t.dtype)
    whole = ops.cat((ops.cat((t, moved), -1), ops.cat((zero, t), -1)), -2)
    return ops.matrix_exp(whole)[..., :n, n:]


# Equal values, and phases


def tiny(t, double, single):
    return double if t.dtype is ops.float64 else single


def apart(values, moves):
    """1 / (v_j - v_i); for equal values 0, NaN where the vectors' adjoints ``moves`` tell them apart.

    Vectors of equal values are any basis of their space: a function of them has a derivative only if it does not
    depend on the choice, and then what is divided vanishes.
    """
    difference = values[..., None, :] - values[..., :, None]
    with ops.no_grad():
        equal, filling = equal_values(values.abs(), difference, moves)
    return ops.where(equal, filling, 1.0 / ops.where(equal, 1.0, difference))


def squares_apart(s, moves):
    """1 / (s_j^2 - s_i^2) of singular values, otherwise as ``apart``."""
    total = s[..., None, :] + s[..., :, None]
    return apart(s, moves) / ops.where(total == 0, 1.0, total)


EQUAL, TOLD = (1e-13, 1e-5), (1e-10, 1e-4)  # of the largest value, of all moves: in double precision, and in single


def equal_values(size, difference, moves):
    """Which values are taken for equal, and what stands for ``1 / difference`` there; ``size``: their moduli."""
    scale = size.amax(-1, keepdim=True)[..., None] if size.shape[-1] else 1.0
    equal = difference.abs() <= tiny(size, *EQUAL) * scale
    own = ops.eye(size.shape[-1], dtype=size.dtype) > 0
    sizes = moves.abs()
    told = sizes + sizes.mT > tiny(size, *TOLD) * sizes.sum((-2, -1), keepdim=True)
    return equal, ops.where(equal & told & ~own, math.nan, ops.zeros(sizes.shape, dtype=size.dtype))


def free(phase, moves):
    """Zeros, and NaN where what the vectors' adjoints ask for depends on their phases: ``phase`` should vanish.

    What is left of adjoints that cancel is no such question, so that a size by itself counts too (PyTorch's is 1e-2).
    """
    with ops.no_grad():
        largest = moves.abs().sum((-2, -1), keepdim=False)[..., None]
        told = phase.abs() > tiny(phase, 1e-7, 1e-2) * (largest + tiny(phase, 1e-2, 1e-1))
        return ops.where(told, math.nan, ops.zeros(phase.shape, dtype=phase.dtype))


# What complex tensors have of their own


def _turned(t):
    return t.mH


def _triangular(b, t, left, upper, transposed, unit):
    """With ``T.mH`` where it is ``transposed``."""
    return ops.complex_triangular(b, t.mH if transposed else t, left, bool(upper) != bool(transposed), unit)


def _over(t, s):
    return ops.complex_of(over(t.real, s), over(t.imag, s))


def _eigenvalue_part(gw, move):
    return diagonal_matrix(gw + free(diagonal(move).imag, move))


def _singular_value_part(gs, u_move, v_move, s):
    """U diag(p) and V diag(p) are singular vectors as well: the phase of V is the opposite of that of U."""
    phase = diagonal(u_move).imag
    undetermined = free(phase + diagonal(v_move).imag, u_move.abs() + v_move.abs())
    return ops.complex_of(diagonal_matrix(gs + undetermined), diagonal_matrix(over(phase, s)))


def _mirrored(t):
    """The diagonal of R is real by LAPACK's choice, so that only its real part moves."""
    above = t.triu(1)
    return above + above.mH + diagonal_matrix(diagonal(t).real)


def _cofactors(saved):
    return ops.complex_cofactor_matrix(saved[0])


def _inner_product(a, b):
    return (a.conj() * b).sum((-2, -1))


def _determinant_by_cofactors(a, c):
    return (a[..., 0, :] * c[..., 0, :].conj()).sum(-1).conj()[..., None, None]


COMPLEX = {
    "turned": _turned,
    "triangular": _triangular,
    "over": _over,
    "eigenvalue_part": _eigenvalue_part,
    "singular_value_part": _singular_value_part,
    "mirrored": _mirrored,
    "cofactors": _cofactors,
    "inner_product": _inner_product,
    "determinant_by_cofactors": _determinant_by_cofactors,
}
