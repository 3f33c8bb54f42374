"""Decompositions of matrices, real and complex: each derivative once, as a rule for both.

A complex matrix is one of pairs along a last dimension of 2 (``kernels.complexspectral``), which its rule reads as a complex
tensor, with adjoints in PyTorch's convention, dL/dRe + i dL/dIm; for a real one ``mH`` is ``mT``. What depends on the phase of
an eigenvector or singular vector, which nothing determines, has no derivative: it is NaN. Real vectors have a sign alone.

Sources of the formulas: those of ``linalg``; Ch. Boeddeker et al., arXiv:1701.00392; Z.-Q. Wan and S.-X. Zhang,
arXiv:1909.02659 (the phases in the singular vectors' derivative).
"""

import functools
import math
from dataclasses import dataclass

from tapejit.spec.linalg import parts
from tapejit.spec.table import joint
from tapejit.spec.vocabulary import ops


@dataclass(frozen=True)
class Real:
    """How a rule of either kind reads and writes matrices, and what only one of the kinds asks."""

    name: str = ""

    def read(self, t):
        return t

    written = read

    def cat(self, tensors, dim):
        return ops.cat(tensors, dim)

    def triangular(self, b, t, *, upper, unit=False):
        """X with ``T.mH @ X = B``."""
        return ops.triangular(b, t, True, upper, True, unit)

    def from_right(self, b, upper):
        """X with ``X @ U.mH = B``."""
        return ops.triangular(b, upper, False, True, True, False)

    def divided(self, t, s):
        return over(t, s)

    def values(self, gw, move):
        """What the adjoints of eigenvalues put on the diagonal."""
        return ops.diagonal_matrix(gw)

    def singular_values(self, gs, u_move, v_move, s):
        return ops.diagonal_matrix(gs)

    def mirrored(self, inner):
        """The Hermitian matrix of an upper triangle."""
        return inner + inner.triu(1).mT


@dataclass(frozen=True)
class Complex(Real):
    name: str = "complex_"

    def read(self, t):
        return ops.complex_of_pairs(t)

    def written(self, z):
        return ops.pairs_of_complex(z)

    def cat(self, tensors, dim):
        return ops.complex_cat(tensors, dim)

    def triangular(self, b, t, *, upper, unit=False):
        return ops.complex_triangular(b, t.mH, True, not upper, unit)

    def from_right(self, b, upper):
        return ops.complex_triangular(b, upper.mH, False, False, False)

    def divided(self, t, s):
        return ops.complex_of(over(t.real, s), over(t.imag, s))

    def values(self, gw, move):
        return ops.diagonal_matrix(gw + free(diagonal(move).imag, move))

    def singular_values(self, gs, u_move, v_move, s):
        """U diag(p) and V diag(p) are singular vectors as well: the phase of V is the opposite of that of U."""
        phase = diagonal(u_move).imag
        undetermined = free(phase + diagonal(v_move).imag, u_move.abs() + v_move.abs())
        return ops.complex_of(ops.diagonal_matrix(gs + undetermined), ops.diagonal_matrix(over(phase, s)))

    def mirrored(self, inner):
        """The diagonal of R is real by LAPACK's choice, so that only its real part moves."""
        above = inner.triu(1)
        return above + above.mH + ops.diagonal_matrix(diagonal(inner).real)


def _both(name, rule, **entry):
    """The op of real matrices and that of complex ones."""
    for kind in (Real(), Complex()):
        yield joint(kind.name + name, arity=1, needs=("out",), rule=functools.partial(rule, kind), **entry)


def not_converged(info):
    return f"did not converge (LAPACK's info {info}); it may hold NaN or inf"


# What the rules share


def diagonal(z):
    return z.diagonal(0, -2, -1)


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


def equal_values(size, difference, moves):
    """Which values are taken for equal, and what stands for ``1 / difference`` there; ``size``: their moduli."""
    scale = size.amax(-1, keepdim=True)[..., None] if size.shape[-1] else 1.0
    equal = difference.abs() <= tiny(size, 1e-13, 1e-5) * scale
    own = ops.eye(size.shape[-1], dtype=size.dtype) > 0
    strength = moves.abs()
    told = strength + strength.mT > tiny(size, 1e-10, 1e-4) * strength.sum((-2, -1), keepdim=True)
    return equal, ops.where(equal & told & ~own, math.nan, ops.zeros(strength.shape, dtype=size.dtype))


def free(phase, moves):
    """Zeros, and NaN where what the vectors' adjoints ask for depends on their phases: ``phase`` should vanish.

    What is left of adjoints that cancel is no such question, so that a size by itself counts too (PyTorch's is 1e-2).
    """
    with ops.no_grad():
        largest = moves.abs().sum((-2, -1), keepdim=False)[..., None]
        told = phase.abs() > tiny(phase, 1e-7, 1e-2) * (largest + tiny(phase, 1e-2, 1e-1))
        return ops.where(told, math.nan, ops.zeros(phase.shape, dtype=phase.dtype))


def nonzero(t):
    return ops.where(t == 0, 1.0, t)


def over(t, s):
    """t / s, where both are 0 0."""
    return ops.where((t == 0) & (s == 0), 0.0, t / ops.where((t == 0) & (s == 0), 1.0, s))


# The rules


def _eigh_rule(kind, r, g, x, y, z, out):
    gw, gv = parts(g, r.plan.results)
    w, v = parts(out, r.plan.results)
    v, gv = kind.read(v), kind.read(gv)
    move = v.mH @ gv
    inner = (move - move.mH) * 0.5 * apart(w, move) + kind.values(gw, move)
    return (kind.written(v @ inner @ v.mH),)


eigh, complex_eigh = _both("eigh", _eigh_rule, failure=not_converged, label="LinalgEigh")


def _svd_rule(kind, r, g, x, y, z, out):
    """Townsend's formula, with the parts of U and V outside of the other's range."""
    m, n = r.plan.words[:2].tolist()
    gu, gs, gvh = parts(g, r.plan.results)
    u, s, vh = parts(out, r.plan.results)
    k = min(m, n)
    u, gu, vh, gvh = map(kind.read, (u, gu, vh, gvh))
    u, gu, vh, gvh = u[..., :k], gu[..., :k], vh[..., :k, :], gvh[..., :k, :]  # the rest of full matrices is any basis
    u_move, v_move = u.mH @ gu, vh @ gvh.mH
    row, column = s[..., None, :], s[..., :, None]
    between = apart(s, u_move.detach().abs() + v_move.detach().abs()) / nonzero(row + column)
    inner = ((u_move - u_move.mH) * row + (v_move - v_move.mH) * column) * between
    inner = inner + kind.singular_values(gs, u_move, v_move, s)
    result = u @ inner @ vh
    if m > k:
        result = result + kind.divided(gu - u @ u_move, row) @ vh
    if n > k:
        result = result + u @ kind.divided(gvh - v_move.mH @ vh, column)
    return (kind.written(result),)


svd, complex_svd = _both("svd", _svd_rule, failure=not_converged, label="LinalgSvd")


def _qr_rule(kind, r, g, x, y, z, out):
    """Walter, Lehmann and Lamour (2012); a wide matrix is its square part and what is multiplied by Q.mH."""
    m, n = r.plan.words[:2].tolist()
    gq, gr = map(kind.read, parts(g, r.plan.results))
    q, upper = map(kind.read, parts(out, r.plan.results))
    if m >= n:
        return (kind.written(_qr_square(kind, gq, gr, q, upper)),)
    rest, grest = upper[..., m:], gr[..., m:]
    gq = gq + (q @ rest) @ grest.mH
    left = _qr_square(kind, gq, gr[..., :m], q, upper[..., :m])
    return (kind.written(kind.cat((left, q @ grest), -1)),)


def _qr_square(kind, gq, gr, q, upper):
    inner = kind.mirrored((gr @ upper.mH - q.mH @ gq).triu())
    return kind.from_right(gq + q @ inner, upper)


qr, complex_qr = _both("qr", _qr_rule, label="LinalgQr")


def _lu_rule(kind, r, g, x, y, z, out):
    """Of ``A = P L U``, A square: ``P L^-H (tril(L^H gL, -1) + triu(gU U^H)) U^-H``."""
    shapes = r.plan.results
    gf = kind.read(parts(g, shapes)[0])
    lu, pivots, _ = parts(out, shapes)
    lu = kind.read(lu)
    lower = lu.tril(-1) + ops.eye(lu.shape[-1], dtype=pivots.dtype)
    inner = (lower.mH @ gf.tril(-1)).tril(-1) + (gf.triu() @ lu.triu().mH).triu()
    inner = kind.triangular(inner, lu, upper=False, unit=True)
    inner = kind.from_right(inner, lu)
    return (kind.written(ops.permutation_matrix(pivots) @ inner),)


lu, complex_lu = _both(
    "lu", _lu_rule, failure=lambda info: f"is singular (pivot {info} is zero)", label="LinalgLuFactorEx"
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
