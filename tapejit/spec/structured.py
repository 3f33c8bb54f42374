"""The ops that are not elementwise, with their derivatives in terms of other ops; ``kernels`` has their kernels, by name.

A rule ``rule(r, g, x, y, z, out)`` gives an operand's adjoint as Tensors: it runs when a gradient is to be
differentiated again. ``r`` is the record: its ``plan``, its immediate ``imm`` and the ``shape`` of its result. A rule may
only use the operands that ``needs`` names, and the shape of the one it is for: the others may be gone.
"""

from tapejit.spec import elementwise
from tapejit.spec.table import OPERANDS, VIEW, alias, joint, structured
from tapejit.spec.vocabulary import ops


def _keepdim(r, t):
    """A reduced tensor with the reduced dimensions back, of size 1."""
    return t.reshape(r.plan.shape)


view = VIEW
VIEWS = {
    name: alias(view, name)
    for name in "Slice Select Permute Transpose T Unsqueeze Squeeze Expand Diagonal Alias".split()
}

spread = structured(
    "spread",
    needs=((),),
    rules=(lambda r, g, x, y, z, out: ops.strided_view(g, r.plan.shape, r.plan.strides, int(r.imm)),),
)

# The operands of an op from the third on, where it has more than three: the record's third operand is a row, whose value
# is their addresses. A row's own third operand may be a row again. Nothing arrives at a row in a sweep: the op's rule gives
# the adjoints to the operands themselves. One of the two lets the operands' values go, the other keeps them for the rule.
row, kept_row = (
    joint(name, arity=3, needs=needs, rule=lambda r, g, x, y, z, out: (None, None, None), label="Row")
    for name, needs in (("row", ()), ("kept_row", OPERANDS))
)
ROWS = {row.code, kept_row.code}

copy = structured(
    "copy",
    needs=((),),
    rules=(lambda r, g, x, y, z, out: g,),
    label="Clone",
    identity=(0,),
)

cast = structured(
    "cast",
    needs=((),),
    rules=(lambda r, g, x, y, z, out: g.to(x.dtype),),
    label="ToCopy",
)


def _sum_rule(r, g, x, y, z, out):
    return ops.strided_view(g, x.shape, r.plan.strides, 0) * r.imm


sum, mean = (
    structured(name, needs=((),), rules=(_sum_rule,))
    for name in ("sum", "mean")
)
sum_dim, mean_dim = alias(sum, "SumBackward1"), alias(mean, "MeanBackward1")


def _norm_rule(r, g, x, y, z, out):
    length = ops.strided_view(out, x.shape, r.plan.strides, 0)
    g = ops.strided_view(g, x.shape, r.plan.strides, 0)
    return elementwise.where(length == 0, 0.0, elementwise.chain(g, x / length))


norm = structured(
    "norm",
    needs=(("x", "out"),),
    rules=(_norm_rule,),
    label="LinalgVectorNorm",
)

take = structured(
    "take",
    needs=(("y",), ()),
    rules=(lambda r, g, x, y, z, out: ops.scatter_add_flat(g, y, x.shape), None),
    label="Index",
    scatter=True,
)

scatter_add = structured(
    "scatter_add",
    needs=(("y",), ()),
    rules=(lambda r, g, x, y, z, out: ops.take_flat(g, y, x.shape), None),
)

put = structured(
    "put",
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
    needs=(("y",), ("x",)),
    rules=(lambda r, g, x, y, z, out: elementwise.chain(g, y), lambda r, g, x, y, z, out: elementwise.chain(g, x)),
)

cumsum = structured(
    "cumsum",
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
    needs=(("x", "out"),),
    rules=(_extreme_rule,),
)
amin = structured(
    "amin",
    needs=(("x", "out"),),
    rules=(_extreme_rule,),
)

ascending, descending = (  # the places of elements in order, as numbers: constants
    structured(name, needs=((),), rules=(None,))
    for name in ("ascending", "descending")
)

logsumexp = structured(
    "logsumexp",
    needs=(("x", "out"),),
    rules=(lambda r, g, x, y, z, out: elementwise.chain(_keepdim(r, g), elementwise.exp(x - _keepdim(r, out))),),
)


def _softmax_rule(r, g, x, y, z, out):
    return elementwise.chain(g - elementwise.chain(g, out).sum(r.plan.dim, keepdim=True), out)


softmax = structured(
    "softmax",
    needs=(("out",),),
    rules=(_softmax_rule,),
)

log_softmax = structured(
    "log_softmax",
    needs=(("out",),),
    rules=(lambda r, g, x, y, z, out: g - elementwise.chain(g.sum(r.plan.dim, keepdim=True), elementwise.exp(out)),),
    label="LogSoftmax",
)
