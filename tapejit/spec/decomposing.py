"""Decompositions of matrices, real and complex: the table's entries, each derivative one statement of ``matrixrules`` for both.

A complex matrix is one of pairs along a last dimension of 2 (``kernels.complexspectral``), which its rule reads as a complex
tensor.
"""

import functools
from types import SimpleNamespace

from tapejit.spec import matrixrules, matrixwords
from tapejit.spec.linalg import block, parts
from tapejit.spec.table import joint
from tapejit.spec.vocabulary import ops

REAL = SimpleNamespace(
    name="",
    rules=matrixrules,
    read=lambda t: t,
    written=lambda t: t,
    cat=lambda tensors, dim: ops.cat(tensors, dim),
)
COMPLEX = SimpleNamespace(
    name="complex_",
    rules=matrixrules.bound(matrixwords.COMPLEX),
    read=lambda t: ops.complex_of_pairs(t),
    written=lambda z: ops.pairs_of_complex(z),
    cat=lambda tensors, dim: ops.complex_cat(tensors, dim),
)


def _both(name, rule, push=None, **entry):
    """The op of real matrices and that of complex ones, whose forward mode is the rule's transpose."""
    for kind in (REAL, COMPLEX):
        along = push if kind is REAL else None
        yield joint(kind.name + name, arity=1, needs=("out",), rule=functools.partial(rule, kind), push=along, **entry)


def not_converged(info):
    return f"did not converge (LAPACK's info {info}); it may hold NaN or inf"


def _eigh_rule(kind, r, g, x, y, z, out):
    gw, gv = parts(g, r.plan.results)
    w, v = parts(out, r.plan.results)
    return tuple(map(kind.written, kind.rules.eigh_pull((w, kind.read(v)), (gw, kind.read(gv)))))


def _eigh_push(r, tangents, x, y, z, out):
    return block(matrixrules.eigh_push(parts(out, r.plan.results), tangents))


eigh, complex_eigh = _both("eigh", _eigh_rule, _eigh_push, failure=not_converged, label="LinalgEigh")


def _svd_rule(kind, r, g, x, y, z, out):
    """The rest of full matrices is any basis."""
    k = min(r.plan.words[:2].tolist())

    def reduced(block):
        u, s, vh = parts(block, r.plan.results)
        return kind.read(u)[..., :k], s, kind.read(vh)[..., :k, :]

    return tuple(map(kind.written, kind.rules.svd_pull(reduced(out), reduced(g))))


def _svd_push(r, tangents, x, y, z, out):
    full = r.plan.words[3]
    return None if full else block(matrixrules.svd_push(parts(out, r.plan.results), tangents))


svd, complex_svd = _both("svd", _svd_rule, _svd_push, failure=not_converged, label="LinalgSvd")


def _qr_rule(kind, r, g, x, y, z, out):
    """A wide matrix is its square part and what is multiplied by Q.mH."""
    m, n = r.plan.words[:2].tolist()
    gq, gr = map(kind.read, parts(g, r.plan.results))
    q, upper = map(kind.read, parts(out, r.plan.results))
    if m >= n:
        return tuple(map(kind.written, kind.rules.qr_pull((q, upper), (gq, gr))))
    rest, grest = upper[..., m:], gr[..., m:]
    gq = gq + (q @ rest) @ grest.mH
    (left,) = kind.rules.qr_pull((q, upper[..., :m]), (gq, gr[..., :m]))
    return (kind.written(kind.cat((left, q @ grest), -1)),)


def _qr_push(r, tangents, x, y, z, out):
    m, n, _, complete = r.plan.words.tolist()
    if complete or m < n:
        return None
    return block(matrixrules.qr_push(parts(out, r.plan.results), tangents))


qr, complex_qr = _both("qr", _qr_rule, _qr_push, label="LinalgQr")


def _lu_rule(kind, r, g, x, y, z, out):
    factors, pivots, _ = parts(out, r.plan.results)
    g = kind.read(parts(g, r.plan.results)[0])
    identity = ops.eye(pivots.shape[-1], dtype=pivots.dtype)
    saved = kind.read(factors), identity, ops.permutation_matrix(pivots)
    return tuple(map(kind.written, kind.rules.lu_pull(saved, (g,))))


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
