"""The programs of a function's paths, run for one example of a batch after another in one native call that holds no GIL."""

import ctypes
import functools

import numpy as np

from tapejit.edge.plain.code import c_function
from tapejit.replay.door.walking import EXAMPLE, LEFT, NOWHERE, PROGRAM, UNKNOWN, walk
from tapejit.replay.doorwords import address_of


@functools.cache
def _walk():
    return ctypes.CFUNCTYPE(None, ctypes.c_int64)(c_function(walk))


class Walk:
    """The compiled programs of some paths.

    Args:
        paths: of one signature, with at least one compiled program that could be tried first.
        orders: by program, for each of its results the place among those of a batch; None for one whose results look otherwise.

    Attributes:
        programs: those that are walked.
    """

    def __init__(self, paths, programs, orders, inputs):
        self.paths, self.programs = paths, programs
        self._numbers = {id(program): p for p, program in enumerate(programs)}
        lengths = [1 + len(program.frozen.guards) for program in programs]
        self._rows = np.cumsum([0, *lengths])
        self._leads = np.full(self._rows[-1], UNKNOWN)
        counted = [p for p, program in enumerate(programs) if program in paths.counted]
        last = self._numbers.get(id(paths.last), NOWHERE)
        for p, after in zip(counted, [*counted[1:], last], strict=False):  # whichever guard did not hold
            self._leads[self._rows[p] : self._rows[p + 1]] = after
        self._stays = not counted  # a path has one program, so it does not matter which is tried first
        self.start = counted[0] if counted else last
        self._codes = np.array([program.machine.address for program in programs])
        self._spaces = np.array([program.machine.workspace for program in programs])
        self._columns = np.array([[*range(inputs), *(inputs + k for k in order)] for order in orders])

    def run(self, arrays, steps, which) -> np.ndarray:
        """The examples, of those of these numbers, that no program has answered.

        Args:
            arrays: what is read, then what is written, those of example 0 in front.
            steps: the bytes from one example to the next in each, 0 for what is the same for all.
        """
        which = np.ascontiguousarray(which, dtype=np.int64)
        answered = np.empty(len(which), dtype=np.int64)
        first = np.array([address_of(a) for a in arrays], dtype=np.int64)[self._columns]
        step = np.array(steps, dtype=np.int64)[self._columns]
        table = np.zeros(len(arrays) + 1, dtype=np.int64)
        words = [address_of(x) for x in (self._codes, self._spaces, self._rows, self._leads)] + [len(which), len(arrays)]
        words += [address_of(x) for x in (table, first, step, which, answered)]
        job = np.array([*words, 0, self.start, 0, self.start, self._stays, 2 * len(self.programs)], dtype=np.int64)
        while job[EXAMPLE] < len(which):
            _walk()(address_of(job))
            if job[EXAMPLE] < len(which):
                self._find(*job[[PROGRAM, LEFT]])
        return which[answered < 0]

    def _find(self, p, status):
        """Enter which program follows one that was left so."""
        following = self.paths.after(self.programs[p], int(status))
        self._leads[self._rows[p] + status] = self._numbers.get(id(following), NOWHERE)
