"""Which line of the user's made each record of a recording.

The tracer that watches the function says where lines begin (see ``reads``): no operation has to look for its caller.
"""

import bisect
import contextlib
import sys

from tapejit.core import record as R
from tapejit.edge.userline import PACKAGE

_inside = {}  # file -> whether it is one of this package


def user_frame(frame):
    """The innermost frame outside of this package, from a frame outwards; None if there is none."""
    while frame is not None:
        file = frame.f_code.co_filename
        mine = _inside.get(file)
        if mine is None:
            mine = _inside[file] = file.startswith(PACKAGE)
        if not mine:
            return frame
        frame = frame.f_back
    return None


def place_of(frame):
    """(file, line) of the innermost frame outside of this package, None if there is none."""
    frame = user_frame(frame)
    return frame and (frame.f_code.co_filename, frame.f_lineno)


def user_line() -> str:
    """``file:line`` of that frame, from the caller outwards."""
    return _written(place_of(sys._getframe(1)))


def _written(place) -> str:
    return "?" if place is None else f"{place[0]}:{place[1]}"


def line_of_instruction(code, offset) -> str:
    """``file:line`` of an instruction."""
    line = next((line for start, end, line in code.co_lines() if start <= offset < end), None)
    return _written((code.co_filename, code.co_firstlineno if line is None else line))


class Lines:
    """The lines of a tape's records.

    Args:
        words: of the tape's header.
    """

    def __init__(self, words):
        self.words = words
        self.begins, self.places = [], []  # records from which on others stand at a place
        self._held = False

    def note(self, place):
        """Records from here on stand at a place: (file, line)."""
        if self._held:
            return
        at, places = self.words[R.H_COUNT], self.places
        if not places or self.begins[-1] != at:
            places.append(place)
            self.begins.append(at)
        elif len(places) > 1 and places[-2] == place:  # as in a loop of one line: what lay between made no records
            places.pop()
            self.begins.pop()
        else:
            places[-1] = place

    def line(self, k):
        """``file:line`` of what made record k."""
        at = bisect.bisect_right(self.begins, k) - 1
        return _written(self.places[at] if at >= 0 else None)

    @contextlib.contextmanager
    def held(self):
        """Records that are made meanwhile stand where the innermost frame of the user's is now."""
        if self._held:
            yield
            return
        self.note(place_of(sys._getframe(3)))
        self._held = True
        try:
            yield
        finally:
            self._held = False
