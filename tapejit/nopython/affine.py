"""Indices that are affine in a loop's counter, and what is left of them after a division: neighbours on a ring."""

import operator

from numba.core import types

from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython.stripscans import LEAST


class Affine:
    """``counter * i + constant + sum(multiple * variable)`` with variables that do not change in the loop.

    A variable is a name, or a ``Remainder``.
    """

    __slots__ = ("constant", "counter", "variables")

    def __init__(self, counter=0, constant=0, variables=()):
        self.counter = counter
        self.constant = constant
        self.variables = tuple(sorted(((name, k) for name, k in dict(variables).items() if k), key=str))

    @property
    def key(self):
        return self.counter, self.constant, self.variables

    def plus(self, other, sign):
        variables = dict(self.variables)
        for name, k in other.variables:
            variables[name] = variables.get(name, 0) + sign * k
        return Affine(self.counter + sign * other.counter, self.constant + sign * other.constant, variables)

    def times(self, factor):
        variables = {name: factor * k for name, k in self.variables}
        return Affine(self.counter * factor, self.constant * factor, variables)

    def is_constant(self):
        return not self.counter and not self.variables

    def remainder(self, modulus):
        """``self % modulus``, as far as the passes of a strip go; None if that is not affine."""
        short = modulus.is_constant() and modulus.constant < LEAST
        if modulus.counter or self.counter not in (0, 1) or (self.counter and short):
            return None
        return Affine(self.counter, 0, {Remainder(self, modulus): 1})


class Remainder:
    """``value % modulus`` at a strip's first pass; less the counter's value there, where ``value`` counts with it.

    A strip ends where the remainder begins anew, so that in between it goes up with the counter.
    """

    __slots__ = ("modulus", "value")

    def __init__(self, value, modulus):
        self.value = value
        self.modulus = modulus

    @property
    def key(self):
        return self.value.key, self.modulus.key

    def __eq__(self, other):
        return isinstance(other, Remainder) and self.key == other.key

    def __hash__(self):
        return hash(self.key)

    def __str__(self):
        return f"{self.key}"

    __repr__ = __str__


class Affinities:
    """What is affine in a loop's counter, found instruction by instruction; ``assigned`` of the loop may change in it."""

    def __init__(self, loop, typeof, uses):
        self.loop = loop
        self.typeof = typeof
        self.uses = uses
        self.known = {name: Affine(counter=1) for name in loop.counters}
        self.tuples = {}

    def of(self, name):
        """A variable as ``Affine``; None if it is not."""
        known = self.known.get(name)
        if known is not None or name in self.loop.assigned:
            return known
        ty = self.typeof(name)
        if isinstance(ty, types.IntegerLiteral):
            return Affine(constant=ty.literal_value)
        return Affine(variables={name: 1}) if isinstance(ty, types.Integer) else None

    def note(self, target, value):
        """Remember what is affine."""
        if not self.uses.is_single(target):
            return  # by another way through the pass it may be something else
        found = None
        if isinstance(value, (ir.Const, ir.Global, ir.FreeVar)):
            found = Affine(constant=value.value) if type(value.value) is int else None
        elif isinstance(value, ir.Var):
            found = self.of(value.name)
            if value.name in self.tuples:
                self.tuples[target] = self.tuples[value.name]
        elif value.op == "build_tuple":
            self.tuples[target] = [self.of(v.name) for v in value.items]
        elif value.op in ("binop", "inplace_binop"):
            found = self._of_two(target, value)
        if found is not None:
            self.known[target] = found

    def _of_two(self, target, value):
        fn = value.fn if value.op == "binop" else value.immutable_fn
        left, right = self.of(value.lhs.name), self.of(value.rhs.name)
        if left is None or right is None:
            return None
        if fn in (operator.add, operator.sub):
            return left.plus(right, 1 if fn is operator.add else -1)
        if fn is operator.mul and right.is_constant():
            return left.times(right.constant)
        if fn is operator.mul and left.is_constant():
            return right.times(left.constant)
        if fn not in (operator.mod, operator.imod) or self.typeof(target) != types.intp:
            return None
        found = left.remainder(right)
        if found:
            self.loop.remainders[id(value)] = found
        return found
