"""A loop in the graph: one pass as a graph of its own, and where in memory each pass reads and writes.

A ``loop`` node is one block of memory. What the passes leave for others lies in it, pass by pass; a loop that runs backwards
over what another one left reads it at a negative step.
"""

from dataclasses import dataclass, field

OWN = -1  # the block of the loop itself, in place of the number of an operand


@dataclass(frozen=True)
class Where:
    """Elements of one pass: those from ``start + step * t``, plus what a table holds for pass t.

    ``mask``: t, moved by ``shift``, is taken modulo a power of two: few passes are kept. Where the number of passes is found
    out by running, ``ends`` times it is added; and ``stack`` is the place, in bytes a pass, of what all passes leave, in memory
    that grows, of the loop ``base``.
    """

    base: int  # the number of an operand of the loop node, or OWN
    start: int
    step: int = 0
    shift: int = 0
    mask: int = 0
    table: int = -1  # the number of an operand of integers
    ends: int = 0
    stack: int = -1


@dataclass(frozen=True)
class Count:
    """The number ``start + ends * N + step * t`` in pass t, N being how many there are."""

    start: int
    step: int
    ends: int = 0


@dataclass(frozen=True)
class Carried:
    """A number handed from pass to pass: ``distance`` passes on, it is read; the first ones are read from memory."""

    output: int
    distance: int
    dtype: str
    first: tuple  # of Where, for pass 0, 1, ...


@dataclass(frozen=True)
class Update:
    """At the end of each pass an output is added to a part of an array in the block, or put in its place."""

    output: int
    where: Where
    shape: tuple
    strides: tuple
    dtype: str
    put: bool = False


@dataclass(eq=False)
class Loop:
    """What a ``loop`` node does.

    Attributes:
        graph: of one pass. Its inputs are numbered as ``reads``.
        reads: per input a Where, a Count, or the number of a Carried as ("carried", number, distance).
        outputs: nodes; ``writes`` says where each goes, None for what is only carried or an update.
        copies: (element of the block or Where to, Where from, elements) done before the first pass.
        guards: triples (node, kind, expected); ``numbers`` the program's number of each in pass 0, and its step.
        stored: nodes that are read so often that they are to have memory.
        size: elements of the block.
        counted: "" for ``trips`` passes. Else that is what a recording had, and there are passes "until" one of the guards does
            not hold, that of the number ``ending``, or "again", as many as the first loop of the group had, or "given", as many
            as the number says that the operand ``given`` holds, and ``more``.
        group: the number of the first such loop, for all that have as many passes.
        stacked: bytes that a pass leaves in memory that grows.
        slots: (element of the block, Where from, pass, elements) done after the last pass; passes below 0 count from the end.
        count_at: the element of the block that is the number of passes after the last one, -1 for none.
        unvectorised: whether LLVM is to leave its passes as they are: where they read what was put together in the block before
            the first, it has been seen to end the process over what vectors would cost.
        fewest, most: numbers of passes of which it is known that Python does the same.
    """

    graph: object
    trips: int
    dtype: str = ""
    reads: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    writes: list = field(default_factory=list)
    carried: list = field(default_factory=list)
    updates: list = field(default_factory=list)
    copies: list = field(default_factory=list)
    guards: list = field(default_factory=list)
    numbers: list = field(default_factory=list)
    stored: set = field(default_factory=set)
    size: int = 0
    counted: str = ""
    ending: int = -1
    given: int = -1
    more: int = 0
    group: int = 0
    stacked: int = 0
    slots: list = field(default_factory=list)
    count_at: int = -1
    unvectorised: bool = False
    fewest: int = 0
    most: int = 1 << 40
