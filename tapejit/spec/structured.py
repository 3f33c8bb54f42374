"""The ops that are not elementwise: their kernels, and their derivatives in terms of other ops.

A rule ``rule(r, g, x, y, z, out)`` gives an operand's adjoint as Tensors: it runs when a gradient is to be
differentiated again. ``r`` is the record: its ``plan``, its immediate ``imm`` and the ``shape`` of its result. A rule may
only use the operands that ``needs`` names, and the shape of the one it is for: the others may be gone.
"""

from tapejit.kernels import along, indexed, ordering, products, strided
from tapejit.spec.table import alias, structured
from tapejit.spec.vocabulary import ops


def _keepdim(r, t):
    """A reduced tensor with the reduced dimensions back, of size 1."""
    return t.reshape(r.plan.shape)


view = structured(
    "view",
    kernels=(strided.view_reduce, strided.view_reverse),
    needs=((),),
    rules=(lambda r, g, x, y, z, out: ops.spread(g, r.shape, r.strides, int(r.imm), x.shape),),
    scatter=True,
    identity=(0,),
)
"""A tensor that shares another's memory. The forward slot holds the sum that broadcast adjoints need."""

from tapejit.spec import elementwise  # noqa: E402 - view is row 1, the sweep relies on it

VIEWS = {
    name: alias(view, name)
    for name in "Slice Select Permute Transpose T Unsqueeze Squeeze Expand Diagonal Alias".split()
}

spread = structured(
    "spread",
    kernels=(strided.spread_forward, strided.spread_reverse),
    needs=((),),
    rules=(lambda r, g, x, y, z, out: ops.strided_view(g, r.plan.shape, r.plan.strides, int(r.imm)),),
)

copy = structured(
    "copy",
    kernels=(strided.copy_forward, strided.copy_reverse),
    needs=((),),
    rules=(lambda r, g, x, y, z, out: g,),
    label="Clone",
    identity=(0,),
)

cast = structured(
    "cast",
    kernels=(strided.cast_forward, strided.cast_reverse),
    needs=((),),
    rules=(lambda r, g, x, y, z, out: g.to(x.dtype),),
    label="ToCopy",
)


def _sum_rule(r, g, x, y, z, out):
    return ops.strided_view(g, x.shape, r.plan.strides, 0) * r.imm


sum, mean = (
    structured(name, kernels=(strided.sum_forward, strided.sum_reverse), needs=((),), rules=(_sum_rule,))
    for name in ("sum", "mean")
)
sum_dim, mean_dim = alias(sum, "SumBackward1"), alias(mean, "MeanBackward1")


def _norm_rule(r, g, x, y, z, out):
    length = ops.strided_view(out, x.shape, r.plan.strides, 0)
    g = ops.strided_view(g, x.shape, r.plan.strides, 0)
    return elementwise.where(length == 0, 0.0, elementwise.chain(g, x / length))


norm = structured(
    "norm",
    kernels=(strided.norm_forward, strided.norm_reverse),
    needs=(("x", "out"),),
    rules=(_norm_rule,),
    label="LinalgVectorNorm",
)

take = structured(
    "take",
    kernels=(indexed.take_forward, indexed.take_reverse, None),
    needs=(("y",), ()),
    rules=(lambda r, g, x, y, z, out: ops.scatter_add_flat(g, y, x.shape), None),
    label="Index",
    scatter=True,
)

scatter_add = structured(
    "scatter_add",
    kernels=(indexed.scatter_add_forward, indexed.scatter_add_reverse, None),
    needs=(("y",), ()),
    rules=(lambda r, g, x, y, z, out: ops.take_flat(g, y, x.shape), None),
)

put = structured(
    "put",
    kernels=(indexed.put_forward, indexed.put_reverse_x, indexed.put_reverse_y, None),
    needs=(("z",), ("z",), ()),
    rules=(
        lambda r, g, x, y, z, out: ops.put_flat(g, ops.zeros(z.shape, dtype=g.dtype), z),
        lambda r, g, x, y, z, out: ops.take_flat(g, z, y.shape),
        None,
    ),
    label="IndexPut",
    erase=True,
)

place = structured(
    "place",
    kernels=(strided.place_forward, strided.place_reverse_x, strided.place_reverse_y),
    needs=((), ()),
    rules=(
        lambda r, g, x, y, z, out: ops.place(g, ops.zeros(r.plan.shape, dtype=g.dtype), r.plan, r.imm),
        lambda r, g, x, y, z, out: ops.strided_view(g, r.plan.shape, r.plan.strides, int(r.imm)),
    ),
    label="CopySlices",
    erase=True,
)

cat, stack = alias(place, "Cat"), alias(place, "Stack")

matmul = structured(
    "matmul",
    kernels=(products.matmul_forward, products.matmul_reverse_x, products.matmul_reverse_y),
    needs=(("y",), ("x",)),
    rules=(
        lambda r, g, x, y, z, out: ops.product(g, y.mT) if y.ndim > 1 else ops.outer(g, y),
        lambda r, g, x, y, z, out: ops.product(x.mT, g),
    ),
    label="Mm",
)

mv = alias(matmul, "Mv")

dot = structured(
    "dot",
    kernels=(products.dot_forward, products.dot_reverse_x, products.dot_reverse_y),
    needs=(("y",), ("x",)),
    rules=(lambda r, g, x, y, z, out: elementwise.chain(g, y), lambda r, g, x, y, z, out: elementwise.chain(g, x)),
)

cumsum = structured(
    "cumsum",
    kernels=(along.cumsum_forward, along.cumsum_reverse),
    needs=((),),
    rules=(lambda r, g, x, y, z, out: g.flip(r.plan.dim).cumsum(r.plan.dim).flip(r.plan.dim),),
)


def _extreme_rule(r, g, x, y, z, out):
    with ops.no_grad():
        best = _keepdim(r, out)
        ties = ((x == best) | (ops.isnan(x) & ops.isnan(best))).to(x.dtype)
        share = ties / ties.sum(r.plan.dim, keepdim=True)
    return elementwise.chain(_keepdim(r, g), share)


amax = structured(
    "amax",
    kernels=(along.amax_forward, along.extreme_reverse),
    needs=(("x", "out"),),
    rules=(_extreme_rule,),
)
amin = structured(
    "amin",
    kernels=(along.amin_forward, along.extreme_reverse),
    needs=(("x", "out"),),
    rules=(_extreme_rule,),
)

ascending, descending = (  # the places of elements in order, as numbers: constants
    structured(name, kernels=(kernel, None), needs=((),), rules=(None,))
    for name, kernel in (("ascending", ordering.ascending_forward), ("descending", ordering.descending_forward))
)

logsumexp = structured(
    "logsumexp",
    kernels=(along.logsumexp_forward, along.logsumexp_reverse),
    needs=(("x", "out"),),
    rules=(lambda r, g, x, y, z, out: elementwise.chain(_keepdim(r, g), elementwise.exp(x - _keepdim(r, out))),),
)


def _softmax_rule(r, g, x, y, z, out):
    return elementwise.chain(g - elementwise.chain(g, out).sum(r.plan.dim, keepdim=True), out)


softmax = structured(
    "softmax",
    kernels=(along.softmax_forward, along.softmax_reverse),
    needs=(("out",),),
    rules=(_softmax_rule,),
)

log_softmax = structured(
    "log_softmax",
    kernels=(along.log_softmax_forward, along.log_softmax_reverse),
    needs=(("out",),),
    rules=(lambda r, g, x, y, z, out: g - elementwise.chain(g.sum(r.plan.dim, keepdim=True), elementwise.exp(out)),),
    label="LogSoftmax",
)
