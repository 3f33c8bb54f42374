"""Work that Ctrl-C must not leave half done."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def deferred():
    """Inside, an interrupt (SIGINT) waits until the end of the block.

    Numba registers the functions it knows when it is first used, and the engine loads its modules then: an interrupt between
    would leave them half registered until the interpreter is started again. Only the main thread is interrupted at all.

    Yields:
        A list that is no longer empty once an interrupt has come.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield []
        return
    came = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)
