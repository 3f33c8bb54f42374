"""A recording that is read later: not before it is to be compiled, and in the background.

To read one means to find its loops and to make a graph of it. The first takes some 0.1 us a record, the second 20 us for each
that no loop holds, a hundred times what running it did. Until then its tape is kept, which the interpreter has anyway. That is
for plain recordings, of which it is known without reading which guards they have, and that they can be read.
"""

import contextlib
import threading
from typing import ClassVar

from tapejit.core import forks
from tapejit.core.errors import Refused
from tapejit.core.layout import layout_at
from tapejit.graph.build import why_unreadable
from tapejit.graph.reroll import rolled
from tapejit.replay.program import SMALL, Frozen


def may_wait(recorder) -> bool:
    """Whether a recording is plain: arithmetic on inputs, numbers and arrays that can be read; nobody looked at a result."""
    places, known = recorder.places, (recorder.inputs, recorder.sources, recorder.numbers)
    if recorder.guards or recorder.notes or recorder.aliases or places.moved or places.may_fail:
        return False
    return all(any(k in d for d in known) for k in places.outside) and not any(map(why_unreadable, recorder.sources.values()))


class Later:
    """Stands for a ``Frozen``, with the attributes of one, which is made when they are asked for.

    Attributes:
        left: as of a ``Frozen``; None before it was looked at.
        guards: those on bytes of arrays outside; without nodes before it was read.
        kinds: the shape and the dtype of each result.

    Args:
        as of a ``Frozen``.
    """

    passes = counted = spans = whole = memories = ()
    long: ClassVar = {}
    further = 0

    def __init__(self, recorder, inputs, outputs):
        tape = recorder.tape
        self.inputs, self.records, self.left = inputs, len(tape), None
        layouts = [layout_at(int(tape.records["layout"][k])) for k in outputs]
        self.kinds = [(tuple(x.shape), x.dtype.numpy.str[1:]) for x in layouts]
        self.places, snapshots, self.lines = zip(*recorder.extra, strict=True) if recorder.extra else ((), (), ())
        self.guards = [(None, "bytes", snapshot) for snapshot in snapshots]
        self.outcomes = [("bytes", snapshot.tobytes()) for snapshot in snapshots]
        self._wanted = recorder, inputs, outputs
        self._frozen = self._lowering = None
        recorder.reads = recorder.histories = None
        forks.renewed(self, "_lock", threading.RLock)

    def look(self):
        """Find out how much of it no loop holds."""
        with self._lock, _refusals():
            if self.left is None:
                recorder, _, outputs = self._wanted
                lowering = rolled(recorder, outputs, ())
                self._lowering = lowering if lowering.left() <= SMALL else None  # it takes much memory
                self.left = lowering.left()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._read(), name)

    def _read(self):
        with self._lock, _refusals():
            if self._frozen is None:
                frozen = Frozen(*self._wanted, lowering=self._lowering)
                self.guards, self.left = frozen.guards, frozen.left
                self._frozen, self._wanted, self._lowering = frozen, None, None
        return self._frozen


@contextlib.contextmanager
def _refusals():
    """What is refused here is an ordinary error: nobody is recorded any more."""
    try:
        yield
    except Refused as why:
        raise RuntimeError(str(why)) from why
