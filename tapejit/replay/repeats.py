"""Loops of Python that may run for any number of passes: what a decision finds is what it found one pass before.

Python is deterministic. Where the same instruction looks at a truth value again, and all that Python holds there is as it was,
but for tensors that have moved on by one pass, the next pass leaves the same records one pass on, as long as the decision is
the same. That is looked at here, at each decision; a list that grows or an object that changes is another state. Numbers that
differ, and a ``for`` over a range that has advanced, are let through if nothing but arithmetic sees them (see ``counters``).
"""

import contextlib
import functools
import itertools
import sys
import types
from dataclasses import dataclass

import numpy as np

from tapejit.core.record import MASK, TAPE_SHIFT
from tapejit.eager.tensor import Tensor
from tapejit.graph.counting import FEWEST, Counting
from tapejit.replay.counters import Loop, followed, iterated

MOST_PARTS = 256  # objects of a state that is compared
MOST_LOOPS = 6  # of one recording
MOST_BYTES = 1 << 20  # of an array
MOST_VAIN = 8  # states at one place that differ, after which none are compared
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, range, slice, type(Ellipsis))
_BY_NAME = (type, types.ModuleType, types.BuiltinFunctionType, types.CodeType, np.ufunc)
_OURS = {Tensor.__bool__.__code__}  # functions between a user's decision and the state


class _Plain:
    """What Python's objects hold by themselves."""


class Unknown(Exception):
    """Something whose state cannot be told."""


@dataclass(frozen=True)
class Repeat:
    """Guards one pass apart: ``guards`` are their numbers, the last of which ended the loop; ``counting``, what it counted."""

    guards: tuple
    counting: Counting = None

    @property
    def passes(self):
        return len(self.guards) - 1


class State:
    """What Python holds in some frames.

    Attributes:
        parts: what must be equal; ``tensors``: the records of the tensors of the recording, in the order they were met.
        numbers: those that the outermost frame has under a name, or in tuples there, by the way to them.
    """

    def __init__(self, frames, tape):
        self.tape, self.parts, self.tensors, self.kept, self.numbers = tape, [], [], [], {}
        self._met = {}
        for frame in frames:
            self._enter(frame.f_lasti)
            if frame is not frames[-1]:
                self._named(frame.f_locals)
                continue
            for name, x in frame.f_locals.items():
                self._enter(name)
                self._countable(x, (name,))

    def follows(self, before, length):
        """Whether this is a state with tensors that stand still or have moved by ``length`` records."""
        pairs = zip(self.tensors, before.tensors, strict=False)
        return self.parts == before.parts and all(new - old in (0, length) for new, old in pairs)

    def _enter(self, x):
        self.parts.append(x)
        if len(self.parts) > MOST_PARTS:
            raise Unknown

    def _named(self, space):
        for name, x in space.items():
            self._enter(name)
            self._add(x)

    def _countable(self, x, way):
        """What may be a counter, or a tuple of some."""
        kind = x.__class__
        if kind is int or kind is float:
            self._enter(kind)
            self.numbers[way] = x
        elif kind is tuple:
            self._enter((kind, len(x)))
            for j, part in enumerate(x):
                self._countable(part, (*way, j))
        else:
            self._add(x)

    def _by_identity(self, x):
        self._enter(id(x))
        self.kept.append(x)

    def _add(self, x):
        kind = x.__class__
        if isinstance(x, _PLAIN):
            self._enter((kind, repr(x) if isinstance(x, (float, complex, np.generic)) else x))
            return
        if isinstance(x, _BY_NAME):
            self._by_identity(x)
            if isinstance(x, type) and "<locals>" in x.__qualname__:
                raise Unknown  # its attributes may change
            return
        self._by_identity(kind)
        known = self._met.setdefault(id(x), len(self._met))
        self.kept.append(x)
        self._enter(known)
        if known == len(self._met) - 1:
            self._look_into(x, kind)

    def _look_into(self, x, kind):
        if kind is Tensor:
            self._tensor(x)
        elif isinstance(x, (tuple, list)):
            self._enter(len(x))
            for part in x:
                self._add(part)
        elif isinstance(x, dict):
            for key, value in x.items():
                self._add(key)
                self._add(value)
        elif kind is np.ndarray and x.dtype.kind in "fiubc" and x.nbytes <= MOST_BYTES:
            self._enter((x.shape, x.dtype.str, x.tobytes()))
        elif isinstance(x, types.FunctionType):
            self._by_identity(x.__code__)
            for part in (x.__defaults__, x.__kwdefaults__, tuple(map(_content, x.__closure__ or ()))):
                self._add(part)
        elif isinstance(x, types.MethodType):
            self._add(x.__func__)
            self._add(x.__self__)
        elif isinstance(x, functools.partial):
            for part in (x.func, x.args, x.keywords):
                self._add(part)
        elif kind.__basicsize__ == _Plain.__basicsize__ and isinstance(getattr(x, "__dict__", None), dict):
            self._named(x.__dict__)  # there is no room for anything else
        else:
            raise Unknown

    def _tensor(self, x):
        self._enter((id(x._layout), x.requires_grad))
        if x._r >> TAPE_SHIFT == self.tape.number:
            self.tensors.append(x._r & MASK)
        else:
            self._enter(x._r)


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:
        return None


class Repeats:
    """The decisions of a recording, and which of them follow from one another.

    Args:
        base: the frame that runs the function.
    """

    def __init__(self, tape, base):
        self.tape, self.base = tape, base
        self.last = {}  # place -> (frames, state, guard, length of the tape)
        self.vain = {}  # place -> states that did not follow
        self.before = {}  # guard -> (the one a pass before, the records of the pass)
        self.numbers = {}  # guard -> the numbers that Python holds there
        self.loops = {}  # place -> what the walk through its code begins with
        self.places = {}  # guard -> place

    def forget(self):
        """Let go of frames and what they hold."""
        self.last, self.base = {}, None

    def note(self, guard):
        """A decision, called by what Python calls for it: the number of its guard."""
        frames = self._frames()
        place = tuple((id(f.f_code), f.f_lasti) for f in frames)
        if self.vain.get(place, 0) >= MOST_VAIN:
            return
        known, at = self.last.get(place), len(self.tape)
        if known is None:
            self.last[place] = frames, None, guard, at
            return
        # The innermost frame that was there the last time has run since; those around it have not.
        moving = frames[: 1 + next((j for j, pair in enumerate(zip(frames, known[0], strict=True)) if pair[0] is pair[1]), 0)]
        try:
            if any(first < f.f_lasti < end for f in moving[:-1] for first, end in iterated(f.f_code)):
                raise Unknown
            state = State(moving, self.tape)
        except Unknown:
            self.vain[place] = self.vain.get(place, 0) + 1
            self.last.pop(place, None)
            return
        if known[1] is not None:
            length = at - known[3]
            if state.follows(known[1], length):
                self.before[guard] = known[2], length
                self.numbers[guard], self.numbers[known[2]] = state.numbers, known[1].numbers
                self.places[guard] = place
                if place not in self.loops:
                    with contextlib.suppress(Exception):  # of an object of the user's that does not like to be looked at
                        self.loops[place] = Loop(frames[len(moving) - 1 :])
            else:
                self.vain[place] = self.vain.get(place, 0) + 1
        self.last[place] = frames, state, guard, at

    def _frames(self):
        """The frames from the decision outwards to the function that is recorded."""
        frame, frames = sys._getframe(3), []
        while frame is not None and frame is not self.base:
            if frame.f_code not in _OURS:
                frames.append(frame)
            frame = frame.f_back
        return frames

    def found(self, guards) -> list:
        """The Repeats of a recording: all but the last guard of each have one outcome, the last another."""
        best, reached = {}, {}
        for number, guard in enumerate(guards):
            before = self.before.get(number)
            if before is None or guards[before[0]].kind != "truth":
                continue
            first, length = before
            chain = reached.get(first)
            if chain is None or chain[1] != length or guards[chain[0][0]].outcome != guards[first].outcome:
                chain = [first], length
            chain[0].append(number)
            reached[number] = chain
            if guard.outcome != guards[first].outcome and len(chain[0]) > FEWEST:
                best[number] = tuple(chain[0])
        repeats = []
        for number, chain in best.items():
            if len(repeats) == MOST_LOOPS:
                break
            try:
                repeats.append(Repeat(chain, self._counted(number, chain, guards[chain[0]].outcome)))
            except Exception:  # also where an interpreter has code that is not known here: then each number is a path
                continue
        self.loops.clear()
        return repeats

    def _counted(self, number, chain, outcome):
        """What a loop counts, None for nothing."""
        loop = self.loops[self.places[number]]  # none, where that could not be told
        rows = [self.numbers[g] for g in chain]
        moving = {way: [row[way] for row in rows] for way in rows[0] if any(row[way] != rows[0][way] for row in rows)}
        if not moving and not loop.iterates:
            return None
        counters, loose = {}, set()
        for way, values in moving.items():
            step = values[1] - values[0]
            if step.__class__ is int and all(b - a == step for a, b in itertools.pairwise(values)):
                counters[way] = values[-1], step
            else:
                loose.add(way)
        return followed(loop, counters, loose, outcome, len(chain) - 1)
