"""Recording: the tape on which a function runs once, and what it must remember beside the records.

A record says how its value was computed. Three things it does not say are noted here: where the values without a
history come from (arrays are read by reference at every replay), which results NumPy worked out (comparisons, logic,
indices), and which values Python looked at. The last become guards: a replay is right only while they come out the same.
"""

import collections
import contextlib
import functools
import sys
import threading
from dataclasses import dataclass

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.errors import Refused
from tapejit.core.layout import packed_strides
from tapejit.core.plans import broadcast_strides
from tapejit.core.record import MASK
from tapejit.eager.dispatch import from_array, share
from tapejit.eager.frameless import untraced_ours
from tapejit.eager.keys import flat_indices
from tapejit.eager.tensor import Tensor
from tapejit.edge.cpython import references_beside
from tapejit.edge.onestep import at_once
from tapejit.edge.room import half_of_memory
from tapejit.replay.apart import Places
from tapejit.replay.lines import Lines, line_of_instruction, place_of, user_line
from tapejit.replay.repeats import Repeats

LARGEST_ESCAPE = 1 << 12  # elements of an array that may become a guard on its exact values
A_RECORD = 400  # bytes that a record of a recording and all that is made of it take at most, beside its value
MOST_RECORDS = 1 << 30  # they are counted by four bytes
MOST_IDLE, LARGEST_IDLE = 8, 1 << 13  # tapes that wait for their next recording, and the records that they have room for

active: list = []  # the recordings that run now, of all threads: a quick test for replayed functions


class NeedsHistory(BaseException):
    """The function reads a tensor, given, that requires a gradient: its result is to have a history."""


@dataclass
class Guard:
    """A value that Python saw: ``kind`` is 'truth', 'whole' (its integer part) or 'bytes'."""

    record: int
    kind: str
    expected: object
    line: str

    @property
    def outcome(self):
        """What tells one path from another."""
        return self.expected.tobytes() if self.kind == "bytes" else self.expected


@dataclass
class Note:
    """A result that NumPy worked out: the name of what was done, to which tensors or numbers."""

    name: str
    operands: tuple
    parameters: tuple


class RecordingTape(tapes.Tape):
    """A tape that keeps every operand and never reclaims; small, since every recording that is not compiled yet has one."""

    capacity = 256

    def __init__(self, number):
        self._fresh = {}  # the Tensors made last, by their handles: the fast path of operations enters them there
        super().__init__(number)
        self.header[R.H_RECORDING] = R.GRAD
        self.header[R.H_THREAD] = 0
        self.header[R.H_LIMIT] = 1 << 62

    def begin(self, recorder):
        self.recorder = recorder
        recorder.use.append(self)
        self.handles = [None] * (self.words[R.H_CAPACITY] + 1)
        self.lines = Lines(self.words)
        self.lines.note(place_of(sys._getframe(1)))
        self.header[R.H_GRAD_MODE] = R.GRAD

    @property
    def handles(self):
        """The Tensor of each record."""
        if self._fresh:
            self._enter()
        return self._handles

    @handles.setter
    def handles(self, handles):
        self._fresh.clear()
        self._handles = handles

    def _enter(self):
        """Put Tensors that were made lately at the numbers of their records; may be repeated if an interrupt comes."""
        handles, fresh = self._handles, list(self._fresh.items())
        for handle, tensor in fresh:
            handles[handle & MASK] = tensor
        for handle, _ in fresh:
            self._fresh.pop(handle, None)

    def reclaim(self):
        if len(self) * A_RECORD + self.words[R.H_BYTES] > half_of_memory() or len(self) >= MOST_RECORDS:
            raise Refused(f"it takes more than {len(self)} records, and they more than half of the memory")
        self._grow(2 * int(self.header[R.H_CAPACITY]))

    def relieve(self):
        return False

    def by_handle(self):
        return self._fresh

    def at_one_line(self):
        return self.lines.held() if self.recorder is not None else super().at_one_line()

    def end(self, use):
        """Give the memory of all values back and let the tape be used again; later, if somebody holds a tensor of it.

        That may be the user, or the traceback of an error that the recorded function raised.
        May be repeated if an interrupt comes: all but the last step changes nothing the second time, and that takes the tape
        out of the list ``use``, which is its recorder's.
        """
        if not use:
            return
        self.recorder = None
        if (references_beside([t for t in self.handles if t is not None]) > 1).any():  # more than self.handles
            at_once((bool, use), (use.clear,), (_held.append, self))
            return
        self.header[R.H_THREAD] = 0
        self.handles = []
        self.flags[: len(self)] |= R.DEAD
        alive = np.zeros(len(self) + 1, np.uint8)
        moves = self.words[R.H_MOVED]
        engine.reclaim(self.address, len(self), moves, alive.ctypes.data, self._why.ctypes.data, 0, 0)
        self._stay(0)
        self.header[R.H_LIMIT] = 1 << 62
        self.kept_alive.clear()
        engine.give_idle(self.address)
        small = len(_idle) < MOST_IDLE and self.header[R.H_CAPACITY] <= LARGEST_IDLE
        at_once((bool, use), (use.clear,), (_idle.append, self) if small else (tapes.tapes.pop, self.number, None))


def _as_it_is(tensor):
    """Another handle of a tensor's record; the tensor itself may become that of another record, in place."""
    handle = object.__new__(Tensor)
    handle._r, handle._layout = tensor._r, tensor._layout
    return handle


def _is_integers(k) -> bool:
    return isinstance(k, np.ndarray) and k.ndim > 0 and k.dtype.kind in "iu"


_idle: list = []  # recording tapes that wait for their next recording
_held: list = []  # those of which somebody held a tensor when they were to end


def _end_held():
    """End tapes of which nobody holds a tensor any more: up to two of those that were not looked at for longest."""
    for _ in range(2):
        try:
            use = [_held.pop(0)]
        except IndexError:
            return
        tapes.whole(functools.partial(use[0].end, use))


class around(tapes.as_before):
    """Around ``with recorder``: takes back what an interrupt left of it."""

    def __init__(self, recorder):
        self._recorder = recorder

    def __exit__(self, *exc):
        with contextlib.suppress(ValueError):  # it is not there if its context ended as it should
            active.remove(self._recorder)
        super().__exit__(*exc)


class Recorder:
    """One recording, as a context manager: inside, operations of this thread go to its tape. To be used inside ``around``.

    Attributes:
        use: the list of the tape, empty once that was given back or taken over.
    """

    def __init__(self):
        self.use = []
        self.inputs = {}  # record -> number of the input
        self.sources = {}  # record -> the NumPy array whose memory holds the value
        self.numbers = {}  # record -> the number it is filled with
        self.notes = {}  # record -> Note
        self.aliases = {}  # record of a leaf -> the record whose value it has
        self.worked_out = {}  # record of a note -> the function and its operands
        self.reads = None  # notes what the user's functions read, by ``reads.watch``
        self.held = collections.Counter()  # by id of an array, how many graphs have it already
        self.guards = []
        self.extra = []  # (bytes of an array, what they are, where they are read): what NumPy computed with
        self.brought = {}  # id of a tensor of another tape -> (that tensor, its stand-in here)
        self.histories = None  # what gives the stand-in of a captured tensor that requires a gradient; without it there is none
        self.does_less = False  # than the function does where it is not recorded, by far
        self.grad_modes = 0  # how many contexts of enable_grad(), no_grad() and so on the function is in that it began itself
        self._quiet = 0
        self._seen = set()

    def __enter__(self):
        _end_held()
        stack = tapes.thread.stack
        try:
            self.tape = _idle.pop()
        except IndexError:
            number = next(tapes.numbers)
            self.tape = tapes.tapes[number] = RecordingTape(number)
        self.tape.begin(self)
        self.repeats = Repeats(self.tape, sys._getframe(1))
        stack.append(self.tape)
        active.append(self)
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:  # even operations on captured tensors alone are to be recorded
            self._main_thread = int(tapes.main.header[R.H_THREAD])
            tapes.main.header[R.H_THREAD] = -1
            tapes.follow(self.tape, threading.get_ident())
        return self

    def __exit__(self, *exc):
        if self._main:
            tapes.main.header[R.H_THREAD] = self._main_thread
        active.remove(self)
        tapes.thread.stack.pop()
        if self._main:
            tapes.follow(tapes.thread.stack[-1])
            self.tape.header[R.H_THREAD] = 0
        self.repeats.forget()
        return False

    @functools.cached_property
    def places(self):
        """Where the values lie, once all is recorded."""
        return Places(self.tape)

    def close(self):
        """Forget what was noted and give the tape back; an interrupt waits until that is done."""
        tapes.whole(self._close)

    def _close(self):
        self.brought.clear()
        self.notes.clear()
        self.worked_out.clear()
        for tape in list(self.use):
            tape.end(self.use)

    # What the hooks in tensors and functions call

    def check_inplace(self, x) -> bool:
        """Whether an in-place change may be recorded; it may for a float tensor that the function made itself."""
        k = x._r & MASK
        tape = self.tape
        if x._r >> R.TAPE_SHIFT != tape.number or int(tape.flags[tape.owners[k]]) & R.EXTERNAL:
            self.refuse("a captured tensor or array is changed in place")
        if int(tape.owners[k]) in self.inputs:
            self.refuse("an argument is changed in place")
        relatives = np.flatnonzero(tape.owners[: len(tape)] == tape.owners[k])
        if ((tape.ops[relatives] == 0) & (tape.flags[relatives] & R.VIEW != 0)).any():
            self.refuse("a tensor is changed in place whose memory one that detach() made shares")
        if not x._layout.dtype.is_floating_point:
            self.refuse(f"a tensor of {x.dtype} is changed in place")
        if not tape.header[R.H_GRAD_MODE]:
            self.refuse("a tensor is changed in place under no_grad()")
        return True

    def becomes_leaf(self, x):
        """A detached tensor asks for a gradient: its record is about to say where that is, and not whose value it has."""
        k = x._r & MASK
        self.aliases.setdefault(k, int(self.tape.records["a"][k]))

    def no_random(self):
        if self.histories is not None:
            self.refuse("a random number is drawn")
        raise RuntimeError(
            "a random number inside a function that is recorded would be the same at every replay; draw it outside and "
            f"pass it as an argument ({user_line()})"
        )

    def refuse(self, why):
        raise Refused(f"{why} ({user_line()})")

    def index(self, tensor) -> int:
        """The record here of a tensor, brought in from its own tape if need be."""
        if tensor._r >> R.TAPE_SHIFT != self.tape.number:
            tensor = self.bring(tensor)
        return tensor._r & MASK

    def stand_ins_of(self, tape):
        """By record of another recording the handle of its stand-in here, UNKNOWN for none; None: ``bring`` makes each."""

    def from_outside(self) -> list:
        """The records of which only a tensor outside knows what they are."""
        return []

    def bring(self, tensor):
        """The stand-in of a tensor of another tape: its memory, read at every replay."""
        if tensor.requires_grad and not self._quiet:
            if self.histories is None:
                raise NeedsHistory(tensor)
            return self.histories(tensor)
        return self.constant(tensor)

    def constant(self, tensor):
        """As ``bring``, without a history."""
        known = self.brought.get(id(tensor))
        if known is None or known[1]._r < 0:
            known = self.brought[id(tensor)] = (tensor, share(tensor._memory(), tensor._layout))
        return known[1]

    def noted(self, name, function, operands, parameters=()):
        """A result that ``function(*operands)`` works out with NumPy, entered as a computation of its own."""
        operands = tuple(
            self.bring(x) if isinstance(x, Tensor) and x._r >> R.TAPE_SHIFT != self.tape.number else x for x in operands
        )
        known = [x if isinstance(x, Tensor) or np.ndim(x) == 0 else from_array(np.asarray(x), copy=False) for x in operands]
        self._quiet += 1
        try:
            result = function(*operands)
        finally:
            self._quiet -= 1
        if isinstance(result, Tensor):
            operands = tuple(_as_it_is(x) if isinstance(x, Tensor) else x for x in operands)
            self.worked_out[result._r & MASK] = function, operands
            known = tuple(_as_it_is(x) if isinstance(x, Tensor) else x for x in known)
            self.notes[result._r & MASK] = Note(name, known, tuple(parameters))
        return result

    # Integer tensors as indices: their values may change from call to call, so positions are worked out anew

    def takes(self, x, key) -> bool:
        """Whether a key is made of integer tensors, one or more, and integers over the leading dimensions; or ``moves``."""
        tensors = [k for k in key if isinstance(k, Tensor)]
        return self.moves(x, key) or (
            0 < len(key) <= x._layout.ndim
            and any(k._layout.ndim for k in tensors)
            and all(k._layout.dtype.numpy.kind in "iu" for k in tensors)
            and all(isinstance(k, Tensor) or k.__class__ is int or _is_integers(k) for k in key)
        )

    def moves(self, x, key) -> bool:
        """Whether a key is integers and slices, and at least one integer is a tensor's, another one in a later call."""
        tensors = [k for k in key if isinstance(k, Tensor)]
        return (
            0 < len(key) <= x._layout.ndim
            and all(not k._layout.ndim and k._layout.dtype.numpy.kind in "iu" for k in tensors)
            and all(isinstance(k, Tensor) or k.__class__ is int or _is_plain_slice(k) for k in key)
            and not all(map(self._stays, tensors))
        )

    def rewrites(self, x, key) -> bool:
        """Whether what is written by such a key goes to other places in a later call."""
        if not x._layout.dtype.is_floating_point or not self.takes(x, key):
            return False
        return any(self.varies(k) for k in key if isinstance(k, Tensor))

    def varies(self, tensor) -> bool:
        """Whether a tensor is an argument, or made of one: with those captured it is likely that they stay as they are."""
        if tensor._r >> R.TAPE_SHIFT != self.tape.number:
            return False
        owner = int(self.tape.owners[tensor._r & MASK])
        if owner in self.notes:
            return any(self.varies(x) for x in self.notes[owner].operands if isinstance(x, Tensor))
        return owner in self.inputs or bool(self.tape.ops[owner])

    @staticmethod
    def now(part):
        """A part of a key without its tensor, of which nobody is told; a number for one without dimensions."""
        if not isinstance(part, Tensor):
            return part
        memory = part._memory()
        return memory if memory.ndim else int(memory)

    def _stays(self, tensor) -> bool:
        """Whether a tensor is (a part of) what the function made of NumPy's or Python's numbers, the same in each call."""
        tape = self.tape
        if tensor._r >> R.TAPE_SHIFT != tape.number:
            return False
        owner = int(tape.owners[tensor._r & MASK])
        made = owner in self.sources and owner not in self.inputs and owner not in self.notes
        return made and not int(tape.flags[owner]) & R.EXTERNAL

    def flat_positions(self, x, key, negative=True):
        """The positions in the flattened ``x`` that such a key selects; ``negative`` ones count from its end."""
        tensors = [(d, k) for d, k in enumerate(key) if isinstance(k, Tensor)]
        flat = np.asarray(flat_indices(x._layout, tuple(map(self.now, key))))
        lead = np.broadcast_shapes(*(np.shape(self.now(k)) for k in key if k.__class__ is not slice))
        rest = flat.ndim - len(lead)
        steps = packed_strides(x.shape)
        constant, places = flat.astype(np.int64), []  # without the tensors' part
        for d, k in tensors:
            values = k._memory().astype(np.int64)
            values = np.broadcast_to(np.where(values < 0, values + x.shape[d], values), lead)
            constant = np.asarray(constant - steps[d] * values.reshape(lead + (1,) * rest))
            places.append((*broadcast_strides(k.shape, packed_strides(k.shape), lead), *(0,) * rest))
        sizes = tuple(x.shape[d] if negative else -x.shape[d] for d, _ in tensors)
        parameters = constant, tuple(steps[d] for d, _ in tensors), sizes, tuple(places)
        return self.noted("flat", lambda *_: from_array(flat.astype(np.int64)), [k for _, k in tensors], parameters)

    def flat_along(self, flat, index, stride, size):
        """The positions that ``gather`` works out from an index tensor; it takes no negative ones."""
        flat = np.ascontiguousarray(flat, dtype=np.int64)
        parameters = flat - index._memory() * stride, (stride,), (-size,), (packed_strides(index.shape),)
        return self.noted("flat", lambda _: from_array(flat), [index], parameters)

    def source(self, tensor, array):
        """Note that a tensor holds what is in an array."""
        self.sources[tensor._r & MASK] = array

    def number(self, tensor, value):
        self.numbers[tensor._r & MASK] = value

    def observe(self, tensor):
        """Python or NumPy looks at all values of a tensor."""
        if self._quiet:
            return
        k = self.index(tensor)
        if (k, "bytes") in self._seen:
            return
        if tensor._layout.n > LARGEST_ESCAPE and k not in self.numbers:
            self.refuse(f"{tensor._layout.n} values were read by Python or NumPy")
        self._seen.add((k, "bytes"))
        self.guards.append(Guard(k, "bytes", np.array(tensor._memory()), user_line()))

    def read_by_numpy(self, held, place):
        """NumPy or Python computed with bytes of an array from outside, an array of uint8: they are guarded."""
        where = "a captured array" if place is None else f"an array that NumPy computes with at {line_of_instruction(*place)}"
        self.extra.append((held, held.copy(), where))

    @untraced_ours
    def truth(self, tensor) -> bool:
        """A decision: ``if``, ``while``, ``bool()``."""
        outcome = bool(tensor._memory())
        k = self.index(tensor)
        if (k, "truth") not in self._seen:
            self._seen.add((k, "truth"))
            self.guards.append(Guard(k, "truth", outcome, user_line()))
            self.repeats.note(len(self.guards) - 1)
        return outcome

    @untraced_ours
    def whole(self, tensor) -> int:
        """``int()``: only the integer part decides."""
        value = int(tensor._memory().item())
        k = self.index(tensor)
        if (k, "whole") not in self._seen:
            self._seen.add((k, "whole"))
            self.guards.append(Guard(k, "whole", value, user_line()))
        return value


def _is_plain_slice(k) -> bool:
    return k.__class__ is slice and not any(isinstance(end, Tensor) for end in (k.start, k.stop, k.step))
