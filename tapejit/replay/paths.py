"""Which program answers a call: the paths a function has taken, told apart by the outcomes of its guards."""

from tapejit.edge.userline import warn
from tapejit.graph.anycount import agree

MOST_PATHS = 128
MOST_WAITING = 4  # recordings of loops with any number of passes that wait for one that agrees
MOST_COUNTED = 16  # programs of such loops
MOST_VALUES = 16  # different values at one place that Python reads, before the function stays eager


class Branch:
    """A point on the way: the next guard, and where each of its outcomes leads."""

    __slots__ = ("children", "line", "program")

    def __init__(self):
        self.children = {}
        self.program = None  # the last program that came by here
        self.line = None


class Paths:
    """The programs of one signature.

    Attributes:
        eager: the reason why the function is not replayed, or None.
        counted: programs of loops with any number of passes, which answer for many paths.
    """

    def __init__(self, name):
        self.name = name
        self.root = Branch()
        self.programs, self.counted = [], []
        self._frozen = []  # recordings that may become such programs, once another one agrees
        self.last = None
        self.eager = None
        self.quiet = False  # whether nothing is to be said of staying eager

    def add(self, program):
        """Enter a program under the outcomes of its guards."""
        frozen = program.frozen
        branch = self.root
        way = [branch]
        for (kind, outcome), line in zip(frozen.outcomes, frozen.lines, strict=True):
            branch.program, branch.line = program, line
            if kind != "truth" and len(branch.children) >= MOST_VALUES:
                self.stay_eager(
                    f"the value read at {line} is different at nearly every call: tj.where() in place of a mask, or the tensor "
                    "itself in place of its value, can be recorded"
                )
            branch = branch.children.setdefault(outcome, Branch())
            way.append(branch)
        branch.program = program
        program.way = way
        self.forget_turns()
        self.programs.append(program)
        self.last = program
        if len(self.programs) >= MOST_PATHS:
            line = max(self._branches(), key=lambda b: len(b.children)).line
            self.stay_eager(f"it has taken {MOST_PATHS} different paths, most of them decided at {line}")

    def add_counted(self, frozen, structure, program):
        """Enter a recording of loops with any number of passes; a program, if one with other numbers is the same.

        Args:
            program: makes one.
        """
        if len(self.counted) >= MOST_COUNTED:
            return
        for known in self.counted:
            if known.structure == structure and agree(known.frozen, frozen):
                known.frozen.spans = sorted({*known.frozen.spans, *frozen.spans})
                return
        for known, other in self._frozen:
            equal = [a == b for a, b in zip(known.passes, frozen.passes, strict=False)]
            if not any(equal) and other == structure and agree(known, frozen):
                self._frozen = [pair for pair in self._frozen if pair[0] is not known]
                self.counted.append(program(frozen, structure))
                return
        self._frozen = [*self._frozen[1 - MOST_WAITING :], (frozen, structure)]

    def everything(self):
        """All programs."""
        return [*self.counted, *self.programs]

    def forget_turns(self):
        """Let no program lead to another any more."""
        for program in self.everything():
            if program.block is not None:
                program.block.turns[:] = 0

    def _branches(self):
        stack = [self.root]
        while stack:
            branch = stack.pop()
            yield branch
            stack += branch.children.values()

    def stay_eager(self, why):
        """Give up replaying, and say so once."""
        if self.eager is None:
            self.eager = why
            if self.quiet:
                return
            warn(f"tapejit: {self.name} runs eagerly from now on: {why}")

    def after(self, program, status):
        """The program to try when guard ``status - 1`` of another did not hold, None if no known path can be right.

        Outcomes of one guard are tried in turn.
        """
        branch, expected = program.way[status - 1 : status + 1]
        children = list(branch.children.values())
        at = next(i for i, child in enumerate(children) if child is expected)
        for child in (*children[at + 1 :], *children[:at]):
            if child.program is not None:
                return child.program
        return None
