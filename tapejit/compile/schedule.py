"""From a graph to steps: fused loops, kernel calls and blocks of scalar code, in an order that respects what reads what.

Nodes that need memory are units of work. Loops over the same elements become one; loops whose lengths differ by a few
elements too (a slice x[1:] and the whole of x), cut into regions where their bodies differ.
"""

import math

from tapejit.compile.body import Body, NotFlat, NotYet, Split
from tapejit.compile.columns import joined
from tapejit.compile.steps import Call, Loops, Region, Scalars, Unit
from tapejit.compile.storage import WINDOW, far_values, sums_of_parts
from tapejit.core.layout import packed_strides
from tapejit.graph.node import LAZY, REDUCTIONS, blas_view, is_stretch

NEAR = 16  # loops whose lengths differ by at most this may be fused
LONG_ROW = 16  # elements of a row, over which a loop of its own takes little longer than over as many elements of the whole
MOST_LENGTHS = 6  # of loops that are fused: of more, each by itself is shorter, and all of them are one function
MOST_REGIONS = 4096
LONGEST = 1000  # instructions of the regions of a loop, beyond which sums of many parts are added up part by part
# Programs with more values of many elements than this are planned along the order of the tape, in time that grows with their
# length: unrolled time steps, say. Shorter ones are fused as far as that goes.
LONG_PROGRAM = 300
LONG_LOOP = 100  # elements from which on it pays to compile longer for fewer passes over memory
MOST_UNITS = 24  # values that one loop of a long program stores or sums
ATTEMPTS = 12  # plans that may still find values worth keeping


class Restart(Exception):
    """Some values turned out to need memory of their own."""


class Planner:
    """Plans one program.

    Args:
        graph: the nodes.
        outputs: the nodes whose values are wanted.
        guards: triples (node, kind, expected).
        inputs: how many there are; some may be no nodes.
    """

    DEAR = 20

    def __init__(self, graph, outputs, guards, inputs):
        self.graph, self.outputs, self.guards, self.inputs = graph, outputs, guards, inputs
        sizes = [n.n for n in graph.nodes if n.n > 1 and n.op in LAZY]
        self.long = len(sizes) > (LONG_PROGRAM if max(sizes, default=0) < LONG_LOOP else 3 * LONG_PROGRAM)
        self.stored = far_values(graph.nodes, self.DEAR) if self.long else set()
        self.sums = {}  # by the id of a value that is added up part by part its parts

    def plan(self) -> list:
        """The steps."""
        for attempt in range(1000):
            try:
                return self._attempt(attempt)
            except Restart:
                continue
        raise RuntimeError("tapejit: the plan of a program does not settle")

    def _attempt(self, attempt):
        self.evaluated = {}
        self.requests = set()
        self.done = set()
        self.slots = set()
        self.group = 0
        self._make_units()
        self.steps = []
        first = self._ancestors([u for u in self.units.values() if u.kind == "guard"])
        self._run(first)
        self._run(set(self.units))
        if attempt < (2 if self.long else ATTEMPTS):
            self._keep_what_is_repeated()
        if self.requests - self.stored:
            self.stored |= self.requests
            raise Restart
        return self.steps

    def _keep_what_is_repeated(self):
        repeated = {k for k, places in self.evaluated.items() if len(places) > 1 and k not in self.stored}
        inner = set()
        for k in repeated:
            stack = list(self.graph.nodes[k].args)
            while stack:
                x = stack.pop()
                if x.id not in inner and x.op in LAZY and x.id not in self.stored:
                    inner.add(x.id)
                    stack += x.args
        self.requests |= repeated - inner

    # What bodies ask

    def in_memory(self, node):
        if node.id in self.done or node.op in ("input", "extern"):
            if node.n == 1 and node.op in LAZY:
                self.slots.add(node.id)
            return True
        return False

    def is_packed(self, node):
        return self.in_memory(node) and (node.op != "extern" or self.graph.arrays[node.attr].flags.c_contiguous)

    def strides_of(self, node):
        if node.op == "extern":
            array = self.graph.arrays[node.attr]
            return 0, tuple(s // array.itemsize for s in array.strides)
        return 0, packed_strides(node.shape)

    def request(self, node):
        self.requests.add(node.id)

    # Units

    def _make_units(self):
        """Units for all that is wanted, with what each waits for; calls may want more values kept, which changes that."""
        kept = None
        while kept != len(self.stored):
            kept = len(self.stored)
            self._find_units()

    def _find_units(self):
        nodes = self.graph.nodes
        self.units = {}
        base = len(nodes)
        wanted, before, loops = [], None, set()
        for j, (node, kind, _) in enumerate(self.guards):
            if node.op == "loop" and node.id in loops:
                continue  # all guards in a loop are one unit
            unit = self.units[base + j] = Unit(base + j, "guard", node, j)
            if before is not None:
                unit.deps.add(before)
            before = base + j
            loops.add(node.id)
            wanted.append(unit)
            if kind == "bytes" and node.n > 1 and node.op in LAZY:
                self.stored.add(node.id)
        base += len(self.guards)
        for j, node in enumerate(self.outputs):
            unit = self.units[base + j] = Unit(base + j, "out", node, j)
            wanted.append(unit)
        base += len(self.outputs)
        while wanted:
            unit = wanted.pop()
            if unit.kind == "weave":
                for j, x in enumerate(unit.node.args):
                    part = self.units[base] = Unit(base, "part", x, j, unit.node)
                    unit.deps.add(base)
                    wanted.append(part)
                    base += 1
                continue
            for node in self._sources(unit):
                unit.deps.add(node.id)
                if node.id not in self.units:
                    made = self.units[node.id] = Unit(node.id, self._kind(node), node)
                    wanted.append(made)
        for unit in self.units.values():
            unit.waiting = len(unit.deps)
            for d in unit.deps:
                self.units[d].users.append(unit)

    def _kind(self, node):
        if node.id in self.sums:
            return "sum"
        if node.op in LAZY:
            return "scalar" if node.n == 1 else "store"
        return "reduce" if node.op in REDUCTIONS else node.op if node.op in ("pack", "weave") else "call"

    def _sources(self, unit):
        """The nodes that a unit waits for."""
        if unit.kind in ("guard", "out", "part"):
            roots = [unit.node]
        elif unit.kind == "call":
            roots = self.operands(unit.node)
        elif unit.kind == "sum":
            roots = [part.args[0] if part.op == "spread" else part for part in self.sums[unit.node.id]]
        else:
            roots = list(unit.node.args)
        found, seen = [], set()
        while roots:
            x = roots.pop()
            if x.id in seen:
                continue
            seen.add(x.id)
            if x.op in ("input", "extern", "const"):
                continue
            if x.n == 1 or x.id in self.stored or x.op not in LAZY:
                found.append(x)
            elif unit.kind == "call":
                self.stored.add(x.id)
                found.append(x)
            else:
                roots += x.args
        return found

    def operands(self, node):
        """What a kernel reads: for a view that it can read where its base lies, the base."""
        return [a.args[0] if self._is_in_base(node, a) else a for a in node.args]

    def _is_in_base(self, node, x):
        """Whether a kernel can read a view where its base lies, which has memory anyhow or has no other elements."""
        if x.op != "view" or x.n == 1:
            return False
        if node.op == "matmul":
            return bool(blas_view(x))
        base = x.args[0]
        if base.op in LAZY and base.n != x.n and base.id not in self.stored:
            return False
        packed = base.op != "extern" or self.graph.arrays[base.attr].flags.c_contiguous
        return packed and is_stretch(x.attr.strides, x.shape)

    def _ancestors(self, units):
        found, stack = set(), [u.id for u in units]
        while stack:
            k = stack.pop()
            if k not in found:
                found.add(k)
                stack += self.units[k].deps
        return found

    # Order

    def _run(self, allowed):
        ready = {"scalar": [], "call": [], "loop": []}

        def enter(unit):
            if unit.id in allowed and unit.id not in self.done:
                if unit.is_scalar:
                    ready["scalar"].append(unit)
                elif unit.kind in ("call", "guard", "weave", "sum"):
                    ready["call"].append(unit)
                else:
                    ready["loop"].append(unit)

        def finish(units):
            for unit in units:
                self.done.add(unit.id)
            for unit in units:
                for user in unit.users:
                    user.waiting -= 1
                    if user.waiting == 0:
                        enter(user)

        for unit in self.units.values():
            if unit.waiting == 0:
                enter(unit)
        while True:
            if ready["scalar"]:
                self._scalars(ready, finish, allowed)
            elif ready["call"]:
                unit = ready["call"].pop(0)
                self.steps += self._part_by_part(unit) if unit.kind == "sum" else [Call(unit)]
                if unit.kind == "call":
                    self.slots |= {x.id for x in self.operands(unit.node)}
                finish([unit])
            elif ready["loop"]:
                (self._loops_in_order if self.long else self._loops)(ready, finish)
            else:
                break

    def _scalars(self, ready, finish, allowed):
        """All scalar code that can run now, as one block."""
        body = Body(self, (), False)
        step = Scalars([], body, {})
        self.steps.append(step)
        finished = []
        queue = ready["scalar"]
        block = set()
        while queue:
            ready["scalar"] = queue = sorted(queue, key=lambda u: (u.kind in ("out", "pack"), u.id))
            batch, queue[:] = list(queue), []
            for unit in batch:
                block.add(unit.id)
                if unit.kind == "pack":
                    step.values[unit.id] = [body.value(a, ()) for a in unit.node.args]
                else:
                    step.values[unit.id] = body.value(unit.node, (body.zero,) * len(unit.node.shape))
                step.units.append(unit)
                finished.append(unit)
                for user in unit.users:
                    user.waiting -= 1
                    if user.waiting == 0:
                        simple = user.is_scalar
                        if simple and user.id in allowed:
                            queue.append(user)
                        elif not simple:
                            user.waiting = -1  # enters once this block is done
        for unit in finished:
            self.done.add(unit.id)
        for unit in finished:
            unit.users, users = [], unit.users
            for user in users:
                if user.waiting == -1:
                    user.waiting = 1
                    unit.users.append(user)
        finish(finished)

    def _loops(self, ready, finish):
        """The largest set of loops over the same elements, and those that it makes possible."""
        spaces = {}
        for unit in ready["loop"]:
            unit.space = unit.space or self._space(unit)
            spaces.setdefault(unit.space, []).append(unit)
        space = max(spaces, key=lambda s: (len(spaces[s]), s[0] == "flat" and s[1]))
        chosen = list(spaces[space])
        grids = (s for s in spaces if s[0] == "nd" and space == ("flat", math.prod(s[1])) and self._is_grid(s, chosen))
        grid = next(grids, None)
        if grid is not None:
            space, chosen = grid, chosen + spaces[grid]
        elif space[0] == "nd" and len(space) == 2:
            chosen += [u for u in spaces.get(("flat", math.prod(space[1])), ()) if self._is_grid(space, [u])]
        elif space[0] == "flat":
            near = [o for o in spaces if o != space and o[0] == "flat" and abs(o[1] - space[1]) <= NEAR and o[1] > NEAR]
            if len(near) < MOST_LENGTHS:
                chosen += [unit for other in near for unit in spaces[other]]
        self._one_loop(chosen, space, ready, finish)

    def _is_grid(self, space, units):
        """Whether loops over all elements may as well go over the rows of a grid, with another that has to; no totals."""
        same = all(u.kind != "reduce" and u.node.shape == space[1] for u in units)
        return len(space) == 2 and space[1][-1:] >= (LONG_ROW,) and same

    def _loops_in_order(self, ready, finish):
        """The loop that comes first on the tape, and what follows it there at once over the same elements."""
        waiting = sorted(ready["loop"], key=lambda u: u.node.id)
        first = waiting[0]
        space = first.space = first.space or self._space(first)
        chosen = []
        for unit in waiting:
            if unit.node.id > first.node.id + WINDOW or len(chosen) == MOST_UNITS:
                break
            unit.space = unit.space or self._space(unit)
            if unit.space == space:
                chosen.append(unit)
        self._one_loop(chosen, space, ready, finish, last=first.node.id + WINDOW)

    def _one_loop(self, chosen, space, ready, finish, last=None):
        self.group += 1
        members = {}
        for unit in chosen:
            if unit.kind not in ("out", "part") or unit.node.op in LAZY:
                members[unit.node.id] = self._identity(unit, space)
        self._chain(chosen, members, space, last)
        while True:
            try:
                step = self._fuse(chosen, members, space)
                break
            except NotYet as why:
                if len(chosen) == 1:
                    raise
                chosen, members = self._without(chosen, members, why.unit)
        taken = {u.id for u in chosen}
        ready["loop"] = [u for u in ready["loop"] if u.id not in taken]
        self.steps.append(step)
        finish(chosen)

    def _without(self, chosen, members, unit):
        """A group without a unit that reads another one elsewhere, and those that wait for it: a later loop takes them."""
        gone, rest = {unit.id}, [u for u in chosen if u is not unit]
        while any(u.deps & gone for u in rest):
            gone |= {u.id for u in rest if u.deps & gone}
            rest = [u for u in rest if u.id not in gone]
        kept = {u.node.id for u in rest}
        return rest or chosen[:1], {k: i for k, i in members.items() if k in kept or (not rest and k == chosen[0].node.id)}

    def _identity(self, unit, space):
        if unit.kind in ("out", "part") and unit.node.id in self.done:
            return None
        if space[0] == "flat":
            return "flat", (0, 1)
        return tuple(tuple(1 if j == k + 1 else 0 for j in range(len(space[1]) + 1)) for k in range(len(space[1])))

    def _chain(self, chosen, members, space, last):
        """Add units that wait only for members of the group, read where the loop stands; none after node ``last``."""
        position = 0
        taken = {u.id for u in chosen}
        while space[0] == "flat" and position < len(chosen):
            for user in chosen[position].users:
                if last is not None and (user.node.id > last or len(chosen) >= MOST_UNITS):
                    continue
                if user.id in taken or user.kind not in ("store", "reduce", "out", "part") or user.is_scalar:
                    continue
                if any(d not in self.done and (d not in members or self.units[d].kind == "reduce") for d in user.deps):
                    continue
                user.space = ()
                if self._space(user, members) == space:
                    chosen.append(user)
                    taken.add(user.id)
                    if user.kind not in ("out", "part") or user.node.op in LAZY:
                        members.setdefault(user.node.id, self._identity(user, space))
            position += 1

    def _root(self, unit):
        """What the loop evaluates for a unit, and over which shape."""
        x = unit.node.args[0] if unit.kind == "reduce" else unit.node
        return x, x.shape

    def _space(self, unit, members=None):
        """The elements a loop goes over: one counter if that is possible, else one per dimension."""
        x, shape = self._root(unit)
        members = {k: i for k, i in (members or {}).items() if i is not None}
        scatters = unit.kind == "store" and unit.node.op == "spread" and unit.node.id in self.stored
        if scatters:
            return ("nd", x.args[0].shape, "scatter", unit.id)
        if unit.kind == "store":
            members[x.id] = ("flat", (0, 1))
        kept, before = set(self.requests), dict(self.evaluated)
        try:
            if unit.kind == "reduce" and any(unit.node.attr):
                raise NotFlat
            boxes, lines = [(0, x.n)], 0
            while boxes:
                first, end = boxes.pop()
                body = Body(self, ((first, end),), True, members, ("trial",))
                try:
                    body.value(x, ("flat", (0, 1)))
                except Split as cut:
                    lines = self._longer(lines, body, [x])
                    boxes += [(first, cut.at), (cut.at, end)]
            return ("flat", x.n)
        except NotFlat:
            return ("nd", shape)
        except NotYet:
            return ("nd", shape) if members is None else ("never",)
        finally:
            self.requests, self.evaluated = kept, before

    def _fuse(self, units, members, space):
        flat = space[0] == "flat"
        if len(space) > 2:
            return self._scatter(units[0])
        whole = ((0, max(self._root(u)[0].n for u in units)),) if flat else tuple((0, n) for n in space[1])
        boxes = [whole]
        if flat:
            cuts = sorted({self._root(u)[0].n for u in units})
            boxes = [((a, b),) for a, b in zip([0, *cuts], cuts, strict=False) if a < b] or [whole]
        roots = [(u, self._root(u)[0]) for u in units]
        return Loops(units, flat, self._regions(boxes, roots, flat, members))

    def _regions(self, boxes, roots, flat, members):
        """The bodies over boxes, which are cut where a body would differ from one part to another."""
        regions, lines = [], 0
        here = {k: i for k, i in members.items() if i is not None}
        while boxes:
            box = boxes.pop(0)
            body = Body(self, box, flat, here, self.group)
            try:
                values = [
                    (u, self._value(body, u, node), None) for u, node in roots if not flat or box[0][1] <= node.n
                ]
            except Split as cut:
                lines = self._longer(lines, body, [node for _, node in roots])
                a, b = box[cut.counter]
                parts = ((a, cut.at), (cut.at, b))
                boxes[:0] = [(*box[: cut.counter], p, *box[cut.counter + 1 :]) for p in parts]
                if len(boxes) + len(regions) > MOST_REGIONS:
                    self.requests |= {u.node.id for u, _ in roots}
                    raise Restart from None
                continue
            regions.append(Region(box, body.code, values))
        return joined(regions)

    def _value(self, body, unit, node):
        try:
            return body.value(node, body.identity())
        except NotYet as why:
            why.unit = unit
            raise

    def _longer(self, lines, body, nodes):
        """The instructions of a loop so far, where it was cut.

        Raises:
            Restart: if there are many, and it works out sums of which many terms lie anywhere. A region for each way in which
                they overlap would hold most of them: from now on they are added up part by part.
        """
        longer = lines + len(body.code)
        if lines <= LONGEST < longer:
            found = {}
            for node in nodes:
                found |= sums_of_parts(node, self.stored)
            self.sums |= found
            self.stored |= found.keys()
            if found:
                raise Restart
        return longer

    def _part_by_part(self, unit):
        """A loop for each part of a sum, in their order: the first one begins with zeros."""
        steps = []
        for k, part in enumerate(self.sums[unit.node.id]):
            x = part.args[0] if part.op == "spread" else part
            added = Unit(unit.id, "addend", unit.node, k)
            steps.append(Loops([added], False, self._regions([tuple((0, n) for n in x.shape)], [(added, x)], False, {})))
        return steps

    def _scatter(self, unit):
        """A spread that is kept: zeros, then a loop over its operand that adds in place."""
        x = unit.node.args[0]
        boxes = [tuple((0, n) for n in x.shape)]
        return Loops([unit], False, self._regions(boxes, [(unit, x)], False, {}))
