"""What Python does with a counter, told from its bytecode: every way from a decision to the next one, and from the last one on.

A counter must not be seen by anything but arithmetic that tensors show on the tape, and comparisons with numbers, which tell
for how many passes they come out as they did. Whatever else is done with it, or is not known here, is refused.
"""

import contextlib
import dis
import itertools
import types

from tapejit.graph.counting import Unsafe, joined, number
from tapejit.replay.abstract import (
    CLEAN,
    NULL,
    TENSOR,
    as_form,
    both,
    is_number,
    is_tainted,
    it_of,
    known,
    seen,
)
from tapejit.replay.bytecode import Instructions
from tapejit.spec.table import OPS

MOST_STATES = 4000
MOST_DEPTH = 4  # functions that are looked into
TENSOR_NAMES = {(op.alias_of or op).name for op in OPS} | {"stack", "cat"}
_SKIPPED = ("NOP", "RESUME", "CACHE", "EXTENDED_ARG", "PRECALL", "COPY_FREE_VARS", "MAKE_CELL")
_SEEING = {"locals", "vars", "eval", "exec", "dir", "_getframe", "currentframe"}


class Walk(Instructions):
    """Goes through the code of one function.

    Args:
        space: its global names.
        heard: hears of what meets tensors: ``form``, ``unknown``, ``element``; ``condition`` says how a comparison comes out.
        free: by name what its free variables are.
    """

    def __init__(self, code, space, heard, free=None, depth=0):
        self.code, self.space, self.heard, self.free, self.depth = code, space, heard, free or {}, depth
        self.instructions = list(dis.get_instructions(code))
        self.place = {i.offset: k for k, i in enumerate(self.instructions)}
        self.guarded = [(e.start, e.end) for e in getattr(dis.Bytecode(code), "exception_entries", ())]
        self.results, self.arrived = [], []
        if _SEEING & {*code.co_names} or code.co_flags & 0x2A0:  # generators and coroutines
            raise Unsafe

    def go(self, begin, stop=None, watched=None):
        """Follow all ways from some states (offset, stack, locals); those that come to ``stop`` are ``arrived``.

        Args:
            watched: hears (offset, stack) of every state, and may end the walk by an exception.
        """
        states, waiting, steps = {}, [], 0

        def enter(offset, stack, space):
            before = states.get(offset)
            state = tuple(stack), space
            if before is not None:
                if len(before[0]) != len(stack):
                    raise Unsafe
                state = self._met(offset, before, state)
            if state != before:
                states[offset] = state
                waiting.append(offset)

        for state in begin:
            enter(*state)
        while waiting:
            offset = waiting.pop()
            stack, space = states[offset]
            steps += 1
            if steps > MOST_STATES:
                raise Unsafe
            if watched is not None:
                watched(offset, stack)
            if offset == stop:
                self.arrived.append((stack, space))
                continue
            for following in self._step(self.instructions[self.place[offset]], [*stack], dict(space)):
                enter(*following)

    def _met(self, offset, before, now):
        """What is known where two ways come to one place."""
        (stack, space), (stack_now, space_now) = before, now
        names = {*space, *space_now}
        return tuple(map(both, stack, stack_now)), {x: both(space.get(x, CLEAN), space_now.get(x, CLEAN)) for x in names}

    def after(self, offset):
        return self.instructions[self.place[offset] + 1].offset

    # Instructions

    def _step(self, i, stack, space):
        """The states after an instruction."""
        if any(first <= i.offset < end for first, end in self.guarded):
            raise Unsafe
        name = i.opname
        if name in ("RETURN_VALUE", "RETURN_CONST"):
            self.results.append(known(i.argval) if name == "RETURN_CONST" else stack.pop())
            return []
        if name in ("RAISE_VARARGS", "RERAISE"):
            return []
        if name == "FOR_ITER":
            return self._next(i, stack, space)
        if name.startswith("POP_JUMP") or name.startswith("JUMP_IF"):
            return self._branch(i, stack, space)
        if name.startswith("JUMP"):
            return [(i.argval, stack, space)]
        if name not in _SKIPPED:
            method = getattr(self, f"_{name.lower()}", None)
            if method is not None:
                method(i, stack, space)
            elif name.startswith(("LOAD_FAST", "STORE_FAST", "DELETE_FAST")):
                self._fast(i, stack, space)
            else:
                self._other(i, stack)
        return [(self.after(i.offset), stack, space)]

    # Ways that part

    def _branch(self, i, stack, space):
        """The states after a jump that may be made."""
        x, name = stack.pop(), i.opname
        kept = [x] if name.endswith("_OR_POP") else []
        ways = [(self.after(i.offset), stack, space), (i.argval, [*stack, *kept], space)]
        if not is_tainted(x):
            return ways
        if "NONE" in name:
            raise Unsafe
        outcome = self._truth(x)
        jumps = outcome == ("IF_TRUE" in name)
        if kept:
            ways[1][1][-1] = known(outcome)
        return [ways[jumps]]

    def branch_at(self, offset, outcome, stack, space):
        """The state after a decision that is a jump; None if it is another instruction."""
        i = self.instructions[self.place[offset]]
        if not i.opname.startswith("POP_JUMP") or "NONE" in i.opname:
            return None
        return (i.argval if outcome == ("IF_TRUE" in i.opname) else self.after(offset)), stack[:-1], space

    def _next(self, i, stack, space):
        """The states after a ``for`` has asked for the next value, and after its end."""
        x = stack[-1]
        over = i.argval, ended(i, stack), space
        if x[0] == "counting":
            _, form, along = x
            kind = "<" if along.step > 0 else ">"
            if not self.heard.condition(kind, form, along.stop):
                return [over]
            stack[-1] = "counting", joined("+", form, number(along.step)), along
            return [(self.after(i.offset), [*stack, ("form", form)], space)]
        if x[0] == "hidden":
            stack[-1] = "hidden", True
        elif is_tainted(x):
            raise Unsafe
        return [(self.after(i.offset), [*stack, CLEAN], space), over]

    # Calls

    def _call(self, i, stack, space):
        keywords = space.pop("*keywords", None)
        args = stack[len(stack) - i.arg :]
        del stack[len(stack) - i.arg :]
        second, first = stack.pop(), stack.pop()
        function = second if first == NULL else first
        owner = None if NULL in (first, second) else second
        stack.append(self._called(function, owner, args, keywords))

    def _called(self, function, owner, args, keywords):
        f = it_of(function)
        if is_tainted(function) or (owner is not None and is_tainted(owner)):
            raise Unsafe
        if not any(map(is_tainted, args)):
            if f in (range, itertools.count) and keywords is None:
                return "range", (), tuple(args), f is not range
            tensors = any(x[0] == "tensor" for x in args) or (owner is not None and owner[0] == "tensor")
            name = function[1] if function[0] == "method" else getattr(f, "__name__", None)
            ours = function[0] == "method" or getattr(f, "__module__", "").startswith("tapejit")
            return TENSOR if tensors and ours and name in TENSOR_NAMES else CLEAN
        if keywords is not None or owner is not None:
            raise Unsafe
        if f is float and len(args) == 1 and args[0][0] == "form":
            return "form", joined("*", number(1.0), args[0][1])
        if f in (min, max) and len(args) == 2 and all(x[0] == "form" or is_number(x) for x in args):
            first, second = map(as_form, args)
            kind = "<=" if f is min else ">="
            return args[0] if self.heard.condition(kind, joined("-", first, second), 0) else args[1]
        if f is abs and len(args) == 1 and args[0][0] == "form":
            negative = self.heard.condition("<", args[0][1], 0)
            return "form", joined("*", number(-1), args[0][1]) if negative else args[0][1]
        if f is print:
            return known(None)
        if f.__class__ is types.FunctionType:
            return self._inside(f, args)
        raise Unsafe

    def _inside(self, f, args):
        """What a function of Python gives that is called with counters."""
        code = f.__code__
        if self.depth >= MOST_DEPTH or len(args) != code.co_argcount or code.co_kwonlyargcount or code.co_flags & 0xC:
            raise Unsafe
        free = {}
        for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):
                free[name] = seen(cell.cell_contents)
        if set(code.co_cellvars) & set(code.co_varnames[: len(args)]):
            raise Unsafe
        walk = Walk(code, f.__globals__, self.heard, free, self.depth + 1)
        walk.go([(walk.instructions[0].offset, (), dict(zip(code.co_varnames, args, strict=False)))])
        found = None
        for result in walk.results:
            found = result if found is None else both(found, result)
        return CLEAN if found is None else found


def ended(i, stack):
    """The stack where the iterator of a ``for`` has no more values."""
    effect = dis.stack_effect(i.opcode, i.arg, jump=True)
    return stack[:effect] if effect < 0 else [*stack, *[CLEAN] * effect]


def stack_at(code, space, offset):
    """What lies on the stack where an instruction begins; what it found under a local name is ("local", name)."""

    class Found(Exception):
        pass

    stack = None

    def watched(at, found):
        nonlocal stack
        if at == offset:
            stack = found
            raise Found

    walk = Walk(code, space, None)
    walk.symbolic = True
    try:
        walk.go([(walk.instructions[0].offset, (), {})], watched=watched)
    except Found:
        return stack
    raise Unsafe
