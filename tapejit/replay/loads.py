"""What a line of code loads: chains such as ``self.layer.k`` or ``cfg["lam"]``, found in its bytecode."""

import dis
import functools
import types
from dataclasses import dataclass

_VARIABLES = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_CLOSURE")
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_CALLS = ("CALL", "PRECALL", "CALL_FUNCTION_EX")
NOTHING = object()


@dataclass(frozen=True)
class Chain:
    """A variable and what is read of it.

    Attributes:
        steps: pairs ("attribute", name), ("item", constant) or ("key", (whether it is a global, variable)).
        bare_call: whether the result is called without arguments.
    """

    is_global: bool
    name: str
    steps: tuple
    bare_call: bool

    def __str__(self):
        return self.name + "".join(f".{x}" if kind == "attribute" else "[...]" for kind, x in self.steps)


@dataclass(frozen=True)
class Loads:
    """Of one code object: the chains of each line, attributes of what no chain reaches, and the code inside it."""

    lines: dict
    loose: frozenset
    inner: tuple


@functools.lru_cache(4096)
def loads(code) -> Loads:
    """What there is to load in a code object."""
    instructions = list(dis.get_instructions(code))
    lines, taken, line = {}, set(), None
    for i, instruction in enumerate(instructions):
        line = instruction.positions.lineno or line
        for is_global, name in _variables(instruction)[:-1]:
            lines.setdefault(line, []).append(Chain(is_global, name, (), False))
        for is_global, name in _variables(instruction)[-1:]:
            steps, after = _steps(instructions, i + 1)
            taken.update(range(i + 1, after))
            lines.setdefault(line, []).append(Chain(is_global, name, tuple(steps), _called_bare(instructions, after)))
    loose = {x.argval for i, x in enumerate(instructions) if i not in taken and x.opname in ("LOAD_ATTR", "LOAD_METHOD")}
    inner = tuple(c for c in code.co_consts if isinstance(c, types.CodeType))
    return Loads(lines, frozenset(loose), inner)


def _variables(instruction):
    """The variables that an instruction pushes: pairs (whether it is a global, name)."""
    name, value = instruction.opname, instruction.argval
    if name in _GLOBALS:
        return [(True, value)]
    if name.startswith(_VARIABLES):
        return [(False, v) for v in (value if isinstance(value, tuple) else (value,))]
    if name == "STORE_FAST_LOAD_FAST":
        return [(False, value[1])]
    return []


def _is_subscript(instruction):
    return instruction.opname == "BINARY_SUBSCR" or (instruction.opname == "BINARY_OP" and instruction.argrepr == "[]")


def _steps(instructions, i):
    """What is read of the value before instruction ``i``, and the instruction after that."""
    steps = []
    while i + 1 < len(instructions):
        at, following = instructions[i : i + 2]
        if at.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            steps.append(("attribute", at.argval))
            i += 1
        elif _is_subscript(following) and at.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            steps.append(("item", at.argval))
            i += 2
        elif _is_subscript(following) and len(_variables(at)) == 1:
            steps.append(("key", _variables(at)[0]))
            i += 2
        else:
            break
    return steps, i


def _called_bare(instructions, i):
    while i < len(instructions) and instructions[i].opname == "PUSH_NULL":
        i += 1
    return i < len(instructions) and instructions[i].opname in _CALLS and instructions[i].arg == 0
