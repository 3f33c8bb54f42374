"""``set_num_threads``: one team of threads for large loops, of compiled programs and of the eager kernels.

A loop is cut into parts by its size alone, and what the parts sum is added in their order: results are the same to the last
digit for any number of threads. There is no thread before one is asked for, none in a forked child, and one job at a time:
who comes while the team is busy, parts of a batch that ``vmap(threads=...)`` has it call above all, works alone.
"""

import ctypes
import functools
import threading

import numpy as np

from tapejit.core import forks, rows, sums
from tapejit.core import team as T
from tapejit.edge import signals
from tapejit.edge.atomics import held_lock
from tapejit.edge.plain.code import c_function

MOST_THREADS = 256


class _Team:
    """The words of ``core.team``, and what they refer to.

    Attributes:
        address: of the words, for compiled code.
    """

    def __init__(self):
        room = np.zeros(T.words(MOST_THREADS) + T.LINE, dtype=np.int64)
        skip = -(room.__array_interface__["data"][0] // 8) % T.LINE
        self.words = room[skip:]
        self.address = self.words.__array_interface__["data"][0]
        forks.renewed(self, "lock", threading.Lock)
        self._begin()

    def _begin(self):
        """A team of one: what a process begins with, and a forked child, which has no threads but its own."""
        known = int(self.words[T.SUMS])  # code, not a thread: a child has it, too
        self.words[:] = 0
        self.words[T.COUNT], self.words[T.SUMS] = 1, known
        self.helpers = 0

    def resize(self, count):
        self.hire(count)
        self.words[T.COUNT] = count

    def hire(self, count):
        """Have so many threads, the caller's included; more than take part in jobs that do not ask for them stay asleep."""
        with self.lock:
            if count > 1 and not self.words[T.SHARE]:
                self.words[T.FINISHED] = held_lock()
                self.words[T.SHARE] = c_function(T.share)
                self.words[T.FORWARD], self.words[T.REVERSE] = c_function(rows.forward_part), c_function(rows.reverse_part)
            while self.helpers < count - 1:
                self._start(self.helpers)
                self.helpers += 1

    def _start(self, k):
        self.words[T.HELPERS + T.LINE * k + 1] = held_lock()
        function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(c_function(T.help))

        def work(words):  # which live as long as the thread
            function(words.__array_interface__["data"][0], k)

        threading.Thread(target=work, args=(self.words,), name=f"tapejit helps {k}", daemon=True).start()

    def of_sums(self):
        """The address of the words, for a plan of sums in parts."""
        with self.lock:
            if not self.words[T.SUMS]:
                self.words[T.SUMS] = c_function(sums.sums_part)
        return self.address

    def call(self, function, parts, count):
        """``function(k)`` for each part, by ``count`` threads at most; there is no team for what a part shares in turn.

        Raises:
            BaseException: what the lowest part raised that failed. All others are done before, but after an interrupt those
                that had not begun.
        """
        if min(count, parts) <= 1:
            for k in range(parts):
                function(k)
            return
        errors, interrupts = {}, []
        self.hire(count)
        with signals.deferred() as came:  # one that came where a part begins would be lost in C code
            self._shared(function, parts, count, errors, interrupts, came)
        if errors:
            raise errors[min(errors)]

    def _shared(self, function, parts, count, errors, interrupts, came):
        @ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)
        def part(first, k):
            try:
                if not interrupts and not came:
                    function(first + k)
            except BaseException as error:
                errors[first + k] = error
                if not isinstance(error, Exception):
                    interrupts.append(error)

        address = ctypes.cast(part, ctypes.c_void_p).value
        for first in range(0, parts, T.MANY):
            _share_calls()(self.address, address, first, min(parts - first, T.MANY), count)


@functools.cache
def _share_calls():
    return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 5)(c_function(T.share_calls))


team = _Team()
forks.register(None, None, team._begin)


def set_num_threads(count: int) -> None:
    """How many threads share the large elementwise loops and sums of compiled programs, and those of eager operations.

    One until this is called, whatever the machine has: most calls are too small to share, and processes side by side
    (workers of a pool, of Dask, of pytest) would each take all cores. Results are the same to the last digit for any number.
    Products of matrices are BLAS's, which has a number of its own (``OPENBLAS_NUM_THREADS``, threadpoolctl), but for those with
    a large matrix that a program goes through in blocks of rows. A forked child begins with one thread.

    Args:
        count: of threads, the caller's own included, from 1 to 256. Those that an earlier call started stay, asleep.

    Raises:
        TypeError: for what is no whole number.
        ValueError: below 1 or above 256.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
        raise TypeError(f"set_num_threads() takes a whole number, got {count!r}")
    if not 1 <= count <= MOST_THREADS:
        raise ValueError(f"set_num_threads() takes a number from 1 to {MOST_THREADS}, got {count}")
    team.resize(int(count))


def get_num_threads() -> int:
    """How many threads share large loops: what ``set_num_threads`` was last told in this process, else 1."""
    return int(team.words[T.COUNT])
