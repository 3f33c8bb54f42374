"""Indices that are affine in a loop's counter, and what is left of them after a division: neighbours on a ring."""

from tapejit.nopython.stripsweep import LEAST


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
