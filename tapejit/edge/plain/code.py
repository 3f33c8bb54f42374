"""Machine code of plain functions: one module for all that an entry needs, optimised once, kept on disk."""

from llvmlite import ir
from numba import cfunc
from numba.core import types

from tapejit.edge.caching import is_stamped
from tapejit.edge.lean import Lean
from tapejit.edge.objects import addresses
from tapejit.edge.plain import doorway, writer
from tapejit.edge.plain.operators import NOTHING, WORD, Arithmetic
from tapejit.edge.plain.source import Unknown

# A limit to inlining: code that many entries share is not copied into each, which is a third of LLVM's time and no nanosecond
# of a call.
_FEW = 25
_numbas = []  # own the machine code that Numba made


class Unit:
    """A module being written: entries, and the functions they need, once for each kind of arguments."""

    def __init__(self, module):
        self.module = module
        self._parts = {}
        self._floor = {}

    def part(self, function, kinds, flags=()):
        """The LLVM function of a Python function for arguments of these kinds."""
        key = function, kinds, flags
        if key not in self._parts:
            symbol = f"{function.__name__}.{len(self._parts)}"
            self._parts[key] = writer.write(self, symbol, function, kinds, flags)
        return self._parts[key]

    def entry(self, symbol, function, kinds, answer, flags=()):
        """A function that is called from outside, under a name of its own."""
        part = self.part(function, kinds, flags)
        code = ir.Function(self.module, ir.FunctionType(answer, kinds), symbol)
        builder = ir.IRBuilder(code.append_basic_block())
        value = builder.call(part, code.args)
        if answer == NOTHING:
            builder.ret_void()
        else:
            builder.ret(Arithmetic(builder, self.floor).as_kind(value, answer))
        return code

    def floor(self, op):
        """The function for ``x // y`` or ``x % y`` of words; 0 where there is no answer, as Numba's."""
        if op not in self._floor:
            self._floor[op] = _floor(self.module, op)
        return self._floor[op]


def _floor(module, op):
    code = ir.Function(module, ir.FunctionType(WORD, [WORD, WORD]), f"plain.{op}")
    code.linkage = "internal"
    code.attributes.add("alwaysinline")
    x, y = code.args
    builder = ir.IRBuilder(code.append_basic_block())
    overflows = builder.and_(builder.icmp_signed("==", x, WORD(-(1 << 63))), builder.icmp_signed("==", y, WORD(-1)))
    with builder.if_then(builder.or_(overflows, builder.icmp_signed("==", y, WORD(0))), likely=False):
        builder.ret(WORD(0))
    quotient, rest = builder.sdiv(x, y), builder.srem(x, y)
    differs = builder.icmp_signed("<", builder.xor(y, rest), WORD(0))
    differs = builder.and_(builder.icmp_signed("!=", rest, WORD(0)), differs)
    if op == "FloorDiv":
        builder.ret(builder.select(differs, builder.sub(quotient, WORD(1)), quotient))
    else:
        builder.ret(builder.select(differs, builder.add(rest, y), rest))
    return code


def c_function(function, answer=NOTHING, flags: tuple = ()) -> int:
    """The address of a function of words as a C function: compiled here, or by Numba what is not in the language."""
    words = function.__code__.co_argcount
    try:
        return address_of(function, (WORD,) * words, answer, flags)
    except Unknown:
        signature = (types.void if answer == NOTHING else types.intp)(*[types.intp] * words)
    options = {"error_model": "numpy", "fastmath": set(flags), "nogil": True, "cache": is_stamped(function)}
    _numbas.append(cfunc(signature, pipeline_class=Lean, **options)(function))
    return _numbas[-1].address


def address_of(function, kinds: tuple, answer, flags: tuple = ()) -> int:
    """The address of a plain function as a C function.

    Args:
        function: the Python function, whose name tells it from all others of its module.
        kinds: of its arguments.
        answer: the kind of its result.
        flags: what LLVM may do with its arithmetic on floats.

    Raises:
        source.Unknown: if something in it is not in the language.
    """
    name = function.__name__

    def write(module, symbols):
        Unit(module).entry(symbols[0], function, kinds, answer, flags)

    key = f"{function.__module__} {kinds} {answer} {flags}"
    return addresses(name, key, (name,), write, keep=is_stamped(function), level=3)[0]


def c_functions(name: str, functions: tuple) -> tuple:
    """The addresses of plain functions of words that answer words, as C functions: all in one module of LLVM's.

    Raises:
        source.Unknown: if something in one of them is not in the language.
    """

    def write(module, symbols):
        unit = Unit(module)
        for symbol, function in zip(symbols, functions, strict=True):
            unit.entry(symbol, function, (WORD,) * function.__code__.co_argcount, WORD)

    return addresses(name, "C functions", tuple(f.__name__ for f in functions), write, inlining=_FEW)


def for_python(name: str, functions: dict) -> dict:
    """Plain functions as Python calls them, all in one module of LLVM's.

    Args:
        name: of the module.
        functions: by name, each with the kinds of its arguments.

    Raises:
        source.Unknown: if something in one of them is not in the language.
    """

    def write(module, symbols):
        unit = Unit(module)
        for symbol, (function, kinds) in zip(symbols, functions.values(), strict=True):
            doorway.write(unit, symbol, unit.part(function, kinds))

    found = addresses(name, "for Python", tuple(functions), write, inlining=_FEW)
    return {
        n: doorway.callable_at(n, address, function.__doc__)
        for (n, (function, _)), address in zip(functions.items(), found, strict=True)
    }
