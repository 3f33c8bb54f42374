"""Which variables are running sums, whose additions can share one adjoint.

In ``for ...: s += e`` a statement per pass would make a chain: each pass has its own adjoint, which the sweep copies to
the pass before. A running sum keeps one statement instead, and each pass is recorded as an addition to it. That is
sound when no derivative of ``s`` taken before an addition is used after it; so a variable qualifies only if, in the
innermost loop around each addition, it is not read but by further additions and by comparisons.
"""

import operator

from tapejit.edge.compiler import compute_cfg_from_blocks
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.scalars import PREDICATES
from tapejit.nopython.types import Tape

_SUMS = (operator.add, operator.iadd)
_DIFFERENCES = (operator.sub, operator.isub)
DEEPEST = 60  # temporaries between a sum and the variable it goes into: further ones are not followed


def running_sums(blocks, typeof, uses):
    """The names (all SSA versions) of variables that may be kept as running sums."""
    return _Analysis(blocks, typeof, uses).run()


class _Analysis:
    def __init__(self, blocks, typeof, uses):
        self.blocks = blocks
        self.uses = uses.read
        self.groups = {}  # a variable's own name -> its versions of tape type
        self.results = {}  # (block, name) -> what becomes of a temporary, for the group under consideration
        for name, places in uses.assigned.items():
            if not name.startswith("$") and isinstance(typeof(name), Tape):
                self.groups.setdefault(places[0][1].target.unversioned_name, set()).add(name)

    def run(self):
        found = set()
        loops = None
        for group in self.groups.values():
            additions, reads = set(), set()
            self.results = {}
            for name in group:
                for label, inst in self.uses.get(name, ()):
                    kind = self._kind(label, inst, name, group)
                    if kind == "read":
                        reads.add(label)
                    elif kind == "addition":
                        additions.add(label)
            if not additions:
                continue
            if loops is None:
                loops = [set(loop.body) for loop in compute_cfg_from_blocks(self.blocks).loops().values()]
            around = [min((loop for loop in loops if b in loop), key=len, default=None) for b in additions]
            if None not in around and all(not reads & loop for loop in around):
                found |= group
        return found

    def _kind(self, label, inst, name, group, depth=0):
        """What becomes of a variable in one instruction: "copy", "compared", "addition" or "read"."""
        if not isinstance(inst, ir.Assign):
            return "read"
        value = inst.value
        if isinstance(value, ir.Var):
            return self._result(label, inst.target.name, group, "copy", depth)
        if not isinstance(value, ir.Expr) or value.op not in ("binop", "inplace_binop"):
            return "read"
        fn = value.fn if value.op == "binop" else value.immutable_fn
        if fn in PREDICATES:
            return "compared"
        left, right = value.lhs.name == name, value.rhs.name == name
        if left and right:
            return "read"
        if fn in _SUMS or (fn in _DIFFERENCES and left):
            return self._result(label, inst.target.name, group, "addition", depth)
        return "read"

    def _result(self, label, target, group, kind, depth):
        """The same for a variable whose sum, or copy, is assigned to ``target``."""
        if target in group:
            return kind
        if depth == DEEPEST:
            return "read"
        if (label, target) not in self.results:
            self.results[label, target] = "read"  # what is carried round a loop comes back to itself
            self.results[label, target] = self._temporary(label, target, group, depth + 1)
        known = self.results[label, target]
        return kind if known == "other" else known

    def _temporary(self, label, target, group, depth):
        """What becomes of a temporary of the same block on its way into the variable."""
        following = self.uses.get(target, ())
        if not following or any(where != label for where, _ in following):
            return "read"
        kinds = {self._kind(label, inst, target, group, depth) for _, inst in following}
        if "read" in kinds:
            return "read"
        return "addition" if "addition" in kinds else "other"
