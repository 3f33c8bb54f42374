"""The elementwise functions of the op table in nopython code: ``tj.gelu(x)`` of numbers, active scalars and active arrays.

So an op that is entered anywhere is known here too.
"""

from numba.core import types
from numba.extending import lower_builtin

from tapejit.eager import functional, specialfunctions
from tapejit.edge.numba import AbstractTemplate, infer_global, signature
from tapejit.nopython import arrays, scalars
from tapejit.nopython.algebra import algebra
from tapejit.nopython.types import is_number
from tapejit.spec.table import FUNCTIONS, OPS, entered

_NAMED = {"_zeta": "zeta"}  # ops whose public function has another name


def _public(op):
    """The function that users call for an op, None where there is none."""
    name = _NAMED.get(op.name, op.name)
    if name.startswith("_"):
        return None
    return getattr(functional, name, None) or getattr(specialfunctions, name, None) or FUNCTIONS[name]


def _enter(op):
    if not op.elementwise or op.condition or op.arity not in (1, 2, 3) or _public(op) is None:
        return
    fn = _public(op)
    scalars.ARITHMETIC[fn] = op.name
    for arity, names in ((2, scalars.TWO), (3, scalars.THREE)):
        if op.arity == arity:
            names.add(op.name)
    _register_plain(fn, op)
    scalars.register(fn)
    (arrays.register_unary, arrays.register_binary, arrays.register_ternary)[op.arity - 1](fn)


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
