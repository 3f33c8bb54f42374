"""The scalar functions that rules may call, by the name they have in an expression."""

from numba.core import types
from numba.extending import intrinsic

from tapejit.kernels import vecmath

NAMES = (
    "exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh "
    "sigmoid softplus pow erf erfc hypot"
).split()


def _rounding(name):
    """An LLVM intrinsic that keeps the float type (Numba's ``math.floor`` gives an integer)."""

    @intrinsic
    def function(typingctx, x):
        if not isinstance(x, types.Float):
            return None

        def codegen(context, builder, signature, args):
            fn = builder.module.declare_intrinsic(f"llvm.{name}", [args[0].type])
            return builder.call(fn, args)

        return x(x), codegen

    return function


@intrinsic
def select(typingctx, condition, x, y):
    """``x`` where the condition holds, else ``y``: one instruction, no branch."""
    if not (isinstance(condition, types.Boolean) and x == y):
        return None

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return x(condition, x, y), codegen


FUNCTIONS = {name: getattr(vecmath, name) for name in NAMES}
FUNCTIONS.update({name: _rounding(name) for name in ("floor", "ceil", "trunc", "rint", "sqrt")})
FUNCTIONS["abs"] = _rounding("fabs")
FUNCTIONS["select"] = select
