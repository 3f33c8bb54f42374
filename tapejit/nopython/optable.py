"""The elementwise functions of the op table in nopython code: ``tj.gelu(x)`` of numbers, active scalars and active arrays.

So an op that is entered anywhere is known here too.
"""

from numba.core import types
from numba.extending import lower_builtin

from tapejit.eager import functional
from tapejit.edge.numba import AbstractTemplate, infer_global, signature
from tapejit.nopython import arrays, scalars
from tapejit.nopython.algebra import algebra
from tapejit.nopython.types import is_number
from tapejit.spec.table import FUNCTIONS, OPS, entered


def _enter(op):
    if not op.elementwise or op.condition or op.arity not in (1, 2) or op.name.startswith("_"):
        return
    fn = getattr(functional, op.name, FUNCTIONS[op.name])
    scalars.ARITHMETIC[fn] = op.name
    if op.arity == 2:
        scalars.TWO.add(op.name)
    _register_plain(fn, op)
    scalars.register(fn)
    (arrays.register_binary if op.arity == 2 else arrays.register_unary)(fn)


def _register_plain(fn, op):
    """The function of plain numbers, by the op's value rule."""

    @infer_global(fn)
    class PlainTemplate(AbstractTemplate):
        def generic(self, args, kws):
            if kws or len(args) != op.arity or not all(map(is_number, args)):
                return None
            kinds = {types.unliteral(a) for a in args}
            result = types.float32 if kinds == {types.float32} else types.float64
            return signature(result, *[result] * op.arity)

    @lower_builtin(fn, *[types.Float] * op.arity)
    def lower(context, builder, sig, args):
        return algebra(context, builder, sig.return_type).apply(op.name, *args)


for _op in OPS[1:]:
    _enter(_op)
entered.append(_enter)
