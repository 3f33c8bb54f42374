"""The op reference, written from the op table: ``python -m tapejit.spec.reference > docs/ops.md``."""

from tapejit.spec.expr import chained
from tapejit.spec.primitives import PRIMITIVES
from tapejit.spec.table import OPS, VALUES

_HEAD = """# The ops

Every differentiable operation, from the op table; this page is written by `python -m tapejit.spec.reference`.

## Elementwise

`g` is the adjoint of the result, `x`, `y`, `z` are the operands, `out` is the result. `where(c, a, b)` is a where the
condition holds, else b. An adjoint `g` that is exactly zero stays zero, whatever it is multiplied with or divided by.
Functions named twice in PyTorch's API (`x.exp()` and `exp(x)`) are one op.

| op | what it is | value | times dx | times dy | times dz |
|---|---|---|---|---|---|
"""
_STRUCTURED = """
## Structured

What the derivative of each operand reads, besides the adjoint.

| op | node | reads |
|---|---|---|
"""


def formula(expr) -> str:
    """An expression as text, with brackets only where one operand is itself composed."""
    expr = chained(expr) or expr
    if expr.op == "symbol":
        return expr.args[0]
    if expr.op == "const":
        return f"{expr.args[0]:.6g}"
    operands = [formula(arg) for arg in expr.args]
    sign = PRIMITIVES[expr.op].sign
    if sign:
        return f" {sign} ".join(_bracketed(arg, text) for arg, text in zip(expr.args, operands, strict=True))
    if expr.op == "neg":
        return f"-{_bracketed(expr.args[0], operands[0])}"
    return f"{'where' if expr.op == 'select' else expr.op}({', '.join(operands)})"


def _bracketed(expr, text):
    composed = expr.op == "neg" or (expr.op in PRIMITIVES and PRIMITIVES[expr.op].sign)
    return f"({text})" if composed else text


def reference() -> str:
    """The page, as Markdown."""
    rows = [op for op in OPS if op.code and op.alias_of is None and not op.name.startswith("_")]
    elementwise = "".join(_elementwise_row(op) for op in rows if op.elementwise)
    structured = "".join(_structured_row(op) for op in rows if not op.elementwise)
    return _HEAD + elementwise + _STRUCTURED + structured


def _elementwise_row(op):
    rules = [f"`{formula(op.trace(1 + j))}`" if rule else "none" for j, rule in enumerate(op.rules)]
    cells = [f"`{op.name}`", op.doc, f"`{formula(op.trace(0))}`", *rules, *[""] * (3 - len(rules))]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _structured_row(op):
    operands = zip(VALUES, op.needs, op.rules, strict=False)
    reads = [f"{name}: {', '.join(need) or 'nothing'}" for name, need, rule in operands if rule]
    return f"| `{op.name}` | `{op.node_name}` | {'; '.join(reads)} |\n"


if __name__ == "__main__":
    print(reference(), end="")
