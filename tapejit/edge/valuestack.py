"""What lies on the interpreter's stack before each instruction of a frame that is traced: the operands of the instruction.

Offsets are those of ``PyFrameObject`` and ``_PyInterpreterFrame``, the same in the releases of ``_KNOWN``. How high the stack
is where an instruction begins is told from the code. ``readable`` compares both with a frame that runs, so that an interpreter
that differs is noticed and not misread.
"""

import collections
import ctypes
import dis
import functools
import inspect
import sys
import threading

_KNOWN = ((3, 11), (3, 12), (3, 13))
_DESCRIBED, _VALUES = 24, 72  # bytes: of the frame object, to the address of what it describes, and on to its values
_GENERATING = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_ENDS = ("RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "INTERPRETER_EXIT")
_NAME = "tapejit"
_monitoring = getattr(sys, "monitoring", None)  # from 3.12 on; before, frames are asked for each instruction
ABSENT = object()  # in place of the NULLs that the interpreter puts there


class ValueStack:
    """The stack of a frame that runs."""

    __slots__ = ("_address", "_heights", "_now", "_values", "_variables")

    def __init__(self, frame):
        code = frame.f_code
        cells = sum(name not in code.co_varnames for name in code.co_cellvars)
        self._variables = code.co_nlocals + cells + len(code.co_freevars)
        self._heights = heights(code)
        self._now = ctypes.c_int64.from_address(id(frame) + _DESCRIBED)
        self._address = None

    def below(self, offset):
        """A function of k that gives the object k places below the top before an instruction; the top's own number is 1."""
        address = self._now.value
        if address != self._address:  # what describes a generator's frame moves once
            self._address = address
            room = self._variables + max(self._heights.values())
            self._values = (ctypes.py_object * room).from_address(address + _VALUES)
        top, values = self._variables + self._heights[offset], self._values

        def operand(k):
            try:
                return values[top - k]
            except ValueError:  # NULL
                return ABSENT

        return operand


@functools.lru_cache(1024)
def heights(code) -> dict:
    """By the offset of an instruction, how many objects lie on the stack where it begins."""
    instructions = list(dis.get_instructions(code))
    following = dict(zip([i.offset for i in instructions], instructions[1:], strict=False))
    at = {i.offset: i for i in instructions}
    waiting = [(e.target, e.depth + e.lasti + 1) for e in dis.Bytecode(code).exception_entries]
    made = code.co_flags & _GENERATING and not dis.stack_effect(dis.opmap["RETURN_GENERATOR"])
    waiting.append((0, int(bool(made))))
    found = {}
    while waiting:
        offset, height = waiting.pop()
        while offset not in found:
            found[offset] = height
            i = at[offset]
            if i.opcode in dis.hasjrel or i.opcode in dis.hasjabs:
                waiting.append((i.argval, height + _effect(i, True)))
            if i.opname in _ENDS or i.opname in ("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"):
                break
            height += _effect(i, False)
            if offset not in following:
                break
            offset = following[offset].offset
    return found


def _effect(i, jump):
    if sys.version_info < (3, 12) and i.opname in ("PRECALL", "CALL"):  # the first of the two only prepares
        return 0 if i.opname == "PRECALL" else -1 - i.arg
    return dis.stack_effect(i.opcode, i.arg if i.opcode >= dis.HAVE_ARGUMENT else None, jump=jump)


class Instructions:
    """Has trace functions of this thread's frames hear of every instruction: ``f_trace(frame, "opcode", offset or None)``."""

    def __init__(self):
        self._codes = set()

    def of(self, frame):
        """Begin with a frame, which may be in the middle of a line."""
        if _monitoring is None:
            frame.f_trace_opcodes = True
        elif frame.f_code not in self._codes:
            self._codes.add(frame.f_code)
            with _lock:
                _heard[frame.f_code] += 1
                _listening[threading.get_ident()] += 1
                _monitoring.set_local_events(_tool(), frame.f_code, _monitoring.events.INSTRUCTION)

    def end(self):
        """No further ones."""
        with _lock:
            for code in self._codes:
                _heard[code] -= 1
                _listening[threading.get_ident()] -= 1
                if not _heard[code]:
                    del _heard[code]
                    _monitoring.set_local_events(_tool(), code, 0)
            self._codes = set()


_lock = threading.Lock()
_heard, _listening = collections.Counter(), collections.Counter()  # code of which each instruction is told; threads that hear


def _instruction(code, offset):
    if _listening.get(threading.get_ident()):
        frame = sys._getframe(1)
        if frame.f_trace is not None:
            frame.f_trace(frame, "opcode", offset)


@functools.cache
def _tool():
    """Our number among those who monitor, None if there is none left."""
    for number in (4, 3):
        if _monitoring.get_tool(number) is None:
            _monitoring.use_tool_id(number, _NAME)
            _monitoring.register_callback(number, _monitoring.events.INSTRUCTION, _instruction)
            return number
    return None


@functools.cache
def readable() -> bool:
    """Whether the operands of an instruction are found where they are looked for."""
    if sys.version_info[:2] not in _KNOWN or (_monitoring is not None and _tool() is None):
        return False
    operands, found = (object(), object()), []

    def probe(a, b):
        return (a, a) if a is b else (b, a)

    compared = next(i.offset for i in dis.get_instructions(probe) if i.opname == "IS_OP")
    instructions = Instructions()

    def event(frame, event, offset):
        if event == "call" and frame.f_code is probe.__code__:
            instructions.of(frame)
            return event_of
        if event == "opcode" and compared == (frame.f_lasti if offset is None else offset):
            at = ctypes.c_int64.from_address(id(frame) + _DESCRIBED).value
            found.extend((ctypes.c_int64 * 4).from_address(at + _VALUES))  # two variables, two operands
        return None

    def event_of(*args):
        event(*args)
        return event_of

    before = sys.gettrace()
    sys.settrace(event)
    try:
        probe(*operands)
    finally:
        sys.settrace(before)
        instructions.end()
    return found == [id(x) for x in operands * 2] and heights(probe.__code__)[compared] == 2
