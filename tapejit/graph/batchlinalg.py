"""How the ops of linear algebra take a batch dimension: their kernels have one, and what several results share is a block.

In a block the first result of all matrices stands before the second one of all; see ``batch.Value``.
"""

import math

from tapejit.core.layout import layout_of
from tapejit.core.plans import Plan, cached
from tapejit.eager.dispatch import emit
from tapejit.eager.linalg import systems
from tapejit.eager.views import contiguous, expand, permute, reshape

RULES = {}
# Where the number of matrices stands in the words of a plan.
_COUNTS = {
    **dict.fromkeys("cholesky cholesky_adjoint lu permutation matrix_exp eigh eig log_determinant".split(), 1),
    **dict.fromkeys("complex_eigh complex_eig complex_lu".split(), 1),
    **dict.fromkeys("svd qr complex_svd complex_qr".split(), 2),
}


def _counted(r, *operands):
    """An op whose plan has the number of matrices among its words."""
    size = math.prod(r.lead)
    words = r.plan.words.tolist()
    words[_COUNTS[r.base.name]] *= size
    shapes = tuple((*r.lead, *shape) for shape in r.plan.results)
    batch = None if r.plan.shape is None else (*r.lead, *r.plan.shape)
    layout = layout_of((size * math.prod(r.shape),) if len(shapes) > 1 else (*r.lead, *r.shape), r.dtype)
    key = ("batch", r.base.code, tuple(words), shapes, batch, layout)
    plan = cached(key, lambda: Plan(words, layout, shape=batch, results=shapes))
    tensors = [x.tensor if x.block else contiguous(r.lifted(x)) for x in operands]
    result = emit(r.op, layout, *tensors, plan=plan.address)
    return (result, r.plan.results) if len(shapes) > 1 else result


RULES.update(dict.fromkeys(_COUNTS, _counted))


def _worked_out(r, value, source):
    """A value that was found by other means, and what it was made of."""
    return emit(r.op, r.layout(), contiguous(r.lifted(value)), contiguous(r.lifted(source)))


RULES.update(dict.fromkeys("cofactors determinant pinv undefined complex_cofactors complex_determinant".split(), _worked_out))


def _triangular(r, b, t):
    *_, left, upper, transposed, unit, _ = r.plan.words.tolist()
    single = math.prod(t.shape[:-2]) == 1
    matrix = t.tensor
    if t.batched or not single:
        inner = b.shape[:-2] if len(b.shape) > len(t.shape) or single else t.shape[:-2]
        if t.batched:
            missing = len(inner) - len(t.shape[:-2])
            matrix = reshape(matrix, *r.lead, *(1,) * missing, *t.shape)
        matrix = expand(matrix, *r.lead, *inner, *t.shape[-2:])
    return systems.triangular(contiguous(r.lifted(b)), contiguous(matrix), left, upper, transposed, unit)


RULES["triangular"] = _triangular


def _solve(r, b, factors, a):
    """Where one matrix serves several right-hand sides, and each is a batch, these become columns of it."""
    transposed = bool(r.plan.words[3])
    shape = tuple(r.plan.results)
    source = None if a is None else a.tensor
    count = math.prod(shape[:-2])
    if not factors.batched and count == 1:
        return systems.solve_factored(r.lifted(b), factors.tensor, source, shape, transposed)
    if not factors.batched:
        return _as_columns(r, b, factors, source, shape, transposed)
    if count == math.prod(b.shape[:-2]):
        return systems.solve_factored(r.lifted(b), factors.tensor, source, (*r.lead, *shape), transposed)
    n, columns = b.shape[-2:]
    each = math.prod(b.shape[:-2])
    many = reshape(r.lifted(b), *r.lead, each, n, columns)
    side = reshape(permute(many, 0, 2, 1, 3), *r.lead, n, each * columns)
    one = (*r.lead, *shape[-2:])
    source = None if source is None else reshape(source, *one)
    found = reshape(systems.solve_factored(side, factors.tensor, source, one, transposed), *r.lead, n, each, columns)
    return reshape(permute(found, 0, 2, 1, 3), *r.lead, *r.shape)


def _as_columns(r, b, factors, source, shape, transposed):
    n, columns = b.shape[-2:]
    inner = b.shape[:-2]
    k = len(inner)
    side = permute(r.lifted(b), *range(1, k + 2), 0, k + 2)
    found = systems.solve_factored(reshape(side, *inner, n, r.lead[0] * columns), factors.tensor, source, shape, transposed)
    return permute(reshape(found, *inner, n, *r.lead, columns), k + 1, *range(k + 1), k + 2)


RULES["solve"] = _solve


def _inverse(r, factors, a):
    source = None if a is None else r.lifted(a)
    return systems.inverse_factored(factors.tensor, source, (*r.lead, *r.shape))


RULES["inverse"] = _inverse
