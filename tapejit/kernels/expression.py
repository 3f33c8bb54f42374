"""Scalar expressions as LLVM instructions: what turns a rule of the op table into kernel code.

Nothing here goes through Numba's front end, so a kernel costs a few milliseconds of Python, and LLVM's own time.
"""

from llvmlite import ir

from tapejit.edge.instructions import write, written_out
from tapejit.edge.vecmath.emit import Value
from tapejit.spec.expr import Expr


def lower_expr(expr, bindings, like: Value, known=None) -> Value:
    """Write an expression at the place of ``like``.

    Args:
        expr: an ``Expr``.
        bindings: symbol name -> Value.
        like: any Value of the float format and builder to write with.
        known: results by expression node, to share what several expressions have in common.
    """
    known = {} if known is None else known
    if like.fma:
        expr = fused(expr)
    if expr.op == "symbol":
        return bindings[expr.args[0]]
    if expr.op == "const":
        return like.const(expr.args[0])
    operands = [lower_expr(arg, bindings, like, known) for arg in expr.args]
    key = (expr.op, *(_identity(v.ir) for v in operands))
    if key not in known:
        known[key] = _apply(expr.op, operands)
    return known[key]


def fused(expr):
    """An expression with its outermost sum written as a fused multiply-add, if it is one of a product.

    Which products fuse is settled here, and not by LLVM, so that an op has the same bits in its kernel and in a program.
    """
    if expr.op not in ("add", "sub"):
        return expr
    x, y = expr.args
    if x.op == "mul":
        return Expr("fma", *x.args, y if expr.op == "add" else Expr("neg", y))
    if y.op == "mul":
        a, b = y.args
        return Expr("fma", a if expr.op == "add" else Expr("neg", a), b, x)
    return expr


def _identity(value):
    """What makes two operands the same: for constants their text, for instructions the object."""
    return str(value) if isinstance(value, ir.Constant) else value


def _apply(op, operands):
    like = operands[-1]

    def function(row, args):
        return written_out(like.b, row, args, like.fmt, like.fma)

    return like.of(write(like.b, op, [x.ir for x in operands], function=function))
