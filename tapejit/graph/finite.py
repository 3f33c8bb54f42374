"""Which values of a graph are finite as long as its inputs are, and no polynomial overflows.

Eager execution multiplies every adjoint so that an exact zero stays zero; where the factor is such a value, the plain product
gives the same, and costs a program nothing.
"""

import math

_KEEPS = set(
    """add sub mul neg abs sin cos tanh sigmoid erf erfc atan select view spread place sum pack cast copy min max floor ceil
    trunc rint""".split()
)
_LEAVES = {"input", "extern"}


class Finite:
    """The values already looked at, by node."""

    def __init__(self):
        self._known = {}

    def __call__(self, node) -> bool:
        known = self._known
        if node.id in known:
            return known[node.id]
        stack = [node]
        while stack:
            x = stack[-1]
            waiting = [a for a in x.args if a.id not in known] if x.op in _KEEPS else []
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if x.op == "const":
                known[x.id] = math.isfinite(x.attr.value)
            else:
                known[x.id] = x.op in _LEAVES or (x.op in _KEEPS and all(known[a.id] for a in x.args))
        return known[node.id]

    def rule(self, op, args):
        """The name of the plain operation that does for a ``chain`` or ``chain_div`` of these operands, None for others."""
        nothing = op.name in ("_chain", "_chain_div") and args[0].op == "const" and args[0].attr.nothing
        if op.name == "_chain" and (nothing or self(args[1])):
            return "mul"
        if op.name == "_chain_div" and (nothing or (args[1].op == "const" and args[1].attr.value != 0)):
            return "div"
        return None
