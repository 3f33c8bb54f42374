"""The op table as partial derivatives: each derivative rule with an adjoint of one, simplified."""

import functools
import math
import operator

import numpy as np

from tapejit.spec.expr import Expr, as_expr, chained
from tapejit.spec.primitives import PRIMITIVES
from tapejit.spec.table import BY_NAME

# Functions whose values are what Numba's own implementation gives -> that, and the op that states their derivatives
NUMBAS = {
    "remainder": (operator.mod, "remainder"),
    "np.cbrt": (np.cbrt, "cbrt"),
    "np.logaddexp": (np.logaddexp, "logaddexp"),
    "math.lgamma": (math.lgamma, "lgamma"),
    "math.gamma": (math.gamma, "gamma"),
}


def op_named(name):
    """The op of a name, or the one that states the derivative of a primitive or of a function of Numba's."""
    if name in NUMBAS:
        return BY_NAME[NUMBAS[name][1]]
    return BY_NAME[PRIMITIVES[name].op if name in PRIMITIVES else name]


@functools.cache
def value_rule(name):
    return as_expr(op_named(name).trace(0))


@functools.cache
def partial_rule(name, operand):
    """d out / d operand as an expression of x, y, z and out; a constant where it is one."""
    return _simplify(as_expr(op_named(name).trace(operand + 1)))


def is_constant(expr, value):
    return expr.op == "const" and expr.args[0] == value


def _simplify(expr):
    expr = chained(expr) or expr  # an adjoint of one is not zero
    if expr.op == "const":
        return expr
    if expr.op == "symbol":
        return as_expr(1.0) if expr.args[0] == "g" else expr
    args = [_simplify(arg) for arg in expr.args]
    if expr.op == "mul" and is_constant(args[0], 1.0):
        return args[1]
    if expr.op in ("mul", "div") and is_constant(args[1], 1.0):
        return args[0]
    if expr.op == "mul" and all(arg.op == "const" for arg in args):
        return as_expr(args[0].args[0] * args[1].args[0])
    if expr.op == "neg" and args[0].op == "const":
        return as_expr(-args[0].args[0])
    return Expr(expr.op, *args)
