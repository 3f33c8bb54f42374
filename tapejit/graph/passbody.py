"""One pass of a repeated run as a graph of its own; what comes from elsewhere is read."""

from dataclasses import replace

import numpy as np

from tapejit.core.layout import packed_strides
from tapejit.core.plans import plan_at
from tapejit.edge.cpython import references_beside
from tapejit.graph import gather
from tapejit.graph.build import Lowering
from tapejit.graph.chains import SHOWN
from tapejit.graph.counting import NAMES
from tapejit.graph.finite import Finite
from tapejit.graph.loop import OWN, Carried, Loop, Update, Where
from tapejit.graph.node import Graph, unit_free
from tapejit.spec.structured import view
from tapejit.spec.table import OPS

IN_REGISTERS = 4  # passes over which a number is handed on without memory
SMALL_PRODUCT = 300  # multiplications of a matrix product that is written out
LATE = 2  # passes: what is read of the last ones alone is not stacked


class Irregular(Exception):
    """The passes of a run are not alike."""


class Body(Lowering):
    """Lowers the records of one pass; what comes from elsewhere are inputs."""

    def __init__(self, made):
        parent = made.parent
        self.made, self.parent, self.recorder = made, parent, parent.recorder
        self.columns, self.imm32, self.exact, self.kept = parent.columns, parent.imm32, parent.exact, parent.kept
        self.graph, self.finite = Graph(), Finite()
        self.stop, self.values, self.filled, self.placed, self.fallible, self.checks = {}, {}, {}, {}, [], []
        self.loop = Loop(self.graph, made.run.trips, made.dtype)
        self.guards = []
        self.inputs, self.put_together = {}, {}
        self.carriers = {}  # (record of a pass, passes, first records) -> number of the carried value
        self.out_numbers = {}
        self.kept_writes = {}  # record of a pass -> (Where it is written, positions, the first records)

    # Inputs of a pass

    def read(self, where, shape, dtype, finite):
        key = where, shape, dtype
        if key not in self.inputs:
            node = self.inputs[key] = self.graph.input(len(self.loop.reads), shape, dtype)
            self.loop.reads.append(where)
            self.finite._known[node.id] = bool(finite)
        return self.inputs[key]

    def _operand(self, k, j, o):
        """Operand j of record k of a pass; which record that is, its position says."""
        made = self.made
        b = made.index[k]
        kind, *rest = made.kind(b, j)
        if kind == "same":
            return self.values[made.shown[rest[0]]]
        if kind == "carried":
            return self._carried(*rest, made.firsts(b, j, rest[1]))
        if kind == "fixed":
            return self._outside(self.parent.values[rest[0]])
        if kind == "gathered":
            positions, layout, finite = self._gathered(*rest)
            value = self.read(made.where(OWN, positions), tuple(layout.shape), made.dtype, finite)
            return self.graph.cast(value, layout.dtype.numpy.str[1:])
        base, positions, shape, dtype, finite = self._elsewhere(*rest)
        if base.__class__ is not int:
            return base
        value = self.read(made.where(base, positions), shape, made.parent.loops[rest[0]].dtype_of(rest[1]), finite)
        return self.graph.cast(value, dtype)

    def _outside(self, node):
        """A value that is the same in every pass."""
        if node.op == "const":
            return self.graph.node("const", (), node.attr, node.shape, node.dtype)
        base, start = self.made.arg(node)
        return self.read(Where(base, start), node.shape, node.dtype, self.parent.finite(node))

    def _elsewhere(self, number, b, passes):
        """(operand, positions, shape, dtype, finite) of what another loop left; a constant in place of the operand."""
        source = self.parent.loops[number]
        shape, dtype = source.shape(b), source.layout(b).dtype.numpy.str[1:]
        if b in source.constants:
            attr = source.constants[b]
            return self.graph.node("const", (), attr, shape, dtype), None, shape, dtype, None
        if b in source.rings:
            raise Irregular
        node = source.places[b][0]
        base = self.made.number_of(source.node if node is None else node)
        return base, self.made.of_other(source, b, passes), shape, dtype, source.is_finite(b)

    def _gathered(self, column):
        """(positions in the block, layout, whether all are finite) of what is put together before the first pass."""
        made, parent = self.made, self.parent
        key = column.tobytes()
        if key not in self.put_together:
            layouts = {(tuple(x.shape), x.dtype): x for x in map(parent._layout, parent.live[column].tolist())}
            if len(layouts) > 1:
                raise Irregular
            (layout,) = layouts.values()
            n, backwards = layout.n, bool(column[1] < column[0])
            places, finite = zip(*(self._lies(o) for o in column.tolist()), strict=True)
            start, made.size = made.size, made.size + n * len(column) + n * len(column) % 2
            copies = gather.pieces(places, n, backwards)
            if len(copies) > gather.MOST_PIECES:
                raise Irregular
            self.loop.unvectorised = True
            self.loop.copies += [(start + at, where, count) for at, where, count in copies]
            positions = start + n * np.arange(len(column))
            self.put_together[key] = positions[::-1] if backwards else positions, layout, all(finite)
        return self.put_together[key]

    def _lies(self, o):
        """((the operand of the loop, the element in it), whether it is finite) of a value before the run."""
        made, parent = self.made, self.parent
        number = int(parent.owner[o])
        if number >= 0:
            source = parent.loops[number]
            t, b = divmod(o - source.run.start, source.run.period)
            if b not in source.constants:
                node, element = source.place(b, t)
                if source.dtype_of(b) != made.dtype:
                    raise Irregular
                return (made.number_of(source.node if node is None else node), element), source.is_finite(b)
        node = parent.graph.cast(parent.values[int(parent.live[o])], made.dtype)
        return made.arg(node), parent.finite(node)

    def _carried(self, b, passes, first):
        made = self.made
        layout = made.layout(b)
        dtype, shape = layout.dtype.numpy.str[1:], tuple(layout.shape)
        key = b, passes, first
        finite = b not in made.unbounded
        if layout.n == 1 and passes <= IN_REGISTERS and dtype[0] == "f":
            if key not in self.carriers:
                where = tuple(Where(*made.arg(self.parent.values[k])) for k in first)
                self.carriers[key] = len(self.loop.carried)
                self.loop.carried.append(Carried(-1, passes, dtype, where))
            return self.read(("carried", self.carriers[key]), shape, dtype, finite)
        return self.graph.cast(self.read(self._kept(b, passes, first), shape, made.dtype, finite), dtype)

    def _kept(self, b, passes, first):
        """Where the array lies that record b was some passes ago."""
        made = self.made
        if b not in made.kept_carried:
            raise Irregular
        write, _, firsts = self.kept_writes.get(b) or self._keep_carried(b)
        most = made.kept_carried[b]
        if firsts[most - passes :] != first:
            raise Irregular
        if write.mask:
            return replace(write, shift=write.shift - passes)
        return replace(write, start=write.start - passes * write.step)

    def _keep_carried(self, b):
        """Room for an array handed from pass to pass, with what the first passes find there."""
        made = self.made
        most = made.kept_carried[b]
        write, positions = made.keep(b, most)
        firsts = made.kept_firsts[b]
        for at, k in zip(list(positions[:most]), firsts, strict=True):
            self._copy_in(at, self.parent.values[k], made.layout(b).n)
        self.kept_writes[b] = found = write, positions, firsts
        return found

    def _copy_in(self, at, node, n):
        node = self.parent.graph.cast(node, self.made.dtype)
        at = at if at.__class__ is Where else int(at)
        self.loop.copies.append((at, Where(*self.made.arg(node)), n))

    # Records

    def _immediate(self, k, dtype):
        made = self.made
        column = made.imm[:, made.index[k]]
        if (column.view(np.int64) == column[:1].view(np.int64)).all():
            told = made.worked_out_number(k, dtype)
            return super()._immediate(k, dtype) if told is None else self.graph.cast(self._outside(told), dtype)
        values = np.ascontiguousarray(column)
        values = values.view(np.float32)[::2] if dtype == "f4" else values
        counted = made.counted(values)
        if counted is not None:
            return self.graph.cast(self._worked_out(*counted), dtype)
        return self.read(Where(made.table(values), 0, 1), (), dtype, np.isfinite(values).all())

    def _worked_out(self, form, counts):
        """A form of counters (see ``graph.counting``), as Python works it out."""
        if form[0] == "counter":
            return self.read(counts[form[1]], (), "f8", True)
        return number_of(self.graph, form, lambda part: self._worked_out(part, counts))

    def _lower(self, k):
        made = self.made
        b = made.index[k]
        op = OPS[self.columns["op"][k]]
        column = made.imm[:, b]
        if op.code and not op.elementwise:
            moves, is_view = (column != column[0]).any(), (op.alias_of or op) is view
            if moves and not is_view:
                raise Irregular
            if is_view and (moves or self._chained(b) is not None):
                return self._window(k, b, column)
        return super()._lower(k)

    def _chained(self, b):
        """Where the array of a chain begins in the block that record b reads as the pass before left it, None if none."""
        kind, *rest = self.made.kind(b, 0)
        base, start = self.chain_starts.get(rest[0], (OWN, None)) if kind == "carried" and rest[1] == 1 else (OWN, None)
        if base != OWN:
            raise Irregular
        return start

    def _window(self, k, b, column):
        """A view that moves from pass to pass, of memory outside or of an array that changes by parts."""
        made, parent = self.made, self.parent
        kind, *rest = made.kind(b, 0)
        layout = self._layout(k)
        if kind == "fixed":
            node = parent.values[rest[0]]
            if node.op == "const":
                return self.graph.node("const", (), node.attr, tuple(layout.shape), node.dtype)
            base, start = made.arg(node)
            positions, dtype, finite = np.full(len(column), start), node.dtype, parent.finite(node)
        elif kind == "other":
            base, positions, _, _, finite = self._elsewhere(*rest)
            if base.__class__ is not int:
                return self.graph.node("const", (), base.attr, tuple(layout.shape), base.dtype)
            dtype = parent.loops[rest[0]].dtype_of(rest[1])
        elif kind == "gathered":
            positions, _, finite = self._gathered(*rest)
            base, dtype = OWN, made.dtype
        elif self._chained(b) is not None:
            base, positions, dtype, finite = OWN, np.full(len(column), self._chained(b)), made.dtype, False
        elif kind == "carried" and rest[0] in made.kept_carried:
            where = self._kept(*rest, made.firsts(b, 0, rest[1]))
            base, positions, dtype, finite = OWN, made.positions(where), made.dtype, rest[0] not in made.unbounded
        else:
            raise Irregular
        plan = self.columns["plan"][k]
        strides = plan_at(plan).strides if plan else packed_strides(tuple(layout.shape))
        value = self.strided(base, positions + column.astype(np.int64), tuple(layout.shape), strides, dtype, finite)
        return self.graph.cast(value, layout.dtype.numpy.str[1:])

    def strided(self, base, positions, shape, strides, dtype, finite):
        """A strided value at a position of each pass."""
        steps = [s * (n - 1) for n, s in zip(shape, strides, strict=True) if n]
        low, high = sum(min(s, 0) for s in steps), sum(max(s, 0) for s in steps)
        if unit_free(strides, shape) == unit_free(packed_strides(shape), shape):
            return self.read(self.made.where(base, positions), shape, dtype, finite)
        window = self.read(self.made.where(base, positions + low), (high - low + 1,), dtype, finite)
        return self.graph.view(window, shape, strides, -low)

    def _leaf(self, k, layout, dtype):
        made, sources = self.made, self.recorder.sources
        if k not in sources or k in self.recorder.notes or k in self.recorder.numbers:
            return super()._leaf(k, layout, dtype)
        arrays = [sources[k] for k in made.records[:, made.index[k]].tolist()]
        first, shape = arrays[0], tuple(layout.shape)
        kind = first.dtype.str[1:]
        if not first.dtype.isnative or first.dtype.kind not in "fiub" or kind == "f2":
            raise Irregular
        ours = self._nobody_elses(arrays)
        if ours and first.ndim == 0:
            numbers = np.array([a.item() for a in arrays])
            if len({n.tobytes() for n in numbers}) == 1:
                return self.graph.const(first.item(), shape, dtype)
            arrays = np.array(arrays).astype(dtype)
            counted = made.counted(arrays) if dtype[0] == "f" else None
            if counted is not None:
                return self.graph.cast(self._worked_out(*counted), dtype)
            return self.read(Where(made.table(arrays), 0, 1), shape, dtype, np.isfinite(arrays).all())
        places = np.array([a.__array_interface__["data"][0] for a in arrays])
        if ours and len({a.tobytes() for a in arrays}) == 1:
            node = self._outside(self.parent.graph.extern(first.copy()))  # not itself: who holds it tells whose it is
        elif (places == places[0]).all():
            node = self._outside(self.parent.graph.extern(first))
        elif ours:
            table = np.stack(arrays)
            node = self.read(Where(made.table(table), 0, first.size), first.shape, kind, True)
        else:
            node = self._moving(first, arrays, places, kind)
        return self.graph.cast(self.graph._same(node, shape), dtype)

    def _nobody_elses(self, arrays):
        """Whether nobody but the recording has some arrays, or those whose parts they are: what they hold stays."""
        # Those that keep one are the sources and the tape; the caller has a name for the first of them.
        beside = references_beside(arrays) - [self.recorder.held[id(a)] for a in arrays]
        if (beside > [3] + [2] * (len(arrays) - 1)).any():
            return False
        roots = list({id(a.base): a.base for a in arrays}.values())
        if len(roots) == 1 and roots[0] is None:
            return True
        if any(type(root) is not np.ndarray or root.base is not None for root in roots):
            return False
        parts = self.parent.parts_of_arrays
        return (references_beside(roots) <= [parts[id(root)] for root in roots]).all()

    def _moving(self, first, arrays, places, kind):
        """Parts of one array, as ``data[t]``."""
        root = first
        while isinstance(root.base, np.ndarray):
            root = root.base
        low, high = np.lib.array_utils.byte_bounds(root)
        size = first.itemsize
        begin = root.__array_interface__["data"][0]
        strides = tuple(s // size for s in first.strides)
        ends = (np.lib.array_utils.byte_bounds(a) for a in arrays)
        inside = all(low <= a and b <= high for a, b in ends)
        if root.dtype != first.dtype or not inside or any(s % size for s in first.strides) or ((places - begin) % size).any():
            raise Irregular
        base = self.made.number_of(self.parent.graph.extern(root))
        return self.strided(base, (places - begin) // size, first.shape, strides, kind, True)

    def _matmul(self, args, plan, imm, layout):
        """A small product is written out: a kernel call takes longer than the product."""
        x, y = args[:2]
        (m, k), n = x.shape[-2:], y.shape[-1] if len(y.shape) > 1 else 1
        if len(x.shape) > 2 or m * k * n > SMALL_PRODUCT:
            return super()._matmul(args, plan, imm, layout)
        graph = self.graph
        for a in (x, y):
            base = a.args[0] if a.op == "view" else a
            if base.op not in ("input", "extern", "const"):
                self.loop.stored.add(base)
        (r, c), steps = packed_strides(x.shape), packed_strides(y.shape)
        s, d = steps if len(steps) > 1 else (*steps, 0)
        left = graph.view(x, (m, n, k), (r, 0, c), 0)
        right = graph.view(y, (m, n, k), (0, d, s), 0)
        return graph.sum(graph.elementwise("mul", left, right), (n, 1, 0), 1.0, tuple(layout.shape))

    # The whole pass

    def run_through(self):
        made = self.made
        arrays = _carried_arrays(made)
        made.kept_carried = {b: most for b, (most, _) in arrays.items()}
        made.kept_firsts = {b: first for b, (_, first) in arrays.items()}
        skipped = {b for chain in made.chains for link in chain.links for b in link.records}
        self.chain_starts = {chain.last: self._room(chain) for chain in made.chains}
        for b, k in enumerate(made.shown):
            if b not in skipped:
                self.values[k] = self._lower(k)
        if self.checks:
            raise Irregular
        for chain in made.chains:
            self._update(chain)
        self._outputs(skipped)
        self._guards()

    def _room(self, chain):
        """Where an array lies that changes by parts, filled with what it is before the first pass."""
        base, start = self.made.room_of(chain)
        if base == OWN:
            self._copy_in(start, self.parent.values[chain.first], self.made.layout(chain.last).n)
        return base, start

    def _update(self, chain):
        made, (base, start) = self.made, self.chain_starts[chain.last]
        for link in chain.links:
            value = self._operand(made.shown[link.reader], link.operand, 0)
            positions = start + made.imm[:, link.reader].astype(np.int64) if link.spread else np.full(made.run.trips, start)
            strides = link.strides if link.spread else packed_strides(value.shape)
            if value.op == "const":
                value = self.graph.node("copy", (value,), None, value.shape, value.dtype)
            self._output(self.graph.cast(value, made.dtype), None)
            number = len(self.loop.outputs) - 1
            self.loop.updates.append(Update(number, made.where(base, positions), value.shape, strides, made.dtype, link.put))

    def _output(self, node, where):
        self.loop.outputs.append(node)
        self.loop.writes.append(where)

    def _outputs(self, skipped):
        made, loop = self.made, self.loop
        for (b, _, _), number in self.carriers.items():
            if b not in self.out_numbers:
                self._output(self.values[made.shown[b]], None)
                self.out_numbers[b] = len(loop.outputs) - 1
            old = loop.carried[number]
            loop.carried[number] = Carried(self.out_numbers[b], old.distance, old.dtype, old.first)
        written = {}
        for b in range(made.run.period):
            wanted = made.needed[b] < made.run.trips
            if b in skipped or not (wanted or b in self.kept_writes):
                continue
            node = self.values[made.shown[b]]
            if b in self.kept_writes:
                self._output(self.graph.cast(node, made.dtype), self.kept_writes[b][0])
            elif node.op == "const":
                made.constants[b] = node.attr
            elif not self._is_outside(b, node):
                key = node.id, int(made.needed[b]) >= made.run.trips - LATE
                if key in written:
                    other = written[key]
                    made.same_as(b, other)
                    if made.layout(other).n == made.layout(b).n and made.dtype_of(other) == made.dtype_of(b):
                        continue
                where, _ = made.keep(b)
                written.setdefault(key, b)
                self._output(self.graph.cast(node, made.dtype), where)

    def _is_outside(self, b, node):
        """Whether a value lies in memory that is there for the whole program: then others read it there."""
        made = self.made
        if node.op == "view" and node.n == node.args[0].n:
            whole = node.attr == (unit_free(packed_strides(node.shape), node.shape), 0)
            node = node.args[0] if whole else node
        if node.op != "input" or node.dtype != made.layout(b).dtype.numpy.str[1:]:
            return False
        where = self.loop.reads[node.attr]
        if where.__class__ is not Where or where.base == OWN or where.mask or max(where.table, where.stack) >= 0 or where.ends:
            return False
        positions = where.start + where.step * np.arange(made.run.trips)
        made.places[b] = made.args[where.base], positions
        made.outside[b] = node.dtype
        made.lies_outside(b, where)
        return True

    def _guards(self):
        made, seen = self.made, self.parent.seen
        for b, k in enumerate(made.shown):
            for x, number in enumerate(seen.get(k, ())):
                guard = self.recorder.guards[number]
                if made.layout(b).n != 1:
                    raise Irregular
                passes = [seen[r][x] for r in made.records[:, b].tolist()]
                if len(set(np.diff(passes).tolist())) > 1:
                    raise Irregular
                self.guards.append((self.values[k], guard.kind, guard.expected, passes))

    # What may be inf

    def is_finite(self, b):
        k = self.made.shown[b]
        return k in self.values and self.finite(self.values[k])

    def found_unbounded(self):
        """Whether a carried value was taken for finite and is not."""
        made, parent = self.made, self.parent
        before = len(made.unbounded)
        carried = {(b, first) for b, _, first in self.carriers}
        carried |= {(b, made.kept_firsts[b]) for b in self.kept_writes}
        for b, first in carried:
            if not self.is_finite(b) or not all(parent.finite(parent.values[k]) for k in first):
                made.unbounded.add(b)
        return len(made.unbounded) > before


def number_of(graph, form, inner):
    """The node of a number, or of an operation of Python on what ``inner`` gives of its operands."""
    if form[0] == "number":
        return graph.const(float(form[1]), (), "f8")
    return graph.elementwise(NAMES[form[0]], inner(form[1]), inner(form[2]), exact=True)


def _carried_arrays(made):
    """Record of a pass -> (over how many passes it is read through memory, the records it is before the first pass)."""
    found = {}
    last = {link.records[-1]: chain for chain in made.chains for link in chain.links}
    changing = {chain.last for chain in made.chains}
    for b in range(made.run.period):
        if b in last:
            continue
        for j in range(3):
            if made.reads[SHOWN, b, j] < 0:
                continue
            kind, *rest = made.kind(b, j)
            if kind != "carried":
                continue
            source, passes = rest
            if source in changing:
                continue
            layout = made.layout(source)
            if layout.n == 1 and passes <= IN_REGISTERS and layout.dtype.is_floating_point:
                continue
            first = made.firsts(b, j, passes)
            if passes > found.get(source, (0, ()))[0]:
                found[source] = passes, first
    return found
