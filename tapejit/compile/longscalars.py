"""Long scalar code: functions of bounded length, and one loop for what recurs in it (see ``compile.stretches``).

Values that another function reads, or a loop by its table, travel through the workspace. Loops that follow one another are
called by a table, too, so that nested loops take as much code as there are different bodies in them.
"""

import collections
import itertools

from tapejit.compile.scalarcode import IN_MEMORY, itemsize, load, store
from tapejit.compile.stretches import Stretch, stretches
from tapejit.compile.tableloops import FARTHEST, Calls, StretchLoop, copied, operands_of

ENOUGH = 2000  # instructions from which on stretches are looked for: fewer are compiled soon, and are faster as they are
LEAST = 0.3  # of the instructions, that stretches must spare
CALLS = 32  # of loops in turn, after which memory may be used again
CALL = 4  # instructions that a call outside of a table is like
MANY = 4  # loops that follow one another, from which on a table says which they are


class LongScalars:
    """Writes one block of scalar code.

    Args:
        writer: the ``Code`` of the program.
        code: instructions, see ``body.Body``.
        recorded: by position the number of its node: in that order loops of the program can be seen.
        stores: by position the places that a value goes to.
        guarded: positions that are read once all is done.
    """

    def __init__(self, writer, code, recorded, stores, guarded):
        self.writer, self.code, self.stores, self.guarded = writer, code, stores, guarded
        self.order = [p for p, instruction in enumerate(code) if operands_of(instruction)]
        self.places = {}  # position -> its place, for values that lie in memory
        self.spare = {}  # the same for others, in a row of which more is read
        self.loops = self._loops(recorded) if writer.scalars >= ENOUGH else {}
        self.groups = self._grouped()

    def write(self):
        self._find_places()
        loops = list({id(loop): loop for loop in self.loops.values()}.values())
        for loop in loops:
            loop.prepare()
        calls = Calls(self.writer, loops)
        for in_turn, groups in itertools.groupby(self.groups, _is_in_turn):
            if in_turn:
                calls.write([(self.loops[stretch], stretch) for group in groups for stretch in group])
            else:
                for group in groups:
                    self._function(group)
        self._copy()

    def value(self, p):
        """The value at a position, from memory if need be, in the function that is being written."""
        if self.code[p][0] in ("const", "load"):
            return self.writer.instruction(None, self.code, p, None)
        b, dtype = self.writer.builder, self.code[p][1]
        return load(b, dtype, b.bitcast(self.writer.address(*self.places[p]), IN_MEMORY[dtype].as_pointer()))

    def home(self, p):
        """Where a load reads."""
        _, dtype, node, affine = self.code[p]
        base, offset = self.writer.memory.home[node]
        return base, offset + affine[0] * itemsize(dtype)

    # What becomes of the code

    def _loops(self, recorded):
        """By stretch its loop; empty where too little recurs."""
        if not recorded.keys() >= set(self.order):
            return {}
        before, self.order = self.order, sorted(self.order, key=recorded.__getitem__)
        self.told = list(map(self._operation, self.order))
        number = {p: k for k, p in enumerate(self.order)}
        operands = [[number.get(a, -1) for a in operands_of(self.code[p])] for p in self.order]
        kinds = {}
        found = stretches([kinds.setdefault(told, len(kinds)) for told in self.told], operands)
        loops = {}
        for stretch in found:
            key = stretch.body, stretch.ways
            loops.setdefault(key, StretchLoop(self, stretch)).members.append(stretch)
        spared = sum(s.trips * s.period for s in found) - sum(len(body) for body, _ in loops)
        if spared > LEAST * len(self.order) and self.writer.memory.size + 8 * len(self.code) < FARTHEST:
            return {s: loops[s.body, s.ways] for s in found}
        self.order = before
        return {}

    def _operation(self, p):
        """What must be equal of an instruction and what it reads."""
        instruction = self.code[p]
        kinds = []
        for a in operands_of(instruction):
            what, dtype, *rest = self.code[a]
            if what == "const":
                rest = () if dtype == "f8" else rest
            elif what == "load":
                base, offset = self.home(a)
                rest = (base, offset < FARTHEST or a)
            else:
                what, rest = "value", ()
            kinds.append((what, dtype, *rest))
        return *instruction[:3], *kinds

    def _parts(self):
        """Lists of instructions, and stretches, in order."""
        k = 0
        for stretch in [*self.loops, Stretch(len(self.order), 0, 0)]:
            for first in range(k, stretch.start, self.writer.CHUNK):
                yield self.order[first : min(first + self.writer.CHUNK, stretch.start)]
            if stretch.trips:
                yield stretch
            k = stretch.end

    def _grouped(self):
        """The functions: lists of lists of instructions, and of stretches; many in turn are groups of their own."""
        groups, group, length = [], [], 0
        for are_stretches, parts in itertools.groupby(self._parts(), lambda part: part.__class__ is Stretch):
            parts = list(parts)
            if are_stretches and len(parts) >= MANY:
                groups += [group] * bool(group) + [parts[k : k + CALLS] for k in range(0, len(parts), CALLS)]
                group, length = [], 0
                continue
            for part in parts:
                size = CALL if are_stretches else len(part)
                if group and length + size > self.writer.CHUNK:
                    groups.append(group)
                    group, length = [], 0
                group.append(part)
                length += size
        return [*groups, group] if group else groups

    def positions(self, stretch):
        return self.order[stretch.start : stretch.end]

    # Memory

    def _find_places(self):
        """Room for values that are read from memory, until the last function that reads them."""
        made, last, afar = {}, {}, set()
        for g, group in enumerate(self.groups):
            for part in group:
                for p in self.positions(part) if part.__class__ is Stretch else part:
                    made[p] = g, part.__class__ is Stretch
                for a in self.loops[part].from_memory(part) if part.__class__ is Stretch else _read(self.code, part):
                    if a in made:
                        last[a] = g
                        if part.__class__ is Stretch or made[a] != (g, False):
                            afar.add(a)
        late = [p for p in self.stores if p in made and made[p][1]] + [p for p in self.guarded if p in made]
        afar.update(late)
        last.update(dict.fromkeys(late, len(self.groups)))
        for p in afar:
            home = next((place for place in self.stores.get(p, ()) if place[0] == "ws"), None)
            if home:
                self.places[p] = home
        first, ends = collections.defaultdict(list), collections.defaultdict(list)
        for block in self._blocks(afar - self.places.keys()):
            first[made[block[0]][0]].append(block)
            ends[max(last.get(p, 0) for p in block)].append(block)
        free = collections.defaultdict(list)
        for g in range(len(self.groups)):
            for block in first[g]:
                size = 8 * len(block)
                start = free[size].pop() if free[size] else self.writer.memory.more(size)
                for j, p in enumerate(block):
                    (self.places if p in afar else self.spare)[p] = "ws", start + 8 * j
            for block in ends[g]:
                free[8 * len(block)].append((self.places.get(block[0]) or self.spare[block[0]])[1])

    def _blocks(self, wanted):
        """Lists of positions that lie in a row: what an instruction makes pass by pass."""
        for part in (part for group in self.groups for part in group):
            positions = self.positions(part) if part.__class__ is Stretch else part
            columns = [[p] for p in positions if p in wanted]
            if part.__class__ is Stretch:
                columns = [positions[k :: part.period] for k in range(part.period)]
            for column in columns:
                found = [p for p in column if p in wanted]
                if len(found) > 1 and not any(p in self.places for p in column):
                    yield column
                else:
                    yield from ([p] for p in found)

    # Functions

    def _function(self, group):
        values = {}
        with self.writer.apart_from("chunk"):
            for part in group:
                if part.__class__ is Stretch:
                    self.loops[part].call(part)
                else:
                    self._straight(part, values)

    def _straight(self, part, values):
        for a in _read(self.code, part):
            if a not in values:
                values[a] = self.value(a)
        stores = {p: [*dict.fromkeys([*self.stores.get(p, ()), *self._place(p)])] for p in part}
        self.writer.instructions(self.code, part, values, stores, True)

    def _place(self, p):
        return (self.places[p],) if p in self.places else ()

    def _copy(self):
        """What goes to several places, or out of the program, or has not been worked out here."""
        moved = collections.defaultdict(list)
        stretched = {p for stretch in self.loops for p in self.positions(stretch)}
        for p, places in self.stores.items():
            for place in places:
                if p in stretched and place != self.places[p]:
                    moved[self.code[p][1], place[0]].append((self.places[p][1], place[1]))
                elif self.code[p][0] in ("const", "load"):
                    moved[None].append((p, place))
        for p, place in moved.pop(None, ()):
            dtype = self.code[p][1]
            b = self.writer.builder
            store(b, dtype, self.value(p), b.bitcast(self.writer.address(*place), IN_MEMORY[dtype].as_pointer()))
        for (dtype, base), pairs in moved.items():
            copied(self.writer, dtype, base, pairs)


def _is_in_turn(group):
    """Whether a group is of stretches alone."""
    return all(part.__class__ is Stretch for part in group)


def _read(code, positions):
    """What instructions read that others have made, or that is no instruction."""
    own = set(positions)
    return dict.fromkeys(a for p in positions for a in operands_of(code[p]) if a not in own)
