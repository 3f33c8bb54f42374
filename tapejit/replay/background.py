"""One thread that compiles programs while all others go on: callers run the recording until the machine code is there."""

import contextlib
import threading
import time
import weakref

from tapejit.compile.linker import linking
from tapejit.core import forks
from tapejit.edge.optimiser import Ended

MOST_WAITING = 256  # programs; further ones are offered again by their next calls


class _Queue:
    """What waits, and the thread that works on it; it ends when there is nothing left. A forked child begins with none."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiting = {}  # id of a program -> a weak reference: nobody compiles what was dropped
        self.current = None
        self.thread = None
        self.before = None  # what else must be there when a program is

    def next(self):
        """The shortest program that waits, None if there is none."""
        found = {k: program for k, known in self.waiting.items() if (program := known()) is not None}
        program = min(found.values(), key=lambda p: p.frozen.left or 0, default=None)
        self.waiting = {k: self.waiting[k] for k, p in found.items() if p is not program}
        return program

    def work(self):
        while True:
            with self.changed:
                program = self.current = self.next()
                if program is None:
                    self.thread = None
                    return
            try:
                with contextlib.suppress(Exception), linking.lock:  # it fails again where it is needed
                    self.before()
                program.go_on()  # it keeps its failure, and its next call tells of that
            except Ended:
                return
            finally:
                with self.changed:
                    program = self.current = None
                    self.changed.notify_all()


class _Compiler:
    """Owns the queue."""


_compiler = _Compiler()
forks.renewed(_compiler, "queue", _Queue)


def submit(program, before) -> bool:
    """Let a program be compiled; whether it waits, or is under way.

    Args:
        before: called first, without arguments: what the program's calls need beside it.
    """
    queue = _compiler.queue
    with queue.changed:
        if queue.current is program or id(program) in queue.waiting:
            return True
        if len(queue.waiting) >= MOST_WAITING:
            return False
        queue.before = before
        queue.waiting[id(program)] = weakref.ref(program)
        if queue.thread is None or not queue.thread.is_alive():
            queue.thread = threading.Thread(target=queue.work, name="tapejit compiles", daemon=True)
            try:
                queue.thread.start()
            except RuntimeError:  # the process has no more threads, or ends
                queue.thread = None
                queue.waiting.clear()
                return False
        return True


def finish(programs, before, timeout=None) -> bool:
    """Have programs compiled, and wait until they are; whether each has come to an end in time.

    Args:
        before: see ``submit``.
        timeout: seconds, None for any time.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    queue = _compiler.queue
    for program in programs:
        while program.machine is None and program.failure is None:
            with queue.changed:
                if not submit(program, before) and queue.thread is None:
                    return False
                if program.machine is None and program.failure is None:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        return False
                    queue.changed.wait(1.0 if left is None else min(left, 1.0))  # the thread may have been ended
    return True
