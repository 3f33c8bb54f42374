"""Small systems of equations written out, their factors too: the loops of the kernels take most of the kernels' time.

The operations, their order and what LLVM may contract are the kernels' (see ``kernels.factor`` and ``kernels.solves``), so the
results have the kernels' bits.
"""

import ctypes

from llvmlite import ir

from tapejit.compile.scalarcode import BYTES, I1, I32, IN_MEMORY, finish, itemsize
from tapejit.edge.vecmath.emit import CONTRACT, call_intrinsic

MOST_ROWS, MOST_COLUMNS = 4, 8
_WORDS = {"lu": 2, "inverse": 2, "solve": 4}  # of the plans: rows, batches; rows, columns, batches, whether transposed


def written_out(kernel):
    """(rows, columns, whether transposed) of a ``Kernel`` that is written out here, () for others."""
    if kernel.name not in _WORDS:
        return ()
    # By their address, as kernels read them: the program keeps its plans, when the list of plans may have dropped them.
    words = tuple((ctypes.c_int64 * _WORDS[kernel.name]).from_address(kernel.plan))
    n, columns, batches, transposed = words if kernel.name == "solve" else (words[0], *words, 0)
    fits = 0 < n <= MOST_ROWS and 0 < columns <= MOST_COLUMNS and batches == 1
    return (n, columns, transposed) if fits else ()


def small_function(module, kernel, dtype, words):
    """``i1 function(i8* right, i8* matrix, i8* out)`` in place of a kernel: true if it is left to the kernel after all."""
    name = "_".join(map(str, ("small", kernel.name, dtype, *words)))
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(I1, [BYTES] * 3), name)
        function.linkage = "internal"
        b = ir.IRBuilder(function.append_basic_block())
        right, matrix, out = function.args
        if kernel.name == "lu":
            factors = SmallFactors(b, dtype, words[0], matrix)
            with b.if_then(b.not_(factors.singular), likely=True):
                factors.store(out)
            b.ret(factors.singular)
        else:
            SmallSolve(b, dtype, words, right if kernel.name == "solve" else None, matrix, out)
            b.ret(I1(0))
        finish(function)
    return function


class SmallFactors:
    """Works out the factors of a matrix; ``singular``: whether a pivot is zero."""

    def __init__(self, builder, dtype, n, matrix):
        self.b, self.number, self.n = builder, IN_MEMORY[dtype], n
        matrix = builder.bitcast(matrix, self.number.as_pointer())
        self.rows = [[builder.load(builder.gep(matrix, [I32(i * n + j)])) for j in range(n)] for i in range(n)]
        self.pivots, self.sign, self.singular = [], self._const(1), I1(0)
        for j in range(n):
            self._exchange(j)
            self._eliminate(j)

    def _const(self, number):
        return ir.Constant(self.number, number)

    def _exchange(self, j):
        """The largest element of what is left of a column comes onto the diagonal, the first of several."""
        b, rows = self.b, self.rows
        sizes = [call_intrinsic(b, "llvm.fabs", self.number, [row[j]]) for row in rows[j:]]
        largest, best = sizes[0], self._const(j + 1)
        for i, size in enumerate(sizes[1:], j + 1):
            larger = b.fcmp_ordered(">", size, largest)
            largest, best = b.select(larger, size, largest), b.select(larger, self._const(i + 1), best)
        for i in range(j + 1, self.n):
            other = b.fcmp_ordered("==", best, self._const(i + 1))
            pairs = list(zip(rows[j], rows[i], strict=True))
            rows[j], rows[i] = [b.select(other, y, x) for x, y in pairs], [b.select(other, x, y) for x, y in pairs]
        same = b.fcmp_ordered("==", best, self._const(j + 1))
        self.sign = b.select(same, self.sign, b.fneg(self.sign))
        self.pivots.append(best)
        self.singular = b.or_(self.singular, b.fcmp_ordered("==", rows[j][j], self._const(0)))

    def _eliminate(self, j):
        b, rows = self.b, self.rows
        for row in rows[j + 1 :]:
            row[j] = b.fdiv(row[j], rows[j][j])
            for c in range(j + 1, self.n):
                row[c] = b.fsub(row[c], b.fmul(row[j], rows[j][c], flags=CONTRACT), flags=CONTRACT)

    def store(self, out):
        out = self.b.bitcast(out, self.number.as_pointer())
        for k, x in enumerate([*(x for row in self.rows for x in row), *self.pivots, self.sign]):
            self.b.store(x, self.b.gep(out, [I32(k)]))


class SmallSolve:
    """Writes ``op(A) @ X = B``, a row of B being one vector.

    Args:
        words: see ``written_out``.
        right: the place of B, None for the identity.
        factors, out: the places of A's factors with their pivots, and of X.
    """

    def __init__(self, builder, dtype, words, right, factors, out):
        self.b, self.number, self.size = builder, IN_MEMORY[dtype], itemsize(dtype)
        self.n, self.columns, transposed = words
        self.kind = self.number if self.columns == 1 else ir.VectorType(self.number, self.columns)
        self.factors = builder.bitcast(factors, self.number.as_pointer())
        order = range(self.n)
        rows = [self._row(right, i) if right else self._unit(i) for i in order]
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
        place = self.b.gep(start, [I32(i * self.columns * self.size)])
        return self.b.bitcast(place, self.kind.as_pointer())

    def _row(self, start, i):
        return self.b.load(self._place(start, i), align=self.size)

    def _unit(self, i):
        numbers = [float(i == j) for j in range(self.columns)]
        return ir.Constant(self.kind, numbers if self.columns > 1 else numbers[0])

    def _number(self, k):
        return self.b.load(self.b.gep(self.factors, [I32(k)]))

    def _factor(self, i, j):
        """Element (i, j) of the factors, as often as there are columns."""
        x = self._number(i * self.n + j)
        if self.columns == 1:
            return x
        nothing = ir.Constant(self.kind, ir.Undefined)
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
