"""The tape: the record array, its header, and the Tensors that refer to it."""

import contextlib
import itertools
import threading
import weakref
from sys import getrefcount
from typing import ClassVar

import numpy as np

from tapejit.core import engine, forks, plans
from tapejit.core import record as R

CAPACITY = 1 << 12  # records of a new tape
MINIMUM = 1 << 22  # bytes of live values below which memory is no reason to reclaim
NURSERY = 512  # records after which the newest handles are looked through
_REGISTRY_ONLY = next(map(getrefcount, [object()]))  # references to a Tensor that only the list of handles knows


_ARRAYS = {
    "records": R.RECORD,
    "adjoints": np.int64,
    "stamps": np.int64,
    "versions": np.int64,
    "leaves": np.int64,
    "dropped": np.int64,
    "_why": np.uint8,
}
_WORDS = {  # of the header -> the array whose address it holds
    R.H_RECORDS: "records",
    R.H_ADJOINTS: "adjoints",
    R.H_STAMPS: "stamps",
    R.H_VERSIONS: "versions",
    R.H_ORDER: "order",
    R.H_LEAVES: "leaves",
    R.H_DROPPED: "dropped",
}
_ATTEMPTS = 20  # interrupts that one step of a tape outlives


def whole(step):
    """Run a step that may be repeated to its end, though an interrupt (Ctrl-C) comes; what was raised is raised then."""
    interrupt = None
    for _ in range(_ATTEMPTS):
        try:
            step()
            break
        except BaseException as e:
            interrupt = e
    if interrupt is not None:
        raise interrupt


class Tape:
    """Records, adjoints and handles of one thread (or of one recording).

    Attributes:
        header: the int64 words that jitted code works from; ``address`` is where they are.
        records: structured array over the record memory, ``len(tape)`` of them in use.
        handles: the Tensor of each record, None once it is gone.
        everyone: all tapes there are.
        recorder: what a recording notes beside the records; None on a thread's own tape.
        stand_ins: Tensors of this tape in place of some of others, by the handles of these, where gradients are wanted.
    """

    recorder = None
    stand_ins = None
    nursery = NURSERY
    capacity = CAPACITY  # of a new one
    everyone: ClassVar = weakref.WeakSet()

    def __init__(self, number: int):
        Tape.everyone.add(self)
        self.number = number
        self.handles = []
        forks.renewed(self, "lock", threading.RLock)  # held while record numbers change; other threads read under it
        self._looked_through = 0
        self.kept_alive = {}  # address of an external block -> the objects that own it
        self.header = np.zeros(R.HEADER_WORDS, dtype=np.int64)
        self.words = memoryview(self.header)
        self.address = self.header.ctypes.data
        self.header[R.H_TAPE] = number
        self.header[R.H_GRAD_MODE] = R.GRAD
        self.header[R.H_LIMIT] = MINIMUM
        self.header[R.H_KERNELS] = engine.kernel_table.ctypes.data
        self.header[R.H_TRAITS] = engine.traits_table.ctypes.data
        self._grow(self.capacity)

    def _grow(self, capacity):
        count = len(self)
        new = {name: np.zeros(capacity, dtype=dtype) for name, dtype in _ARRAYS.items()}
        new["order"] = np.zeros(capacity + 1, dtype=np.int64)
        if count:
            for name in ("records", "stamps", "versions", "adjoints"):
                new[name][:count] = getattr(self, name)[:count]
        for name, field in (("flags", "flags"), ("addresses", "address"), ("owners", "owner"), ("ops", "op")):
            new[name] = new["records"][field]
        # One element of a memoryview costs a tenth of one of an array.
        for name, array in (("flag_at", "flags"), ("address_at", "addresses"), ("leaf_at", "leaves")):
            new[name] = memoryview(new[array])
        before = [getattr(self, name, None) for name in new]  # keeps the old arrays until the engine knows the new ones

        def swap():
            for name, value in new.items():  # one by one: looking at __dict__ would make every attribute slower to read
                setattr(self, name, value)
            for word, name in _WORDS.items():
                self.header[word] = new[name].ctypes.data
            self.header[R.H_CAPACITY] = capacity
            self.header[R.H_ROOM] = min(capacity, count + self.nursery)

        whole(swap)
        del before

    def __len__(self):
        return int(self.header[R.H_COUNT])

    def __repr__(self):
        return f"<tape {self.number}: {len(self)} records, {int(self.header[R.H_BYTES])} bytes of values>"

    def make_room(self):
        """Let appending go on: look through the newest handles if that is all it takes, else reclaim."""
        if len(self) >= self.header[R.H_CAPACITY] or self.header[R.H_BYTES] > self.header[R.H_LIMIT]:
            self.reclaim()
        else:
            self._look_through()

    def align(self):
        """Put the handles in step with the records again, if an interrupt (Ctrl-C) came between the two."""
        count, begin = len(self), self._looked_through
        if len(self.handles) == count:
            return
        part = self.handles[begin:]
        aligned = [None] * (count - begin)
        for handle in part:
            if handle is not None:
                aligned[(handle._r & (1 << R.TAPE_SHIFT) - 1) - begin] = handle
        self.handles[begin:] = aligned
        gone = [begin + k for k, handle in enumerate(aligned) if handle is None]
        self.flags[gone] |= R.DEAD
        leaves = np.flatnonzero(self.flags[:count] & R.LEAF)
        gradients = self.records["a"][leaves]
        self.records["a"][leaves[(gradients >= 0) & (self.flags[gradients] & R.DEAD != 0)]] = -1

    def _look_through(self):
        """Let go of the newest Tensors that nobody else holds.

        Python's cyclic garbage collector walks all Tensors that live; most die young, and should do so before it comes.
        """
        self.align()
        handles, begin = self.handles, self._looked_through
        part = handles[begin:]
        references = np.fromiter(map(getrefcount, part), dtype=np.int64, count=len(part))
        dead = references == _REGISTRY_ONLY + 1  # the slice refers to them too
        dead &= self.flags[begin : begin + len(part)] & R.HOOKED == 0
        left = [None] * len(part)
        for k in np.flatnonzero(~dead).tolist():
            left[k] = part[k]
        self.flags[begin : begin + len(part)][dead] |= R.DEAD  # first: an interrupt may come between the two
        handles[begin : begin + len(part)] = left
        self._stay(begin + len(part))

    def _stay(self, count):
        self._looked_through = count
        self.header[R.H_ROOM] = min(int(self.header[R.H_CAPACITY]), count + self.nursery)

    def reclaim(self):
        """Drop what nothing can reach any more; grow the tape if that leaves it more than half full."""
        with self.lock:
            self._compact()
        self._let_go()
        if plans.count() > plans.LIMIT:
            plans.forget_unused([tape.records[: len(tape)] for tape in list(Tape.everyone)])
        if 2 * len(self) > self.header[R.H_CAPACITY]:
            self._grow(2 * int(self.header[R.H_CAPACITY]))

    def relieve(self) -> bool:
        """Reclaim because an allocation failed; whether that gave memory back."""
        before = int(self.header[R.H_BYTES])
        self.reclaim()
        return int(self.header[R.H_BYTES]) < before

    def _compact(self):
        count, alive = self._survey()
        while len(self) != count:  # a signal handler has computed something meanwhile
            count, alive = self._survey()
        before = self.handles[:]
        self.order[count] = -1  # what the engine overwrites when it has moved the records

        def move():
            if self.order[count] < 0:
                engine.reclaim(self.address, alive.ctypes.data, self._why.ctypes.data, MINIMUM)
            self._renumber(before, int(self.order[count]))

        whole(move)

    def _survey(self):
        """The number of records, and for each whether somebody holds its Tensor."""
        self.align()
        count = len(self)
        handles = self.handles
        known = np.flatnonzero(self.flags[:count] & R.DEAD == 0)
        references = np.fromiter(map(getrefcount, map(handles.__getitem__, known.tolist())), np.int64, len(known))
        alive = np.zeros(count + 1, dtype=np.uint8)
        alive[known[references > _REGISTRY_ONLY]] = 1
        return count, alive

    def _renumber(self, before, kept):
        """Give the Tensors among the handles ``before`` the new numbers of the ``kept`` records; may be done again."""
        gone = (self.flags[:kept] & R.DEAD) != 0
        base = self.number << R.TAPE_SHIFT
        survivors = []
        for new, (old, dead) in enumerate(zip(self.order[:kept].tolist(), gone.tolist(), strict=True)):
            handle = None if dead else before[old]
            if handle is not None:
                handle._r = base | new
            survivors.append(handle)
        self.handles[:] = survivors
        self._stay(kept)

    def _let_go(self):
        for address in self.dropped[: self.header[R.H_DROPPED_COUNT]].tolist():
            owners = self.kept_alive.get(address)
            if owners:
                owners.pop()
            if not owners:
                self.kept_alive.pop(address, None)


numbers = itertools.count()
main = Tape(next(numbers))
main.header[R.H_THREAD] = threading.main_thread().ident
tapes = {main.number: main}
_idle: list = []  # tapes whose thread has ended; their tensors stay valid


class _Lease:
    """A thread's hold on its tape: when the thread ends, the next one may have the tape."""

    def __init__(self, tape, idle=_idle):
        self.tape, self.idle = tape, idle

    def __del__(self):
        self.idle.append(self.tape)


class _Thread(threading.local):
    """``stack``: the tape that operations of this thread go to is the last one."""

    def __init__(self):
        if threading.current_thread() is threading.main_thread():
            self.stack = [main]
            return
        tape = _idle.pop() if _idle else Tape(next(numbers))
        tapes[tape.number] = tape
        tape.header[R.H_THREAD] = threading.get_ident()
        tape.header[R.H_GRAD_MODE] = R.GRAD
        self.lease = _Lease(tape)
        self.stack = [tape]


thread = _Thread()


def _hold_still():
    """No record number changes while the process forks."""
    for tape in list(tapes.values()):
        tape.lock.acquire()


def _go_on():
    for tape in list(tapes.values()):
        tape.lock.release()


def _in_child():
    """The only thread there is now takes the main tape over, unless it has one of its own."""
    stack = thread.stack  # of a thread that had none: [main]
    if stack[0] is main and len(stack) == 1 and main.header[R.H_THREAD] != threading.get_ident():
        main.align()
        main.adjoints[:] = 0  # of a sweep that the main thread had under way
        main.flags &= ~R.CAPTURE
        main.header[R.H_THREAD] = threading.get_ident()
        main.header[R.H_GRAD_MODE] = R.GRAD


forks.register(_hold_still, _go_on, _in_child)


class Side(Tape):
    """A tape for what a sweep works out while it waits; values of the waiting tape are borrowed, not copied."""


_idle_sides: list = []


@contextlib.contextmanager
def aside():
    """Let operations of this thread go to a tape of their own for a while, without gradients."""
    try:
        side = _idle_sides.pop()
    except IndexError:
        number = next(numbers)
        side = tapes[number] = Side(number)
    side.header[R.H_THREAD] = 0
    side.header[R.H_GRAD_MODE] = 0
    is_main = threading.current_thread() is threading.main_thread()
    if is_main:
        main_thread = int(main.header[R.H_THREAD])
        main.header[R.H_THREAD] = -1
    thread.stack.append(side)
    try:
        yield side
    finally:
        thread.stack.pop()
        if is_main:
            main.header[R.H_THREAD] = main_thread
        _idle_sides.append(side)


def current() -> Tape:
    """The tape that operations of this thread go to: the innermost recording, or the thread's own."""
    return thread.stack[-1]


def tape_of(tensor) -> Tape:
    """The tape that holds a tensor's record."""
    return tapes[tensor._r >> R.TAPE_SHIFT]


def of_another_thread() -> RuntimeError:
    """The error for a graph that would lie on the tapes of two threads."""
    return RuntimeError(
        "a tensor that requires a gradient belongs to the thread that made it; use x.detach() here, or make the "
        "leaf in this thread"
    )


def steady(tensor):
    """A context in which a tensor's record number stays what it is, also while its own thread reclaims."""
    tape = tape_of(tensor)
    return _OPEN if tape is thread.stack[0] else tape.lock


_OPEN = contextlib.nullcontext()


def read_item(tensor):
    """The first element of a tensor as a Python number."""
    recorder = thread.stack[-1].recorder
    if recorder is not None:
        recorder.observe(tensor)
        return tensor._memory().item()
    if tensor._layout.dtype.is_floating_point:
        with steady(tensor):
            return engine.item(tape_of(tensor).address, tensor._r)
    return tensor._array().item()
