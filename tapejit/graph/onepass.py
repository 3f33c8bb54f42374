"""Repeated runs as loops: where in memory their passes read and write."""


import numpy as np

from tapejit.core.layout import packed_strides
from tapejit.graph.chains import SHOWN, chains
from tapejit.graph.loop import OWN, Where
from tapejit.graph.node import unit_free
from tapejit.graph.passbody import LATE, Body, Irregular
from tapejit.spec.table import OPS


class Pass:
    """Makes the ``Loop`` of a run.

    Args:
        parent: the lowering of the whole tape, in which all that the run reads has its value.
        number: of the run in it.

    Attributes:
        node: the loop in the graph of the parent, once it is there.
        places: per record of a pass that is kept (node or OWN, positions over the passes), OWN being the block.
    """

    def __init__(self, parent, number, run):
        self.parent, self.run, self.number = parent, run, number
        shape = run.trips, run.period
        self.records = parent.live[run.start : run.end].reshape(shape)
        self.reads = parent.reads[run.start : run.end].reshape(*shape, 3)
        self.imm = parent.imms[run.start : run.end].reshape(shape)
        self.shown = self.records[SHOWN].tolist()
        self.index = {k: b for b, k in enumerate(self.shown)}
        self.needed = parent.needed[number]
        self.args, self.arg_numbers = [], {}
        self.places, self.rings = {}, {}
        self.unbounded = set()  # carried records that may be inf or NaN
        self.constants, self.outside = {}, {}  # records that are constants, or lie elsewhere: their dtype there
        self.fallible = []
        self.size = 0
        self.node = None

    # What the records are

    def layout(self, b):
        return self.parent._layout(self.shown[b])

    def shape(self, b):
        return tuple(self.layout(b).shape)

    def op(self, b):
        return OPS[self.parent.columns["op"][self.shown[b]]]

    def kind(self, b, j):
        """How operand j of record b moves.

        Returns:
            'same' (b), 'carried' (b, passes), 'fixed' (record), 'other' (run, b, passes), or 'gathered' (positions).
        """
        run, column = self.run, self.reads[:, b, j]
        step = int(column[2] - column[1])
        if step == run.period and column[-1] >= run.start:
            t, other = divmod(int(column[2]) - run.start, run.period)
            return ("same", other) if t == 2 else ("carried", other, 2 - t)
        if not step:
            return "fixed", int(self.parent.live[column[0]])
        owners = self.parent.owner[column]
        if owners[0] < 0 or (owners != owners[0]).any():
            return "gathered", column.astype(np.int64)
        number = int(owners[0])
        source = self.parent.runs[number]
        t, other = divmod(int(column[0]) - source.start, source.period)
        if step % source.period:
            raise Irregular
        return "other", number, other, t + step // source.period * np.arange(run.trips)

    def dtype_of(self, b):
        """The dtype in which record b lies in memory."""
        return self.outside.get(b, self.dtype)

    def firsts(self, b, j, passes):
        """The records that a carried operand is in the first passes."""
        return tuple(self.parent.live[self.reads[:passes, b, j]].tolist())

    # Memory outside

    def arg(self, node):
        """(number, first element) of the operand of the loop in whose memory a packed value lies."""
        start, steps = 0, unit_free(packed_strides(node.shape), node.shape)
        base = node.args[0] if node.op == "view" and node.attr[0] == steps else node
        if base.op in ("input", "extern", "loop") and base is not node and self.parent.is_packed(base):
            start, node = node.attr[1], base
        if node.op != "loop":
            node = self.parent._in_memory(node)
        return self.number_of(node), start

    def number_of(self, node):
        found = self.arg_numbers.get(node.id)
        if found is None:
            found = self.arg_numbers[node.id] = len(self.args)
            self.args.append(node)
        return found

    def table(self, values):
        """The operand that holds an array of ours, which nobody changes."""
        return self.number_of(self.parent.graph.extern(np.ascontiguousarray(values)))

    def where(self, base, positions):
        """Positions over the passes in an operand, as a rule if there is one."""
        steps = np.diff(positions)
        if (steps == steps[0]).all():
            return Where(base, int(positions[0]), int(steps[0]))
        return Where(base, 0, 0, table=self.table(positions.astype(np.int64)))

    def positions(self, where):
        """The positions that a Where says, pass by pass."""
        t = np.arange(self.run.trips)
        return where.start + where.step * ((t + where.shift) & where.mask if where.mask else t)

    def counted(self, values):
        """(form, by counter a Count) of numbers that Python has counted, pass by pass; None if it has not."""

    def worked_out_number(self, k, dtype):
        """The node outside of a number that is the same in every pass, where it depends on how many there are; else None."""

    def of_other(self, source, b, passes):
        """Where record b of another run lies, pass by pass: ``passes`` says which of its passes ours read."""
        positions = source.places[b][1]
        if positions is None:
            raise Irregular
        return positions[passes]

    def lies_outside(self, b, where):
        """Hear that record b lies in memory that is there for the whole program."""

    def place(self, b, t):
        """The node, None for the loop itself, and the position in it of record b in pass t."""
        node, positions = self.places[b]
        return node, int(positions[t])

    # The block

    def begin(self):
        self.args, self.arg_numbers, self.places, self.rings, self.size = [], {}, {}, {}, 0
        self.constants, self.outside = {}, {}

    def same_as(self, b, other):
        """Record b is kept where another one of a pass is."""
        self.places[b] = self.places[other]
        if other in self.rings:
            self.rings[b] = self.rings[other]

    def keep(self, b, passes=0):
        """Room for record b of every pass; of the last few only, if these are all that is read."""
        n, trips = max(self.layout(b).n, 1), self.run.trips
        late = trips - int(self.needed[b]) if self.needed[b] < trips else 0
        kept = max(late, passes + 1)
        if kept <= LATE + passes and trips > 2 * kept:
            count = 1 << (kept - 1).bit_length()
            start, self.size = self.size, self.size + count * n
            write = Where(OWN, start, n, passes, count - 1) if count > 1 else Where(OWN, start)
            positions = start + n * ((np.arange(-passes, trips) + passes) & (count - 1))
            self.rings[b] = count
        else:
            start, self.size = self.size, self.size + (trips + passes) * n
            write = Where(OWN, start + passes * n, n)
            positions = start + n * np.arange(trips + passes)
        self.size += self.size % 2
        self.places[b] = None, positions[passes:]
        return write, positions

    def room_of(self, chain):
        """(the operand or OWN, first element) of the memory in which an array changes by parts, pass by pass."""
        n = self.layout(chain.last).n
        start, self.size = self.size, self.size + n + n % 2
        self.places[chain.last] = None, np.full(self.run.trips, start)
        return OWN, start

    def build(self):
        """The loop and its operands in the graph of the parent."""
        floats = [self.layout(b).dtype.numpy for b in range(self.run.period) if self.layout(b).dtype.is_floating_point]
        self.dtype = "f4" if floats and all(d.itemsize == 4 for d in floats) else "f8"
        self.chains = chains(self)
        while True:
            self.begin()
            body = Body(self)
            body.run_through()
            if not body.found_unbounded():
                break
        self.loop = body.loop
        self.body = body
        self.loop.size = self.size
        self.fallible = body.fallible
        return self.loop, self.args

    def is_finite(self, b):
        return self.body.is_finite(b)

    def number_guards(self, places):
        """Tell the loop which guards of the program are its own (see ``Rolled.number_guards``)."""
        loop = self.loop
        loop.guards, loop.numbers = [], []
        for node, kind, expected, passes in self.body.guards:
            if node.op != "const":
                loop.numbers.append(self.guard_numbers(passes, places))
                loop.guards.append((node, kind, expected))
        for node in self.fallible:
            loop.guards.append((node, "status", 0))
            loop.numbers.append((places["status", self.node.id], 0))

    def guard_numbers(self, passes, places):
        """The program's number of a guard in the first pass, and the step from pass to pass."""
        numbers = np.array([places[g] for g in passes])
        steps = np.diff(numbers)
        if (steps != steps[0]).any():
            raise Irregular
        return int(numbers[0]), int(steps[0])
