"""Machine code of plain functions: one module for all that an entry needs, optimised once, kept on disk."""

import functools
import hashlib
import itertools

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.runtime import rtsys

from tapejit.edge import optimiser, store
from tapejit.edge.caching import engine_stamp, is_ours
from tapejit.edge.numba import cpu_target, global_compiler_lock
from tapejit.edge.plain import doorway, writer
from tapejit.edge.plain.operators import NOTHING, WORD, Arithmetic

# A limit to inlining: code that many entries share is not copied into each, which is a third of LLVM's time and no nanosecond
# of a call.
_FEW = 25
_known = {}  # digest of a module -> the addresses of its functions
_numbers = itertools.count()  # for functions that nothing tells from others of their name


class Unit:
    """A module being written: entries, and the functions they need, once for each kind of arguments."""

    def __init__(self):
        machine = optimiser.target_machine()
        self.module = ir.Module("plain")
        self.module.triple = machine.triple
        self.module.data_layout = str(machine.target_data)
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


@functools.cache
def _engine():
    """Owns all code of plain functions, which is never given back."""
    rtsys.initialize(cpu_target.target_context)
    machine = optimiser.new_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(f'target triple = "{machine.triple}"'), machine)


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

    def write(unit, symbols):
        unit.entry(symbols[0], function, kinds, answer, flags)

    key = f"{function.__module__} {kinds} {answer} {flags}"
    return _addresses(name, key, (name,), write, keep=is_ours(function), level=3)[0]


def for_python(name: str, functions: dict) -> dict:
    """Plain functions as Python calls them, all in one module of LLVM's.

    Args:
        name: of the module.
        functions: by name, each with the kinds of its arguments.

    Raises:
        source.Unknown: if something in one of them is not in the language.
    """

    def write(unit, symbols):
        for symbol, (function, kinds) in zip(symbols, functions.values(), strict=True):
            doorway.write(unit, symbol, unit.part(function, kinds))

    found = _addresses(name, "for Python", tuple(functions), write, inlining=_FEW)
    return {
        n: doorway.callable_at(n, address, function.__doc__)
        for (n, (function, _)), address in zip(functions.items(), found, strict=True)
    }


@global_compiler_lock
def _addresses(name, key, symbols, write, keep=True, **options):
    """The addresses of functions of a module.

    Args:
        name: of the file on disk.
        key: what decides the code, besides the sources of the engine, the processor and LLVM's version.
        symbols: the functions, plain identifiers; a digest is added to them.
        write: called with a ``Unit`` and the full symbols to write them, if they are not on disk.
        keep: whether the code is looked for on disk and kept there.
        options: of ``optimiser.object_code``.
    """
    material = repr((name, key, engine_stamp(), optimiser.target()))
    digest = hashlib.blake2b(material.encode(), digest_size=12).hexdigest()
    if keep and digest in _known:  # another thread was first
        return _known[digest]
    full = [f"{symbol}_{digest if keep else next(_numbers)}" for symbol in symbols]
    file = f"{name}-{digest}.obj"
    code = store.read(file) if keep else None
    if code is None:
        unit = Unit()
        write(unit, full)
        code = optimiser.object_code(str(unit.module), False, **options)
        if keep:
            store.write(file, code)
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    found = tuple(engine.get_function_address(s) for s in full)
    if keep:
        _known[digest] = found
    return found
