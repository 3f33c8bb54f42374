"""Steps that nothing comes between: no other thread, no handler of a signal, no collection of garbage.

CPython looks for all of these between instructions of Python code only (up to 3.11 collections come with allocations, too). So
calls of C functions that iterators of C drive are one step, however many they are.
"""

import collections
import functools
import gc
from itertools import chain, starmap
from operator import call

drain = functools.partial(collections.deque, maxlen=0)  # run an iterator to its end


def at_once(condition, *calls) -> bool:
    """Make ``calls`` at once if the call ``condition`` answers something true; whether it did.

    Each is a tuple of a function and its arguments, all of C; iterators among these are run when their turn comes. Whatever the
    calls let go of must be kept by the caller: finalizers are Python code.
    """
    step = all, starmap(call, (condition, (list, chain(starmap(call, calls), (True,)))))
    if not gc.isenabled():
        return call(*step)
    try:
        return list(starmap(call, ((gc.disable,), step, (gc.enable,))))[1]
    except BaseException:
        gc.enable()
        raise


def try_to_take(lock, got):
    """Take a lock if nobody holds it, and append to the list ``got`` whether that is so; no interrupt comes in between.

    In Python code one may come after ``acquire()``, before its answer is stored: nobody would release the lock.
    """
    got.extend(map(lock.acquire, (False,)))
