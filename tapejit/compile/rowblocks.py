"""Steps over the same rows, gathered to be done a block of rows at a time.

A gradient through ``X @ w`` reads X twice: for the product, and for that with the transpose. A large X has left the
processor's caches when it is read again, and such a program waits for memory most of its time. Where each step between the
two takes row i to row i, or adds rows up, they can all be done for a few rows, which are still near, before the next ones.

What sums over rows is added in another order than eager execution's, so nothing is gathered on which a decision depends: the
blocks come after the last guard. Values of the rows themselves are the same.
"""

from dataclasses import dataclass

from tapejit.compile.blasplan import product_words
from tapejit.compile.loops import START
from tapejit.compile.steps import Blocks, Call, Loops
from tapejit.compile.workspace import reads

LARGE = 1 << 18  # elements of a matrix that is read twice, from which on it pays: more than the caches of one core hold
BLOCK = 1 << 15  # elements of the matrix in a block: a part of these caches
PRODUCT = 1 << 18  # multiplications of a product in a block: BLAS has its own threads for larger ones
THIN = 16  # rows or columns of a matrix, beyond which a product is bound by arithmetic
LEAST = 64  # rows of a block from which on a product that is not thin takes them as fast as all rows at once
PART = 1 << 16  # elements of the matrix in a part
MOST_PARTS = 64
GOOD = 8  # rows: a multiple of this many that BLAS takes at once, so that each row's digits are those of the whole product
FORWARD, REVERSE_Y = 0, 2  # kernels of ``matmul``


@dataclass(frozen=True)
class Along:
    """How a product goes along rows.

    Attributes:
        kernel: ``FORWARD``, whose result has the rows, or ``REVERSE_Y``, which sums over them (it can add to what is there).
        rows: the word of its plan that is their number.
        words: its plan.
        x, y: elements from one row of an operand to the next, 0 for one that is read whole.
        width: elements of a row of the result, or of all of it where rows are summed.
    """

    kernel: int
    rows: int
    words: tuple
    x: int
    y: int
    width: int


def gathered(planner, steps) -> list:
    """The steps, with such as share large matrices gathered in ``Blocks``."""
    guarded = [s for s, step in enumerate(steps) if any(u.kind == "guard" for u in step.units)]
    first = guarded[-1] + 1 if guarded else 0
    found, rest = steps[:first], steps[first:]
    while rest:
        chain = _Chain(planner, rest[0]) if _is_product(rest[0]) else None
        if chain is not None and chain.rows and (order := chain.follow(rest[1:])):
            before, blocks, rest = order
            found += [*before, blocks]
        else:
            found.append(rest.pop(0))
    return found


def _is_product(step):
    return isinstance(step, Call) and step.unit.kind == "call" and step.unit.node.op == "matmul"


def _is_small(m, n):
    """Whether a product with so many multiplications a row goes by blocks."""
    return min(m, n) <= THIN or m * n * LEAST <= PRODUCT


class _Chain:
    """Steps along the rows of the product that is the first of them.

    Attributes:
        made: the values that have these rows, with the elements of a row.
        whole: the values that are there once all rows are done.
        matrices: by id how often a large operand is read, and the elements of a row of it.
    """

    def __init__(self, planner, step):
        self.planner, self.members, self.matrices = planner, [], {}
        self.made, self.whole = {}, set()
        m, n = product_words(planner, step.unit.node)[:2]
        self.rows = n if m == 1 else m
        if not self._takes(step):
            self.rows = 0

    def follow(self, steps):
        """(steps that come before, the blocks, steps that come after), None where it does not pay."""
        before, after, done = [], [], 0
        marks = []
        for step in steps:
            read = set(reads(self.planner, step))
            if read & self.whole:
                mark = after
            elif self._takes(step, read):
                mark, done = None, len(marks) + 1
            else:
                mark = after if read & self.made.keys() else before
            if mark is after:
                self.whole |= {u.target.id for u in step.units}
            marks.append(mark)
        widest = self._widest()
        if widest is None:
            return None
        for step, mark in zip(steps[:done], marks, strict=False):
            if mark is not None:
                mark.append(step)
        return before, self._blocks(widest), [*after, *steps[done:]]

    def _widest(self):
        """The elements of a row of the largest matrix that is read twice."""
        sizes = [width for count, width in self.matrices.values() if count > 1 and width * self.rows >= LARGE]
        return max(sizes, default=None)

    def _blocks(self, width):
        products = [along.words for _, along in self.members if along is not None]
        block = min(BLOCK // width, *(PRODUCT * self.rows // (m * n * k) for m, n, k, *_ in products))
        block = max(block // GOOD * GOOD, GOOD)
        apart = sum(along.width for _, along in self.members if along is not None and along.kernel == REVERSE_Y)
        elements = width * self.rows
        parts = min(elements // PART, MOST_PARTS, elements // (8 * apart) if apart else MOST_PARTS, -(-self.rows // block))
        return Blocks(self.members, self.rows, block, max(parts, 1))

    def _takes(self, step, read=frozenset()):
        """Add a step if it goes along the rows."""
        if _is_product(step):
            node = step.unit.node
            along = self._along(node)
            if along is None:
                return False
            self.members.append((step, along))
            if along.kernel == FORWARD:
                self.made[node.id] = along.width
            else:
                self.whole.add(node.id)
            for x, width in zip(self.planner.operands(node), (along.x, along.y), strict=True):
                if width and x.id not in self.made:
                    self.matrices[x.id] = self.matrices.get(x.id, (0,))[0] + 1, width
            return True
        if not isinstance(step, Loops) or not read & self.made.keys():
            return False
        found = self._results(step) if self._reads_rows(step) else None
        if found is None:
            return False
        made, whole = found
        self.members.append((step, None))
        self.made |= made
        self.whole |= whole
        return True

    # Products

    def _along(self, node):
        """An ``Along`` of a product, None for one that does not go along the rows."""
        words = product_words(self.planner, node)
        m, n, k, batches, ta, lda, _, tb, ldb, _ = words
        rows = self.rows
        if batches != 1:
            return None
        ways = []
        if m == rows and _is_small(n, k) and (not ta or k == 1):
            ways.append(Along(FORWARD, 0, words, 1 if ta else lda, 0, n))
        if m == 1 and n == rows and (tb or k == 1):
            ways.append(Along(FORWARD, 1, words, 0, ldb if tb else 1, 1))
        if k == rows and _is_small(m, n) and (ta or m == 1) and (ldb == n if not tb else ldb == k and n == 1):
            turned = (k, n, m, 1, 1 - ta, lda, 0, 0, n, 0)
            ways.append(Along(REVERSE_Y, 0, turned, lda if ta else 1, n, m * n))
        return next((way for way in ways if self._fits(node, way)), None)

    def _fits(self, node, along):
        """Whether operands that are made along the rows are read so."""
        operands = zip(node.args, self.planner.operands(node), (along.x, along.y), strict=True)
        return all(
            x.id not in self.made or (step == self.made[x.id] and (a is x or a.attr.start == 0)) for a, x, step in operands
        )

    # Loops

    def _reads_rows(self, step):
        """Whether the passes of a loop go along the rows, and read those of the same pass where they are made along them."""
        if len(step.regions) != 1 or step.is_scatter(self.planner):
            return False
        region = step.regions[0]
        first, end = region.box[0]
        if first or (end % self.rows if step.flat else end != self.rows):
            return False
        if step.flat and any(last is not None for _, _, last in region.roots):
            return False
        inner = [(0, end // self.rows)] if step.flat else region.box[1:]
        for line in region.body:
            if line[0] != "load" or line[2] not in self.made:
                continue
            start, *steps = line[3]
            if any(a >= b for a, b in inner) or steps[0] * self._per_row(step) != self.made[line[2]]:
                return False
            spans = [sorted((s * a, s * (b - 1))) for s, (a, b) in zip(steps if step.flat else steps[1:], inner, strict=True)]
            low, high = (start + sum(side) for side in zip(*spans, strict=True)) if spans else (start, start)
            if low < 0 or high >= self.made[line[2]]:
                return False
        return True

    def _per_row(self, step):
        """Passes of the first counter for a row."""
        return step.regions[0].box[0][1] // self.rows if step.flat else 1

    def _results(self, step):
        """(values made along the rows, those summed over them) of a loop, None if there are others."""
        made, whole = {}, set()
        for unit in step.units:
            what, _, steps, start, n = step.action(self.planner, unit)
            width = steps[0] * self._per_row(step)
            if what in START and not width:
                whole.add(unit.node.id)
            elif start or width * self.rows != n or unit.kind == "part":
                return None
            elif unit.kind != "out":
                made[unit.node.id] = width
        return made, whole
