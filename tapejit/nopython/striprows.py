"""Strips over two nested loops: all passes of the inner one, for as many rows of the outer one as go together.

A grid that is gone through row by row would be a strip for each row, and each would ask the same questions again. Where the
outer loop does nothing but count, compute numbers and run the inner loop, whose range is the same for all rows, the strip's
loop is written as two: each row begins with what the outer loop's body computes for it.

    for i in range(1, n - 1):        rows
        h = i * dx                   done again for each row
        for j in range(1, m - 1):    passes of a row
            w[i, j] = ...

How many rows go together is found at run time; it may be the one that the strip begins in.
"""

from numba.core import types

from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.affine import Affine, Remainder
from tapejit.nopython.regions import variables_read
from tapejit.nopython.strips import Body, Loop, Unfit, counting
from tapejit.nopython.types import is_active, is_number


class Rows:
    """The loop around a loop that qualifies.

    Attributes:
        iterator: name of its range iterator.
        counters: names of its counter's value.
        label: of the block from the counter to the inner loop.
        behind: of the block behind the inner loop.
        instructions: what that block computes for each row.
        start: the first number of the inner range, an ``Affine``.
        slopes: variables in indices -> by how much they go up from row to row.
        changing: names of what may not be the same for all rows.
    """

    def __init__(self, iterator, counters, label, behind):
        self.iterator = iterator
        self.counters = counters
        self.label = label
        self.behind = behind
        self.instructions = []
        self.start = None
        self.slopes = {}
        self.changing = set(counters)

    def slope(self, part):
        """By how much an index goes up from row to row."""
        return sum(k * self.slopes[variable] for variable, k in part.variables)


def rows_around(blocks, loop, typeof, sums, uses):
    """The ``Rows`` around a loop; None if they do not qualify."""
    if loop.assigned & sums or any(access.is_one for access in loop.accesses.values()):
        return None
    outside = [label for label in blocks if label not in loop.body.blocks]
    into = [label for label in outside if loop.header in blocks[label].terminator.get_targets()]
    behind = blocks[blocks[loop.header].terminator.falsebr]
    if len(into) != 1 or not all(isinstance(b.terminator, ir.Jump) for b in (blocks[into[0]], behind)):
        return None
    around = behind.terminator.target
    ways = [label for label in blocks if into[0] in blocks[label].terminator.get_targets()]
    found = counting(blocks[around], typeof)
    if not found or ways != [around] or blocks[around].terminator.truebr != into[0]:
        return None
    if typeof(found[0]) != types.range_iter64_type:
        return None
    inside = {around, *into, loop.header, *loop.body.blocks}
    if not all(_leaves(inst, inside, typeof, uses) for inst in behind.body[:-1]):
        return None
    rows = Rows(*found, into[0], blocks[loop.header].terminator.falsebr)
    try:
        _Row(rows, loop, blocks[into[0]], typeof, uses).run()
    except Unfit:
        return None
    return rows


def _leaves(inst, inside, typeof, uses):
    """Whether an instruction behind the inner loop does no more than to give a number to what comes after all rows."""
    if isinstance(inst, ir.Del):
        return True
    copies = isinstance(inst, ir.Assign) and isinstance(inst.value, ir.Var)
    if not copies or not is_number(typeof(inst.target.name)) or not is_number(typeof(inst.value.name)):
        return False
    return all(label not in inside for label, _ in uses.read.get(inst.target.name, ()))


class _Row(Body):
    """Walks through what the outer loop's body does before the inner loop; raises Unfit where it is more than numbers."""

    def __init__(self, rows, loop, block, typeof, uses):
        super().__init__(Loop(None, rows.iterator, rows.counters, None), typeof, set(), set(), uses)
        self.rows = rows
        self.inner = loop
        self.block = block
        self.label = rows.label
        self.given[rows.label] = set()

    def run(self):
        inner = self.inner
        own = {inst.target.name for inst in self.block.find_insts(ir.Assign)}
        self.loop.assigned = own | inner.assigned | inner.counters
        assignments = [inst for inst in self.block.body[:-1] if not isinstance(inst, ir.Del)]
        self._require(all(isinstance(inst, ir.Assign) for inst in assignments))
        ranges, before = self._inner_range(assignments), set()
        for inst in assignments:
            if inst.target.name in ranges:
                continue
            self._require(not is_active(self.typeof(inst.target.name)))
            read = {variable.name for variable in variables_read(inst)}
            self._require(not read & own - before)  # it would be the row's before
            before.add(inst.target.name)
            self._assign(0, inst)
            self.rows.instructions.append(inst)
            self._follow(inst)
        for access in inner.accesses.values():
            for part in access.indices:
                for variable, _ in part.variables:
                    self.rows.slopes[variable] = self._slope(variable)

    def _follow(self, inst):
        """Whether it may be another number in each row: where it depends on the counter, or is read from memory."""
        names = {variable.name for variable in variables_read(inst)}
        reads = isinstance(inst.value, ir.Expr) and inst.value.op in ("getitem", "static_getitem")
        if reads or names & self.rows.changing:
            self.rows.changing.add(inst.target.name)

    def _inner_range(self, assignments):
        """Names of what makes the inner loop's iterator, which stays as it is: its range is the same for all rows."""
        made = {inst.target.name: inst.value for inst in assignments}
        names, name = set(), self.inner.iterator
        while isinstance(made.get(name), ir.Var):
            names.add(name)
            name = made[name].name
        iterator = made.get(name)
        self._require(isinstance(iterator, ir.Expr) and iterator.op == "getiter")
        call = made.get(iterator.value.name)
        self._require(isinstance(call, ir.Expr) and call.op == "call" and not call.kws and call.vararg is None)
        self._require(getattr(self.typeof(call.func.name), "typing_key", None) is range)
        names |= {name, iterator.value.name, call.func.name}
        for inst in assignments:  # the arguments may be numbers that are computed here
            if inst.target.name not in names:
                self.numbers.note(inst.target.name, inst.value)
        given = [self.numbers.of(argument.name) for argument in call.args]
        self._require(all(part is not None and not part.counter for part in given))
        self._require(not any(isinstance(name, Remainder) for part in given for name, _ in part.variables))
        self.rows.start = given[0] if len(given) > 1 else Affine()
        return names

    def _slope(self, variable):
        self._require(not isinstance(variable, Remainder))
        part = self.numbers.of(variable)
        self._require(part is not None and not any(isinstance(name, Remainder) for name, _ in part.variables))
        return part.counter
