"""Programs that another process has compiled are found by their graph: nothing is planned, written or optimised again.

What code is made for a graph depends on its structure alone: on nodes, their shapes, constants and loops, on what guards
expect and how arrays outside lie, never on what these hold or where; addresses stand in a table. So a file under a digest of
the structure says which machine code belongs to it, how much memory that wants, and for each address of the table what lies
there:

    ("extern", g, i)         array i outside, of graph g
    ("bytes", g, j)          what guard j expects
    ("kernel", g, k, which)  a kernel of the op of node k
    ("record", g, k, words)  its record; the plan of a product is ``words``
    ("team",)                the threads

The graphs are that of the program, 0, and those of its loops.
"""

import functools
import hashlib
import marshal

import numpy as np

from tapejit.compile.scalarcode import library_functions
from tapejit.compile.smallsolves import written_out
from tapejit.edge import optimiser, store
from tapejit.edge.caching import ENGINE, later_rows, stamp
from tapejit.edge.objects import has_fma
from tapejit.graph.loop import Carried, Count, Loop, Update, Where
from tapejit.graph.node import Affine, Kernel, Node, Number, Places, Steps, Strands

SOURCES = (*ENGINE, "spec", "graph", "compile", "eager/linalg/multiply.py")
FORMAT = 2  # of marshal: equal values have equal bytes, whatever else refers to them
_PLAIN = (int, float, str, bool, bytes, type(None))


class _Unknown(Exception):
    """A graph has something in it of which it is not known what tells it from others."""


class Structure:
    """What tells a program from others whose machine code differs.

    Args:
        graph, outputs, guards, inputs: as ``schedule.Planner`` takes them.

    Attributes:
        digest: None if there is something in the graph that has no name here.
        graphs: pairs of a graph and the guards in it.
    """

    def __init__(self, graph, outputs, guards, inputs):
        self.graphs, self._numbers = [], {}
        self._plans, self._arrays = {}, {}
        try:
            told = self._graph(graph, guards), tuple(n.id for n in outputs), inputs, _surroundings()
            self.digest = hashlib.blake2b(marshal.dumps(told, FORMAT), digest_size=16).hexdigest()
        except (_Unknown, ValueError):  # marshal knows numbers, texts and tuples
            self.digest = None

    def number(self, graph) -> int:
        """The number of a graph."""
        return self._numbers[id(graph)]

    def _graph(self, graph, guards):
        known = self._numbers.get(id(graph))
        if known is not None and not guards and not self.graphs[known][1]:
            return ("again", known)  # two loops have the same pass
        if known is not None:
            raise _Unknown
        self._numbers[id(graph)] = len(self.graphs)
        self.graphs.append((graph, guards))
        nodes = tuple((n.op, tuple(a.id for a in n.args), self._attribute(n.attr), n.shape, n.dtype) for n in graph.nodes)
        arrays = tuple(self._array(array) for array in graph.arrays)
        return nodes, arrays, tuple((n.id, kind, _expected(value)) for n, kind, value in guards)

    def _array(self, array):
        address = array.__array_interface__["data"][0]
        return array.shape, array.strides, array.dtype.str, self._arrays.setdefault(address, len(self._arrays))

    def _attribute(self, attr):
        kind = attr.__class__
        if kind in _PLAIN:
            return attr
        if kind is Number:
            return "number", type(attr.value).__name__, attr.bits, attr.nothing
        if kind in (Affine, Steps, Places, Strands):
            return kind.__name__, tuple(attr)
        if kind is Kernel:  # plans at one address are one plan; on what is in it, only what is written out depends
            plan = self._plans.setdefault(attr.plan, len(self._plans))
            return "kernel", attr.name, attr.code, plan, attr.imm, written_out(attr)
        if kind is Loop:
            parts = {name: value for name, value in vars(attr).items() if name not in ("graph", "guards")}
            return "loop", self._graph(attr.graph, attr.guards), _plain(parts)
        raise _Unknown


def _expected(value):
    """What a guard expects; that of one element stands in the code."""
    return (value.shape, value.dtype.str, value.tobytes()) if isinstance(value, np.ndarray) else _plain(value)


def _plain(value):
    """Parts of a loop as tuples of numbers and texts."""
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind in (tuple, list):
        return tuple(map(_plain, value))
    if kind is dict:
        return tuple((name, _plain(x)) for name, x in value.items())
    if kind is set or kind is frozenset:
        return tuple(sorted(map(_plain, value)))
    if kind is Node:
        return value.id
    if kind in (Where, Count, Carried, Update):
        return kind.__name__, tuple(map(_plain, vars(value).values()))
    raise _Unknown


@functools.cache
def _settings():
    return optimiser.target(), has_fma(), stamp(SOURCES)


def _surroundings():
    """What else decides what the code is: the processor, LLVM, the sources, and what others have entered since."""
    return repr((_settings(), library_functions(), later_rows()))


def read(structure):
    """What ``write`` has kept of a program of this structure, with numbers of graphs in the table; None if nothing."""
    contents = store.read(_name(structure)) if structure.digest else None
    if contents is None:
        return None
    store.touch(_name(structure))
    return marshal.loads(contents)


def write(structure, digest, size, stacked, counted, table):
    """Keep what a program needs beside its code.

    Args:
        digest: of its code.
        size, stacked, counted: bytes of workspace, bytes that a pass leaves, whether there are loops that count their passes.
        table: what lies at each address, graphs in place of their numbers.
    """
    if structure.digest is None:
        return
    numbered = [(what, *(structure.number(g) for g in place[:1]), *place[1:]) for what, *place in table]
    store.write(_name(structure), marshal.dumps((digest, size, stacked, counted, numbered), FORMAT))


def _name(structure):
    return f"program-{structure.digest}.plan"
