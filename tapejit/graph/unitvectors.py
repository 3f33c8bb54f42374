"""Batches of all unit vectors, of which whole Jacobians are made: which matrices they become, and by what these are scaled.

The first product on the way, of a matrix with such a batch, is the matrix itself. Elementwise derivatives then scale its rows
or columns: their factors are gathered for one example, and the matrix is scaled once by all of them. However a loss is written,
``X.T @ diag(d) @ X`` takes one pass over X and one product.
"""

import math
from typing import NamedTuple

from tapejit.core.layout import layout_of, packed_strides
from tapejit.eager.dispatch import apply_floats, constant
from tapejit.eager.functional import COMPARISONS, where
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import reshape
from tapejit.spec.elementwise import chain

_SCALE = {"neg", "mul", "_chain"}  # zero where the only operand with a batch is
_SCALE_FIRST = {"div", "_chain_div"}
_SUM = {"add", "sub"}  # zero where all operands are


class Scaled(NamedTuple):
    """Each example of the batch ``base`` times ``scale``, which has the shape of one example; zero times anything is zero.

    Attributes:
        scale: None where nothing has scaled it yet.
        units: whether the base is all unit vectors, in order.
    """

    base: Tensor
    scale: Tensor | None = None
    units: bool = False

    def tensor(self) -> Tensor:
        if self.scale is None:
            return self.base
        found = chain(self.base, self.scale)
        return found if self.units else where(COMPARISONS["eq"](self.scale, 0.0), 0.0, found)

    def factor(self) -> Tensor:
        return constant(1.0, layout_of(tuple(self.base.shape[1:]), self.base.dtype)) if self.scale is None else self.scale


def elementwise(r, aligned) -> Scaled | None:
    """The result of an elementwise op (see ``batch.Emission``), None where it is not of that kind."""
    operands = r.operands[: r.op.arity]
    moving = [x for x in operands if getattr(x, "batched", False)]
    if not moving or any(x.scaled is None or x.shape != r.shape for x in moving):
        return None
    alone = len(moving) == 1 and (r.op.name in _SCALE or (r.op.name in _SCALE_FIRST and moving[0] is operands[0]))
    base, _, units = moving[0].scaled
    if not alone and (r.op.name not in _SUM or len(moving) < len(operands) or any(x.scaled.base is not base for x in moving)):
        return None

    def factor(x):
        if not hasattr(x, "batched"):
            return x
        return x.scaled.factor() if x.batched else aligned(x, len(r.shape))

    return Scaled(base, apply_floats(r.op, r.dtype, [factor(x) for x in operands]), units)


def reshaped(r, x) -> Scaled | None:
    """A view of all elements in their order; None for others."""
    if x.scaled is None or r.imm or x.n != math.prod(r.shape) or (r.plan and r.plan.strides != packed_strides(r.shape)):
        return None
    base, scale, units = x.scaled
    return Scaled(reshape(base, (*r.lead, *r.shape)), None if scale is None else reshape(scale, r.shape), units)


def product(r, x, y) -> Scaled | None:
    """Unit vectors times a matrix or vector that all examples share; None for other products."""
    if _is_units(y, x) and len(x.shape) <= 2 and y.n == x.shape[-1]:
        rows, scale = x.tensor.mT if len(x.shape) == 2 else x.tensor, y.scaled.scale
    elif _is_units(x, y) and len(y.shape) <= 2 and x.n == y.shape[0]:
        rows, scale = y.tensor, x.scaled.scale
    else:
        return None
    if scale is not None:
        rows = chain(reshape(scale, (-1, *(1,) * (rows.ndim - 1))), rows)
    return Scaled(reshape(rows, (*r.lead, *r.shape)))


def _is_units(x, other):
    return x.scaled is not None and x.scaled.units and not other.batched
