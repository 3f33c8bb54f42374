"""Variables that begin as an array, or a namedtuple, of plain numbers and become differentiated ones, in a loop or a branch.

Numba gives one type to what several assignments of a name have in common, and an array of plain numbers has none in common
with an array of active ones, nor a namedtuple of them. Where typing fails so, each value that comes in is exchanged for an
active copy at the end of the block it comes from, and the function is typed again; likewise where a function returns now
one, now the other. Integers of a namedtuple become active where its floats alone are not enough.

The array itself stays as it is. So that nobody can tell the copy from it, a function that writes into either is refused.
"""

import re

from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.types import holds_plain_floats
from tapejit.nopython.writing import Flow

MOST_VARIABLES = 40  # of one function that begin as plain numbers and become active
_VARIABLE = re.compile(r"Cannot unify (?P<kinds>.*) for '(?P<name>[^']+)'", re.S)
_PLAIN = re.compile(r"array\(float|\b(?!(?:array|Tuple|UniTuple|Tape|Dual|Literal|OptionalType)\b)[A-Za-z_]\w*\(")
_COPIES = "$tapejit_active", "$tapejit_whole"
_RESULT = re.compile(r"Can't unify return type from the following types: (?P<kinds>[^\n]*)")


class Becoming:
    """The variables of one function that were made to begin as active ones; ``forms`` has what makes the copies."""

    def __init__(self, func_ir, forms):
        self.func_ir = func_ir
        self.become = forms["become"], forms["become_whole"]  # in namedtuples, integers are the second's
        self.copied = set()  # names of the values that copies were made of
        self.tries = MOST_VARIABLES

    def mended(self, error):
        """Whether the variable, or the result, that a typing error speaks of was given active copies just now."""
        message = getattr(error, "msg", None) or ""
        variable, result = _VARIABLE.search(message), _RESULT.search(message)
        found = variable or result
        if not found or not self.tries or not _is_mixed(found["kinds"]):
            return False
        self.tries -= 1
        return self._phi(found["name"]) if variable else self._returns()

    def _phi(self, name):
        phi = next((inst.value for inst in self._assignments("phi") if inst.target.name == name), None)
        values = phi.incoming_values if phi else []
        if not values or any(self._is_whole(value) for value in values):
            return False
        for k, (label, value) in enumerate(zip(phi.incoming_blocks, values, strict=True)):
            if isinstance(value, ir.Var):
                values[k] = self._copy(self.func_ir.blocks[label], value)
        return True

    def _returns(self):
        """Results are exchanged before Numba's cast to what they have in common."""
        casts = {inst.target.name: (label, inst) for inst, label in self._assignments("cast", labels=True)}
        returned = [casts.get(block.terminator.value.name) for block in self.func_ir.blocks.values()
                    if isinstance(block.terminator, ir.Return)]  # fmt: skip
        if None in returned or any(self._is_whole(inst.value.value) for _, inst in returned):
            return False
        for label, inst in returned:
            block = self.func_ir.blocks[label]
            inst.value.value = self._copy(block, inst.value.value, block.body.index(inst))
        return True

    def _assignments(self, op, labels=False):
        for label, block in self.func_ir.blocks.items():
            for inst in block.find_insts(ir.Assign):
                if isinstance(inst.value, ir.Expr) and inst.value.op == op:
                    yield (inst, label) if labels else inst

    def _copy(self, block, value, place=-1):
        """A variable for the active copy of ``value``, made at a place of ``block``."""
        scope, loc = block.scope, value.loc
        whole = value.name.startswith(_COPIES[0])  # a second time: floats were not enough
        become = self.become[whole]
        function = scope.redefine("$tapejit_become", loc)
        copy = scope.redefine(_COPIES[whole], loc)
        call = ir.Expr.call(function, [value], (), loc)
        new = [
            ir.Assign(ir.Global(become.__name__, become, loc), function, loc),
            ir.Assign(call, copy, loc),
        ]
        block.body[place:place] = new
        for inst in new:
            self.func_ir._definitions[inst.target.name].append(inst.value)
        self.copied.add(value.name)
        return copy

    def written(self, typemap):
        """Where an array is written to of which a copy was made, or the copy itself: the instruction, or None."""
        plain = {name for name in self.copied if holds_plain_floats(typemap[name])}
        return Flow(self.func_ir, typemap).written(plain) if plain else None


    def _is_whole(self, value):
        return isinstance(value, ir.Var) and value.name.startswith(_COPIES[1])


def _is_mixed(kinds):
    """Whether a message speaks of arrays of plain floats, or of namedtuples, and of active values."""
    return bool(_PLAIN.search(kinds)) and ("Tape(" in kinds or "Dual(" in kinds)
