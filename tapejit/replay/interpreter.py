"""Running a recording again record by record, until it is worth compiling.

The tape of the recording is kept with all its values: inputs are written into its leaves, one jitted forward sweep runs
every record, and guards and results are read off. A record costs some 20 ns beside its kernel, where Python takes half a
microsecond.
"""

import sys
import threading

import numpy as np

from tapejit.core import engine, forks
from tapejit.core import record as R
from tapejit.core.tape import whole
from tapejit.eager.compiledsweep import handle_of
from tapejit.edge.onestep import try_to_take
from tapejit.replay import apart

MOST_BYTES = 1 << 28  # of values that all kept recordings together may hold
_held: dict = {}  # id of an interpreter -> the bytes of its tape


class Interpreter:
    """A recording that can be run again; it takes over the recording's tape.

    Args:
        guards: triples (record or array outside, kind, expected) in the order of the program's guards.
        outputs: the records of the results.
    """

    def __init__(self, recorder, guards, outputs):
        self.use = []
        forks.renewed(self, "_lock", threading.Lock)
        tape = self.tape = recorder.tape
        tape.recorder = None
        places = recorder.places
        self.size = int(tape.header[R.H_BYTES]) + places.size
        written = places.written | apart.keep_apart(tape, places.moved)

        def memory(k):
            return handle_of(tape, k)._memory()

        self.inputs = [(memory(k), j) for k, j in recorder.inputs.items()]
        self.sources = recorder.sources  # not the arrays: how many refer to one tells whether it may change
        self.refreshed = [(memory(k), k) for k in recorder.sources if not tape.flags[k] & R.EXTERNAL]
        self.numbers = [(memory(k), recorder.numbers[k]) for k in written & recorder.numbers.keys()]
        self.guards = [(x if isinstance(x, np.ndarray) else memory(x), *rest) for x, *rest in guards]
        self.outputs = [memory(k) for k in outputs]
        # What NumPy worked out is worked out again between the records before and after it.
        self.stops = [(k, memory(k), *recorder.worked_out[k]) for k in sorted(recorder.notes)]
        self.count = len(tape)
        _ = engine.forward, engine.reclaim  # compiled now, and not when this object is collected
        self.use, recorder.use = recorder.use, self.use
        _held[id(self)] = self.size

    @staticmethod
    def can_run(recorder) -> bool:
        """Whether the values of a recording can be worked out again in their places.

        Not where integer tensors are indices: their positions are for compiled code.
        """
        places = recorder.places
        if any(note.name == "flat" for note in recorder.notes.values()):
            return False
        if sum(_held.values()) + recorder.tape.header[R.H_BYTES] + places.size > MOST_BYTES:
            return False
        return not (places.gone or not places.written.isdisjoint(recorder.sources))

    def run(self, leaves):
        """The status, as a program gives it, and the results in order; None if another thread is at it, or it is closed."""
        got = []
        try:
            try_to_take(self._lock, got)
            if True not in got or self.tape is None:
                return None
            for target, k in self.refreshed:
                target[...] = self.sources[k]
            for target, number in self.numbers:
                target[...] = number
            for target, j in self.inputs:
                target[...] = leaves[j]
            first = 0
            for k, target, function, operands in self.stops:
                if engine.forward(self.tape.address, first, k):
                    return None  # a kernel failed: run by Python, it raises the error
                target[...] = function(*operands)._memory()
                first = k
            if engine.forward(self.tape.address, first, self.count):
                return None
            for number, (value, kind, expected) in enumerate(self.guards):
                if not _holds(value, kind, expected):
                    return number + 1, ()
            return 0, [x.item() if x.ndim == 0 and x.dtype == np.float64 else x.copy() for x in self.outputs]
        finally:
            if True in got:
                self._lock.release()

    def close(self):
        """Give the tape back; interrupts wait."""
        whole(self._close)

    def _close(self):
        with self._lock:
            self.inputs = self.refreshed = self.numbers = self.stops = self.guards = self.outputs = self.sources = ()
            _held.pop(id(self), None)
            for tape in list(self.use):
                tape.end(self.use)
            self.tape = None

    def __del__(self):
        if getattr(self, "_lock", None) is not None and not sys.is_finalizing():
            self.close()


def _holds(value, kind, expected) -> bool:
    if kind == "truth":
        return bool(value) == expected
    if kind == "whole":
        return float(np.trunc(value)) == expected
    return value.tobytes() == expected.tobytes()
