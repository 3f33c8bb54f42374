"""Single instructions of Python's bytecode, as what they do to values of which some are counters (see ``replay.abstract``)."""

import builtins
import dis
import itertools
import types

from tapejit.graph.counting import COMPARISONS, OPERATORS, Unsafe, joined, number
from tapejit.replay.abstract import (
    CLEAN,
    NULL,
    OPAQUE,
    TENSOR,
    as_form,
    attribute,
    is_iterator,
    is_number,
    is_tainted,
    it_of,
    known,
    names,
    seen,
)

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class Instructions:
    """Those that have one successor; a method has an instruction's name, and changes the stack and the locals."""

    symbolic = False  # whether local names stand for themselves

    def _other(self, i, stack):
        """An instruction of which only is known how the stack grows."""
        operands = list(itertools.takewhile(lambda x: not is_iterator(x), reversed(stack)))
        if any(map(is_tainted, operands)):
            raise Unsafe
        effect = dis.stack_effect(i.opcode, i.arg, jump=False) if i.opcode >= dis.HAVE_ARGUMENT else dis.stack_effect(i.opcode)
        for _ in range(-effect):
            stack.pop()
        if effect <= 0 and stack and operands and len(operands) > -effect:
            stack[-1] = CLEAN
        stack += [CLEAN] * effect

    def _fast(self, i, stack, space):
        parts = i.opname.replace("_BORROW", "").replace("_CHECK", "").split("_FAST")
        kinds = [p.strip("_") for p in parts[:-1]]
        if parts[-1] or len(kinds) != len(names(i)):
            raise Unsafe  # LOAD_FAST_AND_CLEAR
        for kind, name in zip(kinds, names(i), strict=True):
            if kind == "LOAD":
                stack.append(("local", name) if self.symbolic else space.get(name, CLEAN))
            elif kind == "STORE":
                space[name] = stack.pop()
            else:
                space.pop(name, None)

    def _load_const(self, i, stack, space):
        stack.append(known(i.argval))

    _load_small_int = _load_const

    def _push_null(self, i, stack, space):
        stack.append(NULL)

    def _load_global(self, i, stack, space):
        name = i.argval
        found = self.space.get(name, getattr(builtins, name, self))
        stack += [NULL] * (i.arg & 1)
        stack.append(CLEAN if found is self else seen(found))

    def _load_deref(self, i, stack, space):
        found = self.free.get(i.argval)
        stack.append(found if found is not None and i.argval in self.code.co_freevars else CLEAN)

    def _load_attr(self, i, stack, space):
        if dis.stack_effect(i.opcode, i.arg) == 1:  # a method, from 3.12 on
            self._load_method(i, stack, space)
            return
        x = stack.pop()
        if is_tainted(x):
            raise Unsafe
        stack.append(attribute(x, i.argval))

    def _load_method(self, i, stack, space):
        x = stack.pop()
        if is_tainted(x):
            raise Unsafe
        if it_of(x).__class__ is types.ModuleType:
            stack += [NULL, attribute(x, i.argval)]
        else:
            stack += [("method", i.argval), x] if x[0] == "tensor" else [CLEAN, CLEAN]

    def _pop_top(self, i, stack, space):
        stack.pop()

    def _swap(self, i, stack, space):
        stack[-1], stack[-i.arg] = stack[-i.arg], stack[-1]

    def _copy(self, i, stack, space):
        stack.append(stack[-i.arg])

    def _build_tuple(self, i, stack, space):
        items = tuple(stack[len(stack) - i.arg :])
        del stack[len(stack) - i.arg :]
        stack.append(("tuple", items))

    def _build_list(self, i, stack, space):
        """A list, or another container of which no part is told from others."""
        self._build_tuple(i, stack, space)
        stack[-1] = ("made", stack[-1][1]) if is_tainted(stack[-1]) else CLEAN

    def _build_const_key_map(self, i, stack, space):
        stack.pop()
        self._build_list(i, stack, space)

    def _build_map(self, i, stack, space):
        parts = stack[len(stack) - 2 * i.arg :]
        del stack[len(stack) - 2 * i.arg :]
        if any(map(is_tainted, parts[::2])):
            raise Unsafe
        stack.append(("made", tuple(parts[1::2])) if any(map(is_tainted, parts)) else CLEAN)

    def _unpack_sequence(self, i, stack, space):
        x = stack.pop()
        if x[0] == "tuple" and len(x[1]) == i.arg:
            stack += reversed(x[1])
        elif is_tainted(x):
            raise Unsafe
        else:
            stack += [CLEAN] * i.arg

    def _binary_subscr(self, i, stack, space):
        key, x = stack.pop(), stack.pop()
        if x[0] == "tuple" and it_of(key).__class__ is int and -len(x[1]) <= it_of(key) < len(x[1]):
            stack.append(x[1][it_of(key)])
        elif x[0] == "tensor" and x[1] is not None and key[0] == "form":
            from_end = self.heard.condition("<", key[1], 0)
            self.heard.condition(">=" if from_end else "<", key[1], -x[1] if from_end else x[1])
            self.heard.element(key[1])
            stack.append(TENSOR)
        elif is_tainted(key) or is_tainted(x):
            raise Unsafe
        else:
            stack.append(TENSOR if x[0] == "tensor" else CLEAN)

    def _unary_negative(self, i, stack, space):
        x = stack.pop()
        if x[0] == "form":
            x = "form", joined("*", number(-1), x[1])
        elif is_tainted(x):
            raise Unsafe
        stack.append(x if x[0] in ("form", "tensor") else CLEAN)

    def _unary_not(self, i, stack, space):
        x = stack.pop()
        if is_tainted(x):
            stack.append(known(not self._truth(x)))
        else:
            stack.append(CLEAN)

    def _to_bool(self, i, stack, space):
        x = stack.pop()
        stack.append(known(self._truth(x)) if is_tainted(x) else CLEAN)

    def _binary_op(self, i, stack, space):
        kind = i.argrepr.rstrip("=")
        if kind == "[]":
            self._binary_subscr(i, stack, space)
            return
        b, a = stack.pop(), stack.pop()
        stack.append(self._arithmetic(kind, a, b))

    def _arithmetic(self, kind, a, b):
        tensor = a[0] == "tensor" or b[0] == "tensor"
        if not is_tainted(a) and not is_tainted(b):
            if is_number(a) and is_number(b) and kind in ("+", "-", "*"):
                return known(OPERATORS[kind](it_of(a), it_of(b)))
            return TENSOR if tensor else CLEAN
        a, b = (known(self._truth(x)) if x[0] == "flag" else x for x in (a, b))
        if not is_tainted(a) and not is_tainted(b):
            return self._arithmetic(kind, a, b)
        if kind not in OPERATORS or not {a[0], b[0]} <= {"tensor", "form", "clean", "known", "opaque"}:
            raise Unsafe
        if (a[0] == "form" or is_number(a)) and (b[0] == "form" or is_number(b)):
            form = joined(kind, as_form(a), as_form(b))
            if kind == "/":
                self._not_zero(as_form(b))
            return "form", form
        for x, other in ((a, b), (b, a)):
            if is_number(other) or other[0] == "form":
                continue
            if x[0] == "form":
                self.heard.form(x[1])
            elif x[0] == "opaque":
                self.heard.unknown()
        return TENSOR if tensor else OPAQUE

    def _not_zero(self, form):
        """A divisor keeps its sign, so that it is no zero."""
        if form[0] == "number":
            if not form[1]:
                raise Unsafe
        elif form[0] == "*":
            self._not_zero(form[1])
            self._not_zero(form[2])
        elif not self.heard.condition(">", form, 0) and not self.heard.condition("<", form, 0):
            raise Unsafe

    def _compare_op(self, i, stack, space):
        b, a = stack.pop(), stack.pop()
        kind = next((k for k in ("<=", ">=", "==", "!=", "<", ">") if k in i.argrepr), None)
        tensor = a[0] == "tensor" or b[0] == "tensor"
        if not is_tainted(a) and not is_tainted(b):
            numbers = is_number(a) and is_number(b) and kind in COMPARISONS
            stack.append(known(COMPARISONS[kind](it_of(a), it_of(b))) if numbers else TENSOR if tensor else CLEAN)
        elif kind not in COMPARISONS:
            raise Unsafe
        elif a[0] == "form" and is_number(b):
            stack.append(("flag", kind, a[1], it_of(b)))
        elif b[0] == "form" and is_number(a):
            stack.append(("flag", _MIRRORED[kind], b[1], it_of(a)))
        elif a[0] == b[0] == "form":
            stack.append(("flag", kind, joined("-", a[1], b[1]), 0))
        elif tensor and {a[0], b[0]} <= {"tensor", "form"}:
            stack.append(TENSOR)
            self.heard.form(a[1] if a[0] == "form" else b[1])
        else:
            raise Unsafe

    def _is_op(self, i, stack, space):
        b, a = stack.pop(), stack.pop()
        if "form" in (a[0], b[0]) and (it_of(a) is None) != (it_of(b) is None) and "known" in (a[0], b[0]):
            raise Unsafe
        if is_tainted(a) or is_tainted(b):
            raise Unsafe
        stack.append(CLEAN)

    def _truth(self, x):
        """How Python decides on a value that depends on counters."""
        if x[0] == "flag":
            return self.heard.condition(*x[1:])
        if x[0] == "form":
            return self.heard.condition("!=", x[1], 0)
        raise Unsafe

    def _get_iter(self, i, stack, space):
        if is_tainted(stack[-1]):
            raise Unsafe
        if stack[-1][0] == "range":
            stack[-1] = *stack[-1], self.after(i.offset)
        else:
            stack[-1] = "iterator", i.offset

    def _kw_names(self, i, stack, space):
        space["*keywords"] = known(True)
