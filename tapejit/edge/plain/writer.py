"""One plain function, from its syntax tree to LLVM code.

A name is a place on the stack, of the kind that all its values can be turned into; LLVM makes registers of them. That kind, and
what the function answers, are guessed from what comes first. Where a guess turns out too narrow the function is written again.
"""

import ast

from llvmlite import ir

from tapejit.edge.plain.expressions import Expressions
from tapejit.edge.plain.operators import BIT, FLOATS, NOTHING, WORD, Arithmetic, is_number, joined, kind_of
from tapejit.edge.plain.source import Unknown, tree_of

_MOST_GUESSES = 12


def write(unit, symbol, function, kinds, flags):
    """The LLVM function that a Python function is for arguments of these kinds, put into a unit.

    Args:
        unit: see ``code.Unit``.
        symbol: how to name it; a number is added at every attempt.
        function: the Python function.
        kinds: of its arguments.
        flags: what LLVM may do with its arithmetic on floats, "contract" and so on.
    """
    tree = tree_of(function)
    names = [a.arg for a in tree.args.args]
    if len(names) != len(kinds):
        raise Unknown(f"{function.__qualname__} with {len(kinds)} arguments")
    returns = any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(tree))
    guess = _Guess(dict(zip(names, kinds, strict=True)), WORD if returns else NOTHING)
    for attempt in range(_MOST_GUESSES):
        guess.too_narrow = False
        code = ir.Function(unit.module, ir.FunctionType(guess.answer, kinds), f"{symbol}.{attempt}")
        code.linkage = "internal"
        _Writer(unit, function, tree, code, guess, flags).write(names)
        if not guess.too_narrow:
            _allow(code, flags)
            return code
        del unit.module.globals[code.name]
    raise Unknown(f"the types of {function.__qualname__}")


class _Guess:
    """The kinds of a function's names and answer, as far as they are known."""

    def __init__(self, names, answer):
        self.names = names
        self.constants = set()  # names that have had none but numbers known beforehand
        self.answer = answer
        self.answered = False
        self.too_narrow = False

    def name(self, name, value):
        """The kind of a name that takes a value."""
        kind = kind_of(value)
        only_constants = name not in self.names or name in self.constants
        known = self.names.setdefault(name, kind)
        if kind != known:
            self.names[name] = joined(known, kind)
            # Constants may become wider; a value would have been of its own kind for a while, and computed with as such.
            if self.names[name] != WORD and not only_constants and not (is_number(value) and self.names[name] == known):
                raise Unknown(f"{name} is {known} and {kind}")
            self.too_narrow |= self.names[name] != known
        (self.constants.add if only_constants and is_number(value) else self.constants.discard)(name)
        return self.names[name]

    def result(self, value):
        """The kind of what the function answers."""
        kind = kind_of(value)
        if not self.answered:
            self.answered, known, self.answer = True, self.answer, kind
        else:
            known, self.answer = self.answer, joined(self.answer, kind)
        self.too_narrow |= self.answer != known
        return self.answer


class _Writer(Expressions):
    """A function being written."""

    def __init__(self, unit, function, tree, code, guess, flags):
        self.unit, self.function, self.tree, self.code, self.guess = unit, function, tree, code, guess
        self.flags, self.scope = flags, function.__globals__
        self.places = {}
        self.breaks = 0  # in the loop being written
        self.loops = []  # of the loops around: where ``continue`` and ``break`` go
        self.local = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        entry = code.append_basic_block("entry")
        body = code.append_basic_block("body")
        ir.IRBuilder(entry).branch(body)
        self.builder = ir.IRBuilder(body)
        self.arithmetic = Arithmetic(self.builder, unit.floor)

    def write(self, names):
        """All of it."""
        for name, argument in zip(names, self.code.args, strict=True):
            self.local.add(name)
            self._assign_name(name, argument)
        try:
            self._block(self.tree.body)
        except Unknown as unknown:
            raise Unknown(f"{self.function.__qualname__}: {unknown}") from None
        if not self.builder.block.is_terminated:
            if self.code.function_type.return_type != NOTHING:
                self.builder.unreachable() if self.code.blocks[-1] is not self.builder.block else None
                raise Unknown(f"{self.function.__qualname__} may end without a result")
            self.builder.ret_void()

    def _block(self, statements):
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            method = getattr(self, f"_do_{type(statement).__name__.lower()}", None)
            if method is None:
                raise Unknown(f"line {statement.lineno}: {type(statement).__name__}")
            method(statement)

    def _do_expr(self, node):
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def _do_pass(self, node):
        """Nothing."""

    def _do_return(self, node):
        if node.value is None:
            self.builder.ret_void()
            return
        value = self.value(node.value)
        kind = self.guess.result(value)
        if kind == self.code.function_type.return_type:
            self.builder.ret(self.arithmetic.as_kind(value, kind))
        else:
            self.builder.unreachable()  # to be written again

    def _do_assign(self, node):
        value = self.value(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _do_augassign(self, node):
        op, target = type(node.op).__name__, node.target
        if isinstance(target, ast.Subscript):
            pointer, index = self.value(target.value), self.value(target.slice)
            old = self.arithmetic.load(pointer, index)
            self.arithmetic.store(pointer, index, self.arithmetic.binary(op, old, self.value(node.value)))
        else:
            old = self._read(target.id)
            self._assign(target, self.arithmetic.binary(op, old, self.value(node.value)))

    def _assign(self, target, value):
        if isinstance(target, ast.Name):
            self._assign_name(target.id, value)
        elif isinstance(target, ast.Subscript):
            pointer = self.value(target.value)
            self.arithmetic.store(pointer, self.value(target.slice), value)
        elif isinstance(target, ast.Tuple):
            parts = self.arithmetic.parts(value)
            if len(parts) != len(target.elts):
                raise Unknown(f"line {target.lineno}: {len(parts)} values for {len(target.elts)} names")
            for part, each in zip(parts, target.elts, strict=True):
                self._assign(each, part)
        else:
            raise Unknown(f"line {target.lineno}: an assignment to {type(target).__name__}")

    def _assign_name(self, name, value):
        kind = self.guess.name(name, value)
        if name not in self.places:
            with self.builder.goto_entry_block():
                self.places[name] = self.builder.alloca(kind, name=name)
        place = self.places[name]
        if place.type.pointee == kind:
            self.builder.store(self.arithmetic.as_kind(value, kind), place)

    def _read(self, name):
        if name not in self.guess.names:
            raise Unknown(f"{name} is read before it has a value")
        if name not in self.places:
            with self.builder.goto_entry_block():
                self.places[name] = self.builder.alloca(self.guess.names[name], name=name)
        return self.builder.load(self.places[name])

    def _do_if(self, node):
        test = self.truth(node.test)
        if is_number(test):
            self._block(node.body if test else node.orelse)
            return
        then, otherwise, end = (self.code.append_basic_block() for _ in range(3))
        self.builder.cbranch(test, then, otherwise)
        ends = False
        for block, statements in ((then, node.body), (otherwise, node.orelse)):
            self.builder.position_at_end(block)
            self._block(statements)
            if not self.builder.block.is_terminated:
                self.builder.branch(end)
                ends = True
        self.builder.position_at_end(end)
        if not ends:
            self.builder.unreachable()

    def _do_while(self, node):
        if node.orelse:
            raise Unknown(f"line {node.lineno}: else of a loop")
        head, body, end = (self.code.append_basic_block() for _ in range(3))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        test = self.truth(node.test)
        self.builder.cbranch(self.arithmetic.as_kind(test, BIT), body, end)
        if not self._body(body, node.body, head, end) and test is True:
            self.builder.unreachable()

    def _body(self, block, statements, following, end):
        """The body of a loop; whether it breaks off anywhere. Afterwards the builder is at the end."""
        self.builder.position_at_end(block)
        self.loops.append((following, end))
        breaks = self.breaks
        self._block(statements)
        self.loops.pop()
        if not self.builder.block.is_terminated:
            self.builder.branch(following)
        self.builder.position_at_end(end)
        breaks, self.breaks = self.breaks - breaks, breaks
        return breaks > 0

    def _do_for(self, node):
        call = node.iter
        is_range = isinstance(call, ast.Call) and self.value(call.func) is range and not call.keywords
        if node.orelse or not isinstance(node.target, ast.Name) or not (is_range or isinstance(call, ast.Tuple)):
            raise Unknown(f"line {node.lineno}: a loop over anything but range or a tuple")
        if is_range:
            self._count(node, [self.value(a) for a in call.args])
            return
        end = self.code.append_basic_block()
        for value in self.value(call):
            body, following = self.code.append_basic_block(), self.code.append_basic_block()
            self.builder.branch(body)
            self.builder.position_at_end(body)
            self._assign_name(node.target.id, value)
            self._body(body, node.body, following, end)
            self.builder.position_at_end(following)
        self.builder.branch(end)
        self.builder.position_at_end(end)

    def _count(self, node, numbers):
        """A loop over ``range(*numbers)``."""
        start, stop, step = (0, numbers[0], 1) if len(numbers) == 1 else (*numbers, 1)[:3]
        if not is_number(step) or step == 0:
            raise Unknown(f"line {node.lineno}: a step that is not known beforehand")
        as_word = self.arithmetic.as_kind
        start, stop = as_word(start, WORD), as_word(stop, WORD)
        with self.builder.goto_entry_block():
            counter = self.builder.alloca(WORD)
        head, body, following, end = (self.code.append_basic_block() for _ in range(4))
        self.builder.store(start, counter)
        self.builder.branch(head)
        self.builder.position_at_end(head)
        i = self.builder.load(counter)
        self.builder.cbranch(self.builder.icmp_signed("<" if step > 0 else ">", i, stop), body, end)
        self.builder.position_at_end(body)
        self._assign_name(node.target.id, i)
        self._body(body, node.body, following, end)
        self.builder.position_at_end(following)
        self.builder.store(self.builder.add(self.builder.load(counter), WORD(step), flags=["nsw"]), counter)
        self.builder.branch(head)
        self.builder.position_at_end(end)

    def _do_break(self, node):
        self.breaks += 1
        self.builder.branch(self.loops[-1][1])

    def _do_continue(self, node):
        self.builder.branch(self.loops[-1][0])


def _allow(code, flags):
    """Say of all arithmetic on floats in a function, and of calls of LLVM's functions, what may be done with it."""
    if not flags:
        return
    for block in code.blocks:
        for instruction in block.instructions:
            if instruction.opname in ("fadd", "fsub", "fmul", "fdiv", "frem", "fcmp") and not instruction.flags:
                instruction.flags.extend(flags)
            if instruction.opname == "select" and instruction.type in FLOATS and "nnan" in flags:
                instruction.flags.extend(flags)  # else LLVM does not know it for an extreme
            if instruction.opname == "call" and instruction.type in FLOATS and instruction.callee.name.startswith("llvm."):
                for flag in flags:  # ``vecmath`` has calls that take none
                    instruction.fastmath.add(flag)
