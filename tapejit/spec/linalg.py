"""Linear algebra: the table's entries. Derivatives stand in ``matrixrules``, kernels in ``kernels``, by name.

Every result of several parts is one block, which ``parts`` takes apart.
"""

import math

from tapejit.spec import matrixrules as rules
from tapejit.spec.table import joint
from tapejit.spec.vocabulary import ops


def parts(t, shapes):
    """The parts of a block, one after another, as views."""
    start, found = 0, []
    for shape in shapes:
        found.append(ops.strided_view(t, shape, ops.packed_strides(shape), start))
        start += math.prod(shape)
    return found


def block(found):
    """The block of several results."""
    return ops.cat([t.reshape(-1) for t in found], 0)


def stated(name, pull, push=None, *, saved, carries=(0,), several=False, arity=1, kind=None, **entry):
    """Enter an op whose derivatives are statements of ``matrixrules``.

    Args:
        saved: a function of the record, x, y, z and out that gives what the statements ask for.
        carries: the operands that have adjoints and tangents, in the statements' order.
        several: whether the value is a block.
        kind: how to read and write matrices that are not what they are kept as (``decomposing.COMPLEX``).
    """

    def rule(r, g, x, y, z, out):
        arrived = parts(g, r.plan.results) if several else (kind.read(g) if kind else g,)
        found = pull(saved(r, x, y, z, out), arrived)
        adjoints = dict(zip(carries, map(kind.written, found) if kind else found, strict=True))
        return tuple(adjoints.get(j) for j in range(arity))

    def moved(r, tangents, x, y, z, out):
        found = push(saved(r, x, y, z, out), [tangents[j] for j in carries])
        return block(found) if several else found[0]

    constant = tuple(j for j in range(arity) if j not in carries)
    return joint(name, arity=arity, rule=rule, push=push and moved, constant=constant, **entry)


def _known(r, x, y, z, out):
    """Of a value that was worked out by other means (x): what it is of (y) carries the gradient."""
    return out, y


# Triangular systems, Cholesky and LU


def _triangular_saved(r, y, out):
    *_, left, upper, transposed, unit, _ = r.plan.words.tolist()
    return y, out, left, upper, transposed, unit


def _triangular_rule(r, g, x, y, z, out):
    saved = _triangular_saved(r, y, out)
    if not r.wanted[1]:
        t, _, left, upper, transposed, unit = saved
        return ops.triangular(g, t, left, upper, not transposed, unit), None
    gx, gy = rules.triangular_pull(saved, (g,))
    return (gx if r.wanted[0] else None), gy


def _triangular_push(r, tangents, x, y, z, out):
    saved, (dx, dy) = _triangular_saved(r, y, out), tangents[:2]
    if dy is None:
        return ops.triangular(dx, y, *saved[2:])
    return rules.triangular_push(saved, (r.moved(0, r.shape), dy))[0]


triangular = joint(
    "triangular",
    arity=2,
    needs=("y", "out"),
    rule=_triangular_rule,
    push=_triangular_push,
    label="LinalgSolveTriangular",
)

cholesky = stated(
    "cholesky",
    rules.cholesky_pull,
    rules.cholesky_push,
    saved=lambda r, x, y, z, out: (out,),
    needs=("out",),
    failure=lambda info: f"is not positive definite (its leading minor of order {info} is not positive)",
    label="LinalgCholeskyEx",
)

cholesky_adjoint = stated(
    "cholesky_adjoint",
    rules.cholesky_adjoint_pull,
    saved=lambda r, x, y, z, out: (x, y, out),
    carries=(0, 1),
    arity=2,
    needs=("x", "y", "out"),
)

permutation = joint(
    "permutation",
    arity=1,
    needs=(),
    rule=lambda r, g, x, y, z, out: (None,),
    constant=(0,),
)


def _solve_saved(r, y, z, out):
    """y: the factors, z: A."""
    return (y, z, r.plan.results), out, bool(r.plan.words[3])


def _solve_rule(r, g, x, y, z, out):
    saved = f, _, transposed = _solve_saved(r, y, z, out)
    if not r.wanted[2]:
        return rules.solved(f, g, not transposed), None, None
    gz, gx = rules.solve_pull(saved, (g,))
    return (gx if r.wanted[0] else None), None, ops.sum_to(gz, r.plan.results)


def _solve_push(r, tangents, x, y, z, out):
    saved, (dx, _, dz) = _solve_saved(r, y, z, out), tangents
    if dz is None:
        return rules.solved(saved[0], dx, saved[2])
    return rules.solve_push(saved, (dz, r.moved(0, r.shape)))[0]


solve = joint(
    "solve",
    arity=3,
    needs=("y", "out"),
    rule=_solve_rule,
    push=_solve_push,
    constant=(1,),
    reads=2,
    label="LinalgSolveEx",
)

inverse = stated(
    "inverse",
    rules.inverse_pull,
    rules.inverse_push,
    saved=lambda r, x, y, z, out: (out,),
    carries=(1,),
    arity=2,
    needs=("out",),
    reads=1,
    label="LinalgInvEx",
)

log_determinant = stated(  # x: the factors, y: A; the results are the sign and log|det|
    "log_determinant",
    rules.log_determinant_pull,
    rules.log_determinant_push,
    saved=lambda r, x, y, z, out: (x, y, r.plan.shape),
    carries=(1,),
    several=True,
    arity=2,
    needs=("x",),
    reads=1,
    label="LinalgSlogdet",
)

cofactors = stated(
    "cofactors",
    rules.cofactors_pull,
    saved=_known,
    carries=(1,),
    arity=2,
    needs=("y", "out"),
    reads=1,
)

determinant = stated(
    "determinant",
    rules.determinant_pull,
    rules.determinant_push,
    saved=lambda r, x, y, z, out: (y,),
    carries=(1,),
    arity=2,
    needs=("y",),
    reads=1,
    label="LinalgDet",
)


# Functions of a matrix


pinv = stated(
    "pinv",
    rules.pinv_pull,
    rules.pinv_push,
    saved=_known,
    carries=(1,),
    arity=2,
    needs=("y", "out"),
    reads=1,
    label="LinalgPinv",
)

matrix_exp = stated(
    "matrix_exp",
    rules.matrix_exp_pull,
    rules.matrix_exp_push,
    saved=lambda r, x, y, z, out: (x,),
    needs=("x",),
    label="LinalgMatrixExp",
)
