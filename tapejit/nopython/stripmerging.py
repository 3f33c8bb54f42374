"""Variables in a strip that have their values of several branches: a slot for the value, and one for each coefficient.

What the branch that a pass takes does not depend on has a coefficient of zero. LLVM makes selections of the slots.
"""

from llvmlite import ir as llvm
from numba.core import cgutils

from tapejit.nopython.algebra import Pending, algebra, mark, may_be_singular
from tapejit.nopython.stripsums import Refused


class Merging:
    """The part of ``stripcode.Strip`` that joins the values of branches."""

    def read_merged(self, name, alg=None):
        """A variable's value at this pass, and the coefficients of all that any branch lets it depend on.

        Or an element's, by its key, whose algebra is given.
        """
        alg = alg or self._algebra_of(name)
        slot, slopes = self.merged[name]
        singular = may_be_singular(self.builder)
        terms = [(mark(self.builder.load(slope), singular), index) for slope, index in slopes.values()]
        return Pending(alg.base.unpack(self.builder.load(slot)), terms)

    def write_merged(self, name, value, alg=None):
        """Give a variable, or an element, the value that one of the branches has; its ``Pending`` value."""
        alg = alg or self._algebra_of(name)
        value = alg.unpack(value)
        v = alg.base.pack(value.v)
        terms = self._summed(alg, value.terms)
        if name not in self.merged:
            self.merged[name] = cgutils.alloca_once(self.builder, v.type), {}
        slot, slopes = self.merged[name]
        for key, (_, index) in terms.items():
            if key not in slopes:
                slopes[key] = self._slope_slot(), index
        self.builder.store(v, slot)
        for key, (slope, _) in slopes.items():
            self.builder.store(terms[key][0] if key in terms else alg.coef.constant(0.0), slope)
        return Pending(value.v, terms.values())

    def _algebra_of(self, name):
        return algebra(self.context, self.builder, self.lower.typeof(name))

    def _summed(self, alg, terms):
        """The terms that depend on a statement, by its identity."""
        found = {}
        for coefficient, index in terms:
            key = id(index)
            if key in self.sums:
                raise Refused
            if key not in self.known:
                if isinstance(index, llvm.Constant):
                    continue  # statement 0: a constant
                raise Refused
            if key in found:
                coefficient = alg.coef.add(found[key][0], coefficient)
            found[key] = coefficient, index
        return found

    def _slope_slot(self):
        """A slot that is zero in passes whose branch has no such term."""
        slot = cgutils.alloca_once(self.builder, llvm.DoubleType())
        with self.builder.goto_block(self.body):
            self.builder.store(llvm.Constant(llvm.DoubleType(), 0.0), slot)
        return slot
