"""What Python does with the length of a call: with a number that it gives to ``range``, or with arrays as long.

The code of a function is followed from its beginning. A loop along the length is gone through with its pass as a counter.
Inside, nothing may be handed from pass to pass but tensors, and nothing may be called that could remember how often: a length
that was not recorded has passes that nobody has seen. Comparisons say for which lengths they come out as they did.
"""

import functools
import types

from tapejit.graph.counting import Unsafe, counter, joined, number
from tapejit.replay.abstract import (
    CLEAN,
    OPAQUE,
    PURE,
    TENSOR,
    as_form,
    both,
    held,
    is_tainted,
    it_of,
    known,
)
from tapejit.replay.lengthcalls import LengthCalls, either, has_no_memory, in_every_pass, placed
from tapejit.replay.walk import Walk, ended

_PLAINLY = object.__getattribute__
_OF_ARRAYS = ("T", "mT", "shape", "ndim", "size", "dtype", "real", "imag")
_STORING = ("STORE_FAST", "DELETE_FAST", "STORE_DEREF", "DELETE_DEREF")
_REMEMBERING = ("STORE_ATTR", "STORE_GLOBAL", "STORE_NAME")
_PURELY = (
    "LOAD_CLOSURE", "BUILD_SLICE", "LOAD_ASSERTION_ERROR", "FORMAT_VALUE", "BUILD_STRING", "UNARY_POSITIVE", "UNARY_INVERT",
    "LOAD_DEREF", "POP_EXCEPT", "PUSH_EXC_INFO", "LIST_TO_TUPLE",
)  # fmt: skip


class LengthWalk(LengthCalls, Walk):
    """Goes through a function that is given a length.

    Args:
        heard: see ``lengthforms.Heard``.
        strict: whether all of it runs in each pass of a loop along the length.
    """

    def __init__(self, code, space, heard, free=None, depth=0, strict=False):
        super().__init__(code, space, heard, free, depth)
        self.all_strict = self.strict = strict
        self.along = {}  # where a loop along the length asks for the next value -> where it ends
        stores = [i.argval for i in self.instructions if i.opname in _STORING]
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.changing = {name for name in code.co_cellvars if stores.count(name) + given.count(name) > 1}
        if any(i.opname in ("STORE_DEREF", "DELETE_DEREF") and i.argval in code.co_freevars for i in self.instructions):
            raise Unsafe

    def _step(self, i, stack, space):
        self.strict = self.all_strict or any(first < i.offset < end for first, end in self.along.items())
        return super()._step(i, stack, space)

    held = staticmethod(held)

    def _met(self, offset, before, now):
        """What two ways to one place have in common; at the beginning of a pass, what holds in every one."""
        if offset not in self.along:
            (stack, space), (stack_now, space_now) = before, now
            names = {*space, *space_now}
            space = {x: either(space.get(x, CLEAN), space_now.get(x, CLEAN)) for x in names}
            return tuple(map(either, stack, stack_now)), space
        end = self.along[offset]
        inside = [i for i in self.instructions if offset < i.offset < end and i.opname.startswith(_STORING)]
        again = {name for i in inside for name in (i.argval if isinstance(i.argval, tuple) else (i.argval,))}
        (stack, space), (stack_now, space_now) = before, now
        found = {}
        for name in {*space, *space_now}:
            a, b = space.get(name, CLEAN), space_now.get(name, CLEAN)
            found[name] = in_every_pass(a, b) if name in again else both(a, b)
        return tuple(map(in_every_pass, stack, stack_now)), {**found, _round(offset): known(True)}

    def _store_deref(self, i, stack, space):
        x = stack.pop()
        space[i.argval] = OPAQUE if i.argval in self.changing else x

    def _load_deref(self, i, stack, space):
        if i.argval in self.code.co_freevars:
            stack.append(self.free.get(i.argval, CLEAN))
        else:
            stack.append(OPAQUE if i.argval in self.changing else space.get(i.argval, CLEAN))

    def _load_closure(self, i, stack, space):
        self._load_deref(i, stack, space)

    def _load_global(self, i, stack, space):
        super()._load_global(i, stack, space)
        if stack[-1] == CLEAN:
            stack[-1] = held(self.space.get(i.argval))

    def _make_function(self, i, stack, space):
        code = it_of(stack.pop())
        free = stack.pop()[1] if i.arg & 8 else ()
        if i.arg & ~8 or code.__class__ is not types.CodeType:
            raise Unsafe
        stack.append(("function", known(code), tuple(free), known(self.space)))

    # Loops

    def _get_iter(self, i, stack, space):
        x = stack[-1]
        along = self._iterated(x)
        if along is not None:
            stack[-1] = "going", *along
        elif x[0] in ("tuple", "tensor") and not is_tainted(x):
            parts = x[1] if x[0] == "tuple" else (TENSOR,)
            stack[-1] = "iterator", i.offset, functools.reduce(both, parts or (CLEAN,))
        elif self.strict and (x[0] != "range" or x[3]):
            raise Unsafe  # what gives its values once
        else:
            super()._get_iter(i, stack, space)

    def _next(self, i, stack, space):
        x = stack[-1]
        if x[0] != "going":
            (begin, inside, names), over = super()._next(i, stack, space)
            each = PURE if x[0] == "range" else x[2] if len(x) == 3 and x[0] == "iterator" else CLEAN
            return [(begin, [*inside[:-1], each], names), over]
        _, trips, each = stack[-1]
        if self.strict:
            raise Unsafe  # a loop along the length in another one
        self.along[i.offset] = i.argval
        name = id(self.code), i.offset
        self.heard.goes_along(name, trips)
        begin = self.after(i.offset), [*stack, placed(each, counter(name))], space
        over = [(i.argval, ended(i, stack), space)] if _round(i.offset) in space else []  # there is at least one pass
        return [begin, *over]

    # What is looked at

    def _branch(self, i, stack, space):
        x = stack[-1]
        if x[0] == "known" and (it_of(x) is None or it_of(x).__class__ in (bool, int, float, str)):
            return [super()._branch(i, stack, space)[_jumps(i.opname, it_of(x))]]
        if self.strict and x[0] in ("clean", "known"):
            raise Unsafe  # an object of the user's may say something else each time
        if x[0] != "flag" or "NONE" in i.opname or self.heard.decides(*x[1:]) is not None:
            return super()._branch(i, stack, space)
        stack.pop()
        kept = [CLEAN] if i.opname.endswith("_OR_POP") else []
        return [(self.after(i.offset), stack, space), (i.argval, [*stack, *kept], space)]

    def _load_attr(self, i, stack, space):
        x, name = stack[-1], i.argval
        if x[0] == "sequence" and name in ("shape", "ndim", "dtype", "requires_grad"):
            sizes = ("form", x[1]), *map(known, x[2])
            stack[-1] = {"shape": ("tuple", sizes), "ndim": known(len(sizes))}.get(name, PURE)
        elif x[0] == "tensor" or (x[0] == "pure" and name in _OF_ARRAYS):
            stack[-1] = TENSOR if x[0] == "tensor" and name in ("T", "mT") else PURE
        elif it_of(x).__class__ is types.ModuleType:
            super()._load_attr(i, stack, space)
        else:
            stack[-1] = self._of_object(x, name)

    def _of_object(self, x, name):
        """An attribute of a user's object; in a pass only what stands in it as it is."""
        it, strict = it_of(x), self.strict
        if x[0] == "fields" and name in dict(x[1]):
            return dict(x[1])[name]
        if is_tainted(x) or (strict and x[0] != "known"):
            raise Unsafe
        space = getattr(it, "__dict__", None) if x[0] == "known" else None
        if isinstance(space, dict) and name in space and not hasattr(type(it), name) and type(it).__getattribute__ is _PLAINLY:
            return held(space[name])
        if strict:
            raise Unsafe
        return CLEAN

    def _load_method(self, i, stack, space):
        x = stack[-1]
        method = getattr(type(it_of(x)), i.argval, None) if x[0] == "known" else None
        if x[0] == "known" and method.__class__ is types.FunctionType and type(it_of(x)).__getattribute__ is _PLAINLY:
            if i.argval in getattr(it_of(x), "__dict__", ()):
                raise Unsafe
            stack[-1:] = [known(method), x]
        elif x[0] in ("tensor", "pure") or it_of(x).__class__ is types.ModuleType or not self.strict:
            super()._load_method(i, stack, space)
        else:
            raise Unsafe

    def _binary_subscr(self, i, stack, space):
        key, x = stack[-1], stack[-2]
        if x[0] == "sequence":
            del stack[-2:]
            stack.append(self._part(x, key))
        elif x[0] == "mapping" and x[1] and key[0] == "known":
            del stack[-2:]
            stack.append(dict(x[1]).get(it_of(key), CLEAN))
        elif x[0] == "pure" and not is_tainted(key):
            del stack[-2:]
            stack.append(PURE)
        elif self.strict and x[0] not in ("tuple", "tensor"):
            raise Unsafe
        else:
            super()._binary_subscr(i, stack, space)

    def _part(self, x, key):
        """An element of an array as long, or a stretch of it."""
        _, length, rest = x
        if key[0] == "slice":
            return self._stretch(x, key)
        if key[0] == "tuple" and key[1] and len(key[1]) <= 1 + len(rest):
            if any(is_tainted(k) or k[0] == "tensor" for k in key[1][1:]):
                raise Unsafe
            key = key[1][0]
        if key[0] != "form" and it_of(key).__class__ is not int:
            raise Unsafe
        place = as_form(key)
        from_end = self.heard.condition("<", place, 0)
        place = joined("+", place, length) if from_end else place
        if self.heard.condition("<", place, 0) or not self.heard.condition("<", joined("-", place, length), 0):
            raise Unsafe
        return TENSOR

    def _stretch(self, x, key):
        """``ys[a:]``, ``ys[:-b]`` and the like."""
        _, length, rest = x
        first, end = (it_of(k) for k in key[1:3])
        missing = [k == known(None) for k in key[1:4]]
        if not missing[2] or (first.__class__ is not int and not missing[0]) or (end.__class__ is not int and not missing[1]):
            raise Unsafe
        first, end = first or 0, 0 if missing[1] else end
        if first < 0 or end > 0 or (end == 0 and not missing[1]):
            raise Unsafe
        length = joined("-", length, number(first - end))
        if not self.heard.condition(">", length, 0):
            raise Unsafe
        return "sequence", length, rest

    def _build_list(self, i, stack, space):
        parts = tuple(stack[len(stack) - i.arg :])
        super()._build_list(i, stack, space)
        if stack[-1] == CLEAN and parts:
            stack[-1] = "literal", parts

    def _build_slice(self, i, stack, space):
        parts = stack[len(stack) - i.arg :]
        del stack[len(stack) - i.arg :]
        if any(x[0] not in ("known",) for x in parts):
            if any(map(is_tainted, parts)):
                raise Unsafe
            stack.append(CLEAN)
        else:
            stack.append(("slice", *parts, *[known(None)] * (3 - i.arg)))

    # What is worked out

    def _unpack_sequence(self, i, stack, space):
        tensor = stack[-1][0] == "tensor"
        super()._unpack_sequence(i, stack, space)
        if tensor:
            stack[-i.arg :] = [TENSOR] * i.arg

    def _unary_negative(self, i, stack, space):
        pure = stack[-1] == PURE
        super()._unary_negative(i, stack, space)
        if pure:
            stack[-1] = PURE

    def _arithmetic(self, kind, a, b):
        if "pure" in (a[0], b[0]):
            if {a[0], b[0]} <= {"pure", "known", "tensor"} and has_no_memory(a) and has_no_memory(b):
                return TENSOR if "tensor" in (a[0], b[0]) else PURE
            raise Unsafe
        if OPAQUE in (a, b) or (self.strict and not (has_no_memory(a) and has_no_memory(b))):
            raise Unsafe
        return super()._arithmetic(kind, a, b)

    def _binary_op(self, i, stack, space):
        if self.strict and i.argrepr.endswith("=") and stack[-2][0] not in ("tensor", "known", "form"):
            raise Unsafe  # it may change what others hold
        super()._binary_op(i, stack, space)

    def _compare_op(self, i, stack, space):
        a, b = stack[-2:]
        if "pure" in (a[0], b[0]) and not is_tainted(a) and not is_tainted(b):
            stack[-2:] = [TENSOR if "tensor" in (a[0], b[0]) else PURE]
        elif self.strict and not all(has_no_memory(x) or is_tainted(x) for x in (a, b)):
            raise Unsafe
        else:
            super()._compare_op(i, stack, space)

    def _unary_not(self, i, stack, space):
        told = stack[-1][0] in ("tensor", "pure")  # of a tensor the tape shows it
        super()._unary_not(i, stack, space)
        if told:
            stack[-1] = PURE

    def _to_bool(self, i, stack, space):
        if stack[-1][0] not in ("tensor", "pure", "known"):
            super()._to_bool(i, stack, space)

    def _is_op(self, i, stack, space):
        super()._is_op(i, stack, space)
        stack[-1] = PURE

    def _store_subscr(self, i, stack, space):
        value, x, key = stack[-3:]
        if any(map(is_tainted, (value, x, key))) or (self.strict and x[0] != "tensor"):
            raise Unsafe
        del stack[-3:]

    def _other(self, i, stack):
        if i.opname in _REMEMBERING or (self.strict and i.opname not in _PURELY):
            raise Unsafe
        super()._other(i, stack)


def _round(offset):
    """The name under which is noted that a pass of a loop has been gone through."""
    return f"*round {offset}"


def _jumps(name, it):
    """Whether a jump is made."""
    if "NONE" in name:
        return (it is None) != ("NOT_NONE" in name)
    return bool(it) == ("IF_TRUE" in name)
