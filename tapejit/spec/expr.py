"""Rules as expressions: an op's scalar rules are called once with symbols, and what they compute is written down.

The same rule then becomes kernel code for float64 and float32 (its constants take the kernel's type, so float32
stays float32), inlined code of a replayed program, or, called with Tensors, records on the tape.
"""

class Expr:
    """A node of a scalar expression: an op's name and its operands, a named symbol, or a constant."""

    __slots__ = ("args", "op")

    def __init__(self, op, *args):
        self.op = op
        self.args = args

    def __repr__(self):
        return f"{self.op}({', '.join(map(repr, self.args))})"

    def __neg__(self):
        return Expr("neg", self)

    def __pow__(self, exponent):
        return Expr("pow", self, as_expr(exponent))

    __hash__ = object.__hash__


def symbol(name):
    """A scalar that the code will know by ``name``."""
    return Expr("symbol", name)


def as_expr(value):
    """A Python number becomes a constant, an expression stays what it is."""
    return value if isinstance(value, Expr) else Expr("const", float(value))


def chained(expr):
    """The plain product or quotient that a ``chain`` or ``chain_div`` of expressions guards, None for other expressions."""
    if expr.op != "select" or expr.args[0].op != "eq":
        return None
    condition, zero, product = expr.args
    same = product.op in ("mul", "div") and product.args[0] is condition.args[0]
    return product if same and all(e.op == "const" and e.args[0] == 0 for e in (condition.args[1], zero)) else None


def _install_operators():
    def forward(op):
        return lambda x, y: Expr(op, x, as_expr(y))

    def reflected(op):
        return lambda x, y: Expr(op, as_expr(y), x)

    for dunder, op in {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "and": "and", "or": "or"}.items():
        setattr(Expr, f"__{dunder}__", forward(op))
        setattr(Expr, f"__r{dunder}__", reflected(op))
    for op in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Expr, f"__{op}__", forward(op))


_install_operators()


class Primitives:
    """``m.tanh(x)`` in a value rule: the scalar function of that name, see ``kernels.expression``."""

    def __getattr__(self, name):
        return lambda *args: Expr(name, *map(as_expr, args))


m = Primitives()
