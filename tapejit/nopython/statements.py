"""Wide statements: a sum over many elements recorded as one, its terms written in a loop.

    position = reserve(like, n)                  # where the terms go, or -1 when the tape is full
    put(like, position + k, coefficient, x)      # d out += coefficient * d x
    out = close(like, position, n, value)

Nothing else may be recorded between ``reserve`` and ``close``. ``like`` is any value of the tape type.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from tapejit.edge.compiler import signature
from tapejit.nopython.algebra import TapeAlgebra, algebra
from tapejit.nopython.memory import I32, I64
from tapejit.nopython.statementtape import load_counter, state, store_counter
from tapejit.nopython.types import Active, is_active, level


@intrinsic
def reserve(typingctx, like, n):
    def codegen(context, builder, sig, args):
        at = state(builder, TapeAlgebra(context, builder, like).coef)
        position = load_counter(builder, at.terms)
        room = builder.icmp_signed("<", builder.add(position, args[1]), at.capacity)
        store_counter(builder, builder.select(room, position, at.capacity), at.terms)
        return builder.select(room, position, ir.Constant(I64, -1))

    return types.int64(like, types.int64), codegen


@intrinsic
def put(typingctx, like, position, coefficient, x):
    """The coefficient is a number or a value of ``like``'s scalar; ``x`` is an element with a unit coefficient."""
    x_active = is_active(x)

    def codegen(context, builder, sig, args):
        coef = TapeAlgebra(context, builder, like).coef
        at = state(builder, coef)
        value = coef.pack(coef.lift(sig.args[2], args[2]))
        index = ir.Constant(I64, 0)
        if x_active and level(x) == level(like):
            alg = algebra(context, builder, x)
            (own, index), *_ = alg.unpack(args[3]).terms or [(coef.constant(1.0), index)]
            value = coef.pack(coef.mul(coef.unpack(value), own))
        data = context.data_model_manager[coef.ty].as_data(builder, value)
        builder.store(data, builder.gep(at.coefficients, [args[1]], inbounds=True), align=8)
        builder.store(builder.trunc(index, I32), builder.gep(at.indices, [args[1]], inbounds=True), align=4)
        return context.get_dummy_value()

    return types.void(like, types.int64, types.unliteral(coefficient), x), codegen


@intrinsic
def close(typingctx, like, position, n, value):
    """The recorded value; ``value`` is of the scalar's type."""
    result = like.over(types.unliteral(value)) if not isinstance(value, Active) else like.over(value)

    def codegen(context, builder, sig, args):
        alg = TapeAlgebra(context, builder, result)
        at = state(builder, alg.coef)
        room = builder.icmp_signed(">=", args[1], ir.Constant(I64, 0))
        statement = load_counter(builder, at.statements)
        with builder.if_then(room):
            count = builder.gep(at.counts, [statement], inbounds=True)
            builder.store(builder.trunc(args[2], I32), count, align=4)
            store_counter(builder, builder.add(args[1], args[2]), at.terms)
            store_counter(builder, builder.add(statement, ir.Constant(I64, 1)), at.statements)
        pending = alg.passive(alg.base.unpack(args[3]))
        pending.terms = [(alg.coef.constant(1.0), builder.select(room, statement, ir.Constant(I64, 0)))]
        return alg.pack(pending)

    return signature(result, like, types.int64, types.int64, types.unliteral(value)), codegen


@intrinsic
def inner(typingctx, x):
    """The value one level down: a float, or an active scalar of the enclosing differentiation."""
    if not isinstance(x, Active):
        ty = types.unliteral(x)
        return ty(ty), lambda context, builder, sig, args: args[0]

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, x)
        return alg.base.pack(alg.unpack(args[0]).v)

    return x.scalar(x), codegen


@intrinsic
def constant_like(typingctx, like, value):
    """A number, or a shallower active scalar, as a constant of ``like``'s type."""
    if not isinstance(like, Active):
        return None

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, like)
        return alg.pack(alg.lift(sig.args[1], args[1]))

    return like(like, types.unliteral(value)), codegen


@intrinsic
def element_like(typingctx, array):
    """A zero of an active array's element type."""
    like = array.dtype

    def codegen(context, builder, sig, args):
        alg = algebra(context, builder, like)
        return alg.pack(alg.constant(0.0))

    return like(array), codegen
