"""Arithmetic on the values of plain functions, as Numba's types would have it.

A value is a number known beforehand (a Python object), or LLVM's: a word, a bit (the outcome of a comparison), a float of 64 or
32 bits, or a pointer; several of them are a tuple. Words and bits meet float32 in float64, as in NumPy.
"""

import operator

from llvmlite import ir

from tapejit.edge.plain.source import Unknown

WORD, BIT, DOUBLE, SINGLE, NOTHING = ir.IntType(64), ir.IntType(1), ir.DoubleType(), ir.FloatType(), ir.VoidType()
FLOATS = (SINGLE, DOUBLE)
_STATIC = {bool: BIT, int: WORD, float: DOUBLE}
_COMPARISONS = {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">="}
_KNOWN = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv, "FloorDiv": operator.floordiv,
    "Mod": operator.mod, "Pow": operator.pow, "LShift": operator.lshift, "RShift": operator.rshift, "BitAnd": operator.and_,
    "BitOr": operator.or_, "BitXor": operator.xor, "Eq": operator.eq, "NotEq": operator.ne, "Lt": operator.lt,
    "LtE": operator.le, "Gt": operator.gt, "GtE": operator.ge, "USub": operator.neg, "Invert": operator.invert,
}  # fmt: skip
_FLOATING = {"Add": "fadd", "Sub": "fsub", "Mult": "fmul", "Div": "fdiv"}
_WHOLE = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "LShift": "shl", "RShift": "ashr", "BitAnd": "and_", "BitOr": "or_",
    "BitXor": "xor",
}  # fmt: skip


def is_number(x) -> bool:
    """Whether a value is a number known beforehand."""
    return type(x) in _STATIC


def kind_of(x):
    """LLVM's type of a value."""
    if isinstance(x, ir.Value):
        return x.type
    if isinstance(x, tuple):
        return ir.LiteralStructType([kind_of(v) for v in x])
    if not is_number(x):
        raise Unknown(f"a value of type {type(x).__name__}")
    return _STATIC[type(x)]


def joined(a, b):
    """The kind that holds values of both."""
    if a == b:
        return a
    if {a, b} == {BIT, WORD}:
        return WORD
    if a in (*FLOATS, WORD) and b in (*FLOATS, WORD):
        return DOUBLE
    structs = isinstance(a, ir.LiteralStructType) and isinstance(b, ir.LiteralStructType)
    if structs and len(a.elements) == len(b.elements):
        return ir.LiteralStructType([joined(*pair) for pair in zip(a.elements, b.elements, strict=True)])
    raise Unknown(f"a value that is {a} or {b}")


class Arithmetic:
    """What can be done with values, written at a builder's place."""

    def __init__(self, builder, floor):
        self.builder = builder
        self._floor = floor  # the module's functions for // and %

    def as_kind(self, x, kind):
        """A value converted, as an assignment to a place of a kind does."""
        have = kind_of(x)
        if isinstance(kind, ir.LiteralStructType):
            return self._as_struct(x, kind)
        if is_number(x):
            return self._constant(x, kind)
        if have == kind:
            return x
        b = self.builder
        if have == BIT and kind in (WORD, *FLOATS):
            return b.zext(x, WORD) if kind == WORD else b.uitofp(x, kind)
        if have == WORD:
            if kind in FLOATS:
                return b.sitofp(x, kind)
            if isinstance(kind, ir.IntType) and kind != BIT:
                return b.trunc(x, kind)
        if have == SINGLE and kind == DOUBLE:
            return b.fpext(x, DOUBLE)
        if have == DOUBLE and kind == SINGLE:
            return b.fptrunc(x, SINGLE)
        if have in FLOATS and kind == WORD:
            return b.fptosi(x, WORD)
        raise Unknown(f"{have} as {kind}")

    def _constant(self, x, kind):
        if kind in FLOATS:
            return ir.Constant(kind, float(x))
        if not isinstance(kind, ir.IntType) or isinstance(x, float):
            raise Unknown(f"{x!r} as {kind}")
        if not -(1 << 63) <= x < 1 << 63:
            raise Unknown(f"{x!r} has more than 64 bits")
        return ir.Constant(kind, int(x))

    def _as_struct(self, x, kind):
        made = ir.Constant(kind, ir.Undefined)
        for j, part in enumerate(self.parts(x)):
            made = self.builder.insert_value(made, self.as_kind(part, kind.elements[j]), j)
        return made

    def parts(self, x) -> tuple:
        """The values in a tuple."""
        if isinstance(x, tuple):
            return x
        if not isinstance(kind_of(x), ir.LiteralStructType):
            raise Unknown(f"{kind_of(x)} as a tuple")
        return tuple(self.builder.extract_value(x, j) for j in range(len(x.type.elements)))

    def truth(self, x):
        """Whether a value is not zero: a bit, or a bool known beforehand."""
        if is_number(x):
            return bool(x)
        if x.type == BIT:
            return x
        if x.type == WORD:
            return self.builder.icmp_signed("!=", x, WORD(0))
        if x.type in FLOATS:
            return self.builder.fcmp_unordered("!=", x, x.type(0.0))
        raise Unknown(f"the truth of {x.type}")

    def unary(self, op, x):
        """``-x``, ``+x``, ``~x``."""
        if op == "UAdd":
            return x
        if is_number(x):
            return _KNOWN[op](x)
        if x.type == BIT:
            x = self.as_kind(x, WORD)
        if op == "USub":
            return self.builder.fneg(x) if x.type in FLOATS else self.builder.neg(x)
        if op == "Invert" and x.type == WORD:
            return self.builder.not_(x)
        raise Unknown(f"{op} of {x.type}")

    def binary(self, op, x, y):
        """An operator of two values."""
        if is_number(x) and is_number(y):
            return _KNOWN[op](x, y)
        a, b = kind_of(x), kind_of(y)
        if a == b == BIT and op in ("BitAnd", "BitOr", "BitXor"):
            return getattr(self.builder, _WHOLE[op])(self.as_kind(x, BIT), self.as_kind(y, BIT))
        kind = WORD if a == b == BIT else joined(a, b)
        if kind == WORD and op in ("Div", "Pow"):
            kind = DOUBLE
        x, y = self.as_kind(x, kind), self.as_kind(y, kind)
        if kind == WORD and op in _WHOLE:
            return getattr(self.builder, _WHOLE[op])(x, y)
        if kind == WORD and op in ("FloorDiv", "Mod"):
            return self.builder.call(self._floor(op), [x, y])
        if kind in FLOATS and op in _FLOATING:
            return getattr(self.builder, _FLOATING[op])(x, y)
        if kind in FLOATS and op == "Pow":
            return self.intrinsic("llvm.pow", x, y)
        raise Unknown(f"{op} of {kind}")

    def compare(self, op, x, y):
        """A comparison: a bit."""
        if is_number(x) and is_number(y):
            return _KNOWN[op](x, y)
        kind = joined(kind_of(x), kind_of(y))
        if kind == BIT:
            kind = WORD
        x, y = self.as_kind(x, kind), self.as_kind(y, kind)
        sign = _COMPARISONS[op]
        if kind == WORD:
            return self.builder.icmp_signed(sign, x, y)
        return (self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered)(sign, x, y)

    def extreme(self, op, x, y):
        """Python's ``min`` or ``max`` of two numbers: the first unless the second is less, or greater."""
        if is_number(x) and is_number(y):
            return min(x, y) if op == "Lt" else max(x, y)
        kind = joined(kind_of(x), kind_of(y))
        x, y = self.as_kind(x, kind), self.as_kind(y, kind)
        return self.builder.select(self.compare(op, y, x), y, x)

    def magnitude(self, x):
        """``abs``."""
        if is_number(x):
            return abs(x)
        if x.type in FLOATS:
            return self.intrinsic("llvm.fabs", x)
        x = self.as_kind(x, WORD)
        return self.builder.select(self.builder.icmp_signed("<", x, WORD(0)), self.builder.neg(x), x)

    def intrinsic(self, name, *arguments):
        """A function of LLVM on floats."""
        kind = arguments[0].type
        function = self.builder.module.declare_intrinsic(name, (kind,), ir.FunctionType(kind, [kind] * len(arguments)))
        return self.builder.call(function, arguments)

    def load(self, pointer, index):
        """``pointer[index]``; integers become words."""
        loaded = self.builder.load(self._place(pointer, index))
        if isinstance(loaded.type, ir.IntType) and loaded.type.width < 64:
            return (self.builder.sext if loaded.type.width > 8 else self.builder.zext)(loaded, WORD)
        return loaded

    def store(self, pointer, index, x):
        """``pointer[index] = x``."""
        place = self._place(pointer, index)
        kind = pointer.type.pointee
        if kind_of(x) == BIT and not is_number(x):
            x = self.as_kind(x, WORD)
        self.builder.store(self.as_kind(x, kind), place)

    def _place(self, pointer, index):
        if not isinstance(kind_of(pointer), ir.PointerType):
            raise Unknown(f"an element of {kind_of(pointer)}")
        if joined(kind_of(index), WORD) != WORD:
            raise Unknown("an index that is no integer")
        return self.builder.gep(pointer, [self.as_kind(index, WORD)])
