"""The tape: the record array, its header, and the Tensors that refer to it."""

import contextlib
import itertools
import threading
import weakref
from itertools import repeat, takewhile
from operator import setitem
from sys import getrefcount
from typing import ClassVar

import numpy as np

from tapejit.core import engine, forks, plans
from tapejit.core import record as R
from tapejit.core.threads import team
from tapejit.edge.between import in_between
from tapejit.edge.onestep import at_once, drain

CAPACITY = 1 << 12  # records of a new tape
MINIMUM = 1 << 22  # bytes of live values below which memory is no reason to reclaim
NURSERY = 512  # records after which the newest handles are looked through
_REGISTRY_ONLY = next(map(getrefcount, [object()]))  # references to a Tensor that only the list of handles knows
_MANY = 256  # references; None has more
LARGE = 1 << 16  # records of a large tape
AHEAD = 8  # times that it has address space for: a page that nobody wrote to costs nothing


_ARRAYS = {  # dtype, and whether what is in it goes along when the tape grows
    "records": (R.RECORD, True),
    "adjoints": (np.int64, True),
    "stamps": (np.int64, True),
    "versions": (np.int64, True),
    "order": (np.int64, True),
    "leaves": (np.int64, True),
    "dropped": (np.int64, False),
    "_why": (np.uint8, False),
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
_COLUMNS = {"flags": "flags", "addresses": "address", "owners": "owner", "ops": "op", "firsts": "a"}
_ELEMENTS = {"flag_at": "flags", "address_at": "addresses", "leaf_at": "leaves", "first_at": "firsts"}
_ATTEMPTS = 20  # interrupts that one step of a tape outlives


def _zeros(capacity) -> dict:
    """The arrays of a tape with room for so many records; for more where that is only address space."""
    if capacity >= LARGE:
        with contextlib.suppress(MemoryError):
            return _zeros_for(capacity * AHEAD)
    return _zeros_for(capacity)


def _zeros_for(count) -> dict:
    return {name: np.zeros(count + 1, dtype=dtype) for name, (dtype, _) in _ARRAYS.items()}


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

    A record is there as soon as the engine has made it, its Tensor a moment later. A handler of a signal, a callback of the
    collector or a finalizer that computes in between finds the tape in order; only records do not move then.

    Attributes:
        header: the int64 words that jitted code works from; ``address`` is where they are.
        records: structured array over the record memory, ``len(tape)`` of them in use.
        handles: the Tensor of each record, None where there is none yet or any more; one for each that there is room for,
            and one that is always None.
        everyone: all tapes there are.
        recorder: what a recording notes beside the records; None on a thread's own tape.
        stand_ins: Tensors of this tape in place of some of others, by the handles of these, where gradients are wanted.
    """

    recorder = None
    stand_ins = None
    records = ()
    nursery = NURSERY
    capacity = CAPACITY  # of a new one
    everyone: ClassVar = weakref.WeakSet()

    def __init__(self, number: int):
        Tape.everyone.add(self)
        self.number = number
        self.handles = []
        forks.renewed(self, "lock", threading.RLock)  # held while record numbers change; other threads read under it
        self._looked_through = 0
        self._still = set()  # of those who rely on the numbers of records for a while
        self.kept_alive = {}  # address of an external block -> the objects that own it
        self.header = np.zeros(R.HEADER_WORDS, dtype=np.int64)
        self.words = memoryview(self.header)
        self._moves = self.words[R.H_MOVED : R.H_MOVED + 1].cast("B")
        self.address = self.header.ctypes.data
        self.header[R.H_TAPE] = number
        self.header[R.H_GRAD_MODE] = R.GRAD
        self.header[R.H_LIMIT] = MINIMUM
        self.header[R.H_KERNELS] = engine.kernel_table.ctypes.data
        self.header[R.H_TRAITS] = engine.traits_table.ctypes.data
        self.header[R.H_TEAM] = team.address
        self._grow(self.capacity)

    def _grow(self, capacity):
        had = min(self.words[R.H_CAPACITY], capacity)
        more = (list.__setitem__, self.handles, slice(had, None), [None] * (capacity + 1 - had))
        if had < capacity < len(self.records):
            at_once((bool, 1), (setitem, self.words, R.H_CAPACITY, capacity), more)
            self._stay(self._looked_through)
            return
        new = _zeros(capacity)
        new |= {name: new["records"][field] for name, field in _COLUMNS.items()}
        new |= {name: memoryview(new[array]) for name, array in _ELEMENTS.items()}  # an element costs a tenth of an array's
        before = [getattr(self, name, None) for name in new]  # kept until the engine knows the new ones
        moving = [name for name, (_, moves) in _ARRAYS.items() if moves and had]
        at_once(
            (bool, 1),
            *((setitem, new[name], slice(0, had + 1), getattr(self, name)[: had + 1]) for name in moving),
            *((setattr, self, name, value) for name, value in new.items()),  # __dict__ would make attributes slower to read
            *((setitem, self.words, word, new[name].ctypes.data) for word, name in _WORDS.items()),
            (setitem, self.words, R.H_CAPACITY, capacity),
            more,
        )
        self._stay(self._looked_through)
        del before

    def __len__(self):
        return self.words[R.H_COUNT]

    def __repr__(self):
        return f"<tape {self.number}: {len(self)} records, {int(self.header[R.H_BYTES])} bytes of values>"

    def make_room(self):
        """Let appending go on: look through the newest handles if that is all it takes, else reclaim."""
        if len(self) >= self.header[R.H_CAPACITY] or self.header[R.H_BYTES] > self.header[R.H_LIMIT]:
            self.reclaim()
        else:
            self._look_through()

    def _look_through(self):
        """Let go of the newest Tensors that nobody else holds.

        Python's cyclic garbage collector walks all Tensors that live; most die young, and should do so before it comes.
        """
        moves, count, begin = self._moves.tobytes(), len(self), self._looked_through
        part = self.handles[begin:count]
        references = np.fromiter(map(getrefcount, part), dtype=np.int64, count=len(part))
        dead = references == _REGISTRY_ONLY + 1  # the slice refers to them too
        flags = self.flags[begin : begin + len(part)]
        dead &= flags & R.HOOKED == 0
        left = [None] * len(part)
        for k in np.flatnonzero(~dead).tolist():
            left[k] = part[k]
        at_once(
            (self._moves.__eq__, moves),
            (np.bitwise_or, flags, R.DEAD * dead.astype(np.int32), flags),
            (list.__setitem__, self.handles, slice(begin, begin + len(part)), left),
        )
        self._stay(max(count, begin))

    def pass_by(self):
        """Do not look at the handles of the records that are there: hardly one has a Tensor."""
        self._stay(len(self))

    def _stay(self, count):
        """Look at handles from ``count`` on the next time."""
        self._looked_through = count
        self.words[R.H_ROOM] = min(self.words[R.H_CAPACITY], max(count, len(self)) + self.nursery)

    def reclaim(self):
        """Drop what nothing can reach any more; grow the tape if that leaves it more than half full."""
        inside = self.lock._is_owned()
        try:
            with self.lock:
                self._compact()
        finally:
            if not inside and self.lock._is_owned():  # an interrupt came where it was to be given back
                self.lock.release()
        if plans.count() > plans.LIMIT:
            plans.forget_unused([tape.records[: len(tape)] for tape in list(Tape.everyone)])
        if 2 * len(self) > self.header[R.H_CAPACITY]:
            self._grow(2 * int(self.header[R.H_CAPACITY]))

    def relieve(self) -> bool:
        """Reclaim because an allocation failed; whether that gave memory back."""
        others = [tape for tape in list(Tape.everyone) if tape is not self and tape.words[R.H_CACHED]]
        before = self.words[R.H_BYTES]
        self.reclaim()
        for tape in others:
            engine.give_idle(tape.address)
        return bool(others) or self.words[R.H_BYTES] < before

    def by_handle(self):
        """Where the Tensor of a record is put by its handle."""
        return _ByHandle(self)

    def at_one_line(self):
        """A context in which all records are made by one line of the user's: a sweep."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def still(self):
        """Inside, no record moves."""
        token = object()
        try:
            self._still.add(token)
            yield
        finally:
            self._still.discard(token)

    def _compact(self):
        """Let go of what nothing reaches. Records stay where interrupted code or a sweep relies on their numbers."""
        done = False
        while not done:
            self.end_sweep()
            moves, count = self.words[R.H_MOVED], len(self)
            alive, still = self._survey(count)
            still = still or self._still or self.words[R.H_SWEEPING]
            done = (self._spare if still else self._move)(moves, count, alive)
        self._stay(len(self))

    def end_sweep(self):
        """Give back the adjoints of a sweep that was given up, if that is still to be done.

        Raises:
            MemoryError: if there is no memory to compile what does it.
        """
        if self.words[R.H_SWEEPING] == R.GIVEN_UP:
            engine.abandon(self.address)

    def _survey(self, count):
        """What is known of each Tensor, as ``engine.reclaim`` takes it, and whether interrupted code is yet to make one."""
        handles = self.handles
        known = np.flatnonzero(self.flags[:count] & R.DEAD == 0)
        references = np.fromiter(map(getrefcount, map(handles.__getitem__, known.tolist())), np.int64, len(known))
        missing = [k for k in known[references > _MANY].tolist() if handles[k] is None]
        still = bool(missing) and in_between()
        alive = np.zeros(count + 1, dtype=np.uint8)
        alive[known[references > _REGISTRY_ONLY]] = R.HELD
        alive[known] |= np.where(self.flags[known] & R.HOOKED, R.STAYS, 0).astype(np.uint8)
        if not still:
            alive[missing] = 0  # an interrupt ended what was to make their Tensors
        return alive, still

    def _spare(self, moves, count, alive) -> bool:
        """Let go of what nothing reaches, the records apart; False if the tape is not what was surveyed any more."""
        before, gone = self.handles[:count], []
        dead = np.flatnonzero((alive[:count] == 0) & (self.flags[:count] & R.DEAD == 0))
        done = at_once(
            (engine.spare, self.address, count, moves, alive.ctypes.data, self._why.ctypes.data, MINIMUM),
            (np.bitwise_or.at, self.flags, dead, R.DEAD),
            (drain, map(setitem, repeat(self.handles), dead.tolist(), repeat(None))),
            (gone.extend, takewhile(bool, memoryview(self.dropped))),
        )
        del before
        whole(lambda: self._let_go(gone))
        return done

    def _move(self, moves, count, alive) -> bool:
        """Give records and Tensors their new numbers at once; False if the tape is not what was surveyed any more."""
        before = self.handles[:count]  # keeps what is let go of until all is in order
        live = list(map(before.__getitem__, np.flatnonzero(alive).tolist()))
        numbers, gone = np.empty(len(live) + 1, dtype=np.int64), []
        addresses = (array.ctypes.data for array in (alive, self._why, numbers))
        done = at_once(
            (engine.reclaim, self.address, count, moves, *addresses, MINIMUM),
            (drain, map(setattr, live, repeat("_r"), memoryview(numbers))),
            (list.__setitem__, self.handles, slice(0, count), [None] * count),
            (drain, map(setitem, repeat(self.handles), memoryview(self.order), live)),
            (setitem, self.handles, -1, None),
            (gone.extend, takewhile(bool, memoryview(self.dropped))),
        )
        whole(lambda: self._let_go(gone))
        return done

    def _let_go(self, addresses):
        """Let go of one owner of the external block at each of the addresses, which are taken out of the list."""
        while addresses:
            address = addresses.pop()
            owners = self.kept_alive.get(address)
            if owners:
                owners.pop()
                at_once((owners.__eq__, []), (self.kept_alive.pop, address, None))


class _ByHandle:
    """The handles of a tape, each at its full number."""

    def __init__(self, tape):
        self.tape = tape

    def __setitem__(self, handle, tensor):
        self.tape.handles[handle & R.MASK] = tensor


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
        main.adjoints[: len(main) + 1] = 0  # of a sweep that the main thread had under way
        main.words[R.H_SWEEPING] = 0
        main.flags[: len(main)] &= ~R.CAPTURE
        main.header[R.H_THREAD] = threading.get_ident()
        main.header[R.H_GRAD_MODE] = R.GRAD


forks.register(_hold_still, _go_on, _in_child)


class Side(Tape):
    """A tape for what a sweep works out while it waits; values of the waiting tape are borrowed, not copied."""


_idle_sides: list = []
followers: list = []  # called with the tape that operations of the main thread go to from now on


def follow(tape, thread_number=None):
    """Let the fast paths of the main thread's operations go to a tape, which takes them from that thread."""
    if thread_number is not None:
        tape.header[R.H_THREAD] = thread_number
    for tell in followers:
        tell(tape)


class as_before:
    """Around what changes the tape that operations of this thread go to, and changes it back.

    An interrupt may come before the first line of any Python code, that which ends a context too: what the inner context
    did not take back, the outer one does.
    """

    def __enter__(self):
        self._stack, self._main_thread = thread.stack, int(main.header[R.H_THREAD])
        self._depth = len(self._stack)
        return self

    def __exit__(self, *exc):
        del self._stack[self._depth :]
        if threading.current_thread() is threading.main_thread():
            main.header[R.H_THREAD] = self._main_thread
            follow(self._stack[-1])


@contextlib.contextmanager
def aside():
    """Let operations of this thread go to a tape of their own for a while, without gradients; inside ``as_before``."""
    try:
        side = _idle_sides.pop()
    except IndexError:
        number = next(numbers)
        side = tapes[number] = Side(number)
    side.header[R.H_THREAD] = 0
    side.header[R.H_GRAD_MODE] = 0
    is_main = threading.current_thread() is threading.main_thread()
    main_thread = int(main.header[R.H_THREAD])
    try:
        thread.stack.append(side)
        if is_main:
            main.header[R.H_THREAD] = -1
            follow(side, threading.get_ident())
        yield side
    finally:
        if is_main:
            main.header[R.H_THREAD] = main_thread
        if thread.stack[-1] is side:
            thread.stack.pop()
        if is_main:
            side.header[R.H_THREAD] = 0
            follow(thread.stack[-1])
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
