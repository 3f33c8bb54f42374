"""Expressions of plain functions: each kind of node of the syntax tree has a method that answers its value."""

import ast
import builtins
import types as python_types

from llvmlite import ir

from tapejit.edge.plain import calls
from tapejit.edge.plain.operators import BIT, is_number, joined, kind_of
from tapejit.edge.plain.source import Unknown


class Expressions:
    """What a writer of a function (``writer``) does with expressions, at its builder's place."""

    def truth(self, node):
        """Whether an expression holds: a bit, or a bool known beforehand."""
        return self.arithmetic.truth(self.value(node))

    def value(self, node):
        """The value of an expression."""
        method = getattr(self, f"_of_{type(node).__name__.lower()}", None)
        if method is None:
            raise Unknown(f"line {node.lineno}: {type(node).__name__}")
        return method(node)

    def _of_constant(self, node):
        return node.value

    def _of_name(self, node):
        if node.id in self.local:
            return self._read(node.id)
        if node.id in self.scope:
            return self.scope[node.id]
        try:
            return getattr(builtins, node.id)
        except AttributeError:
            raise Unknown(f"line {node.lineno}: {node.id} is not defined") from None

    def _of_attribute(self, node):
        owner = self.value(node.value)
        if not isinstance(owner, python_types.ModuleType):
            raise Unknown(f"line {node.lineno}: an attribute of {owner!r}")
        return getattr(owner, node.attr)

    def _of_tuple(self, node):
        return tuple(self.value(e) for e in node.elts)

    def _of_subscript(self, node):
        owner, index = self.value(node.value), self.value(node.slice)
        if isinstance(owner, tuple) or isinstance(kind_of(owner), ir.LiteralStructType):
            if not is_number(index):
                raise Unknown(f"line {node.lineno}: a place in a tuple that is not known beforehand")
            return self.arithmetic.parts(owner)[index]
        return self.arithmetic.load(owner, index)

    def _of_unaryop(self, node):
        if isinstance(node.op, ast.Not):
            truth = self.truth(node.operand)
            return not truth if is_number(truth) else self.builder.not_(truth)
        return self.arithmetic.unary(type(node.op).__name__, self.value(node.operand))

    def _of_binop(self, node):
        return self.arithmetic.binary(type(node.op).__name__, self.value(node.left), self.value(node.right))

    def _of_compare(self, node):
        if len(node.ops) == 1:
            return self.arithmetic.compare(type(node.ops[0]).__name__, self.value(node.left), self.value(node.comparators[0]))
        operands = [self.value(n) for n in (node.left, *node.comparators)]
        bits = [
            self.arithmetic.compare(type(op).__name__, x, y)
            for op, x, y in zip(node.ops, operands[:-1], operands[1:], strict=True)
        ]
        found = self.arithmetic.as_kind(bits[0], BIT)
        for bit in bits[1:]:
            found = self.builder.and_(found, self.arithmetic.as_kind(bit, BIT))
        return found

    def _of_boolop(self, node):
        goes_on = isinstance(node.op, ast.And)
        ways, end = [], self.code.append_basic_block()
        for operand in node.values:
            value = self.value(operand)
            test = self.arithmetic.truth(value)
            if is_number(test):
                if test == goes_on and operand is not node.values[-1]:
                    continue
                ways.append((value, self.builder.block))
                break
            ways.append((value, self.builder.block))
            if operand is not node.values[-1]:
                following = self.code.append_basic_block()
                self.builder.cbranch(test, *((following, end) if goes_on else (end, following)))
                self.builder.position_at_end(following)
        if self.builder.block is not ways[-1][1]:  # what follows was known to change nothing
            raise Unknown(f"line {node.lineno}: an operand that is known beforehand at the end")
        self.builder.branch(end)
        self.builder.position_at_end(end)
        return self._merged(ways)

    def _of_ifexp(self, node):
        test = self.truth(node.test)
        if is_number(test):
            return self.value(node.body if test else node.orelse)
        then, otherwise, end = (self.code.append_basic_block() for _ in range(3))
        self.builder.cbranch(test, then, otherwise)
        ways = []
        for block, expression in ((then, node.body), (otherwise, node.orelse)):
            self.builder.position_at_end(block)
            value = self.value(expression)
            ways.append((value, self.builder.block))
            self.builder.branch(end)
        self.builder.position_at_end(end)
        return self._merged(ways)

    def _merged(self, ways):
        """The value that comes from one of several blocks, which end already."""
        kind = kind_of(ways[0][0])
        for value, _ in ways[1:]:
            kind = joined(kind, kind_of(value))
        coming = []
        for value, block in ways:
            with self.builder.goto_block(block):
                coming.append((self.arithmetic.as_kind(value, kind), block))
        phi = self.builder.phi(kind)
        for value, block in coming:
            phi.add_incoming(value, block)
        return phi

    def _of_call(self, node):
        if node.keywords:
            raise Unknown(f"line {node.lineno}: keyword arguments")
        arguments = [self.value(a) for a in node.args]
        return calls.call(self.unit, self.arithmetic, self.value(node.func), arguments, self.flags)
