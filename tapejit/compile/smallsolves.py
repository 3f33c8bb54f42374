"""Small systems of equations written out, from the factors that ``lu`` made: the loops of their kernel take most of its time.

The operations, their order and what LLVM may contract are the kernel's (see ``kernels.solves``), so the results have its bits.
A row of the right sides is one vector.
"""

from llvmlite import ir

from tapejit.compile.scalarcode import I32, IN_MEMORY, itemsize
from tapejit.core.plans import plan_at
from tapejit.edge.vecmath.emit import CONTRACT

MOST_ROWS, MOST_COLUMNS = 4, 8


def written_out(kernel):
    """(rows, columns, whether transposed) of a ``solve`` that is written out here, () for other ``Kernel``s."""
    if kernel.name != "solve":
        return ()
    n, columns, batches, transposed, _ = plan_at(kernel.plan).words.tolist()
    fits = 0 < n <= MOST_ROWS and 0 < columns <= MOST_COLUMNS and batches == 1
    return (n, columns, transposed) if fits else ()


class SmallSolve:
    """Writes ``op(A) @ X = B``; the places are those of B, of A's factors with their pivots, and of X."""

    def __init__(self, builder, dtype, words, right, factors, out):
        self.b, self.number, self.size = builder, IN_MEMORY[dtype], itemsize(dtype)
        self.n, self.columns, transposed = words
        self.factors = builder.bitcast(factors, self.number.as_pointer())
        rows = [self._row(right, i) for i in range(self.n)]
        order = range(self.n)
        if transposed:
            self._triangle(rows, order, lambda i, j: self._factor(j, i), divided=True)
            self._triangle(rows, order[::-1], lambda i, j: self._factor(j, i), divided=False)
            self._exchange(rows, order[::-1])
        else:
            self._exchange(rows, order)
            self._triangle(rows, order, self._factor, divided=False)
            self._triangle(rows, order[::-1], self._factor, divided=True)
        for i, row in enumerate(rows):
            builder.store(row, self._place(out, i), align=self.size)

    def _place(self, start, i):
        kind = self.number if self.columns == 1 else ir.VectorType(self.number, self.columns)
        place = self.b.gep(start, [I32(i * self.columns * self.size)])
        return self.b.bitcast(place, kind.as_pointer())

    def _row(self, start, i):
        return self.b.load(self._place(start, i), align=self.size)

    def _number(self, k):
        return self.b.load(self.b.gep(self.factors, [I32(k)]))

    def _factor(self, i, j):
        """Element (i, j) of the factors, as often as there are columns."""
        x = self._number(i * self.n + j)
        if self.columns == 1:
            return x
        nothing = ir.Constant(ir.VectorType(self.number, self.columns), ir.Undefined)
        first = self.b.insert_element(nothing, x, I32(0))
        return self.b.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(I32, self.columns), [0] * self.columns))

    def _triangle(self, rows, order, factor, divided):
        """Solve with one of the two factors, in place of ``rows``."""
        b, done = self.b, []
        for i in order:
            for j in sorted(done):
                rows[i] = b.fsub(rows[i], b.fmul(factor(i, j), rows[j], flags=CONTRACT), flags=CONTRACT)
            if divided:
                rows[i] = b.fdiv(rows[i], factor(i, i))
            done.append(i)

    def _exchange(self, rows, order):
        """Row i and the one of its pivot, which is not above it, change places."""
        b = self.b
        for i in order:
            pivot = self._number(self.n * self.n + i)
            for k in range(i + 1, self.n):
                other = b.fcmp_ordered("==", pivot, ir.Constant(self.number, k + 1))
                rows[i], rows[k] = b.select(other, rows[k], rows[i]), b.select(other, rows[i], rows[k])
