"""The bottom of every nesting: arithmetic on plain floats, and expressions of the op table over any algebra."""

import operator

from llvmlite import ir
from numba.core import cgutils, types

from tapejit.edge.instructions import write, written_out
from tapejit.edge.vecmath.emit import CONTRACT, FORMATS
from tapejit.edge.vecmath.processor import has_fma
from tapejit.nopython import rules
from tapejit.spec.primitives import COMPARISON, LOGIC, PRIMITIVES


class Algebra:
    """Expressions of the op table over the operations that each algebra defines."""

    def __init__(self, context, builder, ty):
        self.context = context
        self.builder = builder
        self.ty = ty

    def evaluate(self, expr, symbols, memo=None):
        memo = {} if memo is None else memo
        if expr.op == "symbol":
            return symbols[expr.args[0]]
        if expr.op == "const":
            return self.constant(expr.args[0])
        if expr not in memo:
            args = [self.evaluate(arg, symbols, memo) for arg in expr.args]
            memo[expr] = self._operation(expr.op, args)
        return memo[expr]

    def _operation(self, op, args):
        row = PRIMITIVES.get(op)
        if row is not None and row.kind == COMPARISON:
            return self.compare(row.sign, *args)
        if row is not None and row.kind == LOGIC:
            return write(self.builder, op, args)
        if op == "select":
            return self.select(*args)
        return self.apply(op, *args)

    def compare(self, predicate, x, y):
        x, y = self.primal(x), self.primal(y)
        unordered = predicate == "!="
        return (self.builder.fcmp_unordered if unordered else self.builder.fcmp_ordered)(predicate, x, y)


class Real(Algebra):
    """Plain floats. Coefficients may contract a product and a sum into a fused multiply-add; values never do."""

    def __init__(self, context, builder, ty, coefficients=False):
        super().__init__(context, builder, ty)
        self.flags = CONTRACT if coefficients else ()
        self.ir = context.get_value_type(ty)
        self.one = self.constant(1.0)

    def constant(self, value):
        return ir.Constant(self.ir, float(value))

    def unpack(self, value):
        return value

    pack = unpack
    constant_of = unpack

    def primal(self, value):
        return value

    def lift(self, ty, value):
        return (
            value if ty == self.ty else self.context.cast(self.builder, value, types.unliteral(ty), self.ty)
        )

    def is_nothing(self, value):
        return self.builder.fcmp_ordered("==", value, self.constant(0.0))

    def adjoint_times(self, adjoint, coefficient, both=False):
        """What an adjoint hands on: an adjoint of zero hands on nothing, even to an infinite slope; ``both``: nor a slope."""
        nothing = self.is_nothing(adjoint)
        if both:
            nothing = self.builder.or_(nothing, self.is_nothing(coefficient))
        return self.select(nothing, self.constant(0.0), self.mul(adjoint, coefficient))

    def _is(self, value, number):
        return isinstance(value, ir.Constant) and value.constant == number

    def add(self, x, y):
        return self.builder.fadd(x, y, flags=self.flags)

    def mul(self, x, y):
        if self._is(x, 1.0):
            return y
        return x if self._is(y, 1.0) else self.builder.fmul(x, y, flags=self.flags)

    def select(self, condition, x, y):
        return self.builder.select(condition, x, y)

    def apply(self, name, *args):
        builder = self.builder
        if name == "add":
            return self.add(*args)
        if name == "mul":
            return self.mul(*args)
        if name in PRIMITIVES:
            return write(builder, name, args, self.flags, self._function)
        if name in rules.NUMBAS:
            return self.numba_operator(rules.NUMBAS[name][0], args, (self.ty,) * len(args))
        return self.evaluate(rules.value_rule(name), dict(zip("xyz", args, strict=False)))

    def _function(self, row, args):
        """The same functions as Numba's, so that values agree to the last bit with the undifferentiated function."""
        module = self.builder.module
        if not row.c:
            return written_out(self.builder, row, args, FORMATS[self.ty], has_fma(self.context))
        if row.c.startswith("llvm."):
            return self.builder.call(module.declare_intrinsic(row.c, [self.ir]), args)
        suffix = "f" if self.ty == types.float32 else ""
        fn = cgutils.get_or_insert_function(
            module, ir.FunctionType(self.ir, [self.ir] * len(args)), row.c + suffix
        )
        fn.attributes.add("nounwind")
        fn.attributes.add("readnone")
        return self.builder.call(fn, args)

    def numba_operator(self, function, args, argtypes):
        """Numba's own implementation of an operator, for values that must agree with it."""
        fnty = self.context.typing_context.resolve_value_type(function)
        sig = fnty.get_call_type(self.context.typing_context, argtypes, {})
        value = self.context.get_function(fnty, sig)(self.builder, args)
        return self.context.cast(self.builder, value, sig.return_type, self.ty)

    def check_divisor(self, value):
        """Numba's division by zero: an exception, or nothing under the ``numpy`` error model."""
        zero = self.builder.fcmp_ordered("==", value, self.constant(0.0))
        strip = getattr(self.builder.function, "tapejit_strip", None)
        if strip is not None and strip.puts_off_division_by_zero(zero):
            return
        with cgutils.if_unlikely(self.builder, zero):
            self.context.error_model.fp_zero_division(self.builder, ("division by zero",))

    def power(self, x, y, exponent):
        """x ** y as Numba computes it; ``exponent`` is the exponent's own type and value, or a Python int."""
        if isinstance(exponent, int):
            return repeated_product(self, x, exponent)
        ty, value = exponent
        if isinstance(ty, types.Integer):
            return self.numba_operator(operator.pow, (x, value), (self.ty, types.unliteral(ty)))
        return self.apply("pow", x, y)


def repeated_product(alg, x, n):
    """x ** n with the products in Numba's order (``static_power``)."""
    if n == 0:
        return alg.constant(1.0)
    result = None
    power, k = x, abs(n)
    while k:
        if k & 1:
            result = power if result is None else alg.mul(result, power)
        k >>= 1
        if k:
            power = alg.mul(power, power)
    return alg.apply("div", alg.constant(1.0), result) if n < 0 else result
