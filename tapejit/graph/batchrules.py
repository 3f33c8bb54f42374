"""How each op takes a batch dimension in front: one rule per op of the op table, in a table.

A rule is called with the emission (see ``batch.Emission``) and the operands' Values; it gives the tensor of the result, with
the batch dimension where ``r.lead`` has one.
"""

import math

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.layout import packed_strides
from tapejit.core.plans import cached, region_plan, sum_plan
from tapejit.eager import reductions
from tapejit.eager.dispatch import apply_floats, emit, emit_reduction, from_array, noted
from tapejit.eager.linalg import multiply
from tapejit.eager.onedimension import along_dim
from tapejit.eager.places import put_flat, scatter_add_flat, take_flat
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import (
    clone,
    contiguous,
    expand,
    reshape,
    spread,
    strided_view,
    unsqueeze,
    view_of,
)
from tapejit.edge.cpython import references_beside
from tapejit.graph import unitvectors

RULES = {}
NOTED = {}
SMALL_PRODUCT = 512  # multiplications of one example up to which a recorded product is a fused loop, and not a BLAS call


def rule(*names):
    """Enter the rule of some ops."""

    def enter(function):
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


def elementwise(r, aligned) -> Tensor:
    """Operands whose dimensions are counted from the right, but for the batch dimension."""
    operands = [aligned(x, len(r.shape)) if hasattr(x, "tensor") else x for x in r.operands[: r.op.arity]]
    return apply_floats(r.op, r.dtype, operands)


# Moving elements


@rule("view")
def _view(r, x):
    strides = r.plan.strides if r.plan else packed_strides(r.shape)
    start = int(r.imm)
    if x.block is not None and r.lead:
        found = _of_part(r, x, strides, start)
        if found is not None:
            return found
    scaled = unitvectors.reshaped(r, x)
    if scaled is not None:
        return scaled
    t = contiguous(r.lifted(x))
    strides = (*r.steps(x.n), *strides)
    return view_of(t, (*r.lead, *r.shape), strides, strides, start, start, r.op)


def _of_part(r, x, strides, start):
    """A view that lies in one part of a block; None for others."""
    steps = [s * (n - 1) for s, n in zip(strides, r.shape, strict=True) if n]
    low, high = start + sum(s for s in steps if s < 0), start + sum(s for s in steps if s > 0)
    begin = 0
    for shape in x.block:
        n = math.prod(shape)
        if begin <= low and high < begin + n:
            first = begin * r.lead[0] + start - begin
            return strided_view(x.tensor, (*r.lead, *r.shape), (n, *strides), first)
        begin += n
    return None


@rule("spread")
def _spread(r, x):
    shape, strides = r.plan.shape, r.plan.strides
    strides = (*r.steps(math.prod(r.shape)), *strides)
    return spread(r.lifted(x), (*r.lead, *shape), strides, int(r.imm), (*r.lead, *r.shape))


@rule("copy")
def _copy(r, x):
    return clone(r.lifted(x))


@rule("cast")
def _cast(r, x):
    return r.lifted(x).to(r.dtype)


@rule("place")
def _place(r, x, y):
    base, part = contiguous(r.lifted(x)), contiguous(r.lifted(y))
    plan = region_plan((*r.lead, *r.plan.shape), (*r.steps(x.n), *r.plan.strides))
    return emit(r.op, base._layout, base, part, plan=plan.address, imm=r.imm, flags=R.PUT if r.put else 0)


# Sums


@rule("sum", "mean", "norm")
def _sum(r, x):
    t = contiguous(r.lifted(x))
    shape, steps, layout = tuple(t.shape), (*r.steps(math.prod(r.shape)), *r.plan.strides), r.layout()
    plan = cached(("sum of a batch", shape, steps, layout), lambda: sum_plan(shape, steps, layout))
    return emit_reduction(r.op, t, plan, r.imm)


# Along one dimension


@rule("cumsum", "ascending", "descending", "softmax", "log_softmax")
def _along(r, x):
    return along_dim(r.op, r.lifted(x), r.plan.dim + len(r.lead))


@rule("amax", "amin", "logsumexp")
def _reduced_along(r, x):
    return along_dim(r.op, r.lifted(x), r.plan.dim + len(r.lead), len(r.shape) == len(x.shape))


# Flat indices


def _flat(r, indices, n, count):
    """Flat indices into all of the batch, of shape (batch, count), from those into one example of n elements."""
    size = r.lead[0]
    first = np.arange(size, dtype=np.int64)[:, None] * n
    array = indices.array
    if array is not None and references_beside([array])[0] <= 2:  # nobody can change it: this function and a dict refer to it
        return from_array(first + np.asarray(array, np.int64).reshape(1, count))
    t = reshape(indices.tensor, *((size, count) if indices.batched else (1, count)))
    return t + from_array(first)


@rule("take")
def _take(r, x, y):
    if not x.batched:
        return take_flat(x.tensor, r.lifted(y) if y.batched else y.tensor, (*r.lead, *r.shape))
    return take_flat(r.lifted(x), _flat(r, y, x.n, math.prod(r.shape)), (*r.lead, *r.shape))


@rule("scatter_add")
def _scatter_add(r, x, y):
    if not r.lead:
        return scatter_add_flat(x.tensor, y.tensor, r.shape)
    return scatter_add_flat(r.lifted(x), _flat(r, y, math.prod(r.shape), x.n), (*r.lead, *r.shape))


@rule("put")
def _put(r, x, y, z):
    if not r.lead:
        return put_flat(x.tensor, y.tensor, z.tensor)
    return put_flat(r.lifted(x), r.lifted(y), _flat(r, z, x.n, y.n))


# Products


@rule("matmul")
def _matmul(r, x, y):
    scaled = unitvectors.product(r, x, y)
    if scaled is not None:
        return scaled
    if len(y.shape) == 1:
        return _times_vector(r, x, y)
    if not y.batched and len(y.shape) == 2:
        return multiply.matmul(x.tensor, y.tensor)
    if not x.batched and len(x.shape) == 2 and y.batched and y.shape[-1] == 1:
        return unsqueeze(multiply.matmul(reshape(y.tensor, *r.lead, y.n), x.tensor.mT), -1)
    left, right = r.lifted(x), r.lifted(y)
    if x.batched and y.batched and _is_small(x.shape, y.shape[-1]):
        return reductions.sum(unsqueeze(left, -1) * unsqueeze(right, -3), -2)
    return multiply.product(left, right)


def _is_small(shape, columns):
    return tapes.current().recorder is not None and math.prod(shape[-2:]) * columns <= SMALL_PRODUCT


def _times_vector(r, x, y):
    if not y.batched:
        return multiply.matmul(x.tensor, y.tensor)
    if not x.batched:
        rows = reshape(x.tensor, -1, x.shape[-1])
        return reshape(multiply.matmul(y.tensor, rows.mT), *r.lead, *r.shape)
    vectors = reshape(y.tensor, *r.lead, *(1,) * (len(x.shape) - 2), y.shape[0])
    if _is_small(x.shape, 1):
        return reductions.sum(x.tensor * unsqueeze(vectors, -2), -1)
    columns = expand(unsqueeze(vectors, -1), *r.lead, *x.shape[:-2], y.shape[0], 1)
    return reshape(multiply.product(x.tensor, columns), *r.lead, *r.shape)


@rule("dot")
def _dot(r, x, y):
    if x.batched and y.batched:
        return reductions.sum(x.tensor * y.tensor, -1)
    scaled = unitvectors.product(r, x, y)
    if scaled is not None:
        return scaled
    if y.batched:
        x, y = y, x
    return multiply.matmul(x.tensor, y.tensor)


# What NumPy works out: comparisons, logic, integers


def noted_elementwise(name, function, operands, ndim, aligned):
    """The same function of operands with aligned dimensions."""
    return noted(name, function, *(aligned(x, ndim) if hasattr(x, "tensor") else x for x in operands))


def _noted(*names):
    def enter(function):
        NOTED.update(dict.fromkeys(names, function))
        return function

    return enter


def _over(name):
    """A reduction of bools or integers over some dimensions."""
    function = getattr(reductions, name)

    def reduce(batched, parameters, size, shape, x):
        dim, keepdim = parameters
        if not batched:
            return function(x.tensor, dim, keepdim)
        ndim = len(x.shape)
        dims = range(ndim) if dim is None else np.atleast_1d(dim).tolist()
        dims = tuple(d % max(ndim, 1) + 1 for d in dims)
        t = x.tensor if ndim else unsqueeze(x.tensor, 1)
        return reshape(function(t, dims or 1, keepdim), size, *shape)

    return reduce


NOTED.update({name: _over(name) for name in ("any", "all", "sum")})


def _place_of(name):
    function = getattr(reductions, name)

    def find(batched, parameters, size, shape, x):
        dim, keepdim = parameters
        if not batched:
            return function(x.tensor, dim, keepdim)
        if dim is None or not x.shape:
            return reshape(function(reshape(x.tensor, size, x.n), 1), size, *shape)
        return function(x.tensor, dim % len(x.shape) + 1, keepdim)

    return find


NOTED.update({name: _place_of(name) for name in ("argmax", "argmin")})


@_noted("flat")
def _flat_positions(batched, parameters, size, shape, *operands):
    """Flat positions from integer tensors; each is wrapped and checked by itself, at every run."""
    constant, strides, sizes, places = parameters
    tensors = [x.tensor for x in operands]
    if batched:
        shape = (size, *shape)
        constant = np.ascontiguousarray(np.broadcast_to(constant, shape))
        places = tuple(
            (x.n if x.batched else 0, *(0,) * (len(shape) - 1 - len(place)), *place)
            for x, place in zip(operands, places, strict=True)
        )
    parameters = constant, strides, sizes, places

    def work_out(*arrays):
        total = constant.copy()
        for x, stride, n, place in zip(arrays, strides, sizes, places, strict=True):
            values = np.ascontiguousarray(x._memory()).astype(np.int64)
            values = np.where(values < 0, values + n, values) if n > 0 else values
            if values.size and (values.min() < 0 or values.max() >= abs(n)):
                raise IndexError(f"an index is out of range for a dimension of size {abs(n)} in an example of the batch")
            steps = tuple(8 * s for s in place)
            total += stride * np.lib.stride_tricks.as_strided(values, shape, steps)
        return from_array(total)

    return noted("flat", work_out, *tensors, parameters=parameters)
