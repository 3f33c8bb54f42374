"""Python's collection of garbage, while a function of the engine is compiled, or a program is planned.

Either makes some hundred thousand objects that live until it is done. The collector would go through them, and through
all others of the process, again and again: a first gradient on an empty cache takes 4 % less time without, a long plan a third.
"""

import contextlib
import gc
import os
import threading

_change = threading.Lock()
_inside = 0
_begin_again = False


@contextlib.contextmanager
def paused():
    """Inside, in whichever thread, nothing is collected; afterwards as before, so a user's ``gc.disable()`` stays."""
    global _inside, _begin_again
    with _change:
        if not _inside:
            _begin_again = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _change:
            _inside = max(_inside - 1, 0)  # 0 in a child that was forked inside
            if not _inside and _begin_again:
                gc.enable()


def in_child():
    """After a fork: threads that the child does not have may have been inside."""
    global _change, _inside
    _change = threading.Lock()
    if _inside and _begin_again:
        gc.enable()
    _inside = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=in_child)
