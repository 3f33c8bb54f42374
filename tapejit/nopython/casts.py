"""np.float32(x), np.float64(x) and the same by Numba's types: on active scalars the derivatives stay."""

import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload

from tapejit.nopython.algebra import algebra
from tapejit.nopython.exchange import CASTS, stand_in
from tapejit.nopython.types import is_active, with_leaf


def _cast(leaf, function):
    @intrinsic
    def cast(typingctx, x):
        ty = with_leaf(x, leaf)

        def codegen(context, builder, sig, args):
            alg = algebra(context, builder, ty)
            return alg.pack(alg.lift(x, args[0]))

        return ty(x), codegen

    stub = stand_in(f"{leaf}()", function)

    @overload(stub)
    def typer(x):
        return (lambda x: cast(x)) if is_active(x) else None

    return stub


for _function, _leaf in ((np.float32, types.float32), (np.float64, types.float64)):
    CASTS[_function] = CASTS[_leaf] = _cast(_leaf, _function)
