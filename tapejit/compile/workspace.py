"""Where the values of a program live: inputs, outputs, arrays outside, and one workspace with places used again."""

from tapejit.compile.scalarcode import itemsize
from tapejit.compile.steps import Blocks, Call, Loops, Scalars

ALIGN = 64


class Memory:
    """Places of nodes: ``home[node.id]`` is (base, offset in bytes), base being ('in', j), ('out', j), 'ws' or ('table', j)."""

    def __init__(self, planner, steps, calls):
        self.planner, self.calls = planner, calls
        self.home = {}
        self.size = 0
        self._free = []  # (offset, size) of places given back
        self._leaves()
        self._outputs()
        self._assign(steps)

    def _leaves(self):
        for node in self.planner.graph.nodes:
            if node.op == "input":
                self.home[node.id] = (("in", node.attr), 0)
            elif node.op == "extern":
                array = self.planner.graph.arrays[node.attr]
                place = "extern", self.planner.graph, node.attr
                self.home[node.id] = (("table", self.calls.enter(array.__array_interface__["data"][0], place)), 0)

    def _outputs(self):
        """A value that is an output and has memory of its own lives in the output."""
        for j, node in enumerate(self.planner.outputs):
            unit = self.planner.units.get(node.id)
            if unit is not None and node.n > 1 and node.id not in self.home:
                self.home[node.id] = (("out", j), 0)

    def _assign(self, steps):
        last, made, known = {}, {}, set()
        for s, step in enumerate(steps):
            for k in reads(self.planner, step):
                last[k] = s
            for unit in _units(step):
                node = unit.target
                if unit.kind not in ("guard", "out") and node.id not in self.home:
                    needed = unit.kind != "scalar" or node.id in self.planner.slots
                    if needed and node.id not in known:  # several steps may write parts of it
                        known.add(node.id)
                        made.setdefault(s, []).append(node)
        ends = {}
        for k, end in last.items():
            ends.setdefault(end, []).append(k)
        for s in range(len(steps)):
            for node in made.get(s, ()):
                if node.id in self.home:  # the first part of a weave has made room
                    continue
                self.home[node.id] = ("ws", self.take(node.n * itemsize(node.dtype)))
            for k in ends.get(s, ()):
                place = self.home.get(k)
                if place and place[0] == "ws":
                    node = self.planner.graph.nodes[k]
                    self._free.append((place[1], _rounded(node.n * itemsize(node.dtype))))

    def take(self, size):
        size = _rounded(size)
        for i, (offset, room) in enumerate(self._free):
            if room == size or (room > size and size >= 4096):
                self._free[i : i + 1] = [(offset + size, room - size)] if room > size else []
                return offset
        return self.more(size)

    def more(self, size):
        """A place that nothing else has used."""
        if size != 8:
            self.size = _rounded(self.size) if self.size % ALIGN else self.size
        self.size += size
        return self.size - size


def _rounded(size):
    return 8 if size <= 8 else -(-size // ALIGN) * ALIGN


def _units(step):
    return [u for member, _ in step.members for u in member.units] if isinstance(step, Blocks) else step.units


def reads(planner, step):
    """The ids of the nodes whose memory a step reads."""
    if isinstance(step, Blocks):
        return [k for member, _ in step.members for k in reads(planner, member)]
    if isinstance(step, Call):
        if step.unit.kind in ("guard", "weave"):
            return [step.unit.node.id]
        return [x.id for x in planner.operands(step.unit.node)]
    bodies = [step.body.code] if isinstance(step, Scalars) else [r.body for r in step.regions]
    found = [i[2] for body in bodies for i in body if i[0] == "load"]
    if isinstance(step, Scalars):
        found += [u.node.id for u in step.units if u.kind in ("guard", "out")]
    else:
        assert isinstance(step, Loops)
        found += [u.node.id for u in step.units if u.kind == "addend" and u.number]
    return found
